"""Threads that do what may take its time, so that the courier's own never waits for a network.

A hand is made when it is first needed, does one thing after another, and can be left behind if it gets stuck.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue

from opentelemetry import context as otel_context

from otel_agentlog._fork import forks_wait
from otel_agentlog.export.pipeline.bisect import Parts, deliver
from otel_agentlog.export.pipeline.signal_queue import Item
from otel_agentlog.export.transport.quiet import suppressed
from otel_agentlog.export.transport.response import Outcome, Verdict
from otel_agentlog.export.transport.senders import Sender

Work = Callable[[], None]

_buried: list[object] = []
"""What must neither be used nor closed: senders of a parent process, whose destructors would speak on its connections, and those
of a hand that is stuck."""


class Hand:
    """Does what it is given, in order; what is given must not raise."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.RLock()
        """Re-entrant, because a signal handler may flush while its own thread begins one."""

    def do(self, work: Work) -> None:
        """Have something done; at the end of the interpreter, where no threads begin, it is done here and now."""
        if self._has_thread():
            self._queue.put(work)
        else:
            work()

    def _has_thread(self) -> bool:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    return False
                self._thread = thread
        return True

    def stop(self) -> None:
        """End the thread when it has done what it was given."""
        if self._thread is not None:
            self._queue.put(None)

    def _run(self) -> None:
        otel_context.attach(suppressed())
        while (work := self._queue.get()) is not None:
            work()


class SendingHands:
    """One hand and one sender for each signal; the sender is made by its hand, when there is something to send."""

    def __init__(self, makers: Mapping[str, Callable[[], Sender]], failed: Callable[[str, BaseException], None]) -> None:
        self._makers, self._failed = makers, failed
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._hands = {signal: Hand(f"agentlog-{signal}") for signal in self._makers}
        self._senders: dict[str, Sender] = {}
        self._until: float | None = None

    def renew_after_fork(self) -> None:
        """In the child of a fork: it has neither the threads nor a right to the parent's connections."""
        _buried.append((self._hands, self._senders))
        self._begin_anew()

    def send(self, signal: str, items: Sequence[Item], trusted: bool, told: Callable[[Parts[Item]], None]) -> None:
        """Have items sent; ``told`` is told what became of them, by the hand. Raises nothing."""

        def work() -> None:
            parts: Parts[Item] = [(items, Outcome(Verdict.LATER, "export_failed"))]
            try:
                sender = self._sender(signal)
                parts = deliver(lambda part: sender.send([item.data for item in part]), items, trusted=trusted)
            except BaseException as error:  # noqa: BLE001 - whatever an exporter raises must not end its hand
                self._failed("export", error)
            told(parts)

        self._hands[signal].do(work)

    def _sender(self, signal: str) -> Sender:
        if signal not in self._senders:
            with forks_wait():
                self._senders[signal] = self._makers[signal]()
        sender = self._senders[signal]
        sender.until = self._until
        return sender

    def hurry(self, until: float) -> None:
        """No request may take longer than until this moment on the monotonic clock."""
        self._until = until
        for sender in list(self._senders.values()):
            sender.until = until

    def leave_behind(self, signal: str) -> None:
        """Give up a hand that does not come back; the next one makes a sender of its own."""
        _buried.append((self._hands[signal], self._senders.pop(signal, None)))
        self._hands[signal] = Hand(f"agentlog-{signal}")

    def stop(self) -> None:
        """End the threads and let go of the connections."""
        for hand in self._hands.values():
            hand.stop()
        for sender in self._senders.values():
            try:
                sender.shutdown()
            except Exception as error:  # noqa: BLE001 - exporters are others' code
                self._failed("export", error)


# -- Who waits until all that was queued before was tried, and what else is flushed for them, such as metrics.

Flusher = Callable[[float], None]
"""Flushes something of its own; is given the time it has in seconds."""


class Flush:
    """Somebody who waits, until a moment on the monotonic clock."""

    def __init__(self, timeout_s: float) -> None:
        self.deadline = time.monotonic() + timeout_s
        self.done = threading.Event()
        self.others = 0
        """Flushers that have not come back."""
        self.in_vain = False
        """Whether one of them could not do it."""

    @property
    def left_s(self) -> float:
        """The time that is left, in seconds."""
        return max(0.0, self.deadline - time.monotonic())


class Flushes:
    """All who wait; belongs to the courier's thread, to which `post` takes what the flushers' own threads have to say."""

    def __init__(self, flushers: Sequence[Flusher], post: Callable[[Callable[[], None]], None]) -> None:
        self._flushers, self._post = flushers, post
        self._hands = [Hand("agentlog-flush") for _ in flushers]
        self._waiting: list[Flush] = []

    def begin(self, flush: Flush) -> None:
        """Somebody waits from now on."""
        self._waiting.append(flush)
        flush.others = len(self._flushers)
        for hand, flusher in zip(self._hands, self._flushers, strict=True):
            hand.do(self._flushing(flush, flusher))

    def answer(self, *, tried: bool) -> None:
        """Tell those who waited long enough; ``tried`` says that all was tried that was queued."""
        for flush in self._waiting:
            if tried and not flush.others:
                flush.done.set()
        self._waiting = [flush for flush in self._waiting if not flush.done.is_set() and flush.left_s]

    def stop(self) -> None:
        """End the threads."""
        for hand in self._hands:
            hand.stop()

    def _flushing(self, flush: Flush, flusher: Flusher) -> Callable[[], None]:
        def came_back() -> None:
            flush.others -= 1

        def work() -> None:
            try:
                flusher(flush.left_s)
            except BaseException:  # noqa: BLE001 - the SDK raises where it could not flush in time; the answer is no
                flush.in_vain = True
            self._post(came_back)

        return work
