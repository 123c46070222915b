"""Spans and log records as plain data, and how a span is made of its lines: for `store`, which reads them back from a folder, and
`export`, which sends them.

Neither imports the other; these types are what they share, as those of `otel_agentlog.vocabulary.envelope` are for live lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any, TypeAlias

from otel_agentlog._startup import dataclass
from otel_agentlog.vocabulary.coerce import mapping, objects, text
from otel_agentlog.vocabulary.lines import EXCEPTION, LOG_TYPES, RESOURCE_ID, SPAN, Line


@dataclass(frozen=True, slots=True)
class RecordedScope:
    """The instrumentation scope of a span or log record."""

    name: str = "otel_agentlog"
    version: str | None = None
    schema_url: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Origin:
    """The fields of a process line that apply to all lines of its writer."""

    resource: Mapping[str, Any] = field(default_factory=dict)
    scope: RecordedScope = RecordedScope()
    content_policy: str = "off"
    content_on: tuple[str, ...] = ("span",)
    profile: str = "latest"
    pid: int | None = None
    host: str | None = None
    courier: str | None = None
    """The name of its process lock, while it delivers what it recorded itself."""
    sends: tuple[str, ...] = ()
    """The signals (``traces``, ``logs``) it delivers itself."""
    span_events: str = "errors"
    """Which lines are events of their spans, too: `is_noted`."""
    elsewhere: tuple[str, ...] = ()
    """The signals that exporters of others deliver, without our knowing when."""
    resources: Mapping[str, Any] = field(default_factory=dict)
    """Of other programs, whose spans and log records name them (`RESOURCE_ID`)."""

    def resource_of(self, line: Line) -> Mapping[str, Any]:
        """The resource of a line's span or log record."""
        named = text(line, RESOURCE_ID)
        return self.resource if named is None or named not in self.resources else mapping(self.resources, named)


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """An event on a span."""

    name: str
    time_ns: int
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpanLink:
    """A link of a span to another one; ids in hex."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    remote: bool = True
    """Whether it is of another process."""


@dataclass(slots=True)
class SpanRecord:
    """A span as it was, or will be, sent. Ids in hex, times in Unix nanoseconds, attributes as Python values."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_span_id: str | None
    parent_remote: bool
    trace_flags: int
    trace_state: str | None
    start_ns: int
    end_ns: int | None
    """``None`` while it is open."""
    attributes: dict[str, Any]
    events: list[SpanEvent]
    links: list[SpanLink]
    status_code: str
    """``UNSET`` or ``ERROR``."""
    status_description: str | None
    scope: RecordedScope
    resource: Mapping[str, Any]
    line_type: str
    """``type`` of the start line."""
    outcome: str | None = None
    event_id: str | None = field(default=None, compare=False)
    """Of the line that ended it."""
    noted: list[tuple[int, Line]] = field(default_factory=list, compare=False, repr=False)
    """Lines that are events of it, too, each with its time in Unix nanoseconds."""
    origin: Origin = field(default=Origin(), compare=False)
    start_lost: bool = False
    """Whether only the end line is there: kind and parent are unknown, the start follows from the duration."""

    @property
    def sampled(self) -> bool:
        """Whether it was chosen to be sent when it began."""
        return bool(self.trace_flags & 1)


@dataclass(frozen=True, slots=True)
class LogRecordLine:
    """A line that is sent as a log record, with what is not on the line. Payloads in artifacts are put back."""

    line: Line
    resource: Mapping[str, Any]
    scope: RecordedScope
    content_policy: str
    kind: str
    """``log``, or on an end line ``exception`` or ``details`` (the whole content of an AI call)."""
    origin: Origin = field(default=Origin(), compare=False)
    start: Line | None = None
    """The start line of the AI call, for ``details``."""
    time_ns: int = field(default=0, compare=False)
    """The line's time as Unix nanoseconds."""
    sampled: bool = field(default=True, compare=False)
    """Whether the span it belongs to was chosen to be sent."""

    @property
    def event_id(self) -> str | None:
        """The id of its line; ``None`` where that has none."""
        event_id = self.line.get("event_id")
        return event_id if isinstance(event_id, str) else None


Record: TypeAlias = SpanRecord | LogRecordLine


@dataclass(frozen=True, slots=True)
class UnsentItem:
    """A span or log record of a folder that is to be sent."""

    kind: str
    event_id: str | None
    record: Record
    home: str | None = None
    """The path of the task's folder, for items that this process recorded itself."""

    @property
    def signal(self) -> str:
        """``traces`` or ``logs``."""
        return signal_of(self.kind)


def signal_of(kind: str) -> str:
    """The signal of a kind of item."""
    return "traces" if kind == SPAN else "logs"


MAX_NOTED = 64
"""Lines of one span that are events of it; of more, those are left out that came first."""


