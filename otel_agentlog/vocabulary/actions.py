"""What the kinds of operation are called in a line: types, components, actions."""

from __future__ import annotations

from dataclasses import dataclass

from otel_agentlog.vocabulary.states import Component, Outcome


@dataclass(frozen=True)
class Kind:
    """The words of one kind of operation."""

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

    def end_action(self, outcome: Outcome) -> str:
        """The action of the end line."""
        if outcome is Outcome.COMPLETED and self.completed:
            return self.completed
        return f"{self.ended}_{outcome.value}"


TASK = Kind("task", "task", "task", Component.RUNNER.value, "task_started", "task")
STEP = Kind("step", "step", "step", Component.EXECUTION_ENGINE.value, "step_execution_started", "step_execution")
AI_CALL = Kind(
    "AI call",
    "ai_request",
    "ai_response",
    Component.AI_SERVICE.value,
    "api_request_sent",
    "api_request",
    "api_response_received",
)
TOOL = Kind("tool run", "tool_call", "tool_result", Component.TOOL.value, "tool_run_started", "tool_run")
WEBHOOK = Kind("webhook", "webhook", "webhook", Component.WEB.value, "webhook_received", "webhook")
QUEUE_PUSH = Kind("queue push", "queue_push", "queue_push", Component.ORCHESTRATOR.value, "queue_push_started", "queue_push")
QUEUE_PICKUP = Kind(
    "queue pickup", "queue_pickup", "queue_pickup", Component.RUNNER.value, "queue_pickup_started", "queue_pickup"
)
SEGMENT = Kind("segment", "segment", "segment", Component.RUNNER.value, "segment_started", "segment")
