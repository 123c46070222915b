"""The questions: which tasks, what figures, how it goes now, how it went over time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from otel_agentlog.errors import AgentlogError
from otel_agentlog.query.catalogued import Progress, ask
from otel_agentlog.query.filters import Filter
from otel_agentlog.query.groups import Group, dollars, grouped, grouped_parts
from otel_agentlog.query.percentiles import percentiles_of
from otel_agentlog.query.rows import UNSUCCESSFUL, TaskRow, row_of
from otel_agentlog.query.shelf import ORDERS, Counted, Shelf
from otel_agentlog.store import Columns, TaskReader

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
