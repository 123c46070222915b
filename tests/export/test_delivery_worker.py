"""The worker: bounded, in order, never ended by what others raise; no flush takes longer than its timeout."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from otel_agentlog.export.pipeline import signal_queue
from otel_agentlog.export.pipeline import worker as worker_module
from otel_agentlog.export.pipeline.bisect import Parts
from otel_agentlog.export.pipeline.items import Item, ItemRef
from otel_agentlog.export.pipeline.signal_queue import QueueLimits
from otel_agentlog.export.pipeline.worker import DeliveryWorker
from otel_agentlog.export.transport.result import DELIVERED, SendResult, Verdict
from tests.support.waiting import wait_until

DEADLINE_S = 30.0
LATER = SendResult(Verdict.LATER, "http_503")
BROKEN = SendResult(Verdict.BROKEN, "http_500")


class Sender:
    """Takes batches as the test says, and remembers them."""

    deadline: float | None = None

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.answers: list[SendResult | BaseException] = []
        self.open = threading.Event()
        """Cleared, requests hang."""
        self.open.set()
        self.began = threading.Event()
        self.closed = False

    def send(self, batch: Sequence[Any]) -> SendResult:
        self.began.set()
        assert self.open.wait(DEADLINE_S)
        answer = self.answers.pop(0) if self.answers else DELIVERED
        if isinstance(answer, BaseException):
            raise answer
        if answer.verdict is Verdict.DELIVERED:
            self.batches.append(list(batch))
        return answer

    def shutdown(self) -> None:
        self.closed = True

    @property
    def taken(self) -> list[Any]:
        """All that was taken, in order."""
        return [data for batch in self.batches for data in batch]


class Observer:
    """Remembers what became of items."""

    def __init__(self) -> None:
        self.seen: dict[str, list[str]] = {"delivered": [], "rejected": [], "left": [], "aside": []}
        self.raises: BaseException | None = None

    def _note(self, what: str, refs: Sequence[ItemRef]) -> None:
        self.seen[what] += [str(ref.event_id) for ref in refs]
        if self.raises is not None:
            raise self.raises

    def delivered(self, refs: Sequence[ItemRef], rejected: int, message: str) -> None:
        self._note("delivered", refs)

    def rejected(self, refs: Sequence[ItemRef], reason: str, message: str) -> None:
        self._note("rejected", refs)

    def set_aside(self, refs: Sequence[ItemRef]) -> None:
        self._note("aside", refs)

    def left(self, refs: Sequence[ItemRef]) -> None:
        self._note("left", refs)


IN_FOLDER, NOT_WRITTEN = ItemRef("home", "aa-1", "span"), ItemRef("home", "aa-1", "span", kept=False)


class Bench:
    """A worker with a sender and books of the test's own."""

    def __init__(self, **limits: Any) -> None:
        self.senders = [Sender()]
        self.made = 0
        self.observer, self.failed = Observer(), list[BaseException]()
        self.dropped: list[tuple[str, int, str]] = []
        self.worker = DeliveryWorker(
            {"traces": self._make},
            observer=self.observer,
            failed=lambda where, error: self.failed.append(error),
            dropped=lambda *what: self.dropped.append(what),
            limits=QueueLimits(**{"delay_s": 0.01, **limits}),
        )

    def _make(self) -> Sender:
        self.made += 1
        return self.senders[min(self.made, len(self.senders)) - 1]

    @property
    def sender(self) -> Sender:
        return self.senders[0]

    def put(self, numbers: Sequence[int], *, home: object = "home") -> None:
        """Put items that were made of lines, or of none."""
        for number in numbers:
            self.worker.put(Item("traces", number, ItemRef(home, f"aa-{number}", "span")))

    def put_large(self, count: int, size_bytes: int, *, ref: ItemRef = IN_FOLDER) -> None:
        """Put items of a size."""
        for number in range(count):
            self.worker.put(Item("traces", number, ref, size_bytes))

    def done(self) -> int:
        """How many items are not on their way any more."""
        return sum(map(len, self.observer.seen.values())) + sum(count for _, count, _ in self.dropped)


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**limits: Any) -> Bench:
        made.append(Bench(**limits))
        return made[-1]

    yield make
    for each in made:
        each.sender.open.set()
        each.worker.shutdown(0.1)


