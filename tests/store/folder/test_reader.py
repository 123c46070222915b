"""Reading tasks back from their folders, listing, finding and following them."""

from __future__ import annotations

import gzip
import itertools
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.errors import TaskNotFoundError
from otel_agentlog.store.folder import layout
from otel_agentlog.store.folder.reader import GrowingFile, TaskReader, find_task, follow, list_tasks
from otel_agentlog.vocabulary.lines import encode
from tests.store.golden_writer import HERE as GOLDEN
from tests.store.records import ONE, TASK, THREE, TWO, numbers, record
from tests.support.waiting import wait_until


def test_every_truncation_of_every_file_is_survived_by_the_task_reader(tmp_path: Path) -> None:
    """A whole file cut short reads as nothing, never as an exception."""
    folder = tmp_path / "task"
    shutil.copytree(GOLDEN / TASK, folder)
    task = TaskReader(folder)

    for name, read in ((layout.METADATA, task.metadata), (layout.INPUT, task.input), (layout.FINAL_RESULT, task.final_result)):
        data = (folder / name).read_bytes()
        for cut in range(len(data)):
            (folder / name).write_bytes(data[:cut])
            assert read() is None or cut == len(data) - 1
            assert bool(task.problems) == (cut < len(data) - 1)
        (folder / name).write_bytes(data)
        assert read() == orjson.loads(data)


def test_a_missing_file_reads_as_nothing(tmp_path: Path) -> None:
    """No folder, an empty folder: nothing, and no problem."""
    for folder in (tmp_path, tmp_path / "none"):
        task = TaskReader(folder)

        assert (task.metadata(), task.input(), task.final_result()) == (None, None, None)
        assert list(task.events()) == list(task.webhook_flow()) == list(task.control()) == []
        assert (task.problems, task.bad_lines, task.task_id) == ([], 0, folder.name)


def test_a_task_is_read_from_its_folder() -> None:
    """All files of a golden folder, artifacts among them."""
    task = TaskReader(GOLDEN / TASK)
    stages = [line["stage"] for line in task.webhook_flow()]
    artifact = next(line["content"]["$artifact"] for line in task.events() if isinstance(line.get("content"), dict))

    assert (task.task_id, len(stages), stages[0]) == (TASK, 6, "received")
    assert (task.input() or {})["input"]["pull_request"] == 42
    assert (task.final_result() or {})["success"] is True
    assert [line["request"] for line in task.control()] == ["pause", "resume"]
    assert sum(map(len, task.artifact(artifact["sha256"]))) == artifact["size_bytes"]
    assert list(task.artifact("../../secret")) == list(task.artifact("0" * 64)) == []
    assert task.problems == []


def test_problems_are_those_of_the_last_reading(tmp_path: Path) -> None:
    """Reading a file twice does not count its damage twice."""
    (tmp_path / layout.AGENT_OUTPUT).write_bytes(ONE + b"garbage\n")
    task = TaskReader(tmp_path)

    for _ in range(2):
        assert numbers(task.events()) == [1]

    assert [str(problem) for problem in task.problems] == [f"{layout.AGENT_OUTPUT}:2: {task.problems[0].reason}"]
    assert task.bad_lines == 1


def make_task(root: Path, task_id: str, created_at: str = "2026-11-21T05:22:01.000000000Z", name: str | None = None) -> Path:
    """A folder with only a ``metadata.json``."""
    folder = root / (name or layout.folder_name(task_id))
    folder.mkdir(parents=True)
    (folder / layout.METADATA).write_bytes(layout.encode_document({"task_id": task_id, "created_at": created_at}))
    return folder


def test_tasks_are_listed_newest_first(tmp_path: Path) -> None:
    """By creation time; what is no task folder is left out."""
    for index, name in enumerate(["task-b", "task-c", "task-a"]):
        make_task(tmp_path, name, f"2026-11-2{index}T05:22:01.000000000Z")
    (tmp_path / "not-a-task").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "file").write_text("")

    assert [task.task_id for task in list_tasks(tmp_path, newest_first=True)] == ["task-a", "task-c", "task-b"]
    assert {task.task_id for task in list_tasks(tmp_path)} == {"task-a", "task-b", "task-c"}
    assert list(list_tasks(tmp_path / "none")) == []


