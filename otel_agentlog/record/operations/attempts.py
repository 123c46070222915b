"""Attempts of one AI call or tool run: each failed one is an event with number, wait and reason."""

from __future__ import annotations

from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.record.exceptions.describe import message_of
from otel_agentlog.record.exceptions.error_id import assign_error_id
from otel_agentlog.record.operations.operation import Operation
from otel_agentlog.record.operations.outcome import category_of, type_name
from otel_agentlog.record.providers.fields import as_amount, as_count
from otel_agentlog.record.recorder import recorder
from otel_agentlog.record.sanitize.keys import checked, optional_text, plain_text


class Attempted(Operation):
    """An operation that may take several attempts; one span covers them all."""

    _attempts = 1
    attempts: int = checked("_attempts", lambda value: as_count(value) or 1)
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
        try:
            self._failed(error, reason, wait_seconds, maximum, details)
        except Exception as problem:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            self._recorder.failed("record", problem)

    def _failed(
        self, error: BaseException | None, reason: object, wait_seconds: object, maximum: object, details: dict[str, Any]
    ) -> None:
        described: dict[str, Any] = {"number": self.attempts}
        limit = as_count(maximum)
        if limit is not None:
            described["maximum"] = limit
        described.update(described_failure(error, reason, wait_seconds))
        described.update(details)
        number = as_count(described["number"])
        if limit is None or number is None or number < limit:
            self.attempts += 1
        self._attempt("attempt_failed", "WARNING", "failed", described)

    def attempt_succeeded(self, **details: Any) -> None:
        """Record that this attempt, which was not the first one, went well."""
        try:
            self._attempt("attempt_succeeded", "INFO", "succeeded", {"number": self.attempts, **details})
        except Exception as problem:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            self._recorder.failed("record", problem)

    def _attempt(self, action: str, level: str, how: str, details: dict[str, Any]) -> None:
        line = attempt_line(self.name, action, level, how, details)
        self.point({**line, "component": str(self._component or self.kind.component), "content": self.name})


def attempt_line(name: str, action: str, level: str, how: str, details: dict[str, Any]) -> dict[str, Any]:
    """The line of one attempt."""
    message = f"{name}: attempt {details['number']} {how}"
    return {"type": "attempt", "level": level, "component": "", "action": action, "message": message, "details": details}


def described_failure(error: BaseException | None, reason: object, wait_seconds: object) -> dict[str, Any]:
    """What ``details`` have about a failure."""
    described: dict[str, Any] = {}
    if (seconds := as_amount(wait_seconds)) is not None:
        described["wait_ms"] = round(seconds * 1000, 3)
    if error is not None and not issubclass(type(error), BaseException):
        reason, error = reason or plain_text(error), None
    if error is not None:
        described["error_type"] = type_name(error)
        described["error_id"] = assign_error_id(error)
        if (category := category_of(error, recorder())) is not None:
            described["category"] = category
    described["reason"] = optional_text(reason) or (message_of(error) if error is not None else "unknown")
    return described
