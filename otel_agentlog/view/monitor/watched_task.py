"""A task and its lines, followed as its folder grows: what a new line takes does not depend on how many there were."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from otel_agentlog.query import Entry, LiveReport, TaskReport
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.monitor.plan import DETAILS, STEPS, PartList, PlanRow
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.lines import Line, timestamp

MAX_LINES = 5_000
"""Most lines that are kept; the oldest go first."""

PAUSE_FACTOR = 5.0
"""Reading that took t seconds is followed by a pause of at least 5 t."""

_SLACK_NS = 1_000_000_000
"""By how much lines of several threads may be in another order than their times."""


class WatchedTask:
    """Call `poll` now and then; everything else is as of the last call. Threads hold `lock`."""

    def __init__(self, task: TaskReader) -> None:
        self.task = task
        self.lock = threading.RLock()
        self._live = LiveReport(task, keep=MAX_LINES)
        self._steps, self._details = PartList(self._live, STEPS), PartList(self._live, DETAILS)
        self._open_steps: dict[Entry, None] = {}
        self._last_step: Entry | None = None
        self._seen = (-1, -1)
        self._next = 0.0
        self._update()

    @property
    def report(self) -> TaskReport:
        """All about the task."""
        return self._live.report

    @property
    def came(self) -> int:
        """How many lines there were."""
        return self._live.came

    def poll(self) -> bool:
        """Read what is new; returns whether there was anything."""
        now = time.monotonic()
        if now < self._next or not self._live.poll():
            return False
        self._update()
        self._next = time.monotonic() + PAUSE_FACTOR * (time.monotonic() - now)
        return True

    def _update(self) -> None:
        live = self._live
        if live.regrown[0] != self._seen[0]:
            self._open_steps, self._last_step = {}, None
        for entry, _ in live.changed_since(self._seen[1] if live.regrown[0] == self._seen[0] else -1):
            if entry.kind == "step":
                self._note_step(entry)
        self._seen = (live.regrown[0], live.version)
        self._steps.update()
        self._details.update()

    def _note_step(self, step: Entry) -> None:
        if self._last_step is None or (step.start_ns or 0) > (self._last_step.start_ns or 0):
            self._last_step = step
        if step.end_ns is None:
            self._open_steps[step] = None
        else:
            self._open_steps.pop(step, None)

    def entry(self, span_id: str) -> Entry | None:
        """The part with this span."""
        return self._live.entry(span_id)

    def parts(self, *, details: bool = False) -> PartList:
        """Steps and sub-tasks in their order; with `details`, or where there are no steps, also AI calls, tool runs and spans."""
        return self._details if details or self._last_step is None else self._steps

    def plan(self, *, details: bool = False) -> list[PlanRow]:
        """All rows of `parts`."""
        return list(self.parts(details=details).rows())

    def current(self) -> Entry | None:
        """The open step that began last; if none is open, the last step."""
        return max(self._open_steps, key=lambda entry: entry.start_ns or 0, default=self._last_step)

    def latest(self, entry: Entry | None) -> Iterator[Line]:
        """The lines of a part and of everything below it, the newest first; for ``None`` all lines."""
        oldest = None if entry is None or entry.start_ns is None else timestamp(max(0, entry.start_ns - _SLACK_NS))
        for line in reversed(self._live.lines):
            if oldest is not None and (text(line, "timestamp") or oldest) < oldest:
                return
            if self._is_within(line, entry):
                yield line

    def growing(self, entry: Entry | None) -> list[Line]:
        """The texts of a part to which more may come."""
        return [line for line in self._live.growing() if self._is_within(line, entry)]

    def _is_within(self, line: Line, entry: Entry | None) -> bool:
        return entry is None or self._live.is_within(text(line, "span_id") or "", entry)

    def lines_of(self, entry: Entry | None) -> list[Line]:
        """The lines of `latest`, the oldest first."""
        return [*self.latest(entry)][::-1]

    def since(self, came: int, entry: Entry | None) -> list[Line]:
        """Those of a part that came after so many lines."""
        new = min(self.came - came, len(self._live.lines))
        found = [self._live.lines[at] for at in range(-new, 0)]
        return [line for line in found if self._is_within(line, entry)]
