"""Attempts of one AI call or tool run: each failed one is an event with number, wait and reason."""

from __future__ import annotations

from typing import Any

from otel_agentlog.record.exceptions.describe import message_of
from otel_agentlog.record.exceptions.error_id import assign_error_id
from otel_agentlog.record.logs.line import deliver, guarded, here
from otel_agentlog.record.operations.context import current, live, operation_in
from otel_agentlog.record.operations.operation import Operation
from otel_agentlog.record.operations.outcome import category_of, type_name
from otel_agentlog.record.recorder import Recorder, recorder
from otel_agentlog.vocabulary.actions import STEP
from otel_agentlog.vocabulary.states import Component


class Attempted(Operation):
    """An operation that may take several attempts; one span covers them all."""

    attempts = 1
    """The number of the attempt under way, from 1."""

    def attempt_failed(
        self,
        error: BaseException | None = None,
        *,
        reason: str | None = None,
        wait_seconds: float | None = None,
        maximum: int | None = None,
        **details: Any,
    ) -> None:
        """Record that this attempt failed and another one follows after ``wait_seconds``.

        None follows if this attempt's number is the ``maximum``.
        """
        described: dict[str, Any] = {"number": self.attempts}
        if maximum is not None:
            described["maximum"] = maximum
        described.update(described_failure(error, reason, wait_seconds))
        described.update(details)
        if maximum is None or described["number"] < maximum:
            self.attempts += 1
        self._attempt("attempt_failed", "WARNING", "failed", described)

    def attempt_succeeded(self, **details: Any) -> None:
        """Record that this attempt, which was not the first one, went well."""
        self._attempt("attempt_succeeded", "INFO", "succeeded", {"number": self.attempts, **details})

    def _attempt(self, action: str, level: str, how: str, details: dict[str, Any]) -> None:
        line = attempt_line(self.name, action, level, how, details)
        self.point({**line, "component": str(self._component or self.kind.component), "content": self.name})


def attempt_line(name: str, action: str, level: str, how: str, details: dict[str, Any]) -> dict[str, Any]:
    """The line of one attempt."""
    message = f"{name}: attempt {details['number']} {how}"
    return {"type": "attempt", "level": level, "component": "", "action": action, "message": message, "details": details}


def described_failure(error: BaseException | None, reason: str | None, wait_seconds: float | None) -> dict[str, Any]:
    """What ``details`` say about a failure."""
    described: dict[str, Any] = {}
    if wait_seconds is not None:
        described["wait_ms"] = round(wait_seconds * 1000, 3)
    if error is not None:
        described["error_type"] = type_name(error)
        described["error_id"] = assign_error_id(error)
        if (category := category_of(error, recorder())) is not None:
            described["category"] = category
    described["reason"] = reason or (message_of(error) if error is not None else "unknown")
    return described


def attempt_failed(name: str, error: BaseException, **how: Any) -> None:
    """Record a failed attempt (as `Attempted.attempt_failed`) of the AI call or tool run that is current; never raises.

    Where there is none, it is an attempt of ``name``, recorded in what is current, or in the application log.
    """

    def work(record: Recorder) -> None:
        if (operation := _current()) is not None:
            operation.attempt_failed(error, **how)
            return
        wait_seconds, reason = how.pop("wait_seconds", None), how.pop("reason", None)
        _tell(record, name, "attempt_failed", "WARNING", "failed", {**described_failure(error, reason, wait_seconds), **how})

    guarded(work)


def attempt_succeeded(name: str, **details: Any) -> None:
    """Record that a repeated attempt went well, of whatever `attempt_failed` was recorded for."""

    def work(record: Recorder) -> None:
        if (operation := _current()) is not None:
            operation.attempt_succeeded(**details)
        else:
            _tell(record, name, "attempt_succeeded", "INFO", "succeeded", details)

    guarded(work)


def _current() -> Attempted | None:
    """The AI call or tool run here; steps within it belong to it, tasks do not."""
    operation = current()
    while operation is not None and operation.kind is STEP:
        operation = operation_in(live(operation.around))
    return operation if isinstance(operation, Attempted) else None


def _tell(record: Recorder, name: str, action: str, level: str, how: str, details: dict[str, Any]) -> None:
    if record.active:
        line = {**attempt_line(name, action, level, how, details), "component": Component.RUNNER.value}
        deliver(record, line, here(), {})
