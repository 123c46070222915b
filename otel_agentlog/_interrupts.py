"""Exceptions that interrupt our work and are not of our work: they are never kept.

A signal handler that raises (a timeout by SIGALRM, Celery's ``SoftTimeLimitExceeded``), and
``PyThreadState_SetAsyncExc``, raise between any two instructions of whatever code runs, ours included, and what they
raise is an ordinary `Exception`, often a `TimeoutError`, which is an `OSError`. So every ``except`` of ours that can
run while something is recorded begins with `raise_interrupt`. It decides by where the exception was raised:

- by a signal handler: Python calls it with ``(signum, frame)``, where ``frame`` is the very frame that it interrupts;
- by another thread: the class is instantiated without arguments, and raised where no ``raise`` statement stands, at
  one of the few instructions at which the interpreter looks for such requests.

Where there is no exception nothing of this runs. Finalizers are another matter, as Python drops whatever is raised in
them: ``__del__`` and the callbacks of weak references are made of no Python code (`in_c`, `WeakValues`): they put what
is to be done into a queue, and it is done when that is emptied.
"""

from __future__ import annotations

# Its `getsignal`, as that of `signal` makes a `repr` of every handler: asyncio's holds the task, with what it returned.
import _signal  # type: ignore[import-not-found]  # typeshed does not know it
import _thread

# With which `weakref` does the same.
import _weakref
import queue
import signal
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from opcode import opname
from operator import methodcaller
from types import CodeType, FrameType, FunctionType, MethodType, TracebackType
from typing import Any, Generic, Protocol, TypeVar

Value = TypeVar("Value")

_OWN_FRAMES = __package__ + "."

# Not `error.__traceback__`: a class of exceptions may have attributes of its own, which may raise.
traceback_of: Callable[[BaseException], TracebackType | None] = BaseException.__dict__["__traceback__"].__get__
cause_of: Callable[[BaseException], BaseException | None] = BaseException.__dict__["__cause__"].__get__
context_of: Callable[[BaseException], BaseException | None] = BaseException.__dict__["__context__"].__get__
args_of: Callable[[BaseException], tuple[Any, ...]] = BaseException.__dict__["args"].__get__

_BARE_ERRORS_OF_C = (MemoryError, StopIteration, StopAsyncIteration, queue.Empty)
"""What code in C raises without arguments; for all others it has a message, a key or an error number."""

_SIGNALS = tuple(signal.valid_signals())

_INTERRUPTIBLE = ("CALL", "PRECALL", "JUMP_", "POP_JUMP_", "RESUME")
"""How the instructions begin behind which the interpreter looks whether something is to be raised."""

_POPLEFT = methodcaller("popleft")

_mro_of: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
_module_of: Callable[[type], object] = type.__dict__["__module__"].__get__
_names_of: Callable[[type], Mapping[str, object]] = type.__dict__["__dict__"].__get__


def raise_interrupt() -> None:
    """Within an ``except`` block: raise again what interrupted the work of the ``try`` block, or of what that called.

    Returns if the exception that is being handled came from that work.
    """
    error = sys.exc_info()[1]
    found = None if error is None else interrupt_in(error)
    if found is not None:
        try:
            raise found
        finally:
            # Else its traceback, which has this frame, would keep it alive until the garbage collector comes, and with it the
            # generators of blocks that it left: what interrupts the end of one of those is lost.
            del error, found


def is_interrupt(error: BaseException) -> bool:
    """Whether what was caught ended our work from outside, as all do that are no `Exception`."""
    return not issubclass(type(error), Exception) or interrupt_in(error) is not None


