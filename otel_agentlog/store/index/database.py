"""The database of the index: where it is, how it is opened, and how a damaged, foreign or outdated one becomes an empty one.

``<root>/.catalogue/tasks.sqlite``, in a folder of its own so that SQLite's side files do not change the root's time. Where that
cannot be written the same tables are kept in memory.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import stat
from pathlib import Path

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.errors import AgentlogError
from otel_agentlog.store.folder.layout import FILE_MODE, FOLDER_MODE
from otel_agentlog.store.index.condition import is_like
from otel_agentlog.store.index.tables import TABLES

FOLDER = ".catalogue"
FILE = "tasks.sqlite"
MEMORY = ":memory:"

VERSION = 6
"""Of the tables, in ``user_version``: an index with another one is made anew."""

BUSY_S = 10.0
"""Longest time, in seconds, to wait for another process that writes; each writes for milliseconds."""

_MMAP_BYTES = 1 << 30

_MADE_FOR = "\n".join(TABLES)


def choose(root: Path) -> str:
    """Where the index of a root goes: a file that is ours, or memory."""
    folder = root / FOLDER
    try:
        if os.stat(root).st_uid != system.user_id():
            return MEMORY  # what we wrote there its owner could not read
        try:
            os.mkdir(folder, FOLDER_MODE)
        except FileExistsError:
            pass
        found = os.stat(folder, follow_symlinks=False)
        ours = stat.S_ISDIR(found.st_mode) and found.st_uid == system.user_id()
        return os.fspath(folder / FILE) if ours and os.access(folder, os.W_OK | os.X_OK) else MEMORY
    except OSError:
        raise_interrupt()
        return MEMORY


def connect(path: str) -> sqlite3.Connection:
    """Open the index with its tables; an empty file gets them.

    Raises:
        sqlite3.Error: it is damaged, or locked for too long.
        OSError: the file cannot be made, or is not ours.
        AgentlogError: this SQLite has no full-text search (FTS5).
    """
    if path != MEMORY:
        _prepare(path)
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA mmap_size = {_MMAP_BYTES}")
        connection.execute("PRAGMA cache_size = -65536")
        connection.create_function("is_like", 2, is_like, deterministic=True)
        connection.execute("CREATE TEMP TABLE span (start INTEGER PRIMARY KEY, begin INTEGER NOT NULL, until INTEGER NOT NULL)")
        connection.execute("CREATE TEMP TABLE wanted_key (number INTEGER PRIMARY KEY, key)")
        if not _is_current(connection):
            _create(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(path: str) -> None:
    """Make the file with the right mode; SQLite gives its side files the same."""
    flags = system.UPDATE | os.O_CREAT
    descriptor = system.open(path, flags, FILE_MODE)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != system.user_id() or found.st_nlink > 1:
            raise PermissionError(f"{path}: expected a file of our own")
        if stat.S_IMODE(found.st_mode) != FILE_MODE:
            system.fchmod(descriptor, FILE_MODE)
    finally:
        system.close(descriptor)


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
            raise sqlite3.DatabaseError("an index of another version")
        if not _is_current(connection):
            _create_tables(connection)
            connection.execute("INSERT INTO meta VALUES ('made_for', ?)", (_MADE_FOR,))
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _create_tables(connection: sqlite3.Connection) -> None:
    try:
        for statement in TABLES:
            connection.execute(statement)
    except sqlite3.OperationalError as error:
        if "no such module" not in str(error):
            raise
        raise AgentlogError("expected an SQLite with full-text search (FTS5), which this Python does not have") from error


def _is_current_or_empty(connection: sqlite3.Connection) -> bool:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return tables == 0 or _is_current(connection)


def discard(root: Path) -> None:
    """Delete the index of a root. A process that has it open keeps the deleted file, and finds that by `identity`."""
    folder = root / FOLDER
    aside = root / f"{FOLDER}.{secrets.token_hex(4)}"
    try:
        system.rename(folder, aside)
    except OSError:
        raise_interrupt()
        return
    shutil.rmtree(aside, ignore_errors=True)


def identity(path: str) -> tuple[int, int] | None:
    """Device and inode of the file that has this name now; zeros if there is none, ``None`` for memory."""
    if path == MEMORY:
        return None
    try:
        found = os.stat(path)
    except OSError:
        raise_interrupt()
        return (0, 0)
    return (found.st_dev, found.st_ino)
