"""Calls foreign code on a thread of its own, and waits for it at most half a second.

In Python nothing else can leave code alone that sleeps or waits for a lock. What does not return in time goes on in its thread,
and code of the same classes is not called again until it has returned after all: so it costs its half second once, and a process
has at most `MAX_STUCK` such threads.
"""

from __future__ import annotations

import _thread
import contextvars
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from otel_agentlog._interrupts import raise_interrupt, started_in_try
from otel_agentlog._platform.fork import after_fork_in_child

TIMEOUT_S = 0.5
"""An ordinary text takes microseconds; the rest is for machines with much else to do."""
MAX_STUCK = 8
"""Of how many sets of classes calls may be stuck at one time; then nothing is called any more."""
MAX_NESTED = 3
"""How many calls may be within each other."""

Result = TypeVar("Result")


class TimedOut(Exception):
    """The call did not return in time, or was not made."""


class ThreadState(threading.local):
    """What a call takes over from the thread that waits for it.

    Of the thread and not a context variable: those are not safe to read in the middle of being set, where a signal handler or a
    finaliser may log (Python 3.11 crashes).
    """

    calls = 0
    """Calls around, one within the other."""
    log_lines = 0
    """Log lines in the making, one within the other."""
    on_console = False
    """Whether our console is writing: a stream that logs what it is given logs our own output."""


thread_state = ThreadState()


class _Call(Generic[Result]):
    """One call on a thread of its own.

    Not a `threading.Thread`, nor an event: where such an object goes, or is waited for, Python code runs that would drop, or be
    left halfway by, what a signal handler raises.
    """

    def __init__(self, function: Callable[[], Result], classes: frozenset[type]) -> None:
        # Texts may depend on the context: the language of a request, for one.
        self._work: list[tuple[Callable[[], Result], contextvars.Context]] = [(function, contextvars.copy_context())]
        self._log_lines = thread_state.log_lines
        self.classes, self.stuck = classes, False
        self._lock = _thread.allocate_lock()
        self.result: list[Result] = []
        self.error: BaseException | None = None

    def start(self) -> None:
        """Begin. Raises `RuntimeError` if there are no more threads, or the interpreter is about to end."""
        self._lock.acquire()
        _thread.start_new_thread(started_in_try(self._run), ())

    def is_over(self, timeout_s: float = -1) -> bool:
        """Wait for its end, -1: as long as it takes; whether it has come."""
        return self._lock.acquire(timeout=timeout_s)

    def _run(self) -> None:
        thread_state.calls, thread_state.log_lines = 1, self._log_lines
        function, context = self._work.pop()
        try:
            self.result.append(context.run(function))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised again where the call was made
            self.error = error.with_traceback(None)
        # The thread ends a little later than the call; it must not keep what it was called with alive.
        del function, context
        _running.discard(self)
        self._lock.release()


_running: set[_Call[Any]] = set()


def timeout_call(function: Callable[[], Result], classes: frozenset[type]) -> Result:
    """What ``function`` returns or raises; ``classes`` are the foreign classes of which it runs code.

    Raises:
        TimedOut: not in time; or a call of code of these classes is stuck, or recurses without end.
    """
    if depth := thread_state.calls:
        return _within(function, depth)
    stuck = {call.classes for call in list(_running) if call.stuck}
    if len(stuck) >= MAX_STUCK or any(known <= classes for known in stuck):
        raise TimedOut
    call = _Call(function, classes)
    _running.add(call)
    try:
        call.start()
    except RuntimeError:
        raise_interrupt()
        # No more threads, or the interpreter is about to end.
        _running.discard(call)
        raise TimedOut from None
    if not call.is_over(TIMEOUT_S):
        call.stuck = True
        raise TimedOut
    return _result_of(call)


def call_apart(function: Callable[[], Result]) -> Result:
    """What ``function`` returns or raises, called on a thread of its own, where no signal handler runs.

    For code of others that drops what those raise: `traceback` does, while it reads source files and marks the place of an error.
    It takes as long as it takes.
    """
    if thread_state.calls:
        return function()
    call = _Call(function, frozenset())
    try:
        call.start()
    except RuntimeError:
        raise_interrupt()
        return function()
    call.is_over()
    return _result_of(call)


def _result_of(call: _Call[Result]) -> Result:
    error, call.error = call.error, None
    if error is not None:
        try:
            raise error
        finally:
            del error  # else its traceback, which has this frame, would keep it alive
    return call.result.pop()


def _within(function: Callable[[], Result], depth: int) -> Result:
    # This thread is waited for as it is; but calls must not go round in circles.
    if depth > MAX_NESTED:
        raise TimedOut
    thread_state.calls = depth + 1
    try:
        return function()
    finally:
        thread_state.calls = depth


def _renew_after_fork() -> None:
    """In the child of a fork, which has none of those threads."""
    _running.clear()
    thread_state.calls = 0


after_fork_in_child(_renew_after_fork)
