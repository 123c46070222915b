"""Hides how columns of figures become groups with sums, rates and percentiles."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from otel_agentlog.query.percentiles import Percentiles, percentiles_of
from otel_agentlog.store import COST_UNITS_PER_USD, UNKNOWN, Columns, PartSums

_SUMMED = ("input_tokens", "output_tokens", "ai_calls", "tool_runs", "steps", "retries", "errors")
_FAILED = ("failed", "timed_out", "interrupted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Figures of several tasks, or of several AI calls or tool runs."""

    key: str | None
    """What they have in common; ``None`` where that is not known."""
    tasks: int
    runs: int
    """How many were counted: tasks, or AI calls, or tool runs."""
    by_status: dict[str, int] = field(default_factory=dict)
    """How many of these stand how; of AI calls and tool runs in four words: running, completed, failed, cancelled."""
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

    def as_json(self) -> dict[str, Any]:
        """One object."""
        return asdict(self)


def rate_of(by_status: dict[str, int]) -> float | None:
    """The success rate of what stands so."""
    completed = by_status.get("completed", 0)
    ended = completed + sum(by_status.get(word, 0) for word in _FAILED)
    return round(completed / ended, 6) if ended else None


def dollars(costs: array[int]) -> float | None:
    """The sum of costs in units, in dollars; ``None`` if none is known."""
    return _dollars(costs, costs.count(UNKNOWN))


def _dollars(costs: array[int], unknown: int) -> float | None:
    # Each unknown one is -1 in the sum.
    return (sum(costs) + unknown) / COST_UNITS_PER_USD if unknown < len(costs) else None


def grouped(columns: Columns, keys: Iterable[int] | None, text: Callable[[int], str | None] = str) -> list[Group]:
    """Return a group for each key, the largest first, with the key's `text`; with `keys` of ``None`` one group of all."""
    if keys is None:
        return [_group(None, columns)]
    return largest_first([_group(text(key), own) for key, own in columns.split(keys).items()])


def largest_first(groups: list[Group]) -> list[Group]:
    """Groups in the order in which they are shown."""
    return sorted(groups, key=lambda group: (-group.runs, group.key is None, group.key or ""))


def _group(key: str | None, columns: Columns) -> Group:
    statuses = {columns.names.text(number) or "": count for number, count in Counter(columns.lane("status")).items()}
    costs = columns.lane("cost")
    unknown = costs.count(UNKNOWN)
    return Group(
        key=key,
        tasks=len(costs),
        runs=len(costs),
        by_status=dict(sorted(statuses.items())),
        success_rate=rate_of(statuses),
        duration_seconds=percentiles_of(columns.lane("duration_us")),
        cost_usd=_dollars(costs, unknown),
        unpriced=unknown,
        **{name: sum(columns.lane(name)) for name in _SUMMED},
    )


def grouped_parts(parts: Iterable[PartSums], kind: str) -> list[Group]:
    """Return a group for each of these sums, the largest first."""
    return largest_first([_group_of_parts(sums, kind) for sums in parts])


def _group_of_parts(sums: PartSums, kind: str) -> Group:
    counts = {"running": sums.running, "completed": sums.completed, "failed": sums.failed, "cancelled": sums.other}
    by_status = {word: count for word, count in sorted(counts.items()) if count}
    runs = sum(by_status.values())
    return Group(
        key=sums.key,
        tasks=sums.tasks,
        runs=runs,
        by_status=by_status,
        success_rate=rate_of(by_status),
        duration_seconds=percentiles_of(sums.durations_us),
        cost_usd=None if sums.cost is None else sums.cost / COST_UNITS_PER_USD,
        unpriced=sums.unpriced,
        input_tokens=sums.input_tokens,
        output_tokens=sums.output_tokens,
        ai_calls=runs if kind == "ai_call" else 0,
        tool_runs=runs if kind == "tool_run" else 0,
        retries=sums.retries,
        errors=sums.failed,
    )
