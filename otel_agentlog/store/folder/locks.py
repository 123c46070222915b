"""Locks between processes, on folders and files: ``flock``, which ends with the process that holds it, however that ends.

No wait here is long: a process that was stopped while it held a lock must not stop all others. A process that writes into a
task's folder holds a shared lock on it, so others find that it is at work.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.store.folder.files import Descriptor, LineFile, close_dropped
from otel_agentlog.store.folder.layout import FILE_MODE

LOCK_WAIT_S = 1.0
"""Longest time, in seconds, to wait for a folder that recovery holds."""

BRIEF_WAIT_S = 0.05
"""Longest time, in seconds, to wait for another process that changes ``metadata.json``."""

_POLL_S = 0.005
_LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Lock(Enum):
    """What came of asking for a lock."""

    OURS = "ours"
    TAKEN = "taken"
    UNSUPPORTED = "unsupported"


def lock_shared(directory: Descriptor) -> Lock:
    """Hold a shared lock for as long as the descriptor lives; on a folder it means that a process is at work in it."""
    return _lock(directory, fcntl.LOCK_SH, LOCK_WAIT_S)


def lock_shared_at_once(directory: Descriptor) -> bool:
    """The same, without waiting; whether it was ours to have."""
    try:
        fcntl.flock(directory.fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        raise_interrupt()
        return False
    return True


def lock_exclusively(file: Descriptor, wait_s: float = 0.0) -> Lock:
    """Have a file or folder to oneself for as long as the descriptor lives."""
    return _lock(file, fcntl.LOCK_EX, wait_s)


def _lock(file: Descriptor, kind: int, wait_s: float) -> Lock:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file.fd, kind | fcntl.LOCK_NB)
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
        lock = Descriptor(os.open(name, _LOCK_FLAGS, FILE_MODE, dir_fd=directory.fd))
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
            fcntl.flock(descriptor.fd, fcntl.LOCK_UN)
