"""Webhook flows: how a task came in, stage by stage, and how it is handed to a worker.

Until a task exists there is no folder, so the stages are kept in the application log, as they happen; the folder gets them with
their own times as soon as the task is created.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.record.carrier import write_carrier
from otel_agentlog.record.operations.context import CORRELATION_IDS, OperationScope, RunningTask, inside
from otel_agentlog.record.operations.operation import Operation
from otel_agentlog.record.operations.task import pending_task
from otel_agentlog.record.sanitize.keys import optional_text, plain_text
from otel_agentlog.vocabulary.actions import QUEUE_PUSH, WEBHOOK
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.vocabulary.lines import Line, timestamp
from otel_agentlog.vocabulary.states import Outcome

MAX_WAITING = 1_000
"""Stages of a webhook that are kept for the task it may create; all others are recorded all the same."""


EMPTY: Mapping[str, Any] = {}


class Push(Operation):
    """A task is put into a queue: the PRODUCER span that the worker continues."""

    kind = QUEUE_PUSH

    def __init__(self, queue: str, details: Mapping[str, Any] = EMPTY) -> None:
        super().__init__(queue)
        self._details = {"queue": queue, **details}

    def _start_fields(self) -> dict[str, Any]:
        return {"details": dict(self._details)}

    def _end_fields(self, outcome: Outcome) -> dict[str, Any]:
        return {"details": dict(self._details)}


class Webhook(Operation):
    """One incoming webhook. Entering it records the stage ``received``."""

    kind = WEBHOOK

    def __init__(self, provider: str, event_type: str, payload: Any = None, **common: Any) -> None:
        self.provider, self.event_type, self.payload = plain_text(provider), plain_text(event_type), payload
        super().__init__(f"{self.provider} {self.event_type}", **common)
        self._common = common
        self._waiting: list[Envelope] = []
        self._started_line: Envelope | None = None

    def _copy(self) -> Webhook:
        return Webhook(self.provider, self.event_type, self.payload, **self._common)

    @classmethod
    def _named(cls, name: str) -> Webhook:
        provider, _, event_type = name.partition(" ")
        return cls(provider, event_type)

    # -- public ---------------------------------------------------------------------------------------------------------

    def stage(self, stage: str, *, status: str | None = None, **keys: Any) -> None:
        """Record a stage; usual ones are ``received validation command_matching immediate_response task_created queue_push``."""
        try:
            self._stage(stage, {"status": optional_text(status), **keys})
        except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            self._recorder.failed("record", error)

    def create_task(self, name: str, *, input: Any = None, **given: Any) -> str:
        """Create the task's folder (state ``pending``) for a worker to run; returns the task's id.

        Takes what `task` takes: ``task_id agent agent_type model source provider tags correlation_id session_id instance_id``.
        """
        given.setdefault("source", "webhook")
        given.setdefault("provider", self.provider)
        try:
            task, payload = pending_task(name, input, given, self._recorder, self.outer)
            task.header["trace_id"] = self.trace_id
            self.adopt(task, payload)
            return task.task_id
        except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            self._recorder.failed("record", error)
            return plain_text(given.get("task_id") or "")

    def push(self, queue: str = "tasks", **details: Any) -> dict[str, str]:
        """Record that the created task goes into a queue; returns the carrier that the worker resumes."""
        self.stage("queue_push", queue=queue, **details)
        push = Push(plain_text(queue), details)
        with push:
            ids: dict[str, str | None] = {
                "queued_at": str(self._recorder.clock()),
                "queue": self._recorder.clean_text(plain_text(queue)),
            }
            if self.task is not None:
                ids["task_id"] = self.task.task_id
                ids.update({key: self.task.header.get(key) for key in CORRELATION_IDS})
            return write_carrier(inside(push), ids)

    @property
    def pending_webhook(self) -> Webhook | None:
        """Itself, as long as no task was created in it."""
        return self if self.task is None else None

    def adopt(self, task: RunningTask, payload: dict[str, Any] | None = None) -> None:
        """Give the stages so far to the task they led to, and record ``task_created``."""
        self.task = task
        if self.own_ids is not None:
            self.own_ids = {**self.ids_of_place(), "trace_id": self.trace_id, "span_id": self.span_id}
        none: list[Envelope] = []
        waiting, self._waiting = self._waiting, none
        opening = [self._started_line] if self._started_line is not None else []
        for envelope in [*waiting[:1], *opening, *waiting[1:]]:
            line = {key: value for key, value in envelope.line.items() if key != "event_id"}
            moved = envelope.with_line({**line, "task_id": task.task_id}, task=task, payload=payload)
            payload = None
            self._recorder.deliver(moved)
        self.stage("task_created")

    # -- inside -----------------------------------------------------------------------------------------------------------

    def _start_fields(self) -> dict[str, Any]:
        return {"details": {"provider": self.provider, "event_type": self.event_type}}

    def _end_fields(self, outcome: Outcome) -> dict[str, Any]:
        details = {"provider": self.provider, "event_type": self.event_type}
        if self.task is not None:
            details.update(task_id=self.task.task_id, task_name=plain_text(self.task.header.get("name") or ""))
        return {"details": details}

    def _started(self, envelope: Envelope) -> None:
        self._started_line = envelope.with_line(dict(envelope.line))

    def _settle(self, context: Context, around: OperationScope | None) -> Context:
        # A webhook begins something new: it belongs to no task, whatever runs around it.
        return context

    def start(self) -> Webhook:
        """Begin, and record the stage ``received``."""
        super().start()
        self.stage("received", **({"payload": self.payload} if self.payload is not None else {}))
        return self

    def _stage(self, stage: str, keys: dict[str, Any]) -> None:
        record = self._recorder
        time_ns = record.clock()
        line: Line = {"timestamp": timestamp(time_ns), "stage": plain_text(stage)}
        line.update({key: value for key, value in keys.items() if value is not None and key not in line})
        line["event_type"], line["provider"] = plain_text(self.event_type), plain_text(self.provider)
        envelope = record.clean(line)
        envelope.line.update(self.ids())
        envelope.task, envelope.time_ns, envelope.webhook, envelope.sampled = self.task, time_ns, True, self.sampled
        if self.task is None and len(self._waiting) < MAX_WAITING:
            self._waiting.append(envelope.with_line(dict(envelope.line)))
        name, attributes = record.conventions.stage_event(envelope.line)
        self.span.add_event(name, attributes, time_ns)
        record.deliver(envelope)
