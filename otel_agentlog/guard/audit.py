"""The audit trail of a handled error: what was tried, in which order, and how it went, as lines of type ``event``.

Each line carries the error's id and category, so that ``agentlog errors ID --audit`` tells the whole story. Using a fallback is a
WARNING: what is degraded says so.
"""

from __future__ import annotations

import time
from typing import Any

from otel_agentlog.guard.categories import categorize
from otel_agentlog.model import Component
from otel_agentlog.record import assign_error_id, log_event

CAUGHT, ATTEMPTED, SUCCEEDED = "error_caught", "recovery_attempted", "recovery_succeeded"
FAILED, FALLBACK, RERAISED = "recovery_failed", "fallback_used", "error_reraised"


class Trail:
    """One error on its way through one handler. Its methods raise nothing."""

    def __init__(self, error: BaseException, where: str, component: str | None) -> None:
        self.error_id = assign_error_id(error)
        self._error = error
        self._component = component or Component.AGENT.value
        self._where = where
        self._details = {"error_id": self.error_id, "category": categorize(error).value, "error_type": type(error).__name__}
        self._began = 0.0
        self._say("WARNING", CAUGHT, f"{type(error).__name__} in {where}", error=error)

    def attempted(self, strategy: str) -> None:
        """A recovery begins."""
        self._began = time.perf_counter()
        self._say("INFO", ATTEMPTED, f"{strategy} tries to recover {self._where}", strategy=strategy)

    def succeeded(self, strategy: str) -> None:
        """The recovery gave a result."""
        self._say("INFO", SUCCEEDED, f"{strategy} recovered {self._where}", strategy=strategy, **self._took())

    def failed(self, strategy: str, problem: BaseException) -> None:
        """The recovery raised an error of its own."""
        message = f"{strategy} could not recover {self._where}"
        self._say("ERROR", FAILED, message, error=problem, strategy=strategy, **self._took())

    def fell_back(self, fallback: str) -> None:
        """The caller gets something else than what was asked for."""
        self._say("WARNING", FALLBACK, f"{self._where} is degraded: {fallback} instead of its result", fallback=fallback)

    def reraised(self) -> None:
        """The caller gets the error."""
        # With the error, so that it counts once, here and where it ends a step or task.
        self._say("ERROR", RERAISED, f"the error in {self._where} goes on to the caller", error=self._error)

    def _took(self) -> dict[str, Any]:
        return {"duration_ms": round((time.perf_counter() - self._began) * 1000, 3)}

    def _say(self, level: str, action: str, message: str, error: BaseException | None = None, **more: Any) -> None:
        details = {**self._details, "where": self._where, **more}
        log_event(self._component, action, message, level=level, details=details, error=error)
