"""What is to be done about an error: recover, else fall back, else let it go on. The same plan for every kind of code.

Hides how differently recoveries want to be called, and which exceptions are nobody's to swallow.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.guard.audit import Trail
from otel_agentlog.guard.function_names import name_of
from otel_agentlog.guard.retries_judge import is_cancellation

NOTHING: Any = object()
"""Stands for a fallback that was not given; ``None`` is one."""

_CONTROL_FLOW = (StopIteration, StopAsyncIteration)

Verdict = tuple[bool, Any]
"""Whether the error was dealt with, and what the caller gets if it was."""
_PASSES: Verdict = (False, None)


@dataclass(frozen=True)
class Plan:
    """What `handle_errors` was told."""

    recovery: Callable[..., Any] | None
    fallback: Any
    reraise: bool
    errors: tuple[type[BaseException], ...]
    component: str | None

    @property
    def is_async(self) -> bool:
        """Whether the recovery or the fallback must be awaited."""
        return any(map(inspect.iscoroutinefunction, (self.recovery, self.fallback)))

    def _meets(self, error: BaseException) -> bool:
        """Whether this error is to be handled.

        Never: what is no `Exception` (`KeyboardInterrupt`, `SystemExit`, `GeneratorExit`, asyncio's cancellation), the end of an
        iterator, and errors that stand for a cancellation.
        """
        kind = type(error)
        return issubclass(kind, self.errors) and not issubclass(kind, _CONTROL_FLOW) and not is_cancellation(error)

    def settle(self, error: BaseException, where: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Verdict:
        """Go through the plan, if the error is one to be handled."""
        if not self._meets(error):
            return _PASSES
        trail = Trail(error, where, self.component)
        for attempt in self._attempts(trail, error, args, kwargs):
            try:
                return attempt.done(_not_awaitable(attempt.work()))
            except Exception as problem:
                if is_cancellation(problem):
                    raise
                attempt.failed(problem)
        return self._end(trail)

    async def settle_async(self, error: BaseException, where: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Verdict:
        """The same where recovery and fallback may be coroutines."""
        if not self._meets(error):
            return _PASSES
        trail = Trail(error, where, self.component)
        for attempt in self._attempts(trail, error, args, kwargs):
            try:
                result = attempt.work()
                return attempt.done(await result if inspect.isawaitable(result) else result)
            except Exception as problem:
                if is_cancellation(problem):
                    raise
                attempt.failed(problem)
        return self._end(trail)

    def _attempts(self, trail: Trail, error: BaseException, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[_Attempt]:
        attempts = []
        if self.recovery is not None:
            recovery = self.recovery
            attempts.append(_Attempt(trail, name_of(recovery), lambda: _recover(recovery, error, args, kwargs)))
        if callable(self.fallback) and self.fallback is not NOTHING:
            attempts.append(_Attempt(trail, name_of(self.fallback), lambda: self.fallback(*args, **kwargs), is_fallback=True))
        return attempts

    def _end(self, trail: Trail) -> Verdict:
        if self.reraise or callable(self.fallback):
            trail.reraised()
            return _PASSES
        value = None if self.fallback is NOTHING else self.fallback
        trail.fell_back("nothing" if value is None else f"a fixed {type(value).__name__}")
        return True, value


@dataclass(frozen=True)
class _Attempt:
    """One thing to try."""

    trail: Trail
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
        ConfigurationError: it cannot; said where it is written, not when the first error comes.
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
    try:
        parameters = list(inspect.signature(recovery).parameters.values())
    except (TypeError, ValueError):
        return recovery(error, args, kwargs)  # a builtin that does not tell
    kinds = {parameter.kind for parameter in parameters}
    if inspect.Parameter.VAR_POSITIONAL in kinds or inspect.Parameter.VAR_KEYWORD in kinds:
        return recovery(error, *args, **kwargs)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    places = sum(parameter.kind in positional for parameter in parameters)
    return recovery(*(error, args, kwargs)[:places])


def _not_awaitable(result: Any) -> Any:
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError("the recovery is a coroutine, and the code it recovers is not")
    return result