def test_items_go_in_order_and_in_batches(bench: Callable[..., Bench]) -> None:
    """What was put first is sent first, never more at once than allowed."""
    it = bench(batch_items=7)
    it.put(range(50))

    assert it.worker.flush(DEADLINE_S)
    assert it.sender.taken == list(range(50))
    assert max(map(len, it.sender.batches)) <= 7
    assert it.observer.seen["delivered"] == [f"aa-{number}" for number in range(50)]


def test_the_queue_is_bounded_and_what_does_not_fit_is_left_in_its_folder(bench: Callable[..., Bench]) -> None:
    """A collector that does not answer: so many wait, the others are left in their folders, none is lost or sent twice."""
    it = bench(batch_items=5, queue_items=20)
    it.sender.open.clear()
    it.put(range(5))
    assert it.sender.began.wait(DEADLINE_S)
    it.put(range(5, 200))
    wait_until(lambda: it.observer.seen["left"], "items to be left", timeout_s=DEADLINE_S)
    it.sender.open.set()

    assert it.worker.flush(DEADLINE_S)
    assert len(it.sender.taken) <= 5 + 20 + 20  # under way, in the queue of the signal, in the queue before it
    ids = sorted(it.observer.seen["delivered"] + it.observer.seen["left"])
    assert ids == sorted(f"aa-{number}" for number in range(200))


def test_what_has_no_folder_and_no_room_is_dropped_and_counted(bench: Callable[..., Bench]) -> None:
    """Spans outside every task."""
    it = bench(batch_items=5, queue_items=20)
    it.sender.open.clear()
    it.put(range(100), home=None)
    wait_until(lambda: it.dropped, "items to be dropped", timeout_s=DEADLINE_S)
    it.sender.open.set()

    assert it.worker.flush(DEADLINE_S)
    assert {(signal, reason) for signal, _, reason in it.dropped} == {("traces", "queue_full")}
    assert len(it.sender.taken) + sum(count for _, count, _ in it.dropped) == 100


def test_work_is_bounded_by_bytes_and_by_number(bench: Callable[..., Bench]) -> None:
    """A worker that is behind takes no more than fits; small work that decides something is always taken."""
    busy, release = threading.Event(), threading.Event()

    def block() -> None:
        busy.set()
        release.wait(DEADLINE_S)

    for limits in ({"queue_bytes": 10_000}, {"queue_items": 10}):
        it = bench(**limits)
        it.worker.do(block)
        assert busy.wait(DEADLINE_S)
        taken = sum(it.worker.do(lambda: None, 1_000) for _ in range(100))
        assert 9 <= taken <= 11
        assert it.worker.do(lambda: None)
        release.set()
        assert it.worker.flush(DEADLINE_S)
        assert it.worker.do(lambda: None, 1_000)
        busy.clear()
        release.clear()


@pytest.mark.parametrize(("ref", "fit"), [(IN_FOLDER, 3), (NOT_WRITTEN, 10), (ItemRef(), 10)])
def test_what_is_in_a_folder_needs_little_memory(bench: Callable[..., Bench], ref: ItemRef, fit: int) -> None:
    """It can be read there; what is nowhere else gets more room before it is dropped."""
    it = bench(batch_items=1, item_bytes=300_000 + 3 * signal_queue.ITEM_BYTES, queue_bytes=1_000_000)
    it.sender.open.clear()
    it.put([0])
    assert it.sender.began.wait(DEADLINE_S)
    it.put_large(20, 100_000, ref=ref)

    wait_until(lambda: it.done() == 20 - fit, "the others to be left", timeout_s=DEADLINE_S)
    it.sender.open.set()
    assert it.worker.flush(DEADLINE_S)
    assert len(it.sender.taken) == 1 + fit


