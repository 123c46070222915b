"""Groups of tasks, AI calls or tool runs: sums, success rates and percentiles, in dollars and seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, field
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.store.index.index import Durations, GroupSums, ScoreSums
from otel_agentlog.store.index.row import COST_UNITS_PER_USD
from otel_agentlog.vocabulary.states import UNSUCCESSFUL

_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Percentiles:
    """How long things took, in seconds. All ``None`` where nothing was measured.

    By nearest rank: each is a value that was measured, and at most that share of the values is greater.
    """

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


def percentiles_of(found: Durations) -> Percentiles:
    """Return percentiles in seconds."""
    if not found.number:
        return Percentiles()
    total = float(found.total)
    average = round(total / found.number / _US_PER_S, 6)
    p50, p90, p95, p99 = map(_in_seconds, found.ranks)
    return Percentiles(p50, p90, p95, p99, average=average, maximum=_in_seconds(found.maximum), total=_in_seconds(total))


def _in_seconds(microseconds: float) -> float:
    return microseconds / _US_PER_S


@dataclass(frozen=True, slots=True)
class MeanScore:
    """The scores of one name."""

    count: int
    mean: float | None
    """Of those with a value; ``None`` if none has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Figures of several tasks, or of several AI calls or tool runs."""

    key: str | None
    """What they have in common; ``None`` where that is not known."""
    tasks: int
    runs: int
    """How many were counted: tasks, or AI calls, or tool runs."""
    by_status: dict[str, int] = field(default_factory=dict)
    """Counts by status; of AI calls and tool runs by one of four: running, completed, failed, cancelled."""
    success_rate: float | None = None
    """Completed ones, of those that completed or failed (timed out, were interrupted); ``None`` if there are none."""
    duration_seconds: Percentiles = field(default_factory=Percentiles)
    cost_usd: float | None = None
    """Sum of what is known; ``None`` if nothing is."""
    unpriced: int = 0
    """How many of them cost something that is not known."""
    input_tokens: int = 0
    output_tokens: int = 0
    ai_calls: int = 0
    tool_runs: int = 0
    steps: int = 0
    retries: int = 0
    errors: int = 0
    scores: dict[str, MeanScore] = field(default_factory=dict)
    """Of its tasks, by name, the most frequent first."""

    def as_json(self) -> dict[str, Any]:
        """One object."""
        return asdict(self)


_NO_SCORES: Mapping[str, ScoreSums] = {}
_SAME = (
    *("tasks", "runs", "by_status", "unpriced", "input_tokens", "output_tokens"),
    *("ai_calls", "tool_runs", "steps", "retries", "errors"),
)


def group_of(sums: GroupSums, key: str | None, scores: Mapping[str, ScoreSums] = _NO_SCORES) -> Group:
    """The figures of a group that is shown as `key`."""
    return Group(
        key=key,
        success_rate=success_rate(sums.by_status),
        duration_seconds=percentiles_of(sums.durations),
        cost_usd=dollars(sums.cost),
        scores={
            name: MeanScore(each.scores, None if each.mean is None else round(each.mean, 6)) for name, each in scores.items()
        },
        **{name: getattr(sums, name) for name in _SAME},
    )


def largest_first(groups: Iterable[Group]) -> list[Group]:
    """Groups in the order in which they are shown."""
    return sorted(groups, key=lambda group: (-group.runs, group.key is None, group.key or ""))


def success_rate(by_status: Mapping[str, int]) -> float | None:
    """The share of completed ones, of those that completed or were unsuccessful; ``None`` if there are none."""
    completed = by_status.get("completed", 0)
    ended = completed + unsuccessful(by_status)
    return round(completed / ended, 6) if ended else None


def unsuccessful(by_status: Mapping[str, int]) -> int:
    """How many failed, timed out or were interrupted."""
    return sum(by_status.get(status, 0) for status in UNSUCCESSFUL)


def dollars(cost: int | None) -> float | None:
    """A cost of the index in dollars."""
    return None if cost is None else cost / COST_UNITS_PER_USD
