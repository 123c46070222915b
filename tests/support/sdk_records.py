"""What the OpenTelemetry SDK makes of records read from a folder: the reference that our own encoder is compared with.

The SDK's limits are applied as its tracer and its logger do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordLimits, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from otel_agentlog.export.records import fields_of
from otel_agentlog.export.semconv.conventions import ContentPolicy, Conventions, Profile
from otel_agentlog.export.semconv.spans import noted_event
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.records import LogRecordLine, RecordedScope, SpanEvent, SpanRecord


def readable_span(record: SpanRecord) -> ReadableSpan:
    """A finished span: ids in hex, times in Unix nanoseconds."""
    limits = SpanLimits()
    trace_state = TraceState.from_header([record.trace_state]) if record.trace_state else None
    flags = TraceFlags(record.trace_flags | TraceFlags.SAMPLED)
    trace_id = int(record.trace_id, 16)
    context = SpanContext(trace_id, int(record.span_id, 16), False, flags, trace_state)
    parent = None
    if record.parent_span_id:
        parent = SpanContext(trace_id, int(record.parent_span_id, 16), bool(record.parent_remote), flags, trace_state)
    attributes = BoundedAttributes(
        limits.max_span_attributes, _set(record.attributes), max_value_len=limits.max_span_attribute_length
    )
    noted = [SpanEvent(name, at, found) for at, line in record.noted for name, found in (noted_event(line),)]
    happened = sorted(record.events + noted, key=lambda event: event.time_ns) if noted else record.events
    events = [Event(each.name, _inner(each.attributes, limits, "event"), each.time_ns) for each in happened]
    links = [
        Link(SpanContext(int(each.trace_id, 16), int(each.span_id, 16), each.remote), _inner(each.attributes, limits, "link"))
        for each in record.links
    ]
    return ReadableSpan(
        name=record.name,
        context=context,
        parent=parent,
        resource=Resource(_set(record.resource)),
        attributes=attributes,
        events=_bounded(events, limits.max_events),
        links=_bounded(links, limits.max_links),
        kind=SpanKind[record.kind],
        status=Status(StatusCode[record.status_code], record.status_description),
        start_time=record.start_ns,
        end_time=record.end_ns if record.end_ns is not None else record.start_ns,
        instrumentation_scope=_scope(record.scope),
    )


def readable_log(record: LogRecordLine, time_ns: int | None = None) -> ReadableLogRecord:
    """A log record; ``time_ns`` replaces the line's time."""
    time_ns = record.time_ns if time_ns is None else time_ns
    origin = record.origin
    places = cast("frozenset[Literal['span', 'event']]", frozenset(origin.content_on))
    conventions = Conventions(cast(Profile, origin.profile), cast(ContentPolicy, record.content_policy), places)
    fields = fields_of(record.kind, record.line, record.start, conventions)
    made = LogRecord(
        timestamp=time_ns,
        observed_timestamp=time_ns,
        context=_context(record.line),
        severity_text=fields.severity_text,
        severity_number=SeverityNumber(fields.severity_number),
        body=fields.body,
        attributes=fields.attributes,
        event_name=fields.event_name,
    )
    limited = ReadWriteLogRecord(made, Resource(_set(record.resource)), _scope(record.scope), LogRecordLimits())
    return ReadableLogRecord(limited.log_record, limited.resource or Resource({}), limited.instrumentation_scope, limited.limits)


def _context(line: Line) -> Context:
    trace_id, span_id = line.get("trace_id"), line.get("span_id")
    if not trace_id or not span_id:
        return set_span_in_context(INVALID_SPAN, Context())
    ids = SpanContext(int(trace_id, 16), int(span_id, 16), False, TraceFlags(line.get("trace_flags", 1)))
    return set_span_in_context(NonRecordingSpan(ids), Context())


def _scope(scope: RecordedScope) -> InstrumentationScope:
    return InstrumentationScope(scope.name, scope.version, scope.schema_url, _set(scope.attributes) or None)


def _set(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if value is not None}


def _inner(attributes: Mapping[str, Any], limits: SpanLimits, what: str) -> Any:
    most = getattr(limits, f"max_{what}_attributes")
    return BoundedAttributes(most, _set(attributes), max_value_len=limits.max_attribute_length)


def _bounded(items: list[Any], most: int | None) -> Sequence[Any]:
    if most is None:
        return items
    kept: BoundedList[Any] = BoundedList(most)
    kept.extend(items)
    return kept
