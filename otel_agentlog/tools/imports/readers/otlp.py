"""OTLP as JSON: what the collector's file exporter writes, and ``agentlog export``. Spans and log records; metrics are left out.

A row is one ``ExportTraceServiceRequest`` or ``ExportLogsServiceRequest``. Ids are hex (as OTLP has them) or base64 (as plain
protobuf has them); times are texts of digits or numbers.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.tools.imports.readers.events import moment_ns
from otel_agentlog.tools.imports.readers.spans import LeftOut, Traced, TracedLog, TracedResource, TracedSpan
from otel_agentlog.vocabulary.coerce import as_integer, mapping, objects, text
from otel_agentlog.vocabulary.lines import timestamp

NAME = "otlp"
_KINDS = ("INTERNAL", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUS = {1: "OK", 2: "ERROR", "STATUS_CODE_OK": "OK", "STATUS_CODE_ERROR": "ERROR"}
_LEVELS = ("DEBUG", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""By the severity number, four of which are one level."""

_PARENT_IS_REMOTE = 0x300
"""Of a span's flags: it is known whether the parent is of another process, and it is."""

MAX_DEPTH = 32
"""Of values inside values."""


def recognises(row: Mapping[str, Any]) -> bool:
    """Whether a row is of such a file."""
    return any(isinstance(row.get(key), list) for key in ("resourceSpans", "resourceLogs", "resourceMetrics"))


def read(row: Mapping[str, Any]) -> Iterator[Traced]:
    """The spans and log records of a row, those of a resource after it."""
    for group in objects(row, "resourceSpans"):
        resource = attributes_of(mapping(group, "resource"))
        yield TracedResource(resource)
        service = resource.get("service.name")
        for scoped in objects(group, "scopeSpans"):
            scope = _scope(mapping(scoped, "scope"), text(scoped, "schemaUrl"))
            for span in objects(scoped, "spans"):
                yield _span(span, scope, service if isinstance(service, str) else None)
    for group in objects(row, "resourceLogs"):
        yield TracedResource(attributes_of(mapping(group, "resource")))
        for scoped in objects(group, "scopeLogs"):
            for record in objects(scoped, "logRecords"):
                found = log_record(record, text(mapping(scoped, "scope"), "name") or "unknown")
                yield LeftOut(_NO_RUN) if found is None or not found.trace_id else found


_NO_RUN = "expected a log record with traceId and timeUnixNano: others belong to no run"


def _scope(scope: Mapping[str, Any], schema_url: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"name": text(scope, "name") or "unknown"}
    found |= {key: value for key, value in (("version", text(scope, "version")), ("schema_url", schema_url)) if value}
    attributes = attributes_of(scope)
    return {**found, "attributes": attributes} if attributes else found


def _span(span: Mapping[str, Any], scope: Mapping[str, Any], service: str | None) -> Traced:
    trace_id, span_id, start_ns = (
        _id(span.get("traceId"), 16),
        _id(span.get("spanId"), 8),
        moment_ns(span.get("startTimeUnixNano")),
    )
    if trace_id is None or span_id is None or start_ns is None:
        ids = {key: span.get(key) for key in ("traceId", "spanId", "startTimeUnixNano")}
        return LeftOut(f"expected a span with traceId, spanId and startTimeUnixNano, found {str(ids)[:200]}")
    name, attributes, kind = text(span, "name") or "span", attributes_of(span), span.get("kind")
    start: dict[str, Any] = {
        "name": name,
        "kind": _KINDS[kind] if type(kind) is int and 0 <= kind < 6 else str(kind or "INTERNAL").removeprefix("SPAN_KIND_"),
        "trace_id": trace_id,
        "span_id": span_id,
        "trace_flags": 1,
        "start_ns": start_ns,
        "attributes": attributes,
        "scope": scope,
    }
    if start["kind"] not in _KINDS:
        start["kind"] = "INTERNAL"
    if (parent := _id(span.get("parentSpanId"), 8)) is not None and parent != span_id:
        start["parent_span_id"] = parent
        if type(flags := span.get("flags")) is int and flags & _PARENT_IS_REMOTE == _PARENT_IS_REMOTE:
            start["parent_remote"] = True
    if links := [found for each in objects(span, "links") if (found := _link(each)) is not None]:
        start["links"] = links
    status = mapping(span, "status")
    end = {
        "end_ns": max(start_ns, moment_ns(span.get("endTimeUnixNano")) or start_ns),
        "name": name,
        "attributes": attributes,
        "events": [_event(each, start_ns) for each in objects(span, "events")],
        "status_code": _STATUS.get(code, "UNSET") if isinstance(code := status.get("code"), (int, str)) else "UNSET",
        "status_description": text(status, "message"),
    }
    return TracedSpan(start, end, service)


