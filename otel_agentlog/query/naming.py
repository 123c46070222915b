"""The task that a person means by what they typed: an id, the beginning of one, ``last``, or a folder."""

from __future__ import annotations

import os
from pathlib import Path

from otel_agentlog.errors import TaskNotFoundError
from otel_agentlog.store.folder.reader import TaskReader, find_task, list_tasks
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.terminal_text import given_path

LAST = "last"
"""Name of the newest task that is not a part of another one."""

_SHOWN = 5
_PREFIX = "task-"


def resolve(root: Path, wanted: str | None) -> TaskReader:
    """Return the task a person means; the newest one for ``None`` and `LAST`.

    Raises:
        TaskNotFoundError: there is none, or several; the message names those that are similar.
    """
    if wanted is not None and "/" in wanted and os.path.isdir(path := given_path(wanted)):
        return _at(Path(os.path.abspath(path)))
    return named(root, wanted)


def named(root: Path, wanted: str | None) -> TaskReader:
    """Return the task that `resolve` would, but never a folder elsewhere: what a client on the other side may ask for.

    Raises:
        TaskNotFoundError: there is none, or several.
    """
    if wanted is None or wanted == LAST:
        return _newest(root)
    try:
        return find_task(root, wanted)
    except TaskNotFoundError as error:
        begun = _beginning_with(root, wanted)
        if not begun:
            raise error from None
    if len(begun) == 1:
        return begun[0]
    names = sorted(task.folder.name for task in begun)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    raise TaskNotFoundError(f"{wanted!r} is the beginning of several tasks: {', '.join(names[:_SHOWN])}{more}")


def _newest(root: Path) -> TaskReader:
    tasks = list(list_tasks(root, newest_first=True))
    if not tasks:
        raise TaskNotFoundError(f"no tasks below {root}: expected folders of tasks, found none")
    # A sub-task is younger than its task, and seldom what is meant.
    return next((task for task in tasks if text(task.metadata() or {}, "parent_task_id") is None), tasks[0])


def _at(path: Path) -> TaskReader:
    found = next((task for task in list_tasks(path.parent) if task.folder.name == path.name), None)
    if found is None:
        raise TaskNotFoundError(f"{path}: expected the folder of a task, found none")
    return found


def _beginning_with(root: Path, wanted: str) -> list[TaskReader]:
    """Tasks whose id begins so, with or without the ``task-`` in front."""
    if not wanted:
        return []
    return [task for task in list_tasks(root) if task.folder.name.startswith((wanted, _PREFIX + wanted))]
