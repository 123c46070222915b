"""The plan of a task that goes on: its parts in their order, numbered. A new one takes its place without a walk over all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from otel_agentlog.query import Entry, LiveReport

STEPS = frozenset({"task", "step", "subtask", "segment"})
DETAILS = STEPS | {"ai_call", "tool_run", "span"}


class PlanRow(NamedTuple):
    """One step, sub-task, AI call or tool run of the plan."""

    number: int
    """From 1; what the user types to choose it."""
    depth: int
    entry: Entry


class PartList:
    """The parts of some kinds; the task itself is none of them."""

    def __init__(self, live: LiveReport, kinds: frozenset[str]) -> None:
        self._live, self._kinds = live, kinds
        self._rows: list[Entry] = []
        self._below: dict[Entry, int] = {}
        """How deep the parts below each entry are."""
        self._kind_of: dict[Entry, str] = {}
        self._seen = (-1, -1, -1)
        """Regrowths, entries and version that it is of."""

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, first: int = 0, last: int | None = None) -> Iterator[PlanRow]:
        """The rows from one place to before another."""
        for at, entry in enumerate(self._rows[first:last], first + 1):
            yield PlanRow(at, self._below[entry] - 1, entry)

    def place(self, entry: Entry | None) -> int | None:
        """Where a part stands, from 0."""
        return self._rows.index(entry) if entry is not None and self._below.get(entry) and self._is_shown(entry) else None

    def update(self) -> None:
        """Take in what the last poll has found."""
        live, (regrown, number, version) = self._live, self._seen
        changed = live.changed_since(version)
        anew = live.regrown[0] != regrown or any(self._kind_of.get(entry, entry.kind) != entry.kind for entry, _ in changed)
        if anew or not all(self._put(entry) for entry in live.order[number:]):
            self._make()
        self._seen = (live.regrown[0], len(live.order), live.version)

    def _make(self) -> None:
        self._rows, self._below, self._kind_of = [], {}, {}
        for entry in _in_order(self._live.report.roots):
            self._note(entry)
            if self._is_shown(entry):
                self._rows.append(entry)

    def _note(self, entry: Entry) -> None:
        parent = self._live.place_of(entry).parent
        above = 0 if parent is None else self._below[parent]
        self._below[entry] = above + self._is_shown(entry)
        self._kind_of[entry] = entry.kind

    def _is_shown(self, entry: Entry) -> bool:
        return entry.kind in self._kinds and entry.kind != "task"

    def _put(self, entry: Entry) -> bool:
        """Put a new entry into its place; false if that is not found without a walk."""
        self._note(entry)
        if not self._is_shown(entry):
            return True
        following = self._following(entry)
        if following is None:
            self._rows.append(entry)
            return True
        at = self.place(following)
        if at is None:
            return False
        self._rows.insert(at, entry)
        return True

    def _following(self, entry: Entry) -> Entry | None:
        """What comes after an entry without children."""
        here: Entry | None = entry
        while here is not None:
            parent = self._live.place_of(here).parent
            siblings = self._live.report.roots if parent is None else parent.children
            behind = None
            for other in reversed(siblings):
                if other is here:
                    break
                behind = other
            if behind is not None:
                return behind
            here = parent
        return None


def _in_order(roots: Iterable[Entry]) -> Iterator[Entry]:
    waiting = [*reversed(list(roots))]
    while waiting:
        entry = waiting.pop()
        yield entry
        waiting += reversed(entry.children)
