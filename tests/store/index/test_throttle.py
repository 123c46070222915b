"""A large task that goes on is not read again for each of its lines."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.index import changes
from otel_agentlog.store.index.filter import Filter
from otel_agentlog.store.index.index import TaskIndex
from otel_agentlog.store.index.row import IndexRow
from otel_agentlog.store.index.tables import LiveTask
from tests.store.index.conftest import OpenIndex


class Reader:
    """Reads tasks that go on, and counts how often it read each."""

    def __init__(self) -> None:
        self.read: dict[str, int] = {}

    def __call__(self, task: TaskReader) -> IndexRow:
        """The row of a task; settled once it has a result."""
        name = task.folder.name
        self.read[name] = self.read.get(name, 0) + 1
        ended = (task.folder / "04-final-result.json").exists()
        return IndexRow(status="completed" if ended else "running", settled=ended)


def unchanged(live: LiveTask, task: TaskReader) -> tuple[str, int | None]:
    """Nothing to be freshened."""
    return live.status, live.duration_us


def running(index: TaskIndex) -> list[str]:
    """The tasks that go on."""
    return index.folders(Filter(statuses=["running"]), "newest")


def grow(folder: Path) -> None:
    """One line more."""
    with open(folder / "03-agent-output.jsonl", "a") as file:
        file.write("{}\n")


@pytest.fixture
def growing(tmp_path: Path) -> Path:
    """A task that goes on."""
    folder = tmp_path / "tasks" / "task-1"
    folder.mkdir(parents=True)
    (folder / "metadata.json").write_text("{}")
    grow(folder)
    return folder


def test_a_small_task_is_read_whenever_it_changes(growing: Path, open_index: OpenIndex) -> None:
    """What is known of it is never old."""
    reader = Reader()
    index = open_index(growing.parent, reader, unchanged)
    for expected in (1, 2, 3):
        index.refresh()
        assert reader.read["task-1"] == expected
        grow(growing)


def test_a_large_task_waits_but_its_end_is_seen_at_once(
    growing: Path, monkeypatch: pytest.MonkeyPatch, open_index: OpenIndex
) -> None:
    """Lines alone do not make it read again; anything else does."""
    monkeypatch.setattr(changes, "LARGE_BYTES", 0)
    monkeypatch.setattr(changes, "PAUSE", 10**12)
    reader = Reader()
    index = open_index(growing.parent, reader, unchanged)
    for _ in range(5):
        index.refresh()
        grow(growing)
    assert (reader.read["task-1"], running(index)) == (1, ["task-1"])

    (growing / "metadata.json").write_text('{"status":"paused"}')
    index.refresh()
    assert reader.read["task-1"] == 2

    (growing / "04-final-result.json").write_text("{}")
    index.refresh()
    assert running(index) == []


def test_a_large_task_is_read_again_after_a_pause(growing: Path, monkeypatch: pytest.MonkeyPatch, open_index: OpenIndex) -> None:
    """In proportion to how long reading takes; here not at all."""
    monkeypatch.setattr(changes, "LARGE_BYTES", 0)
    monkeypatch.setattr(changes, "PAUSE", 0)
    reader = Reader()
    index = open_index(growing.parent, reader, unchanged)
    for expected in (1, 2, 3):
        index.refresh()
        assert reader.read["task-1"] == expected
        grow(growing)


def test_a_folder_of_the_same_name_is_another_task(growing: Path, monkeypatch: pytest.MonkeyPatch, open_index: OpenIndex) -> None:
    """Deleted and made anew, it is read anew."""
    monkeypatch.setattr(changes, "LARGE_BYTES", 0)
    monkeypatch.setattr(changes, "PAUSE", 10**12)
    reader = Reader()
    index = open_index(growing.parent, reader, unchanged)
    index.refresh()
    shutil.rmtree(growing)
    index.refresh()
    growing.mkdir()
    (growing / "metadata.json").write_text('{"status":"running"}')
    grow(growing)
    index.refresh()

    assert (reader.read["task-1"], running(index)) == (2, ["task-1"])
