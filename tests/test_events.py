"""The helpers for what happens around an agent: one event each, with the right component, in the right place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.testing import MemorySink, recording
from tests.support.app_logs import whole_log

HELPERS: dict[str, tuple[Callable[..., None], tuple[Any, ...], dict[str, Any], tuple[str, str, str]]] = {
    "instance": (
        agentlog.log_instance_lifecycle,
        ("brain-1", "start", "success", {"pid": 7}),
        {"instance_id": "brain-1", "operation": "start", "status": "success", "pid": 7},
        ("instance", "instance_start", "INFO"),
    ),
    "instance that crashed": (
        agentlog.log_instance_lifecycle,
        ("brain-1", "stop", "crashed"),
        {"instance_id": "brain-1", "operation": "stop", "status": "crashed"},
        ("instance", "instance_stop", "ERROR"),
    ),
    "assignment": (
        agentlog.log_task_assignment,
        ("task-1", "brain-1", {"priority": 2}),
        {"task_id": "task-1", "instance_id": "brain-1", "priority": 2},
        ("task", "task_assigned", "INFO"),
    ),
    "resources": (
        agentlog.log_resource_usage,
        ("brain-1", 12.5, 300.0, None),
        {"instance_id": "brain-1", "cpu_percent": 12.5, "memory_mb": 300.0},
        ("instance", "resource_usage", "INFO"),
    ),
    "worktree": (
        agentlog.log_worktree_operation,
        ("create", "/w/42", "failed"),
        {"path": "/w/42", "operation": "create", "status": "failed"},
        ("worktree", "worktree_create", "ERROR"),
    ),
    "tmux session": (
        agentlog.log_tmux_session,
        ("main", "layout", "success", {"panes": 4}),
        {"session_name": "main", "operation": "layout", "status": "success", "panes": 4},
        ("tmux", "tmux_session_layout", "INFO"),
    ),
    "tmux orphan": (
        agentlog.log_tmux_session,
        ("old", "orphan found"),
        {"session_name": "old", "operation": "orphan found", "status": "success"},
        ("tmux", "tmux_session_orphan_found", "WARNING"),
    ),
    "service": (
        agentlog.log_service_status,
        ("redis", "degraded"),
        {"service": "redis", "status": "degraded"},
        ("orchestrator", "service_status", "WARNING"),
    ),
    "database": (
        agentlog.log_database_operation,
        ("insert", "tasks"),
        {"operation": "insert", "table": "tasks", "status": "success"},
        ("database", "database_insert", "INFO"),
    ),
    "request": (
        agentlog.log_web_request,
        ("GET", "/tasks"),
        {"method": "GET", "path": "/tasks"},
        ("web", "web_request_received", "INFO"),
    ),
    "response": (
        agentlog.log_web_response,
        ("GET", "/tasks", 503, 12.0),
        {"method": "GET", "path": "/tasks", "status_code": 503, "duration_ms": 12.0},
        ("web", "web_response_sent", "ERROR"),
    ),
    "websocket": (
        agentlog.log_websocket_event,
        ("disconnect", "c-1"),
        {"event": "disconnect", "connection_id": "c-1"},
        ("web", "websocket_disconnect", "INFO"),
    ),
    "sign-in": (
        agentlog.log_authentication,
        ("ann", False),
        {"subject": "ann", "success": False},
        ("web", "authentication_failed", "WARNING"),
    ),
    "GitHub": (
        agentlog.log_github_call,
        ("create_review", "acme/shop#42", 404),
        {"operation": "create_review", "target": "acme/shop#42", "status_code": 404},
        ("integration", "github_call", "WARNING"),
    ),
    "Jira": (
        agentlog.log_jira_call,
        ("transition", "SHOP-7", 204, 80.5),
        {"operation": "transition", "target": "SHOP-7", "status_code": 204, "duration_ms": 80.5},
        ("integration", "jira_call", "INFO"),
    ),
    "webhook": (
        agentlog.log_webhook_processing,
        ("github", "push", "rejected"),
        {"provider": "github", "event_type": "push", "status": "rejected"},
        ("integration", "webhook_processing", "WARNING"),
    ),
    "rate limit": (
        agentlog.log_rate_limit,
        ("github", 0, 5000),
        {"service": "github", "remaining": 0, "limit": 5000},
        ("integration", "rate_limit_reached", "WARNING"),
    ),
    "file": (
        agentlog.log_file_event,
        ("write", "a.py"),
        {"operation": "write", "path": "a.py", "status": "success"},
        ("file_operations", "file_write", "INFO"),
    ),
}

RUNNER = {
    "step_execution_started": ("execution_engine", "INFO"),
    "step_execution_succeeded": ("execution_engine", "INFO"),
    "step_execution_failed": ("execution_engine", "ERROR"),
    "api_request_sent": ("ai_service", "INFO"),
    "api_response_received": ("ai_service", "INFO"),
    "api_request_failed": ("ai_service", "ERROR"),
    "file_written": ("file_operations", "INFO"),
    "file_read_failed": ("file_operations", "ERROR"),
    "command_execution_started": ("terminal_interaction", "INFO"),
    "command_execution_completed": ("terminal_interaction", "INFO"),
    "execution_pause_requested": ("user_interaction", "INFO"),
    "execution_resume_requested": ("user_interaction", "INFO"),
    "execution_cancel_requested": ("user_interaction", "INFO"),
    "context_added_by_user": ("user_interaction", "INFO"),
    "something of my own": ("runner", "INFO"),
}


class Hostile:
    """Raises whatever is done with it."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")

    __repr__ = __str__
    __hash__ = None  # type: ignore[assignment]


