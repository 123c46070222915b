"""The tables of the index, and how a task gets into them and out of them. Within the caller's transaction.

======== ==================================================================================================================
folder   the folders read below the root, tasks or not, with a signature of its files
task     one row a task; its id is the folder's
live     what is needed besides to keep the row of a task that has not ended up to date
ai_call  one row a call; ``first_of_…`` is 1 in one row for each model and provider of a task, so that their sum counts tasks
tool_run one row a run, likewise
error    one row an error
tag      one row a tag
word     full-text index (FTS5) of the words of a task, by its id; it does not hold them
======== ==================================================================================================================

The indexes ``…_by_…`` hold every column that is summed up, so that grouping needs no sorting and no access to the table.
"""

# Statements consist of constants of ours; foreign text is bound.
# ruff: noqa: S608

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from otel_agentlog.store.index.row import IndexRow, RunRow
from otel_agentlog.store.index.words import storable

_TASK = (
    *("created_ns", "duration_us", "cost", "input_tokens", "output_tokens"),
    *("ai_calls", "tool_runs", "steps", "retries", "errors"),
    *("status", "agent", "agent_type", "user", "specialist", "source", "provider", "model"),
    *("parent_task_id", "session_id", "correlation_id", "damage"),
)
"""Columns of ``task`` after its id; fields of `IndexRow`."""

_SUMMED = "duration_us, status, cost, input_tokens, output_tokens, ai_calls, tool_runs, steps, retries, errors"
_SPENT = "duration_us, outcome, cost, input_tokens, output_tokens, retries"

TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE folder (id INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB NOT NULL UNIQUE, signature INTEGER NOT NULL,"
    " settled INTEGER NOT NULL)",
    "CREATE TABLE task (id INTEGER PRIMARY KEY, created_ns INTEGER NOT NULL, duration_us INTEGER, cost INTEGER,"
    " input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, ai_calls INTEGER NOT NULL, tool_runs INTEGER NOT NULL,"
    " steps INTEGER NOT NULL, retries INTEGER NOT NULL, errors INTEGER NOT NULL, status TEXT NOT NULL, agent TEXT,"
    " agent_type TEXT, user TEXT, specialist TEXT, source TEXT, provider TEXT, model TEXT, parent_task_id TEXT,"
    " session_id TEXT, correlation_id TEXT, damage TEXT)",
    "CREATE TABLE live (id INTEGER PRIMARY KEY, started_ns INTEGER, recorded_duration_us INTEGER, words TEXT NOT NULL)",
    "CREATE TABLE ai_call (task INTEGER, number INTEGER, model TEXT NOT NULL, provider TEXT, outcome TEXT NOT NULL,"
    " duration_us INTEGER, cost INTEGER, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,"
    " retries INTEGER NOT NULL, first_of_model INTEGER NOT NULL, first_of_provider INTEGER NOT NULL,"
    " PRIMARY KEY (task, number)) WITHOUT ROWID",
    "CREATE TABLE tool_run (task INTEGER, number INTEGER, tool TEXT NOT NULL, outcome TEXT NOT NULL, duration_us INTEGER,"
    " retries INTEGER NOT NULL, first_of_tool INTEGER NOT NULL, PRIMARY KEY (task, number)) WITHOUT ROWID",
    "CREATE TABLE error (task INTEGER NOT NULL, category TEXT, category_key TEXT)",
    "CREATE TABLE tag (tag TEXT NOT NULL, task INTEGER NOT NULL, PRIMARY KEY (tag, task)) WITHOUT ROWID",
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
    f"CREATE INDEX ai_call_by_model ON ai_call (model, {_SPENT}, first_of_model)",
    f"CREATE INDEX ai_call_by_provider ON ai_call (provider, {_SPENT}, first_of_provider)",
    "CREATE INDEX tool_run_by_tool ON tool_run (tool, duration_us, outcome, retries, first_of_tool)",
    "CREATE INDEX tag_task ON tag (task)",
    "CREATE INDEX error_task ON error (task, category)",
    "CREATE INDEX error_category ON error (category_key, task)",
)

_OF_TASK = (("task", "id"), ("ai_call", "task"), ("tool_run", "task"), ("error", "task"), ("tag", "task"), ("folder", "id"))


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
    _insert(connection, "ai_call", _ai_calls(task, row.runs))
    _insert(connection, "tool_run", _tool_runs(task, row.runs))
    categories = [(category, (category or "").upper() or None) for category in row.error_categories]
    _insert(connection, "error", [(task, *map(_stored, category)) for category in categories])
    _insert(connection, "tag", [(tag, task) for tag in {storable(tag) for tag in row.tags}])
    words = " ".join(sorted(row.words))
    connection.execute("INSERT INTO word (rowid, words) VALUES (?, ?)", (task, words))
    if not row.settled:
        _insert(connection, "live", [(task, row.started_ns, row.recorded_duration_us, words)])


def _insert(connection: sqlite3.Connection, table: str, rows: Iterable[tuple[object, ...]]) -> None:
    found = list(rows)
    if found:
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(found[0]))})", found)


def _ai_calls(task: int, runs: Iterable[RunRow]) -> Iterator[tuple[object, ...]]:
    models, providers = _First(), _First()
    for number, run in enumerate(runs):
        if run.kind == "ai_call":
            names, spent = (storable(run.name), _stored(run.provider), storable(run.outcome)), (run.duration_us, run.cost)
            tokens = (run.input_tokens, run.output_tokens, run.retries)
            yield task, number, *names, *spent, *tokens, models.is_new(run.name), providers.is_new(run.provider)


def _tool_runs(task: int, runs: Iterable[RunRow]) -> Iterator[tuple[object, ...]]:
    tools = _First()
    for number, run in enumerate(runs):
        if run.kind == "tool_run":
            yield task, number, storable(run.name), storable(run.outcome), run.duration_us, run.retries, tools.is_new(run.name)


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
