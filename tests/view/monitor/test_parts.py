"""What the monitor is made of: words that are typed, the plan, plain text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.query import resolve
from otel_agentlog.view.cli.main import main
from otel_agentlog.view.monitor.commands import OVERVIEW_COMMANDS, TASK_COMMANDS, find_part, parse_command, suggestion
from otel_agentlog.view.monitor.watched_task import WatchedTask


@pytest.mark.parametrize(
    ("text", "name", "rest"),
    [
        ("pause", "pause", ""),
        ("  PAUSE  look first ", "pause", "look first"),
        ("res", "resume", ""),
        ("c", "?", "c"),
        ("context be brief", "context", "be brief"),
        ("3", "?", "3"),
        ("", "?", ""),
    ],
)
def test_commands_are_understood(text: str, name: str, rest: str) -> None:
    """Whole words, unambiguous beginnings, any case; the rest is kept."""
    assert parse_command(text, TASK_COMMANDS) == (name, rest)


@given(st.text(max_size=60))
def test_any_text_is_answered(text: str) -> None:
    """Whatever is typed is a command, or told to be none."""
    for commands in (TASK_COMMANDS, OVERVIEW_COMMANDS):
        typed = parse_command(text, commands)
        assert typed.name in commands or typed.name == "?"
        assert suggestion(text, commands)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path, console="off")
    with agentlog.task("job", task_id="job"):
        with agentlog.step("plan"), agentlog.step("think"):
            agentlog.get_logger("x").info("hello")
        with agentlog.step("act"), agentlog.tool("Read"):
            pass
    with agentlog.task("stepless", task_id="stepless"), agentlog.tool("Only"):
        pass
    agentlog.shutdown()
    return tmp_path / "tasks"


def test_the_plan(root: Path) -> None:
    """Steps with their depth and numbers; tools on request, or where there is nothing else."""
    watched = WatchedTask(resolve(root, "job"))
    assert [(row.number, row.depth, row.entry.name) for row in watched.plan()] == [(1, 0, "plan"), (2, 1, "think"), (3, 0, "act")]
    assert [row.entry.name for row in watched.plan(details=True)] == ["plan", "think", "act", "Read"]
    assert [row.entry.name for row in WatchedTask(resolve(root, "stepless")).plan()] == ["Only"]
    named = find_part("think", watched.plan())
    assert named is not None
    assert "hello" in [line.get("message") for line in watched.lines_of(named.entry)]
    assert find_part("2", watched.plan()) == named
    assert find_part("9", watched.plan()) is None
    assert watched.poll() is False or watched.poll() is False


def test_plain_text_ends_with_the_task(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal, too: the task's state, its plan, its last lines."""
    assert main(["monitor", "job", "--text", "--root", str(root)]) == 0
    said = capsys.readouterr().out
    assert "completed" in said
    assert "1 ✓ plan" in said
    assert main(["monitor", "--text", "--once", "--root", str(root)]) == 0
    assert "2 tasks in 24 h" in capsys.readouterr().out
    assert main(["monitor", "--text", "--once", "--root", str(root / "nothing")]) == 0
    assert "No tasks below" in capsys.readouterr().out


def test_no_terminal_is_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe one is told about --text."""
    assert main(["monitor", "--root", str(root)]) == 2
    assert "--text" in capsys.readouterr().err
