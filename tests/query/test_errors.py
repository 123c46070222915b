"""Errors are found wherever they are written down: folders, application logs, rotated and compressed ones."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import otel_agentlog as agentlog
import otel_agentlog.query.errors as errors_module
from otel_agentlog.query import find_errors, search
from otel_agentlog.store.app_log import log_directories, log_files, mentions


@agentlog.handle_errors(fallback="less")
def degraded() -> str:
    raise agentlog.TmuxError("no session", context={"session": "main"})


def record_errors(root: Path) -> dict[str, str]:
    """One error of each kind of place; name → id."""
    ids: dict[str, str] = {}
    with agentlog.task("t", task_id="task-one"):
        try:
            with agentlog.step("s"):
                raise ValueError("in a step")
        except ValueError as error:
            ids["step"] = str(agentlog.error_id(error))
        with agentlog.tool("Read") as run:
            tried = OSError("busy")
            run.attempt_failed(tried, wait_seconds=0.01)
            ids["attempt"] = str(agentlog.error_id(tried))
        ids["handled"] = "?"
        degraded()
    ids["log"], _ = agentlog.log_and_format_error(TimeoutError("outside"), "timeout")
    return ids


def test_every_error_is_found_with_all_about_it(tasks_root: Path, tmp_path: Path) -> None:
    """In a step, in an attempt, handled, and logged outside of any task; newest first."""
    ids = record_errors(tasks_root)
    agentlog.shutdown()

    found = find_errors(tasks_root, [tmp_path / "logs"])

    assert [each.exception["type"] for each in found] == [
        "TimeoutError",
        "otel_agentlog.errors.TmuxError",
        "OSError",
        "ValueError",
    ]
    by_type = {each.exception["type"]: each for each in found}
    assert by_type["ValueError"].error_id == ids["step"]
    assert by_type["ValueError"].task_id == "task-one"
    assert by_type["ValueError"].line["step_id"] == "s"
    assert by_type["OSError"].error_id == ids["attempt"]
    assert by_type["OSError"].exception["message"] == "busy"
    assert by_type["OSError"].exception["category"] == "EXECUTION"
    assert by_type["TimeoutError"].error_id == ids["log"]
    assert by_type["TimeoutError"].file.parent == tmp_path / "logs"
    handled = by_type["otel_agentlog.errors.TmuxError"]
    assert handled.exception["context"] == {"session": "main"}
    assert [line["action"] for line in handled.trail] == ["error_caught", "fallback_used"]


def test_one_error_by_its_id(tasks_root: Path, tmp_path: Path) -> None:
    """Only whole ids count; where several files speak of it the folder with the traceback is first."""
    with pytest.raises(KeyError), agentlog.task("t", task_id="task-one"):
        raise KeyError("a")
    try:
        with agentlog.task("u", task_id="task-two"):
            raise ValueError("boom")
    except ValueError as error:
        identity, _ = agentlog.log_and_format_error(error)
    agentlog.shutdown()

    found = find_errors(tasks_root, [tmp_path / "logs"], error_id=identity)

    assert [each.task_id for each in found] == ["task-two", None]
    assert {each.error_id for each in found} == {identity}
    assert find_errors(tasks_root, [tmp_path / "logs"], error_id=identity[:7]) == []
    assert find_errors(tasks_root, [tmp_path / "logs"], error_id='a"b') == []


def test_filters(tasks_root: Path, tmp_path: Path) -> None:
    """By category, and by time from both sides."""
    record_errors(tasks_root)
    agentlog.shutdown()
    logs = [tmp_path / "logs"]
    every = find_errors(tasks_root, logs)

    assert [each.exception["type"] for each in find_errors(tasks_root, logs, category="TIMEOUT")] == ["TimeoutError"]
    assert find_errors(tasks_root, logs, since_ns=every[0].time_ns + 1) == []
    assert len(find_errors(tasks_root, logs, until_ns=every[0].time_ns - 1)) == len(every) - 1
    assert len(find_errors(tasks_root, logs, since_ns=every[-1].time_ns)) == len(every)


def test_an_error_that_passed_through_several_tasks_is_listed_once(tasks_root: Path, tmp_path: Path) -> None:
    """With the folder of the task in which it was raised; by its id both are found."""
    with pytest.raises(KeyError), agentlog.task("outer", task_id="task-outer"), agentlog.task("inner", task_id="task-inner"):
        raise KeyError("a")
    agentlog.shutdown()

    (found,) = find_errors(tasks_root, [tmp_path / "logs"])

    assert found.task_id == "task-inner"
    both = find_errors(tasks_root, [tmp_path / "logs"], error_id=found.error_id)
    assert [each.task_id for each in both] == ["task-inner", "task-outer"]


def test_what_a_task_counts_as_errors_and_what_is_listed(tasks_root: Path, tmp_path: Path) -> None:
    """As ``docs/cli.md`` says: what has an id is listed once; a task counts all of its own, and no attempt that was made good."""
    log = agentlog.get_logger("agent")
    with agentlog.task("t", task_id="logged"):
        log.error("nothing was raised")
    agentlog.task("t", task_id="ended").start().end(outcome="failed")
    with pytest.raises(KeyError), agentlog.task("t", task_id="parent"), agentlog.step("s"), agentlog.task("t", task_id="child"):
        raise KeyError("k")
    with agentlog.task("t", task_id="retried"), agentlog.tool("Read") as run:
        run.attempt_failed(OSError("busy"), wait_seconds=0.01)
    agentlog.shutdown()

    counted = {row.task_id: row.metrics["errors"] for row in search(tasks_root).rows}
    listed = [(each.task_id, each.handled_by_retry) for each in find_errors(tasks_root, [tmp_path / "logs"])]

    assert counted == {"logged": 1, "ended": 1, "parent": 1, "child": 1, "retried": 0}
    assert sorted(listed) == [("child", False), ("retried", True)]


def test_a_log_that_is_renamed_meanwhile_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rotation between listing and opening, and between opening and listing again."""
    log = tmp_path / "web.jsonl"
    log.write_bytes(log_line("aaaaaaaa", 1))
    (tmp_path / "xyz.jsonl").write_bytes(log_line("bbbbbbbb", 1))

    def rotating(path: Path, words: bytes) -> bool:
        if log.exists():
            log.rename(tmp_path / "web.2026-11-20.1.jsonl")
        return mentions(path, words)

    monkeypatch.setattr(errors_module, "mentions", rotating)

    assert sorted(each.error_id for each in find_errors(tmp_path, [tmp_path])) == ["aaaaaaaa", "bbbbbbbb"]
    assert [each.error_id for each in find_errors(tmp_path, [tmp_path], error_id="aaaaaaaa")] == ["aaaaaaaa"]


