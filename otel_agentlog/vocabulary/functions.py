"""Functions of every kind, and how their calls are wrapped: plain, coroutine, generator, async generator, method.

    def measured(function, args, kwargs):          # makes what surrounds one call
        return Stopwatch(name_of(function))        # an `Around`

    wrapped = wrap(function, measured)             # of the same kind as `function`, with its name and signature

The only place that asks `inspect` for a function's kind (``docs/decisions/0027-one-wrapper.md``).
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Mapping
from types import TracebackType
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, cast

from otel_agentlog._interrupts import ABANDONED, in_c, raise_interrupt
from otel_agentlog.vocabulary.stand_in import StandIn, special_method, stand_in

Function = TypeVar("Function", bound=Callable[..., Any])
FunctionKind: TypeAlias = Literal["plain", "coroutine", "generator", "async generator"]
GENERATORS: tuple[FunctionKind, ...] = ("generator", "async generator")


def kind_of(function: Any) -> FunctionKind:
    """The kind of a function, also behind ``@staticmethod`` or ``@classmethod``; any other callable is ``plain``."""
    inner = _inside(function)
    if inspect.isasyncgenfunction(inner):
        return "async generator"
    if inspect.iscoroutinefunction(inner) or _is_awaited(getattr(inner, "__code__", None)):
        return "coroutine"
    return "generator" if inspect.isgeneratorfunction(inner) else "plain"


def _is_awaited(code: object) -> bool:
    """Whether it is the code of a generator that `types.coroutine` made one to ``await``."""
    return isinstance(code, types.CodeType) and bool(code.co_flags & inspect.CO_ITERABLE_COROUTINE)


def name_of(function: Any) -> str:
    """What a callable is called wherever it is recorded: ``Class.method``, ``outer.inner`` for a function defined in another.

    A `functools.partial` has the name of its function; another object without a name has that of its class.
    """
    try:
        name = getattr(function, "__qualname__", None) or getattr(getattr(function, "func", None), "__qualname__", None)
    except Exception:  # noqa: BLE001 - attributes of foreign objects may do anything
        raise_interrupt()
        name = None
    return str(name or type(function).__qualname__).replace("<locals>.", "")


def name_of_code(code: types.CodeType) -> str:
    """What the function is called whose code this is; before Python 3.11 without what is around it."""
    return str(getattr(code, "co_qualname", code.co_name)).replace("<locals>.", "")


def arguments_of(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call by parameter name, without ``self`` and ``cls``; empty where they do not fit."""
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except Exception:  # noqa: BLE001 - a signature may be made by the object itself; what does not fit is a TypeError
        raise_interrupt()
        return {}
    named = dict(bound.arguments)
    for receiver in ("self", "cls"):
        if next(iter(named), None) == receiver:
            del named[receiver]
    return named


