"""What collectors acknowledged: one line for a batch, of any number of tasks, and then in the ledgers, whatever dies when."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.store.delivery.ledger import read_ledger
from otel_agentlog.store.delivery.process_lock import PREFIX, ProcessLock, is_running
from otel_agentlog.store.delivery.tracker import DeliveryTracker
from otel_agentlog.vocabulary.lines import LOG

TASKS = 5


class Sent:
    """An item as the delivery worker has it."""

    kind = LOG

    def __init__(self, root: Path, task: int, number: int) -> None:
        self.home, self.event_id = str(root / f"t{task}"), f"aa{task}-{number}"


class Process:
    """A process that delivers items of some tasks, of which it keeps no folder."""

    def __init__(self, root: Path) -> None:
        self.root, self.lock, self.wanted = root, ProcessLock(root), list[tuple[float, Callable[[], None]]]()
        for task in range(TASKS):
            (root / f"t{task}").mkdir(mode=0o700, parents=True)
        self.name = str(self.lock.name())
        self.tracker = DeliveryTracker(lambda *_: None, self._failed, process_lock=self.lock)
        self.tracker.later = lambda delay_s, work: self.wanted.append((delay_s, work))
        self.acked: set[tuple[int, int]] = set()

    @staticmethod
    def _failed(where: str, error: BaseException) -> None:
        raise AssertionError(where) from error

    def deliver(self, items: set[tuple[int, int]], rejected: int = 0) -> None:
        self.tracker.delivered([Sent(self.root, *item) for item in sorted(items)], rejected, "")
        self.acked |= items

    def kill(self) -> None:
        """What the kernel does: the lock is gone, the file stays."""
        assert self.lock._file is not None
        self.lock._file.close()

    def noted(self) -> set[tuple[int, int]]:
        """What the ledgers have."""
        ledgers = {task: read_ledger(self.root / f"t{task}").acked for task in range(TASKS)}
        return {(task, n) for task, acked in ledgers.items() for n in range(1, 40) if acked.has(LOG, f"aa{task}-{n}")}


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    made = Process(tmp_path / "tasks")
    yield made
    made.lock.release()


def _system_calls(work: Callable[[], None]) -> list[str]:
    """Names of the functions of `os` that were called."""
    called: list[str] = []

    def note(frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and getattr(function, "__module__", None) == os.name:
            called.append(function.__name__)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    # What is below `os.path` in some versions makes none.
    return [name for name in called if name != "fspath" and not name.startswith("_path_")]


def test_a_batch_costs_one_system_call(process: Process) -> None:
    """Of however many tasks it is: while it is noted, lines wait to be sent."""
    items = {(task, number) for task in range(TASKS) for number in range(1, 20)}

    # One looks whether the file is still ours.
    assert _system_calls(lambda: process.deliver(items)) == ["fstat", "pwrite"]

    assert process.noted() == set()
    process.tracker.write()
    assert process.noted() == items


def test_what_was_written_into_ledgers_is_noted_no_longer(process: Process) -> None:
    """The file does not grow with the life of the process, and goes with it."""
    file = process.root / f"{PREFIX}{process.name}"
    for number in range(1, 30):
        process.deliver({(0, number)})
        process.tracker.write()
        assert file.stat().st_size == 0

    process.lock.release()
    assert not file.exists()


def test_what_there_was_no_time_for_is_left_to_the_next(process: Process) -> None:
    """The end of a process that has no more time."""
    process.deliver({(0, 1), (1, 1)})
    process.tracker.write(until=0.0)
    process.lock.release()
    assert process.noted() == set()

    assert not is_running(process.root, process.name)

    assert process.noted() == {(0, 1), (1, 1)}
    assert not (process.root / f"{PREFIX}{process.name}").exists()


def test_a_file_of_the_program_is_not_written_to(process: Process, tmp_path: Path) -> None:
    """Code that closes whatever is open, and has a file of its own by our number then."""
    assert process.lock._file is not None
    process.deliver({(0, 1)})
    with (tmp_path / "mine").open("wb") as mine:
        mine.write(b"x" * 1000)
        mine.flush()
        os.dup2(mine.fileno(), process.lock._file.fd)
        process.deliver({(0, 2), (1, 1)})
        process.tracker.write()

    assert (tmp_path / "mine").read_bytes() == b"x" * 1000
    assert process.noted() == {(0, 1), (0, 2), (1, 1)}


@pytest.mark.parametrize("where", ["before", "behind"])
def test_an_interrupted_writing_is_done_the_next_time(process: Process, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """It came just before a ledger was written, or just after; what is not in a ledger stays noted meanwhile."""
    note = process.tracker._note

    def interrupted(home: str, **keys: Any) -> None:
        if where == "behind":
            note(home, **keys)
        process.tracker._forget_noted(float("inf"))  # what a handler of a signal does that ends the process
        raise KeyboardInterrupt

    process.deliver({(0, 1), (1, 1)})
    monkeypatch.setattr(process.tracker, "_note", interrupted)
    with pytest.raises(KeyboardInterrupt):
        process.tracker.write()
    monkeypatch.undo()
    other = ProcessLock(process.root)
    assert other.name() != process.name
    process.tracker.write()

    assert process.noted() == {(0, 1), (1, 1)}
    assert not process.tracker._in_hand
    other.release()


def test_killed_within_a_writing_nothing_is_missing(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler of a signal flushes and ends the process while its thread writes a ledger."""

    def dying(home: str, **keys: Any) -> None:
        process.tracker._forget_noted(float("inf"))
        raise SystemExit

    process.deliver({(0, 1), (1, 1)})
    monkeypatch.setattr(process.tracker, "_note", dying)
    with pytest.raises(SystemExit):
        process.tracker.write()
    process.kill()

    assert not is_running(process.root, process.name)
    assert process.noted() == {(0, 1), (1, 1)}


