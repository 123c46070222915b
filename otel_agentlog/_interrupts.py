"""Exceptions that interrupt our work and are not of our work: they are never kept.

A signal handler that raises (a timeout by SIGALRM, Celery's ``SoftTimeLimitExceeded``), and
``PyThreadState_SetAsyncExc``, raise between any two instructions of whatever code runs, ours included, and what they
raise is an ordinary `Exception`, often a `TimeoutError`, which is an `OSError`. So every ``except`` of ours that can
run while something is recorded begins with `raise_interrupt`. It decides by where the exception was raised:

- by a signal handler: Python calls it with ``(signum, frame)``, where ``frame`` is the very frame that it interrupts;
- by another thread: the class is instantiated without arguments, and raised where no ``raise`` statement stands, at
  one of the few instructions at which the interpreter looks for such requests.

Where there is no exception nothing of this runs. Finalizers are another matter, as Python drops whatever is raised in
them: `finalizer` and `called_when_gone` have the interpreter append to a queue, which takes no Python code, and the work
is done later by whoever empties it.
"""

from __future__ import annotations

import dis
import queue
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from types import CodeType, FrameType, FunctionType, MethodType, TracebackType

_OWN_FRAMES = __package__ + "."

_BARE_ERRORS_OF_C = (MemoryError, StopIteration, StopAsyncIteration, queue.Empty)
"""What code in C raises without arguments; for all others it has a message, a key or an error number."""

_SIGNALS = tuple(signal.valid_signals())

_INTERRUPTIBLE = ("CALL", "PRECALL", "JUMP_", "POP_JUMP_", "RESUME")
"""How the instructions begin behind which the interpreter looks whether something is to be raised."""


def raise_interrupt() -> None:
    """Within an ``except`` block: raise again what interrupted the work of the ``try`` block, or of what that called.

    Returns if the exception that is being handled came from that work.
    """
    error = sys.exc_info()[1]
    if error is not None and (found := interrupt_in(error)) is not None:
        raise found


class suppress_errors(suppress):
    """`contextlib.suppress` for all but interrupts."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> bool:
        dropped = bool(super().__exit__(kind, error, traceback))
        return dropped and (error is None or interrupt_in(error) is None)


def interrupt_in(error: BaseException) -> BaseException | None:
    """The interrupt that an exception is, or that it was made of or raised after, within the frame that caught it.

    A library may have put another exception in its place, and clean-up that an interrupt caused may have failed.
    """
    caught_by = error.__traceback__
    todo, seen = [error], {id(error)}
    while todo:
        each = todo.pop()
        if _is_interrupt(each) and (each is error or _within(each, caught_by)):
            return each
        for other in (each.__cause__, each.__context__):
            if other is not None and id(other) not in seen:
                seen.add(id(other))
                todo.append(other)
    return None


def _within(error: BaseException, caught_by: TracebackType | None) -> bool:
    """Whether an exception was raised below the frame that caught another, and not before that frame began."""
    if error.__traceback__ is None or caught_by is None:
        return False
    frame: FrameType | None = error.__traceback__.tb_frame
    while frame is not None:
        if frame is caught_by.tb_frame:
            return True
        frame = frame.f_back
    return False


def _is_interrupt(error: BaseException) -> bool:
    if isinstance(error, KeyboardInterrupt):
        return True
    at = error.__traceback__
    if at is None:
        return False
    handlers = set(_codes_of_handlers())  # once, and not for each frame: a traceback may have thousands
    while (inner := at.tb_next) is not None:
        if inner.tb_frame is not at.tb_frame and _is_handler(inner.tb_frame, at.tb_frame, handlers):
            return True
        at = inner
    return _is_set_by_thread(error, at)


# -- signal handlers -------------------------------------------------------------------------------------------------


def _is_handler(frame: FrameType, interrupted: FrameType, handlers: set[CodeType]) -> bool:
    """Whether a frame is that of a signal handler, called while another frame ran."""
    if any(given is interrupted for given in _arguments(frame)[1:]) and not _is_own(frame):
        return True
    # It may have forgotten its arguments.
    return frame.f_code in handlers


def _arguments(frame: FrameType) -> list[object]:
    """The positional arguments of a call, as far as the function still has them."""
    code, values = frame.f_code, frame.f_locals
    found = [values.get(name) for name in code.co_varnames[: code.co_argcount]]
    if code.co_flags & 0x04:  # inspect.CO_VARARGS
        rest = values.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount])
        found += rest if isinstance(rest, tuple) else ()
    return found


def _is_own(frame: FrameType) -> bool:
    # Functions of ours that take the frame of their caller. `record.signals` has our only handlers, which call the user's.
    module = str(frame.f_globals.get("__name__"))
    return module.startswith(_OWN_FRAMES) and not module.endswith(".record.signals")


def _codes_of_handlers() -> Iterator[CodeType]:
    for number in _SIGNALS:
        function: object = signal.getsignal(number)
        while isinstance(function, partial):
            function = function.func
        if not isinstance(function, (FunctionType, MethodType)):
            function = vars(type(function)).get("__call__")
        code = getattr(function, "__code__", None)
        if isinstance(code, CodeType):
            yield code


# -- PyThreadState_SetAsyncExc -----------------------------------------------------------------------------------------


def _is_set_by_thread(error: BaseException, raised: TracebackType) -> bool:
    """Whether an exception was raised by no statement, and as the interpreter makes those that another thread asks for."""
    if isinstance(error, _BARE_ERRORS_OF_C) or (error.args and not _makes_own_arguments(type(error))):
        return False
    code = raised.tb_frame.f_code
    if raised.tb_lasti < 0:
        # In 3.10 before the first instruction; a generator that has not begun is thrown into there.
        return not code.co_flags & 0x2A0  # inspect.CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR
    operation = code.co_code[raised.tb_lasti : raised.tb_lasti + 1]
    return bool(operation) and dis.opname[operation[0]].startswith(_INTERRUPTIBLE)


def _makes_own_arguments(kind: type[BaseException]) -> bool:
    """Whether a class of other code than Python's makes its message itself, so that it can be raised without one."""
    # Classes of Python that other code derives from (``orjson.JSONDecodeError``) need their arguments.
    others = [each for each in kind.__mro__ if each.__module__.partition(".")[0] not in sys.stdlib_module_names]
    return any(isinstance(vars(each).get(name), _FUNCTIONS) for each in others for name in ("__init__", "__new__"))


_FUNCTIONS = (FunctionType, staticmethod)
