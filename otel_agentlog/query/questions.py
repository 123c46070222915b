"""The questions: which tasks, what figures, how it goes now, how it went over time."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from otel_agentlog.errors import AgentlogError
from otel_agentlog.query.filters import Filter
from otel_agentlog.query.indexed import Progress, ask
from otel_agentlog.query.rows import UNSUCCESSFUL, TaskRow, row_of
from otel_agentlog.query.source import ORDERS, Counted, Shelf
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.index.columns import UNKNOWN, Columns, PartSums
from otel_agentlog.store.index.row import COST_UNITS_PER_USD

# -- Percentiles by nearest rank: each is a value that was measured, and at most that share of the values is greater.

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


# -- Hides how columns of figures become groups with sums, rates and percentiles.

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


MAX_BUCKETS = 10_000
"""More points than this are no plot."""

GROUPS = ("user", "specialist", "agent", "model", "provider", "day", "status", "tool")
"""What tasks can be grouped by. By model, provider and tool it is the AI calls and tool runs that are counted."""

_OF_PARTS = {"model": ("ai_call", "name"), "provider": ("ai_call", "variety"), "tool": ("tool_run", "name")}
_NS = 1_000_000_000
_QUARTER_NS = 900 * _NS


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the tasks that were asked for."""

    rows: list[TaskRow]
    matching: int
    """How many there are in all."""
    tasks: int
    """How many tasks there are below the root, whether they match or not."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures of the tasks that were asked for."""

    counted: str
    """What the groups count: ``tasks``, ``ai_calls`` or ``tool_runs``."""
    groups: list[Group]
    """The largest first, days in their order; exactly one with the key ``None`` where nothing groups them."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """What happened within a span of time, by when the tasks were created."""

    start_ns: int
    tasks: int
    failed: int
    """Those that failed, timed out or were interrupted."""
    cost_usd: float | None
    tokens: int
    p95_duration_s: float | None


def search(
    root: Path,
    wanted: Filter | None = None,
    *,
    order: str = "newest",
    limit: int | None = 50,
    offset: int = 0,
    progress: Progress | None = None,
) -> Page:
    """Return the tasks below a root that meet a filter, in an order: ``newest``, ``oldest``, ``slowest``, ``costliest``.

    Raises:
        AgentlogError: there is no such order.
    """
    _known(order, ORDERS, "order")
    asked = wanted or Filter()

    def page(shelf: Shelf) -> tuple[list[str], Counted]:
        return shelf.folders(asked, order, limit, max(0, offset)), shelf.count(asked)

    names, counted = ask(root, page, progress)
    return Page([row for name in names if (row := _row(root / name)) is not None], counted.matching, counted.tasks)


def folders(
    root: Path, wanted: Filter | None = None, *, limit: int | None = None, progress: Progress | None = None
) -> list[Path]:
    """Return the folders of the tasks that meet a filter, the newest first; unlike `search` without reading any of them."""
    asked = wanted or Filter()
    return [root / name for name in ask(root, lambda shelf: shelf.folders(asked, "newest", limit, 0), progress)]


def _row(folder: Path) -> TaskRow | None:
    # It may have been deleted since.
    return row_of(TaskReader(folder)) if folder.is_dir() else None


def statistics(
    root: Path, wanted: Filter | None = None, *, group_by: str | None = None, progress: Progress | None = None
) -> Statistics:
    """Return figures of the tasks that meet a filter, in one group or by one of `GROUPS`. Days are local ones.

    Raises:
        AgentlogError: tasks cannot be grouped by that.
    """
    if group_by is not None:
        _known(group_by, GROUPS, "group")
    return ask(root, lambda shelf: _statistics(shelf, wanted or Filter(), group_by), progress)


def _statistics(shelf: Shelf, wanted: Filter, group_by: str | None) -> Statistics:
    if group_by in _OF_PARTS:
        kind, lane = _OF_PARTS[group_by]
        return Statistics(f"{kind}s", grouped_parts(shelf.parts(wanted, kind, by_variety=lane == "variety"), kind))
    columns = shelf.columns(wanted)
    if group_by == "day":
        days = [_day(moment // _QUARTER_NS) for moment in columns.lane("created_ns")]
        return Statistics("tasks", sorted(grouped(columns, days, _date), key=lambda group: group.key or ""))
    if group_by is None:
        return Statistics("tasks", grouped(columns, None))
    return Statistics("tasks", grouped(columns, columns.lane(group_by), columns.names.text))


@lru_cache(maxsize=100_000)
def _day(quarter: int) -> int:
    """The number of the local date; every time zone changes at a quarter of an hour."""
    try:
        return datetime.fromtimestamp(quarter * 900).astimezone().toordinal()
    except (ValueError, OverflowError, OSError):
        return 1  # beyond all calendars


def _date(day: int) -> str:
    return f"{date.fromordinal(day):%Y-%m-%d}"


def timeline(root: Path, wanted: Filter | None = None, *, bucket_s: int) -> list[Bucket]:
    """Return what happened over time, in spans of `bucket_s` seconds from the first task to the last one, empty ones too.

    Raises:
        AgentlogError: these would be more than `MAX_BUCKETS`, or no seconds.
    """
    return ask(root, lambda shelf: _timeline(shelf.columns(wanted or Filter()), bucket_s))


def _timeline(columns: Columns, bucket_s: int) -> list[Bucket]:
    if bucket_s < 1:
        raise AgentlogError(f"expected a span of at least one second, found {bucket_s!r}")
    created, width = columns.lane("created_ns"), bucket_s * _NS
    if not created:
        return []
    numbers = [moment // width for moment in created]
    first, last = min(numbers), max(numbers)
    if last - first >= MAX_BUCKETS:
        raise AgentlogError(
            f"expected at most {MAX_BUCKETS} spans, found {last - first + 1}: give a longer one or a shorter time"
        )
    rows = columns.split(numbers)
    bad = {found for word in UNSUCCESSFUL if (found := _number(columns, word)) is not None}
    nothing = Columns(b"", columns.names)
    return [_bucket(number * width, rows.get(number, nothing), bad) for number in range(first, last + 1)]


def _number(columns: Columns, word: str) -> int | None:
    return columns.names.texts.index(word) if word in columns.names.texts else None


def _bucket(start_ns: int, rows: Columns, bad: set[int]) -> Bucket:
    return Bucket(
        start_ns=start_ns,
        tasks=len(rows),
        failed=sum(number in bad for number in rows.lane("status")),
        cost_usd=dollars(rows.lane("cost")),
        tokens=sum(rows.lane("input_tokens")) + sum(rows.lane("output_tokens")),
        p95_duration_s=percentiles_of(rows.lane("duration_us")).p95,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """How it goes: what a page that is looked at all day shows."""

    now_ns: int
    window_s: float
    totals: Group
    """Of the tasks created within the window."""
    running: int
    """Of all tasks, whenever they were created."""
    paused: int
    pending: int
    cost_today_usd: float | None
    """Of the tasks created since midnight, local time."""
    running_rows: list[TaskRow]
    """Running and paused ones, the newest first."""
    recent_rows: list[TaskRow]
    """The newest tasks of all."""
    agents: list[Group]
    """Within the window, the busiest first; so are the following."""
    tools: list[Group]
    models: list[Group]
    errors_by_category: dict[str, int]
    """How many errors of each category; ``UNKNOWN`` for those without."""


def overview(root: Path, *, now_ns: int, window_s: float, top: int = 5, rows: int = 20) -> Overview:
    """Return how it goes below a root: the last `window_s` seconds, and what runs now."""
    return ask(root, lambda shelf: _overview(root, shelf, now_ns=now_ns, window_s=window_s, top=top, rows=rows))


def _overview(root: Path, shelf: Shelf, *, now_ns: int, window_s: float, top: int, rows: int) -> Overview:
    window = Filter(since_ns=max(0, now_ns - round(window_s * _NS)))
    midnight = datetime.fromtimestamp(now_ns // _NS).astimezone().replace(hour=0, minute=0, second=0)
    today = Filter(since_ns=round(midnight.timestamp()) * _NS)
    active = Filter(statuses=("running", "paused"))
    columns = shelf.columns(window)
    return Overview(
        now_ns=now_ns,
        window_s=window_s,
        totals=grouped(columns, None)[0],
        **{state: shelf.count(Filter(statuses=(state,))).matching for state in ("running", "paused", "pending")},
        cost_today_usd=dollars(shelf.columns(today).lane("cost")),
        running_rows=_rows(root, shelf, active, rows),
        recent_rows=_rows(root, shelf, Filter(), rows),
        agents=[group for group in grouped(columns, columns.lane("agent"), columns.names.text) if group.key is not None][:top],
        tools=_statistics(shelf, window, "tool").groups[:top],
        models=_statistics(shelf, window, "model").groups[:top],
        errors_by_category=_categories(shelf, window),
    )


def _rows(root: Path, shelf: Shelf, wanted: Filter, limit: int) -> list[TaskRow]:
    return [row for name in shelf.folders(wanted, "newest", limit, 0) if (row := _row(root / name)) is not None]


def _categories(shelf: Shelf, wanted: Filter) -> dict[str, int]:
    counts = Counter(failure.category or "UNKNOWN" for _, failure in shelf.failures(wanted))
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def _known(word: str, words: Any, what: str) -> None:
    if word not in words:
        raise AgentlogError(f"expected the {what} to be one of {', '.join(words)}, found {word!r}")
