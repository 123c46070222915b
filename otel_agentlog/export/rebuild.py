"""From what is read back from a folder to what the encoders take: spans and log records equal to those that were sent live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, cast

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from otel_agentlog.export.records import fields_of, log_record
from otel_agentlog.export.semconv.conventions import ContentPolicy, Conventions, Profile
from otel_agentlog.vocabulary.records import LogRecordLine, RecordedScope, SpanLink, SpanRecord

MAX_LEVELS = 32
"""How deep arrays and objects of an attribute may lie in each other; protobuf reads no message of a hundred levels."""


def readable_span(record: SpanRecord) -> ReadableSpan:
    """A finished span from its record: ids in hex, times in Unix nanoseconds."""
    trace_state = TraceState.from_header([record.trace_state]) if record.trace_state else None
    flags = TraceFlags(record.trace_flags | TraceFlags.SAMPLED)
    trace_id = int(record.trace_id, 16)
    context = SpanContext(trace_id, int(record.span_id, 16), False, flags, trace_state)
    parent = None
    if record.parent_span_id:
        parent = SpanContext(trace_id, int(record.parent_span_id, 16), bool(record.parent_remote), flags, trace_state)
    return ReadableSpan(
        name=record.name,
        context=context,
        parent=parent,
        resource=Resource(_values(record.resource)),
        attributes=_values(record.attributes),
        events=[Event(event.name, _values(event.attributes), event.time_ns) for event in record.events],
        links=[_link(link) for link in record.links],
        kind=SpanKind[record.kind],
        status=Status(StatusCode[record.status_code], record.status_description),
        start_time=record.start_ns,
        end_time=record.end_ns if record.end_ns is not None else record.start_ns,
        instrumentation_scope=_scope(record.scope),
    )


def readable_log(record: LogRecordLine, time_ns: int | None = None) -> ReadableLogRecord:
    """A log record from its line, under the settings of the process that recorded it; ``time_ns`` replaces the line's time."""
    time_ns = record.time_ns if time_ns is None else time_ns
    origin = record.origin
    conventions = _conventions(origin.profile, record.content_policy, frozenset(origin.content_on))
    fields = fields_of(record.kind, record.line, record.start, conventions)
    return ReadableLogRecord(
        log_record(fields, record.line, time_ns),
        Resource(_values(record.resource)),
        _scope(record.scope),
    )


@lru_cache(maxsize=32)
def _conventions(profile: str, policy: str, places: frozenset[str]) -> Conventions:
    content_on = cast("frozenset[Literal['span', 'event']]", places)
    return Conventions(cast(Profile, profile), cast(ContentPolicy, policy), content_on)


def _scope(scope: RecordedScope) -> InstrumentationScope:
    return InstrumentationScope(scope.name, scope.version, scope.schema_url, _values(scope.attributes) or None)


def _link(link: SpanLink) -> Link:
    return Link(SpanContext(int(link.trace_id, 16), int(link.span_id, 16), True), _values(link.attributes))


def _values(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that have a value, and one that OTLP has a form for: a damaged line may hold any."""
    return {key: _value(value) for key, value in attributes.items() if value is not None and _has_form(value, MAX_LEVELS)}


def _has_form(value: Any, levels: int) -> bool:
    if isinstance(value, str):
        return True
    if isinstance(value, int):
        return -(1 << 63) <= value < 1 << 63
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return levels > 0 and all(_has_form(item, levels - 1) for item in value)
    return True


def _value(value: Any) -> Any:
    # The SDK keeps sequences as tuples.
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else value
