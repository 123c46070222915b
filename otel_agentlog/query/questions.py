"""The questions: which tasks, what figures, how it goes now, how it went over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import TypeAlias

from otel_agentlog._startup import dataclass
from otel_agentlog.errors import AgentlogError
from otel_agentlog.query.groups import Group, dollars, group_of, largest_first, percentiles_of, unsuccessful
from otel_agentlog.query.indexes import ask, ask_again, ask_rows
from otel_agentlog.query.rows import TaskRow, row_of
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.index.condition import ScoreBound as ScoreBound
from otel_agentlog.store.index.filter import Filter
from otel_agentlog.store.index.filter import score_bound as score_bound
from otel_agentlog.store.index.index import GROUPS, ORDERS, Counted, GroupSums, Scores, TaskIndex
from otel_agentlog.store.index.refresh import Progress
from otel_agentlog.store.index.row import IndexRow

_NS = 1_000_000_000

MAX_BUCKETS = 10_000
"""More points than this are no plot."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the tasks that meet a filter, in order."""

    rows: list[TaskRow]
    matching: int
    """How many there are in all."""
    tasks: int
    """How many tasks there are below the root, whether they match or not."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures of the tasks that meet a filter."""

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
    """Return the tasks below a root that meet a filter, in one of `ORDERS`.

    Raises:
        AgentlogError: there is no such order.
    """
    _known(order, ORDERS, "order")
    chosen = wanted or Filter()

    def page(index: TaskIndex) -> tuple[_Noted, Counted]:
        return _noted(index, index.folders(chosen, order, limit, max(0, offset))), index.count(chosen)

    found, counted = ask(root, page, progress)
    return Page(_rows(root, found), counted.matching, counted.tasks)


def rows_of(folders: Sequence[Path]) -> Iterator[TaskRow]:
    """Yield the row of each of these folders, of one root or of several, read when it is its turn."""
    names: dict[Path, list[str]] = {}
    for folder in folders:
        names.setdefault(folder.parent, []).append(folder.name)
    found = {root: ask(root, partial(_noted, names=some)) for root, some in names.items()}
    for folder in folders:
        yield _row(folder, found[folder.parent][folder.name])


def folders(
    root: Path, wanted: Filter | None = None, *, limit: int | None = None, progress: Progress | None = None
) -> list[Path]:
    """Return the folders of the tasks that meet a filter, the newest first; unlike `search` without reading any of them."""
    chosen = wanted or Filter()
    return [root / name for name in ask(root, lambda index: index.folders(chosen, "newest", limit), progress)]


