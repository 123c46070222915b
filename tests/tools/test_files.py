"""Operations on files are recorded: which file, how many bytes, and why they failed; never contents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog


def file_lines(folder: Path | None) -> list[dict[str, Any]]:
    """The lines of component ``file_operations``."""
    assert folder is not None
    lines = [json.loads(line) for line in (folder / "03-agent-output.jsonl").read_text().splitlines()]
    return [line for line in lines if line.get("component") == "file_operations"]


def test_a_file_is_written_and_read(tasks_root: Path, tmp_path: Path) -> None:
    """A tool run each, ending with an event that has path and size."""
    path = tmp_path / "a.txt"
    with agentlog.task("t") as task:
        with agentlog.file_operation("write", path):
            path.write_text("hällo")
        with agentlog.file_operation("read", path) as operation:
            operation.size_bytes = len(path.read_bytes()[:3])

    lines = file_lines(task.folder)
    assert [(line["type"], line["action"]) for line in lines] == [
        ("tool_call", "tool_run_started"),
        ("event", "file_written"),
        ("tool_result", "tool_run_completed"),
        ("tool_call", "tool_run_started"),
        ("event", "file_read"),
        ("tool_result", "tool_run_completed"),
    ]
    assert [line["details"]["size_bytes"] for line in lines if line["type"] == "event"] == [6, 3]
    assert {line["details"]["path"] for line in lines if line["type"] == "event"} == {str(path)}
    assert len({line["span_id"] for line in lines}) == 2


def test_a_file_that_cannot_be_read(tasks_root: Path, tmp_path: Path) -> None:
    """The exception passes; ``file_read_failed`` says of which type it was."""
    with agentlog.task("t") as task, pytest.raises(FileNotFoundError):
        with agentlog.file_operation("read", tmp_path / "nowhere"):
            (tmp_path / "nowhere").read_text()

    event, ended = file_lines(task.folder)[1:]
    assert (event["action"], event["level"], event["details"]["error_type"]) == (
        "file_read_failed",
        "WARNING",
        "FileNotFoundError",
    )
    assert (ended["outcome"], ended["exception"]["type"]) == ("failed", "FileNotFoundError")


def test_functions_that_read_and_write(tasks_root: Path, tmp_path: Path) -> None:
    """The path is the function's own; what it returns is measured, not recorded."""

    @agentlog.file_operation("read")
    def load(encoding: object, path: Path) -> str:
        return path.read_text()

    @agentlog.file_operation("append")
    async def save(path: str, text: str) -> None:
        Path(path).write_text(text)

    async def both() -> str:
        await save(str(tmp_path / "b"), "a secret story")
        return load(None, tmp_path / "b")

    import asyncio

    with agentlog.task("t") as task:
        assert asyncio.run(both()) == "a secret story"

    events = [line for line in file_lines(task.folder) if line["type"] == "event"]
    assert [(e["action"], e["details"]["path"], e["details"]["size_bytes"]) for e in events] == [
        ("file_written", str(tmp_path / "b"), 14),
        ("file_read", str(tmp_path / "b"), 14),
    ]
    assert task.folder is not None
    assert "secret story" not in (task.folder / "03-agent-output.jsonl").read_text()


@pytest.mark.parametrize("path", [None, b"bytes", "with\0nul", "x" * 5000, "\udcff"])
def test_odd_paths_are_no_problem(tasks_root: Path, path: Any) -> None:
    """Nothing is raised, whatever stands for a path."""
    with agentlog.task("t") as task, agentlog.file_operation("inspect", path):
        pass

    assert [line["action"] for line in file_lines(task.folder) if line["type"] == "event"] == ["file_inspect_completed"]


def test_without_configuration() -> None:
    """Nothing is recorded, everything works."""
    with agentlog.file_operation("read", "/dev/null") as operation:
        pass

    assert operation.ended
