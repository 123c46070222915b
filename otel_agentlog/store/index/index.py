"""The index of the task folders below a root: SQLite beside the folders, never the truth, made anew from them whenever in doubt.

`TaskIndex.refresh` reads the folders that changed into the tables of `tables`; every question is one statement on these.
"""

# Statements consist of constants of ours; foreign text is bound.
# ruff: noqa: S608

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import orjson

from otel_agentlog._startup import dataclass
from otel_agentlog.store.index import database
from otel_agentlog.store.index.condition import FIELDS, Value
from otel_agentlog.store.index.filter import Filter, where
from otel_agentlog.store.index.refresh import Freshen, Progress, ReadRow, Refresh
from otel_agentlog.store.index.row import IndexRow
from otel_agentlog.store.index.tables import ALL, insert
from otel_agentlog.store.index.words import storable
from otel_agentlog.vocabulary.states import ENDED, STATES, UNSUCCESSFUL

ORDERS: Mapping[str, str] = {
    "newest": "created_ns DESC",
    "oldest": "created_ns",
    "slowest": "duration_us DESC, created_ns DESC",
    "costliest": "cost DESC, created_ns DESC",
    "fastest": "duration_us IS NULL, duration_us, created_ns DESC",
    "cheapest": "cost IS NULL, cost, created_ns DESC",
    "most_tokens": "input_tokens + output_tokens DESC, created_ns DESC",
    "most_errors": "errors DESC, created_ns DESC",
}
"""What comes first, in SQL, where what is not known comes last; among equals the folder's name decides."""

GROUPS: Mapping[str, str] = {
    "user": "task",
    "specialist": "task",
    "agent": "task",
    "model": "ai_call",
    "provider": "ai_call",
    "day": "task",
    "status": "task",
    "tool": "tool_run",
}
"""What can be grouped by, and the rows that are then counted."""

INDEX_FAILED = (sqlite3.Error, OSError, ValueError, TypeError)
"""What is raised where the index cannot be used."""

UNKNOWN = "UNKNOWN"
"""The category of errors that have none."""

MAX_RECHECKED = 1000
"""Folders on a page up to this many are read again before they are returned."""

MAX_STATES = 50
"""Of more different states, which only damaged folders have, the others are not counted apart; SQLite takes few arguments."""

MIN_NS, MAX_NS = -(2**63), 2**63 - 1
"""Times that SQLite can keep."""

_TURNS = 3


class Counted(NamedTuple):
    """How many tasks there are."""

    matching: int
    tasks: int


Scores: TypeAlias = dict[str, float | str]
"""The scores of a task by name."""

_MANY = 500
"""Values that one statement takes."""


class ScoreSums(NamedTuple):
    """The scores of one name."""

    number: int
    """How many have a value."""
    mean: float | None
    scores: int
    """How many there are, with a value or a label."""


PERCENTS = (50, 90, 95, 99)


class Durations(NamedTuple):
    """How long several things took, in microseconds, of those whose duration is known."""

    ranks: tuple[int, ...] = ()
    """For each of `PERCENTS` the smallest that at least so many percent of them did not exceed; empty if there are none."""
    maximum: int = 0
    total: int | float = 0
    number: int = 0


