"""What the connections to agent frameworks share: reading objects of any version, beginning work inside other work, not raising
into the code that calls them.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Any, ParamSpec, TypeVar

import otel_agentlog as agentlog
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.errors import AgentlogError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_logger = logging.getLogger(__name__)
_warned: set[str] = set()


class FrameworkError(AgentlogError, RuntimeError):
    """An error that a framework reported: the exception itself stayed in the framework, or in another process."""


def quietly(function: Callable[Parameters, Result]) -> Callable[Parameters, Result | None]:
    """What a framework calls must not raise into it: a function that returns ``None`` where this one fails.

    The first failure of each function is a warning.
    """

    @functools.wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result | None:
        try:
            return function(*args, **kwargs)
        except Exception:
            raise_interrupt()
            if function.__qualname__ not in _warned:
                _warned.add(function.__qualname__)
                _logger.warning("%s could not record what happened", function.__qualname__, exc_info=True)
            return None

    return call


def field(value: object, name: str) -> Any:
    """The key of a mapping, or the attribute of an object; ``None`` where there is none, or it cannot be read."""
    try:
        found = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
        return None if isinstance(found, type(None)) else found  # which asks its class, once and for all
    except Exception:  # noqa: BLE001 - attributes of foreign objects may do anything
        raise_interrupt()
        return None


def text(value: object, name: str) -> str | None:
    """A field that is a string and not empty."""
    found = field(value, name)
    return str.__str__(found) or None if isinstance(found, str) else None


def items(value: object, name: str) -> list[Any]:
    """A field that is a list or tuple; else an empty list."""
    found = field(value, name)
    return list(found) if isinstance(found, (list, tuple)) else []


def begin_inside(context: Context, operation: agentlog.Operation) -> Context:
    """Begin an operation as a part of what is current in a context; returns a context in which it is current.

    Nothing becomes current here.
    """
    inside = context.copy()
    inside.run(operation.__enter__)
    return inside


def end(operation: agentlog.Operation, error: BaseException | str | None = None, outcome: str | None = None) -> None:
    """End an operation unless something else did; a text is the message of an error that was not raised here."""
    if operation.ended:
        return
    if isinstance(error, str):
        outcome, error = outcome or agentlog.Outcome.FAILED, FrameworkError(error)
    operation.end(outcome, error=error)
