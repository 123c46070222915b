"""The one background thread that decides what is sent when; the sending itself, which may take its time, is done by hands.

Hides queueing, batching and deadlines. Losing this thread, or anything in its queue, loses nothing: every line is on disk
already, and what the collector did not acknowledge stays ``pending`` in the task's ledger. Putting something into the queue
takes no lock, so it is safe in signal handlers, ``__del__`` and garbage collection. Everything behind the queue belongs to the
courier's thread alone, and needs no lock either.
"""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from opentelemetry import context as otel_context

from otel_agentlog._fork import after_fork_in_child
from otel_agentlog.export.pipeline.bisect import Parts
from otel_agentlog.export.pipeline.signal_queue import Item, Lane, Limits, Parcel, Receipts, Ticket
from otel_agentlog.export.pipeline.workers import Flush, Flusher, Flushes, SendingHands
from otel_agentlog.export.transport.quiet import suppressed
from otel_agentlog.export.transport.response import Outcome, Verdict
from otel_agentlog.export.transport.senders import Sender

STUCK_S = 120.0
"""Time, in seconds, after which a hand that did not come back is left behind; every request has a deadline far below."""

_NEVER = float("inf")
_NOTHING, _END = object(), object()


@dataclass(frozen=True, slots=True)
class _Sized:
    """Work that holds memory until it is done."""

    work: Callable[[], None]
    size_bytes: int


