"""Hides where the catalogue is kept, and how a damaged, foreign or outdated one becomes an empty one.

``<root>/.catalogue/tasks.sqlite``, in a folder of its own so that SQLite's side files do not change the root's time. Where that
cannot be written it is kept in memory.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import stat
from pathlib import Path

from otel_agentlog.store.folder.layout import FILE_MODE, FOLDER_MODE
from otel_agentlog.store.index.columns import BYTE_ORDER, LANES

FOLDER = ".catalogue"
FILE = "tasks.sqlite"
MEMORY = ":memory:"

VERSION = 1
"""Of the tables below; another one in ``user_version`` makes the catalogue anew."""

BUSY_S = 10.0
"""Longest time, in seconds, to wait for another process that writes; each writes for milliseconds."""

_MMAP_BYTES = 1 << 30

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE name (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE folder (id INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB NOT NULL UNIQUE, signature INTEGER NOT NULL);
CREATE TABLE live (name BLOB PRIMARY KEY, signature INTEGER NOT NULL, card BLOB) WITHOUT ROWID;
CREATE TABLE task (
    id INTEGER PRIMARY KEY, created_ns INTEGER NOT NULL, duration_us INTEGER NOT NULL, cost INTEGER NOT NULL,
    tokens INTEGER NOT NULL, status INTEGER NOT NULL, agent INTEGER NOT NULL, agent_type INTEGER NOT NULL,
    provider INTEGER NOT NULL, model INTEGER NOT NULL, source INTEGER NOT NULL, user INTEGER NOT NULL,
    specialist INTEGER NOT NULL, lanes BLOB NOT NULL
);
CREATE TABLE identity (id INTEGER PRIMARY KEY, parent_task_id TEXT, session_id TEXT, correlation_id TEXT);
CREATE TABLE tag (name INTEGER NOT NULL, task INTEGER NOT NULL, PRIMARY KEY (name, task)) WITHOUT ROWID;
CREATE TABLE part (
    kind TEXT NOT NULL, name INTEGER NOT NULL, task INTEGER NOT NULL, variety INTEGER NOT NULL,
    running INTEGER NOT NULL, completed INTEGER NOT NULL, failed INTEGER NOT NULL, other INTEGER NOT NULL,
    cost INTEGER, unpriced INTEGER NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
    retries INTEGER NOT NULL, durations BLOB NOT NULL, PRIMARY KEY (kind, name, task)
) WITHOUT ROWID;
CREATE TABLE failure (
    task INTEGER NOT NULL, time_ns INTEGER NOT NULL, category_key TEXT, error_id TEXT, type TEXT, category TEXT, message TEXT,
    component TEXT
);
CREATE VIRTUAL TABLE word USING fts5(words, content='', detail=none, columnsize=0, tokenize="ascii tokenchars '_'");
CREATE INDEX task_created ON task (created_ns);
CREATE INDEX task_duration ON task (duration_us, created_ns);
CREATE INDEX task_cost ON task (cost, created_ns);
CREATE INDEX task_status ON task (status, created_ns);
CREATE INDEX identity_parent ON identity (parent_task_id) WHERE parent_task_id IS NOT NULL;
CREATE INDEX identity_session ON identity (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX identity_correlation ON identity (correlation_id) WHERE correlation_id IS NOT NULL;
CREATE INDEX part_task ON part (task);
CREATE INDEX failure_task ON failure (task);
CREATE INDEX failure_category ON failure (category_key, task);
"""

_MADE_FOR = f"{BYTE_ORDER} {' '.join(LANES)} {_TABLES}"


def choose(root: Path) -> str:
    """Where the catalogue of a root goes: a file that is ours, or memory."""
    folder = root / FOLDER
    try:
        if os.stat(root).st_uid != os.geteuid():
            return MEMORY  # what we wrote there its owner could not read
        try:
            os.mkdir(folder, FOLDER_MODE)
        except FileExistsError:
            pass
        found = os.stat(folder, follow_symlinks=False)
        ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
        return os.fspath(folder / FILE) if ours and os.access(folder, os.W_OK | os.X_OK) else MEMORY
    except OSError:
        return MEMORY


def connect(path: str) -> sqlite3.Connection:
    """Open the catalogue; one of another make is made empty.

    Raises:
        sqlite3.Error: it is damaged, locked for too long, or SQLite lacks FTS5.
        OSError: the file cannot be made, or is not ours.
    """
    if path != MEMORY:
        _prepare(path)
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA mmap_size = {_MMAP_BYTES}")
        connection.execute("PRAGMA cache_size = -65536")
        if not _is_current(connection):
            _create(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(path: str) -> None:
    """Make the file with the right mode; SQLite gives its side files the same."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, FILE_MODE)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_nlink > 1:
            raise PermissionError(f"{path}: expected a file of our own")
        if stat.S_IMODE(found.st_mode) != FILE_MODE:
            os.fchmod(descriptor, FILE_MODE)
    finally:
        os.close(descriptor)


def _is_current(connection: sqlite3.Connection) -> bool:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != VERSION:
        return False
    found = connection.execute("SELECT value FROM meta WHERE key = 'made_for'").fetchone()
    return found is not None and found[0] == _MADE_FOR


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been faster.
        if not _is_current_or_empty(connection):
            raise sqlite3.DatabaseError("a catalogue of another make")
        if not _is_current(connection):
            for statement in filter(None, (part.strip() for part in _TABLES.split(";"))):
                connection.execute(statement)
            connection.execute("INSERT INTO meta VALUES ('made_for', ?)", (_MADE_FOR,))
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _is_current_or_empty(connection: sqlite3.Connection) -> bool:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return tables == 0 or _is_current(connection)


def discard_catalogue(root: Path) -> None:
    """Take the catalogue of a root away. Whoever has it open keeps what they have, and notices."""
    folder = root / FOLDER
    aside = root / f"{FOLDER}.{secrets.token_hex(4)}"
    try:
        os.rename(folder, aside)
    except OSError:
        return
    shutil.rmtree(aside, ignore_errors=True)


def identity(path: str) -> tuple[int, int] | None:
    """Which file stands there now."""
    if path == MEMORY:
        return None
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)
