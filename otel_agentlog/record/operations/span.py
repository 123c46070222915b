"""Between a line and its span: names and attributes go from the line to the span, ids from the span to the line.

Where no span processor but ours is on the provider, spans are of `LightSpan`, which needs no SDK: what is sent is made of the
lines. Where span processors of others are there, or a provider was there first, the SDK starts them (`Spans.light`).

What other code put on our span (``trace.get_current_span().set_attribute(…)``, ``add_event(…)``) goes into the end line, so that
the folder has all of the span. That can be read from ours and from a recording span of the SDK (`ReadableSpan`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, MutableMapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    format_span_id,
    format_trace_id,
    get_current_span,
)

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._platform.fork import random_bits
from otel_agentlog.record.collaborators import SpanLimits
from otel_agentlog.record.exceptions.class_info import type_name
from otel_agentlog.record.exceptions.describe import message_and_traceback
from otel_agentlog.record.operations.context import BOUND, OPERATION, SPAN, OperationScope, PlacedSpan, is_recorded
from otel_agentlog.record.recorder import Recorder
from otel_agentlog.vocabulary.actions import SEGMENT, TASK, WEBHOOK
from otel_agentlog.vocabulary.coerce import untagged
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.vocabulary.lines import EXCEPTION, Line, timestamp
from otel_agentlog.vocabulary.records import is_noted

EVENT_ID = "agentlog.event.id"
"""Attribute of the events that are lines of their own, as the stages of a webhook are."""

_OPERATION_NAME = "gen_ai.operation.name"
_RANDOM_TRACE_ID = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)
_UNSET = Status()


class Trace(NamedTuple):
    """What a span has in common with those below it."""

    trace_id: int
    hex: str
    flags: TraceFlags
    flags_number: int
    state: TraceState | None
    sampled: bool
    """Whether its spans are sent."""
    recording: bool
    """Whether they take what other code puts on them."""


class AddedEvent(NamedTuple):
    """An event that other code put on a span."""

    name: str
    timestamp: int
    attributes: Mapping[str, Any]


class LightSpan(Span):
    """The span of an operation, without an SDK. What other code puts on it is cleaned and bounded as the SDK does."""

    def __init__(self, trace: Trace, name: str, kind: str, sent: Mapping[str, Any], start_ns: int, limits: SpanLimits) -> None:
        self.trace = trace
        self.span_id = span_id = random_bits(64) or 1
        self.hex = "%016x" % span_id  # noqa: UP031 - half of what an f-string costs
        self.name, self._kind, self._sent = name, kind, sent
        self.start_time, self.limits = start_ns, limits
        self.is_open = trace.recording
        if limits.max_span_attribute_length is not None:
            self.touched = True

    touched = False
    """Whether other code put anything on it, or it may not have all that we do."""
    end_time: int | None = None
    status = _UNSET
    events: Sequence[AddedEvent] | deque[AddedEvent] = ()
    links: Sequence[Link] | deque[Link] = ()
    _context: SpanContext | None = None
    _stored: MutableMapping[str, Any] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, context={self.get_span_context()})"

    @property
    def kind(self) -> SpanKind:
        """Its kind."""
        return SpanKind[self._kind]

    @property
    def attributes(self) -> Mapping[str, Any]:
        """All its attributes."""
        return MappingProxyType(self._attributes())

    def _attributes(self) -> MutableMapping[str, Any]:
        stored = self._stored
        if stored is None:
            most, longest = self.limits.max_span_attributes, self.limits.max_span_attribute_length
            made = BoundedAttributes(most, _untagged(self._sent), immutable=False, max_value_len=longest)
            # Two threads may do this at the same time.
            stored = vars(self).setdefault("_stored", made)
        return stored

    def start_with(self, attributes: Mapping[str, Any]) -> None:
        """Have these attributes from the start, and not only those that we sent: a sampler may add some."""
        self.touched = True
        self._attributes().update(attributes)

    def get_span_context(self) -> SpanContext:
        context = self._context
        if context is None:
            trace = self.trace
            context = self._context = SpanContext(trace.trace_id, self.span_id, False, trace.flags, trace.state)
        return context

    def is_recording(self) -> bool:
        return self.is_open

    def set_attribute(self, key: str, value: Any) -> None:
        if self.is_open:
            self.touched = True
            self._attributes()[key] = value

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        if self.is_open:
            self.touched = True
            cleaned = BoundedAttributes(None, attributes, max_value_len=self.limits.max_span_attribute_length)
            self._attributes().update(cleaned)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        if self.is_open:
            self.touched = True
            limits, time_ns = self.limits, time.time_ns() if timestamp is None else timestamp
            bounded = BoundedAttributes(limits.max_event_attributes, attributes, max_value_len=limits.max_attribute_length)
            self._list("events", limits.max_events).append(AddedEvent(name, time_ns, bounded))

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        if self.is_open and context and (context.is_valid or attributes or context.trace_state):
            self.touched = True
            limits = self.limits
            bounded = BoundedAttributes(limits.max_link_attributes, attributes, max_value_len=limits.max_attribute_length)
            self._list("links", limits.max_links).append(Link(context, bounded))

    def _list(self, name: str, most: int | None) -> deque[Any]:
        found: deque[Any] = vars(self).get(name) or vars(self).setdefault(name, deque(maxlen=most))
        return found

    def update_name(self, name: str) -> None:
        if self.is_open:
            self.touched = True
            self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        code = status.status_code if isinstance(status, Status) else status
        if self.is_open and isinstance(code, StatusCode) and code is not StatusCode.UNSET:
            self.touched = True
            if self.status.status_code is not StatusCode.OK:
                self.status = status if isinstance(status, Status) else Status(status, description)

    def record_exception(
        self, exception: BaseException, attributes: Any = None, timestamp: int | None = None, escaped: bool = False
    ) -> None:
        if self.is_open:
            message, traceback = message_and_traceback(exception)
            described = {
                "exception.type": type_name(type(exception)),
                "exception.message": message,
                "exception.stacktrace": traceback,
                "exception.escaped": str(escaped),
            }
            self.add_event("exception", {**described, **(attributes or {})}, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """From now on it takes nothing; the operation ends when it does."""
        if self.is_open:
            self.is_open, self.end_time = False, time.time_ns() if end_time is None else end_time


def open_span(  # noqa: C901 - in one piece, as every start passes here
    scope: OperationScope, record: Recorder, envelope: Envelope
) -> Mapping[str, Any]:
    """Name and begin the span of a start line, and put its ids on the line; returns the span's attributes."""
    line, outer, spans = envelope.line, scope.outer, record.spans
    around: Any = outer.get(OPERATION)
    if (
        around is not None
        and scope.task is around.task
        and outer.get(BOUND) is around.outer.get(BOUND)
        and around.own_ids is not None
        and (scope.step_id == around.step_id or (scope.step_id is not None and "step_id" in around.own_ids))
    ):
        ids = around.own_ids.copy()  # its span's are replaced below
        if scope.step_id is not None:
            ids["step_id"] = scope.step_id
    else:
        ids = scope.ids_of_place()
    line.update(ids)
    name, kind, attributes = record.conventions.started(line)
    if given := line.pop("attributes", None):
        _keep_left_out(line, given, attributes)
    above: Any = outer.get(SPAN)
    if type(above) is PlacedSpan:
        above = above.live
    if scope.unsent is None and not spans.light():
        sent, flags, state = _start_by_sdk(scope, record, name, kind, attributes, ids)
    else:
        sent = attributes
        if scope.unsent is not None:
            span = LightSpan(scope.unsent, name, kind, attributes, scope.start_ns, spans.limits)
        elif type(above) is LightSpan and scope.kind.start_type not in _SAMPLED_ANEW:
            span = LightSpan(above.trace, name, kind, attributes, scope.start_ns, spans.limits)
        else:
            span = _begin_trace(scope, record, name, kind, attributes)
        scope.span, trace = span, span.trace
        scope.sampled, flags, state = trace.sampled, trace.flags_number, trace.state
        ids["trace_id"], ids["span_id"] = trace.hex, span.hex
    line["trace_id"], line["span_id"] = ids["trace_id"], ids["span_id"]
    if type(above) is LightSpan:
        line["parent_span_id"] = above.hex
    elif above is not None:
        _put_parent(above.get_span_context(), outer, line)
    line["trace_flags"] = flags
    if state:
        line["trace_state"] = record.clean_text(state.to_header())
    line["name"], line["kind"], line["attributes"] = name, kind, attributes
    scope.span_name, scope.own_ids = name, ids
    envelope.task, envelope.time_ns, envelope.sampled = scope.task, scope.start_ns, scope.sampled
    return sent


