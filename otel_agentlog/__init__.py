"""Observability for agent code: recorded once, kept in a folder per task and sent by OpenTelemetry.

import otel_agentlog as agentlog

agentlog.configure(service_name="reviewer")

with agentlog.task("Review PR 42", input={"message": "…"}, agent="brain") as task:
    with agentlog.step("plan"):
        with agentlog.ai_call("claude-opus-4-5", provider="anthropic") as call:
            call.record(client.messages.create(...))
    with agentlog.tool("Read", arguments={"path": "a.py"}) as run:
        run.result = open("a.py").read()
    task.result = "Looks good."
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from otel_agentlog._version import __version__

if TYPE_CHECKING:
    from otel_agentlog.errors import (
        AgentlogError,
        ConfigurationError,
        DatabaseError,
        InstanceError,
        IntegrationError,
        LayoutError,
        StateError,
        TaskCancelled,
        TaskError,
        TaskNotFoundError,
        TmuxError,
        WorktreeError,
    )
    from otel_agentlog.guard import (
        ErrorCategory,
        ErrorDetails,
        categorize,
        error_details,
        format_error_for_user,
        handle_errors,
        log_and_format_error,
        log_performance,
        register_category,
        retrying,
    )
    from otel_agentlog.model import Component, Outcome, State
    from otel_agentlog.record import (
        AgentLogger,
        AgentlogHandler,
        AiCall,
        Operation,
        Step,
        Task,
        ToolRun,
        Webhook,
        add_ids,
        ai_call,
        bind,
        checkpoint,
        current_operation,
        current_task,
        environ,
        error_id,
        get_logger,
        log_authentication,
        log_database_operation,
        log_event,
        log_file_event,
        log_github_call,
        log_instance_lifecycle,
        log_jira_call,
        log_rate_limit,
        log_resource_usage,
        log_runner_event,
        log_service_status,
        log_task_assignment,
        log_tmux_session,
        log_web_request,
        log_web_response,
        log_webhook_processing,
        log_websocket_event,
        log_worktree_operation,
        record_event,
        seed_json,
        step,
        task,
        tool,
        webhook,
    )
    from otel_agentlog.run import ToolExecutionService, ToolResult, command, file_operation
    from otel_agentlog.settings import Settings
    from otel_agentlog.wiring import (
        Alert,
        Receipt,
        active_alerts,
        configure,
        flush,
        register_alert_callback,
        set_alert_threshold,
        shutdown,
    )

__all__ = [
    "AgentLogger",
    "AgentlogError",
    "AgentlogHandler",
    "AiCall",
    "Alert",
    "Component",
    "ConfigurationError",
    "DatabaseError",
    "ErrorCategory",
    "ErrorDetails",
    "InstanceError",
    "IntegrationError",
    "LayoutError",
    "Operation",
    "Outcome",
    "Receipt",
    "Settings",
    "State",
    "StateError",
    "Step",
    "Task",
    "TaskCancelled",
    "TaskError",
    "TaskNotFoundError",
    "TmuxError",
    "ToolExecutionService",
    "ToolResult",
    "ToolRun",
    "Webhook",
    "WorktreeError",
    "__version__",
    "active_alerts",
    "add_ids",
    "ai_call",
    "bind",
    "categorize",
    "checkpoint",
    "command",
    "configure",
    "current_operation",
    "current_task",
    "environ",
    "error_details",
    "error_id",
    "file_operation",
    "flush",
    "format_error_for_user",
    "get_logger",
    "handle_errors",
    "log_and_format_error",
    "log_authentication",
    "log_database_operation",
    "log_event",
    "log_file_event",
    "log_github_call",
    "log_instance_lifecycle",
    "log_jira_call",
    "log_performance",
    "log_rate_limit",
    "log_resource_usage",
    "log_runner_event",
    "log_service_status",
    "log_task_assignment",
    "log_tmux_session",
    "log_web_request",
    "log_web_response",
    "log_webhook_processing",
    "log_websocket_event",
    "log_worktree_operation",
    "record_event",
    "register_alert_callback",
    "register_category",
    "retrying",
    "seed_json",
    "set_alert_threshold",
    "shutdown",
    "step",
    "task",
    "tool",
    "webhook",
]

# A name's room is entered when the name is first used: who only reads (the command line, a web page) does not pay for the
# OpenTelemetry SDK, which is most of the import time.
_HOMES = {
    "errors": (
        *("AgentlogError", "ConfigurationError", "DatabaseError", "InstanceError", "IntegrationError", "LayoutError"),
        *("StateError", "TaskCancelled", "TaskError", "TaskNotFoundError", "TmuxError", "WorktreeError"),
    ),
    "guard": (
        "ErrorCategory",
        "ErrorDetails",
        "categorize",
        "error_details",
        "format_error_for_user",
        "handle_errors",
        "log_and_format_error",
        "log_performance",
        "register_category",
        "retrying",
    ),
    "model": ("Component", "Outcome", "State"),
    "record": (
        *("AgentLogger", "AgentlogHandler", "AiCall", "Operation", "Step", "Task", "ToolRun", "Webhook"),
        *(
            "add_ids",
            "ai_call",
            "bind",
            "checkpoint",
            "current_operation",
            "current_task",
            "environ",
            "error_id",
            "get_logger",
            "record_event",
            "seed_json",
        ),
        *(
            "log_authentication",
            "log_database_operation",
            "log_event",
            "log_file_event",
            "log_github_call",
            "log_instance_lifecycle",
        ),
        *(
            "log_jira_call",
            "log_rate_limit",
            "log_resource_usage",
            "log_runner_event",
            "log_service_status",
            "log_task_assignment",
        ),
        *(
            "log_tmux_session",
            "log_web_request",
            "log_web_response",
            "log_webhook_processing",
            "log_websocket_event",
            "log_worktree_operation",
        ),
        *("step", "task", "tool", "webhook"),
    ),
    "run": ("ToolExecutionService", "ToolResult", "command", "file_operation"),
    "settings": ("Settings",),
    "wiring": (
        "Alert",
        "Receipt",
        "active_alerts",
        "configure",
        "flush",
        "register_alert_callback",
        "set_alert_threshold",
        "shutdown",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
