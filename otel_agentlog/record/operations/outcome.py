"""How something ended: from an exception to an outcome, and to the ``exception`` object of a line."""

from __future__ import annotations

import builtins
import concurrent.futures
import subprocess
import sys
from functools import lru_cache
from typing import Any, cast

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.errors import AgentlogError, StateError, TaskCancelled
from otel_agentlog.record.exceptions.class_info import FoundOnce, defined_in, packages_and_names, short_name
from otel_agentlog.record.exceptions.class_info import type_name as name_of_class
from otel_agentlog.record.exceptions.describe import message_and_traceback, message_of, with_attributes_of
from otel_agentlog.record.exceptions.error_id import Mark, mark_of, new_error_id, put_mark
from otel_agentlog.record.exceptions.timeout_call import TimedOut
from otel_agentlog.record.operations.seen_calls import Failures
from otel_agentlog.record.recorder import Recorder
from otel_agentlog.record.sanitize.keys import plain_text
from otel_agentlog.vocabulary.coerce import as_integer
from otel_agentlog.vocabulary.states import FAILED, Outcome

MAX_TRACEBACK_LINES = 400
"""Longest traceback kept, in printed lines; the middle is left out."""

_TIMEOUTS = (TimeoutError, concurrent.futures.TimeoutError, subprocess.TimeoutExpired)

LEVELS = {
    Outcome.COMPLETED: "INFO",
    Outcome.CANCELLED: "WARNING",
    Outcome.INTERRUPTED: "WARNING",
    Outcome.FAILED: "ERROR",
    Outcome.TIMED_OUT: "ERROR",
}


_ENDINGS = {
    ("asyncio", "CancelledError"): Outcome.CANCELLED,
    ("concurrent", "CancelledError"): Outcome.CANCELLED,
    ("trio", "Cancelled"): Outcome.CANCELLED,
    ("curio", "CancelledError"): Outcome.CANCELLED,
    ("greenlet", "GreenletExit"): Outcome.CANCELLED,
    ("twisted", "CancelledError"): Outcome.CANCELLED,
    ("temporalio", "CancelledError"): Outcome.CANCELLED,
    ("trio", "TooSlowError"): Outcome.TIMED_OUT,
    ("curio", "TaskTimeout"): Outcome.TIMED_OUT,
    ("billiard", "SoftTimeLimitExceeded"): Outcome.TIMED_OUT,
    ("dramatiq", "TimeLimitExceeded"): Outcome.TIMED_OUT,
}
"""What exceptions of event loops and worker pools mean, by the package and name of a class: none of them is imported for it."""

_OWN_GROUPS: tuple[type, ...] = (builtins.BaseExceptionGroup,) if hasattr(builtins, "BaseExceptionGroup") else ()

MAX_LEAVES = 1000
"""Exceptions of a group that are looked at."""


def judge(error: BaseException | None) -> tuple[Outcome, str | None]:
    """The outcome that follows from an exception, and the reason to note."""
    if error is None:
        return Outcome.COMPLETED, None
    verdict = _verdict_by_class(type(error))
    if verdict is not None:
        return verdict
    return _judge_group(error) if issubclass(type(error), _groups()) else _judge_one(error)


def _verdict_of_class(kind: type) -> tuple[Outcome, str | None] | None:
    """What follows from the class of an exception; ``None`` where it depends on what the exception has."""
    for key in packages_and_names(kind):
        if (ending := _ENDINGS.get(key)) is not None:
            return ending, short_name(kind)
    if issubclass(kind, GeneratorExit):
        return Outcome.CANCELLED, "abandoned"
    if issubclass(kind, (SystemExit, TaskCancelled, *_groups())):
        return None
    if issubclass(kind, KeyboardInterrupt):
        return Outcome.INTERRUPTED, short_name(kind)
    declared = defined_in(kind, "agentlog_outcome")
    if isinstance(declared, Outcome):
        return declared, short_name(kind)
    return (Outcome.TIMED_OUT, short_name(kind)) if _is_timeout(kind) else (Outcome.FAILED, None)


_verdict_by_class = FoundOnce(_verdict_of_class)


def _judge_one(error: BaseException) -> tuple[Outcome, str | None]:
    """Of an exception that is no group."""
    verdict = _verdict_by_class(type(error))
    if verdict is not None:
        return verdict
    if _is(error, TaskCancelled):
        return Outcome.CANCELLED, cast(TaskCancelled, error).reason
    return (Outcome.COMPLETED, None) if exit_code_of(error) == 0 else (Outcome.INTERRUPTED, short_name(type(error)))


def _judge_group(error: BaseException) -> tuple[Outcome, str | None]:
    """What the exceptions of a group agree in; the cancellations among them do not count where something else went wrong."""
    verdicts = [_judge_one(leaf) for leaf in _leaves(error)]
    others = [verdict for verdict in verdicts if verdict[0] is not Outcome.CANCELLED]
    if len({outcome for outcome, _ in others or verdicts}) != 1:
        return Outcome.FAILED, None
    return (others or verdicts)[0]


def _groups() -> tuple[type, ...]:
    """The classes of groups of exceptions: Python's own (3.11), and those of the package that has them for Python 3.10."""
    if _OWN_GROUPS:
        return _OWN_GROUPS
    backport = getattr(sys.modules.get("exceptiongroup"), "BaseExceptionGroup", None)
    return (backport,) if isinstance(backport, type) else ()