def _start_by_sdk(
    scope: OperationScope, record: Recorder, name: str, kind: str, attributes: Mapping[str, Any], ids: dict[str, str]
) -> tuple[Mapping[str, Any], int, TraceState | None]:
    """Begin a span of the SDK and take its ids; returns its attributes, flags and trace state."""
    sent = _untagged(attributes)
    scope.span = _start(record, name, scope, kind, sent)
    own = scope.span.get_span_context()
    scope.sampled = own.trace_flags.sampled
    ids["trace_id"], ids["span_id"] = format_trace_id(own.trace_id), format_span_id(own.span_id)
    return sent, int(own.trace_flags), own.trace_state


def _put_parent(parent: SpanContext, outer: Context, line: Line) -> None:
    if parent.is_valid:
        line["parent_span_id"] = format_span_id(parent.span_id)
        if parent.is_remote:
            line["parent_remote"] = True
        elif not is_recorded(line["parent_span_id"], outer):
            line["parent_elsewhere"] = True


def _begin_trace(scope: OperationScope, record: Recorder, name: str, kind: str, attributes: Mapping[str, Any]) -> LightSpan:
    """Begin a span that has none of ours above it, or may be sampled otherwise than that."""
    sent = _untagged(attributes)
    trace, allotted = _ask_sampler(scope, record, name, kind, sent)
    span = LightSpan(trace, name, kind, attributes, scope.start_ns, record.spans.limits)
    if allotted is not None and allotted != sent:
        span.start_with(allotted)
    return span


