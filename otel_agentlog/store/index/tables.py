"""The tables of the index, and how a task gets into them and out of them. Within the caller's transaction.

======== ==================================================================================================================
folder   the folders read below the root, tasks or not, with a signature of its files
task     one row a task; its id is the folder's
live     what is needed besides to keep the row of a task that has not ended up to date
ai_call  one row a call; ``first_of_…`` is 1 in one row for each model and provider of a task, so that their sum counts tasks
tool_run one row a run, likewise
error    one row an error
tag      one row a tag
score    one row a score that counts
called   the models, providers and tools of a task, each once: its own, and those of its calls and runs
named    the ids of the errors that its lines speak of
total    what all tasks, calls and runs sum up to, by each value of what they are grouped by and by status; triggers keep it
word     full-text index (FTS5) of the words of a task, by its id; it does not hold them
======== ==================================================================================================================

The indexes ``…_by_…`` hold every column that is summed up, so that grouping needs no sorting and no access to the table. Those
on a name and ``duration_us`` give percentiles: the value at a place is found by counting.
"""

# Statements consist of constants of ours; foreign text is bound.
# ruff: noqa: S608

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from otel_agentlog.store.index.row import IndexRow
from otel_agentlog.store.index.words import storable
from otel_agentlog.vocabulary.states import UNSUCCESSFUL

_TASK = (
    *("created_ns", "duration_us", "cost", "unpriced", "input_tokens", "output_tokens"),
    *("ai_calls", "tool_runs", "steps", "retries", "errors"),
    *("status", "agent", "agent_type", "user", "specialist", "source", "provider", "model"),
    *("parent_task_id", "session_id", "correlation_id", "damage", "task_id", "name"),
)
"""Columns of ``task`` after its id; fields of `IndexRow`."""

_SUMMED = "duration_us, status, cost, unpriced, input_tokens, output_tokens, ai_calls, tool_runs, steps, retries, errors"
_SPENT = "duration_us, outcome, cost, input_tokens, output_tokens, retries"

ALL = "all"
"""In ``total`` what all tasks have in common."""

_FAILED = f"IN {tuple(sorted(UNSUCCESSFUL))}"
_OUTCOME = (
    f"CASE WHEN @.outcome {_FAILED} THEN 'failed' WHEN @.outcome IN ('running', 'completed') THEN @.outcome ELSE 'cancelled' END"
)
_TOTALLED = (
    *("runs", "tasks", "priced", "unpriced", "cost", "input_tokens", "output_tokens", "ai_calls", "tool_runs", "steps"),
    *("retries", "errors", "timed", "duration_us"),
)
_PRICED, _COST = "@.cost IS NOT NULL", "coalesce(@.cost, 0)"
_TIMED = "@.duration_us IS NOT NULL, coalesce(@.duration_us, 0)"
_OF_TASKS = (
    f"1, 1, {_PRICED}, @.unpriced, {_COST}, @.input_tokens, @.output_tokens, @.ai_calls, @.tool_runs, @.steps,"
    f" @.retries, @.errors, {_TIMED}"
)
_OF_AI_CALLS = (
    f"1, @.first_of_#, {_PRICED}, @.cost IS NULL AND @.outcome <> 'running', {_COST}, @.input_tokens, @.output_tokens, 1, 0, 0,"
    f" @.retries, @.outcome {_FAILED}, {_TIMED}"
)
_OF_TOOL_RUNS = f"1, @.first_of_#, 0, 0, 0, 0, 0, 0, 1, 0, @.retries, @.outcome {_FAILED}, {_TIMED}"
_TOTALS: Mapping[str, tuple[str, str, str]] = {
    **dict.fromkeys((ALL, "status", "agent", "user", "specialist"), ("task", "@.status", _OF_TASKS)),
    **{key: ("ai_call", _OUTCOME, _OF_AI_CALLS.replace("#", key)) for key in ("model", "provider")},
    "tool": ("tool_run", _OUTCOME, _OF_TOOL_RUNS.replace("#", "tool")),
}
"""By what is grouped: the table, the status under which a row is counted, and what it adds to the columns of ``total``."""


def _triggers() -> Iterator[str]:
    for table in ("task", "ai_call", "tool_run"):
        keys = [key for key, (of, _, _) in _TOTALS.items() if of == table]
        add, take = (" ".join(_total(key, row, sign) for key in keys) for row, sign in (("NEW", "+"), ("OLD", "-")))
        yield f"CREATE TRIGGER {table}_in AFTER INSERT ON {table} BEGIN {add} END"
        yield f"CREATE TRIGGER {table}_out AFTER DELETE ON {table} BEGIN {take} END"
        if table == "task":
            yield f"CREATE TRIGGER {table}_goes_on AFTER UPDATE ON {table} BEGIN {take} {add} END"


def _total(key: str, row: str, sign: str) -> str:
    _, status, adds = _TOTALS[key]
    named = "''" if key == ALL else f"coalesce({row}.{key}, x'')"
    adding = ", ".join(f"{column} = {column} {sign} excluded.{column}" for column in _TOTALLED)
    values = f"'{key}', {named}, {status}, {adds}".replace("@", row)
    return f"INSERT INTO total VALUES ({values}) ON CONFLICT DO UPDATE SET {adding};"


TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE folder (id INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB NOT NULL UNIQUE, signature INTEGER NOT NULL,"
    " settled INTEGER NOT NULL)",
    "CREATE TABLE task (id INTEGER PRIMARY KEY, created_ns INTEGER NOT NULL, duration_us INTEGER, cost INTEGER,"
    " unpriced INTEGER NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,"
    " ai_calls INTEGER NOT NULL, tool_runs INTEGER NOT NULL,"
    " steps INTEGER NOT NULL, retries INTEGER NOT NULL, errors INTEGER NOT NULL, status TEXT NOT NULL, agent TEXT,"
    " agent_type TEXT, user TEXT, specialist TEXT, source TEXT, provider TEXT, model TEXT, parent_task_id TEXT,"
    " session_id TEXT, correlation_id TEXT, damage TEXT, task_id TEXT, name TEXT)",
    "CREATE TABLE live (id INTEGER PRIMARY KEY, started_ns INTEGER, recorded_duration_us INTEGER, words TEXT NOT NULL)",
    "CREATE TABLE ai_call (task INTEGER, number INTEGER, created_ns INTEGER, model TEXT NOT NULL, provider TEXT,"
    " outcome TEXT NOT NULL,"
    " duration_us INTEGER, cost INTEGER, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,"
    " retries INTEGER NOT NULL, first_of_model INTEGER NOT NULL, first_of_provider INTEGER NOT NULL,"
    " PRIMARY KEY (task, number)) WITHOUT ROWID",
    "CREATE TABLE tool_run (task INTEGER, number INTEGER, created_ns INTEGER, tool TEXT NOT NULL,"
    " outcome TEXT NOT NULL, duration_us INTEGER,"
    " retries INTEGER NOT NULL, first_of_tool INTEGER NOT NULL, PRIMARY KEY (task, number)) WITHOUT ROWID",
    "CREATE TABLE error (task INTEGER NOT NULL, category TEXT, category_key TEXT)",
    "CREATE TABLE tag (tag TEXT NOT NULL, task INTEGER NOT NULL, PRIMARY KEY (tag, task)) WITHOUT ROWID",
    "CREATE TABLE score (task INTEGER NOT NULL, name TEXT NOT NULL, value REAL, label TEXT)",
    "CREATE TABLE called (kind TEXT NOT NULL, name TEXT NOT NULL, task INTEGER NOT NULL, PRIMARY KEY (kind, name, task))"
    " WITHOUT ROWID",
    "CREATE TABLE named (error_id TEXT NOT NULL, task INTEGER NOT NULL, PRIMARY KEY (error_id, task)) WITHOUT ROWID",
    "CREATE TABLE total (grouped TEXT NOT NULL, key NOT NULL, status TEXT NOT NULL,"
    f" {', '.join(f'{column} INTEGER NOT NULL' for column in _TOTALLED)}, PRIMARY KEY (grouped, key, status)) WITHOUT ROWID",
    "CREATE VIRTUAL TABLE word USING fts5(words, content='', detail=none, columnsize=0, tokenize=\"ascii tokenchars '_'\")",
    "CREATE INDEX folder_live ON folder (id) WHERE NOT settled",
    f"CREATE INDEX task_by_time ON task (created_ns, {_SUMMED})",
    *(f"CREATE INDEX task_by_{key} ON task ({key}, created_ns, {_SUMMED})" for key in ("agent", "user", "specialist")),
    f"CREATE INDEX task_by_status ON task (status, created_ns, {_SUMMED.replace('status, ', '')})",
    "CREATE INDEX task_duration ON task (duration_us, created_ns)",
    "CREATE INDEX task_cost ON task (cost, created_ns)",
    *(
        f"CREATE INDEX task_{key} ON task ({key}) WHERE {key} IS NOT NULL"
        for key in ("parent_task_id", "session_id", "correlation_id", "damage")
    ),
    f"CREATE INDEX ai_call_by_model ON ai_call (model, created_ns, {_SPENT}, first_of_model)",
    f"CREATE INDEX ai_call_by_provider ON ai_call (provider, created_ns, {_SPENT}, first_of_provider)",
    "CREATE INDEX tool_run_by_tool ON tool_run (tool, created_ns, duration_us, outcome, retries, first_of_tool)",
    *(
        f"CREATE INDEX {table}_{key}_durations ON {table} ({key}, duration_us)"
        for key, (table, _, _) in _TOTALS.items()
        if key != ALL
    ),
    "CREATE INDEX called_task ON called (task)",
    "CREATE INDEX named_task ON named (task)",
    "CREATE INDEX tag_task ON tag (task)",
    "CREATE INDEX score_task ON score (task, name, value)",
    "CREATE INDEX score_name ON score (name, task, value)",
    "CREATE INDEX error_task ON error (task, category)",
    "CREATE INDEX error_category ON error (category_key, task)",
    *_triggers(),
)

