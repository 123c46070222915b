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


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs of one agent over different pull requests, with other models."""
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path, console="off")
    for number, model in ((42, "claude-opus-4-5"), (1007, "gpt-5")):
        with agentlog.task(f"Review PR {number}", task_id=f"pr-{number}"):
            for part in range(2):
                with agentlog.step(f"read file-{number}{part}.py"), agentlog.tool("Read", arguments={"path": "a"}):
                    pass
            asked = [{"role": "user", "content": f"Review it.\nPR {number}"}]
            with agentlog.step(f"judge {number}"), agentlog.ai_call(model, provider="x", messages=asked) as call:
                call.record({"choices": [{"message": {"role": "assistant", "content": f"Fine\n{number}"}}], "model": model})
    agentlog.shutdown()
    return tmp_path / "tasks"


def test_names_that_differ_in_a_number_are_the_same_step(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is on one side alone; calls are compared whatever their model."""
    main(["diff", "pr-42", "pr-1007", "--root", str(runs), "--json"])
    parts = json.loads(capsys.readouterr().out)["parts"]

    assert [(part["kind"], part["verdict"]) for part in parts] == [
        ("task", "same"),
        *[("step", "same"), ("tool_run", "same")] * 2,
        ("step", "same"),
        ("ai_call", "changed"),
    ]
    assert [parts[0][side]["name"] for side in ("left", "right")] == ["Review PR 42", "Review PR 1007"]


def test_prompts_and_answers_are_compared(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Line by line, below their call."""
    main(["diff", "pr-42", "pr-1007", "--root", str(runs), "--no-color"])
    said = capsys.readouterr().out

    assert "ai claude-opus-4-5 → gpt-5" in said
    for line in ("prompt -PR 42", "prompt +PR 1007", "answer -42", "answer +1007"):
        assert line in said
    assert "Review it." not in said


def test_equal_names_go_before_equal_shapes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A numbered step that is missing does not shift the others."""
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path, console="off")
    _run("all", steps=("part 1", "part 2", "part 3"))
    _run("less", steps=("part 2", "part 3"))
    agentlog.shutdown()

    main(["diff", "all", "less", "--root", str(tmp_path / "tasks"), "--json"])
    parts = [part for part in json.loads(capsys.readouterr().out)["parts"] if part["kind"] == "step"]
    assert [(part["name"], part["verdict"]) for part in parts] == [
        ("part 1", "only_left"),
        ("part 2", "same"),
        ("part 3", "same"),
    ]
