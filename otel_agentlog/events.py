"""What happens to instances, tasks, worktrees and terminals around an agent, each as one event with the right component.

Every helper takes what identifies the thing, what was done and how it went, and ``details``: a mapping of anything else. None of
them raises, waits or returns anything. Actions are ``<thing>_<operation>``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from otel_agentlog.record.logs.levels import number_of, word_of
from otel_agentlog.record.logs.line import add_error, text_of
from otel_agentlog.record.logs.placement import ID_KEYS, adopt, deliver, guarded, here
from otel_agentlog.record.recorder import Recorder
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.states import Component

# -- Things that happened and are neither log lines nor operations: lines of type ``event``, wherever they are told.
# Hides where such a line belongs: in the operation that is current; else in the open task that its details name; else in the
# application log.

MAX_WORD = 64
"""Longest action made of a user's word, in characters; actions are names of events, and there should be few."""

_NO_WORD = re.compile(r"[^a-z0-9]+")


def log_event(
    component: Component | str,
    action: str,
    message: str = "",
    *,
    level: str = "INFO",
    details: Mapping[str, Any] | None = None,
    error: BaseException | None = None,
) -> None:
    """Record that something happened, in the current task or else in the application log; never raises.

    ``action`` is a word in snake_case, the same for every event of its kind: it names the event in OpenTelemetry
    (``agentlog.<action>``). ``error`` is recorded under its error id. Ids among the details (``task_id``, ``instance_id``,
    ``correlation_id`` …) place the line where nothing else does.
    """

    def work(record: Recorder) -> None:
        if not record.active:
            return
        line: Line = {
            "type": "event",
            "level": word_of(number_of(level)),
            "component": text_of(component),
            "action": word(action),
            "message": text_of(message) or word(action).replace("_", " "),
        }
        said = details_of(details)
        ids = {key: text_of(said[key]) for key in ID_KEYS if said.get(key) is not None}
        place = adopt(here(), ids, line)
        add_error(line, error, place.ids.get("trace_id"), record)
        deliver(record, line, place, said)

    guarded(work)


def word(text: object) -> str:
    """Any text as a word of lower-case letters, digits and underscores; ``event`` where nothing is left of it."""
    return _NO_WORD.sub("_", text_of(text)[: 4 * MAX_WORD].lower()).strip("_")[:MAX_WORD].rstrip("_") or "event"


def details_of(details: object, **named: Any) -> dict[str, Any]:
    """What a helper was told: its own parameters that are not ``None``, and before them the user's details."""
    given: dict[str, Any] = {}
    try:
        given = dict(details) if isinstance(details, Mapping) else {} if details is None else {"details": details}
    except Exception:  # noqa: BLE001 - a mapping may be anybody's; what it is called with is still told
        given["details"] = f"<{type(details).__name__} that cannot be read>"
    return {**given, **{key: value for key, value in named.items() if value is not None}}


# -- The events of a runner that carries out a plan, for code whose steps are not `step`, `ai_call` and `tool` blocks.
# Those blocks record starts and ends by themselves. This is for runners that only tell what happened, and for what has no block:
# requests of the user's, files and commands seen from outside.

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


# -- How bad it is what a helper is told: from a status, a status code or an exit code to the level of its line.

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
    if not isinstance(status_code, int) or status_code < 400:
        return "INFO"
    return "ERROR" if status_code >= 500 else "WARNING"


# -- What an agent's services do and are asked: database, web, WebSocket, sign-in, GitHub, Jira, webhooks, limits, files.
# As in `lifecycle`: one event each, nothing raised, ``details`` for anything else. Durations are milliseconds. Pass URLs and
# paths as they are: what is secret in them is redacted like everything recorded.

Details = Mapping[str, Any] | None


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
    said = details_of(details, operation=operation, table=table, status=status, duration_ms=duration_ms, rows=rows)
    message = f"database {text_of(operation)}{_on(table)}: {text_of(status)}"
    log_event(Component.DATABASE, f"database_{word(operation)}", message, level=level_of(status), details=said)


def log_web_request(
    method: str, path: str, details: Details = None, *, request_id: str | None = None, client: str | None = None
) -> None:
    """A request came in."""
    said = details_of(details, method=method, path=path, request_id=request_id, client=client)
    log_event(Component.WEB, "web_request_received", f"{text_of(method)} {text_of(path)}", details=said)


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
    said = details_of(details, method=method, path=path, status_code=status_code, duration_ms=duration_ms, request_id=request_id)
    message = f"{text_of(method)} {text_of(path)}: {text_of(status_code)}"
    log_event(Component.WEB, "web_response_sent", message, level=level_of_http(status_code), details=said)


def log_websocket_event(event: str, connection_id: str, details: Details = None, *, client: str | None = None) -> None:
    """A WebSocket: ``connect``, ``disconnect``, ``error`` …"""
    said = details_of(details, event=event, connection_id=connection_id, client=client)
    message = f"websocket {text_of(connection_id)}: {text_of(event)}"
    log_event(Component.WEB, f"websocket_{word(event)}", message, level=level_of(event), details=said)


