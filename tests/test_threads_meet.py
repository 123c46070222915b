"""Two threads of ours meet in shared state: whatever one is doing, another may come in between, and nothing is lost or doubled.

Each test does one thing as often as there are places in it at which Python may go on with another thread, or run a signal
handler or a finalizer, and lets the other thread's whole work happen at one of them each time.
"""

from __future__ import annotations

import ast
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import otel_agentlog
from otel_agentlog._interrupts import WeakValues
from otel_agentlog.export.pipeline.items import ItemRef
from otel_agentlog.export.pipeline.worker import LINE_BYTES, DeliveryWorker
from otel_agentlog.record.collaborators import Failures
from otel_agentlog.store.delivery.tracker import DeliveryTracker
from otel_agentlog.store.folder.documents import Documents
from otel_agentlog.store.folder.files import Descriptor, LineFile
from otel_agentlog.store.folder.handle import FolderHandle, Root
from otel_agentlog.store.folder.layout import AGENT_OUTPUT
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.folder.recent import Numbers, RecentLines, ranges_of
from otel_agentlog.store.folder.sync import Syncer
from otel_agentlog.store.folder.totals import Tally
from otel_agentlog.store.folder.writer import Counts, TaskFolder
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.vocabulary.envelope import Envelope, TaskRef
from tests.support.interleaving import interleaved

Made = tuple[Callable[[], object], Callable[[], object], Callable[[], object]]


def meet(made: Callable[[], Made], *, least: int = 3, step: int = 1) -> None:
    """Run all of them; ``least``: at so many places something must have come between, or nothing was tried."""
    assert len(list(interleaved(made, step))) > least


def line(number: int, **more: Any) -> dict[str, Any]:
    return {"timestamp": f"2026-01-01T00:00:00.{number:06}Z", "type": "event", "level": "INFO", "message": str(number), **more}


HOME = Path(otel_agentlog.__file__).parent
SHARED = (
    "_platform/fork.py",
    "_interrupts.py",
    "record/collaborators.py",
    "record/recorder.py",
    "record/logs",
    "record/operations",
    "record/resources.py",
    "record/exceptions/timeout_call.py",
    "store/app_log.py",
    "store/folder/documents.py",
    "store/folder/files.py",
    "store/folder/handle.py",
    "store/folder/recent.py",
    "store/folder/sink.py",
    "store/folder/sync.py",
    "store/folder/writer.py",
    "store/delivery/tracker.py",
    "export/pipeline/worker.py",
    "wiring/alerting.py",
)
"""Where objects live that several threads change without a lock."""
GUARDED = {
    "export/pipeline/worker.py: self._taken_bytes +=": "on the worker's thread",
    "export/pipeline/worker.py: self._waiting =": "on the worker's thread",
    "record/operations/ai_call.py: self._billed =": "under the call's lock",
    "record/operations/ai_call.py: self.call =": "under the call's lock",
    "record/operations/ai_call.py: spent, self._billed_before": "under the call's lock",
    "record/operations/context.py: next(iter(trace.set_span_in_context": "a context of its own",
    "record/operations/operation.py: line['attributes'], self._attributes": "at the end, which comes once",
    "record/operations/operation.py: self.place = GeneratorBlock": "when its block is entered, which comes once",
    "record/operations/seen_calls.py: around.calls =": "at worst two views are not found to be of one request",
    "record/operations/seen_calls.py: run.arguments =": "before others know of it",
    "record/operations/seen_calls.py: call.response =": "at worst two views are not found to be of one request",
    "record/operations/task.py: self._given[ours] =": "while it is made",
    "record/operations/task.py: self.name =": "while it is made",
    "record/logs/line.py: place.ids =": "the place of one line",
    "record/recorder.py: envelope.line =": "an envelope of the caller's",
    "record/recorder.py: envelope.payload =": "an envelope of the caller's",
    "store/delivery/tracker.py: self.added[key] = self.added.get(key, 0) + count": "under the tracker's lock",
    "store/delivery/tracker.py: list(self._owed.items())": "under the tracker's lock; a list, because a signal handler may come",
    "store/delivery/tracker.py: self._settled =": "under the tracker's lock",
    "store/folder/writer.py: next(iter(folder_names": "names that are made here",
    "wiring/alerting.py: record.sinks =": "under the lock of the alerts",
    "wiring/alerting.py: self._watch.rules[name] =": "under the lock of the alerts",
}
"""What looks as if another thread could come between, and why none does."""


