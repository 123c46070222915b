"""Where it is sent: OpenTelemetry providers, exporters, metrics and the names of the conventions.

The only room that knows the OpenTelemetry SDK.
"""

from otel_agentlog.export.courier import Courier, Item, Ticket
from otel_agentlog.export.metrics import Metrics
from otel_agentlog.export.providers import Telemetry
from otel_agentlog.export.rebuilt import readable_log, readable_span
from otel_agentlog.export.semconv import Conventions

__all__ = ["Conventions", "Courier", "Item", "Metrics", "Telemetry", "Ticket", "readable_log", "readable_span"]
