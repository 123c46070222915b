"""Hides how columns of figures become groups with sums, rates and percentiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from operator import itemgetter
from typing import Any

from otel_agentlog.query.percentiles import Percentiles, percentiles_of
from otel_agentlog.store import COST_UNITS_PER_USD, UNKNOWN, Columns, PartColumns, unpack

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


def grouped(columns: Columns, keys: Sequence[str | None] | None) -> list[Group]:
    """Return a group for each key, the largest first; with `keys` of ``None`` one group of all."""
    count = len(columns)
    lanes = {name: columns.lane(name) for name in ("status", "duration_us", "cost", *_SUMMED)}
    words = columns.names.text
    if keys is None:
        return [_group(None, lanes, words)]
    order = sorted(range(count), key=[_sortable(key) for key in keys].__getitem__)
    if len(order) > 1:
        pick = itemgetter(*order)
        lanes = {name: list(pick(lane)) for name, lane in lanes.items()}
    found, start = [], 0
    for key, size in _runs([keys[index] for index in order]):
        found.append(_group(key, {name: lane[start : start + size] for name, lane in lanes.items()}, words))
        start += size
    return sorted(found, key=lambda group: (-group.runs, group.key is None, group.key or ""))


def _sortable(key: str | None) -> str:
    return "" if key is None else f"+{key}"


def _runs(ordered: Sequence[str | None]) -> list[tuple[str | None, int]]:
    return list(Counter(ordered).items())


def _group(key: str | None, lanes: dict[str, list[int]], words: Any) -> Group:
    statuses = {words(number) or "": count for number, count in sorted(Counter(lanes["status"]).items())}
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


def grouped_parts(parts: PartColumns, lane: str, kind: str) -> list[Group]:
    """Return a group for each name in `lane` (``name`` or ``variety``), the largest first."""
    columns = parts.columns
    keys, timed, durations = columns.lane(lane), columns.lane("timed"), unpack(parts.durations)
    slices: dict[int, list[int]] = {}
    timings: dict[int, list[int]] = {}
    start = 0
    for row, (key, count) in enumerate(zip(keys, timed, strict=True)):
        slices.setdefault(key, []).append(row)
        if count:
            timings.setdefault(key, []).extend(durations[start : start + count])
            start += count
    lanes = {name: columns.lane(name) for name in columns.lanes}
    found = [_group_of_parts(columns.names.text(key), kind, lanes, rows, timings.get(key, [])) for key, rows in slices.items()]
    return sorted(found, key=lambda group: (-group.runs, group.key is None, group.key or ""))


def _group_of_parts(key: str | None, kind: str, lanes: dict[str, list[int]], rows: list[int], durations: list[int]) -> Group:
    own = {name: [lane[row] for row in rows] for name, lane in lanes.items()}
    totals = {word: sum(own[word]) for word in ("running", "completed", "failed", "other")}
    by_status = {("cancelled" if word == "other" else word): count for word, count in totals.items() if count}
    runs = sum(by_status.values())
    return Group(
        key=key,
        tasks=len(set(own["task"])),
        runs=runs,
        by_status=dict(sorted(by_status.items())),
        success_rate=rate_of(by_status),
        duration_seconds=percentiles_of(durations),
        cost_usd=dollars(own["cost"]),
        unpriced=sum(own["unpriced"]),
        input_tokens=sum(own["input_tokens"]),
        output_tokens=sum(own["output_tokens"]),
        ai_calls=runs if kind == "ai_call" else 0,
        tool_runs=runs if kind == "tool_run" else 0,
        retries=sum(own["retries"]),
        errors=by_status.get("failed", 0),
    )
