"""Helpers that record what happens around an agent, each as one event with the right component (``docs/lifecycle.md``).

Each takes what identifies the thing, what was done, how it went, and ``details``: a mapping of anything else, redacted like
everything recorded. None of them raises, waits or returns anything. Actions are ``<thing>_<operation>``, durations milliseconds.
The level of the line follows from the status: a status code, ``failed``, ``degraded`` …

For whole tasks, steps, AI calls and tool runs there are `task`, `step`, `ai_call` and `tool`, which record starts and ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from otel_agentlog.record.events import details_of, word
from otel_agentlog.record.events import log_event as log_event
from otel_agentlog.record.logs.line import text_of
from otel_agentlog.vocabulary.states import Component

__all__ = [
    "RunnerEvent",
    "log_authentication",
    "log_database_operation",
    "log_event",
    "log_file_event",
    "log_github_call",
    "log_instance_lifecycle",
    "log_jira_call",
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
]


Details: TypeAlias = Mapping[str, Any] | None

# -- around an agent: instances, tasks, worktrees, terminals, services ----------------------------------------------------


def log_instance_lifecycle(instance_id: str, operation: str, status: str = "success", details: Details = None) -> None:
    """An agent instance was created, started, stopped …: ``log_instance_lifecycle("brain-1", "start", "success")``."""
    _thing(Component.INSTANCE, "instance", instance_id, operation, status, details, instance_id=instance_id)


def log_task_assignment(task_id: str, instance_id: str, details: Details = None) -> None:
    """A task was given to an instance; recorded in that task's folder if it is open in this process."""
    data = details_of(details, task_id=task_id, instance_id=instance_id)
    log_event(Component.TASK, "task_assigned", f"{text_of(task_id)} given to {text_of(instance_id)}", details=data)


def log_resource_usage(
    instance_id: str,
    cpu_percent: float | None = None,
    memory_mb: float | None = None,
    disk_usage_mb: float | None = None,
    details: Details = None,
) -> None:
    """What an instance uses at this moment: percent of one CPU, and megabytes (10^6 bytes)."""
    data = details_of(details, instance_id=instance_id, cpu_percent=cpu_percent, memory_mb=memory_mb, disk_usage_mb=disk_usage_mb)
    figures = (("CPU", cpu_percent, "%"), ("memory", memory_mb, " MB"), ("disk", disk_usage_mb, " MB"))
    known = ", ".join(f"{name} {text_of(value)}{unit}" for name, value, unit in figures if value is not None)
    log_event(Component.INSTANCE, "resource_usage", f"{text_of(instance_id)}: {known or 'nothing known'}", details=data)


def log_worktree_operation(
    operation: str, path: str, status: str = "success", details: Details = None, *, branch: str | None = None
) -> None:
    """A git worktree was created, checked out, removed …"""
    _thing(Component.WORKTREE, "worktree", path, operation, status, details, path=path, branch=branch)


def log_tmux_session(session_name: str, operation: str, status: str = "success", details: Details = None) -> None:
    """A tmux session: ``create``, ``layout``, ``cleanup``, or ``orphan_found``, which is a warning."""
    _thing(Component.TMUX, "tmux_session", session_name, operation, status, details, session_name=session_name)


def log_service_status(service: str, status: str, details: Details = None) -> None:
    """A service is ``up``, ``degraded`` (a warning), ``down`` (an error) …"""
    data = details_of(details, service=service, status=status)
    message = f"{text_of(service)} is {text_of(status)}"
    log_event(Component.ORCHESTRATOR, "service_status", message, level=level_of(status), details=data)


def _thing(
    component: Component, thing: str, name: str, operation: str, status: str, details: Details, **identity: str | None
) -> None:
    data = details_of(details, **identity, operation=operation, status=status)
    level = "WARNING" if word(operation).startswith("orphan") else "INFO"
    message = f"{thing.replace('_', ' ')} {text_of(name)}: {text_of(operation)} {text_of(status)}"
    log_event(component, f"{thing}_{word(operation)}", message, level=level_of(status, level), details=data)


# -- what services do: databases, web, sign-in, integrations, files -------------------------------------------------------


