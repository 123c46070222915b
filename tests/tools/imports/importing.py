"""Runs imports in this process, with prices of our own."""

from __future__ import annotations

import errno
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from otel_agentlog.settings.fields import load
from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.tools.imports.importer import Importer, ImportReport
from otel_agentlog.wiring.importing import import_recorder
from tests.tools.imports.samples import PRICES


def importer(root: Path, *, send: bool = False, settings: dict[str, Any] | None = None, **options: Any) -> Importer:
    """One that is not entered yet."""
    found = load({"prices": PRICES, "service_name": "test", **(settings or {})})
    make: Callable[..., Any] = lambda make_sink, clock, failures: import_recorder(found, make_sink, clock, failures, send=send)  # noqa: E731
    return Importer(root, make, **options)


def run_import(root: Path, *paths: Path, **options: Any) -> ImportReport:
    """Import once."""
    made = importer(root, **options)
    with made:
        made.run(paths)
    return made.report


def tasks_of(root: Path) -> list[TaskReader]:
    """The tasks that are there, all of which are valid."""
    found = list(list_tasks(root))
    for task in found:
        checked = validate(task.folder)
        assert not checked.problems, checked.problems
    return found


def failing_at(call: int, work: Callable[..., Any]) -> Callable[..., Any]:
    """The same, but for this call, which finds the disk full."""
    numbers = count(1)

    def wrapper(*given: Any, **named: Any) -> Any:
        if next(numbers) == call:
            raise OSError(errno.ENOSPC, "No space left on device")
        return work(*given, **named)

    return wrapper