def rank(number: int, percent: int) -> int:
    """The place of a percentile among so many, in their order, from 0."""
    return max(0, -(-number * percent // 100) - 1)


def durations_of(values: list[int]) -> Durations:
    """Put durations in order."""
    # Python sorts floats faster than integers of more than 30 bits, and these have room in them.
    known = sorted(map(float, values))
    if not known:
        return Durations()
    return Durations(tuple(int(known[rank(len(known), percent)]) for percent in PERCENTS), int(known[-1]), sum(known), len(known))


@dataclass(frozen=True, slots=True)
class GroupSums:
    """Sums of several tasks, AI calls or tool runs."""

    durations: Durations
    by_status: dict[str, int]
    """How many have which status; of AI calls and tool runs: running, completed, failed, cancelled."""
    tasks: int
    runs: int
    """How many rows there are: tasks, AI calls or tool runs."""
    cost: int | None
    """In units, of those whose cost is known; ``None`` if none is."""
    unpriced: int
    input_tokens: int
    output_tokens: int
    ai_calls: int
    tool_runs: int
    steps: int
    retries: int
    errors: int


_COST = "CASE WHEN count(cost) THEN sum(cost) END"
_DURATIONS = "json_group_array(duration_us) FILTER (WHERE duration_us IS NOT NULL)"
_TASK_SUMS = (
    f"count(*), count(*), {_COST}, sum(unpriced), sum(input_tokens), sum(output_tokens), sum(ai_calls),"
    " sum(tool_runs), sum(steps), sum(retries), sum(errors)"
)
_RUN_SUMS = {
    "ai_call": f"{_COST}, sum(cost IS NULL AND outcome <> 'running'), sum(input_tokens), sum(output_tokens), count(*), 0",
    "tool_run": "NULL, 0, 0, 0, 0, count(*)",
}
_RUNNING, _COMPLETED = "sum(outcome = 'running')", "sum(outcome = 'completed')"
_FAILED = f"sum(outcome IN {tuple(sorted(UNSUCCESSFUL))})"
_RUN_STATES = (
    f"json_object('running', {_RUNNING}, 'completed', {_COMPLETED}, 'failed', {_FAILED},"
    f" 'cancelled', count(*) - {_RUNNING} - {_COMPLETED} - {_FAILED})"
)
# The next larger one, again and again: the index has them in order, and a hundred thousand rows are not read.
_KNOWN_STATES = (
    "WITH RECURSIVE known (state) AS (SELECT min(status) FROM task UNION ALL"
    " SELECT (SELECT min(status) FROM task WHERE status > state) FROM known WHERE state IS NOT NULL)"
    " SELECT state FROM known WHERE state IS NOT NULL"
)
_TOTALS = (
    "SELECT key, status, tasks, runs, priced, cost, unpriced, input_tokens, output_tokens, ai_calls, tool_runs, steps, retries,"
    " errors, timed, duration_us FROM total WHERE grouped = ? AND runs > 0"
)


_COMPARABLE = f"(task.damage IS NULL AND task.status IN {tuple(sorted(ENDED))})"
_OF_COMPARABLE = f"SELECT id FROM task WHERE {{}} AND {_COMPARABLE}"

_TASK_SUMMED = "cost duration_us input_tokens output_tokens ai_calls tool_runs steps retries errors"
TASK_FIGURES = ("status", *_TASK_SUMMED.split())
"""What is compared of each task."""

COUNTED: Mapping[str, tuple[str, str, str, str]] = {
    "tools": ("tool_run.tool", f"count(*), {_FAILED}", "tool_run", "1"),
    "errors": (f"coalesce(nullif(error.category, ''), '{UNKNOWN}')", "count(*)", "error", "1"),
    "scores": ("score.name", "avg(value)", "score", "value IS NOT NULL"),
}
"""What has names within tasks: the name, its figures in each task, the table, which rows of it; tools: runs, and failed ones."""


class Comparable(NamedTuple):
    """How many tasks can be compared, and how many cannot."""

    tasks: int
    going_on: int
    """They have not ended."""
    damaged: int
    """Their folders could not be read whole."""


class TaskIndex:
    """One root's index, open. For any thread, one at a time; not to be carried over a fork.

    Everything raises one of `INDEX_FAILED` where the index cannot be used.
    """

    def __init__(self, root: Path, read: ReadRow, freshen: Freshen, *, path: str | None = None) -> None:
        self.path = database.choose(root) if path is None else path
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self._connection = database.connect(self.path)
        self._identity = database.identity(self.path)
        self._is_closed = False
        self._refresh = Refresh(root, self._connection, read, freshen)

    @property
    def is_current(self) -> bool:
        """Whether it is open, and its file still the one that has the name."""
        return not self._is_closed and self.pid == os.getpid() and self._identity == database.identity(self.path)

    def refresh(self, progress: Progress | None = None) -> None:
        """Bring it up to date; `progress` is called with how many folders of how many were read."""
        with self.lock:
            self._refresh.run(progress)

    def put(self, rows: Iterable[tuple[str, IndexRow]]) -> None:
        """Put rows in that were not read from folders, each by the name that a folder of it has."""
        with self.lock:
            self._connection.execute("BEGIN IMMEDIATE")
            for name, row in rows:
                insert(self._connection, os.fsencode(name), 0, row)
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self._is_closed = True
            self._connection.close()

    # Which tasks ----------------------------------------------------------------------------------------------------------

    def count(self, wanted: Filter) -> Counted:
        """How many tasks meet a filter, and how many there are."""
        clause, values = where(wanted)
        query = f"SELECT (SELECT count(*) FROM task WHERE {clause}), (SELECT count(*) FROM task)"
        return Counted(*self._rows(query, values)[0])

    def folders(self, wanted: Filter, order: str, limit: int | None = None, offset: int = 0) -> list[str]:
        """The names of the folders of those that meet it in one of `ORDERS`: at most `limit`, after the first `offset`.

        Ended tasks on the page that changed unseen are read again, so that what is shown matches the filter.
        """
        clause, values = where(wanted)
        query = (
            f"SELECT folder.name FROM task JOIN folder USING (id) WHERE {clause} ORDER BY {ORDERS[order]}, folder.name"
            " LIMIT ? OFFSET ?"
        )
        with self.lock:
            for _ in range(_TURNS):
                rows = self._rows(query, [*values, -1 if limit is None else limit, offset])
                found: list[bytes] = [name for (name,) in rows]
                if len(found) > MAX_RECHECKED or not self._refresh.recheck(found):
                    break
        return [os.fsdecode(name) for name in found]

    def ids(self, wanted: Filter, order: str, limit: int | None = None) -> list[str]:
        """The ids of those that meet it, as `folders` has their folders."""
        clause, values = where(wanted)
        ordered = f"{ORDERS[order]}, folder.name LIMIT ?"
        query = f"SELECT task_id, folder.name FROM task JOIN folder USING (id) WHERE {clause} ORDER BY {ordered}"
        return [task_id or os.fsdecode(name) for task_id, name in self._rows(query, [*values, -1 if limit is None else limit])]

    def damaged(self) -> list[tuple[str, str]]:
        """The names of the folders that could not be read whole, each with the first reason."""
        rows = self._rows(
            "SELECT folder.name, damage FROM task JOIN folder USING (id) WHERE damage IS NOT NULL ORDER BY folder.name", ()
        )
        return [(os.fsdecode(name), damage) for name, damage in rows]

    def created(self, wanted: Filter) -> tuple[int, int] | None:
        """When the first and the last of those that meet it were created; ``None`` if there are none."""
        clause, values = where(wanted)
        source = f"FROM task WHERE {clause}"
        query = f"SELECT min(created_ns), max(created_ns) {source}"
        if _is_window(wanted):
            # Each by itself is one look into the index.
            query = f"SELECT * FROM (SELECT min(created_ns) {source}), (SELECT max(created_ns) {source})"
            values = [*values, *values]
        first, last = self._rows(query, values)[0]
        return None if first is None else (first, last)

    def next_created(self, from_ns: int) -> int | None:
        """When the first task was created at this time or later; ``None`` if there is none."""
        first: int | None = self._rows("SELECT min(created_ns) FROM task WHERE created_ns >= ?", [from_ns])[0][0]
        return first

    def _without_idle_bounds(self, wanted: Filter) -> Filter:
        """The filter without bounds of time that all tasks are within."""
        if wanted.since_ns is None and wanted.until_ns is None:
            return wanted
        created = self.created(Filter())
        if created is None:
            return wanted
        since_ns = wanted.since_ns if wanted.since_ns is not None and wanted.since_ns > created[0] else None
        until_ns = wanted.until_ns if wanted.until_ns is not None and wanted.until_ns <= created[1] else None
        return replace(wanted, since_ns=since_ns, until_ns=until_ns)

    # What they sum up to ----------------------------------------------------------------------------------------------------

    def task_sums(self, wanted: Filter, column: str | None = None) -> dict[str | None, GroupSums]:
        """Sums of the tasks that meet a filter by the value of a column; without one by ``None``, of all."""
        clause, values = where(self._without_idle_bounds(wanted))
        if clause == "1":
            found = self._totals(column or ALL, "task")
            return found if column else {None: found.get("", _NOTHING)}
        return self._task_sums(column or "NULL", f"task WHERE {clause}" + (f" GROUP BY {column}" if column else ""), values)

    def span_sums(self, wanted: Filter, spans: Iterable[tuple[int, int]]) -> dict[int, GroupSums]:
        """Sums of those created in spans of time (from, to before), by the start of the span, in order; no empty ones."""
        since = MIN_NS if wanted.since_ns is None else wanted.since_ns
        until = MAX_NS if wanted.until_ns is None else wanted.until_ns
        # The bounds narrow the spans: beside these SQLite would begin each span at the filter's.
        clause, values = where(replace(wanted, since_ns=None, until_ns=None))
        rows = [(start, max(start, since), min(end, until)) for start, end in spans]
        source = f"span CROSS JOIN task ON created_ns >= begin AND created_ns < until WHERE {clause} GROUP BY start"
        with self.lock:
            self._connection.execute("DELETE FROM span")
            self._connection.executemany("INSERT INTO span VALUES (?, ?, ?)", rows)
            return self._task_sums("start", source, values)

    def _task_sums(self, key: str, source: str, values: list[Value]) -> dict[Any, GroupSums]:
        found = sorted((status for (status,) in self._rows(_KNOWN_STATES, [])), key=_is_unknown)
        states: list[Value] = found[:MAX_STATES]
        by_status = f"json_object({', '.join(['?, sum(status = ?)'] * len(states))})"
        bound = [state for state in states for _ in range(2)]
        return self._sums(f"SELECT {key}, {_DURATIONS}, {by_status}, {_TASK_SUMS} FROM {source}", [*bound, *values])

    def run_sums(self, wanted: Filter, column: str) -> dict[str | None, GroupSums]:
        """Sums of the AI calls by ``model`` or ``provider``, or of the tool runs by ``tool``, of the tasks that meet a filter."""
        table, wanted = GROUPS[column], self._without_idle_bounds(wanted)
        clause, values = where(wanted)
        if clause == "1":
            return self._totals(column, table)
        sums = f"sum(first_of_{column}), count(*), {_RUN_SUMS[table]}, 0, sum(retries), {_FAILED}"
        figures = f"{_DURATIONS}, {_RUN_STATES}, {sums}"
        if not _is_window(wanted):
            narrowed = f"{table} WHERE task IN (SELECT id FROM task WHERE {clause})"
            return self._sums(f"SELECT {column}, {figures} FROM {narrowed} GROUP BY {column}", values)
        with self.lock:
            # One name after another, so that the index has the rows of each together and by their time.
            self._connection.execute("DELETE FROM wanted_key")
            names = "SELECT DISTINCT NULL, nullif(key, x'') FROM total WHERE grouped = ?"
            self._connection.execute(f"INSERT INTO wanted_key {names}", (column,))
            source = f"wanted_key CROSS JOIN {table} ON {column} IS key AND {clause} GROUP BY wanted_key.number"
            return self._sums(f"SELECT key, {figures} FROM {source}", values)

    def _totals(self, grouped: str, table: str) -> dict[Any, GroupSums]:
        """Sums of all rows of a table by what they are grouped by."""
        by_key: dict[Any, list[Any]] = {}
        for key, *figures in self._rows(_TOTALS, (grouped,)):
            by_key.setdefault(key, []).append(figures)
        return {None if key == b"" else key: self._total(grouped, table, key, rows) for key, rows in by_key.items()}

    def _total(self, grouped: str, table: str, key: str | bytes, rows: list[Any]) -> GroupSums:
        by_status = {status: runs for status, _, runs, *_ in sorted(rows, key=lambda row: (_is_unknown(row[0]), row[0]))}
        sums = [int(sum(column)) for column in list(zip(*rows, strict=True))[1:]]
        tasks, runs, priced, cost, *more, timed, duration_us = sums
        durations = self._durations(grouped, table, key, timed)._replace(total=duration_us) if timed else Durations()
        shown = dict(sorted(list(by_status.items())[:MAX_STATES]))
        return GroupSums(durations, shown, tasks, runs, cost if priced else None, *more)

    def _durations(self, grouped: str, table: str, key: str | bytes, number: int) -> Durations:
        """What stands at the places of the percentiles, of so many durations."""
        clause, bound = ("1", []) if grouped == ALL else (f"{grouped} IS ?", [None if key == b"" else key])
        known = f"SELECT duration_us FROM {table} WHERE {clause} AND duration_us NOT NULL ORDER BY duration_us"
        places = [*(rank(number, percent) for percent in PERCENTS), number - 1]
        # Counted from the nearer end.
        ends = [("", at) if at < number // 2 else ("DESC", number - 1 - at) for at in places]
        query = ", ".join(f"({known} {order} LIMIT 1 OFFSET ?)" for order, _ in ends)
        *ranks, maximum = self._rows(f"SELECT {query}", [value for _, at in ends for value in (*bound, at)])[0]
        return Durations(tuple(ranks), maximum, 0, number)

    def _sums(self, query: str, values: list[Value]) -> dict[Any, GroupSums]:
        try:
            rows = self._rows(query, values)
        except sqlite3.OperationalError as error:
            if "overflow" not in str(error):
                raise
            # Only damaged folders come to more than 64 bits; floating point is near enough for them.
            rows = self._rows(query.replace("sum(", "total("), values)
        return {key: _group_sums(*figures) for key, *figures in rows}

    def score_sums(self, wanted: Filter, key: str | None = None) -> dict[Any, dict[str, ScoreSums]]:
        """Of the scores of the tasks that meet a filter, by a column and by name, how many have a value, and their mean.

        ``key`` is a column of ``task``, or what AI calls and tool runs are grouped by, of a task that has any such call or run.
        """
        clause, values = where(self._without_idle_bounds(wanted))
        table = GROUPS.get(key or "", "task")
        of_key, source = (key or "NULL"), "score CROSS JOIN task ON task.id = score.task"
        if table != "task":
            # A task that called two models has its scores count for both.
            of_key, source = "named.name", f"{source} JOIN (SELECT DISTINCT task, {key} AS name FROM {table}) named USING (task)"
        figures = "count(value), avg(value), count(*)"
        query = f"SELECT {of_key}, score.name, {figures} FROM {source} WHERE {clause} GROUP BY 1, 2 ORDER BY 5 DESC, 2"
        found: dict[Any, dict[str, ScoreSums]] = {}
        for each, name, *sums in self._rows(query, values):
            found.setdefault(each, {})[name] = ScoreSums(*sums)
        return found

    def scores_of(self, folders: Sequence[str]) -> dict[str, Scores]:
        """By the name of each of these folders that has scores: for each name their mean, or a label where none has a value."""
        found: dict[str, Scores] = {}
        select = "SELECT folder.name, score.name, avg(value), max(label) FROM folder JOIN score ON score.task = folder.id"
        rows = self._of_folders(select, folders, "GROUP BY 1, 2 ORDER BY min(score.rowid)")
        for folder, name, mean, label in rows:
            found.setdefault(os.fsdecode(folder), {})[name] = label or "" if mean is None else round(mean, 6)
        return found

    def unpriced(self, folders: Sequence[str]) -> set[str]:
        """The names of those of these folders whose tasks have something in them without a known price."""
        rows = self._of_folders("SELECT folder.name FROM folder JOIN task USING (id)", folders, "AND unpriced")
        return {os.fsdecode(name) for (name,) in rows}

    def _of_folders(self, select: str, folders: Sequence[str], rest: str) -> Iterator[Any]:
        """The rows of these folders, however many; ``rest`` follows the condition on their names."""
        for at in range(0, len(folders), _MANY):
            some = [os.fsencode(each) for each in folders[at : at + _MANY]]
            yield from self._rows(f"{select} WHERE folder.name IN ({', '.join('?' * len(some))}) {rest}", some)

    def errors_by_category(self, wanted: Filter) -> dict[str, int]:
        """How many errors of each category the tasks that meet a filter have, the most frequent first."""
        clause, values = where(self._without_idle_bounds(wanted))
        source = "error" if clause == "1" else f"error CROSS JOIN task ON task.id = error.task WHERE {clause}"
        query = f"SELECT coalesce(nullif(error.category, ''), '{UNKNOWN}'), count(*) FROM {source} GROUP BY 1 ORDER BY 2 DESC, 1"
        return dict(self._rows(query, values))

    def folders_with_errors(self, error_id: str | None = None) -> list[str]:
        """The names of the folders whose lines speak of an error, or of any, and of those of tasks that go on."""
        ids, values = ("named", []) if error_id is None else ("named WHERE error_id = ?", [storable(error_id)])
        query = f"SELECT name FROM folder WHERE NOT settled OR id IN (SELECT task FROM {ids})"
        return [os.fsdecode(name) for (name,) in self._rows(query, values)]

    def values(self, field: str, pattern: str, limit: int) -> list[tuple[str, int]]:
        """Values of a field of `FIELDS` that are like a pattern, each with how many tasks have it, the most frequent first."""
        known = FIELDS[field].values
        if not known:
            return []
        query = f"SELECT value, tasks FROM ({known}) WHERE is_like(value, ?) ORDER BY tasks DESC, value LIMIT ?"
        return [(value, tasks) for value, tasks in self._rows(query, (storable(pattern), limit))]

    def score_labels(self, name: str, pattern: str, limit: int) -> list[tuple[str, int]]:
        """Labels of scores of a name, as `values`."""
        query = (
            "SELECT label, count(DISTINCT task) AS tasks FROM score WHERE name = ? AND label IS NOT NULL AND is_like(label, ?)"
            " GROUP BY label ORDER BY tasks DESC, label LIMIT ?"
        )
        return [(label, tasks) for label, tasks in self._rows(query, (storable(name), storable(pattern), limit))]

    # Task by task ---------------------------------------------------------------------------------------------------------

    def comparable(self, wanted: Filter) -> Comparable:
        """How many of those that meet a filter can be compared, and why the others cannot."""
        clause, values = where(wanted)
        counts = f"count(*), total({_COMPARABLE}), total(damage IS NOT NULL)"
        every, ended, damaged = self._rows(f"SELECT {counts} FROM task WHERE {clause}", values)[0]
        return Comparable(int(ended), int(every - ended - damaged), int(damaged))

    def ended_tasks(self, wanted: Filter) -> Iterator[tuple[Any, ...]]:
        """Of each that can be compared, by the name of its folder: that name and the values of `TASK_FIGURES`."""
        clause, values = where(wanted)
        figures = f"SELECT folder.name, {', '.join(f'task.{figure}' for figure in TASK_FIGURES)} FROM task JOIN folder USING (id)"
        return self._each(f"{figures} WHERE {clause} AND {_COMPARABLE} ORDER BY folder.name", values)

    def most_frequent(self, wanted: Filter, counted: str, limit: int) -> list[tuple[str, int]]:
        """The most frequent names of one of `COUNTED` in those that can be compared, each with how often it is there."""
        named, _, table, known = COUNTED[counted]
        clause, values = where(wanted)
        query = f"SELECT {named}, count(*) FROM {table} WHERE {known} AND {table}.task IN ({_OF_COMPARABLE.format(clause)})"
        return [(name, count) for name, count in self._rows(f"{query} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?", [*values, limit])]

    def counts(self, wanted: Filter, counted: str) -> Iterator[tuple[Any, ...]]:
        """One of `COUNTED` in each task that can be compared: the folder, the name of what is counted, its figures."""
        named, figures, table, known = COUNTED[counted]
        clause, values = where(wanted)
        source = f"FROM {table} JOIN folder ON folder.id = {table}.task WHERE {known} AND {table}.task IN"
        query = f"SELECT folder.name, {named}, {figures} {source} ({_OF_COMPARABLE.format(clause)}) GROUP BY {table}.task, 2"
        return self._each(query, values)

    def _each(self, query: str, values: Sequence[Value | None]) -> Iterator[tuple[Any, ...]]:
        # Row by row, as there may be very many.
        with self.lock:
            yield from self._connection.execute(query, values)

    def _rows(self, query: str, values: Sequence[Value | None]) -> list[Any]:
        with self.lock:
            return self._connection.execute(query, values).fetchall()


def _is_unknown(status: str) -> bool:
    return status not in STATES


def _group_sums(durations: str, by_status: str, *sums: int | float | None) -> GroupSums:
    """Sums from a row of SQL, in which a sum of nothing is NULL and one beyond 64 bits a float."""
    tasks, runs, cost, *more = [None if value is None else int(value) for value in sums]
    counts = {status: int(count) for status, count in sorted(orjson.loads(by_status).items()) if count}
    figures: list[Any] = [tasks or 0, runs or 0, cost, *(value or 0 for value in more)]
    return GroupSums(durations_of(orjson.loads(durations)), counts, *figures)


_NOTHING = GroupSums(Durations(), {}, 0, 0, None, *[0] * 8)


def _is_window(wanted: Filter) -> bool:
    """Whether a filter asks for nothing but a time."""
    return where(replace(wanted, since_ns=None, until_ns=None))[0] == "1"


def is_busy(error: BaseException) -> bool:
    """Whether the index is whole, and only another process kept it for too long."""
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
