"""The figures of both sides and their differences, in dollars, seconds, counts and shares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.query.comparison.intervals import MAX_DURATIONS, MIN_TASKS, Interval, Intervals
from otel_agentlog.query.comparison.samples import KINDS, OF_NAMES, PERCENTILES, FigureKind, Names, SideSums
from otel_agentlog.store.index.index import rank

_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure of one side."""

    value: float | None
    """``None`` where nothing is known."""
    known: int
    """Tasks that say something about it."""
    interval: Interval | None = None
    """Where it lies with 95 % confidence."""


@dataclass(frozen=True, slots=True)
class Change:
    """A figure of both sides."""

    name: str
    unit: str
    """``usd`` ``seconds`` ``count`` ``share`` (0 to 1) or ``value`` (of a score)."""
    a: Measured
    b: Measured
    difference_interval: Interval | None = None
    relative_interval: Interval | None = None
    note: str | None = None
    """Why there is no interval, where intervals were asked for."""

    @property
    def difference(self) -> float | None:
        """B less A; ``None`` where either is unknown."""
        return None if self.a.value is None or self.b.value is None else round(self.b.value - self.a.value, _DIGITS)

    @property
    def relative(self) -> float | None:
        """B over A, less 1: 0.1 is 10 % more; ``None`` where either is unknown or A is 0, and of shares."""
        if not self.a.value or self.b.value is None or self.unit == "share":
            return None
        return round(self.b.value / self.a.value - 1, _DIGITS)

    @property
    def is_beyond_chance(self) -> bool | None:
        """Whether the interval of the difference is on one side of 0; ``None`` where there is none."""
        if self.difference_interval is None:
            return None
        low, high = self.difference_interval
        return low > 0 or high < 0

    def as_json(self) -> dict[str, Any]:
        """One object."""
        sides = {side: {"value": m.value, "tasks": m.known, "interval": m.interval} for side, m in (("a", self.a), ("b", self.b))}
        return {
            "name": self.name,
            "unit": self.unit,
            **sides,
            "difference": self.difference,
            "difference_interval": self.difference_interval,
            "relative": self.relative,
            "relative_interval": self.relative_interval,
            "beyond_chance": self.is_beyond_chance,
            "note": self.note,
        }


def figures_of(names: Names) -> Iterator[tuple[str, FigureKind]]:
    """Every figure that is compared, in the order in which they are shown."""
    yield from KINDS.items()
    for kind, patterns in OF_NAMES.items():
        for name in names[kind]:
            yield from ((pattern.format(name), figure) for pattern, figure in patterns.items())


def changes(a: SideSums, b: SideSums, names: Names, found: Mapping[str, Intervals] | None) -> list[Change]:
    """Return every figure of both sides, with the intervals that were `found`, if any were asked for."""
    return [_change(name, kind, (a, b), found) for name, kind in figures_of(names)]


def _change(name: str, kind: FigureKind, sides: Sequence[SideSums], found: Mapping[str, Intervals] | None) -> Change:
    given = (found or {}).get(name, Intervals())
    one, other = (
        Measured(_scaled(value, kind), known, _bounds(interval, kind))
        for (value, known), interval in zip((_measured(side, name) for side in sides), (given.a, given.b), strict=True)
    )
    relative = None if kind.unit == "share" else _bounds(given.relative, FigureKind("share"))
    note = None if found is None or given.difference is not None else _why_none(name, min(one.known, other.known), sides)
    return Change(name, kind.unit, one, other, _bounds(given.difference, kind), relative, note)


def _measured(side: SideSums, name: str) -> tuple[float | None, int]:
    if name not in PERCENTILES:
        return side.ratios[name].value, side.ratios[name].known
    ordered = sorted(side.durations)
    return (ordered[rank(len(ordered), PERCENTILES[name])] if ordered else None), len(ordered)


def _scaled(value: float | None, kind: FigureKind) -> float | None:
    return None if value is None else round(value / kind.scale, _DIGITS)


def _bounds(interval: Interval | None, kind: FigureKind) -> Interval | None:
    return None if interval is None else (round(interval[0] / kind.scale, _DIGITS), round(interval[1] / kind.scale, _DIGITS))


def _why_none(name: str, known: int, sides: Sequence[SideSums]) -> str:
    if known < MIN_TASKS:
        return f"n = {known}: no interval"
    if name in PERCENTILES and max(len(side.durations) for side in sides) > MAX_DURATIONS:
        return f"more than {MAX_DURATIONS:,} durations: no interval of percentiles"
    return "no interval"
