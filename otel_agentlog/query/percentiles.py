"""Percentiles by nearest rank: each is a value that was measured, and at most that share of the values is greater."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Percentiles:
    """How long things took, in seconds. All ``None`` where nothing was measured."""

    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    average: float | None = None
    maximum: float | None = None
    total: float | None = None

    def as_json(self) -> dict[str, float | None]:
        """By name."""
        return {name: getattr(self, name) for name in ("p50", "p90", "p95", "p99", "average", "maximum", "total")}


def percentiles_of(durations_us: Iterable[int]) -> Percentiles:
    """Return the percentiles of durations in microseconds; negative ones, which stand for unknown, are left out."""
    # Python sorts floats three times as fast as integers of more than 30 bits, and these have room in them.
    ordered = sorted(map(float, durations_us))
    known = ordered[bisect_left(ordered, 0.0) :]
    if not known:
        return Percentiles()
    p50, p90, p95, p99 = (_in_seconds(known[max(0, -(-len(known) * percent // 100) - 1)]) for percent in (50, 90, 95, 99))
    total = sum(known)
    average = round(total / len(known) / _US_PER_S, 6)
    return Percentiles(p50, p90, p95, p99, average=average, maximum=_in_seconds(known[-1]), total=_in_seconds(total))


def _in_seconds(microseconds: float) -> float:
    return microseconds / _US_PER_S