def is_noted(line: Mapping[str, Any], span_events: str) -> bool:
    """Whether a line is also an event of the span that it was recorded in: with ``errors`` one with an exception and a failed
    attempt, with ``all`` every line that is a log record whatever the content policy is, with ``none`` no line."""
    if span_events == "none":
        return False
    if "exception" in line or line.get("action") == "attempt_failed":
        return True
    return span_events == "all" and line.get("type") in LOG_TYPES


def note(span: SpanRecord, line: Line, time_ns: int) -> None:
    """Add such a line to its span."""
    span.noted.append((time_ns, line))
    del span.noted[:-MAX_NOTED]


# -- a span of its lines: the rules of ``docs/format.md`` -------------------------------------------------------------------

COMMON_KEYS = frozenset(
    {"timestamp", "type", "level", "component", "action", "message", "task_id", "step_id", "correlation_id", "session_id"}
    | {"instance_id", "event_id", "trace_id", "span_id", "content", "details", "state_before", "state_after", "exception"}
)
"""Keys that any line may have; on a stage line they, and ``stage``, are no attributes of its span event."""


def begun_span(line: Line, origin: Origin, start_ns: int, values: Mapping[str, Any]) -> SpanRecord:
    """The open span of a start line; ``values`` are its ``attributes`` and ``links`` as they were before they were written."""
    flags = line.get("trace_flags")
    return SpanRecord(
        name=text(line, "name") or text(line, "message") or "",
        kind=text(line, "kind") or "INTERNAL",
        trace_id=text(line, "trace_id") or "",
        span_id=text(line, "span_id") or "",
        parent_span_id=text(line, "parent_span_id"),
        parent_remote=line.get("parent_remote") is True,
        trace_flags=flags if type(flags) is int else 1,
        trace_state=text(line, "trace_state"),
        start_ns=start_ns,
        end_ns=None,
        attributes=dict(mapping(values, "attributes")),
        events=[],
        links=[_link(link) for link in objects(values, "links")],
        status_code="UNSET",
        status_description=None,
        scope=scope_of(line.get("scope"), origin.scope),
        resource=origin.resource_of(line),
        line_type=text(line, "type") or "",
        origin=origin,
    )


def end_span(
    span: SpanRecord, line: Line, end_ns: int, values: Mapping[str, Any], time_of: Callable[[Mapping[str, Any]], int]
) -> None:
    """End a span by its end line; ``values`` are its ``attributes``, ``events``, ``links``; ``time_of`` reads an event's time."""
    span.end_ns = end_ns
    span.name = text(line, "name") or span.name
    span.outcome, span.event_id = text(line, "outcome"), text(line, "event_id")
    attributes = span.attributes
    for key, value in mapping(values, "attributes").items():
        # As on the span of the SDK: what is set again is the newest.
        attributes.pop(key, None)
        attributes[key] = value
    span.events = [
        SpanEvent(text(event, "name") or "", time_of(event), mapping(event, "attributes")) for event in objects(values, "events")
    ]
    # Of a span whose start is lost they are there already: all that is known of it is the end line.
    span.links += [] if span.start_lost else [_link(link) for link in objects(values, "links")]
    if "exception" in line and is_noted(line, span.origin.span_events) and not has_exception(span.events):
        note(span, line, end_ns)
    status = mapping(line, "status")
    span.status_code, span.status_description = text(status, "code") or "UNSET", text(status, "description")


def has_exception(events: Iterable[SpanEvent]) -> bool:
    """Whether an exception was recorded as an event by other code."""
    return any(event.name == EXCEPTION for event in events)


def stage_event(line: Mapping[str, Any], time_ns: int) -> SpanEvent:
    """The span event that a line of ``02-webhook-flow.jsonl`` is."""
    attributes = {
        f"agentlog.webhook.{key}": value
        for key, value in line.items()
        if key not in COMMON_KEYS and key != "stage" and isinstance(value, (str, int, float, bool))
    }
    return SpanEvent(f"webhook.{line.get('stage')}", time_ns, attributes)


def add_stages(span: SpanRecord, stages: Sequence[SpanEvent]) -> None:
    """Add the stages of a webhook to its span."""
    # Where the events come from the span itself, the end line has the stages too.
    present = {(event.name, event.time_ns) for event in span.events}
    added = [event for event in stages if (event.name, event.time_ns) not in present]
    if added:
        span.events = sorted(span.events + added, key=lambda event: event.time_ns)


def scope_of(value: Any, default: RecordedScope) -> RecordedScope:
    """The scope that a line names."""
    if not isinstance(value, Mapping):
        return default
    attributes = mapping(value, "attributes")
    return RecordedScope(text(value, "name") or "", text(value, "version"), text(value, "schema_url"), attributes)


def _link(link: Mapping[str, Any]) -> SpanLink:
    remote = link.get("remote") is not False
    return SpanLink(text(link, "trace_id") or "", text(link, "span_id") or "", mapping(link, "attributes"), remote)
