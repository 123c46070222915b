"""What is summed of the tasks of one side, for each figure that is compared.

A figure is the sum of one amount over the sum of another: dollars over tasks of known cost, failed runs over runs. Both are kept
per unit, of which a side has at most `MAX_UNITS`: a task, or of more tasks some that are dealt out by a hash of their names. The
mean of units that are dealt out by chance varies as that of the tasks does, and memory does not grow with their number.
"""

from __future__ import annotations

import heapq
import math
import os
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, NamedTuple, TypeVar

from otel_agentlog._startup import dataclass
from otel_agentlog.query.comparison.sides import Side
from otel_agentlog.query.indexes import ask, ask_again
from otel_agentlog.store.index.index import TaskIndex
from otel_agentlog.store.index.refresh import Progress
from otel_agentlog.store.index.row import COST_UNITS_PER_USD, COUNTS
from otel_agentlog.vocabulary.states import UNSUCCESSFUL

MAX_UNITS = 2000

MAX_READ = 200
"""Folders of each side that are chosen to be read."""

MAX_NAMES = 20
"""Tools, scores and categories of errors that are compared, the most frequent ones."""

_CANDIDATES = 200
"""Names of each side among which these are found."""

_US_PER_S = 1_000_000

Answer = TypeVar("Answer")


class FigureKind(NamedTuple):
    """What a figure is: how its sums are shown."""

    unit: str
    """``usd`` ``seconds`` ``count`` ``share`` or ``value``."""
    scale: float = 1
    """By which a sum of the index is divided to become the unit."""


KINDS: Mapping[str, FigureKind] = {
    "success": FigureKind("share"),
    "cost": FigureKind("usd", COST_UNITS_PER_USD),
    "tokens": FigureKind("count"),
    "input_tokens": FigureKind("count"),
    "output_tokens": FigureKind("count"),
    "duration": FigureKind("seconds", _US_PER_S),
    "duration_p50": FigureKind("seconds", _US_PER_S),
    "duration_p95": FigureKind("seconds", _US_PER_S),
    "ai_calls": FigureKind("count"),
    "tool_runs": FigureKind("count"),
    "steps": FigureKind("count"),
    "retries": FigureKind("count"),
    "errors": FigureKind("count"),
}
"""The figures of tasks, in the order in which they are shown."""

PERCENTILES: Mapping[str, int] = {"duration_p50": 50, "duration_p95": 95}
"""Figures that are percentiles of the durations, by nearest rank; all others are means."""

OF_NAMES: Mapping[str, Mapping[str, FigureKind]] = {
    "tools": {"tool.{}.calls": FigureKind("count"), "tool.{}.failures": FigureKind("share")},
    "errors": {"error.{}": FigureKind("count")},
    "scores": {"score.{}": FigureKind("value")},
}
"""Figures of what has a name: runs of a tool per task, the share of its runs that failed, errors of a category per task, the mean
of a score over the tasks that have it."""


class Ratio:
    """The sum of one amount over that of another, in units."""

    def __init__(self, units: int) -> None:
        self.over, self.under = array("d", bytes(8 * units)), array("d", bytes(8 * units))
        self.known = 0
        """Tasks that say something about it."""

    def add(self, unit: int, over: float, under: float) -> None:
        """Add what one task says."""
        self.over[unit] += over
        self.under[unit] += under
        self.known += under > 0

    @property
    def value(self) -> float | None:
        """Both sums, divided; ``None`` where the second is 0."""
        under = math.fsum(self.under)
        return math.fsum(self.over) / under if under else None


@dataclass
class SideSums:
    """The sums of one side."""

    tasks: int
    going_on: int
    """Tasks that are left out, as they have not ended."""
    damaged: int
    """Folders that are left out, as they could not be read whole."""
    units: int
    by_status: Counter[str] = field(default_factory=Counter)
    ratios: dict[str, Ratio] = field(default_factory=dict)
    """By the name of a figure; not of percentiles."""
    durations: array[int] = field(default_factory=lambda: array("q"))
    """Of each task whose duration is known, in microseconds."""
    chosen: list[tuple[int, bytes]] = field(default_factory=list)
    """A heap of folders, each behind the negative of its hash."""

    def choose(self, folder: bytes) -> None:
        """Keep the `MAX_READ` folders with the smallest hashes: which these are depends on nothing but their names."""
        entry = (-zlib.crc32(folder), folder)
        (heapq.heappush if len(self.chosen) < MAX_READ else heapq.heappushpop)(self.chosen, entry)

    def sampled(self) -> list[str]:
        """The names of these folders."""
        return [os.fsdecode(folder) for _, folder in sorted(self.chosen, reverse=True)]


