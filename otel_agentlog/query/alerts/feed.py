"""The observations of all tasks below a root, as they come: for who watches from another process."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otel_agentlog.query.alerts.watch import Observation
from otel_agentlog.query.lines import time_of
from otel_agentlog.query.questions import folders
from otel_agentlog.store.folder.layout import AGENT_OUTPUT
from otel_agentlog.store.folder.reader import TaskReader, read_lines
from otel_agentlog.store.index.filter import Filter
from otel_agentlog.vocabulary.coerce import mapping, number, text
from otel_agentlog.vocabulary.usage import USAGE_FIELDS

# -- What lines tell those who watch for alerts; the same for lines as they are recorded and as they are read back.

_KINDS = {"task": "task", "tool_result": "tool_run", "ai_response": "ai_call", "step": "step"}
_SPENT = USAGE_FIELDS[:2]


def says_something(line: Mapping[str, Any]) -> bool:
    """Whether `observations` would yield anything; cheap, for who records."""
    return (line.get("phase") == "end" and text(line, "type") in _KINDS) or "exception" in line


def observations(line: Mapping[str, Any]) -> Iterator[Observation]:
    """Yield what a line tells: something that ended, an error seen for the first time."""
    time_ns = time_of(line)
    if time_ns is None:
        return
    task_id = text(line, "task_id")
    exception = mapping(line, "exception")
    if exception.get("traceback") and line.get("level") in ("ERROR", "CRITICAL"):
        yield Observation(time_ns=time_ns, kind="error", source=text(line, "component"))
    kind = _KINDS.get(text(line, "type") or "")
    if kind is None or line.get("phase") != "end":
        return
    details = mapping(line, "details")
    measured = mapping(details, "metrics") or mapping(details, "resources")
    duration_ms = number(line, "duration_ms")
    yield Observation(
        time_ns=time_ns,
        kind=kind,
        task_id=task_id,
        source=_source(line, details),
        outcome=text(line, "outcome"),
        duration_s=None if duration_ms is None else duration_ms / 1000,
        memory_mb=number(measured, "memory_peak_mb"),
        cost_usd=number(details, "cost_usd"),
        tokens=int(sum(number(details, field) or 0 for field in _SPENT)) if kind == "ai_call" else 0,
    )


def _source(line: Mapping[str, Any], details: Mapping[str, Any]) -> str | None:
    for found in (text(details, "specialist"), text(details, "agent") if line.get("type") == "task" else None):
        if found:
            return found
    return text(line, "content") or text(details, "model") or text(line, "message")


OVERLAP_S = 10
"""Seconds that two looks for new tasks overlap: a folder appears a moment after its task began."""

_ACTIVE = ("pending", "running", "paused")


@dataclass(slots=True)
class _Followed:
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
        seen = [each for folder, followed in self._followed.items() for each in self._new(folder, followed)]
        return sorted(seen, key=lambda each: each.time_ns)

    def folder_of(self, task_id: str) -> Path | None:
        """The folder of a task that is followed."""
        # Nearly always the folder bears the id.
        likely_first = sorted(self._followed, key=lambda folder: folder.name != task_id)
        return next((folder for folder in likely_first if TaskReader(folder).task_id == task_id), None)

    def _find_tasks(self) -> None:
        began_ns = time.time_ns()
        after_ns = self._since_ns if self._looked_ns is None else self._looked_ns - OVERLAP_S * 1_000_000_000
        active = set(self._found(Filter(statuses=_ACTIVE)))
        self._found(Filter(since_ns=max(0, after_ns)))
        for folder, followed in self._followed.items():
            # A task that is no longer active is read once more: its last lines came after the look before.
            followed.ended, followed.last = folder not in active and followed.last, folder not in active
        self._looked_ns = began_ns

    def _found(self, wanted: Filter) -> list[Path]:
        # Rows would be read from the folders, those of tasks that go on from all their lines.
        found = folders(self._root, wanted)
        for folder in found:
            self._followed.setdefault(folder, _Followed())
        return found

    def _new(self, folder: Path, followed: _Followed) -> list[Observation]:
        if followed.ended:
            return []
        lines = read_lines(folder / AGENT_OUTPUT, offset=followed.offset, live=True)
        found = [seen for line in lines for seen in observations(line) if seen.time_ns >= self._since_ns]
        followed.offset = lines.offset
        return found
