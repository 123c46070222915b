"""Whether a process is at work on a task.

A process that writes in a task's folder holds a shared ``flock`` on it: `folder_use` sees that. Process lines are read where
the lock does not decide: a process that ran out of descriptors closes folders it still works in, some file systems have no
locks, and on a network disk the lock of a folder is known to its own machine only.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import lazy_pattern
from otel_agentlog.store.folder.files import Descriptor, open_directory
from otel_agentlog.store.folder.layout import parse_timestamp
from otel_agentlog.store.folder.locks import Lock, lock_exclusively
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.lines import Line, is_worker
from otel_agentlog.vocabulary.states import State

QUIET_S = 10.0
"""How long, in seconds, nothing must have been written where there are no locks."""

FOREIGN_QUIET_S = 3600.0
"""How long, in seconds, nothing must have been written by a process of another machine on a network disk."""

_CLOCK_SLACK_S = 2.0
_NETWORK = lazy_pattern(r"nfs\d?|cifs|smb\w*|9p|ceph|lustre|glusterfs|afs|gfs2|ocfs2|beegfs|fuse\..*")


class FolderUse(Enum):
    """Result of trying the lock of a folder."""

    IN_USE = "in use"
    """A process has it open for writing."""
    FREE = "free"
    NO_LOCKS = "no locks"
    """The file system has none."""
    UNREADABLE = "unreadable"
    """It is no folder, does not exist, or cannot be opened."""


def folder_use(
    folder: str | os.PathLike[str], parent: Descriptor | None = None, *, wait_s: float = 0.0, own_only: bool = False
) -> FolderUse:
    """Return whether a process has a folder, below `parent` if given, open for writing.

    Takes the folder exclusively for an instant; a writer that begins in this instant waits for it. For up to `wait_s` seconds
    it waits for others that hold the lock in the same way, such as recovery and the command line. With `own_only` a folder of
    another user is `UNREADABLE`.
    """
    try:
        if own_only:
            found = open_directory(os.fspath(folder), parent)
        else:
            found = Descriptor(system.open(folder, system.READ_FOLDER, dir_fd=None if parent is None else parent.fd))
    except OSError:
        raise_interrupt()
        return FolderUse.UNREADABLE
    lock = lock_exclusively(found, wait_s)
    found.close()
    return {Lock.OURS: FolderUse.FREE, Lock.TAKEN: FolderUse.IN_USE, Lock.UNSUPPORTED: FolderUse.NO_LOCKS}[lock]


def is_abandoned(task: TaskReader, status: str) -> bool:
    """Whether the status is running and the process that ran the task has died: killed, crashed, power cut."""
    return status == State.RUNNING.value and folder_use(task.folder) is FolderUse.FREE and not _began_elsewhere(task)


def _began_elsewhere(task: TaskReader) -> bool:
    first = next((line for line in task.events() if line.get("type") == "process"), {})
    return text(first, "host") is not None and is_foreign(first)


def is_at_work(directory: Descriptor, task: TaskReader) -> bool | None:
    """Whether a process is at work on a task, whose folder is `directory`; ``None`` if unknown."""
    use = folder_use(".", directory)
    if use is not FolderUse.FREE:
        return True if use is FolderUse.IN_USE else None
    processes = [line for line in task.events() if line.get("type") == "process" and is_worker(line)]
    if any(may_be_alive(line) for line in processes):
        return None
    return None if processes and is_foreign(processes[-1]) else False


def may_be_at_work(writers: Sequence[Line], directory: Descriptor, lock: Lock, quiet_s: float) -> bool:
    """Whether a process may be at work in a folder although we could lock it, or could not for want of locks.

    Args:
        writers: process lines of those who left something open.
        lock: what came of locking the folder exclusively, `TAKEN` excluded.
        quiet_s: seconds since something was last written there.
    """
    if any(may_be_alive(line) for line in writers):
        return True
    if lock is Lock.UNSUPPORTED and quiet_s < QUIET_S:
        return True
    foreign = any(is_foreign(line) for line in writers)
    return foreign and quiet_s < FOREIGN_QUIET_S and (lock is Lock.UNSUPPORTED or on_network_disk(directory.fd))


def may_be_alive(process: Mapping[str, Any]) -> bool:
    """Whether the process of a process line, if it ran on this machine, may still be running."""
    pid = process.get("pid")
    if type(pid) is not int or not 0 < pid < 1 << 31 or text(process, "host") != socket.gethostname():
        return False
    try:
        began_s = system.process_began(pid)
        written_s = parse_timestamp(text(process, "timestamp") or "") / 1e9
    except ProcessLookupError:
        return False
    except ValueError:
        raise_interrupt()
        return True
    # One that began after the line was written has the number of one that is dead.
    return began_s is None or began_s <= written_s + _CLOCK_SLACK_S


def is_foreign(process: Mapping[str, Any]) -> bool:
    """Whether a process line comes from another machine, or has no ``host``."""
    return text(process, "host") != socket.gethostname()


def on_network_disk(fd: int) -> bool:
    """Whether an open file or folder lies on a disk that several machines may share. Known on Linux only."""
    if sys.platform != "linux":
        return False
    device = os.fstat(fd).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        raise_interrupt()
        return False
    for mount in mounts.splitlines():
        before, _, after = mount.partition(" - ")
        if before.split()[2:3] == [wanted]:
            return _NETWORK.fullmatch(after.split()[0]) is not None
    return False
