"""Queue pickup: a worker takes a task from a queue."""

from __future__ import annotations

from typing import Any

from opentelemetry.context import Context

from otel_agentlog.model import Outcome, State, TaskRef
from otel_agentlog.record.kinds import QUEUE_PICKUP
from otel_agentlog.record.operation import Operation


class Pickup(Operation):
    """A worker takes a task from a queue: the CONSUMER span around the task it continues."""

    kind = QUEUE_PICKUP

    def __init__(self, queue: str, task: TaskRef, latency_ms: float | None) -> None:
        super().__init__(queue)
        self.task = task
        self._details: dict[str, Any] = {"queue": queue}
        if latency_ms is not None:
            self._details["latency_ms"] = latency_ms

    def begin_in(self, context: Context) -> None:
        """Begin as a child of what pushed the task."""
        self._move(State.RUNNING, allowed_from=State.PENDING)
        self._begin(context)

    def _settle(self, context: Context, around: Operation | None) -> Context:
        return context

    def _start_fields(self) -> dict[str, Any]:
        return {"details": dict(self._details)}

    def _end_fields(self, outcome: Outcome) -> dict[str, Any]:
        return {"details": dict(self._details)}
