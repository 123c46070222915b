"""The operations that are open in this process, so that they can be ended when the process ends.

The registry holds no operation alive, takes no lock, and is empty in the child of a fork: a block that a child leaves but its
parent entered is ended by the parent. Children of ``multiprocessing`` end without ``atexit``; `at_exit_of_children` covers them.
"""

from __future__ import annotations

import sys
import time
import weakref

# That of `signal` makes an enum of what it finds, which takes as long as all the rest that is done when an operation begins.
from _signal import getsignal  # type: ignore[import-not-found]  # typeshed does not know it
from collections.abc import Callable, Iterable
from typing import Any

from otel_agentlog._interrupts import end_abandoned
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog.record.operations.context import OperationScope
from otel_agentlog.vocabulary.actions import SEGMENT, TASK
from otel_agentlog.vocabulary.lines import Line

OPEN: dict[int, weakref.ref[OperationScope]] = {}
"""By `id`, in the order they began; an operation that ends takes itself out. What is not in here was begun before a fork."""

_watched: list[tuple[int, object, Callable[[], None]]] = []
_at_child_exit: list[Callable[[], object]] = []

_LAST = -100
"""``exitpriority`` of ``multiprocessing``: after everything that users and libraries do at the end of a child."""


def opened(operation: OperationScope) -> None:
    """Note an operation whose start line was recorded, and look after the handlers of signals (`watch`)."""
    OPEN[id(operation)] = weakref.ref(operation)
    for signum, handler, call in _watched:
        if getsignal(signum) is not handler:
            call()


def watch(signums: Iterable[int], call: Callable[[], None], *, at_once: bool = False) -> None:
    """Have something called when anything has begun and one of these signals has another handler than now; or ``at_once``."""
    global _watched
    _watched = [(signum, None if at_once else getsignal(signum), call) for signum in signums]


def interrupt_open(reason: str, within_s: float = 5.0) -> int:
    """End what is open as interrupted, the innermost first; returns how many operations that were.

    What cannot be ended within this time is left to recovery.
    """
    end_abandoned()
    deadline, count = time.monotonic() + within_s, 0
    for operation in reversed(_alive()):
        if time.monotonic() > deadline:
            break
        count += operation.interrupt(reason)
    return count


def open_with_span(span_id: str) -> OperationScope | None:
    """The operation that has this span, 16 hex digits, if it is open."""
    return next((each for each in _alive() if each.own_ids is not None and each.own_ids.get("span_id") == span_id), None)


def tell_open_tasks(line: Line) -> None:
    """Record a line in every open task."""
    for operation in _alive():
        if operation.kind is TASK or operation.kind is SEGMENT:
            operation.point(dict(line))


def _alive() -> list[OperationScope]:
    found = [reference() for reference in list(OPEN.values())]
    return [operation for operation in found if operation is not None]


def at_exit_of_children(call: Callable[[], object]) -> None:
    """Have something called when this process ends, if it is a child of ``multiprocessing``, and when its own children do."""
    if call not in _at_child_exit:
        _at_child_exit.append(call)
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        _finalize(call)


def _finalize(call: Callable[[], object]) -> None:
    from multiprocessing.util import Finalize  # only where it is loaded anyway

    Finalize(None, call, exitpriority=_LAST)


def _finalize_all(anchor: object) -> None:
    for call in _at_child_exit:
        _finalize(call)


def _renew_after_fork() -> None:
    OPEN.clear()
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        # A child begins by forgetting the finalizers there are; what is registered here runs after that.
        util.register_after_fork(opened, _finalize_all)


after_fork_in_child(_renew_after_fork)
