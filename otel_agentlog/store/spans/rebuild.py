"""Spans and log records rebuilt from a task's lines, field by field as they were sent, as plain data.

The rules are those of ``docs/format.md``. `records` works through a folder of any size: it holds the open spans, the id of
each ended one, and the webhook flow. No OpenTelemetry here; `export` turns the records into its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from otel_agentlog._interrupts import suppress_errors
from otel_agentlog._startup import dataclass
from otel_agentlog.store.folder.layout import parse_timestamp
from otel_agentlog.store.folder.lines import Skipped
from otel_agentlog.store.folder.reader import TaskReader, with_artifacts
from otel_agentlog.vocabulary.coerce import mapping, number, text, untagged
from otel_agentlog.vocabulary.event_ids import split_event_id
from otel_agentlog.vocabulary.lines import (
    DETAILS,
    EXCEPTION,
    LOG,
    RESOURCES,
    SPAN,
    Line,
    is_details_record,
    is_exception_record,
    is_log_record,
)
from otel_agentlog.vocabulary.records import (
    LogRecordLine,
    Origin,
    Record,
    RecordedScope,
    SpanEvent,
    SpanRecord,
    add_stages,
    begun_span,
    end_span,
    is_noted,
    note,
    scope_of,
    stage_event,
)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """All that a folder gives back."""

    spans: list[SpanRecord]
    """In the order they ended; open ones last."""
    logs: list[LogRecordLine]
    """In the order of the file."""
    problems: list[Skipped]


def rebuild(task: TaskReader) -> Rebuilt:
    """Return every span and log record of a task. For large tasks use `records`."""
    spans: list[SpanRecord] = []
    logs: list[LogRecordLine] = []
    for record in records(task):
        if isinstance(record, SpanRecord):
            spans.append(record)
        else:
            logs.append(record)
    return Rebuilt(spans, logs, task.problems)


def records(task: TaskReader) -> Iterator[Record]:
    """Yield each span where it ends, each log record where it is, and at last the spans that are still open."""
    return _Rebuilder(task).run()


def complete(task: TaskReader) -> Iterator[tuple[str, Record]]:
    """Yield the items of a task that can be sent, with their kind: spans that ended, and log records."""
    for record in records(task):
        if isinstance(record, LogRecordLine):
            yield record.kind, record
        elif record.end_ns is not None:
            yield SPAN, record


class _Rebuilder:
    def __init__(self, task: TaskReader) -> None:
        self._task = task
        self._origins: dict[str, Origin] = {}
        self._searched = False
        self._open: dict[str, SpanRecord] = {}
        self._ai_starts: dict[str, Line] = {}
        """Start lines of open AI calls, where content goes to events."""
        self._ended: set[str] = set()
        self._unsampled: set[str] = set()
        self._stages: dict[str, list[SpanEvent]] = {}
        self._time_ns = 0

    def run(self) -> Iterator[Record]:
        for line in self._task.webhook_flow():
            event = stage_event(line, self._time(line))
            self._stages.setdefault(str(line.get("span_id")), []).append(event)
        for line in self._task.events():
            yield from self._line(line)
        for span in self._open.values():
            self._add_stages(span)
            yield span

    def _line(self, line: Line) -> Iterator[Record]:
        phase, origin = line.get("phase"), self._origin(line)
        if line.get("type") == "process":
            return
        if phase == "start":
            self._start(line, origin)
        elif phase == "end":
            yield from self._ended_by(line, origin)
        elif text(line, "type"):
            span = self._open.get(str(line.get("span_id")))
            if span is not None and is_noted(line, origin.span_events):
                note(span, with_artifacts(line, self._task), self._time(line))
            if is_log_record(line, origin.content_policy):
                yield self._log(line, origin, LOG)

    def _ended_by(self, line: Line, origin: Origin) -> Iterator[Record]:
        start = self._ai_starts.pop(str(line.get("span_id")), None)
        span = self._end(line, origin)
        if span is None:
            return
        yield span
        if is_details_record(line, origin.content_policy, origin.content_on):
            yield self._log(line, origin, DETAILS, start)
        if "exception" in line and is_exception_record((log := self._log(line, origin, EXCEPTION)).line):
            yield log

    def _origin(self, line: Line) -> Origin:
        writer = split_event_id(line.get("event_id"))
        tag = writer[0] if writer else ""
        if line.get("type") == "process":
            self._origins.setdefault(tag, _origin(line))
        if tag not in self._origins and not self._searched:
            # A process line behind the lines of its writer: only a damaged or merged file has that.
            self._searched = True
            for other in TaskReader(self._task.folder).events():
                if other.get("type") == "process":
                    self._origin(other)
        return self._origins.get(tag, _UNKNOWN)

    def _start(self, line: Line, origin: Origin) -> None:
        span_id = text(line, "span_id")
        if span_id is not None and span_id not in self._open and span_id not in self._ended:
            span = self._open[span_id] = self._span(line, origin, self._time(line))
            if not span.sampled:
                self._unsampled.add(span_id)
            if line.get("type") == "ai_request" and "event" in origin.content_on:
                self._ai_starts[span_id] = line

    def _span(self, line: Line, origin: Origin, start_ns: int) -> SpanRecord:
        return begun_span(line, origin, start_ns, self._decoded(line, "attributes", "links"))

    def _end(self, line: Line, origin: Origin) -> SpanRecord | None:
        span_id = text(line, "span_id")
        if span_id is None or span_id in self._ended:
            return None
        self._ended.add(span_id)
        end_ns = self._time(line)
        span = self._open.pop(span_id, None)
        if span is None:
            span = self._span(line, origin, max(0, end_ns - int((number(line, "duration_ms") or 0) * 1e6)))
            span.start_lost = True
        whole = with_artifacts(line, self._task) if "exception" in line else line
        end_span(span, whole, end_ns, self._decoded(line, "attributes", "events", "links"), self._time)
        self._add_stages(span)
        return span

    def _add_stages(self, span: SpanRecord) -> None:
        add_stages(span, self._stages.get(span.span_id, ()))

    def _log(self, line: Line, origin: Origin, kind: str, start: Line | None = None) -> LogRecordLine:
        whole, begun = (None if each is None else with_artifacts(each, self._task) for each in (line, start))
        scope = scope_of(line.get("scope"), origin.scope)
        time_ns, sampled = self._time(line), text(line, "span_id") not in self._unsampled
        resource = origin.resource_of(line)
        return LogRecordLine(whole or {}, resource, scope, origin.content_policy, kind, origin, begun, time_ns, sampled)

    def _decoded(self, line: Line, *keys: str) -> dict[str, Any]:
        return {key: untagged(with_artifacts(line[key], self._task)) for key in keys if key in line}

    def _time(self, line: Mapping[str, Any]) -> int:
        """Return a line's time; one that cannot be read counts as that of the line before."""
        with suppress_errors(ValueError):
            self._time_ns = parse_timestamp(text(line, "timestamp") or "")
        return self._time_ns


def _origin(line: Line) -> Origin:
    pid = line.get("pid")
    return Origin(
        resource=mapping(line, "resource"),
        scope=scope_of(line.get("scope"), RecordedScope()),
        content_policy=text(line, "content_policy") or "off",
        content_on=_words(line, "content_on", ("span",)),
        profile=text(line, "profile") or "latest",
        pid=pid if type(pid) is int else None,
        host=text(line, "host"),
        courier=text(line, "courier"),
        sends=_words(line, "sends", ()),
        span_events=text(line, "span_events") or "errors",
        elsewhere=_words(line, "elsewhere", ()),
        resources=mapping(line, RESOURCES),
    )


def _words(line: Line, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
    value = line.get(key)
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, list) else default


_UNKNOWN = Origin()
