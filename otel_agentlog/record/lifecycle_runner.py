"""The events of a runner that carries out a plan, for code whose steps are not `step`, `ai_call` and `tool` blocks.

Those blocks record starts and ends by themselves. This is for runners that only tell what happened, and for what has no block:
requests of the user's, files and commands seen from outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from otel_agentlog.model import Component
from otel_agentlog.record.events import details_of, log_event, word
from otel_agentlog.record.logs_line import text_of

RunnerEvent: TypeAlias = Literal[
    "step_execution_started",
    "step_execution_succeeded",
    "step_execution_failed",
    "api_request_sent",
    "api_response_received",
    "api_request_failed",
    "file_written",
    "file_read_failed",
    "command_execution_started",
    "command_execution_completed",
    "execution_pause_requested",
    "execution_resume_requested",
    "execution_cancel_requested",
    "context_added_by_user",
]
"""The events of a plan; any other word is recorded too, with component ``runner``."""

_COMPONENTS: Mapping[Component, tuple[RunnerEvent, ...]] = {
    Component.EXECUTION_ENGINE: ("step_execution_started", "step_execution_succeeded", "step_execution_failed"),
    Component.AI_SERVICE: ("api_request_sent", "api_response_received", "api_request_failed"),
    Component.FILE_OPERATIONS: ("file_written", "file_read_failed"),
    Component.TERMINAL_INTERACTION: ("command_execution_started", "command_execution_completed"),
    Component.USER_INTERACTION: (
        *("execution_pause_requested", "execution_resume_requested", "execution_cancel_requested"),
        "context_added_by_user",
    ),
}
_COMPONENT_OF: Mapping[str, Component] = {event: component for component, events in _COMPONENTS.items() for event in events}


def log_runner_event(
    event: RunnerEvent | str, message: str = "", details: Mapping[str, Any] | None = None, *, error: BaseException | None = None
) -> None:
    """Record an event of a plan, with its component and level; never raises.

    What failed is an error. A completed command whose details have an ``exit_code`` other than 0 is a warning, as whoever ran
    it may go on; with an ``error`` it is one. ``error`` is recorded under its error id. For `context_added_by_user` the message
    is what the user said.
    """
    action = word(event)
    said = details_of(details)
    log_event(
        _COMPONENT_OF.get(action, Component.RUNNER),
        action,
        text_of(message),
        level=_level(action, said.get("exit_code"), error),
        details=said,
        error=error,
    )


def _level(action: str, exit_code: object, error: BaseException | None) -> str:
    if error is not None or action.endswith("_failed"):
        return "ERROR"
    return "WARNING" if isinstance(exit_code, int) and exit_code != 0 else "INFO"