def log_line(identity: str, second: int) -> bytes:
    exception = {"type": "ValueError", "message": identity, "error_id": identity, "traceback": ["ValueError"]}
    line = {"timestamp": f"2026-11-20T09:30:{second:02}.000000000Z", "type": "log", "level": "ERROR", "exception": exception}
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def test_rotated_and_compressed_logs_are_read(tmp_path: Path) -> None:
    """Of every service in the folder; a torn line and garbage cost nothing but themselves."""
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "web.jsonl").write_bytes(log_line("aaaaaaaa", 3) + b'{"timestamp":"2026-11-20T09:30:04.0')
    (logs / "web.2026-11-20.2.jsonl").write_bytes(b"\xff\xfe garbage\n" + log_line("bbbbbbbb", 2))
    (logs / "web.2026-11-20.1.jsonl.gz").write_bytes(gzip.compress(log_line("cccccccc", 1)))
    (logs / "worker.jsonl").write_bytes(log_line("dddddddd", 0))
    (logs / "notes.txt").write_bytes(log_line("eeeeeeee", 9))
    os.symlink(logs / "web.jsonl", logs / "link.jsonl")

    found = find_errors(tmp_path / "none", [logs, tmp_path / "missing"])

    assert [each.error_id for each in found] == ["aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"]
    assert [each.file.name for each in find_errors(tmp_path, [logs], error_id="cccccccc")] == ["web.2026-11-20.1.jsonl"]


def test_where_logs_are_looked_for(tmp_path: Path) -> None:
    """Where the settings say; else in the folder of each service, and in the user's home."""
    system, home = tmp_path / "var", tmp_path / "home"
    for name in ("reviewer/reviewer.jsonl", "nginx/access.jsonl", "old/old.2026-11-20.1.jsonl.gz"):
        (system / name).parent.mkdir(parents=True)
        (system / name).touch()

    last = home / ".local" / "state" / "agentlog" / "logs"
    assert log_directories(None, home, system) == [system / "old", system / "reviewer", last]
    assert log_directories(tmp_path / "own", home, system) == [tmp_path / "own", last]
    assert log_directories(None, home, tmp_path / "missing") == [last]
    assert [path.name for path in log_files([system / "old", system / "nginx"])] == ["access.jsonl", "old.2026-11-20.1.jsonl"]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 70_000), st.integers(0, 70_000))
def test_words_are_found_wherever_they_stand(before: int, after: int) -> None:
    """Also across the pieces in which a file is read."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_bytes(b"x" * before + b'"error_id":"abc12345"' + b"y" * after)
        assert mentions(path, b'"error_id":"abc12345"')
        assert not mentions(path, b'"error_id":"abc12346"')


@pytest.mark.parametrize(
    "odd",
    [
        {"exception": {"error_id": 7}},
        {"exception": {"error_id": "ffffffff"}, "action": ["error_caught"], "task_id": 7, "event_id": {}},
        {"exception": "boom", "details": {"error_id": "ffffffff"}},
        {"exception": {"error_id": "ffffffff", "traceback": 7, "suggestions": {"a": 1}, "context": [1]}},
        {"action": "error_caught", "details": {"error_id": ["x"]}},
        {"details": {"error_id": "ffffffff", "error_type": 3}},
    ],
)
def test_lines_of_odd_shapes_are_survived(tmp_path: Path, odd: dict[str, Any]) -> None:
    """A folder may have been written by anybody."""
    folder = tmp_path / "task-odd"
    folder.mkdir()
    (folder / "metadata.json").write_text('{"task_id":"task-odd"}')
    line = {"timestamp": "2026-11-20T09:30:00.000000000Z", "type": "log", **odd}
    good = log_line("aaaaaaaa", 1)
    (folder / "03-agent-output.jsonl").write_bytes(json.dumps(line, separators=(",", ":")).encode() + b"\n" + good)

    found = find_errors(tmp_path, [])

    assert "aaaaaaaa" in {each.error_id for each in found}
    assert all(json.dumps(each.as_json(trail=True)) for each in found)
