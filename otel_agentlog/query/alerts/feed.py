"""The observations of all tasks below a root, as they come: for a watch in another process than the one that records."""

from __future__ import annotations

import time
from pathlib import Path

from otel_agentlog._startup import dataclass
from otel_agentlog.query.alerts.observations import Observation, observations
from otel_agentlog.query.questions import folders
from otel_agentlog.store.folder.layout import AGENT_OUTPUT
from otel_agentlog.store.folder.reader import GrowingFile, TaskReader
from otel_agentlog.store.index.filter import Filter

OVERLAP_S = 10
"""Seconds that two searches for new tasks overlap: a folder appears a moment after its task began."""

KEPT_S = 600
"""Seconds for which a task is remembered that has ended. Lines that old are of no use in a task that was not followed."""

_NS = 1_000_000_000
_ACTIVE = ("pending", "running", "paused")


@dataclass(slots=True)
class _Followed:
    file: GrowingFile
    since_ns: int
    """Lines before this time were seen when it was followed before."""
    restarts: int = 0
    """As often its file was found to be another one."""
    last: bool = False
    """Whether it was not active when it was last read."""
    ended: bool = False
    read_ns: int = 0
    """When it was last read."""


class Feed:
    """Reads every task that ran at ``since_ns`` or began later, each line once. For one thread."""

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
        # Nearly always the folder bears the id.
        likely_first = sorted(self._followed, key=lambda folder: folder.name != task_id)
        return next((folder for folder in likely_first if TaskReader(folder).task_id == task_id), None)

    def _find_tasks(self) -> None:
        began_ns = time.time_ns()
        after_ns = self._since_ns if self._looked_ns is None else self._looked_ns - OVERLAP_S * _NS
        active = set(self._found(Filter(statuses=_ACTIVE)))
        self._found(Filter(since_ns=max(0, after_ns)))
        for folder, followed in self._followed.items():
            # A task that is no longer active is read once more: its last lines came after the read before.
            followed.ended, followed.last = folder not in active and followed.last, folder not in active
        oldest_ns = began_ns - KEPT_S * _NS
        self._followed = {folder: each for folder, each in self._followed.items() if not each.ended or each.read_ns >= oldest_ns}
        self._looked_ns = began_ns

    def _found(self, wanted: Filter) -> list[Path]:
        # Rows would be read from the folders, those of tasks that go on from all their lines.
        found = folders(self._root, wanted)
        for folder in found:
            if folder not in self._followed:
                file, since_ns = GrowingFile(folder, AGENT_OUTPUT), (self._looked_ns or 0) - KEPT_S * _NS
                self._followed[folder] = _Followed(file, since_ns)
        return found

    def _new(self, followed: _Followed) -> list[Observation]:
        if followed.ended and not followed.file.has_changed():
            return []
        began_ns = time.time_ns()
        found = [seen for line in followed.file.new() for seen in observations(line)]
        if followed.restarts != followed.file.restarts:
            # It was deleted and begun anew, or its lines were written again: those that were seen are older than the last look.
            followed.restarts, followed.since_ns = followed.file.restarts, followed.read_ns
        followed.read_ns = began_ns
        since_ns = max(self._since_ns, followed.since_ns)
        return [seen for seen in found if seen.time_ns >= since_ns]
