"""Which processes still run and deliver what they recorded: a locked file below the root for each process that sends.

Items of a running process may be in its memory or under way, so other processes do not send them. The lock ends with the process,
however that ends, and reuse of process ids does not matter.

The file has what collectors acknowledged and the ledgers of tasks do not have yet: one ``write()`` for a batch, which may be of
hundreds of tasks. Whoever finds that the process has died brings it into the ledgers. Its form is in ``docs/format.md``.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog._startup import lazy_pattern
from otel_agentlog.store.delivery.item_set import ItemSet, Json
from otel_agentlog.store.delivery.ledger import note
from otel_agentlog.store.folder.files import Descriptor, open_directory
from otel_agentlog.store.folder.layout import FILE_MODE
from otel_agentlog.store.folder.lines import parse_object
from otel_agentlog.store.folder.locks import Lock, lock_exclusively
from otel_agentlog.store.folder.metadata import open_root
from otel_agentlog.vocabulary.coerce import mapping
from otel_agentlog.vocabulary.lines import encode

PREFIX = ".courier-"
"""Prefix of these files' names, in the root beside the tasks."""

SWEEP_AFTER_S = 3600.0
"""Age, in seconds, from which on a file is checked by `sweep`: one that was just made may not be locked yet."""

MAX_NOTED_BYTES = 16 * 1024 * 1024
"""What is read of the file of a dead process; a damaged one must not cost memory."""

_NAME = lazy_pattern(r"[0-9a-f]{16}", re.ASCII)


class ProcessLock:
    """The lock of this process on one root, for as long as it delivers what it recorded there."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.renew_after_fork()
        after_fork_in_child(self.renew_after_fork)

    def renew_after_fork(self) -> None:
        """In the child of a fork: it is another process, with a lock of its own."""
        self._name = ""
        self._file: Descriptor | None = None
        self.noted_bytes = 0
        """Size of what is noted in the file."""
        self._taking = threading.RLock()

    def name(self) -> str | None:
        """The name of this process in process lines, 16 hex digits; locked from the first call on. ``None`` if that fails."""
        with self._taking:
            if not self._name:
                try:
                    self._take()
                except OSError:
                    raise_interrupt()
                    return None
        return self._name

    def _take(self) -> None:
        root, name = open_root(self._root), os.urandom(8).hex()
        file = Descriptor(system.open(PREFIX + name, system.UPDATE | os.O_CREAT | os.O_EXCL, FILE_MODE, dir_fd=root.fd))
        lock_exclusively(file)
        self._name, self._file = name, file

    def note(self, acked: Mapping[str, Json]) -> bool:
        """Note what was acknowledged, by path of the task's folder; whether that could be done."""
        root = os.fspath(self._root)
        names = {os.path.basename(home): items for home, items in acked.items() if os.path.dirname(home) == root}
        with self._taking:
            if len(names) < len(acked) or self.noted_bytes >= MAX_NOTED_BYTES:
                return False
            return self._write(encode({"acked": names}), self.noted_bytes)

    def forget(self, noted_bytes: int, acked: Mapping[str, Json]) -> None:
        """The ledgers have what was noted so far, but for what is given; nothing happens if more than ``noted_bytes`` was."""
        with self._taking:
            if noted_bytes and noted_bytes == self.noted_bytes:
                self.noted_bytes = 0
                if acked:
                    self.note(acked)
                if self._file is not None and self._file.is_ours:
                    try:
                        # What a kill leaves behind the new line is true, too.
                        os.truncate(self._file.fd, self.noted_bytes)
                    except OSError:
                        raise_interrupt()

    def _write(self, line: bytes, at: int) -> bool:
        # Other code may have closed it, and have a file of its own by that number.
        if self._file is None or not self._file.is_ours:
            return False
        try:
            done = system.pwrite(self._file.fd, line, at) == len(line)
        except OSError:
            raise_interrupt()
            return False
        self.noted_bytes = at + len(line) if done else at
        return done

    def release(self) -> None:
        """Give the lock up: this process delivers nothing any more. What is still noted is for whoever comes next."""
        with self._taking:
            file, name = self._file, self._name
            self._file = None
        if file is not None:
            if not self.noted_bytes:
                _remove(self._root, name)
            file.close()

    @staticmethod
    def sweep(root: Path) -> None:
        """Remove the files of processes that have ended; raises nothing."""
        oldest_s = time.time() - SWEEP_AFTER_S
        for name in _names(root, oldest_s):
            is_running(root, name)


def _names(root: Path, oldest_s: float) -> list[str]:
    """Names of the processes with files that did not change since a Unix time."""
    try:
        with os.scandir(root) as entries:
            found = [entry for entry in entries if entry.name.startswith(PREFIX)]
            return [e.name.removeprefix(PREFIX) for e in found if system.entry_stat(e).st_mtime < oldest_s]
    except OSError:
        raise_interrupt()
        return []


def is_running(root: Path, name: str, *, dry: bool = False) -> bool:
    """Whether the process of that name still runs. If not, and not ``dry``, what it noted goes into ledgers and its file away."""
    if _NAME.fullmatch(name) is None:
        return False
    try:
        directory = open_directory(os.fspath(root))
        file = Descriptor(system.open(PREFIX + name, system.UPDATE, dir_fd=directory.fd))
    except OSError:
        raise_interrupt()
        return False
    if lock_exclusively(file) is Lock.TAKEN:
        return True
    if not dry and _bring_into_ledgers(root, file):
        # No process will use this name again.
        _remove(root, name)
    return False


def _bring_into_ledgers(root: Path, file: Descriptor) -> bool:
    """Note what it noted; whether that could be read."""
    acked: dict[str, ItemSet] = {}
    try:
        noted = system.pread(file.fd, MAX_NOTED_BYTES, 0)
    except OSError:
        raise_interrupt()
        return False
    for data in noted.splitlines():
        # The last one may be cut.
        line = parse_object(data)
        for name, items in mapping(line if isinstance(line, dict) else {}, "acked").items():
            if name and name == os.path.basename(name) and not name.startswith("."):
                acked.setdefault(name, ItemSet()).update(items)
    for name, found in acked.items():
        try:
            if found:
                note(root / name, acked=found)
        except (OSError, ValueError):  # a name that no file can have
            raise_interrupt()  # it is sent again
    return True


def _remove(root: Path, name: str) -> None:
    try:
        system.unlink(root / (PREFIX + name))
    except OSError:
        raise_interrupt()  # another process was faster, or it is not ours to remove