_SAMPLED_ANEW = frozenset(kind.start_type for kind in (TASK, SEGMENT, WEBHOOK))
"""Types of start lines whose spans the sampler is asked about wherever they begin."""


def _ask_sampler(
    scope: OperationScope, record: Recorder, name: str, kind: str, sent: Mapping[str, Any]
) -> tuple[Trace, Mapping[str, Any] | None]:
    """The trace of a span that begins one, or continues that of other code; and the attributes that the sampler gave the span."""
    parent = get_current_span(scope.outer).get_span_context()
    trace_id = parent.trace_id if parent.is_valid else random_bits(128) or 1
    # Also where the ids of the trace were random in the process that began it.
    marks = parent.trace_flags & _RANDOM_TRACE_ID if parent.is_valid else _RANDOM_TRACE_ID
    sampled = recording = True
    state, attributes = parent.trace_state or None, None
    if record.spans.sampler is not None:
        try:
            result = record.spans.sampler.should_sample(scope.outer, trace_id, name, SpanKind[kind], sent, ())
            sampled, recording = result.decision.is_sampled(), result.decision.is_recording()
            state, attributes = result.trace_state, result.attributes if recording else None
        except Exception as error:  # noqa: BLE001 - a sampler is foreign code; what it does not leave out is sent
            raise_interrupt()
            record.failed("span", error)
    flags = TraceFlags(marks | (TraceFlags.SAMPLED if sampled else 0))
    return Trace(trace_id, f"{trace_id:032x}", flags, int(flags), state, sampled, recording), attributes


def _start(record: Recorder, name: str, scope: OperationScope, kind: str, sent: Mapping[str, Any]) -> Span:
    """Begin a span by the SDK; one with valid ids in any case, also where there is no SDK or a span processor raises."""
    parent = scope.outer
    try:
        span = record.tracer.start_span(
            name, parent, SpanKind[kind], sent, (), scope.start_ns, record_exception=False, set_status_on_exception=False
        )
        own = span.get_span_context()
        # Without an SDK the API's tracer hands back the parent's span.
        if own.is_valid and own.span_id != get_current_span(parent).get_span_context().span_id:
            return span
    except Exception as error:  # noqa: BLE001 - samplers and processors of others run in there
        raise_interrupt()
        record.failed("span", error)
    return NonRecordingSpan(_own_context(get_current_span(parent).get_span_context()))


def _own_context(above: SpanContext) -> SpanContext:
    """Ids of our own where no SDK gives any. No sampler left it out."""
    trace_id = above.trace_id if above.is_valid else random_bits(128) or 1
    flags = above.trace_flags if above.is_valid else TraceFlags.SAMPLED
    return SpanContext(trace_id, random_bits(64) or 1, False, TraceFlags(flags))


