"""The observations of all tasks below a root, as they come: for who watches from another process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from otel_agentlog.query.alert_observations import observations
from otel_agentlog.query.alerts import Observation
from otel_agentlog.query.filters import Filter
from otel_agentlog.query.questions import search
from otel_agentlog.query.rows import TaskRow
from otel_agentlog.store import AGENT_OUTPUT, read_lines

OVERLAP_S = 10
"""Seconds that two looks for new tasks overlap: a folder appears a moment after its task began."""

_ACTIVE = ("pending", "running", "paused")


@dataclass
class _Followed:
    row: TaskRow
    offset: int = 0
    last: bool = False
    """Whether it was not active when it was last looked at."""
    ended: bool = False


class Feed:
    """Reads every task that was alive at ``since_ns`` or began later, each line once. For one thread."""

    def __init__(self, root: Path, since_ns: int) -> None:
        self._root, self._since_ns = root, since_ns
        self._followed: dict[Path, _Followed] = {}
        self._looked_ns: int | None = None

    def poll(self) -> list[Observation]:
        """What has been recorded since the last call, in the order of time."""
        self._find_tasks()
        seen = [each for followed in self._followed.values() for each in self._new(followed)]
        return sorted(seen, key=lambda each: each.time_ns)

    def folder_of(self, task_id: str) -> Path | None:
        """The folder of a task that is followed."""
        return next((folder for folder, each in self._followed.items() if each.row.task_id == task_id), None)

    def _find_tasks(self) -> None:
        began_ns = time.time_ns()
        after_ns = self._since_ns if self._looked_ns is None else self._looked_ns - OVERLAP_S * 1_000_000_000
        active = {row.folder for row in self._found(Filter(statuses=_ACTIVE))}
        self._found(Filter(since_ns=max(0, after_ns)))
        for folder, followed in self._followed.items():
            # A task that is no longer active is read once more: its last lines came after the look before.
            followed.ended, followed.last = folder not in active and followed.last, folder not in active
        self._looked_ns = began_ns

    def _found(self, wanted: Filter) -> list[TaskRow]:
        rows = search(self._root, wanted, limit=None).rows
        for row in rows:
            self._followed.setdefault(row.folder, _Followed(row)).row = row
        return rows

    def _new(self, followed: _Followed) -> list[Observation]:
        if followed.ended:
            return []
        lines = read_lines(followed.row.folder / AGENT_OUTPUT, offset=followed.offset, live=True)
        found = [seen for line in lines for seen in observations(line) if seen.time_ns >= self._since_ns]
        followed.offset = lines.offset
        return found