def log_database_operation(
    operation: str,
    table: str | None = None,
    status: str = "success",
    details: Details = None,
    *,
    duration_ms: float | None = None,
    rows: int | None = None,
) -> None:
    """A query, write or migration of a database; ``rows`` were read or changed."""
    data = details_of(details, operation=operation, table=table, status=status, duration_ms=duration_ms, rows=rows)
    message = f"database {text_of(operation)}{_on(table)}: {text_of(status)}"
    log_event(Component.DATABASE, f"database_{word(operation)}", message, level=level_of(status), details=data)


def log_web_request(
    method: str, path: str, details: Details = None, *, request_id: str | None = None, client: str | None = None
) -> None:
    """A request came in."""
    data = details_of(details, method=method, path=path, request_id=request_id, client=client)
    log_event(Component.WEB, "web_request_received", f"{text_of(method)} {text_of(path)}", details=data)


def log_web_response(
    method: str,
    path: str,
    status_code: int,
    duration_ms: float | None = None,
    details: Details = None,
    *,
    request_id: str | None = None,
) -> None:
    """A request was answered; 4xx is a warning, 5xx an error."""
    data = details_of(details, method=method, path=path, status_code=status_code, duration_ms=duration_ms, request_id=request_id)
    message = f"{text_of(method)} {text_of(path)}: {text_of(status_code)}"
    log_event(Component.WEB, "web_response_sent", message, level=level_of_http(status_code), details=data)


def log_websocket_event(event: str, connection_id: str, details: Details = None, *, client: str | None = None) -> None:
    """A WebSocket: ``connect``, ``disconnect``, ``error`` …"""
    data = details_of(details, event=event, connection_id=connection_id, client=client)
    message = f"websocket {text_of(connection_id)}: {text_of(event)}"
    log_event(Component.WEB, f"websocket_{word(event)}", message, level=level_of(event), details=data)


def log_authentication(
    subject: str, success: bool, details: Details = None, *, method: str | None = None, reason: str | None = None
) -> None:
    """A sign-in succeeded, or failed, which is a warning."""
    data = details_of(details, subject=subject, success=success, method=method, reason=reason)
    how = "succeeded" if success is True else "failed"
    message = f"authentication of {text_of(subject)} {how}"
    log_event(Component.WEB, f"authentication_{how}", message, level="INFO" if success is True else "WARNING", details=data)


def log_github_call(
    operation: str,
    target: str | None = None,
    status_code: int | None = None,
    duration_ms: float | None = None,
    details: Details = None,
) -> None:
    """A call to GitHub: ``log_github_call("create_review", "acme/shop#42", 201, 312.0)``."""
    _call("github", operation, target, status_code, duration_ms, details)


def log_jira_call(
    operation: str,
    target: str | None = None,
    status_code: int | None = None,
    duration_ms: float | None = None,
    details: Details = None,
) -> None:
    """A call to Jira: ``log_jira_call("transition", "SHOP-7", 204)``."""
    _call("jira", operation, target, status_code, duration_ms, details)


def log_webhook_processing(provider: str, event_type: str, status: str, details: Details = None) -> None:
    """A webhook is ``received``, ``processed``, ``rejected`` (a warning), ``failed`` … `agentlog.webhook` records more."""
    data = details_of(details, provider=provider, event_type=event_type, status=status)
    message = f"webhook {text_of(provider)} {text_of(event_type)}: {text_of(status)}"
    log_event(Component.INTEGRATION, "webhook_processing", message, level=level_of(status), details=data)


def log_rate_limit(
    service: str,
    remaining: int | None = None,
    limit: int | None = None,
    details: Details = None,
    *,
    retry_after_s: float | None = None,
    reset_at: str | None = None,
) -> None:
    """The state of a service's rate limit; a warning if it was hit: ``remaining`` is 0 or there is a ``retry_after_s``."""
    hit = (type(remaining) is int and remaining == 0) or retry_after_s is not None
    data = details_of(details, service=service, remaining=remaining, limit=limit, retry_after_s=retry_after_s, reset_at=reset_at)
    left = "reached" if hit else f"{text_of(remaining)} of {text_of(limit)} left" if remaining is not None else "told"
    action, level = ("rate_limit_reached", "WARNING") if hit else ("rate_limit_status", "INFO")
    log_event(Component.INTEGRATION, action, f"rate limit of {text_of(service)}: {left}", level=level, details=data)


