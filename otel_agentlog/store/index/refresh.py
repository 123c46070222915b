"""Brings the index up to date with the folders below its root, at the price of a few system calls.

A new or deleted folder changes the root's time. A folder that changed has another signature: those of tasks that go on are
always read, and of the many that ended all if they are few, else the latest and some others, so that whatever changed
unseen is found in the end. No lock is held while folders are read, so several processes may do this at once.
"""

# Statements consist of constants of ours; foreign text is bound.
# ruff: noqa: S608

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from otel_agentlog.store.folder.reader import TaskReader, is_task_folder
from otel_agentlog.store.index.changes import NO_FOLDER, Throttle, signature
from otel_agentlog.store.index.row import IndexRow
from otel_agentlog.store.index.tables import LiveTask, insert, live_tasks, remove

RACY_NS = 2_000_000_000
"""A modification time younger than this may stay the same though the file changes: clocks of file systems are coarse."""

CHUNK = 200
"""Folders that are written in one transaction."""

SWEPT = 2000
"""Tasks that ended up to this many are all read each time."""

SAMPLE = 200
"""Of more, so many of the latest and so many others."""

SWEEP_EVERY_S = 1.0
"""Of more, not oftener than this, in seconds: one page needs several answers."""

MAX_GARBAGE = 20_000
"""Deleted tasks whose words are still in the index, past as many as there are tasks."""

ReadRow = Callable[[TaskReader], IndexRow]
"""Reads a folder."""
Freshen = Callable[[LiveTask, TaskReader], tuple[str, "int | None"]]
"""Status and duration, in microseconds, that a task that goes on has now although its files have not changed."""
Progress = Callable[[int, int], None]

_Found = tuple[bytes, int, "IndexRow | None"]


