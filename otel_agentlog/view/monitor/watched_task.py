"""A task and its lines, read again as its folder grows, with bounded memory and a bounded share of a core."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from otel_agentlog.query import Entry, TaskReport, report
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, CONTROL, FINAL_RESULT, METADATA, WEBHOOK_FLOW
from otel_agentlog.store.folder.reader import TaskReader, read_lines
from otel_agentlog.vocabulary.lines import Line

MAX_LINES = 5_000
"""Most lines that are kept; the oldest go first."""

PAUSE_FACTOR = 5.0
"""Reading that took t seconds is followed by a pause of at least 5 t."""

CHECK_PROCESS_S = 3.0
"""Seconds between two checks whether the task's process is alive: one that dies changes no file."""

_STAMPED = (METADATA, AGENT_OUTPUT, WEBHOOK_FLOW, CONTROL, FINAL_RESULT)


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One step, sub-task, AI call or tool run of the plan."""

    number: int
    """From 1; what the user types to choose it."""
    depth: int
    entry: Entry


class WatchedTask:
    """Call `poll` now and then, from one thread; everything else is as of the last call."""

    def __init__(self, task: TaskReader) -> None:
        self.task = task
        self.report: TaskReport = report(task)
        self.lines: deque[Line] = deque(maxlen=MAX_LINES)
        self._offset = 0
        self._stamps = ""
        self._checked = 0.0
        self._next = 0.0
        self._read_lines()

    def poll(self) -> bool:
        """Read what is new, if a file has changed; returns whether anything was read."""
        now = time.monotonic()
        if now < self._next:
            return False
        stamps = "|".join(self.task.stamp(name) for name in _STAMPED)
        if stamps == self._stamps and (self.report.row.has_ended or now - self._checked < CHECK_PROCESS_S):
            return False
        self._stamps, self._checked = stamps, now
        self._read_lines()
        self.report = report(self.task)
        self._next = time.monotonic() + PAUSE_FACTOR * (time.monotonic() - now)
        return True

    def _read_lines(self) -> None:
        live = not self.task.stamp(FINAL_RESULT)
        reader = read_lines(self.task.folder / AGENT_OUTPUT, offset=self._offset, live=live)
        self.lines.extend(reader)
        self._offset = reader.offset

    def plan(self, *, details: bool = False) -> list[PlanRow]:
        """Steps and sub-tasks in their order; with `details`, or where there are no steps, also AI calls, tool runs and spans."""
        kinds = {"task", "step", "subtask", "segment"}
        if details or not any(entry.kind == "step" for _, entry in self._walk()):
            kinds |= {"ai_call", "tool_run", "span"}
        return [
            PlanRow(number, depth, entry)
            for number, (depth, entry) in enumerate(
                ((depth, entry) for depth, entry in _nested(self.report.roots, kinds) if entry.kind != "task"), start=1
            )
        ]

    def current(self) -> Entry | None:
        """The open step that began last; if none is open, the last step."""
        steps = [entry for _, entry in self._walk() if entry.kind == "step"]
        running = [entry for entry in steps if entry.end_ns is None]
        return max(running or steps, key=lambda entry: entry.start_ns or 0, default=None)

    def lines_of(self, entry: Entry | None) -> list[Line]:
        """The lines of a part and of everything below it; for ``None`` all lines."""
        if entry is None:
            return list(self.lines)
        spans = {each.span_id for _, each in _walk([entry])}
        return [line for line in self.lines if line.get("span_id") in spans]

    def _walk(self) -> Iterator[tuple[int, Entry]]:
        return _walk(self.report.roots)


def _walk(roots: list[Entry]) -> Iterator[tuple[int, Entry]]:
    waiting = [(0, root) for root in reversed(roots)]
    while waiting:
        depth, entry = waiting.pop()
        yield depth, entry
        waiting += [(depth + 1, child) for child in reversed(entry.children)]


def _nested(roots: list[Entry], kinds: set[str]) -> Iterator[tuple[int, Entry]]:
    """The entries of these kinds, each with how many of them it is nested in; the task itself does not count."""
    waiting = [(0, root) for root in reversed(roots)]
    while waiting:
        depth, entry = waiting.pop()
        counts = entry.kind in kinds
        if counts:
            yield depth, entry
        below = depth + (counts and entry.kind != "task")
        waiting += [(below, child) for child in reversed(entry.children)]
