"""An operation as a decorator: every call of the function is an operation of its own.

A generator's operation is current only while the generator's own code runs: its context is kept apart from its consumer's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Literal, TypeVar, cast

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.record.operations.context import ENTERING, OperationScope, generator_around, inside, restore
from otel_agentlog.vocabulary.functions import GENERATORS, Around, Function, Surrounding, kind_of, wrap

Self = TypeVar("Self", bound="Decorator")


class Decorator(OperationScope):
    """What operations do as decorators. `Operation` implements how they begin and end."""

    def _copy(self: Self) -> Self:
        """A fresh operation of the same description, for each call of the function."""
        raise NotImplementedError

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Leave a ``with`` block."""
        raise NotImplementedError

    def start(self: Self) -> Self:
        """Begin, without becoming current."""
        raise NotImplementedError

    def finish_quietly(self, error: BaseException | None) -> None:
        """End it unless it has ended, as leaving a ``with`` block does."""
        self._finish(None, error, None)

    def called(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Called before each call of the function."""

    def yielded(self, item: Any) -> None:
        """Called with each item that a generator yields."""

    def returned(self, result: Any) -> None:
        """Called with what the function returned."""

    def pass_on(self, result: Any) -> Any:
        """Called with what the function returned; returns what its caller gets."""
        self.call_hook(self.returned, result)
        return result

    def call_hook(self, hook: Callable[..., None], *given: Any) -> None:
        """Give a method of this what the function was called with, or returned, which may be any object."""
        try:
            hook(*given)
        except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            self._recorder.failed("field", error)

    def become_current(self, generator: FrameType | None) -> None:
        """Be so until its end, in a block that is in this generator."""
        raise NotImplementedError

    def suspended(self, in_turns: bool) -> Around:
        """Stop being current without ending; returns what goes on with it, in turns if that is a generator."""
        raise NotImplementedError

    def __call__(self, function: Function) -> Function:
        """Decorate a function, coroutine, generator, async generator or method."""

        def around(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Surrounding:
            operation = self._copy()
            operation.call_hook(operation.called, function, args, kwargs)
            return AroundGenerator(operation) if in_turns else cast(Surrounding, operation)

        in_turns = kind_of(function) in GENERATORS
        return wrap(function, around)


class Resumed(Around):
    """Goes on with an operation whose function returned what its work is still to be done in: a coroutine, a future …"""

    def __init__(self, operation: Decorator) -> None:
        self._operation = operation
        self._attached: Context | None = None

    def __enter__(self) -> None:
        self._outside = otel_context.get_current()
        self._attached = inside(self._operation)
        otel_context.attach(self._attached)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> Literal[False]:
        if self._attached is not None:
            restore(self._attached, self._outside)
        self._operation.__exit__(kind, error, tb)
        return False

    def returned(self, result: Any) -> None:
        self._operation.call_hook(self._operation.returned, result)

    def pass_on(self, result: Any) -> Any:
        return self._operation.pass_on(result)


class AroundGenerator(Around):
    """Lets a generator's code and its consumer take turns, each in its own context.

    Under `contextlib.contextmanager` there are no turns: the operation stays current in the block that the generator is around.
    """

    def __init__(self, operation: Decorator, begun: bool = False) -> None:
        self._operation, self._begun = operation, begun
        self.returned = operation.returned  # type: ignore[method-assign]  # no call of its own for each item
        self.yielded = operation.yielded  # type: ignore[method-assign]

    def __enter__(self) -> None:
        if not self._begun:
            self._operation.start()
        wrapper: FrameType | None = sys._getframe(1)
        generator = generator_around(wrapper)
        if wrapper is not None and wrapper.f_code.co_name in ENTERING:
            wrapper = wrapper.f_back  # of an asynchronous one: the caller was `__aenter__`
        self._takes_turns = generator is wrapper
        if self._takes_turns:
            self._inside = inside(self._operation)
            self._outside: Context = otel_context.get_current()
        else:
            self._operation.become_current(generator)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> Literal[False]:
        self._operation.finish_quietly(error)
        return False

    def entered(self) -> None:
        if not self._takes_turns:
            return
        self._outside = otel_context.get_current()
        otel_context.attach(self._inside)

    def left(self) -> None:
        if not self._takes_turns:
            return
        self._inside = otel_context.get_current()
        otel_context.attach(self._outside)
