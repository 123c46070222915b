"""What a task left open that no process is at work on any more, found from its folder alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, FINAL_RESULT, METADATA, now, parse_timestamp
from otel_agentlog.store.folder.line_stream import exists, stream
from otel_agentlog.store.folder.reader import TaskReader, whole
from otel_agentlog.store.folder.totals import Tally
from otel_agentlog.vocabulary.actions import HANDED_OVER
from otel_agentlog.vocabulary.coerce import mapping, text
from otel_agentlog.vocabulary.event_ids import split_event_id
from otel_agentlog.vocabulary.lines import GIVEN_BY_CALLERS, Line, count_items, is_worker
from otel_agentlog.vocabulary.states import ENDED, STATES, Outcome, State

UNENDED = frozenset({State.RUNNING.value, State.PAUSED.value})

_START, _END = b'"phase":"start"', b'"phase":"end"'
_KEPT = (
    *("timestamp", "type", "name", "component", "message", "content", "task_id", "step_id", "correlation_id", "session_id"),
    *("instance_id", "event_id", "trace_id", "span_id", "parent_span_id", "trace_flags", "state_after"),
)
_TASK_KEPT = ("details", "kind", "parent_remote")


def status_of(metadata: Mapping[str, Any] | None) -> str | None:
    """The status, where it is one."""
    status = text(metadata or {}, "status")
    return status if status in STATES else None


def has_result(task: TaskReader) -> bool:
    """Whether ``04-final-result.json`` is there and has the task's outcome."""
    return text(task.final_result() or {}, "outcome") in ENDED


def is_balanced(task: TaskReader) -> bool:
    """Whether as many spans ended as began; reads the bytes only, so it is much cheaper than an `AbandonedTask`."""
    starts = ends = 0
    rest = b""
    for chunk in stream(task.folder, AGENT_OUTPUT, lambda reason: None):
        data = rest + chunk
        starts, ends = starts + data.count(_START), ends + data.count(_END)
        # Long enough for one that goes on in the next chunk, and too short for a whole start.
        rest = data[-(len(_START) - 1) :]
        ends -= rest.count(_END)
    return starts == ends + rest.count(_END)


