"""Hides how one tells whether a process is at work in a task's folder: whoever writes there holds a shared ``flock`` on it."""

from __future__ import annotations

import os

from otel_agentlog.store.descriptors import Descriptor
from otel_agentlog.store.locks import Lock, lock_exclusively

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def is_held(folder: str | os.PathLike[str], parent: Descriptor | None = None, wait_s: float = 0.0) -> bool | None:
    """Whether a process has a folder, below `parent` if given, open for writing; ``None`` if that cannot be told from here.

    Takes the folder exclusively for an instant; a writer that begins in this instant waits for it. With `wait_s` seconds others
    that look in the same way, recovery and the command line, have time to let go of it.
    """
    try:
        found = Descriptor(os.open(folder, _FLAGS, dir_fd=None if parent is None else parent.fd))
    except OSError:
        return None
    lock = lock_exclusively(found, wait_s)
    found.close()
    # A file system without locks says nothing.
    return None if lock is Lock.UNSUPPORTED else lock is Lock.TAKEN
