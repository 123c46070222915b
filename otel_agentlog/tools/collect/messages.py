"""Requests of OTLP to the rows of OTLP's JSON, which the reader of files takes: hexadecimal ids, integers as such.

Messages: ``opentelemetry-proto`` (OTLP 1.9). A row has at most `ROW_ITEMS` items, so that what a request takes in memory does not
grow with its size by more than the messages themselves. Imported where requests are received only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

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
    key = _FORMS[signal].keys[0]
    groups = found.get(key, [])
    if not isinstance(groups, list):
        raise MalformedError(f"expected an array under {key}")
    return ({key: [group]} for group in groups if isinstance(group, dict))


def _of_protobuf(signal: str, body: bytes) -> Iterator[Row]:
    form = _FORMS[signal]
    try:
        request = form.request.FromString(body)
    except DecodeError as error:
        raise_interrupt()
        raise MalformedError(f"expected a request of {signal} in protobuf, found {error}") from None
    return _rows(form, request)


def _rows(form: _Form, request: Any) -> Iterator[Row]:
    groups, scopes, items = form.keys
    for group in getattr(request, form.fields[0]):
        resource = {"attributes": _attributes(group.resource.attributes)}
        for scoped in getattr(group, form.fields[1]):
            scope, url = _scope(scoped.scope), scoped.schema_url
            for some in _several(getattr(scoped, form.fields[2]), form.convert):
                yield {groups: [{"resource": resource, scopes: [{"scope": scope, "schemaUrl": url, items: some}]}]}


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


class _Form(NamedTuple):
    """How the requests of a signal are made."""

    request: Any
    """The class of the message."""
    fields: tuple[str, str, str]
    """Its groups by resource, their groups by scope, the items of those."""
    keys: tuple[str, str, str]
    """The same in JSON."""
    convert: Callable[[Any], Row]
    """An item to that of a row."""


_FORMS: Mapping[str, _Form] = {
    "traces": _Form(
        ExportTraceServiceRequest, ("resource_spans", "scope_spans", "spans"), ("resourceSpans", "scopeSpans", "spans"), _span
    ),
    "logs": _Form(
        ExportLogsServiceRequest,
        ("resource_logs", "scope_logs", "log_records"),
        ("resourceLogs", "scopeLogs", "logRecords"),
        _record,
    ),
    "metrics": _Form(
        ExportMetricsServiceRequest,
        ("resource_metrics", "scope_metrics", "metrics"),
        ("resourceMetrics", "scopeMetrics", "metrics"),
        MessageToDict,
    ),
}