class suppress_errors(suppress):
    """`contextlib.suppress` for all but interrupts."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> bool:
        if error is not None and (found := interrupt_in(error)) is not None:
            if found is error:
                return False
            try:
                raise found
            finally:
                del error, found, traceback
        return bool(super().__exit__(kind, error, traceback))


def interrupt_in(error: BaseException) -> BaseException | None:
    """The interrupt that an exception is, or that it was made of or raised after, within the frame that caught it.

    A library may have put another exception in its place, and clean-up that an interrupt caused may have failed.
    """
    caught_by = traceback_of(error)
    todo, seen = [error], {id(error)}
    while todo:
        each = todo.pop()
        if (each is error or _within(each, caught_by)) and _is_interrupt(each):
            return each
        for other in (cause_of(each), context_of(each)):
            if other is not None and id(other) not in seen:
                seen.add(id(other))
                todo.append(other)
    return None


def _within(error: BaseException, caught_by: TracebackType | None) -> bool:
    """Whether an exception was raised below the frame that caught another, and not before that frame began."""
    at = traceback_of(error)
    if at is None or caught_by is None:
        return False
    frame: FrameType | None = at.tb_frame
    while frame is not None:
        if frame is caught_by.tb_frame:
            return True
        frame = frame.f_back
    return False


def _is_interrupt(error: BaseException) -> bool:
    if issubclass(type(error), KeyboardInterrupt):
        return True
    if issubclass(type(error), GeneratorExit):
        return False  # what closes a generator; it too is raised where no `raise` stands
    at = traceback_of(error)
    if at is None:
        return False
    # Once, and not for each frame, as a traceback may have thousands; and only where anything was called.
    handlers = set(_codes_of_handlers()) if at.tb_next is not None else set()
    while (inner := at.tb_next) is not None:
        if inner.tb_frame is not at.tb_frame and _is_handler(inner.tb_frame, at.tb_frame, handlers):
            return True
        at = inner
    return _is_set_by_thread(error, at)


# -- signal handlers -------------------------------------------------------------------------------------------------


def _is_handler(frame: FrameType, interrupted: FrameType, handlers: set[CodeType]) -> bool:
    """Whether a frame is that of a signal handler, called while another frame ran."""
    # That the locals of a frame were asked for keeps them alive with it.
    if not _is_own(frame) and any(given is interrupted for given in _arguments(frame)[1:]):
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
        function: object = _signal.getsignal(number)
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
    if issubclass(type(error), _BARE_ERRORS_OF_C) or (args_of(error) and not _makes_own_arguments(type(error))):
        return False
    code = raised.tb_frame.f_code
    if raised.tb_lasti < 0:
        # In 3.10 before the first instruction; a generator that has not begun is thrown into there.
        return not code.co_flags & 0x2A0  # inspect.CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR
    operations = [opname[each] for each in code.co_code[raised.tb_lasti : raised.tb_lasti + 8 : 2]]
    # In 3.10 that of a long jump begins with what its argument is longer by.
    operation = next((each for each in operations if each != "EXTENDED_ARG"), "")
    return operation.startswith(_INTERRUPTIBLE)


def _makes_own_arguments(kind: type[BaseException]) -> bool:
    """Whether a class of other code than Python's makes its message itself, and can be made without an argument."""
    if str(_module_of(kind)).partition(".")[0] in sys.stdlib_module_names:
        return False
    makers = [
        next((found for each in _mro_of(kind) if (found := _names_of(each).get(name)) is not None), None)
        for name in ("__init__", "__new__")
    ]
    functions = [each.__func__ if isinstance(each, staticmethod) else each for each in makers]
    own = [each for each in functions if isinstance(each, FunctionType)]
    # Such as JSONDecodeError, which parsers written in C raise: it has a message, a document and a position.
    return bool(own) and not any(map(_needs_arguments, own))


def _needs_arguments(function: FunctionType) -> bool:
    """Whether it cannot be called with the object or class alone."""
    code = function.__code__
    named = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    return code.co_argcount - len(function.__defaults__ or ()) > 1 or not set(named) <= set(function.__kwdefaults__ or ())


# -- threads -------------------------------------------------------------------------------------------------------------


def started_in_try(function: Callable[[], object]) -> Callable[[], object]:
    """What a thread is to be started with that calls ``function``, where the starting thread may be interrupted by another.

    Until a new thread runs, CPython knows it by the id of the one that starts it, and `PyThreadState_SetAsyncExc` for that one
    goes to the new thread, before its first instruction. From there it is sent to whom it was meant for.
    """
    begun = _forwarding(function, threading.get_ident())
    next(begun)
    return partial(next, begun, None)


