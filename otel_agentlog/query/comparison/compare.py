"""Two groups of tasks beside each other: their figures, where they part, and what comes of conditions on that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.query.comparison.changes import Change, changes
from otel_agentlog.query.comparison.differences import FirstDifference, differences, first_difference
from otel_agentlog.query.comparison.gates import Threshold, ThresholdResult, results
from otel_agentlog.query.comparison.intervals import CONFIDENCE, RESAMPLES, intervals
from otel_agentlog.query.comparison.paths import Ways, ways
from otel_agentlog.query.comparison.samples import SideSums, sums_of_both
from otel_agentlog.query.comparison.sides import Side
from otel_agentlog.query.reports import report
from otel_agentlog.store.index.refresh import Progress


@dataclass(frozen=True, slots=True)
class ComparedSide:
    """One side, and how many tasks it has."""

    side: Side
    tasks: int
    """That ended, whose folders could be read: those that are compared."""
    going_on: int
    """Left out, as they have not ended."""
    damaged: int
    """Left out, as their folders could not be read whole."""
    by_status: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """One object."""
        counts = {name: getattr(self, name) for name in ("tasks", "going_on", "damaged")}
        task = None if self.side.task is None else self.side.task.task_id
        said = {"said": self.side.said, "root": str(self.side.root), "task": task}
        return {**said, **counts, "by_status": dict(self.by_status)}


@dataclass(frozen=True, slots=True)
class GroupComparison:
    """What two groups of tasks differ in."""

    a: ComparedSide
    b: ComparedSide
    changes: list[Change]
    ways: Ways | None
    """Where the groups part; ``None`` where that was not asked for, and of two tasks."""
    first: FirstDifference | None
    """Of two tasks, where they differ first."""
    results: list[ThresholdResult]
    """Of each condition, in their order."""
    seed: int
    has_intervals: bool

    @property
    def is_of_two_tasks(self) -> bool:
        """Whether each side is one task."""
        return self.a.side.task is not None and self.b.side.task is not None

    def as_json(self) -> dict[str, Any]:
        """One object."""
        by = {"confidence": CONFIDENCE, "resamples": RESAMPLES, "seed": self.seed} if self.has_intervals else None
        return {
            "a": self.a.as_json(),
            "b": self.b.as_json(),
            "intervals": by,
            "figures": [change.as_json() for change in self.changes],
            "ways": None if self.ways is None else self.ways.as_json(),
            "first_difference": None if self.first is None else self.first.as_json(),
            "conditions": [each.as_json() for each in self.results],
        }


def compare(
    a: Side,
    b: Side,
    *,
    thresholds: Sequence[Threshold] = (),
    with_intervals: bool = True,
    with_ways: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> GroupComparison:
    """Return what two groups of tasks differ in: of those that ended, and whose folders could be read whole.

    Args:
        a, b: the tasks of both sides, of `side_of`.
        thresholds: conditions that are answered.
        with_intervals: whether there are confidence intervals, for which scipy must be installed.
        with_ways: whether folders are read to find where the groups part; up to 200 of each side.
        seed: of the resamples; the same gives the same intervals.
        progress: called with how many folders of how many were read, where the index is made anew.

    Raises:
        AgentlogError: intervals are wanted and scipy is not installed.
    """
    both = a.task is not None and b.task is not None
    # Of one task on each side there could be none.
    with_intervals = with_intervals and not both
    one, other, names = sums_of_both(a, b, [each.name for each in thresholds], progress)
    found = intervals(one, other, seed) if with_intervals else None
    changed = changes(one, other, names, found)
    return GroupComparison(
        _compared(a, one),
        _compared(b, other),
        changed,
        _ways(a, b, one, other) if with_ways and not both else None,
        _first(a, b) if both else None,
        results(thresholds, changed),
        seed,
        with_intervals,
    )


def _compared(side: Side, sums: SideSums) -> ComparedSide:
    return ComparedSide(side, sums.tasks, sums.going_on, sums.damaged, dict(sorted(sums.by_status.items())))


def _ways(a: Side, b: Side, one: SideSums, other: SideSums) -> Ways:
    return ways(*([Path(side.root) / name for name in sums.sampled()] for side, sums in ((a, one), (b, other))))


def _first(a: Side, b: Side) -> FirstDifference | None:
    assert a.task is not None
    assert b.task is not None
    return first_difference(differences(report(a.task, with_content=True), report(b.task, with_content=True)))