_OF_TASK = (
    *(("task", "id"), ("ai_call", "task"), ("tool_run", "task"), ("error", "task"), ("tag", "task"), ("called", "task")),
    *(("named", "task"), ("score", "task"), ("folder", "id")),
)


class LiveTask(NamedTuple):
    """A task that had not ended when its folder was read."""

    id: int
    folder: bytes
    status: str
    duration_us: int | None
    started_ns: int | None
    recorded_duration_us: int | None


def insert(connection: sqlite3.Connection, folder: bytes, signature: int, row: IndexRow | None) -> None:
    """Put what a folder holds in, ``None`` if that is no task, in place of what it held before."""
    remove(connection, [folder])
    values = (folder, signature, row is not None and row.settled)
    task = connection.execute("INSERT INTO folder (name, signature, settled) VALUES (?, ?, ?)", values).lastrowid or 0
    if row is None:
        return
    _insert(connection, "task", [(task, *(_stored(getattr(row, column)) for column in _TASK))])
    _insert(connection, "ai_call", _ai_calls(task, row))
    _insert(connection, "tool_run", _tool_runs(task, row))
    _insert(connection, "called", [(kind, name, task) for kind, name in _called(row)])
    _insert(connection, "named", [(error_id, task) for error_id in {storable(each) for each in row.error_ids}])
    categories = [(category, (category or "").upper() or None) for category in row.error_categories]
    _insert(connection, "error", [(task, *map(_stored, category)) for category in categories])
    _insert(connection, "tag", [(tag, task) for tag in {storable(tag) for tag in row.tags}])
    _insert(connection, "score", [(task, storable(each.name), each.value, _stored(each.label)) for each in row.scores])
    words = " ".join(sorted(row.words))
    connection.execute("INSERT INTO word (rowid, words) VALUES (?, ?)", (task, words))
    if not row.settled:
        _insert(connection, "live", [(task, row.started_ns, row.recorded_duration_us, words)])


def _insert(connection: sqlite3.Connection, table: str, rows: Iterable[tuple[object, ...]]) -> None:
    found = list(rows)
    if found:
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(found[0]))})", found)


def _called(row: IndexRow) -> set[tuple[str, str]]:
    found = [("model", row.model), ("provider", row.provider)]
    for run in row.runs:
        found += [("tool", run.name)] if run.kind == "tool_run" else [("model", run.name), ("provider", run.provider)]
    return {(kind, storable(name)) for kind, name in found if name is not None}


def _ai_calls(task: int, row: IndexRow) -> Iterator[tuple[object, ...]]:
    models, providers = _First(), _First()
    for number, run in enumerate(row.runs):
        if run.kind == "ai_call":
            names, spent = (storable(run.name), _stored(run.provider), storable(run.outcome)), (run.duration_us, run.cost)
            tokens = (run.input_tokens, run.output_tokens, run.retries)
            yield task, number, row.created_ns, *names, *spent, *tokens, models.is_new(run.name), providers.is_new(run.provider)


def _tool_runs(task: int, row: IndexRow) -> Iterator[tuple[object, ...]]:
    tools = _First()
    for number, run in enumerate(row.runs):
        if run.kind == "tool_run":
            named = storable(run.name), storable(run.outcome)
            yield task, number, row.created_ns, *named, run.duration_us, run.retries, tools.is_new(run.name)


class _First:
    def __init__(self) -> None:
        self._seen: set[str | None] = set()

    def is_new(self, name: str | None) -> bool:
        """Whether this name was not there before."""
        known = name in self._seen
        self._seen.add(name)
        return not known


def _stored(value: object) -> object:
    return storable(value) if isinstance(value, str) else value


def remove(connection: sqlite3.Connection, folders: Iterable[bytes]) -> int:
    """Take folders out, and return how many ended tasks these were, the words of which stay: nothing refers to them any more."""
    gone = 0
    for folder in folders:
        row = connection.execute("SELECT id FROM folder WHERE name = ?", (folder,)).fetchone()
        if row is None:
            continue
        live = connection.execute("SELECT id, words FROM live WHERE id = ?", row).fetchone()
        if live is not None:
            # Words can only be taken out by naming them; they are kept for tasks that change often.
            connection.execute("INSERT INTO word (word, rowid, words) VALUES ('delete', ?, ?)", live)
            connection.execute("DELETE FROM live WHERE id = ?", row)
        found = [connection.execute(f"DELETE FROM {table} WHERE {key} = ?", row).rowcount for table, key in _OF_TASK]
        gone += live is None and found[0] > 0
    return gone


def live_tasks(connection: sqlite3.Connection) -> list[LiveTask]:
    """The tasks that had not ended when their folders were read."""
    query = (
        "SELECT live.id, folder.name, status, duration_us, started_ns, recorded_duration_us"
        " FROM live CROSS JOIN task USING (id) CROSS JOIN folder USING (id)"
    )
    return [LiveTask(*row) for row in connection.execute(query)]
