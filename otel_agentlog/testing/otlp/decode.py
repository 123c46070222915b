"""Hides the shapes of OTLP: turns protobuf messages or OTLP JSON lines into plain dicts that tests can compare.

What a receiver got and what the collector's file exporter wrote come out equal, ``==`` on dicts. Every item carries its
``resource`` (attributes) and ``scope`` (``name``, ``version``, ``attributes``, ``schema_url``). Ids are lower-case hex (``None``
where absent), times are integers in ns, an ``int`` attribute stays ``int``, a ``double`` stays ``float``, arrays are lists,
key-value lists are dicts, bytes are ``bytes``. Metrics: see ``metrics.py``.

Formats: https://opentelemetry.io/docs/specs/otlp/ and opentelemetry-proto 1.x.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_agentlog.testing.otlp.metrics import metrics
from otel_agentlog.testing.otlp.values import Item, any_value, attributes, hex_id, origin

Export: TypeAlias = ExportTraceServiceRequest | ExportLogsServiceRequest | ExportMetricsServiceRequest

REQUEST_TYPES: Mapping[str, type[Export]] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
"""The request message of each signal; the file exporter's lines have the same fields."""

_ID_KEYS = frozenset({"traceId", "spanId", "parentSpanId"})


def decode_request(request: Export) -> list[Item]:
    """All spans, log records or metrics of one export request, in its order."""
    if isinstance(request, ExportTraceServiceRequest):
        return spans(request)
    if isinstance(request, ExportLogsServiceRequest):
        return log_records(request)
    return metrics(request)


def decode_json(signal: str, text: bytes | str) -> list[Item]:
    """All items of one OTLP JSON document (``resourceSpans``, ``resourceLogs`` or ``resourceMetrics``)."""
    return decode_request(request_from_json(signal, text))


def request_from_json(signal: str, text: bytes | str) -> Export:
    """Parse OTLP JSON, which unlike plain protobuf JSON writes ids in hex, into the request message of ``signal``."""
    request = REQUEST_TYPES[signal]()
    ParseDict(_ids_to_base64(json.loads(text)), request, ignore_unknown_fields=True)
    return request


def _ids_to_base64(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _hex_to_base64(v) if k in _ID_KEYS else _ids_to_base64(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_ids_to_base64(v) for v in value]
    return value


def _hex_to_base64(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()


def spans(request: ExportTraceServiceRequest) -> list[Item]:
    """Every span of a request, with its resource and scope."""
    return [
        {**_span(span), **origin(group, scoped)}
        for group in request.resource_spans
        for scoped in group.scope_spans
        for span in scoped.spans
    ]


def _span(span: Span) -> Item:
    return {
        "trace_id": hex_id(span.trace_id),
        "span_id": hex_id(span.span_id),
        "parent_span_id": hex_id(span.parent_span_id),
        "trace_state": span.trace_state,
        "flags": span.flags,
        "name": span.name,
        "kind": Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        "start_time_ns": span.start_time_unix_nano,
        "end_time_ns": span.end_time_unix_nano,
        "attributes": attributes(span.attributes),
        "dropped_attributes_count": span.dropped_attributes_count,
        "events": [_event(event) for event in span.events],
        "dropped_events_count": span.dropped_events_count,
        "links": [_link(link) for link in span.links],
        "dropped_links_count": span.dropped_links_count,
        "status": {
            "code": Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
            "message": span.status.message,
        },
    }


def _event(event: Span.Event) -> Item:
    return {
        "time_ns": event.time_unix_nano,
        "name": event.name,
        "attributes": attributes(event.attributes),
        "dropped_attributes_count": event.dropped_attributes_count,
    }


def _link(link: Span.Link) -> Item:
    return {
        "trace_id": hex_id(link.trace_id),
        "span_id": hex_id(link.span_id),
        "trace_state": link.trace_state,
        "flags": link.flags,
        "attributes": attributes(link.attributes),
        "dropped_attributes_count": link.dropped_attributes_count,
    }


def log_records(request: ExportLogsServiceRequest) -> list[Item]:
    """Every log record of a request, with its resource and scope."""
    return [
        {
            **_log_record(record),
            **origin(group, scoped),
        }
        for group in request.resource_logs
        for scoped in group.scope_logs
        for record in scoped.log_records
    ]


def _log_record(record: LogRecord) -> Item:
    return {
        "time_ns": record.time_unix_nano,
        "observed_time_ns": record.observed_time_unix_nano,
        "severity_number": int(record.severity_number),
        "severity_text": record.severity_text,
        "event_name": record.event_name,
        "body": any_value(record.body),
        "attributes": attributes(record.attributes),
        "dropped_attributes_count": record.dropped_attributes_count,
        "flags": record.flags,
        "trace_id": hex_id(record.trace_id),
        "span_id": hex_id(record.span_id),
    }


def complete_lines(raw: bytes) -> Iterator[bytes]:
    """The lines of a file that somebody is still writing: the last one is left out until it ends."""
    return (line for line in raw.split(b"\n")[:-1] if line)
