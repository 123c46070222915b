"""`handle_errors`: recover from errors, fall back, or let them go on, with an audit trail of what was tried.

    @agentlog.handle_errors(recovery_strategy=from_cache, errors=(TimeoutError, ConnectionError))
    def fetch(url): ...

    with agentlog.handle_errors(fallback=[]) as handled:
        rows = query()

For functions, coroutines, generators, methods, ``with`` and ``async with``.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar, cast, overload

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.guard.function_names import name_of
from otel_agentlog.guard.handling_plan import NOTHING, Plan, Verdict, make_plan
from otel_agentlog.record import error_id

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass
class Handled:
    """What became of a ``with`` block."""

    error: BaseException | None = None
    """The error that was dealt with; ``None`` if there was none."""
    result: Any = None
    """What the recovery or the fallback gave."""

    @property
    def error_id(self) -> str | None:
        """The id under which the error is recorded."""
        return None if self.error is None else error_id(self.error)


# The blocks that are open in this thread or asyncio task, innermost last: one handler may be in use in many at a time.
_open: ContextVar[tuple[tuple[ErrorHandler, Handled, str], ...]] = ContextVar("agentlog_handling", default=())


class ErrorHandler:
    """Made by `handle_errors`; a decorator and a context manager, as often as wanted, from any thread."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def __call__(self, function: Function) -> Function:
        """Decorate a function, coroutine, generator, async generator or method."""
        if isinstance(function, (staticmethod, classmethod)):
            return cast(Function, type(function)(self(function.__func__)))
        if inspect.isasyncgenfunction(function):
            return cast(Function, _async_generator(self._plan, function))
        if inspect.iscoroutinefunction(function):
            return cast(Function, _coroutine(self._plan, function))
        if self._plan.is_async:
            raise ConfigurationError(
                f"{name_of(function)} is no coroutine: its recovery and fallback cannot be coroutines either",
                context={"function": name_of(function)},
            )
        if inspect.isgeneratorfunction(function):
            return cast(Function, _generator(self._plan, function))
        return cast(Function, _plain(self._plan, function))

    def __enter__(self) -> Handled:
        if self._plan.is_async:
            raise ConfigurationError("recovery and fallback are coroutines: use `async with`")
        return self._opened(sys._getframe(1).f_code.co_name)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        handled, where = self._closed()
        return error is not None and _noted(handled, error, self._plan.settle(error, where, (), {}))

    async def __aenter__(self) -> Handled:
        return self._opened(sys._getframe(1).f_code.co_name)

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
        component: who speaks in the audit trail; default ``agent``.

    A generator goes on with what the recovery or fallback gives: its items, if it is a list or another generator.

    Raises:
        ConfigurationError: a plan that cannot be carried out, such as ``reraise=True`` with a fallback.
    """
    handler = ErrorHandler(make_plan(recovery_strategy, fallback, reraise, errors, component))
    return handler if function is None else handler(function)


def _plain(plan: Plan, function: Callable[..., Any]) -> Callable[..., Any]:
    where = name_of(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            dealt_with, result = plan.settle(error, where, args, kwargs)
            if not dealt_with:
                raise
            return result

    return call


def _coroutine(plan: Plan, function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    where = name_of(function)

    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return await function(*args, **kwargs)
        except BaseException as error:
            dealt_with, result = await plan.settle_async(error, where, args, kwargs)
            if not dealt_with:
                raise
            return result

    return call


def _generator(plan: Plan, function: Callable[..., Generator[Any, Any, Any]]) -> Callable[..., Any]:
    where = name_of(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        try:
            return (yield from function(*args, **kwargs))
        except BaseException as error:
            dealt_with, result = plan.settle(error, where, args, kwargs)
            if not dealt_with:
                raise
        yield from _items(result)
        return None

    return call


def _async_generator(plan: Plan, function: Callable[..., AsyncGenerator[Any, Any]]) -> Callable[..., Any]:
    where = name_of(function)

    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator = function(*args, **kwargs)
        step: Callable[[], Any] = generator.__anext__
        try:
            while True:
                item = await step()
                try:
                    step = functools.partial(generator.asend, (yield item))
                except GeneratorExit:
                    await generator.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown in by the consumer; belongs to the generator
                    step = functools.partial(generator.athrow, error)
        except StopAsyncIteration:
            return
        except BaseException as error:
            dealt_with, result = await plan.settle_async(error, where, args, kwargs)
            if not dealt_with:
                raise
        async for item in _async_items(result):
            yield item

    return call


async def _async_items(result: Any) -> AsyncGenerator[Any, Any]:
    if hasattr(result, "__aiter__"):
        async for item in result:
            yield item
    else:
        for item in _items(result):
            yield item


def _items(result: Any) -> Iterable[Any]:
    """What a generator goes on with."""
    if result is None:
        return ()
    return result if isinstance(result, Iterable) and not isinstance(result, (str, bytes, dict)) else (result,)
