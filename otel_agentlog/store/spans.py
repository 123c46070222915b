"""What a folder gives back: spans and log records, as plain data. No OpenTelemetry here; `export` turns them into its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from otel_agentlog.model import Line
from otel_agentlog.store.lines import Skipped


@dataclass(frozen=True, slots=True)
class Scope:
    """Who made a span or log record: an instrumentation scope."""

    name: str = "otel_agentlog"
    version: str | None = None
    schema_url: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a process line says about everything its writer wrote."""

    resource: Mapping[str, Any] = field(default_factory=dict)
    scope: Scope = Scope()
    content_policy: str = "off"
    content_on: tuple[str, ...] = ("span",)
    profile: str = "latest"
    pid: int | None = None
    host: str | None = None
    courier: str | None = None
    """The presence of the process, as long as it delivers what it recorded itself."""
    sends: tuple[str, ...] = ()
    """The signals (``traces``, ``logs``) it delivers itself."""
    elsewhere: tuple[str, ...] = ()
    """The signals that reach a collector by somebody else's exporters, without our knowing when."""


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
    scope: Scope
    resource: Mapping[str, Any]
    line_type: str
    """``type`` of the start line."""
    outcome: str | None = None
    event_id: str | None = field(default=None, compare=False)
    """Of the line that ended it."""
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
    scope: Scope
    content_policy: str
    kind: str
    """``log``, or on an end line ``exception`` or ``details`` (all that was said in an AI call)."""
    origin: Origin = field(default=Origin(), compare=False)
    start: Line | None = None
    """The start line of the AI call, for ``details``."""
    time_ns: int = field(default=0, compare=False)
    """The line's time as Unix nanoseconds."""
    sampled: bool = field(default=True, compare=False)
    """Whether the span it belongs to was chosen to be sent."""

    @property
    def event_id(self) -> str | None:
        """Of its line."""
        event_id = self.line.get("event_id")
        return event_id if isinstance(event_id, str) else None


Record: TypeAlias = SpanRecord | LogRecordLine


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """All that a folder gives back."""

    spans: list[SpanRecord]
    """In the order they ended; open ones last."""
    logs: list[LogRecordLine]
    """In the order of the file."""
    problems: list[Skipped]
