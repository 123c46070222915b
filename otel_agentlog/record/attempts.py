"""Attempts of one AI call or tool run: each failed one is an event with number, wait and reason."""

from __future__ import annotations

from typing import Any

from otel_agentlog.record.ending import message_of, type_name
from otel_agentlog.record.error_ids import assign_error_id
from otel_agentlog.record.operation import Operation


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
        """Record that this attempt failed and another one follows after ``wait_seconds``."""
        described: dict[str, Any] = {"number": self.attempts}
        if maximum is not None:
            described["maximum"] = maximum
        if wait_seconds is not None:
            described["wait_ms"] = round(wait_seconds * 1000, 3)
        if error is not None:
            described["error_type"] = type_name(error)
            described["error_id"] = assign_error_id(error)
        described["reason"] = reason or (message_of(error) if error is not None else "unknown")
        described.update(details)
        self.attempts += 1
        line = {
            "type": "attempt",
            "level": "WARNING",
            "component": str(self._component or self.kind.component),
            "action": "attempt_failed",
            "message": f"{self.name}: attempt {described['number']} failed",
            "content": self.name,
            "details": described,
        }
        self.point(line)
