"""Hostile acts on folder, root, files and collector between records, in any order: the receipt is always the truth."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from otel_agentlog.store.delivery.own_unsent import OwnUnsentItems
from otel_agentlog.store.delivery.tracker import DeliveryTracker
from otel_agentlog.store.folder import recent
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, METADATA
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.folder.sink import FolderSink
from otel_agentlog.store.folder.writer import Counts
from otel_agentlog.store.spans.rebuild import complete
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.vocabulary.envelope import Envelope, TaskRef
from otel_agentlog.vocabulary.lines import FORMAT_VERSION, LOG, timestamp

INTERVAL_S = recent.CHECK_INTERVAL_S
NOW_NS = 1_795_238_521_123_456_789
TRACE = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}
TASK = {"type": "task", "component": "runner", "message": "job", "name": "job", "kind": "INTERNAL", **TRACE}


class Sent:
    """An item as the delivery worker has it."""

    def __init__(self, home: str | None, event_id: str, kind: str, kept: bool) -> None:
        self.home, self.event_id, self.kind, self.kept = home, event_id, kind, kept


class ReceiptMachine(RuleBasedStateMachine):
    """A task that records log lines; what a collector is given is decided by the rules."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp())
        self.root = self.base / "tasks"
        self.folder = self.root / "t"
        counts = Counts()
        self.tracker = DeliveryTracker(lambda *_: None, self._failed, counts)
        self.sink = FolderSink(self.root, self._process_line, pending_on_disk=self.tracker.pending_on_disk, counts=counts)
        # Its thread writes notes of its own, whenever it likes.
        self.sink._syncer.ask = lambda *_: None  # type: ignore[method-assign]
        self.sink._syncer.retry = lambda *_: None  # type: ignore[method-assign]
        self.task = TaskRef("t", {"task_id": "t", "name": "job", "trace_id": TRACE["trace_id"], "status": "running"})
        self.queued: list[Sent] = []
        self.received: Counter[tuple[str, str]] = Counter()
        self.rejected: set[tuple[str, str]] = set()
        self.recorded: set[tuple[str, str]] = set()
        self.number = 0
        self.ended = False

    @staticmethod
    def _process_line() -> dict[str, object]:
        scope = {"name": "test", "version": "1", "schema_url": ""}
        fixed = {"level": "INFO", "component": "process", "action": "process_attached", "message": "process"}
        found: dict[str, object] = {"type": "process", "pid": os.getpid(), "resource": {}, "scope": scope, **fixed}
        return {**found, "content_policy": "off", "format_version": FORMAT_VERSION}

    @staticmethod
    def _failed(where: str, error: BaseException) -> None:
        assert isinstance(error, OSError), where

    def _record(self, line: dict[str, object], kind: str | None) -> None:
        self.number += 1
        time_ns = NOW_NS + self.number
        event_id = self.task.event_ids.next()
        whole = {"timestamp": timestamp(time_ns), "level": "INFO", **line, "task_id": "t", "event_id": event_id}
        envelope = Envelope(whole, self.task, time_ns, items=int(kind is not None))
        kept = False
        with suppress(OSError):
            self.sink(envelope)
            kept = True
        if kind is not None:
            self.recorded.add((kind, event_id))
            self.queued.append(Sent(self.sink.folder(self.task).location, event_id, kind, kept))

    @initialize(interval_s=st.sampled_from([0.0, 1e9]))
    def begin(self, interval_s: float) -> None:
        """The task starts; its files are checked before each line, or as seldom as can be."""
        recent.CHECK_INTERVAL_S = interval_s
        states = {"phase": "start", "state_before": "pending", "state_after": "running", "trace_flags": 1, "attributes": {}}
        self._record({**TASK, **states, "action": "task_started"}, None)

    # -- the program --------------------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 100))
    def record(self, count: int) -> None:
        """Some log lines, which may be more than are kept in memory."""
        for _ in range(count):
            self._record({"type": "log", "logger": "app", "message": f"line {self.number}", **TRACE}, LOG)

    @precondition(lambda self: not self.ended)
    @rule()
    def end(self) -> None:
        """The task ends; lines may still follow."""
        self.ended = True
        states = {"phase": "end", "outcome": "completed", "duration_ms": 1.0, "state_before": "running"}
        self._record({**TASK, **states, "state_after": "completed", "action": "task_completed", "attributes": {}}, "span")

    @rule()
    def close(self) -> None:
        """Other folders need the descriptors."""
        home = self.sink.folder(self.task)
        home._forget_files()
        home.release()

    # -- others ---------------------------------------------------------------------------------------------------------------

    @rule(what=st.sampled_from(["folder", "root", "lines", "metadata", "ledger"]))
    def delete(self, what: str) -> None:
        """Somebody deletes something."""
        if what in ("folder", "root"):
            shutil.rmtree(self.folder if what == "folder" else self.root, ignore_errors=True)
        else:
            name = {"lines": AGENT_OUTPUT, "metadata": METADATA, "ledger": ".delivery.jsonl"}[what]
            with suppress(FileNotFoundError, NotADirectoryError):
                (self.folder / name).unlink()

    @rule(parts=st.sampled_from([0, 1, 2]))
    def cut(self, parts: int) -> None:
        """Somebody cuts the file of lines: to nothing, to a half at a line's end, or not at all."""
        path = self.folder / AGENT_OUTPUT
        if path.is_file():
            lines = path.read_bytes().splitlines(keepends=True)
            os.truncate(path, sum(map(len, lines[: len(lines) * parts // 2])))

    @rule(every=st.integers(1, 5))
    def edit(self, every: int) -> None:
        """Somebody replaces the file of lines by one without some of them."""
        path = self.folder / AGENT_OUTPUT
        if path.is_file():
            lines = path.read_bytes().splitlines(keepends=True)
            temp = self.folder / ".edited"
            temp.write_bytes(b"".join(line for number, line in enumerate(lines) if number % 5 != every))
            temp.chmod(0o600)
            temp.rename(path)

    @rule(how=st.sampled_from(["file", "symlink"]))
    def block(self, how: str) -> None:
        """Something else takes the folder's name."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if not self.folder.exists() and self.root.is_dir():
            self.folder.write_text("x") if how == "file" else self.folder.symlink_to(self.base)

    @rule()
    def unblock(self) -> None:
        """And goes away again."""
        if self.folder.is_symlink() or self.folder.is_file():
            self.folder.unlink()
            self.sink.folder(self.task)._handle._closed_until = 0.0

    # -- the collector ----------------------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 200), verdict=st.sampled_from(["delivered", "rejected", "left"]))
    def send(self, count: int, verdict: str) -> None:
        """The collector answers for the items that wait the longest, or they are left to be read back."""
        items, self.queued = self.queued[:count], self.queued[count:]
        if verdict == "delivered":
            self._receive(items)
        elif verdict == "rejected":
            self.rejected |= {(item.kind, item.event_id) for item in items}
            self.tracker.rejected(items, "http_400", "no")
        else:
            self.tracker.left([item for item in items if item.kept])

    def _receive(self, items: list[Sent]) -> None:
        self.received.update((item.kind, item.event_id) for item in items)
        self.tracker.delivered(items, 0, "")

    @rule()
    def read_back(self) -> None:
        """What was left is read from its folder and sent."""
        with OwnUnsentItems(self.tracker, 1_000, self._failed) as left:
            found = [Sent(item.home, str(item.event_id), item.kind, True) for item in left.unsent()]
            self.received.update((item.kind, item.event_id) for item in found)
            left.delivered(found, 0, "")

    # -- the truth --------------------------------------------------------------------------------------------------------------

    @invariant()
    def the_receipt_is_true(self) -> None:
        """Recorded is delivered, pending and dropped; delivered is at the receiver, pending on the disk, all else dropped."""
        self.sink.verify(float("inf"))
        totals = self.sink.totals
        on_disk = {(kind, str(record.event_id)) for kind, record in complete(TaskReader(self.folder))} & self.recorded
        delivered = set(self.received)
        # A start line that is lost counts nothing; each other line counts once.
        assert totals["recorded"] == len(self.recorded)
        assert totals["delivered"] == len(delivered)
        pending = totals["recorded"] - totals["delivered"] - totals["dropped"]
        assert pending == len(on_disk - delivered - self.rejected)

    def teardown(self) -> None:
        """Up to the end of a task, what is missing is told in the folder."""
        self.unblock()
        if not self.ended:
            self.end()
            self.the_receipt_is_true()
            errors = [str(each) for each in validate(self.folder).problems if each.severity == "error"]
            assert errors == []
        recent.CHECK_INTERVAL_S = INTERVAL_S
        shutil.rmtree(self.base, ignore_errors=True)


ReceiptMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestReceipt = ReceiptMachine.TestCase