class Refresh:
    """Brings one index up to date."""

    def __init__(self, root: Path, connection: sqlite3.Connection, read: ReadRow, freshen: Freshen) -> None:
        self._root, self._connection = root, connection
        self._read_row, self._freshen = read, freshen
        self._next_sweep_s = 0.0
        self._throttle = Throttle()
        self._known: set[bytes] | None = None
        """The folders in the index, as of `_version` of it."""
        self._version = -1

    def run(self, progress: Progress | None) -> None:
        """Do it; `progress` is called with how many folders of how many were read."""
        self._list(progress)
        self._sweep()
        self._read_live()

    def recheck(self, names: Sequence[bytes]) -> bool:
        """Read these folders again if they are of tasks that ended, and return whether any had changed."""
        changed = self._changed(
            row
            for name in names
            for row in self._connection.execute("SELECT name, signature FROM folder WHERE name = ? AND settled", (name,))
        )
        if changed:
            self._read_again(changed)
            self.run(None)
        return bool(changed)

    # New and deleted folders ------------------------------------------------------------------------------------------------

    def _list(self, progress: Progress | None) -> None:
        status = os.stat(self._root)
        stamp = f"{status.st_dev}:{status.st_ino}:{status.st_mtime_ns}"
        if self._meta("listed") == stamp:
            return
        # Before the listing, so that what comes during it is found the next time.
        settled = time.time_ns() - status.st_mtime_ns > RACY_NS
        names = {name for name in os.listdir(os.fsencode(self._root)) if not name.startswith(b".")}
        known = self._folders()
        if gone := known - names:
            self._forget(gone)
        self._read(sorted(names - known), progress)
        if settled:
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('listed', ?)", (stamp,))

    def _folders(self) -> set[bytes]:
        """The names of the folders in the index; read again only after another process has written to it."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if self._known is None or version != self._version:
            self._known = {name for (name,) in self._connection.execute("SELECT name FROM folder")}
            self._version = version
        return self._known

    def _forget(self, names: Iterable[bytes]) -> None:
        known, self._known = self._known, None
        with self._writing():
            garbage = int(self._meta("garbage") or 0) + remove(self._connection, names)
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('garbage', ?)", (garbage,))
        self._known = None if known is None else known.difference(names)
        (tasks,) = self._connection.execute("SELECT count(*) FROM task").fetchone()
        if garbage > MAX_GARBAGE + tasks:
            raise ValueError("more garbage in the index than tasks")

    def _read(self, names: Sequence[bytes], progress: Progress | None) -> None:
        # Each process begins elsewhere, so that two of them share the work instead of doing it twice.
        start = random.randrange(len(names)) if len(names) > CHUNK else 0  # noqa: S311 - no secret
        names = [*names[start:], *names[:start]]
        for done in range(0, len(names), CHUNK):
            chunk = names[done : done + CHUNK]
            if len(names) > CHUNK:
                chunk = self._without_known(chunk)
            self._keep([self._examine(name) for name in chunk])
            if progress is not None:
                progress(min(done + CHUNK, len(names)), len(names))

    def _without_known(self, names: Sequence[bytes]) -> list[bytes]:
        marks = ", ".join("?" * len(names))
        known = {name for (name,) in self._connection.execute(f"SELECT name FROM folder WHERE name IN ({marks})", names)}
        return [name for name in names if name not in known]

    def _read_again(self, names: Sequence[bytes]) -> None:
        for done in range(0, len(names), CHUNK):
            self._keep([self._examine(name) for name in names[done : done + CHUNK]])

    def _examine(self, name: bytes) -> _Found:
        path = self._path(name)
        # Before the folder is read: what changes meanwhile is found the next time.
        mark, mark_live = signature(path), signature(path, live=True)
        folder = self._root / os.fsdecode(name)
        if mark_live == NO_FOLDER or not is_task_folder(folder):
            return name, mark_live, None
        with self._throttle.reading(name, path):
            row = self._read_row(TaskReader(folder))
        return name, mark if row.settled else mark_live, row

    def _keep(self, found: Sequence[_Found]) -> None:
        if not found:
            return
        known, self._known = self._known, None
        with self._writing():
            for name, mark, row in found:
                insert(self._connection, name, mark, row)
        if known is not None:
            known.update(name for name, _, _ in found)
            self._known = known

    # Tasks that ended -------------------------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        if time.monotonic() < self._next_sweep_s:
            return
        self._read_again(self._changed(self._sample()))

    def _changed(self, known: Iterable[tuple[bytes, int]]) -> list[bytes]:
        return [name for name, mark in known if signature(self._path(name)) != mark]

    def _sample(self) -> list[tuple[bytes, int]]:
        execute = self._connection.execute
        (last,) = execute("SELECT coalesce(max(id), 0) FROM folder").fetchone()
        ended = "SELECT name, signature FROM folder WHERE settled"
        if last <= SWEPT:
            return execute(ended).fetchall()
        self._next_sweep_s = time.monotonic() + SWEEP_EVERY_S
        latest = execute(f"{ended} ORDER BY id DESC LIMIT ?", (SAMPLE,)).fetchall()
        anywhere = (random.randrange(last), SAMPLE)  # noqa: S311 - no secret
        return latest + execute(f"{ended} AND id > ? ORDER BY id LIMIT ?", anywhere).fetchall()

    # Tasks that go on -------------------------------------------------------------------------------------------------------

    def _read_live(self) -> None:
        known = self._connection.execute("SELECT name, signature FROM folder WHERE NOT settled").fetchall()
        self._throttle.keep(name for name, _ in known)
        self._read_again(
            [
                name
                for name, mark in known
                if signature(self._path(name), live=True) != mark and self._throttle.is_due(name, self._path(name))
            ]
        )
        self._freshen_live()

    def _freshen_live(self) -> None:
        """Time passes and processes die without any file being changed."""
        stand = [
            (task.id, *self._freshen(task, TaskReader(self._root / os.fsdecode(task.folder))), (task.status, task.duration_us))
            for task in live_tasks(self._connection)
        ]
        changed = [(status, duration_us, task) for task, status, duration_us, before in stand if (status, duration_us) != before]
        if changed:
            with self._writing():
                self._connection.executemany("UPDATE task SET status = ?, duration_us = ? WHERE id = ?", changed)

    def _path(self, name: bytes) -> str:
        return f"{os.fspath(self._root)}/{os.fsdecode(name)}"

    def _meta(self, key: str) -> str | int | None:
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