def log_authentication(
    subject: str, success: bool, details: Details = None, *, method: str | None = None, reason: str | None = None
) -> None:
    """Somebody signed in, or could not, which is a warning."""
    said = details_of(details, subject=subject, success=success, method=method, reason=reason)
    how = "succeeded" if success is True else "failed"
    message = f"authentication of {text_of(subject)} {how}"
    log_event(Component.WEB, f"authentication_{how}", message, level="INFO" if success is True else "WARNING", details=said)


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
    said = details_of(details, provider=provider, event_type=event_type, status=status)
    message = f"webhook {text_of(provider)} {text_of(event_type)}: {text_of(status)}"
    log_event(Component.INTEGRATION, "webhook_processing", message, level=level_of(status), details=said)


def log_rate_limit(
    service: str,
    remaining: int | None = None,
    limit: int | None = None,
    details: Details = None,
    *,
    retry_after_s: float | None = None,
    reset_at: str | None = None,
) -> None:
    """What a service said about its limit. ``remaining=0`` or a ``retry_after_s`` says it was hit, which is a warning."""
    hit = (isinstance(remaining, int) and remaining == 0) or retry_after_s is not None
    said = details_of(details, service=service, remaining=remaining, limit=limit, retry_after_s=retry_after_s, reset_at=reset_at)
    left = "reached" if hit else f"{text_of(remaining)} of {text_of(limit)} left" if remaining is not None else "told"
    action, level = ("rate_limit_reached", "WARNING") if hit else ("rate_limit_status", "INFO")
    log_event(Component.INTEGRATION, action, f"rate limit of {text_of(service)}: {left}", level=level, details=said)


def log_file_event(
    operation: str, path: str, status: str = "success", details: Details = None, *, size_bytes: int | None = None
) -> None:
    """A file was read, written, deleted …; to do and record it in one go there is `agentlog.file_operation`."""
    said = details_of(details, operation=operation, path=path, status=status, size_bytes=size_bytes)
    message = f"file {text_of(operation)} {text_of(path)}: {text_of(status)}"
    log_event(Component.FILE_OPERATIONS, f"file_{word(operation)}", message, level=level_of(status), details=said)


def _call(
    service: str, operation: str, target: str | None, status_code: int | None, duration_ms: float | None, details: Details
) -> None:
    said = details_of(details, operation=operation, target=target, status_code=status_code, duration_ms=duration_ms)
    outcome = "" if status_code is None else f": {text_of(status_code)}"
    message = f"{service} {text_of(operation)}{_on(target)}{outcome}"
    log_event(Component.INTEGRATION, f"{service}_call", message, level=level_of_http(status_code), details=said)


def _on(target: str | None) -> str:
    return "" if target is None else f" on {text_of(target)}"


def log_instance_lifecycle(instance_id: str, operation: str, status: str = "success", details: Details = None) -> None:
    """An agent instance was created, started, stopped …: ``log_instance_lifecycle("brain-1", "start", "success")``."""
    _thing(Component.INSTANCE, "instance", instance_id, operation, status, details, instance_id=instance_id)


def log_task_assignment(task_id: str, instance_id: str, details: Details = None) -> None:
    """A task was given to an instance; recorded in that task's folder if it is open in this process."""
    said = details_of(details, task_id=task_id, instance_id=instance_id)
    log_event(Component.TASK, "task_assigned", f"{text_of(task_id)} given to {text_of(instance_id)}", details=said)


def log_resource_usage(
    instance_id: str,
    cpu_percent: float | None = None,
    memory_mb: float | None = None,
    disk_usage_mb: float | None = None,
    details: Details = None,
) -> None:
    """What an instance uses at this moment: percent of one CPU, and megabytes (10^6 bytes)."""
    said = details_of(details, instance_id=instance_id, cpu_percent=cpu_percent, memory_mb=memory_mb, disk_usage_mb=disk_usage_mb)
    figures = (("CPU", cpu_percent, "%"), ("memory", memory_mb, " MB"), ("disk", disk_usage_mb, " MB"))
    known = ", ".join(f"{name} {text_of(value)}{unit}" for name, value, unit in figures if value is not None)
    log_event(Component.INSTANCE, "resource_usage", f"{text_of(instance_id)}: {known or 'nothing known'}", details=said)


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
    said = details_of(details, service=service, status=status)
    message = f"{text_of(service)} is {text_of(status)}"
    log_event(Component.ORCHESTRATOR, "service_status", message, level=level_of(status), details=said)


def _thing(
    component: Component, thing: str, name: str, operation: str, status: str, details: Details, **identity: str | None
) -> None:
    said = details_of(details, **identity, operation=operation, status=status)
    level = "WARNING" if word(operation).startswith("orphan") else "INFO"
    message = f"{thing.replace('_', ' ')} {text_of(name)}: {text_of(operation)} {text_of(status)}"
    log_event(component, f"{thing}_{word(operation)}", message, level=level_of(status, level), details=said)