def log_file_event(
    operation: str, path: str, status: str = "success", details: Details = None, *, size_bytes: int | None = None
) -> None:
    """A file was read, written, deleted …; to do and record it in one go there is `agentlog.file_operation`."""
    data = details_of(details, operation=operation, path=path, status=status, size_bytes=size_bytes)
    message = f"file {text_of(operation)} {text_of(path)}: {text_of(status)}"
    log_event(Component.FILE_OPERATIONS, f"file_{word(operation)}", message, level=level_of(status), details=data)


def _call(
    service: str, operation: str, target: str | None, status_code: int | None, duration_ms: float | None, details: Details
) -> None:
    data = details_of(details, operation=operation, target=target, status_code=status_code, duration_ms=duration_ms)
    outcome = "" if status_code is None else f": {text_of(status_code)}"
    message = f"{service} {text_of(operation)}{_on(target)}{outcome}"
    log_event(Component.INTEGRATION, f"{service}_call", message, level=level_of_http(status_code), details=data)


def _on(target: str | None) -> str:
    return "" if target is None else f" on {text_of(target)}"


# -- a runner that carries out a plan, and has no blocks of its own -------------------------------------------------------

RunnerEvent: TypeAlias = Literal[
    "step_execution_started",
    "step_execution_succeeded",
    "step_execution_failed",
    "api_request_sent",
    "api_response_received",
    "api_response_failed",
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
    Component.AI_SERVICE: ("api_request_sent", "api_response_received", "api_response_failed", "api_request_failed"),
    Component.FILE_OPERATIONS: ("file_written", "file_read_failed"),
    Component.TERMINAL_INTERACTION: ("command_execution_started", "command_execution_completed"),
    Component.USER_INTERACTION: (
        *("execution_pause_requested", "execution_resume_requested", "execution_cancel_requested"),
        "context_added_by_user",
    ),
}
_COMPONENT_OF: Mapping[str, Component] = {event: component for component, events in _COMPONENTS.items() for event in events}


def log_runner_event(
    event: RunnerEvent | str,
    message: str = "",
    details: Mapping[str, Any] | None = None,
    *,
    error: BaseException | None = None,
    step_id: str | None = None,
    event_id: str | None = None,
    state_before: str | None = None,
    state_after: str | None = None,
    duration_ms: float | None = None,
) -> None:
    """Record an event of a plan, with its component and level; never raises.

    A failure is an error. A completed command whose details have an ``exit_code`` other than 0 is a warning, as the caller may go
    on; with an ``error`` it is one. ``error`` is recorded under its error id. For `context_added_by_user` the message is the
    user's text. The step, the states and the like are at the top of the line, as `log_event` says.
    """
    action = word(event)
    data = details_of(details)
    log_event(
        _COMPONENT_OF.get(action, Component.RUNNER),
        action,
        text_of(message),
        level=_level(action, data.get("exit_code"), error),
        details=data,
        error=error,
        step_id=step_id,
        event_id=event_id,
        state_before=state_before,
        state_after=state_after,
        duration_ms=duration_ms,
    )


def _level(action: str, exit_code: object, error: BaseException | None) -> str:
    if error is not None or action.endswith("_failed"):
        return "ERROR"
    return "WARNING" if type(exit_code) is int and exit_code != 0 else "INFO"


# -- levels ---------------------------------------------------------------------------------------------------------------

_LEVELS = {
    "ERROR": "failed failure fail error errored timeout timed_out crashed crash dead down unhealthy unavailable refused lost",
    "WARNING": "degraded warning warn retrying retry orphaned orphan cancelled interrupted rejected denied stale slow limited",
}
_LEVEL_OF = {status: level for level, statuses in _LEVELS.items() for status in statuses.split()}


def level_of(status: object, otherwise: str = "INFO") -> str:
    """The level of an event with this status: a word, true or false; what is not known to be bad is ``otherwise``."""
    if status is None or status is True:
        return otherwise
    return "ERROR" if status is False else _LEVEL_OF.get(word(status), otherwise)


def level_of_http(status_code: object) -> str:
    """The level of an answer with this HTTP status."""
    if type(status_code) is not int or status_code < 400:
        return "INFO"
    return "ERROR" if status_code >= 500 else "WARNING"
