"""What an agent's services do and are asked: database, web, WebSocket, sign-in, GitHub, Jira, webhooks, limits, files.

As in `lifecycle`: one event each, nothing raised, ``details`` for anything else. Durations are milliseconds. Pass URLs and
paths as they are: what is secret in them is redacted like everything recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_agentlog.model import Component
from otel_agentlog.record.events import details_of, log_event, word
from otel_agentlog.record.lifecycle_words import level_of, level_of_http
from otel_agentlog.record.logs_line import text_of

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