def _forwarding(function: Callable[[], object], starter: int) -> Iterator[None]:
    try:
        yield
    except GeneratorExit:
        return  # no thread was started
    except BaseException as error:  # noqa: BLE001 - nothing of ours has run yet
        import ctypes

        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(starter), ctypes.py_object(type(error)))
    function()


THREAD_PATIENCE_S = 5.0
"""How long, in seconds, a thread of ours may take to begin before it is asked whether it is there at all."""


def released(lock: _thread.LockType, thread: int) -> bool:
    """Wait until a thread releases a lock; false if it ended without: where there is no memory left it dies before it begins."""
    missed = 0
    while not lock.acquire(timeout=THREAD_PATIENCE_S):
        # One that has not run yet is not there either, on a machine with much else to do.
        missed = 0 if thread in sys._current_frames() else missed + 1
        if missed == 2:
            return lock.acquire(blocking=False)
    return True


class OwnThread(threading.Thread):
    """A daemon thread that any thread may start, also one that is interrupted by another meanwhile; in a context of its own.

    It is started by one in between: `threading` waits for ever for a thread that is interrupted before it runs.
    """

    def __init__(self, function: Callable[[], object], name: str) -> None:
        super().__init__(target=function, name=name, daemon=True)

    def start(self) -> None:
        """Start it. Raises `RuntimeError` where there are no more threads."""
        begun, errors = _thread.allocate_lock(), list[RuntimeError]()
        begun.acquire()
        thread = _thread.start_new_thread(started_in_try(partial(self._start, begun, errors)), ())
        if not released(begun, thread):
            raise RuntimeError("the thread that was to start it could not begin")
        if errors:
            raise errors[0]

    def _start(self, begun: _thread.LockType, errors: list[RuntimeError]) -> None:
        try:
            super().start()
        except RuntimeError as error:
            errors.append(error)
        finally:
            begun.release()


# -- locks ---------------------------------------------------------------------------------------------------------------


class _Lock(Protocol):
    def acquire(self, blocking: bool = ..., timeout: float = ...) -> bool: ...


def take(lock: _Lock, timeout_s: float, taken: list[bool]) -> bool:
    """Take a lock within a time; whether that was done stands in ``taken``, also where an interrupt comes right after it."""
    taken.extend(map(lock.acquire, (True,), (timeout_s,)))
    return taken[-1]


