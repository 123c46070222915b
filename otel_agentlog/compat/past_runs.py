"""Executions that are recorded when they are over: what can be read of a result, and recording it once.

A result may be a `ToolResult`, which recorded itself when it ran; a mapping or an object with ``success``, ``execution_time``,
``error_details`` and the like; or anything else, which counts as an execution that succeeded and of which nothing more is known.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.error_handling import ErrorCategory, register_category
from otel_agentlog.errors import AgentlogError
from otel_agentlog.record.api import current_task
from otel_agentlog.record.operations.context import bind
from otel_agentlog.record.operations.task import Task
from otel_agentlog.record.operations.tool_run import ToolRun
from otel_agentlog.record.providers.fields import amount, as_count, has, listed
from otel_agentlog.record.providers.fields import field as field_of
from otel_agentlog.record.recorder import recorder
from otel_agentlog.record.sanitize.keys import own_dict, plain_text
from otel_agentlog.tools import ToolResult
from otel_agentlog.vocabulary.states import EXECUTION, Outcome

MAX_KNOWN = 64
"""How many of the last results are remembered, so that one that comes by a log and by a metric is recorded once."""

_MOST_S = 366 * 86_400.0
_LONGEST_MESSAGE = 2_000
_MOST_SUGGESTIONS = 20


class ExecutionError(AgentlogError):
    """Why an execution failed, as far as its result has it."""

    __module__ = "otel_agentlog.compat.tool_execution"

    def __init__(self, message: str = "", category: ErrorCategory = ErrorCategory.EXECUTION, **context: Any) -> None:
        super().__init__(message, context=context)
        self.category = category


def _is_of(category: ErrorCategory) -> Callable[[BaseException], bool]:
    return lambda error: isinstance(error, ExecutionError) and error.category is category


for _category in ErrorCategory:
    register_category(_is_of(_category), _category)


@dataclass(frozen=True)
class PastRun:
    """What is known of an execution that is over."""

    script_id: str
    specialist: str | None
    success: bool
    duration_s: float | None = None
    category: ErrorCategory | None = None
    """Why it failed; ``None`` if it did not."""
    error: str = ""
    suggestions: tuple[str, ...] = ()
    memory_peak_mb: float | None = None
    cpu_seconds: float | None = None
    retries: int = 0
    exit_code: int | None = None
    output: Any = field(default=None, repr=False)


def read_result(script_id: object, specialist: object, result: object) -> PastRun:
    """What can be read of a result of any shape. Never raises."""
    success = _succeeded(result)
    details, usage = field_of(result, "error_details"), field_of(result, "resource_usage")
    return PastRun(
        script_id=_text(script_id) or "unknown",
        specialist=_text(specialist),
        success=success,
        duration_s=_first(
            result, usage, ("duration_s", "execution_time", "duration_seconds", "duration", "wall_s", "wall_time_seconds")
        ),
        category=None if success else _category_of(details, result),
        error="" if success else _message(details, result),
        suggestions=_suggestions(details),
        memory_peak_mb=_first(usage, result, ("memory_peak_mb", "peak_memory_mb")),
        cpu_seconds=_first(usage, result, ("cpu_s", "cpu_time_seconds", "cpu_seconds")),
        retries=_retries(result),
        exit_code=_exit_code(result),
        output=_output(result),
    )


def _text(value: object) -> str | None:
    return None if value is None else plain_text(value).strip() or None


def _succeeded(result: object) -> bool:
    if issubclass(type(result), BaseException) or result is False:
        return False
    given = field_of(result, "success")
    if type(given) is bool:
        return given
    return field_of(result, "error_details") is None and not _says_something(field_of(result, "error")) and not _exit_code(result)


def _says_something(value: object) -> bool:
    """Whether it says anything; without asking the value, which may be of any class."""
    return value is not None and value is not False and not (type(value) is str and not value)


def _exit_code(result: object) -> int | None:
    found = field_of(result, "exit_code")
    code = found if found is not None else field_of(result, "returncode")
    return code if type(code) is int else None


def _first(one: object, other: object, names: tuple[str, ...]) -> float | None:
    found = (amount(place, name) for place in (one, other) for name in names)
    return next((each for each in found if each is not None), None)


def _retries(result: object) -> int:
    counted = as_count(field_of(result, "retry_count"))
    attempts = as_count(field_of(result, "attempts"))
    return counted if counted is not None else max(0, (attempts or 1) - 1)


def _category_of(details: object, result: object) -> ErrorCategory:
    for given in (field_of(details, "category"), field_of(result, "error_category")):
        try:
            return ErrorCategory(plain_text(given).strip().upper())
        except ValueError:
            raise_interrupt()
    return ErrorCategory.EXECUTION


def _message(details: object, result: object) -> str:
    for given in (
        field_of(details, "message"),
        field_of(result, "error"),
        result if issubclass(type(result), BaseException) else None,
    ):
        if _says_something(given):
            return plain_text(given)[:_LONGEST_MESSAGE]
    return "the execution failed"


def _suggestions(details: object) -> tuple[str, ...]:
    found = field_of(details, "suggestions")
    return tuple(plain_text(each) for each in listed(found)[:_MOST_SUGGESTIONS])


def _output(result: object) -> Any:
    for name in ("data", "output", "outputs", "result", "stdout"):
        if _says_something(found := field_of(result, name)):
            return found
    return None if has(result, "success") or issubclass(type(result), BaseException) else result


# -- recording it once -----------------------------------------------------------------------------------------------------


class _Known:
    """The last results, each with the kinds of listeners that have had it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_id: OrderedDict[object, tuple[object, set[str]]] = OrderedDict()

    def is_new(self, result: object, script_id: str, listener: str) -> bool:
        """Whether this execution is not recorded yet; each kind of listener gets it once."""
        key: object = id(result)
        if result is None or type(result) in (bool, int, str):
            # One object for many results: what one thread tells several listeners of is one execution.
            key = (type(result), result, script_id, threading.get_ident())
        with self._lock:
            known = self._by_id.get(key)
            if known is not None and listener not in known[1]:
                known[1].add(listener)
                return False
            self._by_id[key] = (result, {listener})
            self._by_id.move_to_end(key)
            while len(self._by_id) > MAX_KNOWN:
                self._by_id.popitem(last=False)
            return True


