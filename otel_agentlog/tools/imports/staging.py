"""Where imported folders are made, and how they come to their place: whole, at once, and once.

``<root>/.imports/`` has a folder for each import at work, which that holds locked; what a killed one left there is removed by the
next. A finished task folder is moved below the root by a rename. One that was imported before is replaced: the notes and scores
that people have added to it move to the new one. Nothing that was not imported is ever replaced.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from itertools import count
from pathlib import Path
from typing import NamedTuple

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.errors import LayoutError
from otel_agentlog.store.folder.files import Descriptor, open_directory
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, FILE_MODE, FOLDER_MODE, folder_names
from otel_agentlog.store.folder.locks import Lock, lock_exclusively
from otel_agentlog.store.folder.metadata import open_root, read_metadata
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.liveness import FolderUse, folder_use
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.event_ids import split_event_id
from otel_agentlog.vocabulary.lines import NOTED_BY, encode
from otel_agentlog.vocabulary.states import COLLECTED, IMPORT

NAME = ".imports"
_LOCK = "lock"
_OLD = "old"
COMMIT_WAIT_S = 30.0
"""Longest time, in seconds, to wait for another import that moves folders."""


class Moved(Enum):
    """What became of a folder that was imported."""

    NEW = "new"
    REPLACED = "replaced"
    OLDER = "older"
    """The one that is there goes further; it stays."""
    IN_USE = "in use"
    """Another process writes into the one that is there; it stays."""
    NOT_IMPORTED = "not imported"
    """The one that is there is no import; it stays."""


class Staging:
    """The folder in which one import makes its task folders."""

    def __init__(self, root: Path) -> None:
        """Raises `OSError`."""
        open_root(root).close()
        self._home = root / NAME
        self._home.mkdir(mode=FOLDER_MODE, exist_ok=True)
        open_directory(os.fspath(self._home)).close()
        (self._home / _OLD).mkdir(mode=FOLDER_MODE, exist_ok=True)
        self._root = root
        self._restore()
        self._sweep()
        self.path = self._home / f"work-{os.getpid()}-{secrets.token_hex(4)}"
        self.path.mkdir(mode=FOLDER_MODE)
        self._held = open_directory(os.fspath(self.path))
        lock_exclusively(self._held)
        self._numbers = count(1)
        self.tasks = self._further()
        """Below it folders are made; the first that is makes it."""

    def _further(self) -> Path:
        return self.path / f"tasks-{next(self._numbers)}"

    def renew(self) -> Path:
        """Where folders are made from now on: what failed before is recorded anew, and must find nothing of itself."""
        self.tasks = self._further()
        return self.tasks

    def close(self) -> None:
        """Remove what is left of it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._held.close()

    def _sweep(self) -> None:
        """Remove what killed imports left."""
        for each in self._home.glob("work-*"):
            try:
                held = open_directory(os.fspath(each))
            except (OSError, LayoutError):
                raise_interrupt()
                continue
            if lock_exclusively(held) is Lock.OURS:
                shutil.rmtree(each, ignore_errors=True)
            held.close()

    def _restore(self) -> None:
        """Put back what was to be replaced when an import was killed, before the new one was in its place."""
        with self._alone():
            for each in (self._home / _OLD).iterdir():
                if not os.path.lexists(self._root / each.name):
                    system.rename(each, self._root / each.name)
                else:
                    shutil.rmtree(each, ignore_errors=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other import moves folders meanwhile. Raises `OSError` where one does so for too long."""
        lock = Descriptor(system.open(self._home / _LOCK, system.UPDATE | os.O_CREAT, FILE_MODE))
        try:
            if lock_exclusively(lock, COMMIT_WAIT_S) is Lock.TAKEN:
                raise OSError(f"{self._home / _LOCK}: another import holds it for more than {COMMIT_WAIT_S:g} s")
            yield
        finally:
            lock.close_at_once()

    def move(self, folder: Path, task_id: str, *, replace_any: bool = False) -> tuple[Moved, Path]:
        """Move a finished folder to its place below the root; what became of it, and where the task's folder is.

        With ``replace_any`` one that goes further is replaced, too. Raises `OSError`.
        """
        with self._alone():
            target, known = self._target(task_id)
            if not known:
                system.rename(folder, target)
                return Moved.NEW, target
            before = _extent(target)
            found = self._obstacle(target, before, _extent(folder), replace_any=replace_any)
            if found is not Moved.REPLACED:
                return found, target
            with open(folder / AGENT_OUTPUT, "ab") as file:
                file.write(before.notes)
            old = self._home / _OLD / target.name
            shutil.rmtree(old, ignore_errors=True)
            system.rename(target, old)
            try:
                system.rename(folder, target)
            except OSError:
                raise_interrupt()
                system.rename(old, target)
                raise
            shutil.rmtree(old, ignore_errors=True)
            return Moved.REPLACED, target

    def _target(self, task_id: str) -> tuple[Path, bool]:
        """Where a task's folder is or is to be, and whether it is there."""
        for name in folder_names(task_id):
            path = self._root / name
            if not os.path.lexists(path):
                return path, False
            if TaskReader(path).task_id == task_id:
                return path, True
        raise FileExistsError(f"{self._root}: every folder name of task {task_id} is taken by another task")

    def _obstacle(self, target: Path, old: _Extent, new: _Extent, *, replace_any: bool) -> Moved:
        if read_metadata(open_directory(os.fspath(target))).get("source") not in (IMPORT, COLLECTED):
            return Moved.NOT_IMPORTED
        if folder_use(target) is FolderUse.IN_USE:
            return Moved.IN_USE
        return Moved.OLDER if old.last > new.last and not replace_any else Moved.REPLACED


class _Extent(NamedTuple):
    """How far the lines of a folder go."""

    last: str
    """The latest time of a line of the source."""
    notes: bytes
    """The lines of notes and scores that people added."""


def _extent(folder: Path) -> _Extent:
    last, notes = "", list[bytes]()
    tags: set[str] = set()
    for line in TaskReader(folder).events():
        tag = (split_event_id(line.get("event_id")) or ("", 0))[0]
        if NOTED_BY in line:
            tags.add(tag)
        if tag in tags:
            notes.append(encode(line))
        elif line.get("type") != "process":
            last = max(last, text(line, "timestamp") or "")
    return _Extent(last, b"".join(notes))
