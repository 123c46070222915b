"""Results of sending that come when nothing uses a task's folder any more: the receipt is true all the same."""

from __future__ import annotations

import gc
import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from otel_agentlog.store.delivery import tracker as trackers
from otel_agentlog.store.delivery.own_unsent import OwnUnsentItems
from otel_agentlog.store.delivery.tracker import DeliveryTracker
from otel_agentlog.store.folder import sink as sinks
from otel_agentlog.store.folder.sink import FolderSink
from otel_agentlog.store.folder.writer import Counts, folder_of
from otel_agentlog.vocabulary.envelope import Envelope, TaskRef
from otel_agentlog.vocabulary.lines import FORMAT_VERSION, LOG, timestamp
from tests.support.waiting import wait_until

NOW_NS = 1_795_238_521_123_456_789
SPAN = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}


@dataclass
class Sent:
    """An item as the delivery worker has it."""

    home: str | None
    event_id: str
    kind: str = LOG


class Process:
    """What keeps lines and what counts results, as in one process."""

    def __init__(self, root: Path) -> None:
        self.root, counts = root, Counts()
        self.tracker = DeliveryTracker(lambda *_: None, self._failed, counts)
        self.sink = FolderSink(root, self._process_line, pending_on_disk=self.tracker.pending_on_disk, counts=counts)

    @staticmethod
    def _failed(where: str, error: BaseException) -> None:
        assert isinstance(error, OSError), where

    @staticmethod
    def _process_line() -> dict[str, object]:
        fixed = {"type": "process", "level": "INFO", "component": "process", "action": "process_attached", "message": "process"}
        scope = {"name": "test", "version": "1", "schema_url": ""}
        return {**fixed, "pid": 1, "resource": {}, "scope": scope, "content_policy": "off", "format_version": FORMAT_VERSION}

    def task(self, task_id: str, lines: int, *, blocked: bool = False) -> list[Sent]:
        """Record a task that ends; its lines cannot be written if something else is in the folder's place."""
        if blocked:
            self.root.mkdir(exist_ok=True)
            (self.root / task_id).write_text("")
        task = TaskRef(task_id, {"task_id": task_id, "name": "job", "trace_id": SPAN["trace_id"], "status": "running"})
        sent = [self._record(task, {"type": "log", "logger": "app", "message": f"line {each}"}, 1) for each in range(lines)]
        self._record(task, {"type": "task", "phase": "end", "outcome": "completed", "duration_ms": 1.0, "message": "job"}, 0)
        return sent

    def _record(self, task: TaskRef, line: dict[str, object], items: int) -> Sent:
        event_id = task.event_ids.next()
        whole = {"timestamp": timestamp(NOW_NS), "level": "INFO", **line, **SPAN, "task_id": task.task_id, "event_id": event_id}
        with suppress(OSError):
            self.sink(Envelope(whole, task, NOW_NS, items=items))
        return Sent(self.sink.folder(task).location, event_id)

    def read_back(self) -> None:
        """Look for what was left, and deliver what is there."""
        with OwnUnsentItems(self.tracker, 1_000, self._failed) as left:
            left.delivered([Sent(item.home, str(item.event_id), item.kind) for item in left.unsent()], 0, "")

    def receipt(self) -> dict[str, int]:
        """The process's receipt, as far as items are concerned."""
        return {key: self.sink.totals[key] for key in ("recorded", "delivered", "dropped")}


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Process:
    """One that looks after no folder whose task has ended."""
    monkeypatch.setattr(sinks, "MAX_UNSETTLED", 0)
    return Process(tmp_path / "tasks")


def _is_used(process: Process, items: list[Sent]) -> bool:
    assert process.sink.flush(10.0)
    gc.collect()
    return folder_of(items[0].event_id.partition("-")[0]) is not None


def _delivery(process: Process, task_id: str) -> dict[str, Any]:
    process.tracker.write()
    found: dict[str, Any] = json.loads((process.root / task_id / "metadata.json").read_text())["delivery"]
    return {key: found[key] for key in ("recorded", "delivered", "pending", "dropped")}


def test_what_is_delivered_late(process: Process) -> None:
    """It is in the receipts of the process and of the folder."""
    items = process.task("t", 3)
    wait_until(lambda: not _is_used(process, items), "what was used to go")

    process.tracker.delivered(items, 1, "one was too old")

    assert process.receipt() == {"recorded": 3, "delivered": 2, "dropped": 1}
    assert _delivery(process, "t") == {"recorded": 3, "delivered": 2, "pending": 0, "dropped": 1}


def test_what_could_not_be_written_and_is_delivered_late(process: Process) -> None:
    """It was counted as dropped, and counts as delivered from then on."""
    items = process.task("t", 3, blocked=True)
    process.sink.stop_retrying()
    wait_until(lambda: not _is_used(process, items), "what was used to go")
    # The end of the task is one.
    assert process.receipt() == {"recorded": 4, "delivered": 0, "dropped": 4}

    process.tracker.delivered(items, 0, "")

    assert process.receipt() == {"recorded": 4, "delivered": 3, "dropped": 1}


def test_what_is_missing_when_it_is_looked_for(process: Process) -> None:
    """It is dropped, once; a deleted folder does not come back for its receipt."""
    items = process.task("t", 3)
    process.tracker.left(items)
    shutil.rmtree(process.root / "t")

    process.read_back()
    process.tracker.left(items)
    process.read_back()
    process.tracker.write()

    assert process.receipt() == {"recorded": 3, "delivered": 0, "dropped": 3}
    assert not (process.root / "t").exists()


def test_what_was_found_to_be_gone_before(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that was looked after until it was deleted is not counted a second time by what looks for its items."""
    monkeypatch.setattr(sinks, "MAX_UNSETTLED", 10)
    items = process.task("t", 3)
    process.tracker.left(items)
    assert _is_used(process, items)
    shutil.rmtree(process.root / "t")
    process.sink.verify(float("inf"))
    process.sink.verify(float("inf"))
    assert process.receipt() == {"recorded": 3, "delivered": 0, "dropped": 3}

    process.tracker.delivered(process.task("u", 1), 0, "")
    process.task("v", 1)
    wait_until(lambda: not _is_used(process, items), "what was used to go")
    process.read_back()

    assert process.receipt() == {"recorded": 5, "delivered": 1, "dropped": 3}


def test_two_lives_of_one_task(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results go to those who recorded the items, though they are in the same folder."""
    monkeypatch.setattr(sinks, "MAX_UNSETTLED", 10)
    first, second = process.task("t", 2), process.task("t", 3)

    process.tracker.delivered([*first, *second[:1]], 0, "")

    assert [folder.pending for folder in process.sink._unsettled] == [0, 2]
    assert _delivery(process, "t") == {"recorded": 5, "delivered": 3, "pending": 2, "dropped": 0}


def test_counts_that_wait_are_bounded(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tasks get results within the interval at which their receipts are written."""
    monkeypatch.setattr(trackers, "MAX_TASKS", 5)
    for number in range(20):
        process.tracker.delivered(process.task(f"t{number}", 1), 0, "")

    tracker = process.tracker
    assert max(len(tracker._owed), len(tracker._settled)) <= 5