def _faults() -> Iterator[str]:
    """Statements in which a call, or the making of something, stands between reading shared state and changing it."""
    for path in sorted(
        path for part in SHARED for path in ([HOME / part] if part.endswith(".py") else (HOME / part).glob("*.py"))
    ):
        for node in ast.walk(ast.parse(path.read_text())):
            if _comes_between(node):
                yield f"{path.relative_to(HOME).as_posix()}: {ast.unparse(node).lstrip('(')}"


def _comes_between(node: ast.AST) -> bool:
    if isinstance(node, ast.AugAssign):
        # The target is read first. Up to 3.10 a jump is enough.
        jumps = any(isinstance(each, (ast.IfExp, ast.BoolOp)) for each in ast.walk(node.value))
        return _attributes(node.target) != set() and (jumps or _makes(node.value))
    if isinstance(node, ast.Assign):
        targets = set[str]().union(*map(_attributes, node.targets))
        return bool(targets & _attributes(node.value)) and _makes(node.value)
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or not node.args:
        return False
    text = ast.unparse(node.args[0])
    if node.func.id == "next":
        return text.startswith("iter(") and bool(_attributes(node.args[0]))
    # The iterator is made first, and then the tuple, or a tuple for each item.
    is_snapshot = node.func.id == "tuple" or (node.func.id in ("list", "sorted") and text.endswith(".items()"))
    return is_snapshot and isinstance(node.args[0], (ast.Attribute, ast.Call)) and text.startswith(("self._", "_"))


def _attributes(node: ast.AST) -> set[str]:
    return {ast.unparse(each) for each in ast.walk(node) if isinstance(each, ast.Attribute)}


