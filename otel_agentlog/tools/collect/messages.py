"""Requests of OTLP to the rows of OTLP's JSON, which the reader of files takes: hexadecimal ids, integers as such.

Messages: ``opentelemetry-proto`` (OTLP 1.9). A row has at most `ROW_ITEMS` items, so that what a request takes in memory does not
grow with its size by more than the messages themselves. Imported where requests are received only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeAlias

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_agentlog._interrupts import raise_interrupt

Row: TypeAlias = "dict[str, Any]"

ROW_ITEMS = 256
"""Most spans or log records of one row."""

MAX_DEPTH = 32
"""Of values inside values; deeper ones are left out, as the reader leaves them out."""

_REQUESTS: Mapping[str, Any] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
_GROUPS = {"traces": "resourceSpans", "logs": "resourceLogs", "metrics": "resourceMetrics"}
"""Keys of JSON."""


class MalformedError(ValueError):
    """A body that is no request of its signal."""


def rows(signal: str, body: bytes, *, is_json: bool) -> Iterator[Row]:
    """The rows of one request.

    Raises:
        MalformedError: it is none; before the first row, but for JSON groups that are no objects, which are left out.
    """
    return _of_json(signal, body) if is_json else _of_protobuf(signal, body)


def _of_json(signal: str, body: bytes) -> Iterator[Row]:
    try:
        found = orjson.loads(body)
    except ValueError as error:
        raise_interrupt()
        raise MalformedError(f"expected JSON, found {error}") from None
    if not isinstance(found, dict):
        raise MalformedError("expected a JSON object")
    groups = found.get(_GROUPS[signal], [])
    if not isinstance(groups, list):
        raise MalformedError(f"expected an array under {_GROUPS[signal]}")
    return ({_GROUPS[signal]: [group]} for group in groups if isinstance(group, dict))


def _of_protobuf(signal: str, body: bytes) -> Iterator[Row]:
    try:
        request = _REQUESTS[signal].FromString(body)
    except DecodeError as error:
        raise_interrupt()
        raise MalformedError(f"expected a request of {signal} in protobuf, found {error}") from None
    return _ROWS[signal](request)


def _trace_rows(request: ExportTraceServiceRequest) -> Iterator[Row]:
    for group in request.resource_spans:
        resource = {"attributes": _attributes(group.resource.attributes)}
        for scoped in group.scope_spans:
            scope, url = _scope(scoped.scope), scoped.schema_url
            for spans in _several(scoped.spans, _span):
                scopes = [{"scope": scope, "schemaUrl": url, "spans": spans}]
                yield {"resourceSpans": [{"resource": resource, "scopeSpans": scopes}]}


def _log_rows(request: ExportLogsServiceRequest) -> Iterator[Row]:
    for group in request.resource_logs:
        resource = {"attributes": _attributes(group.resource.attributes)}
        for scoped in group.scope_logs:
            scope = _scope(scoped.scope)
            for records in _several(scoped.log_records, _record):
                yield {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": records}]}]}


def _metric_rows(request: ExportMetricsServiceRequest) -> Iterator[Row]:
    for group in request.resource_metrics:
        resource = {"attributes": _attributes(group.resource.attributes)}
        for scoped in group.scope_metrics:
            scope = _scope(scoped.scope)
            for metrics in _several(scoped.metrics, MessageToDict):
                yield {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"scope": scope, "metrics": metrics}]}]}


_ROWS: Mapping[str, Callable[[Any], Iterator[Row]]] = {"traces": _trace_rows, "logs": _log_rows, "metrics": _metric_rows}


def _several(items: Iterable[Any], convert: Callable[[Any], Row]) -> Iterator[list[Row]]:
    found = iter(items)
    while some := [convert(each) for each in islice(found, ROW_ITEMS)]:
        yield some


def _scope(scope: Any) -> Row:
    return {"name": scope.name, "version": scope.version, "attributes": _attributes(scope.attributes)}


def _span(span: Span) -> Row:
    row: Row = {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "name": span.name,
        "kind": int(span.kind),
        "startTimeUnixNano": span.start_time_unix_nano,
        "endTimeUnixNano": span.end_time_unix_nano,
        "attributes": _attributes(span.attributes),
        "flags": span.flags,
    }
    if span.parent_span_id:
        row["parentSpanId"] = span.parent_span_id.hex()
    if span.events:
        row["events"] = [
            {"timeUnixNano": each.time_unix_nano, "name": each.name, "attributes": _attributes(each.attributes)}
            for each in span.events
        ]
    if span.links:
        row["links"] = [
            {"traceId": each.trace_id.hex(), "spanId": each.span_id.hex(), "attributes": _attributes(each.attributes)}
            for each in span.links
        ]
    if span.HasField("status"):
        row["status"] = {"code": int(span.status.code), "message": span.status.message}
    return row


def _record(record: LogRecord) -> Row:
    return {
        "traceId": record.trace_id.hex(),
        "spanId": record.span_id.hex(),
        "timeUnixNano": record.time_unix_nano,
        "observedTimeUnixNano": record.observed_time_unix_nano,
        "severityNumber": int(record.severity_number),
        "eventName": record.event_name,
        "body": _value(record.body, 0),
        "attributes": _attributes(record.attributes),
    }


def _attributes(pairs: Iterable[KeyValue], depth: int = 0) -> list[Row]:
    return [{"key": pair.key, "value": _value(pair.value, depth)} for pair in pairs]


_PLAIN = {"string_value": "stringValue", "bool_value": "boolValue", "int_value": "intValue", "double_value": "doubleValue"}


def _value(value: AnyValue, depth: int) -> Row:
    kind = value.WhichOneof("value")
    if kind is None or depth > MAX_DEPTH:
        return {}
    if (name := _PLAIN.get(kind)) is not None:
        return {name: getattr(value, kind)}
    if kind == "array_value":
        return {"arrayValue": {"values": [_value(each, depth + 1) for each in value.array_value.values]}}
    if kind == "kvlist_value":
        return {"kvlistValue": {"values": _attributes(value.kvlist_value.values, depth + 1)}}
    return {"bytesValue": MessageToDict(value).get("bytesValue", "")} if kind == "bytes_value" else {}
