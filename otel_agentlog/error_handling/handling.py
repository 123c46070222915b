"""`handle_errors`: recover from errors, fall back, or let them go on, with an audit trail of what was tried.

    @agentlog.handle_errors(recovery_strategy=from_cache, errors=(TimeoutError, ConnectionError))
    def fetch(url): ...

    with agentlog.handle_errors(fallback=[]) as handled:
        rows = query()

For functions, coroutines, generators, methods, ``with`` and ``async with``. One `Plan` decides what is done about an error:
recover, else fall back, else let it go on. Each move is a line of type ``event`` with the error's id and category
(`AuditTrail`), so that ``agentlog errors ID --audit`` shows all of them; a fallback is a WARNING.
"""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, overload

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.error_handling.categories import categorize
from otel_agentlog.error_handling.retries import is_cancellation
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.record.events import log_event
from otel_agentlog.record.exceptions.error_id import assign_error_id, error_id
from otel_agentlog.vocabulary.functions import Around, Function, kind_of, name_of, name_of_code, parameters_of, wrap
from otel_agentlog.vocabulary.states import Component

NOTHING: Any = object()
"""The value of a fallback that was not given; ``None`` is a fallback."""

_CONTROL_FLOW = (StopIteration, StopAsyncIteration)

Verdict = tuple[bool, Any]
"""Whether the error was handled, and what the caller gets if it was."""
_PASSES: Verdict = (False, None)


@overload
def handle_errors(function: Function, /) -> Function: ...
@overload
def handle_errors(
    *,
    recovery_strategy: Callable[..., Any] | None = ...,
    reraise: bool | None = ...,
    fallback: Any = ...,
    errors: type[BaseException] | tuple[type[BaseException], ...] = ...,
    component: str | None = ...,
) -> ErrorHandler: ...
def handle_errors(
    function: Any = None,
    /,
    *,
    recovery_strategy: Callable[..., Any] | None = None,
    reraise: bool | None = None,
    fallback: Any = NOTHING,
    errors: type[BaseException] | tuple[type[BaseException], ...] = Exception,
    component: str | None = None,
) -> Any:
    """Handle the errors of a function or block: recover, else fall back, else let them go on; each move is recorded.

    Args:
        recovery_strategy: called with ``(error, args, kwargs)``, ``(error, *args, **kwargs)`` or ``(error)``, as its
            parameters ask; what it returns is the call's result. If it raises, the plan goes on.
        reraise: whether the error goes on to the caller if it was not recovered. Default: yes, unless there is a fallback.
        fallback: what the caller gets then: a value, or a function that takes the call's arguments.
        errors: which errors are handled. `KeyboardInterrupt`, `SystemExit`, `GeneratorExit` and cancellations never are.
        component: of the lines of the audit trail; default ``agent``.

    A generator goes on with what the recovery or fallback gives: its items, if it is a list or another generator.

    Raises:
        ConfigurationError: a plan that cannot be carried out, such as ``reraise=True`` with a fallback.
    """
    handler = ErrorHandler(make_plan(recovery_strategy, fallback, reraise, errors, component))
    return handler if function is None else handler(function)


@dataclass
class Handled:
    """What became of a ``with`` block."""

    error: BaseException | None = None
    """The error that was handled; ``None`` if there was none."""
    result: Any = None
    """What the recovery or the fallback gave."""

    @property
    def error_id(self) -> str | None:
        """The id under which the error is recorded."""
        return None if self.error is None else error_id(self.error)


# The blocks that are open in this thread or asyncio task, innermost last: one handler may be in use in many at a time.
_open: ContextVar[tuple[tuple[ErrorHandler, Handled, str], ...]] = ContextVar("agentlog_handling", default=())


