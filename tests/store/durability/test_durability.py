"""Levels of durability: what is synced, when, by whom, and what is said when it cannot be."""

from __future__ import annotations

import errno
import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
import otel_agentlog._platform as system
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.store.folder.files import Descriptor
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.folder.sink import FolderSink
from otel_agentlog.store.folder.sync import MAX_REQUESTS, MAX_UNSETTLED, ROOT, Level, Syncer
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.vocabulary.envelope import Envelope, TaskRef
from tests.support.waiting import wait_until


class Disk:
    """Watches which files are synced, and by which thread; may fail or take its time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.synced: list[tuple[str, int]] = []
        self.error: int | None = None
        self.go_on = threading.Event()
        self.go_on.set()
        for module, name in ((os, "fsync"), (system, "sync"), (system, "sync_folder")):
            monkeypatch.setattr(module, name, self._watched(getattr(module, name)))

    def _watched(self, real: Any) -> Any:
        def sync(fd: int) -> None:
            name = os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))
            self.go_on.wait(30)
            if self.error is not None:
                self.synced.append((f"failed {name}", threading.get_ident()))
                raise OSError(self.error, os.strerror(self.error))
            real(fd)
            self.synced.append((name, threading.get_ident()))

        return sync

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.synced]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """The real disk, watched."""
    found = Disk(monkeypatch)
    yield found
    found.go_on.set()


class Kept:
    """A sink with its failures."""

    def __init__(self, root: Path, level: str) -> None:
        self.failures: list[str] = []
        self.task = TaskRef("t", {"task_id": "t"})
        self.sink = FolderSink(root, lambda: {"type": "process", "pid": 1}, durability=level, failed=self._failed)

    def _failed(self, where: str, error: BaseException) -> None:
        self.failures.append(where)

    def append(self, level: str = "INFO", **keys: Any) -> None:
        line = {"timestamp": "2026-11-21T05:22:01.123456789Z", "type": "event", "level": level, **keys}
        self.sink(Envelope(line, self.task, 1_795_238_521_123_456_789))


LINES = "03-agent-output.jsonl"


def test_at_level_process_only_errors_are_synced(tmp_path: Path, disk: Disk) -> None:
    """An ordinary line costs one write; an error is brought to the disk by another thread, soon."""
    kept = Kept(tmp_path, "process")
    kept.append()
    assert kept.sink.flush(10)
    assert disk.names == []

    kept.append("ERROR")

    wait_until(lambda: LINES in disk.names, "the error line on the disk")
    assert {thread for _, thread in disk.synced} != {threading.get_ident()}


def test_at_level_group_lines_share_a_sync(tmp_path: Path, disk: Disk) -> None:
    """A hundred lines at once need a sync or two; flush() waits for it; the new folder's name is on the disk as well."""
    kept = Kept(tmp_path / "tasks", "group")
    for _ in range(100):
        kept.append()

    assert kept.sink.flush(10)
    assert 1 <= disk.names.count(LINES) < 20
    assert {"t", "tasks"} <= set(disk.names)


def test_at_level_sync_the_call_returns_after_the_disk(tmp_path: Path, disk: Disk) -> None:
    """Each line is on the disk when its call returns, by the calling thread."""
    kept = Kept(tmp_path, "sync")
    for number in range(1, 4):
        kept.append()
        assert disk.names.count(LINES) == number
    assert {thread for _, thread in disk.synced} == {threading.get_ident()}


@pytest.mark.parametrize("level", Level)
def test_the_end_of_a_task_reaches_the_disk(level: Level, tmp_path: Path, disk: Disk) -> None:
    """Result and metadata are synced at every level; the caller waits for it at level sync only."""
    where = {"directory": tmp_path / "tasks", "log_directory": tmp_path / "logs"}
    agentlog.configure(console="off", durability=level.value, capture_logging=False, **where)
    with agentlog.task("t", task_id="t"):
        pass
    ours = [name for name, thread in disk.synced if thread == threading.get_ident()]
    agentlog.flush()
    agentlog.shutdown()

    names = {name.removeprefix(".").split(".json")[0] for name in disk.names}
    assert {"04-final-result", "metadata", "t", "03-agent-output"} <= names
    assert bool(ours) is (level is Level.SYNC)
    assert not validate(tmp_path / "tasks" / "t").problems


