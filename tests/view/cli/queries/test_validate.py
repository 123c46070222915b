"""``agentlog validate``: is every line there?"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.view.cli.terminal import agentlog


@pytest.fixture
def damaged(stories: Path, tmp_path: Path) -> Path:
    """A root with a good task, one that lost a line, and one with a torn last line."""
    root = tmp_path / "tasks"
    for task in ("task-review42", "task-well", "task-paused"):
        shutil.copytree(stories / task, root / task)
    lines = root / "task-review42" / "03-agent-output.jsonl"
    kept = lines.read_bytes().splitlines(keepends=True)
    lines.write_bytes(b"".join(kept[:7] + kept[8:]))
    with (root / "task-paused" / "03-agent-output.jsonl").open("ab") as file:
        file.write(b'{"timestamp":"2026-11-21T05')
    return root


def test_every_recorded_task_is_valid(stories: Path) -> None:
    """Whatever became of it."""
    ran = agentlog("validate", "--root", stories)

    assert (ran.code, ran.lines[-1]) == (0, "10 tasks: 10 valid, 0 not")


def test_one_task_is_counted_too(stories: Path, tmp_path: Path) -> None:
    """Silence would leave open whether anything was looked at."""
    shutil.copytree(stories / "task-well", tmp_path / "task-well")

    ran = agentlog("validate", "--root", tmp_path)

    assert (ran.code, ran.lines) == (0, ["1 task: 1 valid, 0 not"])


def test_errors_are_named_with_file_and_line(damaged: Path) -> None:
    """As compilers do, with the exit code 1; folders without a word to say are only counted."""
    ran = agentlog("validate", "--root", damaged)

    assert ran.code == 1
    assert f"  {damaged}/task-review42/03-agent-output.jsonl" in ran.out
    assert ": error: expected " in ran.out
    assert f"  {damaged}/task-paused/03-agent-output.jsonl:4: warning: expected a whole record, found " in ran.out
    assert "task-well" not in ran.out
    assert ran.lines[-1] == "3 tasks: 2 valid (1 with warnings), 1 not"


def test_warnings_alone_are_no_failure(damaged: Path) -> None:
    """A torn line is normal after a crash."""
    ran = agentlog("validate", "task-paused", "--root", damaged)

    assert ran.code == 0
    assert ran.lines[0].startswith("✓ task-paused  1 warning, ")


def test_tasks_can_be_named_in_every_way(damaged: Path) -> None:
    """By id, by the beginning of one, by folder, by a folder of tasks."""
    for wanted in (["task-well"], ["well"], [damaged / "task-well"]):
        ran = agentlog("validate", *wanted, "--root", damaged)
        assert (ran.code, len(ran.lines)) == (0, 1)
        assert ran.out.startswith("✓ task-well  valid, ")
    assert agentlog("validate", damaged, "--root", "/nowhere").code == 1


def test_what_is_no_task_is_said_to_be_none(tmp_path: Path) -> None:
    """An empty folder is a mistake, not a success."""
    ran = agentlog("validate", tmp_path)

    assert (ran.code, ran.err) == (1, f"agentlog validate: {tmp_path}: expected a task folder or folders of tasks, found none\n")


def test_json_is_one_document(damaged: Path) -> None:
    """With every problem's place, and the same exit code."""
    ran = agentlog("validate", "--json", "--root", damaged)
    found = json.loads(ran.out)
    by_id = {task["task_id"]: task for task in found["tasks"]}

    assert (ran.code, found["ok"]) == (1, False)
    assert {task: report["ok"] for task, report in by_id.items()} == {
        "task-review42": False,
        "task-well": True,
        "task-paused": True,
    }
    assert by_id["task-paused"]["problems"][0]["line"] == 4
    assert set(by_id["task-review42"]["problems"][0]) == {"severity", "file", "line", "expected", "found"}
