"""The kinds of operation, and what each is called in a line: types, component, actions (``docs/format.md``, table of types)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.vocabulary.states import Component, Outcome, State


@dataclass(frozen=True, eq=False)
class Kind:
    """The actions of one kind of operation."""

    word: str
    """What people call it in messages."""
    start_type: str
    end_type: str
    component: str
    started: str
    """Action of the start line."""
    ended: str
    """Action of the end line up to the outcome."""
    completed: str = ""
    """Action of the end line of a completed one, where it does not follow the pattern."""
    failed: str = ""
    """The same of a failed one."""

    @cached_property
    def end_actions(self) -> Mapping[str, str]:
        """The action of the end line by outcome, e.g. ``step_execution_failed``."""
        found = {outcome.value: f"{self.ended}_{outcome.value}" for outcome in Outcome}
        own = {Outcome.COMPLETED.value: self.completed, Outcome.FAILED.value: self.failed}
        return {**found, **{outcome: action for outcome, action in own.items() if action}}

    @cached_property
    def start_line(self) -> dict[str, Any]:
        """What start lines have in common, in the order of their keys; ``timestamp`` and ``message`` are of each."""
        return {
            "timestamp": "",
            "type": self.start_type,
            "level": "INFO",
            "phase": "start",
            "component": self.component,
            "action": self.started,
            "message": "",
            "state_before": State.PENDING.value,
            "state_after": State.RUNNING.value,
        }


TASK = Kind("task", "task", "task", Component.RUNNER.value, "task_started", "task")
STEP = Kind(
    "step",
    "step",
    "step",
    Component.EXECUTION_ENGINE.value,
    "step_execution_started",
    "step_execution",
    "step_execution_succeeded",
)
AI_CALL = Kind(
    "AI call",
    "ai_request",
    "ai_response",
    Component.AI_SERVICE.value,
    "api_request_sent",
    "api_request",
    "api_response_received",
    "api_response_failed",
)
TOOL = Kind("tool run", "tool_call", "tool_result", Component.TOOL.value, "tool_run_started", "tool_run")
WEBHOOK = Kind("webhook", "webhook", "webhook", Component.WEB.value, "webhook_received", "webhook")
QUEUE_PUSH = Kind("queue push", "queue_push", "queue_push", Component.ORCHESTRATOR.value, "queue_push_started", "queue_push")
QUEUE_PICKUP = Kind(
    "queue pickup", "queue_pickup", "queue_pickup", Component.RUNNER.value, "queue_pickup_started", "queue_pickup"
)
SEGMENT = Kind("segment", "segment", "segment", Component.RUNNER.value, "segment_started", "segment")
PLAIN = Kind("span", "span", "span", "integration", "span_started", "span")
"""A span that is neither an AI call nor a tool run, or would double one."""

HANDED_OVER = "task_handed_over"
"""Action of the ``state`` line from which on the task waits for a job: the span that it stands in ends as a segment."""

_KINDS = (TASK, STEP, AI_CALL, TOOL, WEBHOOK, QUEUE_PUSH, QUEUE_PICKUP, SEGMENT)
_KIND_OF: Mapping[str, Kind] = {line_type: kind for kind in _KINDS for line_type in (kind.start_type, kind.end_type)}

END_TYPE: Mapping[str, str] = {kind.start_type: kind.end_type for kind in _KINDS if kind.start_type != kind.end_type}
"""Type of the end line by type of the start line, where the two differ."""

START_TYPE: Mapping[str, str] = {end: start for start, end in END_TYPE.items()}
"""Type of the start line by type of the end line, where the two differ."""


def start_action(line_type: str) -> str | None:
    """The ``action`` of a start line of this type; ``None`` for other types (spans of other libraries, log lines)."""
    kind = _KIND_OF.get(line_type)
    return kind.started if kind is not None else None


def former_end_action(line_type: str, outcome: str) -> str | None:
    """What earlier versions wrote there: ``step_execution_completed``, ``api_request_failed``."""
    kind = _KIND_OF.get(line_type)
    return f"{kind.ended}_{outcome}" if kind in (STEP, AI_CALL) and kind is not None else None


def end_action(line_type: str, outcome: str) -> str | None:
    """The ``action`` of an end line, by the type of its start or end line and by outcome; ``None`` as in `start_action`."""
    kind = _KIND_OF.get(line_type)
    return kind.end_actions.get(outcome, f"{kind.ended}_{outcome}") if kind is not None else None
