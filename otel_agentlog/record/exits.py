"""What is open in this process, so that it can be ended when the process ends, and by nobody but the process that began it.

Hides the registry: it holds no operation alive, takes no lock, and is empty in the child of a fork. A block that a child leaves
but its parent entered is the parent's to end.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from otel_agentlog.model import Line, Outcome
from otel_agentlog.record.kinds import SEGMENT, TASK

if TYPE_CHECKING:
    from otel_agentlog.record.operation import Operation

_open: dict[int, weakref.ref[Operation]] = {}
"""In the order they began."""

_on_task: list[Callable[[], None]] = []

os.register_at_fork(after_in_child=_open.clear)


class opening:
    """A block in which the start line of an operation is written; after it the operation counts as open."""

    __slots__ = ("_operation",)

    def __init__(self, operation: Operation) -> None:
        self._operation = operation

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        operation = self._operation
        _open[id(operation)] = weakref.ref(operation)
        if operation.kind is TASK or operation.kind is SEGMENT:
            for call in _on_task:
                call()


def closed(operation: Operation) -> bool:
    """Take an operation that ends off the list; false if it was not begun in this process."""
    return _open.pop(id(operation), None) is not None


def on_task(call: Callable[[], None]) -> None:
    """Have something called whenever a task has begun; calling this again with the same function changes nothing."""
    if call not in _on_task:
        _on_task.append(call)


def interrupt_open(reason: str, within_s: float = 5.0) -> int:
    """End what is open as interrupted, the innermost first; returns how much that was.

    What cannot be ended within this time is left to recovery.
    """
    deadline, count = time.monotonic() + within_s, 0
    for operation in reversed(_alive()):
        if time.monotonic() > deadline:
            break
        count += operation._finish(Outcome.INTERRUPTED, None, reason)
    return count


def tell_open_tasks(line: Line) -> None:
    """Record a line in every open task."""
    for operation in _alive():
        if operation.kind is TASK or operation.kind is SEGMENT:
            operation.point(dict(line))


def _alive() -> list[Operation]:
    found = [reference() for reference in list(_open.values())]
    return [operation for operation in found if operation is not None]
