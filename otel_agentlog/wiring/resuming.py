"""Hides what must be done before a task can be resumed: if the process that ran it is gone, what it left open is closed first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from otel_agentlog.model import Line, State
from otel_agentlog.store import FolderSink, close_abandoned

_OPEN = (State.RUNNING.value, State.PAUSED.value)


def finder(
    folders: FolderSink, attributes: Callable[[Line], Mapping[str, Any]], failed: Callable[[str, BaseException], None]
) -> Callable[[str], Mapping[str, Any]]:
    """What tells the ``metadata.json`` of a task that is to be resumed: ``interrupted`` where nobody runs it any more."""

    def find(task_id: str) -> Mapping[str, Any]:
        known = folders.find_task(task_id)
        if known.get("status") not in _OPEN:
            return known
        try:
            close_abandoned(Path(folders.root), task_id, attributes=attributes)
        except Exception as error:  # noqa: BLE001 - whatever stands in a folder must not keep the agent from its work
            failed("recovery", error)
        return folders.find_task(task_id)

    return find
