"""`decorate`: every call of a function inside an operation of its own.

A generator's operation is current only while the generator's own code runs: its context is kept apart from its consumer's.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from otel_agentlog.record.operations.context import inside
from otel_agentlog.vocabulary.functions import GENERATORS, Around, Function, kind_of, wrap

if TYPE_CHECKING:
    from otel_agentlog.record.operations.operation import Operation


def decorate(fresh: Callable[[], Operation], function: Function) -> Function:
    """Run every call of ``function``, of any kind, inside an operation made by ``fresh``."""

    def around(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Operation:
        operation = fresh()
        operation.called(function, args, kwargs)
        return operation

    if kind_of(function) in GENERATORS:
        return wrap(function, lambda *call: _AroundGenerator(around(*call)))
    return wrap(function, around)


class _AroundGenerator(Around):
    """Lets a generator's code and its consumer take turns, each in its own context."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self.returned = operation.returned  # type: ignore[method-assign]  # no call of its own for each item
        self.yielded = operation.yielded  # type: ignore[method-assign]

    def __enter__(self) -> None:
        self._operation.start()
        self._inside = inside(self._operation)
        self._outside: Context = otel_context.get_current()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> Literal[False]:
        self._operation.finish_quietly(error)
        return False

    def entered(self) -> None:
        self._outside = otel_context.get_current()
        otel_context.attach(self._inside)

    def left(self) -> None:
        self._inside = otel_context.get_current()
        otel_context.attach(self._outside)
