"""How long functions take, as events; those that take too long as warnings."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.record.events import log_event
from otel_agentlog.vocabulary.functions import Around, Function, kind_of, name_of, wrap
from otel_agentlog.vocabulary.states import Component


def log_performance(component: Component | str, threshold_ms: float | None = None) -> Callable[[Function], Function]:
    """Record how long each call of the decorated function, coroutine function or generator takes.

    The event is ``performance_measured``, or from ``threshold_ms`` on the warning ``slow_operation``, with ``duration_ms``,
    ``function`` and, where the call raised, ``error_type``; the exception passes. Of a generator it is the time until it ends or
    is closed, with what its consumer does in between.

    Raises:
        ConfigurationError: a threshold that is no number of milliseconds.
    """
    is_number = isinstance(threshold_ms, (int, float)) and not isinstance(threshold_ms, bool) and threshold_ms >= 0
    if threshold_ms is not None and not is_number:
        raise ConfigurationError("log_performance(threshold_ms)", threshold_ms, "a number of milliseconds")

    def decorate(function: Function) -> Function:
        if kind_of(function) == "async generator":
            raise TypeError(f"cannot measure the async generator {name_of(function)}: measure what its consumer awaits")
        name = name_of(function)
        return wrap(function, lambda *call: _Measured(component, name, threshold_ms))

    return decorate


class _Measured(Around):
    """One call."""

    def __init__(self, component: Component | str, name: str, threshold_ms: float | None) -> None:
        self._component, self._name, self._threshold_ms = component, name, threshold_ms

    def __enter__(self) -> None:
        self._start_ns = time.perf_counter_ns()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: object) -> Literal[False]:
        duration_ms = round((time.perf_counter_ns() - self._start_ns) / 1e6, 3)
        slow = self._threshold_ms is not None and duration_ms >= self._threshold_ms
        details: dict[str, Any] = {"function": self._name, "duration_ms": duration_ms}
        if self._threshold_ms is not None:
            details["threshold_ms"] = self._threshold_ms
        if kind is not None:
            details["error_type"] = kind.__name__
        log_event(
            self._component,
            "slow_operation" if slow else "performance_measured",
            f"{self._name} took {duration_ms:.1f} ms" + (f" and raised {kind.__name__}" if kind is not None else ""),
            level="WARNING" if slow else "INFO",
            details=details,
        )
        return False
