"""Functions of every kind, and how their calls are wrapped: plain, coroutine, generator, async generator, method.

    def measured(function, args, kwargs):          # makes what surrounds one call
        return Stopwatch(name_of(function))        # an `Around`

    wrapped = wrap(function, measured)             # of the same kind as `function`, with its name and signature

The only place that asks `inspect` for a function's kind (``docs/decisions/0027-one-wrapper.md``).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Mapping
from types import TracebackType
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, cast

from otel_agentlog._interrupts import raise_interrupt

Function = TypeVar("Function", bound=Callable[..., Any])
FunctionKind: TypeAlias = Literal["plain", "coroutine", "generator", "async generator"]
GENERATORS: tuple[FunctionKind, ...] = ("generator", "async generator")


def kind_of(function: Any) -> FunctionKind:
    """The kind of a function, also behind ``@staticmethod`` or ``@classmethod``; any other callable is ``plain``."""
    inner = _inside(function)
    if inspect.isasyncgenfunction(inner):
        return "async generator"
    if inspect.isgeneratorfunction(inner):
        return "generator"
    return "coroutine" if inspect.iscoroutinefunction(inner) else "plain"


def name_of(function: Any) -> str:
    """What a callable is called wherever it is recorded: ``Class.method``, ``outer.inner`` for a function defined in another.

    A `functools.partial` has the name of its function; another object without a name has that of its class.
    """
    name = getattr(function, "__qualname__", None) or getattr(getattr(function, "func", None), "__qualname__", None)
    return str(name or type(function).__qualname__).replace("<locals>.", "")


def arguments_of(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call by parameter name, without ``self`` and ``cls``; empty where they do not fit."""
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        raise_interrupt()
        return {}
    named = dict(bound.arguments)
    for receiver in ("self", "cls"):
        if next(iter(named), None) == receiver:
            del named[receiver]
    return named


class Surrounding(Protocol):
    """What surrounds one call of a function or coroutine function: a context manager that is also given the result."""

    def __enter__(self) -> object: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> bool | None: ...
    async def __aenter__(self) -> object: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> bool | None: ...
    def returned(self, result: Any) -> None: ...


class Around:
    """What surrounds one call of any kind of function. Override what is to happen; by default nothing does."""

    def __enter__(self) -> object:
        return self

    def __exit__(  # type: ignore[exit-return]  # false here, true in a class that swallows exceptions
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> bool:
        """Return true to swallow the exception; the caller then gets what the wrapper's ``instead`` returns."""
        return False

    async def __aenter__(self) -> object:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        return self.__exit__(kind, error, tb)

    def returned(self, result: Any) -> None:
        """Called with what the function returned; not of an async generator, which returns nothing."""

    def yielded(self, item: Any) -> None:
        """Called with each item of a generator, before its consumer gets it."""

    def entered(self) -> None:
        """Called before each piece of a generator's code runs."""

    def left(self) -> None:
        """Called after each piece of a generator's code, however it ended."""


Maker: TypeAlias = "Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Surrounding]"
"""Takes function, args and kwargs of one call; returns what surrounds it, of a generator an `Around`."""
_Maker: TypeAlias = "Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Around]"
Instead: TypeAlias = "Callable[[Any], Any]"
"""Takes the `Around` of a call whose exception was suppressed; returns the call's result, for a generator the further items."""


def wrap(function: Function, around: Maker, instead: Instead = lambda _: None) -> Function:
    """Surround every call of ``function`` by what ``around`` returns for it."""
    make = cast(_Maker, around)
    return wrap_by_kind(
        function,
        {
            "plain": lambda inner: _plain(inner, make, instead),
            "coroutine": lambda inner: _coroutine(inner, make, instead),
            "generator": lambda inner: _generator(inner, make, instead),
            "async generator": lambda inner: _async_generator(inner, make, instead),
        },
    )


def wrap_by_kind(function: Function, wrappers: Mapping[FunctionKind, Callable[[Any], Callable[..., Any]]]) -> Function:
    """The wrapper for the function's kind, with its name and signature; ``@staticmethod`` and ``@classmethod`` stay outermost."""
    if isinstance(function, (staticmethod, classmethod)):
        return cast(Function, type(function)(wrap_by_kind(function.__func__, wrappers)))
    return cast(Function, functools.wraps(function)(wrappers[kind_of(function)](function)))


def _inside(function: Any) -> Any:
    return function.__func__ if isinstance(function, (staticmethod, classmethod)) else function


def _plain(function: Callable[..., Any], around: _Maker, instead: Instead) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        surrounding = around(function, args, kwargs)
        with surrounding:
            result = function(*args, **kwargs)
            surrounding.returned(result)
            return result
        return instead(surrounding)

    return call


def _coroutine(function: Callable[..., Any], around: _Maker, instead: Instead) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        surrounding = around(function, args, kwargs)
        async with surrounding:
            result = await function(*args, **kwargs)
            surrounding.returned(result)
            return result
        return instead(surrounding)

    return call


def _generator(function: Callable[..., Any], around: _Maker, instead: Instead) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        surrounding = around(function, args, kwargs)
        with surrounding:
            result = yield from _pieces(function(*args, **kwargs), surrounding)
            surrounding.returned(result)
            return result
        yield from items(instead(surrounding))

    return call


def _pieces(generator: Generator[Any, Any, Any], around: Around) -> Generator[Any, Any, Any]:
    """As ``yield from generator``, with each piece of its code between ``entered`` and ``left``."""
    step: Callable[[], Any] = functools.partial(next, generator)
    while True:
        around.entered()
        try:
            item = step()
            around.yielded(item)
        except StopIteration as stop:
            return stop.value
        finally:
            around.left()
        try:
            step = functools.partial(generator.send, (yield item))
        except GeneratorExit:
            around.entered()
            try:
                generator.close()
            finally:
                around.left()
            raise
        except BaseException as error:  # noqa: BLE001 - thrown in by the consumer; belongs to the generator
            step = functools.partial(generator.throw, error)


def _async_generator(function: Callable[..., Any], around: _Maker, instead: Instead) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        surrounding = around(function, args, kwargs)
        async with surrounding:
            generator = function(*args, **kwargs)
            step: Callable[[], Any] = generator.__anext__
            while True:
                surrounding.entered()
                try:
                    item = await step()
                    surrounding.yielded(item)
                except StopAsyncIteration:
                    return
                finally:
                    surrounding.left()
                # Not in a generator of its own: `async for` would not pass on what the consumer sends and throws in.
                try:
                    step = functools.partial(generator.asend, (yield item))
                except GeneratorExit:
                    surrounding.entered()
                    try:
                        await generator.aclose()
                    finally:
                        surrounding.left()
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown in by the consumer; belongs to the generator
                    step = functools.partial(generator.athrow, error)
        async for item in _async_items(instead(surrounding)):
            yield item

    return call


async def _async_items(result: Any) -> AsyncIterator[Any]:
    if hasattr(result, "__aiter__"):
        async for item in result:
            yield item
    else:
        for item in items(result):
            yield item


def items(result: Any) -> Iterable[Any]:
    """What a generator goes on with: the items of a list or generator; a text, a dict or a single value is one item."""
    if result is None:
        return ()
    return result if isinstance(result, Iterable) and not isinstance(result, (str, bytes, dict)) else (result,)