_known = _Known()


def record_once(listener: str, past: PastRun, inputs: object, result: object, session_id: object, correlation_id: object) -> None:
    """Record an execution as a tool run, unless it is recorded. Never raises.

    ``listener`` is ``log`` or ``metrics``: what the other one had is the same execution, what it gets again is
    another. A `ToolResult` was recorded when it ran.
    """
    try:
        ran_here = issubclass(type(result), ToolResult) and field_of(result, "recorded") is True
        if ran_here or not recorder().active or not _known.is_new(result, past.script_id, listener):
            return
        ids = {"session_id": _text(session_id), "correlation_id": _text(correlation_id)}
        with bind(**{name: value for name, value in ids.items() if value is not None}):
            _record(past, inputs)
    except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
        raise_interrupt()
        recorder().failed("execution", error)


def _arguments(inputs: object) -> dict[str, Any] | None:
    if inputs is None:
        return None
    return own_dict(inputs, "inputs") if issubclass(type(inputs), Mapping) else {"inputs": inputs}


def _resources(past: PastRun) -> dict[str, float]:
    known = {"cpu_seconds": past.cpu_seconds, "memory_peak_mb": past.memory_peak_mb}
    return {name: figure for name, figure in known.items() if figure is not None}


def _record(past: PastRun, inputs: object) -> None:
    took_s = min(past.duration_s or 0.0, _MOST_S)
    error = None
    if not past.success:
        category = past.category or ErrorCategory.EXECUTION
        error = ExecutionError(past.error, category, script_id=past.script_id, suggestions=list(past.suggestions))
    outcome = (
        Outcome.COMPLETED if error is None else Outcome.TIMED_OUT if error.category is ErrorCategory.TIMEOUT else Outcome.FAILED
    )
    run = ToolRun(past.script_id, arguments=_arguments(inputs), tool_type="function", specialist=past.specialist)
    run.result, run.exit_code = past.output, past.exit_code
    run.attempts, run.resources = past.retries + 1, _resources(past)
    if current_task() is not None:
        run.began(took_s).start().end(outcome, error=error)
        return
    attributes = {"specialist": past.specialist} if past.specialist else None
    with Task(past.script_id, input=inputs, source=EXECUTION, attributes=attributes).began(took_s) as owner:
        run.began(took_s).start().end(outcome, error=error)
        owner.result = past.output
        owner.end(outcome, error=error)
