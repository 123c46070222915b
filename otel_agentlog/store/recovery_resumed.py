"""Repair of one task that is about to be resumed.

Hides that somebody else may be repairing it at this very moment: a process that starts again after a crash recovers in the
background, and resumes in front.
"""

from __future__ import annotations

import os
from pathlib import Path

from otel_agentlog.store.descriptors import open_directory
from otel_agentlog.store.locks import lock_shared
from otel_agentlog.store.reader import find_task
from otel_agentlog.store.recovery import Recovered, recover
from otel_agentlog.store.recovery_lines import Attributes

_TRIES = 3


def close_abandoned(root: Path, task_id: str, *, attributes: Attributes) -> Recovered:
    """Close what a dead process left open of one task; a task that somebody runs stays as it is.

    Raises:
        TaskNotFoundError: there is no such task.
        OSError: its folder cannot be opened.
    """
    for _ in range(_TRIES):
        # Waits for whoever has the folder to himself, which only repair and retention ever have.
        lock_shared(open_directory(os.fspath(find_task(root, task_id).folder)))
        found = recover(root, [task_id], attributes=attributes)
        if all(repair.what != "held" for repair in found.repairs):
            break
    return found
