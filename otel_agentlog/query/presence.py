"""Hides how one tells whether a task that says it is running is."""

from __future__ import annotations

import os

from otel_agentlog.model import State
from otel_agentlog.store import TaskReader, is_held, text


def is_abandoned(task: TaskReader, status: str) -> bool:
    """Whether a task says it is running and the process that ran it is gone: killed, crashed, power cut."""
    return status == State.RUNNING.value and is_held(task.folder) is False and not _is_elsewhere(task)


def _is_elsewhere(task: TaskReader) -> bool:
    # A lock of another machine cannot be seen on every network file system.
    host = next((text(line, "host") for line in task.events() if line.get("type") == "process"), None)
    return host is not None and host != os.uname().nodename