def test_a_failed_sync_is_counted_told_once_and_never_tried_again(tmp_path: Path, disk: Disk) -> None:
    """The line stays, the folder says that its level is degraded, and later lines are written as before."""
    kept = Kept(tmp_path, "group")
    disk.error = errno.EIO
    kept.append(message="one")
    kept.sink.flush(10)
    failed = disk.names.count(f"failed {LINES}")
    disk.error = None
    kept.append(message="two")
    assert kept.sink.flush(10)

    lines = list(TaskReader(tmp_path / "t").events())
    told = [line for line in lines if line.get("action") == "durability_degraded"]
    assert [line["message"] for line in lines if line.get("message") in ("one", "two")] == ["one", "two"]
    assert [line["details"]["error"] for line in told] == ["EIO"]
    assert set(kept.failures) == {"sync"}
    # Once for the line, once for the line that says so.
    assert 1 <= failed <= 2


def test_a_failed_sync_does_not_reach_the_caller(tmp_path: Path, disk: Disk) -> None:
    """At level sync too: the call returns, the line is in the kernel, the loss of durability is counted."""
    kept = Kept(tmp_path, "sync")
    disk.error = errno.EIO
    kept.append(message="one")

    assert "sync" in kept.failures
    assert "one" in [line.get("message") for line in TaskReader(tmp_path / "t").events()]


def test_flush_does_not_wait_longer_than_told(tmp_path: Path, disk: Disk) -> None:
    """A disk that does not answer: flush() says that it was not done in time, and recording goes on meanwhile."""
    kept = Kept(tmp_path, "group")
    disk.go_on.clear()
    for number in range(200):
        kept.append(message=str(number))

    assert not kept.sink.flush(0.1)
    assert len(kept.sink.folder(kept.task).waiting) <= len({LINES, "metadata.json", "01-input.json", ".", ".."})
    disk.go_on.set()
    assert kept.sink.flush(20)
    assert len(list(TaskReader(tmp_path / "t").events())) == 201


def test_a_slow_disk_does_not_hold_up_an_event_loop(tmp_path: Path, disk: Disk) -> None:
    """Tasks end one after the other while the first sync still waits."""
    disk.go_on.clear()
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path / "logs", console="off", capture_logging=False)
    for number in range(20):
        with agentlog.task("t", task_id=f"t{number}"):
            pass
    results = sorted(path.parent.name for path in (tmp_path / "tasks").glob("*/04-final-result.json"))
    disk.go_on.set()
    receipt = agentlog.shutdown(60)

    assert len(results) == 20
    assert receipt.in_time


def test_the_thread_ends_when_nothing_is_asked_of_it(tmp_path: Path) -> None:
    """A process that records now and then has no thread of ours in between."""
    kept = Kept(tmp_path, "group")
    kept.append()
    assert kept.sink.flush(10)

    kept.append()  # the thread, which may have ended just now, lives on for a moment
    before = set(os.listdir("/proc/self/task"))
    syncer = kept.sink.folder(kept.task)._syncer
    wait_until(lambda: bool(syncer._idle), "the thread to end")
    wait_until(lambda: len(os.listdir("/proc/self/task")) < len(before), "one thread less")
    kept.append()
    assert kept.sink.flush(10)


