"""``agentlog diff`` aligns two tasks and tells what differs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import otel_agentlog as agentlog
from otel_agentlog.view.cli.main import main


def _run(task_id: str, *, steps: tuple[str, ...], fails: str = "", result: str = "same") -> None:
    try:
        with agentlog.task("Review", task_id=task_id, input="do it") as task:
            for name in steps:
                with agentlog.step(name), agentlog.tool("Read", arguments={"path": name}):
                    if name == fails:
                        raise FileNotFoundError(name)
            task.result = result
    except FileNotFoundError:
        pass


@pytest.fixture
def root(tmp_path: Path) -> Path:
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path, console="off")
    _run("one", steps=("plan", "read", "write"))
    _run("two", steps=("plan", "read", "write"))
    _run("three", steps=("plan", "think", "read"), fails="read", result="other\ntext")
    agentlog.shutdown()
    return tmp_path / "tasks"


def test_two_runs_alike(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures may differ; the rest is the same, and so says the exit code."""
    assert main(["diff", "one", "two", "--root", str(root)]) == 0
    assert "7 parts the same in both" in capsys.readouterr().out


def test_a_step_more_a_step_less_and_one_that_failed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Parts are aligned by name: what follows a new step is compared with its like."""
    assert main(["diff", "one", "three", "--root", str(root), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    parts = {(part["kind"], part["name"], part["verdict"]) for part in found["parts"] if part["kind"] == "step"}
    assert parts == {
        ("step", "plan", "same"),
        ("step", "think", "only_right"),
        ("step", "read", "changed"),
        ("step", "write", "only_left"),
    }
    assert found["left"]["status"] == "completed"
    assert found["right"]["status"] == "failed"


def test_for_people(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Signs, both states, the error and the text that changed."""
    assert main(["diff", "one", "three", "--root", str(root), "--no-color"]) == 1
    said = capsys.readouterr().out
    assert "+   step think" in said
    assert "-   step write" in said
    assert "FileNotFoundError" in said
    assert "completed → failed" in said
    assert "-same" in said or "- same" in said or '-"same"' in said


def test_a_task_that_is_not_there(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that names what comes near."""
    assert main(["diff", "one", "thre3", "--root", str(root)]) == 1
    assert "three" in capsys.readouterr().err