class Turn:
    """A lock that a thread may take several times, as its signal handler does, and that is not waited for longer than is said."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    @contextmanager
    def taken(self, wait_s: float) -> Iterator[bool]:
        """A block that has it, or goes on without after so many seconds; gives which."""
        lock, taken = self._lock, list[bool]()
        try:
            yield take(lock, wait_s, taken)
        finally:
            if any(taken):
                try:
                    lock.release()
                except RuntimeError:
                    raise_interrupt()
                    # An interrupt left the block without its end, which has come where it was dropped, in another thread.
                    self._lock = threading.RLock()


# -- the process's death by Ctrl-C ---------------------------------------------------------------------------------------


def died_of_ctrl_c() -> bool:
    """Whether the program has ended with a `KeyboardInterrupt` that nothing in it caught."""
    kind, at = getattr(sys, "last_type", None), getattr(sys, "last_traceback", None)
    # That of an interactive session, where this does not end the program, begins within the session's own code.
    outermost = at is not None and at.tb_frame.f_back is None and not hasattr(sys, "ps1")
    return outermost and isinstance(kind, type) and issubclass(kind, KeyboardInterrupt)


def die_of_ctrl_c() -> None:
    """Have the interpreter end by SIGINT, as it does after an uncaught `KeyboardInterrupt`; for the end of an exit handler.

    It keeps that in a flag, which the execution of any text clears, in any thread: ``dataclass``, ``namedtuple`` and so the
    import of many a module, ours on a thread among them. A text that raises sets it.
    """
    with suppress(KeyboardInterrupt):
        exec("raise KeyboardInterrupt")  # noqa: S102 - see above


# -- finalizers ----------------------------------------------------------------------------------------------------------


def in_c(function: Callable[..., object]) -> Callable[..., None]:
    """A method made of no Python code, for ``__del__ = in_c(…)``: it calls ``function``, which must be of C too, with the object.

    Signal handlers run between two instructions of Python code, and Python drops what is raised within ``__del__``.
    """
    return lru_cache(maxsize=0)(function)  # type: ignore[return-value]  # a wrapper that binds as functions do


def taken_out(waiting: deque[Value], keep: int = 0) -> Iterator[Value]:
    """Take out what waits, the oldest first, until no more than ``keep`` are left; several threads may take from the same."""
    while len(waiting) > keep:
        try:
            first = waiting.popleft()
        except IndexError:
            raise_interrupt()  # another thread was faster
            return
        yield first


class Replaced(Generic[Value]):
    """A value that is replaced, never changed, for any thread and signal handlers, without a lock."""

    def __init__(self, value: Value) -> None:
        self.value = value

    def replace(self, made: Callable[[Value], Value]) -> None:
        """Put in its place what ``made`` makes of it; once more if another one came meanwhile."""
        while True:
            before = self.value
            after = made(before)
            # Without a call in between: nothing else comes between either.
            if self.value is before:
                self.value = after
                return


def first_of(found: Iterable[Value]) -> Value | None:
    """The first of a dict or set that other threads may change; they come before or after, unlike with ``next(iter(…))``."""
    for first in found:
        return first
    return None


forget_dead: Callable[[dict[Any, Any], Any], None] = _weakref._remove_dead_weakref  # type: ignore[attr-defined]
"""Takes a weak reference out by its key if its object is no more, in one step: another thread may put a new one there."""


def take_first(waiting: deque[Value], taken: list[Value]) -> bool:
    """Take out the oldest; false if another thread was faster. It is in ``taken`` also where an interrupt comes right after."""
    try:
        taken.extend(map(_POPLEFT, (waiting,)))
    except IndexError:
        raise_interrupt()
        return False
    return True


class Abandonable(Protocol):
    """What has something to do once it is no longer referenced."""

    def abandoned(self) -> None: ...


ABANDONED: deque[Abandonable] = deque()
"""What is no longer referenced, and waits for `end_abandoned`."""


def end_abandoned() -> None:
    """Do what is to be done for what was dropped; called with the next line that is recorded, by `flush` and at the exit."""
    taken: list[Abandonable] = []
    try:
        while ABANDONED and take_first(ABANDONED, taken):
            try:
                taken[0].abandoned()
            except AttributeError:
                # An interrupt came before it was made: it has nothing that could be ended.
                raise_interrupt()
            taken.clear()
    except BaseException as error:
        # Whatever is raised is raised on; of an interrupt, which may be any exception, what was taken is put back.
        if is_interrupt(error):
            # Doing it again changes nothing.
            ABANDONED.extendleft(taken)
        raise


class KeyedReference(weakref.ref[Value]):
    """A weak reference that knows its key."""

    __slots__ = ("key",)
    key: Hashable


class WeakValues(Generic[Value]):
    """Objects by key, held weakly. Unlike those of `weakref`, it runs no Python code at the moment when one of them goes."""

    def __init__(self) -> None:
        self._references: dict[Hashable, KeyedReference[Value]] = {}
        self._gone: deque[KeyedReference[Value]] = deque()
        self.pop = self._references.pop
        """Take one out by its key, as `dict.pop` does."""

    def put(self, key: Hashable, value: Value) -> None:
        """Add or replace one."""
        if self._gone:
            self.forget_gone()
        reference = KeyedReference(value, self._gone.append)
        reference.key = key
        self._references[key] = reference

    def forget_gone(self) -> None:
        """Forget what is no more, as is done whenever one is added."""
        for gone in taken_out(self._gone):
            forget_dead(self._references, gone.key)

    def get(self, key: Hashable) -> Value | None:
        """The object under a key, if it is there."""
        reference = self._references.get(key)
        return None if reference is None else reference()

    def __iter__(self) -> Iterator[Value]:
        return (value for reference in list(self._references.values()) if (value := reference()) is not None)