def test_a_folder_without_readable_metadata_is_listed_by_its_age(tmp_path: Path) -> None:
    """A kill can come before ``metadata.json`` is there."""
    make_task(tmp_path, "old", "2001-01-01T00:00:00.000000000Z")
    young = tmp_path / "young"
    young.mkdir()
    (young / layout.AGENT_OUTPUT).write_bytes(ONE)

    assert [task.task_id for task in list_tasks(tmp_path, newest_first=True)] == ["young", "old"]


@pytest.mark.parametrize("task_id", ["task-a", "../x", "é", "", "x" * 300, "CON"])
def test_a_task_is_found_by_its_id(tmp_path: Path, task_id: str) -> None:
    """Also where the id is no folder name, and by the folder's name."""
    folder = make_task(tmp_path, task_id)

    assert find_task(tmp_path, task_id).folder == folder
    assert find_task(tmp_path, folder.name).folder == folder


def test_a_task_whose_folder_is_taken_by_another_id_is_found_under_its_next_name(tmp_path: Path) -> None:
    """On a disk that folds case ``Task1`` may sit in the folder ``task1``: ``task1`` is then elsewhere, or not there."""
    make_task(tmp_path, "Task1", name="task1")

    with pytest.raises(TaskNotFoundError):
        find_task(tmp_path, "task1")

    second = make_task(tmp_path, "task1", name=list(layout.folder_names("task1"))[1])
    assert find_task(tmp_path, "task1").folder == second


def test_a_task_that_is_not_there_is_named_with_what_looks_alike(tmp_path: Path) -> None:
    """The error helps to type it right."""
    make_task(tmp_path, "task-abc123")
    make_task(tmp_path, "task-zzz")

    with pytest.raises(TaskNotFoundError, match=r"no task 'task-abc12' below .*; did you mean task-abc123"):
        find_task(tmp_path, "task-abc12")
    with pytest.raises(TaskNotFoundError, match=r"no task '\\x1b\[2J' below .*; there are 2 tasks"):
        find_task(tmp_path, "\x1b[2J")
    with pytest.raises(TaskNotFoundError):
        find_task(tmp_path / "none", "../../etc")


def test_a_task_is_followed_while_it_is_written(tmp_path: Path) -> None:
    """Whole lines only, each once, through a half-written line, compression and resumption, until it is told to stop."""
    folder = make_task(tmp_path, "task-a")
    path, packed = folder / layout.AGENT_OUTPUT, folder / f"{layout.AGENT_OUTPUT}.gz"
    stop, found = threading.Event(), list[int]()
    lines = follow(TaskReader(folder), poll_seconds=0.01, stop=stop)
    thread = threading.Thread(target=lambda: found.extend(line for line in _each(lines)))
    thread.start()

    path.write_bytes(ONE + TWO[:30])
    wait_until(lambda: found == [1], "the first line")
    with path.open("ab") as file:
        file.write(TWO[30:])
    wait_until(lambda: found == [1, 2], "the second line")
    packed.write_bytes(gzip.compress(ONE + TWO))
    path.unlink()
    with path.open("ab") as file:
        file.write(THREE)
    wait_until(lambda: found == [1, 2, 3], "the third line")
    stop.set()
    thread.join(10)

    assert not thread.is_alive()
    assert found == [1, 2, 3]


def _each(lines: Iterator[dict[str, Any]]) -> Iterator[int]:
    for line in lines:
        yield int(line["event_id"].split("-")[1])


