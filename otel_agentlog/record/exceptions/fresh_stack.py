"""Work of ours where the calling thread's stack is nearly used up, as in a recursion without end.

A recording call that returns has recorded. So close to the recursion limit it works on a thread of its own, which has a stack of
its own, while the calling thread waits. Entry points look by themselves whether that may be needed, without a further call::

    try:
        sys._getframe(SHALLOW)
        deep = is_deep()
    except ValueError:
        deep = False  # the usual case: there are not that many frames
    except RecursionError:
        deep = True
"""

from __future__ import annotations

import _thread
import sys
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from otel_agentlog._interrupts import THREAD_PATIENCE_S, raise_interrupt, started_in_try, traceback_of
from otel_agentlog.record.exceptions.timeout_call import thread_state

SHALLOW = 120
"""So many frames are never too many, whatever calls of the interpreter's own code count as beside them."""
ROOM = 200
"""Calls within each other that recording may need, with imports, processors and texts of users in it."""


def _nested() -> tuple[Any, ...]:
    nested: tuple[Any, ...] = ()
    for _ in range(ROOM):
        nested = (nested,)
    return nested


_ONE, _OTHER = _nested(), _nested()


def is_deep() -> bool:
    """Whether the calling thread has room for fewer than `ROOM` calls within each other."""
    try:
        sys._getframe(sys.getrecursionlimit() - ROOM)
    except ValueError:
        raise_interrupt()
        # Calls of C code, which have no frames, count too (up to Python 3.11) or by themselves: comparing these takes as many.
        return _ONE != _OTHER
    return True


Result = TypeVar("Result")


def on_fresh_stack(function: Callable[..., Result], *args: Any) -> Result:
    """What ``function(*args)`` returns or raises on a thread of its own, in a copy of the current context.

    Needs no more of the calling thread's stack than this one frame: what is called from it may fail for want of it. Where
    there are no more threads it is called as it is.
    """
    done = _thread.allocate_lock()
    done.acquire()
    result: list[Result] = []
    errors: list[BaseException] = []
    state = (thread_state.calls, thread_state.log_lines, sys.exc_info()[1])
    entry: Callable[[], object] = partial(copy_context().run, _run, function, args, state, result, errors, done)
    try:
        entry = started_in_try(entry)
    except RecursionError:
        pass  # these two calls more do not fit
    try:
        thread = _thread.start_new_thread(entry, ())
    except RuntimeError:
        raise_interrupt()
        return function(*args)
    # As `released` does it, without a frame of its own.
    missed = 0
    while not done.acquire(timeout=THREAD_PATIENCE_S):
        missed = 0 if thread in sys._current_frames() else missed + 1
        if missed == 2:
            if not done.acquire(blocking=False):
                return function(*args)
            break
    if errors:
        raise errors[0]
    return result[0]


def _run(
    function: Callable[..., Result],
    args: tuple[Any, ...],
    state: tuple[int, int, BaseException | None],
    result: list[Result],
    errors: list[BaseException],
    done: _thread.LockType,
) -> None:
    try:
        thread_state.calls, thread_state.log_lines, handled = state
        result.append(function(*args) if handled is None else _while_handling(handled, function, args))
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised again where the call was made
        errors.append(BaseException.with_traceback(error, None))
    finally:
        done.release()


def _while_handling(handled: BaseException, function: Callable[..., Result], args: tuple[Any, ...]) -> Result:
    """What ``function(*args)`` returns, while the exception that the calling thread handles is handled here, too."""
    traceback = traceback_of(handled)
    try:
        raise handled
    except BaseException:  # noqa: BLE001 - it was raised in the line above
        BaseException.with_traceback(handled, traceback)
        return function(*args)
