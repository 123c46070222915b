"""Hides how one tells whether a process is still at work on a task.

Whoever writes to a task's folder holds a shared ``flock`` on it (DESIGN §4), so the answer needs no process ids.
"""

from __future__ import annotations

import fcntl
import os

from otel_agentlog.model import State
from otel_agentlog.store import TaskReader, text


def is_held(task: TaskReader) -> bool | None:
    """Whether a process has the task's folder open for writing; ``None`` if that cannot be told from here.

    Takes the folder exclusively for an instant; a writer that begins in this instant waits for it.
    """
    try:
        folder = os.open(task.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None  # a file system without locks
    finally:
        os.close(folder)
    return False


def is_abandoned(task: TaskReader, status: str) -> bool:
    """Whether a task says it is running and the process that ran it is gone: killed, crashed, power cut."""
    return status == State.RUNNING.value and is_held(task) is False and not _is_elsewhere(task)


def _is_elsewhere(task: TaskReader) -> bool:
    # A lock of another machine cannot be seen on every network file system.
    host = next((text(line, "host") for line in task.events() if line.get("type") == "process"), None)
    return host is not None and host != os.uname().nodename