def close_span(scope: OperationScope, record: Recorder, envelope: Envelope, end_ns: int) -> None:
    """Put the outcome on the span of an end line, deliver the line, end the span."""
    line, span = envelope.line, scope.span
    line.update(scope.own_ids or scope.ids())
    foreign = line.pop("foreign", None)
    attributes, code, description = record.conventions.ended(line)
    if given := line.pop("attributes", None):
        _keep_left_out(line, given, attributes)
    if foreign:
        # Others have put these on the span already, whatever the conventions think of them.
        attributes = {**foreign, **attributes}
    if code == "ERROR":
        line["status"] = {"code": code, "description": description} if description else {"code": code}
    elif type(span) is not LightSpan or span.touched:
        _take_foreign_status(span, record, line)
    line["attributes"] = attributes
    if (named := getattr(span, "name", scope.span_name)) != scope.span_name:
        line["name"] = record.clean_text(str(named))
    envelope.task, envelope.time_ns, envelope.sampled = scope.task, end_ns, scope.sampled
    if type(span) is not LightSpan:
        _end_by_sdk(span, record, envelope, end_ns)
        return
    try:
        record.deliver(envelope)
    finally:
        span.is_open, span.end_time = False, end_ns


def _end_by_sdk(span: Span, record: Recorder, envelope: Envelope, end_ns: int) -> None:
    """Put on a span of the SDK what its end line has, deliver the line, end the span."""
    line = envelope.line
    try:
        if "name" in line:
            span.update_name(line["name"])
        span.set_attributes(_untagged(line["attributes"]))
        if (status := line.get("status")) is not None:
            span.set_status(Status(StatusCode[status["code"]], status.get("description")))
        if "exception" in line and is_noted(line, record.spans.span_events) and not _has_exception(line):
            span.add_event(*record.conventions.noted_event(line), end_ns)
        record.deliver(envelope)
        span.end(end_ns)
    except Exception as error:  # noqa: BLE001 - span processors of others run in end()
        raise_interrupt()
        record.failed("span", error)
    finally:
        if "event_id" in line and span.is_recording():
            span.end(end_ns)


def _has_exception(line: Line) -> bool:
    """Whether other code recorded an exception on the span."""
    return any(event["name"] == EXCEPTION for event in line.get("events") or ())


def _take_foreign_status(span: Span, record: Recorder, line: Line) -> None:
    """Take into an end line the status that other code set, where we set none."""
    status = getattr(span, "status", None)
    if isinstance(status, Status) and status.status_code is not StatusCode.UNSET:
        line["status"] = {"code": status.status_code.name}
        if status.description:
            line["status"]["description"] = record.clean_text(status.description)


def _keep_left_out(line: Line, given: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
    """Attributes of the user's that the conventions leave out of the span go into the line's details."""
    left_out = {key: value for key, value in given.items() if key not in attributes and value is not None}
    if left_out:
        line["details"] = {**line.get("details", {}), "attributes_left_out": left_out}


def _untagged(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes with their values as they were before the line was made; nearly always they are plain."""
    return {key: untagged(value) if type(value) in (dict, list) else value for key, value in attributes.items()}


def put_foreign(span: Span, sent: Mapping[str, Any], fields: dict[str, Any]) -> None:
    """Add to the fields of an end line what other code put on the span, or changed of what we ``sent``."""
    if type(span) is LightSpan:
        sent = _untagged(sent)
    if events := _foreign_events(span):
        fields["events"] = events
    if links := [_link_line(link) for link in getattr(span, "links", None) or ()]:
        fields["links"] = links
    if foreign := _foreign_attributes(span, sent):
        fields["foreign"] = foreign


def _foreign_attributes(span: Any, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a span that are not, or no longer, what we set on it; what kind of operation it is, nobody else decides."""
    attributes = getattr(span, "attributes", None)
    if not isinstance(attributes, Mapping):
        return {}
    changed = {key: value for key, value in attributes.items() if key not in sent or not _same(value, sent[key])}
    if _OPERATION_NAME in sent:
        changed.pop(_OPERATION_NAME, None)
    return changed


def _same(stored: Any, given: Any) -> bool:
    # The SDK keeps sequences as tuples.
    return stored is given or bool(stored == given) or (type(stored) is tuple and type(given) is list and list(stored) == given)


def _foreign_events(span: Any) -> list[dict[str, Any]]:
    """Events that others added to a span, as they are in a line."""
    found = [each for each in getattr(span, "events", None) or () if EVENT_ID not in (each.attributes or ())]
    return [event_line(event) for event in found if not event.name.startswith("webhook.")]


def event_line(event: Any) -> dict[str, Any]:
    """One span event as it is in a line."""
    return {"timestamp": timestamp(event.timestamp), "name": event.name, "attributes": dict(event.attributes or {})}


def _link_line(link: Any) -> dict[str, Any]:
    """One link as it is in a line."""
    line: dict[str, Any] = {"trace_id": format_trace_id(link.context.trace_id), "span_id": format_span_id(link.context.span_id)}
    return {**line, "attributes": dict(link.attributes)} if link.attributes else line