def parameters_of(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    """The parameters of a function; ``None`` where it has no signature."""
    try:
        return inspect.signature(function).parameters
    except Exception:  # noqa: BLE001 - a signature may be made by the object itself; that of a builtin is parsed
        raise_interrupt()
        return None


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
    def pass_on(self, result: Any) -> Any: ...
    def suspended(self, in_turns: bool) -> Around: ...


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

    def pass_on(self, result: Any) -> Any:
        """Called with what a function or coroutine returned; returns what its caller gets."""
        self.returned(result)
        return result

    def suspended(self, in_turns: bool) -> Around:
        """Called instead of ``__exit__`` where a function returned what its work is still to be done in, such as a coroutine.

        Returns what is entered when that goes on, and left when it ends; ``in_turns`` if that is a generator.
        """
        return self

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


IN_PLACE: Callable[[Any, Callable[..., Any]], Callable[..., Any]] | None = None
"""Takes what surrounds a call and the function, plain or coroutine; returns what is called in its place. Set by a replay."""


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
        surrounding.__enter__()
        try:
            result = (function if IN_PLACE is None else IN_PLACE(surrounding, function))(*args, **kwargs)
            go_on = None if type(result) in _COMMON else _going_on_or_done(result)
            if go_on is None:
                result = surrounding.pass_on(result)
        except BaseException as error:
            if surrounding.__exit__(type(error), error, error.__traceback__):
                return instead(surrounding)
            raise
        if go_on is not None:
            return go_on(result, surrounding, instead)
        surrounding.__exit__(None, None, None)
        return result

    return call


# -- functions that return what their work is still to be done in: lambdas, functools.partial, wrappers around `async def` ----

_COMMON = frozenset({type(None), bool, int, float, str, bytes, list, dict, tuple, set})
_GoOn: TypeAlias = "Callable[[Any, Around, Instead], Any]"


def _going_on_or_done(result: object) -> _GoOn | None:
    """`_going_on`; of an object that cannot be asked ``None``."""
    try:
        return _going_on(result)
    except Exception:  # noqa: BLE001 - the class of a foreign object may do anything
        raise_interrupt()
        return None


def _going_on(result: object) -> _GoOn | None:
    """How a call goes on after its function returned, if it does."""
    kind = type(result)
    if inspect.iscoroutine(result) or (isinstance(result, types.GeneratorType) and _is_awaited(result.gi_code)):
        return lambda found, around, instead: _named_as(found, _coroutine(_giving(found), _suspended(around, False), instead)())
    if inspect.isasyncgen(result):
        return lambda found, around, instead: _async_generator(_giving(found), _suspended(around, True), instead)()
    if inspect.isgenerator(result):
        return lambda found, around, instead: _generator(_giving(found), _suspended(around, True), instead)()
    if hasattr(kind, "add_done_callback"):
        return _until_done
    is_block = kind.__module__ == "contextlib" and kind.__name__.endswith("GeneratorContextManager")
    return _until_used if is_block or hasattr(kind, "__await__") else None


def _named_as(given: Any, made: Any) -> Any:
    """A coroutine with the name of another: the name is in what Python says of one that was never awaited."""
    made.__name__, made.__qualname__ = given.__name__, given.__qualname__
    return made


def _giving(result: Any) -> Callable[[], Any]:
    return lambda: result


def _suspended(around: Around, in_turns: bool) -> _Maker:
    suspended = around.suspended(in_turns)
    return lambda function, args, kwargs: suspended


def _until_done(future: Any, around: Around, instead: Instead) -> Any:
    """Until a future of asyncio or `concurrent.futures` is done; it stays what it is, so no exception of it can be swallowed."""
    suspended = around.suspended(False)

    def done(finished: Any) -> None:
        error: BaseException | None
        try:
            # Not `exception()`: asyncio would no longer warn of one that was not fetched.
            error = getattr(finished, "_exception", None)
            if error is None:
                suspended.returned(finished.result())
        except BaseException as problem:  # noqa: BLE001 - that of the future, a cancellation too; its owner gets it
            if not finished.cancelled():
                raise_interrupt()
            error = problem
        suspended.__exit__(None if error is None else type(error), error, None)

    future.add_done_callback(done)
    return future


def _until_used(result: Any, around: Around, instead: Instead) -> Any:
    """Until an awaitable was awaited, or a context manager left; if neither ever happens, until it is dropped."""
    return stand_in(_Used, result, _around=around.suspended(False), _instead=instead)


class _Used(StandIn):
    """Of an awaitable or a context manager that a function returned, with what surrounds the call."""

    _around: Around
    _instead: Instead
    _begun = False

    __del__ = in_c(ABANDONED.append)

    def abandoned(self) -> None:
        """It was never used: what surrounds it is over."""
        if not vars(self).get("_begun"):
            vars(self)["_begun"] = True
            self._around.__exit__(None, None, None)


def _begin_use(self: _Used) -> Around | None:
    """What surrounds the use, at the first one."""
    if vars(self).get("_begun"):
        return None
    vars(self)["_begun"] = True
    return self._around


def _await_used(self: _Used) -> Any:
    around, found = _begin_use(self), special_method(self._original, "__await__")()
    if around is None:
        return (yield from found)
    around.__enter__()
    try:
        result = around.pass_on((yield from found))
    except BaseException as error:
        if around.__exit__(type(error), error, error.__traceback__):
            return self._instead(around)
        raise
    around.__exit__(None, None, None)
    return result


def _enter_used(self: _Used) -> Any:
    around = _begin_use(self)
    if around is not None:
        around.__enter__()
    return _leaving_at_error(around, special_method(self._original, "__enter__"))


async def _aenter_used(self: _Used) -> Any:
    around = _begin_use(self)
    if around is not None:
        around.__enter__()
    try:
        return await special_method(self._original, "__aenter__")()
    except BaseException as error:
        if around is not None:
            around.__exit__(type(error), error, error.__traceback__)
        raise


def _leaving_at_error(around: Around | None, enter: Callable[[], Any]) -> Any:
    try:
        return enter()
    except BaseException as error:
        if around is not None:
            around.__exit__(type(error), error, error.__traceback__)
        raise


def _exit_used(self: _Used, kind: Any, error: BaseException | None, tb: Any) -> Any:
    try:
        swallowed = special_method(self._original, "__exit__")(kind, error, tb)
    except BaseException as problem:
        self._around.__exit__(type(problem), problem, problem.__traceback__)
        raise
    self._around.__exit__(*((None, None, None) if swallowed else (kind, error, tb)))
    return swallowed


async def _aexit_used(self: _Used, kind: Any, error: BaseException | None, tb: Any) -> Any:
    try:
        swallowed = await special_method(self._original, "__aexit__")(kind, error, tb)
    except BaseException as problem:
        self._around.__exit__(type(problem), problem, problem.__traceback__)
        raise
    self._around.__exit__(*((None, None, None) if swallowed else (kind, error, tb)))
    return swallowed


_Used.special = {
    "__await__": _await_used,
    "__enter__": _enter_used,
    "__exit__": _exit_used,
    "__aenter__": _aenter_used,
    "__aexit__": _aexit_used,
}


def _coroutine(function: Callable[..., Any], around: _Maker, instead: Instead) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        surrounding = around(function, args, kwargs)
        async with surrounding:
            called = function if IN_PLACE is None else IN_PLACE(surrounding, function)
            return surrounding.pass_on(await called(*args, **kwargs))
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