def task_ids(
    root: Path,
    wanted: Filter | None = None,
    *,
    order: str = "newest",
    limit: int | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Return the ids of the tasks that meet a filter, in an order of `search`; unlike it without reading any folder.

    Raises:
        AgentlogError: there is no such order.
    """
    _known(order, ORDERS, "order")
    return ask(root, lambda index: index.ids(wanted or Filter(), order, limit), progress)


def damaged(root: Path) -> list[tuple[Path, str]]:
    """Return the folders that could not be read whole when the root was last looked at, and why: file and reason."""
    return [(root / name, why) for name, why in ask_again(root, lambda index: index.damaged())]


def statistics(
    root: Path, wanted: Filter | None = None, *, group_by: str | None = None, progress: Progress | None = None
) -> Statistics:
    """Return figures of the tasks that meet a filter, in one group or for each value of one of `GROUPS`. Days are local ones.

    Raises:
        AgentlogError: tasks cannot be grouped by that.
    """
    if group_by is not None:
        _known(group_by, GROUPS, "group")
    return ask(root, lambda index: _statistics(index, wanted or Filter(), group_by), progress)


def statistics_by(
    root: Path, wanted: Filter | None, group_bys: Iterable[str | None], *, progress: Progress | None = None
) -> list[Statistics]:
    """Return `statistics` for each of several groupings, all of one moment: the folders are looked at once.

    Raises:
        AgentlogError: tasks cannot be grouped by one of these.
    """
    keys = list(group_bys)
    for group_by in keys:
        if group_by is not None:
            _known(group_by, GROUPS, "group")
    return ask(root, lambda index: [_statistics(index, wanted or Filter(), group_by) for group_by in keys], progress)


def statistics_of(
    rows: Iterable[tuple[str, IndexRow]], wanted: Filter | None, group_bys: Iterable[str | None]
) -> list[Statistics]:
    """Return `statistics_by` of tasks that are in no folder, from what an index would keep of them."""
    return ask_rows(rows, lambda index: [_statistics(index, wanted or Filter(), group_by) for group_by in group_bys])


def _statistics(index: TaskIndex, wanted: Filter, group_by: str | None) -> Statistics:
    if group_by is None:
        return Statistics("tasks", [group_of(index.task_sums(wanted)[None], None, index.score_sums(wanted).get(None, {}))])
    counted = f"{GROUPS[group_by]}s"
    if group_by == "day":
        return Statistics(counted, [_of_day(index, wanted, *day) for day in _by_day(index, wanted).items()])
    found = index.task_sums(wanted, group_by) if counted == "tasks" else index.run_sums(wanted, group_by)
    scores = index.score_sums(wanted, group_by)
    return Statistics(counted, largest_first(group_of(sums, key, scores.get(key, {})) for key, sums in found.items()))


def _of_day(index: TaskIndex, wanted: Filter, start_ns: int, sums: GroupSums) -> Group:
    end_ns = _midnight_ns(_day(start_ns) + timedelta(days=1))
    since_ns = max(start_ns, wanted.since_ns or start_ns)
    until_ns = end_ns if wanted.until_ns is None else min(end_ns, wanted.until_ns)
    scores = index.score_sums(replace(wanted, since_ns=since_ns, until_ns=until_ns))
    return group_of(sums, f"{_day(start_ns)}", scores.get(None, {}))


def _by_day(index: TaskIndex, wanted: Filter) -> dict[int, GroupSums]:
    created = index.created(wanted)
    return {} if created is None else index.span_sums(wanted, _days(index, *created))


def _days(index: TaskIndex, first_ns: int, last_ns: int) -> Iterator[tuple[int, int]]:
    """The local days from one moment to another on which tasks were created, each as its first nanosecond and that of the next.

    Others are passed over: one task with a damaged time would have all those of centuries looked at.
    """
    moment_ns: int | None = first_ns
    while moment_ns is not None and moment_ns <= last_ns:
        day = _day(moment_ns)
        start, end = _midnight_ns(day), _midnight_ns(day + timedelta(days=1))
        # Where the date line moved, a day has no length.
        while end <= moment_ns:
            day += timedelta(days=1)
            end = _midnight_ns(day + timedelta(days=1))
        yield start, end
        moment_ns = index.next_created(end)


def _day(moment_ns: int) -> date:
    return datetime.fromtimestamp(moment_ns // _NS).astimezone().date()


def _midnight_ns(day: date) -> int:
    return round(datetime.combine(day, time.min).astimezone().timestamp()) * _NS


def errors_by_category(root: Path, wanted: Filter | None = None) -> dict[str, int]:
    """Return how many errors of each category the tasks that meet a filter have; ``UNKNOWN`` for those without."""
    return ask(root, lambda index: index.errors_by_category(wanted or Filter()))


def folders_with_errors(root: Path, error_id: str | None = None) -> list[Path]:
    """Return the folders whose lines may speak of an error, or of any, by what is known of them; tasks that go on always."""
    return [root / name for name in ask(root, lambda index: index.folders_with_errors(error_id))]


def timeline(root: Path, wanted: Filter | None = None, *, bucket_s: int) -> list[Bucket]:
    """Return what happened over time, in spans of `bucket_s` seconds from the first task to the last one, empty ones too.

    Raises:
        AgentlogError: these would be more than `MAX_BUCKETS`, or no seconds.
    """
    return ask(root, lambda index: _timeline(index, wanted or Filter(), bucket_s))


def _timeline(index: TaskIndex, wanted: Filter, bucket_s: int) -> list[Bucket]:
    if bucket_s < 1:
        raise AgentlogError(f"expected a span of at least one second, found {bucket_s!r}")
    created = index.created(wanted)
    if created is None:
        return []
    width = bucket_s * _NS
    first, last = (moment // width for moment in created)
    if last - first >= MAX_BUCKETS:
        raise AgentlogError(
            f"expected at most {MAX_BUCKETS} spans, found {last - first + 1}: give a longer one or a shorter time"
        )
    starts = range(first * width, (last + 1) * width, width)
    found = index.span_sums(wanted, ((start, start + width) for start in starts))
    return [_bucket(start, found.get(start)) for start in starts]


def _bucket(start_ns: int, sums: GroupSums | None) -> Bucket:
    if sums is None:
        return Bucket(start_ns, tasks=0, failed=0, cost_usd=None, tokens=0, p95_duration_s=None)
    return Bucket(
        start_ns,
        tasks=sums.tasks,
        failed=unsuccessful(sums.by_status),
        cost_usd=dollars(sums.cost),
        tokens=sums.input_tokens + sums.output_tokens,
        p95_duration_s=percentiles_of(sums.durations).p95,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Current figures, for a page that is polled."""

    now_ns: int
    window_s: float
    totals: Group
    """Of the tasks created within the window."""
    running: int
    """Of all tasks, whenever they were created."""
    paused: int
    pending: int
    cost_today_usd: float | None
    """Of the tasks created since midnight, local time; the sum of what is known, ``None`` if nothing is."""
    unpriced_today: int
    """How many of these cost something that is not known."""
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
    return ask(root, lambda index: _overview(root, index, now_ns=now_ns, window_s=window_s, top=top, rows=rows))


def _overview(root: Path, index: TaskIndex, *, now_ns: int, window_s: float, top: int, rows: int) -> Overview:
    window = Filter(since_ns=max(0, now_ns - round(window_s * _NS)))
    today = index.task_sums(Filter(since_ns=_midnight_ns(_day(now_ns))))[None]
    return Overview(
        now_ns=now_ns,
        window_s=window_s,
        totals=_statistics(index, window, None).groups[0],
        **{state: index.count(Filter(statuses=(state,))).matching for state in ("running", "paused", "pending")},
        cost_today_usd=dollars(today.cost) if today.tasks else 0.0,
        unpriced_today=today.unpriced,
        running_rows=_rows(root, _noted(index, index.folders(Filter(statuses=("running", "paused")), "newest", rows))),
        recent_rows=_rows(root, _noted(index, index.folders(Filter(), "newest", rows))),
        agents=[group for group in _statistics(index, window, "agent").groups if group.key is not None][:top],
        tools=_statistics(index, window, "tool").groups[:top],
        models=_statistics(index, window, "model").groups[:top],
        errors_by_category=index.errors_by_category(window),
    )


_Noted: TypeAlias = dict[str, tuple[Scores, bool]]
"""By the name of a folder what a row has from the index: scores, and whether some price is not known."""


def _noted(index: TaskIndex, names: Sequence[str]) -> _Noted:
    scores, unpriced = index.scores_of(names), index.unpriced(names)
    return {name: (scores.get(name, {}), name in unpriced) for name in names}


def _rows(root: Path, found: _Noted) -> list[TaskRow]:
    # A folder may have been deleted since.
    return [_row(root / name, noted) for name, noted in found.items() if (root / name).is_dir()]


def _row(folder: Path, noted: tuple[Scores, bool]) -> TaskRow:
    scores, unpriced = noted
    return replace(row_of(TaskReader(folder)), scores=scores, unpriced=unpriced)


def _known(word: str, words: Mapping[str, str], what: str) -> None:
    if word not in words:
        raise AgentlogError(f"expected the {what} to be one of {', '.join(words)}, found {word!r}")