def test_what_the_collector_does_not_take_is_bounded_by_bytes_too(bench: Callable[..., Bench]) -> None:
    """Items that come back from a request count as those that come."""
    it = bench(batch_items=20, item_bytes=300_000 + 3 * signal_queue.ITEM_BYTES)
    it.sender.answers = [SendResult(Verdict.LATER, "http_503", retry_after_s=60.0)]
    it.sender.open.clear()
    it.put([0])
    assert it.sender.began.wait(DEADLINE_S)
    it.put_large(3, 100_000)
    it.sender.open.set()
    wait_until(lambda: not it.worker.ready, "the collector to be left alone", timeout_s=DEADLINE_S)
    it.put_large(20, 100_000)

    wait_until(lambda: it.done() == 21, "the others to be left", timeout_s=DEADLINE_S)


def test_one_item_gets_in_whatever_its_size(bench: Callable[..., Bench]) -> None:
    """A value of many megabytes is not read back from its folder because of a bound on what waits."""
    it = bench(item_bytes=1_000, queue_bytes=1_000)
    it.put_large(1, 20_000_000)
    assert it.worker.flush(DEADLINE_S)
    it.put_large(1, 20_000_000, ref=ItemRef())
    assert it.worker.flush(DEADLINE_S)

    assert it.sender.taken == [0, 0]


@pytest.mark.parametrize(("place", "kept", "fit"), [("home", True, 11), ("home", False, 101), (None, True, 101)])
def test_lines_that_wait_for_the_worker_are_bounded(bench: Callable[..., Bench], place: str | None, kept: bool, fit: int) -> None:
    """Those in a folder less than others, the ends of tasks more, and what it takes to note them has an end, too."""
    size = 10_000
    room = size + worker_module.LINE_BYTES
    it = bench(line_bytes=10 * room, queue_bytes=100 * room)
    busy, release = threading.Event(), threading.Event()
    it.worker.on_line = lambda line: (busy.set(), release.wait(DEADLINE_S))
    line = (bytes(size), "log", None, None, 0, place, kept, True, False, None)
    assert it.worker.take(line)
    assert busy.wait(DEADLINE_S)

    assert sum(it.worker.take(line) for _ in range(300)) == fit
    assert sum(it.worker.take(line, always=True) for _ in range(300)) == fit - 1
    assert not it.worker.do(lambda: None)
    release.set()
    assert it.worker.flush(DEADLINE_S)
    assert it.worker.take(line)


