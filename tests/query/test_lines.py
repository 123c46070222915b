"""The lines of a task in the order of time, those that are there and those that come."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.query import LineStream
from otel_agentlog.store.folder.reader import TaskReader
from tests.query.folders import MakeTask, held
from tests.support.waiting import wait_until


def line(second: int, message: str = "", **more: Any) -> dict[str, Any]:
    """A log line of the given second."""
    return {"timestamp": f"2026-11-21T05:22:{second:02}.000000000Z", "type": "log", "message": message or str(second), **more}


def add(folder: Path, name: str, *lines: dict[str, Any]) -> None:
    """Append lines to a file as a writer does."""
    with (folder / name).open("ab", buffering=0) as file:
        for each in lines:
            file.write(orjson.dumps(each) + b"\n")


def messages(lines: list[dict[str, Any]]) -> list[str]:
    """What the lines say."""
    return [each["message"] for each in lines]


def test_both_files_are_told_as_one(make_task: MakeTask) -> None:
    """Stages and events stand between each other by their times, equal times as in the files."""
    folder = make_task("task-1", {"status": "pending"}, line(3), line(1), line(5, "x"), line(5, "y"))
    add(folder, "02-webhook-flow.jsonl", line(2), line(4), line(0))

    assert messages(LineStream(TaskReader(folder)).latest()) == ["0", "1", "2", "3", "4", "x", "y"]


@given(seconds=st.lists(st.integers(0, 9), max_size=12), stages=st.lists(st.integers(0, 9), max_size=6), count=st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_the_last_few_are_the_end_of_all(
    tmp_path_factory: pytest.TempPathFactory, seconds: list[int], stages: list[int], count: int
) -> None:
    """``latest(n)`` is what stands at the end of ``latest()``."""
    folder = tmp_path_factory.mktemp("task")
    add(folder, "03-agent-output.jsonl", *(line(second, f"e{number}") for number, second in enumerate(seconds)))
    add(folder, "02-webhook-flow.jsonl", *(line(second, f"w{number}") for number, second in enumerate(stages)))
    everything = LineStream(TaskReader(folder)).latest()

    assert LineStream(TaskReader(folder)).latest(count) == everything[len(everything) - min(count, len(everything)) :]


class Following:
    """Somebody who follows a task in another thread."""

    def __init__(self, stream: LineStream) -> None:
        self.came: list[str] = []
        self._thread = threading.Thread(target=self._follow, args=(stream,), daemon=True)
        self._thread.start()

    def _follow(self, stream: LineStream) -> None:
        for each in stream.new():
            self.came.append(each["message"])

    def wait_for(self, *expected: str) -> None:
        """Wait until these lines have come."""
        wait_until(lambda: self.came == list(expected), f"the lines {expected}")

    def wait_for_end(self) -> None:
        """Wait until the stream has ended by itself."""
        self._thread.join(30)
        assert not self._thread.is_alive()


def test_new_lines_come_once_from_both_files_until_the_task_ends(make_task: MakeTask) -> None:
    """What was seen before is not told again, and the final result ends it."""
    folder = make_task("task-1", {"status": "running"}, line(1), line(2))
    with held(folder):
        stream = LineStream(TaskReader(folder))
        assert messages(stream.latest(1)) == ["2"]
        following = Following(stream)
        add(folder, "03-agent-output.jsonl", line(3))
        following.wait_for("3")
        add(folder, "02-webhook-flow.jsonl", line(4))
        following.wait_for("3", "4")
        add(folder, "03-agent-output.jsonl", line(5))
        (folder / "04-final-result.json").write_bytes(b'{"outcome":"completed"}')
        following.wait_for_end()

    assert (following.came, stream.left_alone) == (["3", "4", "5"], False)


def test_a_task_whose_process_died_is_let_go(make_task: MakeTask) -> None:
    """Nobody waits for ever for what cannot come."""
    folder = make_task("task-1", {"status": "running"}, line(1))
    stream = LineStream(TaskReader(folder))
    stream.latest()
    following = Following(stream)
    following.wait_for_end()

    assert (following.came, stream.left_alone) == ([], True)


def test_who_stops_listening_leaves_no_thread_behind(make_task: MakeTask) -> None:
    """Closing the stream ends its watchers."""
    folder = make_task("task-1", {"status": "paused"}, line(1))
    lines = LineStream(TaskReader(folder)).new()
    assert next(lines)["message"] == "1"
    lines.close()  # type: ignore[attr-defined]  # a generator, which the annotation does not promise

    wait_until(
        lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("follow ")], "the watchers to end"
    )