def test_no_more_than_one_writing_of_each_kind_is_planned(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often tasks end while others are at work."""
    monkeypatch.setattr("otel_agentlog.store.delivery.tracker._Owed.is_last", property(lambda owed: owed.acked.has(LOG, "aa0-1")))
    for number in range(1, 30):
        process.deliver({(0, 1), (1, number)})
        (now,) = [work for delay_s, work in process.wanted if delay_s == 0 and work.keywords["timed"] is False]  # type: ignore[attr-defined]
        process.wanted = [each for each in process.wanted if each[1] is not now]
        assert len(process.wanted) == 1
        now()
        assert len(process.wanted) == 1


def test_who_only_looks_changes_nothing(process: Process) -> None:
    """As `agentlog ship --dry-run` does."""
    process.deliver({(0, 1)})
    process.kill()
    before = sorted((path, path.stat().st_mtime_ns) for path in process.root.rglob("*"))

    assert not is_running(process.root, process.name, dry=True)

    assert sorted((path, path.stat().st_mtime_ns) for path in process.root.rglob("*")) == before


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\0" * 100,
        b'{"acked":',
        b"[]\n",
        b'{"acked":{"../x":{"log":{"aa":[1]}},"":{"log":{"aa":[1]}},"..":{},"t9":3}}\n',
        b'{"acked":{"a\\u0000":{"log":{"aa":[1]}}}}\n',
        b'{"acked":{"\\ud800":{"log":{"aa":[1]}}}}\n',
        b"\xff\n",
    ],
)
def test_a_damaged_file_costs_nothing_else(process: Process, damage: bytes) -> None:
    """Names of folders elsewhere are passed over, and so is what is no line."""
    (process.root.parent / "x").mkdir(mode=0o700)
    process.deliver({(0, 1)})
    process.kill()
    with (process.root / f"{PREFIX}{process.name}").open("ab") as file:
        file.write(damage)

    assert not is_running(process.root, process.name)

    assert process.noted() == {(0, 1)}
    assert list((process.root.parent / "x").iterdir()) == []
    assert {path.name for path in process.root.iterdir()} == {f"t{task}" for task in range(TASKS)}


def test_a_task_that_was_deleted_does_not_come_back(process: Process) -> None:
    """Nor does it keep the others from their notes."""
    process.deliver({(0, 1), (1, 1)})
    shutil.rmtree(process.root / "t0")
    process.kill()

    assert not is_running(process.root, process.name)

    assert not (process.root / "t0").exists()
    assert read_ledger(process.root / "t1").acked.has(LOG, "aa1-1")


@pytest.mark.skipif(os.name == "nt", reason="there is no /dev/full")
def test_where_it_cannot_be_noted_the_ledgers_have_it_at_once(process: Process) -> None:
    """A file that takes nothing: the way of before."""
    assert process.lock._file is not None
    full = os.open("/dev/full", os.O_RDWR)
    os.dup2(full, process.lock._file.fd)
    os.close(full)

    process.deliver({(0, 1), (1, 1)})

    assert process.noted() == {(0, 1), (1, 1)}


ITEMS = st.sets(st.tuples(st.integers(0, TASKS - 1), st.integers(1, 39)), min_size=1)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(ITEMS, st.sampled_from(["write", "some", "due"])), max_size=12))
def test_killed_at_any_moment_the_ledgers_have_all_of_it(acts: list[Any]) -> None:
    """Whatever was written before: what was acknowledged, and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        process = Process(Path(folder) / "tasks")
        for act in acts:
            if isinstance(act, set):
                process.deliver(act)
            elif act == "write":
                process.tracker.write()
            elif act == "some":
                process.tracker._write(list(process.tracker._owed)[:2], float("inf"))
                process.tracker._forget_noted(float("inf"))
            else:
                for _, work in process.wanted[:]:
                    work()

        process.kill()
        assert not is_running(process.root, process.name)

        assert process.noted() == process.acked