def _makes(node: ast.AST) -> bool:
    kinds = (ast.Call, ast.List, ast.Dict, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    return any(isinstance(each, kinds) for each in ast.walk(node))


def test_nothing_comes_between_reading_and_changing() -> None:
    """Or it is under a lock, or one thread's alone, for a reason that stands above."""
    found = [fault for fault in _faults() if not fault.startswith(tuple(GUARDED))]

    assert found == []


def test_numbers_of_lost_lines() -> None:
    """One is added, another added and a third found meanwhile: all that were lost are there, in as few ranges as can be."""

    def made() -> Made:
        numbers = Numbers()
        for each in (1, 2, 4, 7):
            numbers.add(each)

        def other() -> None:
            numbers.add(8)
            numbers.discard(((1, 1),))

        def check() -> None:
            assert numbers.value == ((2, 5), (7, 8))
            assert numbers.highest == 8

        def work() -> None:
            numbers.add(3)
            numbers.add(5)

        return work, other, check

    meet(made)


def test_ranges_are_those_of_the_numbers() -> None:
    """However they come, and whatever is taken out again."""
    for order in itertools.permutations([1, 2, 3, 5, 9]):
        numbers = Numbers()
        for each in (*order, *order):
            numbers.add(each)
        assert numbers.value == ranges_of([1, 2, 3, 5, 9]) == ((1, 3), (5, 5), (9, 9))
        numbers.discard(((2, 5), (9, 12)))
        assert numbers.value == ((1, 1), (3, 3))[:1]


@pytest.mark.parametrize("intact", [True, False])
def test_lines_that_were_written_last(intact: bool, tmp_path: Path) -> None:
    """They are checked, by two at once: each line is forgotten or given back once, and the size is that of what is kept."""

    def made() -> Made:
        folder = Descriptor(os.open(tmp_path, os.O_RDONLY))
        file = LineFile(folder, "lines")
        recent = RecentLines()
        given: list[str] = []

        def add(name: str) -> None:
            file.append(b"x\n")
            recent.lines.append((file, "lines", name, b"x\n"))
            recent.size_bytes += 2

        def look() -> None:
            recent.check({})
            given.extend(each[2] for each in recent.take_lost())

        def other() -> None:
            add("c")
            if not recent.forget(file):
                look()

        add("a")
        add("b")
        if not intact:
            (tmp_path / "lines").unlink()

        def check() -> None:
            look()
            assert sorted(given) == ([] if intact else ["a", "b", "c"])
            assert recent.size_bytes == 0
            assert recent.lines == []

        return look, other, check

    meet(made)


def test_faults_are_counted() -> None:
    """Each, though two threads note one at a time, and of another place."""

    def made() -> Made:
        failures = Failures()

        def other() -> None:
            failures.note("folder", OSError())
            failures.note("sync", OSError())

        def check() -> None:
            assert failures.counts == {"folder": 2, "sync": 1}

        return lambda: failures.note("folder", OSError()), other, check

    meet(made)


def test_an_object_that_took_the_place_of_one_that_is_gone() -> None:
    """By its key, as with the `id` of an object: it stays though the old one is just being forgotten."""

    class Thing:
        pass

    def made() -> Made:
        values: WeakValues[Thing] = WeakValues()
        kept: list[Thing] = []
        values.put(1, Thing())

        def other() -> None:
            kept.append(Thing())
            values.put(1, kept[0])

        def check() -> None:
            if not kept:
                other()
            assert values.get(1) is kept[0]
            assert list(values) == kept

        return values.forget_gone, other, check

    meet(made, least=2)


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[[], TaskFolder]:
    """Makes folders of tasks, each another."""
    root, numbers = Root(tmp_path), itertools.count()

    def make() -> TaskFolder:
        name = f"t{next(numbers)}"
        task = TaskRef(name, {"task_id": name, "created_at": "2026-01-01T00:00:00.000000Z"})
        return TaskFolder(root, task, lambda: line(0, type="process"), Syncer(), Counts())

    return make


def test_two_changes_of_a_task(folder_of: Callable[[], TaskFolder]) -> None:
    """While the whole files are written another thread changes them, and owes one more: all of it gets there."""

    def made() -> Made:
        folder = folder_of()
        documents = folder._documents
        documents.change({"status": "running"})

        def other() -> None:
            documents.change({"status": "completed"})
            documents.owe("04-final-result.json", {"success": True})
            documents.say_again()
            folder.count(recorded=1)

        def check() -> None:
            if "status" in documents._changes.value or documents._owed.value or not documents.settled:
                folder.settle()
            task = TaskReader(folder.path)
            assert documents.settled
            assert (task.final_result() or {}).get("success") is True
            assert (task.metadata() or {})["status"] == "completed"
            assert (task.metadata() or {})["delivery"]["recorded"] == 1

        return folder.settle, other, check

    meet(made, step=7)


def test_folders_whose_files_are_tried_again() -> None:
    """While they are tried another one comes, and one fails once more: none is forgotten."""

    class Folder:
        def __init__(self, fails: int) -> None:
            self.fails, self.waiting, self.held = fails, set[str](), dict[str, Descriptor]()

        def path_of(self, name: str) -> str:
            return name

        def settle(self) -> None:
            self.fails -= 1
            if self.fails >= 0:
                raise OSError("not yet")

        def degrade(self, name: str, error: OSError) -> None:
            pass

    def made() -> Made:
        syncer = Syncer()
        syncer._idle.clear()  # no thread: it is done here
        folders = [Folder(1), Folder(0), Folder(2), Folder(0)]
        for folder in folders[:3]:
            syncer.retry(folder)

        def check() -> None:
            for _ in range(4):
                syncer.settle()
            assert [folder.fails for folder in folders] == [-1] * 4

        return syncer.settle, lambda: syncer.retry(folders[3]), check

    meet(made, step=17)


def test_two_lines_of_a_task(folder_of: Callable[[], TaskFolder]) -> None:
    """Both are written and counted, in every figure."""

    def made() -> Made:
        folder = folder_of()

        def append(number: int) -> None:
            written = line(number)
            ids = folder.task.event_ids
            folder.append(Envelope(written | {"event_id": ids.next()}, folder.task, 1, items=1, redacted=2, truncated=3))

        def check() -> None:
            assert sorted(str(each["message"]) for each in TaskReader(folder.path).events()) == ["0", "1", "2", "3"]
            assert [folder.delivery[key] for key in ("recorded", "dropped", "redacted", "truncated")] == [3, 0, 6, 9]
            assert folder.tally.lines == 4
            assert folder._bytes == (folder.path / AGENT_OUTPUT).stat().st_size

        append(1)
        return lambda: append(2), lambda: append(3), check

    meet(made, step=7)


def test_figures_of_a_task() -> None:
    """Starts, ends and errors of two threads are all counted."""

    def made() -> Made:
        tally = Tally(100)

        def add(span_id: str) -> None:
            tally.add(line(1, phase="start", type="step", span_id=span_id))
            tally.add(line(2, level="ERROR", exception={"error_id": span_id}))
            tally.add(line(3, phase="end", type="step", span_id=span_id))

        def check() -> None:
            found = tally.metrics()
            assert (tally.lines, found["steps"], found["errors"]) == (6, 2, 2)
            assert tally.open_spans == {}

        return lambda: add("a"), lambda: add("b"), check

    meet(made)


def test_results_of_sending(folder_of: Callable[[], TaskFolder]) -> None:
    """Two signals are delivered at the same time: both are counted in the receipt and noted beside the lines."""

    def made() -> Made:
        folder = folder_of()
        tracker = DeliveryTracker(lambda outcome, seconds, dollars: None, lambda where, error: None, folder._counts)
        ids = [folder.task.event_ids.next() for _ in range(2)]
        for number, each in enumerate(ids):
            folder.append(Envelope(line(number, event_id=each), folder.task, 1, items=1))

        def deliver(number: int) -> None:
            tracker.delivered([ItemRef(folder.location, ids[number], "log", True)], 0, "")

        def check() -> None:
            tracker.write()
            assert folder.delivery["delivered"] == 2
            assert (TaskReader(folder.path).metadata() or {})["delivery"]["delivered"] == 2

        return lambda: deliver(0), lambda: deliver(1), check

    meet(made, step=3)


def test_what_waits_to_be_sent() -> None:
    """Two threads record at a time: the memory that it takes is known."""

    def made() -> Made:
        worker = DeliveryWorker({}, observer=SimpleNamespace(), failed=lambda where, error: None)  # type: ignore[arg-type]
        worker._startable.clear()
        recorded: Any = (b"12345", None, None, None, 0, None, False, False, False, None)

        def check() -> None:
            assert worker._queued_bytes == 2 * (5 + LINE_BYTES)
            assert worker._recorded.qsize() == 2

        return lambda: worker.take(recorded), lambda: worker.take(recorded), check

    meet(made, least=2)


def test_a_folder_is_opened_by_two(folder_of: Callable[[], TaskFolder]) -> None:
    """One process line, and a folder that validates."""

    def made() -> Made:
        folder = folder_of()

        def append() -> None:
            folder.append(Envelope(line(1, event_id=folder.task.event_ids.next()), folder.task, 1, items=1))

        def check() -> None:
            events = list(TaskReader(folder.path).events())
            assert [each["type"] for each in events].count("process") == 1
            assert len(events) == 3
            assert isinstance(folder._handle, FolderHandle)
            assert isinstance(folder._documents, Documents)
            assert not [each for each in validate(folder.path).problems if "event_id" in str(each)]

        return append, append, check

    meet(made, step=7)
