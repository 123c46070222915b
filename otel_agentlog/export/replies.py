"""What the answer to a successful request says: that all was taken, or how many items were not.

Shapes: ``Export<Signal>ServiceResponse`` of OTLP 1.9, as protobuf or JSON. Imported only when something is to be sent.
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_agentlog.export.outcome import DELIVERED, Outcome, delivered_but

_RESPONSES: dict[str, tuple[Any, str]] = {
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points"),
}


def read_reply(signal: str, content_type: str, body: bytes) -> Outcome:
    """The outcome by the body of an answer with a successful status; a body that cannot be read takes nothing back."""
    if content_type.startswith("application/json"):
        return _read_json(signal, body)
    try:
        return read_message(signal, _RESPONSES[signal][0].FromString(body))
    except DecodeError:
        return DELIVERED


def read_message(signal: str, message: Any) -> Outcome:
    """The outcome by a response message of a signal."""
    partial = message.partial_success
    return delivered_but(getattr(partial, _RESPONSES[signal][1]), partial.error_message)


def _read_json(signal: str, body: bytes) -> Outcome:
    first, *rest = _RESPONSES[signal][1].split("_")
    key = first + "".join(word.capitalize() for word in rest)
    try:
        partial = json.loads(body)["partialSuccess"]
        # 64-bit integers stand as strings in protobuf's JSON.
        return delivered_but(int(partial[key]), partial.get("errorMessage", ""))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return DELIVERED