def _event(event: Mapping[str, Any], otherwise_ns: int) -> dict[str, Any]:
    at_ns = moment_ns(event.get("timeUnixNano")) or otherwise_ns
    return {"timestamp": timestamp(at_ns), "name": text(event, "name") or "event", "attributes": attributes_of(event)}


def _link(link: Mapping[str, Any]) -> dict[str, Any] | None:
    trace_id, span_id, attributes = _id(link.get("traceId"), 16), _id(link.get("spanId"), 8), attributes_of(link)
    if trace_id is None or span_id is None:
        return None
    return {"trace_id": trace_id, "span_id": span_id, **({"attributes": attributes} if attributes else {})}


def log_record(record: Mapping[str, Any], logger: str) -> TracedLog | None:
    """A log record, whose trace is empty where it names none; ``None`` if it has no time."""
    trace_id = _id(record.get("traceId"), 16) or ""
    at_ns = moment_ns(record.get("timeUnixNano")) or moment_ns(record.get("observedTimeUnixNano"))
    if at_ns is None:
        return None
    severity, body = record.get("severityNumber"), _value(record.get("body"), 0)
    level: str = _LEVELS[(severity - 1) // 4] if type(severity) is int and 1 <= severity <= 24 else "INFO"
    details = attributes_of(record)
    event = text(record, "eventName")
    message: str = body if isinstance(body, str) else event or ""
    if event and event != message:
        details.setdefault("event.name", event)
    if body is not None and not isinstance(body, str):
        details["body"] = body
    return TracedLog(trace_id, _id(record.get("spanId"), 8), at_ns, level, logger, message, details)


def attributes_of(owner: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a span, a resource …, as Python values."""
    return {key: _value(each.get("value"), 0) for each in objects(owner, "attributes") if (key := text(each, "key"))}


def _value(value: Any, depth: int) -> Any:
    """An ``AnyValue``."""
    if not isinstance(value, Mapping) or depth > MAX_DEPTH:
        return None
    for key in ("stringValue", "boolValue"):
        if key in value:
            return value[key]
    if "intValue" in value:
        return _integer(value["intValue"])
    if "doubleValue" in value:
        return _double(value["doubleValue"])
    if "arrayValue" in value:
        return [_value(each, depth + 1) for each in objects(mapping(value, "arrayValue"), "values")]
    if "kvlistValue" in value:
        pairs = objects(mapping(value, "kvlistValue"), "values")
        return {name: _value(each.get("value"), depth + 1) for each in pairs if (name := text(each, "key"))}
    return value.get("bytesValue")


def _integer(value: Any) -> Any:
    if isinstance(value, str) and len(value) <= 20 and value.removeprefix("-").isascii() and value.removeprefix("-").isdigit():
        number = int(value)
        return number if as_integer(number) is not None else value
    return value


def _double(value: Any) -> Any:
    """A number, or what JSON has no form for, as a text."""
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)


def _id(value: Any, size: int) -> str | None:
    """An id of so many bytes in hex; ``None`` for what is none, or 0."""
    if not isinstance(value, str) or not value:
        return None
    try:
        data = bytes.fromhex(value) if len(value) == 2 * size else base64.b64decode(value, validate=True)
    except ValueError:
        raise_interrupt()
        return None
    return data.hex() if len(data) == size and any(data) else None
