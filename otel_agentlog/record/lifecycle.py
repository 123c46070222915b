"""What happens to instances, tasks, worktrees and terminals around an agent, each as one event with the right component.

Every helper takes what identifies the thing, what was done and how it went, and ``details``: a mapping of anything else. None of
them raises, waits or returns anything. Actions are ``<thing>_<operation>``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_agentlog.model import Component
from otel_agentlog.record.events import details_of, log_event, word
from otel_agentlog.record.lifecycle_words import level_of
from otel_agentlog.record.logs_line import text_of

Details = Mapping[str, Any] | None


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
