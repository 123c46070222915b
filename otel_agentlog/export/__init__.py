"""Where it is sent: OpenTelemetry providers, exporters, metrics and the names of the conventions.

The only room that knows the OpenTelemetry SDK.
"""

from otel_agentlog.export.courier import Courier
from otel_agentlog.export.direct import Direct
from otel_agentlog.export.lane import Limits
from otel_agentlog.export.metrics import Metrics
from otel_agentlog.export.otlp_json import Exported, otlp_json_lines
from otel_agentlog.export.parcels import Item, Ticket
from otel_agentlog.export.probe import Probed, probe
from otel_agentlog.export.providers import Telemetry
from otel_agentlog.export.rebuilt import readable_log, readable_span
from otel_agentlog.export.semconv import Conventions
from otel_agentlog.export.shipping import Deliver, Shipped, ship

__all__ = [
    "Conventions",
    "Courier",
    "Deliver",
    "Direct",
    "Exported",
    "Item",
    "Limits",
    "Metrics",
    "Probed",
    "Shipped",
    "Telemetry",
    "Ticket",
    "otlp_json_lines",
    "probe",
    "readable_log",
    "readable_span",
    "ship",
]
