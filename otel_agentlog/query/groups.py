"""Hides how columns of figures become groups with sums, rates and percentiles."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from operator import itemgetter
from typing import Any

from otel_agentlog.query.percentiles import Percentiles, percentiles_of
from otel_agentlog.store import COST_UNITS_PER_USD, UNKNOWN, Columns, Names, PartSums

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


def dollars(costs: Sequence[int]) -> float | None:
    """The sum of costs in units, in dollars; ``None`` if none is known."""
    known = len(costs) - costs.count(UNKNOWN)
    # Each unknown one is -1 in the sum.
    return (sum(costs) + len(costs) - known) / COST_UNITS_PER_USD if known else None


def grouped(columns: Columns, keys: Sequence[int] | None, text: Callable[[int], str | None] = str) -> list[Group]:
    """Return a group for each key, the largest first, with the key's `text`; with `keys` of ``None`` one group of all."""
    lanes: dict[str, Sequence[int]] = {name: columns.lane(name) for name in ("status", "duration_us", "cost", *_SUMMED)}
    if keys is None:
        return [_group(None, lanes, columns.names)]
    found = []
    for key, rows in rows_by(keys).items():
        own = {name: picked(lane, rows) for name, lane in lanes.items()}
        found.append(_group(text(key), own, columns.names))
    return largest_first(found)


def rows_by(keys: Iterable[int]) -> dict[int, list[int]]:
    """The numbers of the rows of each key."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        found[key].append(row)
    return found


def picked(lane: Sequence[int], rows: Sequence[int]) -> Sequence[int]:
    """The values of these rows."""
    return itemgetter(*rows)(lane) if len(rows) > 1 else [lane[row] for row in rows]


def largest_first(groups: list[Group]) -> list[Group]:
    """Groups in the order in which they are shown."""
    return sorted(groups, key=lambda group: (-group.runs, group.key is None, group.key or ""))


def _group(key: str | None, lanes: Mapping[str, Sequence[int]], names: Names) -> Group:
    statuses = {names.text(number) or "": count for number, count in Counter(lanes["status"]).items()}
    costs = lanes["cost"]
    return Group(
        key=key,
        tasks=len(costs),
        runs=len(costs),
        by_status=dict(sorted(statuses.items())),
        success_rate=rate_of(statuses),
        duration_seconds=percentiles_of(lanes["duration_us"]),
        cost_usd=dollars(costs),
        unpriced=costs.count(UNKNOWN),
        **{name: sum(lanes[name]) for name in _SUMMED},
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