class ErrorHandler:
    """Made by `handle_errors`; a decorator and a context manager, reusable, from any thread."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def __call__(self, function: Function) -> Function:
        """Decorate a function, coroutine, generator, async generator or method."""
        plan, where = self._plan, name_of(function)
        if plan.is_async and kind_of(function) in ("plain", "generator"):
            raise ConfigurationError(
                f"{where} is no coroutine: its recovery and fallback cannot be coroutines either", context={"function": where}
            )
        return wrap(function, lambda _, args, kwargs: _HandledCall(plan, where, args, kwargs), lambda call: call.result)

    def __enter__(self) -> Handled:
        if self._plan.is_async:
            raise ConfigurationError("recovery and fallback are coroutines: use `async with`")
        return self._opened(name_of_code(sys._getframe(1).f_code))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        handled, where = self._closed()
        return error is not None and _noted(handled, error, self._plan.settle(error, where, (), {}))

    async def __aenter__(self) -> Handled:
        return self._opened(name_of_code(sys._getframe(1).f_code))

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        handled, where = self._closed()
        return error is not None and _noted(handled, error, await self._plan.settle_async(error, where, (), {}))

    def _opened(self, where: str) -> Handled:
        handled = Handled()
        _open.set((*_open.get(), (self, handled, where)))
        return handled

    def _closed(self) -> tuple[Handled, str]:
        blocks = list(_open.get())
        # Not simply the last one: a generator that is suspended inside such a block leaves it open for its consumer.
        for index in range(len(blocks) - 1, -1, -1):
            if blocks[index][0] is self:
                _, handled, where = blocks.pop(index)
                _open.set(tuple(blocks))
                return handled, where
        return Handled(), "a block"


def _noted(handled: Handled, error: BaseException, verdict: Verdict) -> bool:
    dealt_with, result = verdict
    if dealt_with:
        handled.error, handled.result = error, result
    return dealt_with


class _HandledCall(Around):
    """One call of a decorated function. Keeps no reference to its error, with which it would be a cycle."""

    result: Any = None

    def __init__(self, plan: Plan, where: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._plan, self._call = plan, (where, args, kwargs)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        dealt_with, self.result = _PASSES if error is None else self._plan.settle(error, *self._call)
        return dealt_with

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        dealt_with, self.result = _PASSES if error is None else await self._plan.settle_async(error, *self._call)
        return dealt_with


@dataclass(frozen=True)
class Plan:
    """The arguments of `handle_errors`, checked; what is done about an error by them."""

    recovery: Callable[..., Any] | None
    fallback: Any
    reraise: bool
    errors: tuple[type[BaseException], ...]
    component: str | None

    @property
    def is_async(self) -> bool:
        """Whether the recovery or the fallback must be awaited."""
        return "coroutine" in (kind_of(self.recovery), kind_of(self.fallback))

    def _meets(self, error: BaseException) -> bool:
        """Whether this error is to be handled.

        Never: what is no `Exception` (`KeyboardInterrupt`, `SystemExit`, `GeneratorExit`, asyncio's cancellation), the end of an
        iterator, and errors that mean a cancellation.
        """
        kind = type(error)
        return issubclass(kind, self.errors) and not issubclass(kind, _CONTROL_FLOW) and not is_cancellation(error)

    def settle(self, error: BaseException, where: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Verdict:
        """Go through the plan, if the error is one to be handled."""
        if not self._meets(error):
            return _PASSES
        trail = AuditTrail(error, where, self.component)
        for attempt in self._attempts(trail, error, args, kwargs):
            try:
                return attempt.done(_not_awaitable(attempt.work()))
            except Exception as problem:
                raise_interrupt()
                if is_cancellation(problem):
                    raise
                attempt.failed(problem)
        return self._end(trail)

    async def settle_async(self, error: BaseException, where: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Verdict:
        """The same where recovery and fallback may be coroutines."""
        if not self._meets(error):
            return _PASSES
        trail = AuditTrail(error, where, self.component)
        for attempt in self._attempts(trail, error, args, kwargs):
            try:
                result = attempt.work()
                return attempt.done(await result if inspect.isawaitable(result) else result)
            except Exception as problem:
                raise_interrupt()
                if is_cancellation(problem):
                    raise
                attempt.failed(problem)
        return self._end(trail)

    def _attempts(self, trail: AuditTrail, error: BaseException, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[_Attempt]:
        attempts = []
        if self.recovery is not None:
            recovery = self.recovery
            attempts.append(_Attempt(trail, name_of(recovery), lambda: _recover(recovery, error, args, kwargs)))
        if callable(self.fallback) and self.fallback is not NOTHING:
            attempts.append(_Attempt(trail, name_of(self.fallback), lambda: self.fallback(*args, **kwargs), is_fallback=True))
        return attempts

    def _end(self, trail: AuditTrail) -> Verdict:
        if self.reraise or callable(self.fallback):
            trail.reraised()
            return _PASSES
        value = None if self.fallback is NOTHING else self.fallback
        trail.fell_back("nothing" if value is None else f"a fixed {type(value).__name__}")
        return True, value


@dataclass(frozen=True)
class _Attempt:
    """One recovery or fallback to try."""

    trail: AuditTrail
    name: str
    run: Callable[[], Any]
    is_fallback: bool = False

    def work(self) -> Any:
        if not self.is_fallback:
            self.trail.attempted(self.name)
        return self.run()

    def done(self, result: Any) -> Verdict:
        if self.is_fallback:
            self.trail.fell_back(self.name)
        else:
            self.trail.succeeded(self.name)
        return True, result

    def failed(self, problem: BaseException) -> None:
        self.trail.failed(self.name, problem)


def make_plan(
    recovery: Callable[..., Any] | None,
    fallback: Any,
    reraise: bool | None,
    errors: type[BaseException] | tuple[type[BaseException], ...],
    component: object,
) -> Plan:
    """A plan that can be carried out.

    Raises:
        ConfigurationError: it cannot; raised where it is written, not when the first error comes.
    """
    if recovery is not None and not callable(recovery):
        raise ConfigurationError("recovery_strategy", recovery, "a function")
    if reraise and fallback is not NOTHING:
        raise ConfigurationError("reraise", reraise, "either reraise=True or a fallback")
    kinds = errors if isinstance(errors, tuple) else (errors,)
    if not kinds or not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
        raise ConfigurationError("errors", errors, "a class of exceptions or a tuple of them")
    goes_on = fallback is NOTHING if reraise is None else bool(reraise)
    return Plan(recovery, fallback, goes_on, kinds, None if component is None else str(component))


def _recover(recovery: Callable[..., Any], error: BaseException, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a recovery as its parameters ask: ``(error, args, kwargs)``, ``(error, *args, **kwargs)`` or ``(error)``."""
    parameters = parameters_of(recovery)
    if parameters is None:
        return recovery(error, args, kwargs)
    kinds = [parameter.kind for parameter in parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds or inspect.Parameter.VAR_KEYWORD in kinds:
        return recovery(error, *args, **kwargs)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    places = sum(kind in positional for kind in kinds)
    return recovery(*(error, args, kwargs)[:places])


def _not_awaitable(result: Any) -> Any:
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError("the recovery is a coroutine, and the code it recovers is not")
    return result


CAUGHT, ATTEMPTED, SUCCEEDED = "error_caught", "recovery_attempted", "recovery_succeeded"
FAILED, FALLBACK, RERAISED = "recovery_failed", "fallback_used", "error_reraised"


class AuditTrail:
    """One error on its way through one handler. Its methods raise nothing."""

    def __init__(self, error: BaseException, where: str, component: str | None) -> None:
        self.error_id = assign_error_id(error)
        self._error = error
        self._component = component or Component.AGENT.value
        self._where = where
        self._details = {"error_id": self.error_id, "category": categorize(error).value, "error_type": type(error).__name__}
        self._began = 0.0
        self._log("WARNING", CAUGHT, f"{type(error).__name__} in {where}", error=error)

    def attempted(self, strategy: str) -> None:
        """A recovery begins."""
        self._began = time.perf_counter()
        self._log("INFO", ATTEMPTED, f"{strategy} tries to recover {self._where}", strategy=strategy)

    def succeeded(self, strategy: str) -> None:
        """The recovery gave a result."""
        self._log("INFO", SUCCEEDED, f"{strategy} recovered {self._where}", strategy=strategy, **self._took())

    def failed(self, strategy: str, problem: BaseException) -> None:
        """The recovery raised an error of its own."""
        message = f"{strategy} could not recover {self._where}"
        self._log("ERROR", FAILED, message, error=problem, strategy=strategy, **self._took())

    def fell_back(self, fallback: str) -> None:
        """The caller gets the fallback instead of a result."""
        self._log("WARNING", FALLBACK, f"{self._where} is degraded: {fallback} instead of its result", fallback=fallback)

    def reraised(self) -> None:
        """The caller gets the error."""
        # With the error, so that it counts once, here and where it ends a step or task.
        self._log("ERROR", RERAISED, f"the error in {self._where} goes on to the caller", error=self._error)

    def _took(self) -> dict[str, Any]:
        return {"duration_ms": round((time.perf_counter() - self._began) * 1000, 3)}

    def _log(self, level: str, action: str, message: str, error: BaseException | None = None, **more: Any) -> None:
        details = {**self._details, "where": self._where, **more}
        log_event(self._component, action, message, level=level, details=details, error=error)
