"""Try again: a decorator and a loop, with waits that grow, and every failed attempt recorded.

    with agentlog.ai_call("claude-opus-4-5", provider="anthropic") as call:
        for attempt in agentlog.retrying(attempts=4):
            with attempt:
                response = client.messages.create(...)
        call.record(response)

Waits and limits are tenacity's; the loop is ours, because an attempt must be assessed and recorded where it fails, and what is
not tried again must pass at once and untouched (``docs/decisions/0011-retries.md``).

Whether trying again can help, and how long a server asks to wait, is read from what HTTP clients attach to an error: status,
``Retry-After`` (seconds or HTTP date, RFC 9110 §10.2.3), ``retry-after-ms`` (milliseconds, sent by model providers) and
``x-should-retry`` (``true`` or ``false``, sent by model providers). All of it comes from outside and may be anything.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from email.utils import mktime_tz, parsedate_tz
from types import CoroutineType, TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, cast, overload

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.error_handling.categories import categorize
from otel_agentlog.error_handling.category import ErrorCategory
from otel_agentlog.error_handling.lookup import attribute, http_status, leaves, service_code
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.record.events import attempt_failed, attempt_succeeded
from otel_agentlog.record.operations.checkpoints import rest, rest_async
from otel_agentlog.vocabulary.functions import Function, name_of, wrap_by_kind
from otel_agentlog.vocabulary.states import Outcome

if TYPE_CHECKING:
    import tenacity
    from tenacity.wait import wait_base

RetryOn: TypeAlias = "type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], object]"
"""Classes of exceptions, or a function that returns whether to try again after one."""

LONGEST_S = 7 * 86_400.0
"""Longest wait and budget that are accepted, in seconds."""
REQUESTED_WAIT_JITTER = 0.1
"""Most that is added at random to a wait the server asks for, as a fraction of it: not all clients shall come back at once."""


@overload
def retrying(attempts: Function) -> Function: ...
@overload
def retrying(
    attempts: int = ...,
    *,
    first_wait_s: float = ...,
    max_wait_s: float = ...,
    budget_s: float | None = ...,
    retry_on: RetryOn | None = ...,
) -> Retrying: ...
def retrying(attempts: Any = 4, **how: Any) -> Any:
    """Try again what may succeed the next time: as decorator, or ``for attempt in retrying(): with attempt: …``.

    ``attempts`` counts the first one too. Waits grow from ``first_wait_s`` to ``max_wait_s`` (doubled each time, the upper half
    of each at random); what a server asks for (``Retry-After``) takes their place, up to ``max_wait_s``. ``budget_s`` is the time
    from the first attempt within which the last one begins. Without ``retry_on`` everything is tried again but what cannot
    succeed: errors of the categories VALIDATION and PERMISSION, HTTP status 4xx other than 408, 409, 425 and 429, faults of the
    program. ``KeyboardInterrupt`` and cancellation always pass. In ``async`` code it is ``async for``. Each wait is a checkpoint
    of the task: a cancel ends it with `TaskCancelled`, and no attempt begins while the task is paused.

    Every failed attempt is a line of the AI call or tool run around it, with number, wait and reason.

    Raises:
        ConfigurationError: a value that cannot be used, or tenacity is not installed (extra ``run``).
    """
    return Retrying()(attempts) if callable(attempts) or issubclass(type(attempts), classmethod) else Retrying(attempts, **how)


class Retrying:
    """How often, how long and after what to try again. Holds no state of a try: use it as often as you like, from any thread."""

    def __init__(
        self,
        attempts: int = 4,
        *,
        first_wait_s: float = 0.5,
        max_wait_s: float = 30.0,
        budget_s: float | None = None,
        retry_on: RetryOn | None = None,
        name: str = "retried block",
    ) -> None:
        if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
            raise ConfigurationError("retrying(attempts)", attempts, "a whole number of at least 1")
        if retry_on is not None and not _is_choice(retry_on):
            raise ConfigurationError("retrying(retry_on)", retry_on, "a class of exceptions, a tuple of them, or a function")
        self.attempts, self.max_wait_s = attempts, _seconds("max_wait_s", max_wait_s)
        self._retry_on, self._name = retry_on, name
        budget = None if budget_s is None else _seconds("budget_s", budget_s)
        self._engine = _engine(attempts, _seconds("first_wait_s", first_wait_s), self.max_wait_s, budget)

    def __call__(self, function: Function) -> Function:
        """Decorate a function or coroutine function.

        Raises:
            TypeError: a generator, of which parts may have been used when it fails.
        """
        return wrap_by_kind(
            function, {"plain": self._plain, "coroutine": self._coroutine, "generator": _refused, "async generator": _refused}
        )

    def __iter__(self) -> Iterator[Attempt]:
        return _Course(self, self._engine, self._name)

    def __aiter__(self) -> AsyncIterator[Attempt]:
        return _Course(self, self._engine, self._name)

    def wants(self, error: Exception) -> bool:
        """Whether to try again after an error, as far as the number of attempts and the time allow."""
        if self._retry_on is None:
            return can_help(error)
        if isinstance(self._retry_on, (type, tuple)):
            return isinstance(error, self._retry_on)
        return bool(self._retry_on(error))

    def _plain(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            for attempt in _Course(self, self._engine, name_of(function)):
                with attempt:
                    result = function(*args, **kwargs)
                    if issubclass(type(result), CoroutineType):
                        # A wrapper around `async def`: it is what is awaited that fails.
                        return self._awaited(result, function, args, kwargs)
                    return result
            raise AssertionError("the last attempt returns or raises")

        return call

    async def _awaited(self, given: Any, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        async for attempt in _Course(self, self._engine, name_of(function)):
            with attempt:
                first, given = given, None
                return await (function(*args, **kwargs) if first is None else first)
        raise AssertionError("the last attempt returns or raises")

    def _coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            async for attempt in _Course(self, self._engine, name_of(function)):
                with attempt:
                    return await function(*args, **kwargs)
            raise AssertionError("the last attempt returns or raises")

        return call


def _refused(function: Callable[..., Any]) -> Callable[..., Any]:
    raise TypeError(f"cannot retry the generator {name_of(function)}: what it has yielded cannot be taken back")


def _engine(attempts: int, first_wait_s: float, max_wait_s: float, budget_s: float | None) -> tenacity.Retrying:
    try:
        import tenacity
    except ImportError:
        raise_interrupt()
        raise ConfigurationError("retrying", "no tenacity", "the package: pip install 'otel_agentlog[run]'") from None
    wait = growing_wait(first_wait_s, max_wait_s)
    stop = tenacity.stop_after_attempt(attempts)
    if budget_s is None:
        return tenacity.Retrying(wait=wait, stop=stop)
    return tenacity.Retrying(wait=wait, stop=stop | tenacity.stop_before_delay(budget_s))


def _is_choice(given: Any) -> bool:
    kinds = given if isinstance(given, tuple) else (given,)
    classes = [isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds]
    return all(classes) if isinstance(given, (tuple, type)) else callable(given)


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LONGEST_S:
        raise ConfigurationError(f"retrying({name})", value, f"seconds from 0 to {LONGEST_S:g}")
    return float(value)


class Attempt:
    """One attempt: a block that takes an exception if another attempt follows, and lets it pass if none does."""

    def __init__(self, course: _Course, number: int) -> None:
        self._course = course
        self.number = number
        """From 1."""

    def __enter__(self) -> Attempt:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        if error is None:
            self._course.succeeded(self.number)
            return False
        return not is_cancellation(error) and self._course.failed(cast(Exception, error))

    async def __aenter__(self) -> Attempt:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        return self.__exit__(kind, error, tb)


class _Course:
    """The attempts of one call, one after the other."""

    def __init__(self, policy: Retrying, engine: tenacity.Retrying, name: str) -> None:
        import tenacity

        self._policy, self._engine, self._name = policy, engine, name
        self._state = tenacity.RetryCallState(engine, None, (), {})
        self._wait_s: float | None = 0.0
        """Seconds to the next attempt; ``None``: there is none."""

    def __iter__(self) -> Iterator[Attempt]:
        return self

    def __aiter__(self) -> AsyncIterator[Attempt]:
        return self

    def __next__(self) -> Attempt:
        if self._wait_s is None:
            raise StopIteration
        if self._state.attempt_number > 1:
            rest(self._wait_s)
        return self._attempt()

    async def __anext__(self) -> Attempt:
        if self._wait_s is None:
            raise StopAsyncIteration
        if self._state.attempt_number > 1:
            await rest_async(self._wait_s)
        return self._attempt()

    def _attempt(self) -> Attempt:
        # A block that is never entered has nothing to try again.
        self._wait_s = None
        return Attempt(self, self._state.attempt_number)

    def succeeded(self, number: int) -> None:
        if number > 1:
            attempt_succeeded(self._name, number=number, maximum=self._policy.attempts)

    def failed(self, error: Exception) -> bool:
        """Record a failed attempt; whether another one follows."""
        state, number = self._state, self._state.attempt_number
        state.set_exception((type(error), error, None))
        requested_s = requested_wait_s(error)
        wait_s = self._wait(requested_s)
        state.upcoming_sleep = wait_s
        gave_up = self._gave_up(error, number)
        answer = {"status": http_status(error), "retry_after_ms": None if requested_s is None else round(requested_s * 1000, 3)}
        attempt_failed(
            self._name,
            error,
            number=number,
            maximum=number if gave_up else self._policy.attempts,
            category=categorize(error).value,
            **{key: value for key, value in answer.items() if value is not None},
            **({"gave_up": gave_up} if gave_up else {"wait_seconds": wait_s}),
        )
        # Nothing of the attempt is kept: its frames may hold much.
        state.prepare_for_next_attempt()
        self._wait_s = None if gave_up else wait_s
        return not gave_up

    def _wait(self, requested_s: float | None) -> float:
        if requested_s is None:
            return min(float(self._engine.wait(self._state)), self._policy.max_wait_s)
        import tenacity

        requested_s = min(requested_s, self._policy.max_wait_s)
        jitter: float = tenacity.wait_random(0, requested_s * REQUESTED_WAIT_JITTER)(self._state)
        return min(requested_s + jitter, self._policy.max_wait_s)

    def _gave_up(self, error: Exception, number: int) -> str | None:
        """Why this attempt is the last one; ``None`` if it is not."""
        try:
            if not self._policy.wants(error):
                return "another attempt cannot help"
        except Exception as problem:  # noqa: BLE001 - retry_on is the user's code; its fault must not hide the error it was called with
            raise_interrupt()
            return f"retry_on raised {type(problem).__name__}"
        if number >= self._policy.attempts:
            return "attempts used up"
        return "time used up" if self._engine.stop(self._state) else None


TRANSIENT_STATUS = frozenset({408, 409, 425, 429})
"""Answers of the kind 4xx after which the same request may succeed."""
FINAL_STATUS = frozenset({501, 505})
"""Answers of the kind 5xx after which it cannot."""

_FINAL_CATEGORIES = frozenset({ErrorCategory.VALIDATION, ErrorCategory.PERMISSION})
_FINAL_CODES = ("insufficient_quota", "billing_hard_limit")
"""Error codes of services that send 429 for what no waiting solves."""
_FINAL_TYPES = (
    *(NameError, AttributeError, TypeError, ImportError, SyntaxError, NotImplementedError, AssertionError, RecursionError),
    *(FileNotFoundError, NotADirectoryError, IsADirectoryError, StopIteration, StopAsyncIteration),
)
"""Faults of the program, and what is missing and does not come by itself."""
_MAX_HEADER = 100
_OVER = (Outcome.CANCELLED, Outcome.INTERRUPTED)


def is_cancellation(error: BaseException) -> bool:
    """Whether an exception means that the work is to end; it is never tried again."""
    # Of the class, not with isinstance: that reads __class__, and an exception's class may raise at any attribute.
    kind = type(error)
    return not issubclass(kind, Exception) or issubclass(kind, CancelledError) or attribute(kind, "agentlog_outcome") in _OVER


def can_help(error: BaseException) -> bool:
    """Whether trying again may succeed, as far as the error shows. All errors of a group must be such."""
    if is_cancellation(error):
        return False
    inner = leaves(error)
    return all(_can_help(leaf) for leaf in inner) if inner else _can_help(error)


def _can_help(error: BaseException) -> bool:
    if is_cancellation(error) or issubclass(type(error), _FINAL_TYPES):
        return False
    advice = _header(error, "x-should-retry")
    if advice in ("true", "false"):
        return advice == "true"
    if any(code in service_code(error) for code in _FINAL_CODES):
        return False
    status = http_status(error)
    if status is not None:
        return status in TRANSIENT_STATUS or (status >= 500 and status not in FINAL_STATUS)
    return categorize(error) not in _FINAL_CATEGORIES


def requested_wait_s(error: BaseException) -> float | None:
    """Seconds that the server asks to wait before the next attempt; ``None`` if it asks for none. The longest one of a group."""
    waits = [wait for leaf in leaves(error) or [error] if (wait := _retry_after_s(leaf)) is not None]
    return max(waits, default=None)


def _retry_after_s(error: BaseException) -> float | None:
    milliseconds = _number(_header(error, "retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = _header(error, "retry-after")
    seconds = _number(text)
    return seconds if seconds is not None or text is None else _seconds_until(text)


def _number(text: str | None) -> float | None:
    try:
        found = float(text or "")
    except ValueError:
        raise_interrupt()
        return None
    # float() reads "nan", "inf" and "1_0" too.
    return found if math.isfinite(found) and found > 0 and "_" not in (text or "") else None


def _seconds_until(text: str) -> float | None:
    try:
        parsed = parsedate_tz(text)
        seconds = mktime_tz(parsed) - time.time() if parsed is not None else 0.0
    except (ValueError, OverflowError, IndexError, TypeError):
        raise_interrupt()
        return None
    return seconds if seconds > 0 else None


def _header(error: BaseException, name: str) -> str | None:
    """A header of the response an error carries, in lower case; ``None`` where there is none."""
    for headers in _headers(error):
        value = _value(headers, name)
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        if isinstance(value, str) and len(value) <= _MAX_HEADER:
            return value.strip().lower()
    return None


def _headers(error: BaseException) -> list[Any]:
    response = attribute(error, "response")
    found = [attribute(response, "headers"), attribute(error, "headers")]
    if isinstance(response, dict):
        # botocore keeps the parsed answer as a dict.
        metadata = response.get("ResponseMetadata")
        found.append(metadata.get("HTTPHeaders") if isinstance(metadata, dict) else None)
    return [headers for headers in found if headers is not None]


def _value(headers: Any, name: str) -> Any:
    try:
        if isinstance(headers, Mapping) and type(headers) is dict:
            return next((value for key, value in headers.items() if isinstance(key, str) and key.lower() == name), None)
        return headers.get(name)
    except Exception:  # noqa: BLE001 - headers may be an object of any class
        raise_interrupt()
        return None


_MANY_DOUBLINGS = 64
"""Doublings after which every wait is at its limit."""


def growing_wait(first_wait_s: float, max_wait_s: float) -> wait_base:
    """A strategy of tenacity's: twice as long each time, half of it fixed and half random.

    The fixed half keeps attempts apart; the random one keeps many clients from coming back together.

    Raises:
        ImportError: tenacity is not installed.
    """
    import tenacity

    if not first_wait_s:
        # After some thousand attempts tenacity takes twice nothing for too much to be counted, and waits as long as it may.
        return tenacity.wait_none()
    sure = tenacity.wait_exponential(multiplier=first_wait_s / 2, max=max_wait_s / 2)
    return sure + tenacity.wait_random_exponential(multiplier=first_wait_s / 2, max=max_wait_s / 2)


def backoff_s(number: int, *, first_wait_s: float, max_wait_s: float) -> float:
    """Seconds to wait after the attempt of this number, from 1, has failed; also without tenacity."""
    try:
        import tenacity

        wait = growing_wait(first_wait_s, max_wait_s)
    except ImportError:
        raise_interrupt()
        half = min(max_wait_s, first_wait_s * 2.0 ** min(number - 1, _MANY_DOUBLINGS)) / 2
        return half + random.uniform(0, half)  # noqa: S311 - spreads retries, guards nothing
    state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
    state.attempt_number = number
    return float(wait(state))
