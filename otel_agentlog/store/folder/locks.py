"""Locks between processes, on folders and files (`otel_agentlog._platform`): they end with the process that holds them.

No wait here is long: a process that was stopped while it held a lock must not stop all others. A process that writes into a
task's folder holds a shared lock on it, so others find that it is at work.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.store.folder.files import Descriptor, LineFile, close_dropped
from otel_agentlog.store.folder.layout import FILE_MODE

LOCK_WAIT_S = 1.0
"""Longest time, in seconds, to wait for a folder that recovery holds."""

BRIEF_WAIT_S = 0.05
"""Longest time, in seconds, to wait for another process that changes ``metadata.json``."""

_POLL_S = 0.005
_LOCK_FLAGS = system.UPDATE | os.O_CREAT


class Lock(Enum):
    """What came of asking for a lock."""

    OURS = "ours"
    TAKEN = "taken"
    UNSUPPORTED = "unsupported"


def lock_shared(directory: Descriptor) -> Lock:
    """Hold a shared lock for as long as the descriptor lives; on a folder it means that a process is at work in it."""
    return _lock(directory, system.SHARED, LOCK_WAIT_S)


def lock_shared_at_once(directory: Descriptor) -> bool:
    """The same, without waiting; whether it was ours to have."""
    try:
        system.lock(directory.fd, system.SHARED)
    except OSError:
        raise_interrupt()
        return False
    return True


def lock_exclusively(file: Descriptor, wait_s: float = 0.0) -> Lock:
    """Have a file or folder to oneself for as long as the descriptor lives."""
    return _lock(file, system.EXCLUSIVE, wait_s)


def _lock(file: Descriptor, kind: int, wait_s: float) -> Lock:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            system.lock(file.fd, kind)
            return Lock.OURS
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return Lock.TAKEN
            time.sleep(_POLL_S)
            close_dropped()  # it may be an object of ours that is gone
        except OSError:
            raise_interrupt()
            return Lock.UNSUPPORTED


@contextmanager
def lock_briefly(directory: Descriptor, name: str) -> Iterator[None]:
    """Keep other processes out for a moment, by a lock on this file; after `BRIEF_WAIT_S` go on without."""
    try:
        lock = Descriptor(system.open(name, _LOCK_FLAGS, FILE_MODE, dir_fd=directory.fd))
    except OSError:
        raise_interrupt()
        lock = None
    if lock is not None:
        lock_exclusively(lock, BRIEF_WAIT_S)
    try:
        yield
    finally:
        if lock is not None:
            lock.close_at_once()


@contextmanager
def locked_briefly(file: LineFile) -> Iterator[None]:
    """The same by a file that is open."""
    descriptor = file.descriptor
    is_ours = lock_exclusively(descriptor, BRIEF_WAIT_S) is Lock.OURS
    try:
        yield
    finally:
        if is_ours:
            system.lock(descriptor.fd, system.UNLOCK)
