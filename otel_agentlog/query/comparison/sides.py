"""Which tasks the sides A and B of a comparison are: from what a person typed to a root and a filter."""

from __future__ import annotations

import os
import re
from pathlib import Path

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.errors import FilterError, TaskNotFoundError
from otel_agentlog.query.filters.language import did_you_mean, narrowed, with_conditions
from otel_agentlog.query.naming import LAST, resolve
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.index.condition import FIELDS, Named, literal
from otel_agentlog.store.index.filter import Filter
from otel_agentlog.vocabulary.terminal_text import given_path

KEYS = tuple(name for name, field in FIELDS.items() if field.kind == "name" and name != "id")
"""By which values two groups can be named: ``--by agent plan review``."""

MIN_BEGINNING = 4
"""Characters of the beginning of an id that are taken for one; anything shorter is a word to look for."""

_MAY_BE_ID = re.compile(r"[^\s:<>=!\"()*?/]+")


@dataclass(frozen=True, slots=True)
class Side:
    """The tasks of one side."""

    root: Path
    wanted: Filter
    said: str
    """How they were asked for, for people: ``task-7f3a``, ``agent:plan``, ``tasks below DIR``."""
    task: TaskReader | None = None
    """The one task, where it is no group."""


def side_of(root: Path, text: str, *, by: str | None = None, narrowing: Filter | None = None, paths: bool = True) -> Side:
    """Return the side that a person means by `text`.

    Args:
        root: the folder of the task folders.
        text: with `by` a value of that field, in which ``*`` is any text. Without it a path with a slash in it to another root or
            to a task's folder; the id of a task, or its beginning; else a filter, the empty one for all tasks.
        by: one of `KEYS`.
        narrowing: what the tasks of a group must meet besides.
        paths: whether a path is one; where not, nothing outside the root is looked at.

    Raises:
        FilterError: the text cannot be read as a filter, or there is no such field.
        TaskNotFoundError: a folder within a root that is no task.
    """
    narrowing = narrowing or Filter()
    if by is not None:
        return Side(root, with_conditions(narrowing, [Named(_key(by), (_value(by, text),))]), f"{_key(by)}:{text}")
    if paths and "/" in text and os.path.isdir(path := given_path(text)):
        return _at(Path(os.path.abspath(path)), root, narrowing)
    if (task := _task(root, text)) is not None:
        return _of(task)
    return Side(root, narrowed(narrowing, text), text.strip() or "all tasks")


def _key(by: str) -> str:
    if by not in KEYS:
        raise FilterError(f"--by: expected one of {', '.join(KEYS)}, found {by!r}{did_you_mean(by, KEYS)}")
    return by


def _value(by: str, text: str) -> str:
    if not text:
        raise FilterError(f"--by {by}: expected a value, found an empty one")
    return text


def _at(path: Path, root: Path, narrowing: Filter) -> Side:
    """The task whose folder a path is, else the tasks below it."""
    try:
        return _of(resolve(root, f"{path}/"))
    except TaskNotFoundError:
        return Side(path, narrowing, f"tasks below {path}")


def _of(task: TaskReader) -> Side:
    wanted = Filter(condition=Named("id", (literal(task.task_id),)))
    return Side(task.folder.parent, wanted, task.task_id, task)


def _task(root: Path, text: str) -> TaskReader | None:
    if _MAY_BE_ID.fullmatch(text) is None:
        return None
    try:
        found = resolve(root, text)
    except (TaskNotFoundError, OSError, ValueError):
        raise_interrupt()
        return None  # a word, which is looked for
    whole = text == LAST or text in (found.task_id, found.folder.name)
    return found if whole or len(text) >= MIN_BEGINNING else None