def test_a_follower_sees_whole_lines_only_of_a_writer_in_another_process(tmp_path: Path) -> None:
    """The writer tears each line into pieces; every line comes once, whole and in order."""
    folder = make_task(tmp_path, "task-a")
    script = """
import os, sys
from tests.store.records import record
from otel_agentlog.store.folder import layout
from otel_agentlog.vocabulary.lines import encode
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
for number in range(300):
    data = encode(record(number, content="x" * (number * 37 % 5000)))
    for place in range(0, len(data), 700):
        os.write(fd, data[place : place + 700])
"""
    command = [sys.executable, "-c", script, str(folder / layout.AGENT_OUTPUT)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3]) as writer:
        lines = follow(TaskReader(folder), poll_seconds=0.001)

        found = numbers(itertools.islice(lines, 300))

        assert found == list(range(300))
        assert writer.wait(60) == 0


def test_following_ends_with_the_task_if_so_wished(tmp_path: Path) -> None:
    """A finished task is read to its end and no further."""
    folder = make_task(tmp_path, "task-a")
    (folder / layout.AGENT_OUTPUT).write_bytes(ONE + TWO)
    (folder / layout.FINAL_RESULT).write_bytes(b"{}\n")

    assert numbers(follow(TaskReader(folder), poll_seconds=0.001, until_ended=True)) == [1, 2]


def test_following_ends_when_the_folder_is_gone(tmp_path: Path) -> None:
    """Retention may delete a task that somebody watches."""
    folder = make_task(tmp_path, "task-a")
    (folder / layout.AGENT_OUTPUT).write_bytes(ONE)
    lines = follow(TaskReader(folder), poll_seconds=0.001)

    first = next(lines)
    shutil.rmtree(folder)

    assert (first, list(lines)) == (record(1), [])


def test_a_file_made_anew_is_followed_from_its_start(tmp_path: Path) -> None:
    """A task of the same id may be made again after retention."""
    folder = make_task(tmp_path, "task-a")
    path = folder / layout.AGENT_OUTPUT
    path.write_bytes(ONE + TWO)
    lines = follow(TaskReader(folder), poll_seconds=0.001)

    before = [next(lines), next(lines)]
    path.write_bytes(THREE)

    assert [*before, next(lines)] == [record(1), record(2), record(3)]


@pytest.mark.parametrize("length", [10, 100, 5_000, 300_000])
def test_a_line_that_grows_while_it_is_read_is_no_other_file(tmp_path: Path, length: int) -> None:
    """A read that meets the middle of a line, and a further piece without its end, goes on behind the line before it."""
    folder = make_task(tmp_path, "task-a")
    path = folder / layout.AGENT_OUTPUT
    first, torn, last = (encode(record(number, content="x" * length)) for number in range(3))
    path.write_bytes(first + torn[:40])
    file = GrowingFile(folder, layout.AGENT_OUTPUT)

    found = []
    for line in file.new():
        found.append(line)
        with path.open("ab") as writer:
            writer.write(torn[40:-1])
    with path.open("ab") as writer:
        writer.write(torn[-1:] + last)
    found += file.new()

    assert numbers(found) == [0, 1, 2]
    assert file.restarts == 0


@settings(max_examples=200)
@given(st.lists(st.integers(0, 500), min_size=1, max_size=12), st.lists(st.integers(1, 400), max_size=60), st.data())
def test_a_file_that_grows_in_any_pieces_at_any_moment_is_read_once(
    lengths: list[int], pieces: list[int], data: st.DataObject
) -> None:
    """Between two lines of one look at it, too; whatever was read of a line before."""
    with tempfile.TemporaryDirectory() as root:
        folder = make_task(Path(root), "task-a")
        path = folder / layout.AGENT_OUTPUT
        left = b"".join(encode(record(number, content="x" * length)) for number, length in enumerate(lengths))
        file = GrowingFile(folder, layout.AGENT_OUTPUT)
        found = []

        def grow(size: int) -> None:
            nonlocal left
            with path.open("ab") as writer:
                writer.write(left[:size])
            left = left[size:]

        for size in [*pieces, len(left)]:
            grow(size)
            for line in file.new():
                found.append(line)
                if data.draw(st.booleans()):
                    grow(data.draw(st.integers(0, 400)))
        found += file.new()

        assert numbers(found) == list(range(len(lengths)))
        assert file.restarts == 0
