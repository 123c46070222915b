"""Spans and log records as plain data: what `store` reads back from a folder, and `export` sends.

Neither imports the other; these types are what they share, as those of `otel_agentlog.vocabulary.envelope` are for live lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from otel_agentlog.vocabulary.lines import SPAN, Line


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
    elsewhere: tuple[str, ...] = ()
    """The signals that exporters of others deliver, without our knowing when."""


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
    scope: RecordedScope
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