class Courier:
    """Takes work from any thread and does it on its own, in order."""

    def __init__(
        self,
        senders: Mapping[str, Callable[[], Sender]],
        *,
        receipts: Receipts,
        failed: Callable[[str, BaseException], None],
        dropped: Callable[[str, int, str], None] = lambda signal, count, reason: None,
        limits: Limits | None = None,
        flushers: Sequence[Flusher] = (),
        on_calm: Callable[[], None] = lambda: None,
    ) -> None:
        """``failed`` counts and reports errors, ``dropped`` is told signal, number and reason of items that are lost,
        ``on_calm`` is called when nothing waits and a collector may be spoken to."""
        self._signals, self._receipts, self._failed, self._dropped = tuple(senders), receipts, failed, dropped
        self._sending = SendingHands(senders, failed)
        self._limits = limits or Limits()
        self._flushers, self._on_calm = flushers, on_calm
        self._stopping = False
        self._begin_anew()
        after_fork_in_child(self.renew_after_fork)

    def _begin_anew(self) -> None:
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._idle = [None]
        """Popped by whoever starts the thread; popping a list is atomic."""
        self._thread_id: int | None = None
        self._came_bytes = self._took_bytes = 0
        self._lanes = {signal: Lane(signal, self._limits, self._receipts, self._dropped) for signal in self._signals}
        self._flushes = Flushes(self._flushers, self._queue.put)
        self._timers: list[tuple[float, Callable[[], None]]] = []

    def renew_after_fork(self) -> None:
        """In the child of a fork: it has neither the threads nor a right to the parent's queue and connections."""
        self._sending.renew_after_fork()
        self._begin_anew()

    # -- any thread -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread now; the first piece of work does it too."""
        try:
            self._idle.pop()
        except IndexError:
            return
        try:
            # Not threading.Thread: starting one takes a lock that a signal handler may have interrupted.
            _thread.start_new_thread(self._run, ())
        except RuntimeError:
            # The interpreter is ending, and starts no threads: whoever flushes does the work.
            self._idle.append(None)

    def put(self, item: Item) -> None:
        """Queue a span or log record; one too many for the memory stays in its folder for later."""
        if self._stopping or item.signal not in self._signals:
            return
        if threading.get_ident() == self._thread_id:
            # Made of work that came before whatever is in the queue now.
            self._lanes[item.signal].add(item)
            return
        if self._is_full:
            self.leave(item.signal, (item.ticket,))
            return
        self._came_bytes += item.size_bytes
        self._push(item)

    def do(self, work: Callable[[], None], size_bytes: int = 0) -> bool:
        """Queue a piece of work that can wait and may put items; false if the memory it would take is taken already."""
        if self._stopping or (size_bytes and self._is_full):
            return False
        self._came_bytes += size_bytes
        self._push(_Sized(work, size_bytes) if size_bytes else work)
        return True

    def leave(self, signal: str, tickets: Sequence[Ticket]) -> None:
        """Leave items that were made of lines where they are: they are sent from their folders later."""
        if signal in self._lanes:
            self.do(lambda: self._lanes[signal].leave(tickets, "queue_full"))

    def at(self, delay_s: float, work: Callable[[], None]) -> None:
        """Have something short done on the courier's thread after a while."""
        due = time.monotonic() + delay_s
        self.do(lambda: self._timers.append((due, work)))

    @property
    def ready(self) -> bool:
        """Whether any collector may be spoken to now."""
        return not self._stopping and any(lane.breaker.ready for lane in self._lanes.values())

    @property
    def _is_full(self) -> bool:
        waiting = self._came_bytes - self._took_bytes
        return waiting > self._limits.queue_bytes or self._queue.qsize() >= self._limits.queue_items

    def _push(self, work: Any) -> None:
        self._queue.put(work)
        if self._idle:
            self.start()

    def offer(self, items: Sequence[Item], told: Callable[[Parts[Item]], None]) -> None:
        """Send items of one signal when nothing live waits; ``told`` is told what became of them, ``[]`` if the courier ends."""
        if self._stopping:
            told([])
        else:
            self._push(Parcel(items, told))

    def flush(self, timeout_s: float) -> bool:
        """Send what is queued; whether that was done in time. What was sent in vain counts as done."""
        if self._stopping:
            return True
        if threading.get_ident() == self._thread_id:
            return False
        if self._queue.empty() and self._idle and not self._flushers:
            return True
        flush = Flush(timeout_s)
        self._push(flush)
        if self._idle:
            self._work_here(flush)
        return flush.done.wait(flush.left_s) and not flush.in_vain

    def _work_here(self, flush: Flush) -> None:
        """Do the thread's work where there can be no thread."""
        self._thread_id = threading.get_ident()
        try:
            while flush.left_s and not flush.done.is_set():
                self._turn(flush.deadline)
        finally:
            self._thread_id = None

    def shutdown(self, timeout_s: float) -> bool:
        """Send what is queued, at most for ``timeout_s`` seconds, and stop."""
        self.hurry(time.monotonic() + timeout_s)
        done = self.flush(timeout_s)
        self._stopping = True
        if self._idle:
            self._end()
        else:
            self._queue.put(_END)
        return done

    def hurry(self, until: float) -> None:
        """No request may take longer than until this moment on the monotonic clock."""
        self._sending.hurry(until)

    # -- own thread -------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        otel_context.attach(suppressed())
        self._thread_id = threading.get_ident()
        try:
            while self._turn():
                pass
            self._end()
        finally:
            self._thread_id = None
            if not self._stopping:
                self._idle.append(None)

    def _turn(self, until: float = _NEVER) -> bool:
        """Wait for something to do and do it; false if that is the end. Raises nothing."""
        work = self._next(until)
        if work is _END:
            return False
        # Each on its own: what fails must not keep those waiting who wait for the rest.
        if work is not _NOTHING:
            self._try(lambda: self._take(work))
        self._try(self._do_timers)
        self._try(self._send)
        self._try(self._answer_flushes)
        return True

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - nothing that an exporter or a receipt raises may end this thread
            self._failed("export", error)

    def _next(self, until: float) -> Any:
        wake_at = min([until, *(lane.wake_at() for lane in self._lanes.values()), *(due for due, _ in self._timers)])
        if any(lane.busy is not None for lane in self._lanes.values()):
            wake_at = min(wake_at, time.monotonic() + STUCK_S)
        try:
            if wake_at == _NEVER:
                return self._queue.get()
            sleep_s = wake_at - time.monotonic()
            return self._queue.get(timeout=sleep_s) if sleep_s > 0 else self._queue.get_nowait()
        except Empty:
            self._came_bytes = self._took_bytes
            return _NOTHING

    def _take(self, work: Any) -> None:
        if isinstance(work, Item):
            self._took_bytes += work.size_bytes
            self._lanes[work.signal].add(work)
        elif isinstance(work, Flush):
            for lane in self._lanes.values():
                lane.push()
            self._flushes.begin(work)
        elif isinstance(work, Parcel):
            self._lanes[work.items[0].signal].offer(work)
        elif isinstance(work, _Sized):
            self._took_bytes += work.size_bytes
            work.work()
        else:
            work()

    def _do_timers(self) -> None:
        now = time.monotonic()
        for timer in [timer for timer in self._timers if timer[0] <= now]:
            self._timers.remove(timer)
            timer[1]()

    def _send(self) -> None:
        for signal, lane in self._lanes.items():
            if lane.busy is not None and time.monotonic() - lane.busy.sent_at > STUCK_S:
                self._leave_behind(signal, lane)
            parcel = lane.next()
            if parcel is not None:
                self._hand_out(signal, lane, parcel)
        if not self._stopping and any(lane.calm for lane in self._lanes.values()):
            self._on_calm()

    def _hand_out(self, signal: str, lane: Lane, parcel: Parcel) -> None:
        def told(parts: Parts[Item]) -> None:
            self._queue.put(lambda: lane.came_back(parcel, parts))

        self._sending.send(signal, parcel.items, lane.breaker.trusted, told)

    def _leave_behind(self, signal: str, lane: Lane) -> None:
        assert lane.busy is not None
        self._sending.leave_behind(signal)
        lane.came_back(lane.busy, [(lane.busy.items, Outcome(Verdict.LATER, "timeout", "stuck"))])

    def _answer_flushes(self) -> None:
        self._flushes.answer(tried=all(lane.pushed for lane in self._lanes.values()))

    def _end(self) -> None:
        for lane in self._lanes.values():
            lane.abandon()
        self._flushes.stop()
        self._sending.stop()
        self._turn_away()

    def _turn_away(self) -> None:
        """Tell those who came too late, so that nobody waits for a thread that is gone."""
        while not self._queue.empty():
            work = self._queue.get_nowait()
            if isinstance(work, Flush):
                work.in_vain = True
                work.done.set()
            elif isinstance(work, Parcel) and work.told is not None:
                work.told([])