def test_a_burst_wakes_the_worker_before_the_queue_is_full(bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for what comes right behind a line, but not until there is no room left."""
    monkeypatch.setattr(worker_module, "GATHER_S", 20 * DEADLINE_S)
    it = bench(line_bytes=100_000, delay_s=20 * DEADLINE_S)
    seen: list[object] = []
    it.worker.on_line = seen.append
    line = (bytes(1_000), "log", None, None, 0, "home", True, True, False, None)
    for _ in range(30):
        assert it.worker.take(line)
    assert not seen
    for _ in range(30):
        assert it.worker.take(line)

    wait_until(lambda: len(seen) >= 39, "the worker to begin", timeout_s=DEADLINE_S)


@pytest.mark.parametrize("slow", [False, True])
def test_lines_wait_as_lines_while_a_collector_answers(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, slow: bool
) -> None:
    """What is made of them would have no room; where the collector takes long, that is left in folders as ever."""
    monkeypatch.setattr(worker_module, "TAKEN_AT_ONCE", 5)
    for module in (worker_module, signal_queue):
        monkeypatch.setattr(module, "SLOW_S", 0.05 if slow else 20 * DEADLINE_S)
    it = bench(batch_items=10, item_bytes=20 * (1_000 + signal_queue.ITEM_BYTES))
    numbers = iter(range(200))
    it.worker.on_line = lambda line: it.worker.add(Item("traces", (n := next(numbers)), ItemRef("home", f"aa-{n}", "log"), 1_000))
    it.sender.open.clear()
    for _ in range(200):
        assert it.worker.take((bytes(1_000), "log", None, None, 0, "home", True, True, False, None))

    if slow:
        wait_until(lambda: it.done() > 100, "most of it to be left", timeout_s=DEADLINE_S)
    else:
        wait_until(lambda: it.worker._must_wait and it.worker._is_behind, "the worker to wait", timeout_s=DEADLINE_S)
    it.sender.open.set()
    assert it.worker.flush(DEADLINE_S)
    assert bool(it.observer.seen["left"]) == slow
    assert sorted(it.sender.taken) == sorted(set(range(200)) - {int(each[3:]) for each in it.observer.seen["left"]})


def test_a_flush_waits_no_longer_than_it_may(bench: Callable[..., Bench]) -> None:
    """It says so, and the same items arrive when the collector answers at last."""
    it = bench()
    it.sender.open.clear()
    it.put(range(3))

    assert not it.worker.flush(0.05)
    it.sender.open.set()
    assert it.worker.flush(DEADLINE_S)
    assert it.sender.taken == [0, 1, 2]


def test_after_the_end_nobody_waits(bench: Callable[..., Bench]) -> None:
    """A flush by who knows nothing of the end returns at once; offers are turned away; connections are closed."""
    it = bench()
    it.put(range(3))
    assert it.worker.shutdown(DEADLINE_S)
    results: list[Parts[Item]] = []
    it.worker.offer([Item("traces", 1)], results.append)
    it.put(range(3, 6))

    # Longer than any test may take.
    assert it.worker.flush(20 * DEADLINE_S)
    assert results == [[]]
    wait_until(lambda: it.sender.closed, "the connection to be closed", timeout_s=DEADLINE_S)
    assert it.sender.taken == [0, 1, 2]


def test_a_call_that_comes_too_late_is_answered(bench: Callable[..., Bench]) -> None:
    """Items and flushes that were queued behind the end are answered."""
    it = bench()
    busy, release = threading.Event(), threading.Event()
    it.worker.do(lambda: (busy.set(), release.wait(DEADLINE_S)))
    assert busy.wait(DEADLINE_S)
    results: list[Parts[Item]] = []
    ended = threading.Thread(target=lambda: it.worker.shutdown(0.0))
    ended.start()
    ended.join(DEADLINE_S)
    # As a thread does that looked before the worker was stopped.
    it.worker._stopping = False
    it.worker.offer([Item("traces", 1)], results.append)
    flushed = threading.Thread(target=lambda: it.worker.flush(10 * DEADLINE_S))
    flushed.start()
    wait_until(lambda: it.worker._inbox.qsize() >= 4, "the flush to be queued", timeout_s=DEADLINE_S)
    it.worker._stopping = True
    release.set()

    flushed.join(DEADLINE_S)
    assert not flushed.is_alive()
    assert results == [[]]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1), GeneratorExit(), MemoryError()])
def test_a_hand_survives_whatever_an_exporter_raises(bench: Callable[..., Bench], error: BaseException) -> None:
    """The items are sent again, later ones too."""
    it = bench()
    it.sender.answers = [error]
    it.put(range(3))
    wait_until(lambda: it.failed, "the failure to be counted", timeout_s=DEADLINE_S)
    it.put(range(3, 6))

    wait_until(lambda: len(it.sender.taken) == 6, "all to be sent", timeout_s=DEADLINE_S)
    assert it.failed == [error]
    assert sorted(it.sender.taken) == list(range(6))


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1)])
def test_the_worker_survives_whatever_work_raises(bench: Callable[..., Bench], error: BaseException) -> None:
    """What comes behind it is done, and a flush is answered."""
    it = bench()

    def fail() -> None:
        raise error

    it.worker.do(fail)
    it.put(range(3))

    assert it.worker.flush(DEADLINE_S)
    assert it.sender.taken == [0, 1, 2]
    assert it.failed == [error]


def test_books_that_raise_keep_nobody_waiting(bench: Callable[..., Bench]) -> None:
    """What cannot be noted is sent again by others; a flush does not wait for it."""
    it = bench()
    it.observer.raises = OSError(28, "no space left")
    it.put(range(3))

    assert it.worker.flush(DEADLINE_S)
    assert it.failed == [it.observer.raises]


def test_a_hand_that_does_not_come_back_is_left_behind(bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    """A new one, with connections of its own, sends what it had."""
    monkeypatch.setattr(worker_module, "STUCK_S", 1.0)
    it = bench()
    it.senders.append(Sender())
    it.sender.open.clear()
    it.put(range(3))

    wait_until(lambda: it.senders[1].taken == [0, 1, 2], "another thread to send them", timeout_s=DEADLINE_S)
    assert it.sender.batches == []
    assert it.made == 2


def test_an_item_that_breaks_the_collector_is_set_aside(bench: Callable[..., Bench]) -> None:
    """Its mates went through, so it is the item's fault: not again soon, but not lost; without a folder it is."""
    it = bench(batch_items=1)
    it.put([0])
    assert it.worker.flush(DEADLINE_S)
    it.sender.answers = [BROKEN, BROKEN]
    it.put([1])
    it.put([2], home=None)
    it.put([3])

    assert it.worker.flush(DEADLINE_S)
    assert it.sender.taken == [0, 3]
    assert it.observer.seen["aside"] == ["aa-1"]
    assert it.dropped == [("traces", 1, "http_500")]


def test_items_from_a_folder_wait_for_what_is_live(bench: Callable[..., Bench]) -> None:
    """And its caller gets the results."""
    it = bench(batch_items=2, delay_s=0.0)
    it.sender.open.clear()
    it.put(range(2))
    assert it.sender.began.wait(DEADLINE_S)
    results: list[Parts[Item]] = []
    it.worker.offer([Item("traces", "old")], results.append)
    it.put(range(2, 4))
    it.sender.open.set()

    wait_until(lambda: results, "the batch to be sent", timeout_s=DEADLINE_S)
    assert it.sender.taken == [0, 1, 2, 3, "old"]
    assert [(len(items), result.verdict) for items, result in results[0]] == [(1, Verdict.DELIVERED)]


def test_while_the_collector_is_left_alone_items_of_folders_are_turned_away(bench: Callable[..., Bench]) -> None:
    """Nobody holds a folder while nothing can be sent."""
    it = bench()
    it.sender.answers = [SendResult(Verdict.LATER, "http_503", retry_after_s=60.0)]
    it.put([0])
    wait_until(lambda: not it.worker.ready, "the collector to be left alone", timeout_s=DEADLINE_S)
    results: list[Parts[Item]] = []
    it.worker.offer([Item("traces", "old")], results.append)

    wait_until(lambda: results, "an answer", timeout_s=DEADLINE_S)
    assert [(len(items), result.reason) for items, result in results[0]] == [(1, "not_now")]


def test_a_child_of_a_fork_begins_with_nothing(bench: Callable[..., Bench]) -> None:
    """What the parent queued is the parent's; the child has its own thread, queue and connections."""
    it = bench()
    it.senders.append(Sender())
    it.sender.open.clear()
    it.put(range(3))
    assert it.sender.began.wait(DEADLINE_S)

    it.worker.renew_after_fork()
    it.put(["child"])  # type: ignore[list-item]  # any data will do

    assert it.worker.flush(DEADLINE_S)
    assert it.senders[1].taken == ["child"]
    assert it.sender.batches == []
    it.sender.open.set()
