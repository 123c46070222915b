"""What the child of a fork renews: locks, threads, descriptors and random numbers that it has copied from its parent.

The only module that registers with `os.register_at_fork`. A callback runs in the child alone, before ``os.fork`` returns there.
"""

from __future__ import annotations

import itertools

# Its hooks must come before ours: a fork that waits for an import must not hold logging's lock.
import logging  # noqa: F401
import os
import random
import sys
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager
from types import MethodType
from typing import TypeAlias

from otel_agentlog._interrupts import KeyedReference, taken_out

IMPORT_WAIT_S = 10.0
"""Longest time, in seconds, that a fork waits for an import; that of an exporter takes about half a second."""

Callback: TypeAlias = Callable[[], object]

_random = random.Random()  # noqa: S311 - ids need not be secret
"""Not the module's own: programs that seed that would have the same ids each time."""
random_bits = _random.getrandbits
"""A random number of so many bits, for ids; in the child of a fork others than the parent's."""


def begin_ids(series: int | None) -> None:
    """Begin a series of random numbers: the same ones for the same number, for tests; ``None``: ones that nobody can repeat."""
    _random.seed(series)


_callbacks: dict[Hashable, Callable[[], Callback | None]] = {}
_numbers = itertools.count()
_gone: deque[KeyedReference[object]] = deque()
"""The objects of bound methods that are no more, each with the number of its callback."""


def after_fork_in_child(callback: Callback) -> None:
    """Call ``callback()`` in the child of every fork; callbacks run in the order in which they were registered.

    A bound method is held weakly: it is called as long as its object lives. All callbacks run, even if one fails; the interpreter
    then prints the errors. Takes no lock, so it may be called in signal handlers.
    """
    for gone in taken_out(_gone):
        _callbacks.pop(gone.key, None)
    number = next(_numbers)
    if isinstance(callback, MethodType):
        # Not weakref.WeakMethod: where the interpreter's end collects it before its object, it prints an AttributeError.
        function, owner = callback.__func__, KeyedReference[object](callback.__self__, _gone.append)
        owner.key = number
        _callbacks[number] = lambda: None if (found := owner()) is None else MethodType(function, found)
    else:
        _callbacks[number] = lambda: callback


class _Here(threading.local):
    depth = 0
    """How many `forks_wait` blocks this thread is in."""


_here = _Here()
_gate = threading.Condition()
_importing = 0
"""Threads that are in a `forks_wait` block."""
_forking = 0
"""Threads that are about to fork."""


@contextmanager
def forks_wait() -> Iterator[None]:
    """Keep forks of other threads waiting, at most `IMPORT_WAIT_S`. Several threads may be in such a block at the same time.

    For imports on threads of ours or at first use: in the child of a fork, a module that another thread was just importing stays
    half made for ever, and its lock is held for ever.
    """
    global _importing
    if not _here.depth:
        with _gate:
            _gate.wait_for(lambda: not _forking, IMPORT_WAIT_S)
            _importing += 1
    _here.depth += 1
    try:
        yield
    finally:
        _here.depth -= 1
        if not _here.depth:
            with _gate:
                _importing -= 1
                _gate.notify_all()


def _before() -> None:
    global _forking
    with _gate:
        _forking += 1
        _gate.wait_for(lambda: _importing <= bool(_here.depth), IMPORT_WAIT_S)


def _after_in_parent() -> None:
    global _forking
    with _gate:
        _forking -= 1
        _gate.notify_all()


def _after_in_child() -> None:
    global _gate, _forking, _importing
    _gate, _forking, _importing = threading.Condition(), 0, int(bool(_here.depth))
    with ExitStack() as stack:
        # The stack calls the last first.
        for reference in reversed(list(_callbacks.values())):
            if callback := reference():
                stack.callback(callback)
        # So first: the others make ids.
        stack.callback(_random.seed)


# Windows has no fork.
if sys.platform != "win32":
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
