"""The services of OTLP: by signal, the name of each, the message that it answers with, and the field for what was not taken.

Formats: https://opentelemetry.io/docs/specs/otlp/ (OTLP 1.9), "Partial Success".
"""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

SERVICES = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
}
"""Of gRPC; all have the one method ``Export``."""

RESPONSES: dict[str, tuple[Any, str]] = {
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points"),
}


def partly(signal: str, rejected: int, reason: str) -> Any:
    """The message that takes all but so many items."""
    make, field = RESPONSES[signal]
    message = make()
    setattr(message.partial_success, field, rejected)
    message.partial_success.error_message = reason
    return message
