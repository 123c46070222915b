"""One decorator for every kind of callable: function, coroutine, generator, async generator, method.

Hides how a generator's context is kept apart from its consumer's: it is current only while the generator's own code runs.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from otel_agentlog.record.operations.context import inside

if TYPE_CHECKING:
    from otel_agentlog.record.operations.operation import Operation


# -- What a function, or whatever else can be called, is called where people read it.


def name_of(function: Any) -> str:
    """``Class.method``, without the functions it was defined in; of what has no name its type's."""
    name = getattr(function, "__qualname__", None) or getattr(getattr(function, "func", None), "__qualname__", None)
    return str(name or type(function).__name__).rpartition("<locals>.")[2]


Function = TypeVar("Function", bound=Callable[..., Any])


class _Fresh(Protocol):
    def __call__(self) -> Operation: ...


def decorate(fresh: _Fresh, function: Function) -> Function:
    """Run every call of ``function`` inside an operation made by ``fresh``."""
    if isinstance(function, (staticmethod, classmethod)):
        wrapped = type(function)(decorate(fresh, function.__func__))
        return cast(Function, wrapped)
    if inspect.isasyncgenfunction(function):
        return cast(Function, _async_generator(fresh, function))
    if inspect.isgeneratorfunction(function):
        return cast(Function, _generator(fresh, function))
    if inspect.iscoroutinefunction(function):
        return cast(Function, _coroutine(fresh, function))
    return cast(Function, _plain(fresh, function))


def _plain(fresh: _Fresh, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        operation = fresh()
        operation.called(function, args, kwargs)
        with operation:
            result = function(*args, **kwargs)
            operation.returned(result)
            return result

    return call


def _coroutine(fresh: _Fresh, function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        operation = fresh()
        operation.called(function, args, kwargs)
        async with operation:
            result = await function(*args, **kwargs)
            operation.returned(result)
            return result

    return call


class _Turns:
    """Lets a generator's code and its consumer take turns, each in its own context."""

    def __init__(self, operation: Operation) -> None:
        self._inside = inside(operation)
        self._outside: Context = otel_context.get_current()

    def enter(self) -> None:
        self._outside = otel_context.get_current()
        otel_context.attach(self._inside)

    def leave(self) -> None:
        self._inside = otel_context.get_current()
        otel_context.attach(self._outside)


def _generator(fresh: _Fresh, function: Callable[..., Generator[Any, Any, Any]]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        operation = fresh()
        operation.called(function, args, kwargs)
        operation.start()
        turns = _Turns(operation)
        generator = function(*args, **kwargs)
        step: Callable[[], Any] = functools.partial(next, generator)
        try:
            while True:
                turns.enter()
                try:
                    item = step()
                    operation.yielded(item)
                finally:
                    turns.leave()
                try:
                    received = yield item
                    step = functools.partial(generator.send, received)
                except GeneratorExit:
                    _close(generator, turns)
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown in by the consumer; belongs to the generator
                    step = functools.partial(generator.throw, error)
        except StopIteration as stop:
            operation.returned(stop.value)
            operation.finish_quietly(None)
            return stop.value
        except BaseException as error:
            operation.finish_quietly(error)
            raise

    return call


def _close(generator: Generator[Any, Any, Any], turns: _Turns) -> None:
    turns.enter()
    try:
        generator.close()
    finally:
        turns.leave()


def _async_generator(fresh: _Fresh, function: Callable[..., AsyncGenerator[Any, Any]]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        operation = fresh()
        operation.called(function, args, kwargs)
        operation.start()
        turns = _Turns(operation)
        generator = function(*args, **kwargs)
        step: Callable[[], Any] = generator.__anext__
        try:
            while True:
                turns.enter()
                try:
                    item = await step()
                    operation.yielded(item)
                finally:
                    turns.leave()
                try:
                    received = yield item
                    step = functools.partial(generator.asend, received)
                except GeneratorExit:
                    turns.enter()
                    try:
                        await generator.aclose()
                    finally:
                        turns.leave()
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown in by the consumer; belongs to the generator
                    step = functools.partial(generator.athrow, error)
        except StopAsyncIteration:
            operation.finish_quietly(None)
        except BaseException as error:
            operation.finish_quietly(error)
            raise

    return call


def arguments_of(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call by parameter name, without ``self`` and ``cls``; empty where they do not fit."""
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return {}
    named = dict(bound.arguments)
    for receiver in ("self", "cls"):
        if next(iter(named), None) == receiver:
            del named[receiver]
    return named
