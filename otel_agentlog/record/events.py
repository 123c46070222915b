"""Things that happened and are neither log lines nor operations: events, and attempts at whatever is retried.

Such a line belongs to the operation that is current; else to the open task that its details name; else to the application log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.record.logs.levels import number_of, word_of
from otel_agentlog.record.logs.line import (
    ID_KEYS,
    OF_EVENTS,
    add_error,
    add_own,
    adopt,
    component_of,
    deliver,
    guarded,
    here,
    text_of,
)
from otel_agentlog.record.operations.attempts import Attempted, attempt_line, described_failure
from otel_agentlog.record.operations.context import current, live, operation_in
from otel_agentlog.record.recorder import Recorder
from otel_agentlog.vocabulary.actions import STEP
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.states import Component

MAX_WORD = 64
"""Longest action made of a user's word, in characters; actions are names of events, and there should be few."""

_NO_WORD = re.compile(r"[^a-z0-9]+")


def log_event(
    component: Component | str,
    action: str,
    message: str = "",
    *,
    level: str | int = "INFO",
    details: Mapping[str, Any] | None = None,
    error: BaseException | None = None,
    step_id: str | None = None,
    event_id: str | None = None,
    state_before: str | None = None,
    state_after: str | None = None,
    duration_ms: float | None = None,
) -> None:
    """Record that something happened, in the current task or else in the application log; never raises.

    ``action`` is a word in snake_case, the same for every event of its kind: it names the event in OpenTelemetry
    (``agentlog.<action>``). ``error`` is recorded under its error id. Ids among the details (``task_id``, ``instance_id``,
    ``correlation_id`` …) place the line where nothing else does.

    ``step_id``, the states and ``duration_ms`` are at the top of the line, whatever step is current; ``event_id`` is there as
    ``caller_event_id``, as lines have numbers of their own. Component and level may be members of one's own enumerations.
    """

    def work(record: Recorder) -> None:
        if not record.active:
            return
        line: Line = {
            "type": "event",
            "level": word_of(number_of(level)),
            "component": component_of(component),
            "action": word(action),
            "message": text_of(message) or word(action).replace("_", " "),
        }
        fields = details_of(details)
        own = {"step_id": step_id, **dict(zip(OF_EVENTS, (event_id, state_before, state_after, duration_ms), strict=True))}
        ids = {key: text_of(fields[key]) for key in ID_KEYS if fields.get(key) is not None}
        place = adopt(here(), ids, line)
        add_own(line, place, own, fields, record)
        add_error(line, error, place.ids.get("trace_id"), record)
        deliver(record, line, place, fields)

    guarded(work)


def word(text: object) -> str:
    """Any text as a word of lower-case letters, digits and underscores; ``event`` where nothing is left of it."""
    return _NO_WORD.sub("_", text_of(text)[: 4 * MAX_WORD].lower()).strip("_")[:MAX_WORD].rstrip("_") or "event"


def details_of(details: object, **named: Any) -> dict[str, Any]:
    """Details of an event: the named values that are not ``None``, and before them the user's details."""
    given: dict[str, Any] = {}
    try:
        given = dict(details) if isinstance(details, Mapping) else {} if details is None else {"details": details}
    except Exception:  # noqa: BLE001 - a mapping of a foreign class may raise anything; its type is still recorded
        raise_interrupt()
        given["details"] = f"<{type(details).__name__} that cannot be read>"
    return {**given, **{key: value for key, value in named.items() if value is not None}}


def attempt_failed(name: str, error: BaseException, **how: Any) -> None:
    """Record a failed attempt (as `Attempted.attempt_failed`) of the AI call or tool run that is current; never raises.

    Where there is none, it is an attempt of ``name``, recorded in what is current, or in the application log.
    """

    def work(record: Recorder) -> None:
        if (operation := _current_call()) is not None:
            operation.attempt_failed(error, **how)
            return
        described = described_failure(error, how.pop("reason", None), how.pop("wait_seconds", None))
        _record_attempt(record, name, "attempt_failed", "WARNING", "failed", {**described, **how})

    guarded(work)


def attempt_succeeded(name: str, **details: Any) -> None:
    """Record that a repeated attempt went well, where `attempt_failed` was recorded before; never raises."""

    def work(record: Recorder) -> None:
        if (operation := _current_call()) is not None:
            operation.attempt_succeeded(**details)
        else:
            _record_attempt(record, name, "attempt_succeeded", "INFO", "succeeded", details)

    guarded(work)


def _current_call() -> Attempted | None:
    """The AI call or tool run here; steps within it belong to it, tasks do not."""
    operation = current()
    while operation is not None and operation.kind is STEP:
        operation = operation_in(live(operation.around))
    return operation if isinstance(operation, Attempted) else None


def _record_attempt(record: Recorder, name: str, action: str, level: str, how: str, details: dict[str, Any]) -> None:
    if record.active:
        line = {**attempt_line(name, action, level, how, details), "component": Component.RUNNER.value}
        deliver(record, line, here(), {})
