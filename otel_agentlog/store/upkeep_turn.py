"""Hides how processes take turns at the upkeep of one root, and what is remembered between turns.

``.upkeep.lock`` is locked while somebody is at it; its modification time is when the last run came to its end. ``.upkeep.json``
holds the totals of all runs, ``dropped`` among them: the items that a quota deleted before they were delivered.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

import orjson

from otel_agentlog.errors import LayoutError
from otel_agentlog.store.descriptors import Descriptor, replace_file
from otel_agentlog.store.fields import mapping
from otel_agentlog.store.layout import FILE_MODE, encode_document, temp_name
from otel_agentlog.store.layout import timestamp as as_text
from otel_agentlog.store.locks import Lock, lock_exclusively

LOCK = ".upkeep.lock"
TOTALS = ".upkeep.json"

INTERVAL_NS = 3_600 * 1_000_000_000
"""Least time between two runs in the background, over all processes."""

_PREPARED = temp_name(TOTALS, "turn")
_MAX_TOTALS_BYTES = 64 * 1024
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KEYS = ("tasks_deleted", "bytes_freed", "tasks_compressed", "bytes_saved")


class Turn:
    """One process's turn at a root; others wait until `end`."""

    def __init__(self, root: Descriptor, lock: Descriptor) -> None:
        self._root, self._lock = root, lock

    def complete(self, now_ns: int) -> None:
        """Note that a run came to its end. Raises `OSError`."""
        try:
            os.unlink(_PREPARED, dir_fd=self._root.fd)
        except OSError:
            pass  # there is none, as it should be: only who is killed leaves one
        os.utime(self._lock.fd, ns=(now_ns, now_ns))

    def add(self, now_ns: int, dropped: int = 0, **more: int) -> None:
        """Add to the totals. Raises `OSError`."""
        found = read_totals(self._root)
        totals: dict[str, Any] = {"timestamp": as_text(now_ns)}
        totals.update({key: _count(found.get(key)) + more.get(key, 0) for key in _KEYS})
        totals["dropped"] = {"quota": _count(mapping(found, "dropped").get("quota")) + dropped}
        replace_file(self._root, TOTALS, _PREPARED, encode_document(totals), sync=False)

    def end(self) -> None:
        """Let others have their turn."""
        self._lock.close()


def take_turn(root: Descriptor, *, wait_s: float = 0.0, due_at_ns: int | None = None) -> Turn | None:
    """Return our turn; ``None`` while another process has it or, with ``due_at_ns``, when the last run is less than an hour ago.

    Raises:
        LayoutError: the lock file is not ours to use, or the file system has no locks.
        OSError: it cannot be opened.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    lock = Descriptor(os.open(LOCK, flags, FILE_MODE, dir_fd=root.fd))
    status = os.fstat(lock.fd)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink > 1:
        raise LayoutError(f"{LOCK}: expected a file of user {os.geteuid()} with one name")
    found = lock_exclusively(lock, wait_s)
    if found is Lock.UNSUPPORTED:
        raise LayoutError(f"{LOCK}: expected a file system with locks, without which one cannot tell who is at work")
    if found is Lock.TAKEN or (due_at_ns is not None and not _is_due(lock, due_at_ns)):
        lock.close()
        return None
    if os.fstat(lock.fd).st_size == 0:
        # Until now its time was only when it was made; that of a run that is killed must not count either.
        os.pwrite(lock.fd, b"\n", 0)
        os.utime(lock.fd, ns=(0, 0))
    return Turn(root, lock)


def _is_due(lock: Descriptor, now_ns: int) -> bool:
    status = os.fstat(lock.fd)
    # In both directions: after a jump of the clock the time may lie ahead.
    return status.st_size == 0 or abs(now_ns - status.st_mtime_ns) >= INTERVAL_NS


def read_totals(root: Descriptor) -> Mapping[str, Any]:
    """What all runs together did; empty before the first."""
    try:
        file = Descriptor(os.open(TOTALS, _READ, dir_fd=root.fd))
        found = orjson.loads(os.read(file.fd, _MAX_TOTALS_BYTES))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _count(value: object) -> int:
    return value if type(value) is int and value >= 0 else 0
