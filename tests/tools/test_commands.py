"""Commands are run and recorded: what ran, how it ended, how much it said, and nothing secret."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.error_handling.category import ErrorCategory
from otel_agentlog.tools import CommandError, CommandTimeoutError, RegistryError
from otel_agentlog.tools.commands import shown_argv
from otel_agentlog.tools.process.mask import MASKED, is_secret


def lines_of(folder: Path | None) -> list[dict[str, Any]]:
    """All lines of a task's output."""
    assert folder is not None
    return [json.loads(line) for line in (folder / "03-agent-output.jsonl").read_text().splitlines()]


def test_a_command_that_succeeds(tmp_path: Path) -> None:
    """Output, sizes and figures come back, without any configuration."""
    result = agentlog.command(["sh", "-c", "pwd; cat; echo careful >&2"], cwd=tmp_path, input="hällo")

    assert (result.success, result.exit_code, result.outcome) == (True, 0, agentlog.Outcome.COMPLETED)
    assert (result.stdout, result.stderr) == (f"{tmp_path}\nhällo", "careful\n")
    assert (result.stdout_bytes, result.stderr_bytes) == (len(f"{tmp_path}\nhällo".encode()), 8)
    assert result.resource_usage.wall_s <= result.duration_s


def test_a_command_is_recorded(tasks_root: Path, tmp_path: Path) -> None:
    """A tool run with the convention's command attributes and the runner's two events inside it."""
    with agentlog.task("t") as task:
        result = agentlog.command(["sh", "-c", "echo out; exit 3"], cwd=tmp_path)

    assert not result.success
    lines = lines_of(task.folder)
    call, ended = (next(line for line in lines if line["type"] == kind) for kind in ("tool_call", "tool_result"))
    events = [line for line in lines if line["type"] == "event"]
    assert call["details"]["arguments"] == {"argv": ["sh", "-c", "echo out; exit 3"], "cwd": str(tmp_path)}
    assert call["component"] == "terminal_interaction"
    assert call["attributes"]["process.executable.name"] == "sh"
    assert ended["attributes"]["process.exit.code"] == 3
    assert (ended["outcome"], ended["exception"]["category"]) == ("failed", "EXECUTION")
    assert (ended["details"]["result"]["stdout"], ended["details"]["result"]["stdout_bytes"]) == ("out\n", 4)
    assert [(line["action"], line["span_id"]) for line in events] == [
        ("command_execution_started", call["span_id"]),
        ("command_execution_completed", call["span_id"]),
    ]
    assert (events[1]["details"]["exit_code"], events[1]["details"]["stdout_bytes"]) == (3, 4)


@pytest.mark.parametrize(("check", "level"), [(False, "WARNING"), (True, "ERROR")])
def test_how_bad_a_failed_command_is(tasks_root: Path, check: bool, level: str) -> None:
    """The event is a warning where the caller goes on and an error where it was raised; the error counts once either way."""
    with contextlib.suppress(CommandError), agentlog.task("t") as task:
        agentlog.command(["sh", "-c", "exit 3"], check=check)

    assert task.folder is not None
    final = json.loads((task.folder / "04-final-result.json").read_text())
    (completed,) = [line for line in lines_of(task.folder) if line.get("action") == "command_execution_completed"]
    assert (completed["level"], final["metrics"]["errors"]) == (level, 1)


def test_exit_codes_that_are_no_failure() -> None:
    """``grep`` finds nothing: that is an answer."""
    result = agentlog.command(["grep", "x"], input="y", ok_codes=(0, 1))

    assert (result.success, result.exit_code, result.error_details) == (True, 1, None)


def test_check_raises_with_the_result() -> None:
    """The exception has category and result."""
    with pytest.raises(CommandError, match="sh: ended with exit code 4") as caught:
        agentlog.command(["sh", "-c", "echo why >&2; exit 4"], check=True)

    assert caught.value.result.stderr == "why\n"
    assert caught.value.category is ErrorCategory.EXECUTION


@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_errors_can_be_copied_and_pickled(tmp_path: Path, again: Callable[[Any], Any]) -> None:
    """As executors do with what was raised in another process; cause, context, result and error id go along."""
    with pytest.raises(CommandTimeoutError) as caught:
        agentlog.command(["sleep", "600"], timeout_s=0.1, check=True)
    with pytest.raises(RegistryError) as wrong:
        agentlog.ToolExecutionService(tmp_path / "none.json")

    error, registry = again(caught.value), again(wrong.value)
    assert type(error) is CommandTimeoutError
    assert (str(error), error.cause, error.context) == (str(caught.value), "timed_out", caught.value.context)
    assert (error.result, agentlog.error_id(error)) == (caught.value.result, agentlog.error_id(caught.value))
    assert type(registry) is RegistryError
    assert (str(registry), registry.problems) == (str(wrong.value), wrong.value.problems)


def test_a_command_that_takes_too_long() -> None:
    """It and what it started are ended; its outcome is ``timed_out``."""
    result = agentlog.command(["sh", "-c", "sleep 600 & sleep 600"], timeout_s=0.3)

    assert result.outcome is agentlog.Outcome.TIMED_OUT
    assert result.error_details is not None
    assert result.error_details.category is ErrorCategory.TIMEOUT