def _leaves(group: BaseException) -> list[BaseException]:
    """The exceptions in a group, however nested."""
    kinds = _groups()
    found: list[BaseException] = []
    waiting = [group]
    while waiting and len(found) < MAX_LEAVES:
        error = waiting.pop(0)
        if not _is(error, kinds):
            found.append(error)
            continue
        # Not of the object: a class of a group may have an attribute of its own, which may raise.
        kind: Any = next(kind for kind in kinds if _is(error, kind))
        waiting += kind.exceptions.__get__(error)
    return found


def exit_code_of(error: BaseException) -> int | None:
    """The exit code that a `SystemExit` asks for, as Python takes it: none is 0, a text is 1. ``None`` for other exceptions."""
    if not _is(error, SystemExit):
        return None
    # Past the attributes that a user's class may have.
    code: object = SystemExit.__dict__["code"].__get__(error)
    if code is None:
        return 0
    if not issubclass(type(code), int):
        return 1
    number = int.__int__(cast(int, code))
    return number if as_integer(number) is not None else 255


def _is(error: BaseException, kinds: type | tuple[type, ...]) -> bool:
    # Not isinstance: that reads __class__, and an exception's class may raise at any attribute.
    return issubclass(type(error), kinds)


def _is_timeout(kind: type) -> bool:
    # HTTP clients have timeouts of their own that are not TimeoutError: httpx.ReadTimeout, openai.APITimeoutError …
    ends = ("Timeout", "TimeoutError", "TimeoutException")
    # That of asyncio is not imported for it: where it is not loaded nothing can have raised one.
    asyncios = filter(None, (getattr(sys.modules.get("asyncio.exceptions"), "TimeoutError", None),))
    return issubclass(kind, (*_TIMEOUTS, *asyncios)) or short_name(kind).endswith(ends)


def outcome_of(value: Outcome | str) -> Outcome:
    """An outcome given by a user. Raises `StateError` for a word that is none."""
    try:
        return Outcome(plain_text(value))
    except ValueError:
        raise_interrupt()
        known = ", ".join(outcome.value for outcome in Outcome)
        raise StateError(f"unknown outcome {plain_text(value)[:100]!r}; expected one of {known}") from None


def is_error(outcome: Outcome) -> bool:
    """Whether an outcome is an error; cancelled and interrupted are neither error nor success."""
    return outcome.value in FAILED


def type_name(error: BaseException) -> str:
    """Qualified class name, without the module for built-ins."""
    return name_of_class(type(error))


def failure_key(name: str, message: str) -> tuple[str, str]:
    """By which an exception is known that another library recorded on its span."""
    return name, message[:200]


def describe(error: BaseException, trace_id: str, record: Recorder, failures: Failures | None = None) -> dict[str, Any]:
    """The ``exception`` object of an end line; ``failures``: what was recorded of it already by spans inside.

    The first operation of a trace that an exception passes through records the traceback; those around it refer to it by the
    same ``error_id``, so one error is one record.
    """
    known = mark_of(error)
    if known is None and failures and (seen := failures.get(failure_key(type_name(error), message_of(error)))) is not None:
        known = Mark(seen[0], trace_id, seen[1])
        put_mark(error, known)
    identity = new_error_id() if known is None else known.error_id
    described: dict[str, Any] = {"type": name_of_class(type(error)), "message": "", "error_id": identity}
    if known is not None and known.trace_id == trace_id:
        described["message"] = message_of(error)
        return {**described, "category": known.category} if known.category else described
    described["message"], printed = message_and_traceback(error)
    if _is(error, AgentlogError) and (context := _context_of(error)):
        described["context"] = context
    # Cleaned as one text, before it is cut into lines: a key block in a message has many lines.
    described["traceback"] = cut_traceback(record.clean_text(printed))
    described.update(_classified(error, record))
    put_mark(error, Mark(identity, trace_id, described.get("category")))
    return described


def _context_of(error: BaseException) -> dict[str, Any]:
    given = object.__getattribute__(error, "__dict__").get("context")
    return dict(given) if isinstance(given, dict) else {}


def category_of(error: BaseException, record: Recorder) -> str | None:
    """The category of an exception, for lines without an ``exception`` object; ``None`` where errors have no categories."""
    category = _classified(error, record).get("category")
    return category if isinstance(category, str) else None


def _classified(error: BaseException, record: Recorder) -> dict[str, Any]:
    classify = record.lookups.classify
    if classify is None:
        return {}
    try:
        return dict(with_attributes_of(error, classify))
    except TimedOut:
        return {}
    except Exception as problem:  # noqa: BLE001 - rules are foreign code; the error is recorded without a category
        raise_interrupt()
        record.failed("classify", problem)
        return {}


@lru_cache(256)
def _class_like(name: str) -> type[BaseException]:
    """A class of an exception by its qualified name: a built-in one, or one that only has the name."""
    module, _, own = name.rpartition(".")
    known = getattr(builtins, name, None)
    if isinstance(known, type) and issubclass(known, Exception):
        return known
    return type(own or "error", (Exception,), {"__module__": module or "unknown"})


def classified(name: str, message: str, record: Recorder) -> dict[str, Any]:
    """Category and advice for an exception of which only the name of its class and its message are known."""
    kind = _class_like(name[:200])
    try:
        error = kind(message)
    except Exception:  # noqa: BLE001 - a class of the standard library that takes more
        raise_interrupt()
        error = Exception(message)
    return _classified(error, record)


def cut_traceback(text: str) -> list[str]:
    lines = text.rstrip("\n").split("\n")
    if len(lines) > MAX_TRACEBACK_LINES:
        half = MAX_TRACEBACK_LINES // 2
        left_out = len(lines) - 2 * half
        lines = [*lines[:half], f"  [{left_out} lines left out]", *lines[-half:]]
    return lines