Names = dict[str, list[str]]
"""Of each key of `OF_NAMES` the names that are compared."""


def sums_of_both(
    a: Side, b: Side, asked: Iterable[tuple[str, str] | None] = (), progress: Progress | None = None
) -> tuple[SideSums, SideSums, Names]:
    """Return the sums of both sides, and the names in them: the most frequent ones, and those `asked` for (key, name)."""
    found = [ask(side.root, lambda index, side=side: _frequent(index, side), progress) for side in (a, b)]  # type: ignore[misc]
    names = {kind: _most_frequent([each[kind] for each in found]) for kind in OF_NAMES}
    for kind, name in filter(None, asked):
        if name not in names[kind]:
            names[kind].append(name)
    one, other = (ask_again(side.root, lambda index, side=side: _sums(index, side, names)) for side in (a, b))  # type: ignore[misc]
    return one, other, names


def _frequent(index: TaskIndex, side: Side) -> dict[str, list[tuple[str, int]]]:
    return {kind: index.most_frequent(side.wanted, kind, _CANDIDATES) for kind in OF_NAMES}


def _most_frequent(found: Sequence[Sequence[tuple[str, int]]]) -> list[str]:
    counts: Counter[str] = Counter()
    for each in found:
        counts.update(dict(each))
    return sorted(counts, key=lambda name: (-counts[name], name))[:MAX_NAMES]


def _sums(index: TaskIndex, side: Side, names: Names) -> SideSums:
    found = index.comparable(side.wanted)
    sums = SideSums(*found, units=min(found.tasks, MAX_UNITS))
    unit_of = _dealing(found.tasks)
    sums.ratios = {name: Ratio(sums.units) for name in _ratio_names(names)}
    for folder, *figures in index.ended_tasks(side.wanted):
        sums.choose(folder)
        _add_task(sums, unit_of(folder), *figures)
    _add_all(sums, names)
    for kind in OF_NAMES:
        for folder, name, *figures in index.counts(side.wanted, kind):
            if name in names[kind]:
                _ADD[kind](sums, unit_of(folder), name, figures)
    return sums


def _ratio_names(names: Names) -> Iterator[str]:
    yield from (name for name in KINDS if name not in PERCENTILES)
    yield from (pattern.format(name) for kind, patterns in OF_NAMES.items() for pattern in patterns for name in names[kind])


def _dealing(tasks: int) -> Callable[[bytes], int]:
    """A function that gives the unit of a task, by the name of its folder."""
    if tasks > MAX_UNITS:
        return lambda folder: zlib.crc32(folder) % MAX_UNITS
    known: dict[bytes, int] = {}
    return lambda folder: known.setdefault(folder, len(known))


def _add_task(sums: SideSums, unit: int, status: str, cost: int | None, duration_us: int | None, *counts: int) -> None:
    """Add the values of `TaskIndex.ended_tasks`."""
    ratios = sums.ratios
    sums.by_status[status] += 1
    if status == "completed" or status in UNSUCCESSFUL:
        ratios["success"].add(unit, status == "completed", 1)
    if cost is not None:
        ratios["cost"].add(unit, cost, 1)
    if duration_us is not None:
        ratios["duration"].add(unit, duration_us, 1)
        sums.durations.append(duration_us)
    ratios["tokens"].add(unit, counts[0] + counts[1], 1)
    for name, count in zip(COUNTS, counts, strict=True):
        ratios[name].over[unit] += count


def _add_all(sums: SideSums, names: Names) -> None:
    """Have every task count in what every task has: one that did not run a tool says that, too."""
    every = sums.ratios["tokens"]
    of_names = [f"tool.{name}.calls" for name in names["tools"]] + [f"error.{name}" for name in names["errors"]]
    for name in (*COUNTS, *of_names):
        sums.ratios[name].under, sums.ratios[name].known = array("d", every.under), every.known


def _add_tool(sums: SideSums, unit: int, name: str, figures: Sequence[Any]) -> None:
    runs, failed = figures
    sums.ratios[f"tool.{name}.calls"].over[unit] += runs
    sums.ratios[f"tool.{name}.failures"].add(unit, failed, runs)


def _add_error(sums: SideSums, unit: int, name: str, figures: Sequence[Any]) -> None:
    sums.ratios[f"error.{name}"].over[unit] += figures[0]


def _add_score(sums: SideSums, unit: int, name: str, figures: Sequence[Any]) -> None:
    sums.ratios[f"score.{name}"].add(unit, figures[0], 1)


_ADD: Mapping[str, Callable[[SideSums, int, str, Sequence[Any]], None]] = {
    "tools": _add_tool,
    "errors": _add_error,
    "scores": _add_score,
}
