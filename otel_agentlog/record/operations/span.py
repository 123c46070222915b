"""Between a line and its span: names and attributes go from the line to the span, ids from the span to the line.

What other code put on our span (``trace.get_current_span().set_attribute(…)``, ``add_event(…)``) goes into the end line, so that
the folder has all of the span. That can be read from a recording span of the SDK (`ReadableSpan`), not from one of the API.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    format_span_id,
    format_trace_id,
    get_current_span,
    set_span_in_context,
)

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.record.operations.context import OperationScope
from otel_agentlog.record.recorder import Recorder
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.vocabulary.json_tags import untagged
from otel_agentlog.vocabulary.lines import Line, timestamp


def open_span(scope: OperationScope, record: Recorder, envelope: Envelope) -> dict[str, Any]:
    """Name and begin the span of a start line, and put its ids on the line; returns the span's attributes."""
    line = envelope.line
    line.update(scope.ids())
    convention = record.conventions
    name, kind = convention.span_name(line), convention.span_kind(line)
    attributes = _span_attributes(line, convention.start_attributes(line))
    scope.span = _start(record, name, scope.outer, kind, _untagged(attributes), scope.start_ns)
    above, own = get_current_span(scope.outer).get_span_context(), scope.span.get_span_context()
    line["trace_id"], line["span_id"] = format_trace_id(own.trace_id), format_span_id(own.span_id)
    if above.is_valid:
        line["parent_span_id"] = format_span_id(above.span_id)
        if above.is_remote:
            line["parent_remote"] = True
    line["trace_flags"] = int(own.trace_flags)
    if own.trace_state:
        line["trace_state"] = record.clean_text(own.trace_state.to_header())
    line["name"], line["kind"], line["attributes"] = name, kind, attributes
    scope.span_name = name
    envelope.task, envelope.time_ns = scope.task, scope.start_ns
    # Not the operation itself: an envelope that is kept must not keep a dropped operation from ending.
    envelope.context = set_span_in_context(scope.span, scope.outer)
    scope.sampled = envelope.sampled = own.trace_flags.sampled
    return attributes


def _start(record: Recorder, name: str, parent: Context, kind: str, attributes: Mapping[str, Any], start_ns: int) -> Span:
    """Begin a span; one with valid ids in any case, also where there is no SDK or a span processor raises."""
    try:
        span = record.tracer.start_span(
            name, parent, SpanKind[kind], attributes, (), start_ns, record_exception=False, set_status_on_exception=False
        )
        own = span.get_span_context()
        # Without an SDK the API's tracer hands back the parent's span.
        if own.is_valid and own.span_id != get_current_span(parent).get_span_context().span_id:
            return span
    except Exception as error:  # noqa: BLE001 - samplers and processors of others run in there
        raise_interrupt()
        record.failed("span", error)
    return NonRecordingSpan(_own_context(parent))


def _own_context(parent: Context) -> SpanContext:
    """Ids of our own where no SDK gives any. No sampler left it out."""
    above = get_current_span(parent).get_span_context()
    trace_id = above.trace_id if above.is_valid else random.getrandbits(128) or 1
    flags = above.trace_flags if above.is_valid else TraceFlags.SAMPLED
    return SpanContext(trace_id, random.getrandbits(64) or 1, False, TraceFlags(flags))


def close_span(scope: OperationScope, record: Recorder, envelope: Envelope, end_ns: int) -> None:
    """Put the outcome on the span of an end line, deliver the line, end the span."""
    line = envelope.line
    line.update(scope.ids())
    # Others have put these on the span already, whatever the conventions think of them.
    foreign = line.pop("foreign", None) or {}
    attributes = {**foreign, **_span_attributes(line, record.conventions.end_attributes(line))}
    code, description = record.conventions.status(line)
    if code == "ERROR":
        line["status"] = {"code": code, "description": description} if description else {"code": code}
    elif isinstance(status := getattr(scope.span, "status", None), Status) and status.status_code is not StatusCode.UNSET:
        _take_foreign_status(scope.span, status, record, line)
    line["attributes"] = attributes
    if (named := getattr(scope.span, "name", scope.span_name)) != scope.span_name:
        line["name"] = record.clean_text(str(named))
        scope.span.update_name(line["name"])
    envelope.task, envelope.time_ns = scope.task, end_ns
    envelope.context = set_span_in_context(scope.span, scope.outer)
    envelope.sampled = scope.sampled
    try:
        scope.span.set_attributes(_untagged(attributes))
        if code == "ERROR":
            scope.span.set_status(Status(StatusCode.ERROR, description))
        record.deliver(envelope)
        scope.span.end(end_ns)
    except Exception as error:  # noqa: BLE001 - span processors of others run in end()
        raise_interrupt()
        record.failed("span", error)
    finally:
        if "event_id" in line and scope.span.is_recording():
            scope.span.end(end_ns)


def _take_foreign_status(span: Span, status: Status, record: Recorder, line: Line) -> None:
    """A status that other code set, where we set none: into the line, and without secrets onto the span."""
    line["status"] = {"code": status.status_code.name}
    if status.description:
        line["status"]["description"] = record.clean_text(status.description)
        span.set_status(Status(status.status_code, line["status"]["description"]))


def _span_attributes(line: Line, attributes: dict[str, Any]) -> dict[str, Any]:
    """What goes on the span; attributes of the user's that the conventions leave out go into the line's details."""
    given = line.pop("attributes", None) or {}
    left_out = {key: value for key, value in given.items() if key not in attributes and value is not None} if given else {}
    if left_out:
        line["details"] = {**line.get("details", {}), "attributes_left_out": left_out}
    return attributes


def _untagged(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes with their values as they were before the line was made; nearly always they are plain."""
    return {key: untagged(value) if type(value) in (dict, list) else value for key, value in attributes.items()}


def foreign_attributes(span: Span, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a span that are not, or no longer, what we set on it."""
    attributes = getattr(span, "attributes", None)
    if not isinstance(attributes, Mapping):
        return {}
    return {key: value for key, value in attributes.items() if key not in sent or not _same(value, sent[key])}


def _same(stored: Any, given: Any) -> bool:
    # The SDK keeps sequences as tuples.
    return bool(stored == given) or (isinstance(stored, tuple) and isinstance(given, list) and list(stored) == given)


def foreign_events(span: Span) -> list[dict[str, Any]]:
    """Events that others added to a span, as they are in a line."""
    # Stages have lines of their own, in 02-webhook-flow.jsonl.
    return [event_line(event) for event in getattr(span, "events", None) or () if not event.name.startswith("webhook.")]


def event_line(event: Any) -> dict[str, Any]:
    """One span event as it is in a line."""
    return {"timestamp": timestamp(event.timestamp), "name": event.name, "attributes": dict(event.attributes or {})}