class AbandonedTask:
    """A task as its folder shows it. Holds the open spans and the ids of all spans; never the content of lines."""

    def __init__(self, task: TaskReader) -> None:
        self.task = task
        self.metadata = task.metadata()
        self.status = status_of(self.metadata)
        self.tally = Tally()
        self.items = 0
        """OTLP items that the lines complete."""
        self.open: dict[str, Line] = {}
        """Start lines of open spans, shortened, by span id, in the order they began."""
        self.last_seen: dict[str, str] = {}
        """The latest time of a line of an open span, or of anything below it."""
        self.processes: dict[str, Line] = {}
        """Process lines by writer tag."""
        self.pointers: dict[tuple[str, str], Line] = {}
        """Sub-tasks that began and did not end here, by span and task id."""
        self.task_start: Line | None = None
        """Start line of the task itself, the last one where the same id was used again."""
        self.task_end: Line | None = None
        self.handed_over: Line | None = None
        """The line by which the task was handed over to a job, until one has taken it up."""
        self._ids: set[str] = set()
        self._wanted: dict[str, Line] = {}
        self._came_in = False
        """Whether a webhook brought it."""
        for line in task.webhook_flow():
            self._came_in = True
            self.tally.add(line)
            self._see(text(line, "span_id"), line)
        for line in task.events():
            self._add(whole(line, task))
        self._raise_parents()
        self.result = self._found_result()

    def _found_result(self) -> dict[str, Any] | None:
        """``04-final-result.json``, unless it is damaged or that of an earlier task of the same id."""
        found = self.task.final_result() or {}
        ended, began = valid_time({"timestamp": found.get("completed_at")}), valid_time(self.task_start or {})
        is_older = began is not None and ended is not None and ended < began
        return found if text(found, "outcome") in ENDED and not is_older else None

    @property
    def task_id(self) -> str:
        """The task's id: from its metadata, else its start line, else a process line, else the folder's name."""
        known = text(self.metadata or {}, "task_id") or text(self.task_start or {}, "task_id")
        return known or next(
            (found for line in self.processes.values() if (found := text(line, "task_id"))), self.task.folder.name
        )

    @property
    def waits(self) -> bool:
        """Whether it was handed over to a job that may still come."""
        if self.handed_over is None or self.status != State.PENDING.value:
            return False
        return now() < (text(mapping(self.handed_over, "details"), "until") or "")

    @property
    def has_begun(self) -> bool:
        """Whether a process has begun the task; one that waits for a worker has not begun."""
        if self.waits:
            return False
        if self.task_start is not None or self.status in UNENDED or self.status in ENDED:
            return True
        # A result that was cut off still shows that the task had ended.
        if exists(self.task.folder, FINAL_RESULT):
            return True
        return self.status is None and self.is_something and not self._came_in

    @property
    def is_something(self) -> bool:
        """Whether anything was written besides empty files."""
        return self.tally.lines > 0 or exists(self.task.folder, METADATA)

    @property
    def outcome(self) -> str:
        """How the task ended, by its end line, its result or its metadata, in this order; else ``interrupted``."""
        outcome = text(self.task_end or {}, "outcome") or text(self.result or {}, "outcome")
        if outcome in ENDED:
            return str(outcome)
        return str(self.status) if self.status in ENDED else Outcome.INTERRUPTED.value

    @property
    def is_finished(self) -> bool:
        """Whether the whole files have how the task ended."""
        return self.result is not None and self.status == self.outcome == self.result["outcome"]

    def lost_parents(self) -> Iterator[tuple[str, Line]]:
        """Spans that are the parent of others here and of which there is no line; each with the first child's start line."""
        for span_id, child in self._wanted.items():
            if span_id not in self._ids:
                yield span_id, child

    def writers_of_open(self) -> list[Line]:
        """Process lines of the processes that left something open; of all that worked on the task, where nothing is open."""
        left_open = (*self.open.values(), *self.pointers.values())
        tags = {writer[0] for line in left_open if (writer := split_event_id(line.get("event_id")))}
        workers = {tag: line for tag, line in self.processes.items() if is_worker(line)}
        return [line for tag, line in workers.items() if tag in tags or not left_open]

    # -- reading ----------------------------------------------------------------------------------------------------------

    def _add(self, line: Line) -> None:
        self.tally.add(line)
        self._count(line)
        phase, span_id = line.get("phase"), text(line, "span_id")
        if line.get("type") == "process":
            self._process(line)
        elif line.get("type") == "subtask":
            self._point(line)
        elif phase == "start" and span_id:
            self._start(span_id, line)
        elif phase == "end" and span_id:
            self._end(span_id, line)
        elif span_id in self.open and line.get("action") == HANDED_OVER and line.get("type") == "state":
            self.open[span_id]["type"], self.handed_over = "segment", line
        elif span_id in self.open and text(line, "state_after") and line.get("type") not in GIVEN_BY_CALLERS:
            self.open[span_id]["state_after"] = line["state_after"]
        self._see(span_id, line)

    def _count(self, line: Line) -> None:
        writer = split_event_id(line.get("event_id"))
        process = self.processes.get(writer[0]) if writer else None
        if text(line, "type"):
            self.items += count_items(line, text(process or {}, "content_policy") or "off")

    def _process(self, line: Line) -> None:
        if (writer := split_event_id(line.get("event_id"))) is not None:
            self.processes.setdefault(writer[0], line)

    def _point(self, line: Line) -> None:
        key = (text(line, "span_id") or "", text(mapping(line, "details"), "task_id") or "")
        if line.get("action") == "subtask_started":
            self.pointers[key] = {**_shortened(line), "details": dict(mapping(line, "details"))}
        else:
            self.pointers.pop(key, None)

    def _start(self, span_id: str, line: Line) -> None:
        if span_id in self._ids:
            return
        self._ids.add(span_id)
        self.open[span_id] = _shortened(line)
        if line.get("type") == "task":
            self.task_end = self.handed_over = None
            self.task_start = {**_shortened(line), **{key: line[key] for key in _TASK_KEPT if key in line}}
        parent = text(line, "parent_span_id")
        # A task or webhook may begin inside a span that is in no folder, or in another one.
        outside = line.get("parent_remote") is True or line.get("parent_elsewhere") is True
        if parent and not outside and line.get("type") not in ("task", "webhook"):
            self._wanted.setdefault(parent, self.open[span_id])

    def _end(self, span_id: str, line: Line) -> None:
        self._ids.add(span_id)
        if line.get("type") == "task" and (self.task_start is None or self.task_start["span_id"] == span_id):
            self.task_end, self.handed_over = line, None
        start = self.open.pop(span_id, None)
        self.last_seen.pop(span_id, None)
        if start is not None:
            self._see(text(start, "parent_span_id"), line)

    def _see(self, span_id: str | None, line: Line) -> None:
        """Note the time of a line of a span; a line of a span that is not open counts for the task."""
        at = valid_time(line)
        if at is None or span_id is None:
            return
        if span_id not in self.open and self.task_start is not None:
            span_id = str(self.task_start["span_id"])
        if span_id in self.open and at > self.last_seen.get(span_id, ""):
            self.last_seen[span_id] = at

    def see_below(self, span_id: str, at: str) -> None:
        """Note the time of a line of something below an open span."""
        if span_id in self.open and at > self.last_seen.get(span_id, ""):
            self.last_seen[span_id] = at
            self._raise_parents()

    def _raise_parents(self) -> None:
        for span_id, line in reversed(list(self.open.items())):
            parent, at = text(line, "parent_span_id") or "", self.last_seen.get(span_id, "")
            if parent in self.open and at > self.last_seen.get(parent, ""):
                self.last_seen[parent] = at


def _shortened(line: Line) -> Line:
    return {key: value for key in _KEPT if isinstance(value := line.get(key), (str, int))}


def valid_time(line: Mapping[str, Any]) -> str | None:
    """The timestamp of a line, where it is one that sorts as text."""
    found = text(line, "timestamp") or ""
    if len(found) != 30 or not found.endswith("Z"):
        return None
    try:
        parse_timestamp(found)
    except ValueError:
        raise_interrupt()
        return None
    return found
