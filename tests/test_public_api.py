"""Exactly the public names, sorted, each with a docstring."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import otel_agentlog


def test_the_list_of_names_is_sorted_and_complete() -> None:
    """``__all__`` is sorted, without doubles, and every name is there."""
    assert list(otel_agentlog.__all__) == sorted(set(otel_agentlog.__all__))
    for name in otel_agentlog.__all__:
        assert getattr(otel_agentlog, name) is not None


MOVED = {
    "otel_agentlog.errors": (
        "DatabaseError InstanceError IntegrationError LayoutError TaskError TaskNotFoundError TmuxError WorktreeError"
    ),
    "otel_agentlog.events": (
        "log_authentication log_database_operation log_event log_file_event log_github_call log_instance_lifecycle log_jira_call "
        "log_rate_limit log_resource_usage log_runner_event log_service_status log_task_assignment log_tmux_session "
        "log_web_request log_web_response log_webhook_processing log_websocket_event log_worktree_operation"
    ),
    "otel_agentlog.error_handling": "ErrorCategory ErrorDetails error_details log_performance register_category",
}


@pytest.mark.parametrize("module", MOVED)
def test_names_that_moved_are_found_at_both_places(module: str) -> None:
    """For one release the old place works, too; it is not listed."""
    new = importlib.import_module(module)
    for name in MOVED[module].split():
        assert getattr(otel_agentlog, name) is getattr(new, name)
        assert name not in otel_agentlog.__all__


def test_the_list_can_be_taken_in() -> None:
    """About 50 names: what is used every day. The rest has a module of its own."""
    assert len(otel_agentlog.__all__) <= 52


def test_modules_of_names_are_attributes() -> None:
    """``agentlog.events`` and ``agentlog.errors`` need no import of their own."""
    program = "import otel_agentlog as a; a.events.log_event; a.errors.TaskError"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)


def test_every_public_name_says_what_it_is() -> None:
    """Functions, classes and errors have docstrings."""
    assert [
        name
        for name in otel_agentlog.__all__
        if name != "__version__" and not (getattr(otel_agentlog, name).__doc__ or "").strip()
    ] == []