class HostileMapping(dict[str, Any]):
    """A mapping that cannot be read."""

    def keys(self) -> Any:
        raise RuntimeError("no keys")

    __iter__ = keys


@pytest.mark.parametrize("name", HELPERS)
def test_a_helper_records_one_event(recorded: MemorySink, name: str) -> None:
    """Component, action, level and details are those of the table; the line stands in the task."""
    helper, args, details, (component, action, level) = HELPERS[name]

    with agentlog.task("job", task_id="job-1"):
        helper(*args)

    (line,) = recorded.of(type="event")
    assert (line["component"], line["action"], line["level"]) == (component, action, level)
    assert line["details"] == details
    assert line["task_id"] == "job-1"
    assert line["message"]


@pytest.mark.parametrize("event", RUNNER)
def test_an_event_of_a_plan_has_its_component_and_level(recorded: MemorySink, event: str) -> None:
    """Each event of the table; a word that is not in it is recorded all the same."""
    with agentlog.task("job"):
        agentlog.log_runner_event(event, details={"step": 1})

    (line,) = recorded.of(type="event")
    assert (line["component"], line["level"]) == RUNNER[event]
    assert line["action"] == event.replace(" ", "_")
    assert line["details"] == {"step": 1}


def test_a_command_that_failed_is_a_warning_unless_it_was_an_error(recorded: MemorySink) -> None:
    """An exit code other than 0 is for its caller to judge; with the exception that it raised it is an ERROR."""
    for error in (None, RuntimeError("make failed")):
        details = {"argv": ["make"], "exit_code": 2}
        agentlog.log_runner_event("command_execution_completed", details=details, error=error)

    assert [line["level"] for line in recorded.lines] == ["WARNING", "ERROR"]


def test_an_error_of_an_event_has_an_id_and_counts_once(recorded: MemorySink) -> None:
    """The error of an event is recorded under the id it keeps when it ends the task."""
    error = ValueError("no plan")

    @agentlog.task("job")
    def job() -> None:
        agentlog.log_runner_event("step_execution_failed", error=error)
        raise error

    with pytest.raises(ValueError, match="no plan"):
        job()

    (line,) = recorded.of(type="event")
    (end,) = recorded.ends()
    assert line["exception"]["error_id"] == end["exception"]["error_id"] == agentlog.error_id(error)
    assert "traceback" not in end["exception"]


def test_outside_a_task_events_go_into_the_application_log(tasks_root: Path) -> None:
    """With the ids they name, so that they are found by them."""
    agentlog.log_task_assignment("task-not-here", "brain-1")
    agentlog.shutdown()

    (line,) = (json.loads(text) for text in whole_log(tasks_root.parent / "logs").splitlines())
    assert (line["type"], line["action"], line["task_id"], line["instance_id"]) == (
        *("event", "task_assigned"),
        *("task-not-here", "brain-1"),
    )
    assert line["details"] == {"task_id": "task-not-here", "instance_id": "brain-1"}


def test_an_event_about_an_open_task_goes_into_its_folder(tasks_root: Path) -> None:
    """Told outside of it, an event that names a task which is open in this process stands in that task."""
    task = agentlog.task("job", task_id="job-1").start()
    agentlog.log_task_assignment("job-1", "brain-1")
    task.end()

    lines = list(TaskReader(tasks_root / "job-1").events())
    (line,) = [line for line in lines if line["type"] == "event"]
    assert (line["action"], line["span_id"]) == ("task_assigned", task.span_id)


def test_secrets_in_details_are_redacted(tasks_root: Path) -> None:
    """A token in a path or a key is not recorded."""
    with agentlog.task("job", task_id="job-1"):
        agentlog.log_web_request("GET", "/x?access_token=ghp_0123456789abcdefghijABCDEFGHIJ012345", {"password": "hunter22"})

    text = (tasks_root / "job-1" / "03-agent-output.jsonl").read_text()
    assert "ghp_0123456789" not in text
    assert "hunter22" not in text
    assert "web_request_received" in text


_ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.builds(Hostile),
    st.dictionaries(st.text(), st.one_of(st.text(), st.builds(Hostile))),
    st.just(HostileMapping(a=1)),
    st.builds(lambda: [Hostile()]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(HELPERS)), st.lists(_ANYTHING, min_size=4, max_size=4))
def test_no_helper_raises_whatever_it_is_given(name: str, values: list[Any]) -> None:
    """Values of any make give one line, with a level and an action that are words."""
    helper, args, _, _ = HELPERS[name]
    from otel_agentlog.record.redaction.redactor import Redactor
    from otel_agentlog.record.sanitize.cleaner import Cleaner

    with recording(cleaner=Cleaner(Redactor())) as sink:
        helper(*values[: max(2, len(args))])
        agentlog.log_runner_event(values[0], values[1], values[2])

    assert len(sink.lines) == 2
    for line in sink.lines:
        assert line["level"] in ("INFO", "WARNING", "ERROR")
        assert len(line["action"]) <= 100
        assert line["action"].replace("_", "a").isalnum()


def test_without_configuration_helpers_do_nothing() -> None:
    """Before configure() a helper is a no-op."""
    agentlog.log_event("runner", "anything")
