"""What of a folder is still to be sent: exactly that, whatever the lines look like and whoever works beside us."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from otel_agentlog.export.pipeline.bisect import Parts
from otel_agentlog.export.pipeline.items import Item
from otel_agentlog.export.shipping import ship
from otel_agentlog.export.transport.result import DELIVERED, SendResult, Verdict
from otel_agentlog.store.delivery import pending
from otel_agentlog.store.delivery.item_set import MAX_NUMBER, ItemSet
from otel_agentlog.store.delivery.ledger import DELIVERY, note, read_ledger
from otel_agentlog.store.delivery.pending import KnownFolders, pending_tasks
from otel_agentlog.store.delivery.process_lock import PREFIX, SWEEP_AFTER_S, ProcessLock
from otel_agentlog.store.delivery.unsent import UnsentItems
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, METADATA
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from otel_agentlog.view.cli import main as cli
from otel_agentlog.vocabulary.lines import encode
from tests.store.spans.span_lines import end, log, process, start, task_of

BOTH = ("traces", "logs")


class Collector:
    """Takes items of some signals and remembers them."""

    def __init__(self, *signals: str) -> None:
        self.signals = signals or BOTH
        self.taken: list[str] = []

    def __call__(self, signal: str, items: Sequence[Item]) -> Parts[Item]:
        if signal not in self.signals:
            return [(items, SendResult(Verdict.REFUSED, "http_404"))]
        self.taken += [str(item.ref.event_id) for item in items]
        return [(items, DELIVERED)]


def _never(result: str | None, seconds: float | None, cost_usd: float | None) -> str | None:
    return None


def _span(number: int, at: int, **keys: Any) -> list[dict[str, Any]]:
    first = start(number, at) | {"event_id": f"aa-{10 * number}"} | keys
    return [first, end(number, at + 5) | {"event_id": f"aa-{10 * number + 1}"}]


def _task(root: Path, *lines: dict[str, Any], recorded: int = 0) -> TaskReader:
    task = task_of(root / "t", [process(), *lines])
    delivery = {"recorded": recorded, "delivered": 0, "pending": recorded, "dropped": 0}
    metadata = {"format_version": 1, "task_id": "t", "status": "completed", "delivery": delivery}
    (task.folder / METADATA).write_text(json.dumps(metadata))
    return task


def _ship(task: TaskReader, collector: Collector, signals: Sequence[str] = BOTH) -> None:
    with UnsentItems(task, _never, signals=signals) as items:
        ship(items.unsent(), collector, items)


def _delivery(task: TaskReader) -> dict[str, int]:
    found: dict[str, int] = json.loads((task.folder / METADATA).read_bytes())["delivery"]
    return {key: found[key] for key in ("recorded", "delivered", "pending", "dropped")}


@pytest.mark.parametrize(
    "damage",
    [
        {"kind": "NO_SUCH_KIND"},
        {"trace_id": "not hex"},
        {"trace_id": ""},
        {"span_id": "zz"},
        {"trace_state": "\x00=,,=\ud800".encode("utf-8", "replace").decode()},
        {"links": [{"trace_id": "q", "span_id": "q"}]},
        {"parent_span_id": "no"},
        {"name": {"no": "text"}},
    ],
)
def test_a_damaged_line_keeps_none_of_its_mates(tmp_path: Path, damage: dict[str, Any]) -> None:
    """It is sent as well as it can be, or dropped with a reason; the others are delivered, and the task is done with."""
    bad = _span(2, 10, **damage)
    if "span_id" in damage:
        bad[1]["span_id"] = damage["span_id"]
    task = _task(tmp_path, *_span(1, 0), *bad, *_span(3, 20), recorded=3)
    collector = Collector()

    _ship(task, collector)

    assert {"aa-11", "aa-31"} <= set(collector.taken)
    said = _delivery(task)
    assert (said["recorded"], said["pending"]) == (3, 0)
    assert said["delivered"] == len(collector.taken)
    _ship(task, collector)
    assert len(collector.taken) == len(set(collector.taken))


@pytest.mark.parametrize("event_id", ["", "no number", "aa-", "aa-01", f"aa-{MAX_NUMBER}", None])
def test_what_could_not_be_noted_as_sent_is_not_sent(tmp_path: Path, event_id: str | None) -> None:
    """Otherwise it would be sent again with every look, for ever."""
    task = _task(tmp_path, *_span(1, 0), log(1, event_id=event_id))
    collector = Collector()

    _ship(task, collector)
    _ship(task, collector)

    assert collector.taken == ["aa-11"]


def test_lines_that_come_while_it_is_shipped_are_neither_settled_nor_lost(tmp_path: Path) -> None:
    """Another process came, wrote, and went between our reading and our note."""
    task = _task(tmp_path, *_span(1, 0), recorded=1)

    class Late(Collector):
        def __call__(self, signal: str, items: Sequence[Item]) -> Parts[Item]:
            with (task.folder / AGENT_OUTPUT).open("ab") as file:
                file.write(b"".join(map(encode, _span(2, 10))))
            metadata = json.loads((task.folder / METADATA).read_bytes())
            metadata["delivery"].update(recorded=2, pending=2)
            (task.folder / METADATA).write_text(json.dumps(metadata))
            return super().__call__(signal, items)

    late = Late()
    _ship(task, late)
    assert read_ledger(task.folder).settled == {}
    assert _delivery(task) == {"recorded": 2, "delivered": 1, "pending": 1, "dropped": 0}
    assert [found.task_id for found in pending_tasks(tmp_path, BOTH)] == ["t"]

    collector = Collector()
    _ship(task, collector)
    assert (late.taken, collector.taken) == (["aa-11"], ["aa-21"])
    assert _delivery(task) == {"recorded": 2, "delivered": 2, "pending": 0, "dropped": 0}


def test_what_a_process_noted_before_it_left_is_not_sent_again(tmp_path: Path) -> None:
    """It was there when the ledger was read, and is gone when it is asked for: its last notes count."""
    lock = ProcessLock(tmp_path)
    name = lock.name()
    lines = [process(courier=name, sends=list(BOTH)), *_span(1, 0)]
    task = task_of(tmp_path / "t", lines)
    item_set = ItemSet()
    item_set.add("span", "aa-11")
    collector = Collector()

    with UnsentItems(task, _never) as items:
        note(task.folder, acked=item_set)
        lock.release()
        ship(items.unsent(), collector, items)

    assert collector.taken == []


def test_what_a_living_process_delivers_is_left_to_it(tmp_path: Path) -> None:
    """And the receipt stays its own."""
    lock = ProcessLock(tmp_path)
    lines = [process(courier=lock.name(), sends=["traces"]), *_span(1, 0), log(1)]
    task = task_of(tmp_path / "t", lines)
    collector = Collector()

    with UnsentItems(task, _never) as items:
        ship(items.unsent(), collector, items)
        assert items.held == 1

    assert collector.taken == ["aa-3"]
    lock.release()


def test_a_signal_that_nobody_wants_is_not_looked_for_again_and_again(tmp_path: Path) -> None:
    """A backend for traces only: its log records stay pending, and the folder is left alone until somebody wants logs."""
    task = _task(tmp_path, *_span(1, 0), log(1), recorded=2)
    collector = Collector()

    _ship(task, collector, ["traces"])

    assert collector.taken == ["aa-11"]
    assert _delivery(task)["pending"] == 1
    assert list(pending_tasks(tmp_path, ["traces"])) == []
    assert [found.task_id for found in pending_tasks(tmp_path, BOTH)] == ["t"]


def test_what_was_rejected_in_part_is_counted_once(tmp_path: Path) -> None:
    """Partial success by us and by others before: the sum stays what was recorded."""
    lines = [*_span(1, 0), process("bb", courier="0" * 16, sends=list(BOTH)), start(2, 10, tag="bb"), end(2, 15, tag="bb")]
    task = _task(tmp_path, *lines, recorded=2)

    def partly(signal: str, items: Sequence[Item]) -> Parts[Item]:
        return [(items, SendResult(Verdict.DELIVERED, "partial_success", rejected=1))]

    with UnsentItems(task, _never) as items:
        ship(items.unsent(), partly, items)
    assert _delivery(task) == {"recorded": 2, "delivered": 1, "pending": 0, "dropped": 1}
    _ship(task, Collector())
    assert _delivery(task) == {"recorded": 2, "delivered": 1, "pending": 0, "dropped": 1}


def test_files_of_processes_that_are_gone_are_swept(tmp_path: Path) -> None:
    """A killed process leaves its file; a living one keeps it, however old."""
    alive, dead = ProcessLock(tmp_path), PREFIX + "0" * 16
    kept = alive.name()
    (tmp_path / dead).touch()
    (tmp_path / (PREFIX + "f" * 16)).touch()
    old = time.time() - 2 * SWEEP_AFTER_S
    for name in (f"{PREFIX}{kept}", dead):
        os.utime(tmp_path / name, (old, old))

    ProcessLock.sweep(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([f"{PREFIX}{kept}", PREFIX + "f" * 16])
    alive.release()


def test_old_tasks_are_found_behind_any_number_of_delivered_ones(tmp_path: Path) -> None:
    """What is limited is what is sent with one look; and what is known to be whole is not read again until it is touched."""
    for number in range(30):
        task = _task(tmp_path / f"{number}", *_span(1, 0), recorded=0)
        task.folder.rename(tmp_path / f"new-{number}")
        (tmp_path / f"{number}").rmdir()
        os.utime(tmp_path / f"new-{number}" / METADATA)
    old = _task(tmp_path, *_span(1, 0), recorded=1)
    os.utime(old.folder, (1_000_000, 1_000_000))
    known = KnownFolders()
    whole_s = os.stat(tmp_path / "new-8").st_mtime

    assert [found.folder.name for found in pending_tasks(tmp_path, at_most=1, known=known)] == ["t"]
    (tmp_path / "new-7" / METADATA).write_text("{}")
    (tmp_path / "new-7" / "touched").touch()
    (tmp_path / "new-8" / METADATA).write_text("{}")
    os.utime(tmp_path / "new-8", (whole_s, whole_s))
    assert [found.folder.name for found in pending_tasks(tmp_path, known=known)] == ["new-7", "t"]


@pytest.mark.parametrize("portion", [1, 2, 3, 100])
def test_a_root_of_any_size_is_looked_through_in_portions(tmp_path: Path, portion: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Newest first, each once; what is whole is known afterwards, in whatever portion it was."""
    monkeypatch.setattr(pending, "PORTION", portion)
    for number in range(8):
        task = _task(tmp_path / f"{number}", *_span(1, 0), recorded=number % 2)
        task.folder.rename(tmp_path / f"task-{number}")
        (tmp_path / f"{number}").rmdir()
        os.utime(tmp_path / f"task-{number}" / METADATA)
        os.utime(tmp_path / f"task-{number}", (2_000_000 + number // 4, 2_000_000 + number // 4))
    known = KnownFolders()

    expected = ["task-7", "task-5", "task-3", "task-1"]
    assert [found.folder.name for found in pending_tasks(tmp_path, known=known)] == expected
    assert [found.folder.name for found in pending_tasks(tmp_path, known=known)] == expected
    times = {name: os.stat(tmp_path / name).st_mtime for name in os.listdir(tmp_path)}
    assert sorted(name for name, touched_s in times.items() if known.has((touched_s, name))) == [
        f"task-{number}" for number in (0, 2, 4, 6)
    ]


@pytest.mark.parametrize("planted", ["folder", "symlink", "fifo", "hard link"])
def test_a_ledger_that_is_none_costs_only_its_task(tmp_path: Path, planted: str, otlp_receiver: OtlpReceiver) -> None:
    """Something else stands in its place: the command says so, ends, follows nothing, and sends the other tasks."""
    root = tmp_path / "root"
    bad, good = _task(root / "bad", *_span(1, 0), recorded=1), _task(root / "good", *_span(2, 0), recorded=1)
    for task, name in ((bad, "task-bad"), (good, "task-good")):
        task.folder.rename(root / name)
    ledger, other = root / "task-bad" / DELIVERY, tmp_path / "other"
    other.write_text("theirs\n")
    if planted == "folder":
        ledger.mkdir()
    elif planted == "symlink":
        ledger.symlink_to(other)
    elif planted == "fifo":
        os.mkfifo(ledger)
    else:
        ledger.hardlink_to(other)

    assert cli.main(["ship", "--root", str(root), "--endpoint", otlp_receiver.http_endpoint]) == 1
    assert [span["name"] for span in otlp_receiver.spans() if span["name"] == "step 2"] == ["step 2"]
    assert other.read_text() == "theirs\n"
