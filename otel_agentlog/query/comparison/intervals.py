"""Confidence intervals of the figures of two groups and of their differences, by `scipy.stats` (extra ``compare``).

Means and shares: the percentile bootstrap, all figures of one side by the same resamples, so that one matrix product gives them
all. Success: the score intervals of Wilson and, of the difference, of Newcombe, as ten of ten successes have no variation that a
bootstrap could see.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.errors import AgentlogError
from otel_agentlog.query.comparison.samples import PERCENTILES, SideSums
from otel_agentlog.store.index.index import rank

CONFIDENCE = 0.95
RESAMPLES = 5000

MIN_TASKS = 8
"""Tasks that must say something about a figure on each side; of fewer an interval would be far too narrow."""

MAX_DURATIONS = 5000
"""Of more durations percentiles have no interval: it would take too long."""

_BATCH = 4_000_000
"""Numbers that are drawn at once."""

MISSING = (
    "confidence intervals need the package scipy: pip install 'otel_agentlog[compare]' (--no-intervals compares without them)"
)

Interval = tuple[float, float]


class Intervals(NamedTuple):
    """The intervals of one figure; ``None`` where there is none."""

    a: Interval | None = None
    b: Interval | None = None
    difference: Interval | None = None
    """Of B less A."""
    relative: Interval | None = None
    """Of B over A, less 1."""


def available() -> bool:
    """Whether scipy is installed."""
    try:
        _scipy()
    except AgentlogError:
        return False
    return True


def _scipy() -> tuple[Any, Any]:
    try:
        import numpy
        from scipy import stats  # type: ignore[import-untyped]  # it has no stubs
    except ImportError:
        raise_interrupt()
        raise AgentlogError(MISSING) from None
    return numpy, stats


def intervals(a: SideSums, b: SideSums, seed: int = 0) -> dict[str, Intervals]:
    """Return the intervals of every figure of which both sides know enough; the same for the same seed.

    Raises:
        AgentlogError: scipy is not installed.
    """
    _scipy()
    names = [name for name, one in a.ratios.items() if name != "success" and _enough(one.known, b.ratios[name].known)]
    found = _of_means(a, b, names, seed) if names else {}
    if _enough(a.ratios["success"].known, b.ratios["success"].known):
        found["success"] = _of_success(a, b)
    if _enough(len(a.durations), len(b.durations)) and max(len(a.durations), len(b.durations)) <= MAX_DURATIONS:
        found |= _of_percentiles(a, b, seed)
    return found


def _enough(one: int, other: int) -> bool:
    return min(one, other) >= MIN_TASKS


# Means ------------------------------------------------------------------------------------------------------------------------


def _of_means(a: SideSums, b: SideSums, names: Sequence[str], seed: int) -> dict[str, Intervals]:
    np, _ = _scipy()
    sums = [np.array([[*_column(side, name, "over")] for name in names] + [[*_column(side, name, "under")] for name in names])
            for side in (a, b)]  # fmt: skip
    resampled = _resampled([np.arange(each.shape[1]) for each in sums], lambda at, drawn: _summed(sums[at], drawn), seed, sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = [each[: len(names)] / each[len(names) :] for each in resampled]
    return {name: _between(*(side[at] for side in means)) for at, name in enumerate(names)}


def _column(side: SideSums, name: str, which: str) -> Sequence[float]:
    column: Sequence[float] = getattr(side.ratios[name], which)
    return column


def _summed(sums: Any, drawn: Any) -> Any:
    """The sums (row) of each resample (column), by how often each unit was drawn for it."""
    np, _ = _scipy()
    drawn = np.atleast_2d(drawn)
    number, units = len(drawn), sums.shape[1]
    places = drawn + units * np.arange(number)[:, None]
    counts = np.bincount(places.ravel(), minlength=number * units).reshape(number, units)
    return sums @ counts.T.astype(float)


def _resampled(data: Sequence[Any], statistic: Any, seed: int, keys: Sequence[Any]) -> list[Any]:
    """What a statistic (of the side's place, and resamples in rows) comes to for resamples of both sides: figures in rows.

    Which of the sides is drawn first depends on what is in them alone, so that B and A give what A and B give.
    """
    np, stats = _scipy()
    order = sorted((0, 1), key=lambda at: (keys[at].shape, keys[at].tobytes()))
    rows: list[int] = []

    def both(first: Any, second: Any, axis: int) -> Any:
        found = [statistic(at, drawn) for at, drawn in zip(order, (first, second), strict=True)]
        rows[:] = [len(each) for each in found]
        return np.concatenate(found)

    batch = max(1, _BATCH // max(len(each) for each in data))
    found = stats.bootstrap(
        [data[at] for at in order],
        both,
        n_resamples=RESAMPLES,
        batch=batch,
        vectorized=True,
        axis=-1,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).bootstrap_distribution
    first, second = found[: rows[0]], found[rows[0] :]
    if keys[0].shape == keys[1].shape and keys[0].tobytes() == keys[1].tobytes():
        # Nothing tells the sides apart: what was drawn for either is of both.
        first, second = np.concatenate([first, second], axis=1), np.concatenate([second, first], axis=1)
    parts = dict(zip(order, (first, second), strict=True))
    return [parts[0], parts[1]]


def _between(one: Any, other: Any) -> Intervals:
    """The intervals of a figure from what it is in each resample of both sides."""
    np, _ = _scipy()
    with np.errstate(divide="ignore", invalid="ignore"):
        return Intervals(_percentiles(one), _percentiles(other), _percentiles(other - one), _percentiles(other / one - 1))


def _percentiles(values: Any) -> Interval | None:
    np, _ = _scipy()
    known = values[~np.isnan(values)]
    if len(known) < 0.95 * len(values):
        return None
    tail = (1 - CONFIDENCE) / 2
    with np.errstate(invalid="ignore"):
        low, high = (float(each) for each in np.quantile(known, (tail, 1 - tail)))
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def _of_percentiles(a: SideSums, b: SideSums, seed: int) -> dict[str, Intervals]:
    np, _ = _scipy()
    durations = [np.sort(np.array(side.durations, dtype=float)) for side in (a, b)]

    def statistic(at: int, drawn: Any) -> Any:
        places = [rank(drawn.shape[-1], percent) for percent in PERCENTILES.values()]
        ordered = np.partition(np.atleast_2d(drawn), places, axis=-1)
        return ordered[:, places].T

    resampled = _resampled(durations, statistic, seed, durations)
    return {name: _between(*(side[at] for side in resampled)) for at, name in enumerate(PERCENTILES)}


# Success ----------------------------------------------------------------------------------------------------------------------


def _of_success(a: SideSums, b: SideSums) -> Intervals:
    _, stats = _scipy()
    (p, (low, high)), (q, (least, most)) = (_wilson(stats, side) for side in (a, b))
    difference = (
        q - p - math.hypot(q - least, high - p),
        q - p + math.hypot(most - q, p - low),
    )
    return Intervals((low, high), (least, most), difference)


def _wilson(stats: Any, side: SideSums) -> tuple[float, Interval]:
    success = side.ratios["success"]
    completed, ended = round(math.fsum(success.over)), round(math.fsum(success.under))
    found = stats.binomtest(completed, ended).proportion_ci(confidence_level=CONFIDENCE, method="wilson")
    return completed / ended, (float(found.low), float(found.high))