def test_without_threads_the_caller_syncs(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of the interpreter, or at the limit of threads, durability does not depend on one."""
    import _thread

    def refuse(*_: Any) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    kept = Kept(tmp_path, "group")
    kept.append()

    assert LINES in disk.names
    assert kept.sink.flush(1)


def test_a_folder_that_is_gone_when_its_turn_comes_is_no_failure(tmp_path: Path) -> None:
    """What was deleted needs no sync."""

    class Gone:
        def __init__(self) -> None:
            self.waiting: set[str] = set()
            self.held: dict[str, Descriptor] = {}

        def path_of(self, name: str) -> str:
            return str(tmp_path / "gone" / name)

        def settle(self) -> None:
            raise AssertionError

        def degrade(self, name: str, error: OSError) -> None:
            raise AssertionError

    failures: list[str] = []
    syncer = Syncer("group", lambda where, error: failures.append(where))
    syncer.ask(Gone(), LINES)

    assert syncer.flush(10)
    assert failures == []


class Slow:
    """A folder of which the first file is not synced before the disk is let go."""

    disk = threading.Event()

    def __init__(self, root: Path, error: OSError | None = None) -> None:
        self.root, self.error = root, error
        self.waiting: set[str] = set()
        self.held: dict[str, Descriptor] = {}
        self.asked: list[str] = []
        self.degraded: list[str] = []

    def path_of(self, name: str) -> str:
        self.asked.append(name)
        assert self.disk.wait(30)
        if self.error is not None:
            raise self.error
        return str(self.root)

    def settle(self) -> None:
        raise AssertionError

    def degrade(self, name: str, error: OSError) -> None:
        self.degraded.append(name)


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A disk that does nothing until the event is set."""
    disk = threading.Event()
    monkeypatch.setattr(Slow, "disk", disk)
    yield disk
    disk.set()


def test_a_slow_disk_does_not_become_a_leak_of_memory(tmp_path: Path, slow_disk: threading.Event) -> None:
    """What finds no room is not held, and synced all the same: with the whole file system, before `flush` says so."""
    syncer, folders = Syncer("group"), [Slow(tmp_path) for _ in range(5_000)]
    for folder in folders:
        syncer.ask(folder, LINES)

    held = sum(bool(folder.waiting) for folder in folders)
    assert MAX_REQUESTS <= held <= 3 * MAX_REQUESTS
    assert not syncer.flush(0.1)
    slow_disk.set()
    assert syncer.flush(30)
    assert [folder.waiting for folder in folders if folder.waiting] == []
    assert ROOT in folders[-1].asked

    # What is written from now on is synced by itself again.
    syncer.ask(folders[0], LINES)
    assert syncer.flush(30)
    assert folders[0].asked[-1] == LINES


def test_a_file_system_that_cannot_be_synced_is_told(tmp_path: Path, slow_disk: threading.Event) -> None:
    """Once for the syncer, and in the folders that are known."""
    failures: list[str] = []
    syncer = Syncer("group", lambda where, error: failures.append(where))
    folders = [Slow(tmp_path, OSError(errno.EIO, "broken")) for _ in range(5 * MAX_REQUESTS)]
    for folder in folders:
        syncer.ask(folder, LINES)
    slow_disk.set()

    assert syncer.flush(30)
    assert "sync" in failures
    assert folders[0].degraded
    assert folders[-1].degraded == [ROOT]


def test_folders_that_cannot_be_written_are_held_in_bounded_number(tmp_path: Path) -> None:
    """The oldest are left to recovery."""

    class Full(Slow):
        def settle(self) -> None:
            raise OSError(errno.ENOSPC, "full")

    syncer = Syncer("process")
    for _ in range(3 * MAX_UNSETTLED):
        syncer.retry(Full(tmp_path))
    gc.collect()

    assert sum(type(each) is Full for each in gc.get_objects()) <= MAX_UNSETTLED + 1
    syncer.stop_retrying()


def test_an_unknown_level_is_refused(tmp_path: Path) -> None:
    """By name and value, when configuring."""
    with pytest.raises(ConfigurationError, match=r"durability.*'forever'"):
        agentlog.configure(directory=tmp_path, durability="forever")
