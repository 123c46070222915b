"""The parts of tasks on disk, from the acknowledgement of a request on: a database that survives ``kill -9`` and a power cut.

It is written by two processes: one adds what comes, one notes what has been filed. A part is kept after it has been filed for as
long as late ones of its task are expected, which are then filed with it. Bodies that are to be forwarded wait in it, too, as they
came.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import orjson

import otel_agentlog._platform as system
from otel_agentlog._startup import dataclass
from otel_agentlog.store.folder.files import open_directory
from otel_agentlog.store.folder.layout import FILE_MODE, FOLDER_MODE
from otel_agentlog.tools.collect import HOME
from otel_agentlog.tools.collect.parts import OWN_TASK, TaskPart, span_of
from otel_agentlog.tools.imports.readers.spans import TracedLog, TracedSpan
from otel_agentlog.tools.imports.spool import Spool

_WAIT_S = 60.0
"""Longest time, in seconds, to wait for the other process to end a transaction."""

_DELETED_AT_ONCE = 5_000

IDS_KEPT_S = 86_400.0
"""Seconds for which the ids of log records are kept after their task was forgotten: by them it is seen what is sent again, which
of spans is seen by the folder."""

_FORGETTING, _FORGOTTEN = -1, 0
"""Versions of a task: its parts are being deleted, are all deleted."""

_LARGEST_WAL = 64 * 1024 * 1024

_TABLES = """
CREATE TABLE IF NOT EXISTS part (trace TEXT, kind TEXT, id TEXT, at INTEGER, data BLOB, PRIMARY KEY (trace, kind, id));
CREATE TABLE IF NOT EXISTS task (
    key TEXT PRIMARY KEY, since REAL, last REAL, root INTEGER, version INTEGER, filings INTEGER DEFAULT 0, filed REAL,
    folder TEXT, problem TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS due ON task (since) WHERE since IS NOT NULL;
CREATE TABLE IF NOT EXISTS outgoing (id INTEGER PRIMARY KEY, signal TEXT, kind TEXT, body BLOB);
"""
_ADD_PART = "INSERT OR IGNORE INTO part VALUES (?, ?, ?, ?, ?)"
_REPLACE_PART = "INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?)"
_ADD_TASK = """
INSERT INTO task (key, since, last, root, version) VALUES (?, ?, ?, ?, 1) ON CONFLICT (key) DO UPDATE SET
    since = COALESCE(since, excluded.since), last = excluded.last, root = MAX(root, excluded.root),
    version = MAX(version, 0) + 1, problem = NULL
"""


class Outgoing(NamedTuple):
    """A body that is to be forwarded."""

    id: int
    signal: str
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Due:
    """A task with parts that are not in its folder."""

    key: str
    has_root: bool
    version: int
    filings: int
    """How often it has been filed before."""


class CollectSpool(Spool):
    """The spool below a root; for one thread."""

    def __init__(self, root: Path) -> None:
        """Raises `OSError` and `sqlite3.Error`."""
        home = root / HOME
        home.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        open_directory(os.fspath(home)).close()
        path = home / "spool.db"
        # Opened here for its mode, which SQLite gives to the files beside it, and as no link is followed.
        os.close(system.open(path, system.UPDATE | os.O_CREAT, FILE_MODE))
        self._database = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)
        try:
            self._database.executescript(
                f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit={_LARGEST_WAL}; {_TABLES}"
            )
        except BaseException:  # there is no spool then that could be closed
            self._database.close()
            raise

    # -- what comes -------------------------------------------------------------------------------------------------------

    def keep(self, batches: Sequence[Sequence[TaskPart]], outgoing: Iterable[tuple[str, str, bytes]]) -> int:
        """Keep parts and bodies, on disk when it returns; how many parts are there already. All or nothing.

        Raises `sqlite3.Error`: the disk is full.
        """
        now, doubled = time.time(), 0
        with self._transaction() as database:
            for batch in batches:
                for key, found in groupby(batch, lambda part: part.task):
                    doubled += self._keep(key, list(found), now)
            database.executemany("INSERT INTO outgoing (signal, kind, body) VALUES (?, ?, ?)", outgoing)
        return doubled

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A block whose changes are made all, or none."""
        database = self._database
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise

    def _keep(self, key: str, parts: list[TaskPart], now: float) -> int:
        database = self._database
        if database.execute("SELECT 1 FROM task WHERE key = ? AND version = ?", (key, _FORGETTING)).fetchone():
            # What is left of it is in a folder, which what comes now is not.
            database.execute("DELETE FROM part WHERE trace = ? AND kind NOT IN ('log', 'own')", (key,))
            database.execute("UPDATE part SET data = NULL WHERE trace = ? AND kind = 'log'", (key,))
        items = [each for each in parts if each.kind in ("span", "log")]
        before = database.total_changes
        for replaces in (False, True):
            rows = [each[:5] for each in items if each.replaces is replaces]
            if rows:
                database.executemany(_REPLACE_PART if replaces else _ADD_PART, rows)
        changed = database.total_changes - before
        if len(items) < len(parts):
            database.executemany(_ADD_PART, [each[:5] for each in parts if each.kind not in ("span", "log")])
        if changed:
            is_complete = any(each.is_root for each in parts) or not key.startswith("trace-")
            database.execute(_ADD_TASK, (key, now, now, is_complete))
        return max(0, len(items) - changed)

    def size_bytes(self) -> int:
        """How much of the disk it uses, but for what is free in it."""
        names = ("page_count", "freelist_count", "page_size")
        pages, free, size = (int(self._database.execute(f"PRAGMA {name}").fetchone()[0]) for name in names)
        return (pages - free) * size

    # -- what has been filed ----------------------------------------------------------------------------------------------

    def due(self, *, settle_s: float, wait_s: float, everything: bool = False) -> list[Due]:
        """The tasks that are to be filed now, the one that waits longest first.

        ``settle_s``: how long nothing has come for a task that is complete; ``wait_s``: the same for one whose root has not come.
        One that goes on and on is filed after ten times that. Each filing makes the next one wait longer.
        """
        now = time.time()
        query = """
            SELECT key, root, version, filings FROM task WHERE since IS NOT NULL AND problem IS NULL AND (
                :everything OR (root AND last <= :now - MIN(:settle * (1 + filings), :wait)) OR last <= :now - :wait
                OR since <= :now - 10 * :wait
            ) ORDER BY since LIMIT 256"""
        values = {"now": now, "settle": settle_s, "wait": wait_s, "everything": everything}
        return [Due(key, bool(root), version, filings) for key, root, version, filings in self._database.execute(query, values)]

    def begin_filing(self, tasks: Sequence[tuple[str, str]]) -> None:
        """Note that the folders of tasks, by key and id, are being put to their place: from here on they may be replaced."""
        rows = [(time.time(), task_id, key) for key, task_id in tasks]
        self._in_one("UPDATE task SET filed = ?, filings = filings + 1, folder = ? WHERE key = ?", rows)

    def filed_as(self, key: str) -> str | None:
        """The id of the task that was made of these very parts before."""
        found = self._database.execute("SELECT folder FROM task WHERE key = ?", (key,)).fetchone()
        return None if found is None or found[0] is None else str(found[0])

    def end_filing(self, filed: Sequence[Due]) -> None:
        """Note that tasks are in their folders, but for what has come meanwhile."""
        rows = [(time.time(), each.key, each.version) for each in filed]
        self._in_one("UPDATE task SET since = NULL, filed = COALESCE(filed, ?) WHERE key = ? AND version = ?", rows)

    def put_aside(self, key: str, problem: str) -> None:
        """Keep a task that cannot be filed; it is tried again when more of it comes, or by the next process."""
        self._database.execute("UPDATE task SET problem = ? WHERE key = ?", (problem, key))

    def try_again(self) -> None:
        """Have what was put aside tried once more."""
        self._database.execute("UPDATE task SET problem = NULL WHERE problem IS NOT NULL")

    def forget(self, older_than_s: float, most: int = 1000) -> int:
        """Delete the parts of tasks that were filed so long ago, and got nothing since, the oldest first; how many tasks.

        From the first moment on the folder is complete, and what comes then belongs beside it. Of log records the ids stay.
        """
        before = time.time() - older_than_s
        query = "SELECT key FROM task WHERE since IS NULL AND version != ? AND filed <= ? AND last <= ? ORDER BY filed LIMIT ?"
        keys = [key for (key,) in self._database.execute(query, (_FORGOTTEN, before, before, most))]
        for key in keys:
            self._in_one("UPDATE task SET folder = NULL, version = ? WHERE key = ? AND since IS NULL", [(_FORGETTING, key)])
            # In pieces, so that the other process is not kept waiting.
            after: tuple[str, str] | None = ("", "")
            while after is not None:
                after = self._forget_some(key, after)
        return len(keys)

    def _forget_some(self, key: str, after: tuple[str, str]) -> tuple[str, str] | None:
        """Delete some parts of a task, from a kind and id on, and then itself; where to go on."""
        database = self._database
        query = "SELECT rowid, kind, id FROM part WHERE trace = ? AND (kind, id) > (?, ?) ORDER BY kind, id LIMIT ?"
        with self._transaction():
            if not database.execute("SELECT 1 FROM task WHERE key = ? AND version = ?", (key, _FORGETTING)).fetchone():
                return None
            rows = database.execute(query, (key, *after, _DELETED_AT_ONCE)).fetchall()
            deleted = [(row,) for row, kind, _ in rows if kind not in ("log", "own")]
            database.executemany("DELETE FROM part WHERE rowid = ?", deleted)
            database.executemany(
                "UPDATE part SET data = NULL WHERE rowid = ?", [(row,) for row, kind, _ in rows if kind == "log"]
            )
            if len(rows) == _DELETED_AT_ONCE:
                return str(rows[-1][1]), str(rows[-1][2])
            if database.execute("SELECT 1 FROM part WHERE trace = ? LIMIT 1", (key,)).fetchone():
                database.execute("UPDATE task SET version = ? WHERE key = ?", (_FORGOTTEN, key))
            else:
                database.execute("DELETE FROM task WHERE key = ?", (key,))
            return None

    def forget_ids(self, older_than_s: float = IDS_KEPT_S, most: int = 1000) -> int:
        """Delete what is kept of tasks that were forgotten, and got nothing for so long, the oldest first; how many tasks."""
        query = "SELECT key FROM task WHERE since IS NULL AND version = ? AND last <= ? ORDER BY last LIMIT ?"
        keys = [key for (key,) in self._database.execute(query, (_FORGOTTEN, time.time() - older_than_s, most))]
        for key in keys:
            while self._forget_some_ids(key):
                pass
        return len(keys)

    def _forget_some_ids(self, key: str) -> bool:
        """Delete some of them, and then the task; whether there are more."""
        database = self._database
        with self._transaction():
            if not database.execute("SELECT 1 FROM task WHERE key = ? AND version = ?", (key, _FORGOTTEN)).fetchone():
                return False
            select = "SELECT rowid FROM part WHERE trace = ? LIMIT ?"
            rows = database.execute(select, (key, _DELETED_AT_ONCE)).fetchall()
            database.executemany("DELETE FROM part WHERE rowid = ?", rows)
            if len(rows) < _DELETED_AT_ONCE:
                database.execute("DELETE FROM task WHERE key = ?", (key,))
        return len(rows) == _DELETED_AT_ONCE

    def leave_out(self, key: str, span_ids: Iterable[str]) -> bool:
        """Delete spans that are in a folder already; whether anything else is left of the task."""
        self._in_one("DELETE FROM part WHERE trace = ? AND kind = 'span' AND id = ?", [(key, each) for each in span_ids])
        return self._has_any(key)

    def leave_at_home(self, key: str, span_ids: Collection[str], own_tasks: Collection[str]) -> bool:
        """Delete what a program recorded itself: spans of these ids, those that name one of its tasks, and the log records of
        such spans; whether anything else is left of the task."""
        known, rows = {*span_ids}, list[tuple[int]]()
        query = """SELECT rowid, kind, id, data FROM part WHERE trace = ? AND kind IN ('span', 'log') AND data IS NOT NULL
            ORDER BY kind DESC"""
        for row, kind, id_, data in self._database.execute(query, (key,)):
            if kind == "log":
                is_own = orjson.loads(data)["span_id"] in known
            elif not (is_own := id_ in known) and orjson.loads(data)["start"]["attributes"].get(OWN_TASK) in own_tasks:
                known.add(id_)
                is_own = True
            rows += [(row,)] if is_own else []
        self._in_one("DELETE FROM part WHERE rowid = ?", rows)
        return self._has_any(key)

    def _has_any(self, key: str) -> bool:
        query = "SELECT 1 FROM part WHERE trace = ? AND kind IN ('span', 'log') AND data IS NOT NULL LIMIT 1"
        found = self._database.execute(query, (key,))
        return found.fetchone() is not None

    def _in_one(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Execute a statement for each of the rows, in one transaction."""
        with self._transaction() as database:
            database.executemany(statement, rows)

    # -- the parts of one task --------------------------------------------------------------------------------------------

    def has_spans(self, key: str) -> bool:
        """Whether it is a task of spans, not of log records and data points alone."""
        return (
            self._database.execute("SELECT 1 FROM part WHERE trace = ? AND kind = 'span' LIMIT 1", (key,)).fetchone() is not None
        )

    def own_tasks(self, key: str) -> list[str]:
        """The ids of tasks that programs with this SDK recorded themselves, which spans of it name, the first one first."""
        query = "SELECT data FROM part WHERE trace = ? AND kind = 'own' ORDER BY at"
        return [str(orjson.loads(data)) for (data,) in self._database.execute(query, (key,))]

    def service_of(self, key: str) -> str | None:
        """The name of the service of its first part."""
        query = "SELECT data FROM part WHERE trace = ? AND kind IN ('span', 'log') AND data IS NOT NULL ORDER BY at LIMIT 1"
        found = self._database.execute(query, (key,)).fetchone()
        return None if found is None else orjson.loads(found[0]).get("service")

    def logs(self, key: str) -> Iterator[TracedLog]:
        """Log records and data points, by their times."""
        query = "SELECT data FROM part WHERE trace = ? AND kind = 'log' AND data IS NOT NULL ORDER BY at, id"
        for (data,) in self._database.execute(query, (key,)):
            yield self._part(TracedLog, orjson.loads(data))

    def _part(self, kind: Any, fields: dict[str, Any]) -> Any:
        if kind is TracedSpan:
            return span_of(fields)
        fields.pop("service", None)
        return kind(**fields)

    # -- what is to be forwarded ------------------------------------------------------------------------------------------

    def next_outgoing(self) -> Outgoing | None:
        """The body that waits longest; one at a time, as each may be as long as a request."""
        row = self._database.execute("SELECT * FROM outgoing ORDER BY id LIMIT 1").fetchone()
        return None if row is None else Outgoing(*row)

    def outgoing_count(self) -> int:
        """How many bodies wait."""
        return int(self._database.execute("SELECT COUNT(*) FROM outgoing").fetchone()[0])

    def forwarded(self, sent: Outgoing) -> None:
        """Delete a body that need not be sent any more."""
        self._database.execute("DELETE FROM outgoing WHERE id = ?", (sent.id,))
