"""Hides how the catalogue learns cheaply what changed below its root.

A new or deleted folder changes the root's time. A folder that changed has another signature: those of tasks that go on are
always looked at, and of the many that ended all if they are few, else the latest and some others, so that whatever changed
unseen is found in the end. No lock is held while folders are read, so several processes may do this at once.
"""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from otel_agentlog.store.folder.layout import AGENT_OUTPUT, FINAL_RESULT, GZIP_SUFFIX, INPUT, METADATA, WEBHOOK_FLOW
from otel_agentlog.store.folder.reader import TaskReader, is_task_folder
from otel_agentlog.store.index.columns import UNKNOWN, NumberOf, pack_card, pack_durations, sums_of
from otel_agentlog.store.index.row import Card, Part, card_from_bytes, card_to_bytes, storable

# -- Hides how a large task that goes on is not read from its first line whenever it has one line more.
# Who looks every second would do nothing else. What is known of it is then a little older than its lines; that it ended is seen
# at once, as that changes its whole files.

LARGE_BYTES = 1 << 20
"""Size of a task's lines from which on this matters."""

PAUSE = 10
"""It is read again after so many times the time that reading it took."""

_Mark = tuple[tuple[int, int, int], ...]


class Pace:
    """When which task was read. For one thread at a time."""

    def __init__(self) -> None:
        self._not_before: dict[bytes, tuple[float, _Mark]] = {}

    @contextmanager
    def reading(self, name: bytes, path: str) -> Iterator[None]:
        """Note how long it takes to read a task."""
        mark, began = _mark(path), time.monotonic()
        yield
        now = time.monotonic()
        if _size(path) > LARGE_BYTES:
            self._not_before[name] = (now + PAUSE * (now - began), mark)

    def is_due(self, name: bytes, path: str) -> bool:
        """Whether a task that changed is to be read now."""
        until, mark = self._not_before.get(name, (0.0, ()))
        return time.monotonic() >= until or _mark(path) != mark

    def keep(self, names: Iterable[bytes]) -> None:
        """Forget all but these."""
        if self._not_before:
            known = set(names)
            self._not_before = {name: found for name, found in self._not_before.items() if name in known}


def _mark(path: str) -> _Mark:
    """What changes when a task begins, pauses or ends."""
    return tuple(_status(f"{path}/{name}") for name in (METADATA, FINAL_RESULT))


def _status(path: str) -> tuple[int, int, int]:
    try:
        found = os.lstat(path)
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _size(path: str) -> int:
    return _status(f"{path}/{AGENT_OUTPUT}")[1]


# -- Hides how one sees, without opening anything, whether a task's folder says what it said before.

_FILES = (METADATA, FINAL_RESULT, AGENT_OUTPUT, AGENT_OUTPUT + GZIP_SUFFIX)
_REST = (INPUT, INPUT + GZIP_SUFFIX, WEBHOOK_FLOW, WEBHOOK_FLOW + GZIP_SUFFIX)
NO_FOLDER = 0
"""Signature of what is not there or is no folder."""


def signature(path: str, *, live: bool = False) -> int:
    """A number that changes when a task's files do; of one that is `live` those that change no more are looked at too."""
    values: list[int] = []
    for name in _FILES + _REST if live else _FILES:
        try:
            found = os.lstat(f"{path}/{name}")
        except OSError:
            values += (0, 0, 0)
        else:
            values += (found.st_ino, found.st_size, found.st_mtime_ns)
    if not any(values):
        return NO_FOLDER
    digest = hashlib.blake2b(struct.pack(f"{len(values)}Q", *(value & (2**64 - 1) for value in values)), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True) or 1


# -- Hides how cards get into the tables of the catalogue and out of them again. Within the caller's transaction.

# Statements are put together from our own words; what others wrote is bound.
# ruff: noqa: S608


_OF_TASK = (("task", "id"), ("identity", "id"), ("tag", "task"), ("part", "task"), ("failure", "task"), ("folder", "id"))


_PART = f"INSERT INTO part VALUES ({', '.join('?' * 14)})"