def test_a_timeout_with_check_is_a_timeout_for_those_around(tasks_root: Path) -> None:
    """The task that it ends is ``timed_out`` too, and the error counts once."""
    with pytest.raises(CommandError), agentlog.task("t") as task:
        agentlog.command(["sleep", "600"], timeout_s=0.2, check=True)

    assert task.folder is not None
    final = json.loads((task.folder / "04-final-result.json").read_text())
    assert (final["outcome"], final["metrics"]["errors"]) == ("timed_out", 1)


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    """DEPENDENCY; a folder that is not there is VALIDATION."""
    missing = agentlog.command(["nonesuch-command"])
    nowhere = agentlog.command(["true"], cwd=tmp_path / "nowhere")

    assert [result.error_details and result.error_details.category for result in (missing, nowhere)] == [
        ErrorCategory.DEPENDENCY,
        ErrorCategory.VALIDATION,
    ]


@pytest.mark.parametrize("argv", [[], "ls -l", [""], ["a\0b"]])
def test_what_is_no_command_line(argv: Any) -> None:
    """Said at once, as a mistake of the caller."""
    with pytest.raises(agentlog.ConfigurationError, match="a list of texts, the program first"):
        agentlog.command(argv)


def test_the_environment_is_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``env`` all of this process's, with it that alone."""
    monkeypatch.setenv("MINE", "1")

    assert "MINE=1" in agentlog.command(["env"]).stdout.split("\n")
    names = {line.partition("=")[0] for line in agentlog.command(["/usr/bin/env"], env={"A": "b"}).stdout.splitlines()}
    assert names == {"A", "AGENTLOG_EXECUTION_ID"}


def test_secrets_of_a_command_stay_out_of_the_record(tasks_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the command line, in variables and in what it prints."""
    monkeypatch.setenv("MY_API_KEY", "variable-hunter2")
    script = "import os, sys; print(sys.argv, os.environ['MY_API_KEY'])"

    with agentlog.task("t"):
        repeated = "the shell put variable-hunter2 here"
        command = [sys.executable, "-c", script, "--password", "word-hunter2", "--token=equal-hunter2", repeated]
        result = agentlog.command(command)
    agentlog.shutdown()

    assert "word-hunter2" in result.stdout
    recorded = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "hunter2" not in recorded
    assert MASKED in recorded


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PWD", "{folder}"),
        ("OLDPWD", "{folder}/gone"),
        ("INIT_PWD", "{folder}"),
        ("SSH_KEY", "{folder}"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "{folder}"),
        ("GITHUB_TOKEN", "none"),
        ("PASSWORD", "false"),
    ],
)
def test_variables_that_hold_no_secret_hide_nothing(
    name: str, value: str, tasks_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the working directory or a key's file is, and switches: commands repeat such words all the time."""
    monkeypatch.setenv(name, value.format(folder=tmp_path))
    with agentlog.task("t") as task:
        agentlog.command(["echo", f"{tmp_path}/gone/x.txt", "false", "none"], cwd=tmp_path)

    call = next(line for line in lines_of(task.folder) if line["type"] == "tool_call")
    assert call["details"]["arguments"] == {"argv": ["echo", f"{tmp_path}/gone/x.txt", "false", "none"], "cwd": str(tmp_path)}
    recorded = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert MASKED not in recorded


@pytest.mark.parametrize("secret", ["/Zm9vYmFyMTIz+/aGVsbG8", "falsehood", "~/hunter2", "./x12345678"])
def test_secrets_that_begin_like_paths_are_secret(secret: str) -> None:
    """Base64 may begin with a slash."""
    assert all(is_secret(name, secret) for name in ("API_KEY", "GITHUB_TOKEN", "DB_PASSWORD"))


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        ("curl -u me:hunter2 http://x", f"curl -u me:{MASKED} http://x"),
        ("mysql --password=hunter2 db", f"mysql --password={MASKED} db"),
        ("tool --api-key hunter2 --verbose", f"tool --api-key {MASKED} --verbose"),
        ("env GITHUB_TOKEN=hunter2 gh pr list", f"env GITHUB_TOKEN={MASKED} gh pr list"),
        ("tool --password x", f"tool --password {MASKED}"),
        ("git log --author me", "git log --author me"),
    ],
)
def test_command_lines_as_they_are_shown(argv: str, shown: str) -> None:
    """A name and its secret may be two arguments."""
    assert " ".join(shown_argv(argv.split())) == shown


@settings(deadline=None)
@given(argv=st.lists(st.text(max_size=12), min_size=1, max_size=6))
def test_any_command_line_can_be_shown(argv: list[str]) -> None:
    """As many words as there are, the program first."""
    shown = shown_argv(argv)

    assert (len(shown), shown[0]) == (len(argv), argv[0])


def test_a_deleted_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command can still be run."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    os.rmdir(folder)

    result = agentlog.command(["/bin/echo", "hi"])

    os.chdir("/")
    assert result.stdout == "hi\n"