class Numbering:
    """Numbers of names, as the catalogue has them. For one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[str, int] = {}

    def number(self, text: str | None) -> int:
        """The number of a name, a new one if need be."""
        if text is None:
            return UNKNOWN
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = self._numbered(storable(text))
        return found

    def _numbered(self, text: str) -> int:
        row = self._connection.execute("SELECT id FROM name WHERE text = ?", (text,)).fetchone()
        if row is None:
            return int(self._connection.execute("INSERT INTO name (text) VALUES (?)", (text,)).lastrowid or 0)
        return int(row[0])


def insert(connection: sqlite3.Connection, numbering: Numbering, folder: bytes, card: Card, signature: int) -> None:
    """Put one card in; an older one of the same folder goes."""
    remove(connection, [folder])
    execute, number = connection.execute, numbering.number
    task = execute("INSERT INTO folder (name, signature) VALUES (?, ?)", (folder, signature)).lastrowid or 0
    numbers = (_or_unknown(card.duration_us), _or_unknown(card.cost), card.tokens)
    texts = (card.status, card.agent, card.agent_type, card.provider, card.model, card.source, card.user, card.specialist)
    row = (task, card.created_ns, *numbers, *map(number, texts), pack_card(card, number))
    execute(f"INSERT INTO task VALUES ({', '.join('?' * len(row))})", row)
    ids = [None if text is None else storable(text) for text in (card.parent_task_id, card.session_id, card.correlation_id)]
    if any(found is not None for found in ids):
        execute("INSERT INTO identity VALUES (?, ?, ?, ?)", (task, *ids))
    connection.executemany("INSERT INTO tag VALUES (?, ?)", {(number(tag), task) for tag in card.tags})
    connection.executemany(_PART, [_part_row(part, task, number) for part in card.parts])
    _insert_failures(connection, task, card)
    if card.words:
        execute("INSERT INTO word (rowid, words) VALUES (?, ?)", (task, " ".join(sorted(card.words))))


def _part_row(part: Part, task: int, number: NumberOf) -> tuple[object, ...]:
    sums = sums_of(part, part.name)
    counts = (sums.running, sums.completed, sums.failed, sums.other, sums.cost, sums.unpriced)
    spent = (sums.input_tokens, sums.output_tokens, sums.retries, pack_durations(sums.durations_us))
    return (part.kind, number(part.name), task, number(part.variety), *counts, *spent)


def _insert_failures(connection: sqlite3.Connection, task: int, card: Card) -> None:
    rows = []
    for failure in card.failures:
        key = (failure.category or "").upper() or None
        texts = (key, failure.error_id, failure.type, failure.category, failure.message, failure.component)
        rows.append((task, failure.time_ns, *(None if text is None else storable(text) for text in texts)))
    connection.executemany("INSERT INTO failure VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)


def remove(connection: sqlite3.Connection, folders: Iterable[bytes]) -> int:
    """Take the cards of folders out, and return of how many. Their words stay: nothing refers to them any more."""
    gone = 0
    for folder in folders:
        connection.execute("DELETE FROM live WHERE name = ?", (folder,))
        row = connection.execute("SELECT id FROM folder WHERE name = ?", (folder,)).fetchone()
        if row is not None:
            gone += 1
            for table, key in _OF_TASK:
                connection.execute(f"DELETE FROM {table} WHERE {key} = ?", row)
    return gone


def _or_unknown(value: int | None) -> int:
    return UNKNOWN if value is None else value


# Statements are put together from our own words; what others wrote is bound.
# ruff: noqa: S608


RACY_NS = 2_000_000_000
"""A time younger than this may stand still though something changes: clocks of file systems are coarse."""

CHUNK = 200
"""Folders that are written in one transaction."""

SWEPT = 2000
"""Tasks that ended up to this many are all looked at each time."""

SAMPLE = 200
"""Of more, so many of the latest and so many others."""

SWEEP_EVERY_S = 1.0
"""Of more, not oftener than this, in seconds: who shows a page asks several questions at once."""

MAX_GARBAGE = 20_000
"""Deleted tasks whose words are still in the index, past as many as there are tasks."""

Describe = Callable[[TaskReader], Card]
"""Reads a folder."""
Freshen = Callable[[Card, TaskReader], Card]
"""Brings the card of a task that goes on up to now, when its files have not changed."""
Progress = Callable[[int, int], None]

_Found = tuple[bytes, int, "Card | None"]


class Refresh:
    """Brings one catalogue up to date."""

    def __init__(self, root: Path, connection: sqlite3.Connection, describe: Describe, freshen: Freshen) -> None:
        self._root, self._connection = root, connection
        self._describe, self._freshen = describe, freshen
        self._next_sweep_s = 0.0
        self._pace = Pace()

    def run(self, progress: Progress | None) -> list[Card]:
        """Do it, and return the cards of the tasks that go on."""
        self._list(progress)
        self._sweep()
        return self._look_at_live()

    # -- new and deleted folders ------------------------------------------------------------------------------------------

    def _list(self, progress: Progress | None) -> None:
        status = os.stat(self._root)
        stamp = f"{status.st_dev}:{status.st_ino}:{status.st_mtime_ns}"
        if self._meta("listed") == stamp:
            return
        # Before the listing, so that what comes during it is seen the next time.
        settled = time.time_ns() - status.st_mtime_ns > RACY_NS
        names = {name for name in os.listdir(os.fsencode(self._root)) if not name.startswith(b".")}
        known = {name for (name,) in self._connection.execute("SELECT name FROM folder UNION ALL SELECT name FROM live")}
        if gone := known - names:
            self._forget(gone)
        self._read(sorted(names - known), progress)
        if settled:
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('listed', ?)", (stamp,))

    def _forget(self, names: Iterable[bytes]) -> None:
        with self._writing():
            garbage = int(self._meta("garbage") or 0) + remove(self._connection, names)
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('garbage', ?)", (garbage,))
        (tasks,) = self._connection.execute("SELECT count(*) FROM task").fetchone()
        if garbage > MAX_GARBAGE + tasks:
            raise ValueError("more garbage in the catalogue than tasks")

    def _read(self, names: Sequence[bytes], progress: Progress | None) -> None:
        # Each process begins elsewhere, so that two of them share the work instead of doing it twice.
        start = random.randrange(len(names)) if len(names) > CHUNK else 0  # noqa: S311 - no secret
        names = [*names[start:], *names[:start]]
        for done in range(0, len(names), CHUNK):
            chunk = names[done : done + CHUNK]
            if len(names) > CHUNK:
                chunk = self._without_known(chunk)
            self._keep([self._look(name) for name in chunk])
            if progress is not None:
                progress(min(done + CHUNK, len(names)), len(names))

    def _without_known(self, names: Sequence[bytes]) -> list[bytes]:
        marks = ", ".join("?" * len(names))
        known = {name for (name,) in self._connection.execute(f"SELECT name FROM folder WHERE name IN ({marks})", names)}
        return [name for name in names if name not in known]

    def read_again(self, names: Sequence[bytes]) -> None:
        """Read these folders, whatever is known of them."""
        for done in range(0, len(names), CHUNK):
            self._keep([self._look(name) for name in names[done : done + CHUNK]])

    def _look(self, name: bytes) -> _Found:
        path = self._path(name)
        # Before the folder is read: what changes meanwhile is seen the next time.
        mark, mark_live = signature(path), signature(path, live=True)
        folder = self._root / os.fsdecode(name)
        if mark_live == NO_FOLDER or not is_task_folder(folder):
            return name, mark_live, None
        with self._pace.reading(name, path):
            card = self._describe(TaskReader(folder))
        return name, mark if card.settled else mark_live, card

    def _keep(self, found: Sequence[_Found]) -> None:
        if not found:
            return
        with self._writing():
            numbering = Numbering(self._connection)
            for name, mark, card in found:
                if card is not None and card.settled:
                    insert(self._connection, numbering, name, card, mark)
                else:
                    remove(self._connection, [name])
                    row = (name, mark, None if card is None else card_to_bytes(card))
                    self._connection.execute("INSERT INTO live VALUES (?, ?, ?)", row)

    # -- tasks that ended -------------------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        if time.monotonic() < self._next_sweep_s:
            return
        changed = [name for name, mark in self._sample() if signature(self._path(name)) != mark]
        self.read_again(changed)

    def _sample(self) -> list[tuple[bytes, int]]:
        execute = self._connection.execute
        (last,) = execute("SELECT coalesce(max(id), 0) FROM folder").fetchone()
        if last <= SWEPT:
            return execute("SELECT name, signature FROM folder").fetchall()
        self._next_sweep_s = time.monotonic() + SWEEP_EVERY_S
        latest = execute("SELECT name, signature FROM folder ORDER BY id DESC LIMIT ?", (SAMPLE,)).fetchall()
        anywhere = (random.randrange(last), SAMPLE)  # noqa: S311 - no secret
        return latest + execute("SELECT name, signature FROM folder WHERE id > ? ORDER BY id LIMIT ?", anywhere).fetchall()

    # -- tasks that go on -------------------------------------------------------------------------------------------------

    def _look_at_live(self) -> list[Card]:
        rows = self._connection.execute("SELECT name, signature, card FROM live").fetchall()
        self._pace.keep(name for name, _, _ in rows)
        changed = [
            name
            for name, mark, _ in rows
            if signature(self._path(name), live=True) != mark and self._pace.is_due(name, self._path(name))
        ]
        if changed:
            self.read_again(changed)
            rows = self._connection.execute("SELECT name, signature, card FROM live").fetchall()
        return [
            self._freshen(card_from_bytes(card), TaskReader(self._root / os.fsdecode(name)))
            for name, _, card in rows
            if card is not None
        ]

    # -- tables -----------------------------------------------------------------------------------------------------------

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


def changed_among(connection: sqlite3.Connection, root: Path, folders: Sequence[str]) -> list[bytes]:
    """Those of these folders that say something else than before."""
    changed = []
    for folder in folders:
        name = os.fsencode(folder)
        row = connection.execute("SELECT signature FROM folder WHERE name = ?", (name,)).fetchone()
        if row is not None and row[0] != signature(f"{os.fspath(root)}/{folder}"):
            changed.append(name)
    return changed
