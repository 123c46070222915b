"""The delivery worker: the background thread that works on what is recorded, and decides what is sent when.

The requests themselves are made by `SendWorkers`.

Losing this thread, or anything queued here, loses nothing: every line is on disk already, and what the collector did not
acknowledge stays ``pending`` in the task's ledger. Queueing takes no lock, so it is safe in signal handlers, ``__del__`` and
garbage collection. Everything behind the two queues belongs to the worker's thread alone, and needs no lock either.

What is recorded waits in a queue whose first entry alone wakes the thread, which comes back for all of it after
`GATHER_S`. A flush and the result of a request come by the inbox, on which it sleeps.
"""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, cast

from opentelemetry import context as otel_context

from otel_agentlog._interrupts import raise_interrupt, started_in_try
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog._startup import dataclass
from otel_agentlog.export.pipeline.bisect import Parts
from otel_agentlog.export.pipeline.items import Item, ItemRef, LiveDeliveryObserver
from otel_agentlog.export.pipeline.signal_queue import SLOW_S, Batch, QueueLimits, SignalQueue
from otel_agentlog.export.pipeline.workers import SendWorkers, Work, WorkerThread
from otel_agentlog.export.transport.result import SendResult, Verdict
from otel_agentlog.export.transport.senders import Sender
from otel_agentlog.export.transport.suppression import uninstrumented_context

GATHER_S = 0.1
"""Time, in seconds, in which what is recorded gathers before the thread works on it, unless a flush waits for that.

It ends sooner where the queue fills. A recording call waits for the interpreter's lock, up to 5 ms, where the thread works: the
fewer times that it does, and the more at once, the fewer calls are slow.
"""

TAKEN_AT_ONCE = 1_000
"""How many recorded things are worked on before requests are looked after again."""

LINE_BYTES = 300
"""What a line takes in the queue besides its bytes: a tuple with its place, ids and time."""

WORK_BYTES = 600
"""What a piece of work of no size takes, such as a note that an item stays in its folder."""

STUCK_S = 120.0
"""Time, in seconds, after which a sending thread that did not come back is replaced; every request has a deadline far below."""

_NEVER = float("inf")

Flusher: TypeAlias = Callable[[float], None]
"""Flushes something else, such as metrics; takes the time it has in seconds, and raises if it could not."""


class Flush:
    """One call of `DeliveryWorker.flush`."""

    def __init__(self, timeout_s: float) -> None:
        self.deadline = time.monotonic() + timeout_s
        self.done = threading.Event()
        self.flushers_left = 0
        self.failed = False
        """Whether a flusher raised, or the worker stopped before."""

    @property
    def left_s(self) -> float:
        """The time that is left, in seconds."""
        return max(0.0, self.deadline - time.monotonic())


class Flushes:
    """All flushes that wait; belongs to the worker's thread, to which ``post`` brings the results of the flushers' threads."""

    def __init__(self, flushers: Sequence[Flusher], post: Callable[[Work], None]) -> None:
        self._flushers, self._post = flushers, post
        self._threads = [WorkerThread("agentlog-flush") for _ in flushers]
        self._waiting: list[Flush] = []

    def begin(self, flush: Flush) -> None:
        """Start the flushers for one more flush."""
        self._waiting.append(flush)
        flush.flushers_left = len(self._flushers)
        for thread, flusher in zip(self._threads, self._flushers, strict=True):
            thread.do(self._work(flush, flusher))

    def _work(self, flush: Flush, flusher: Flusher) -> Work:
        def finished() -> None:
            flush.flushers_left -= 1

        def work() -> None:
            try:
                flusher(flush.left_s)
            except BaseException:  # noqa: BLE001 - the SDK raises where it could not flush in time; the answer is no
                flush.failed = True
            self._post(finished)

        return work

    def settle(self, *, tried: bool) -> None:
        """End those that are done or too late; ``tried``: everything queued before them was tried."""
        for flush in self._waiting:
            if tried and not flush.flushers_left:
                flush.done.set()
        self._waiting = [flush for flush in self._waiting if not flush.done.is_set() and flush.left_s]

    def stop(self) -> None:
        """End the threads."""
        for thread in self._threads:
            thread.stop()


@dataclass(frozen=True, slots=True)
class _SizedWork:
    """Work that holds memory until it is done."""

    work: Work
    size_bytes: int


class _Signal:
    """A message that says nothing else."""


_END, _RING = _Signal(), _Signal()
"""Ends the thread; wakes it."""

Recorded: TypeAlias = tuple[bytes, Any, Any, Any, int, "str | None", bool, bool, bool, Any]
"""A line that was recorded, as `otel_agentlog.export.sink.ExportSink` queues it; its bytes first."""

_Record: TypeAlias = "Recorded | Item | _SizedWork | Work"
_Message: TypeAlias = "Flush | Batch | _Signal | Work"


class DeliveryWorker:
    """Takes items and work from any thread and handles them on its own, in order."""

    def __init__(
        self,
        senders: Mapping[str, Callable[[], Sender]],
        *,
        observer: LiveDeliveryObserver,
        failed: Callable[[str, BaseException], None],
        dropped: Callable[[str, int, str], None] = lambda signal, count, reason: None,
        limits: QueueLimits | None = None,
        flushers: Sequence[Flusher] = (),
        on_idle: Callable[[], None] = lambda: None,
    ) -> None:
        """``senders`` makes one by signal. ``failed`` is called with place and exception, ``dropped`` with signal, number and
        reason of
        items that are lost, ``on_idle`` when nothing waits and a collector may be tried."""
        self._signals, self._observer, self._failed, self._dropped = tuple(senders), observer, failed, dropped
        self._sending = SendWorkers(senders, failed)
        self._limits = limits = limits or QueueLimits()
        self._ample_bytes = min(limits.line_bytes, limits.queue_bytes) // 2
        self._ample_items = limits.queue_items // 2
        """Of so much that waits there is room for more, whatever it is."""
        self._flushers, self._on_idle = flushers, on_idle
        self.on_line: Callable[[Recorded], None] = lambda line: None
        """Makes items of a line; called on the worker's thread."""
        self.on_taken: Work = lambda: None
        """Called after some of them."""
        self._stopping = False
        self._start_anew()
        after_fork_in_child(self.renew_after_fork)

    def _start_anew(self) -> None:
        self._recorded: SimpleQueue[_Record] = SimpleQueue()
        self._inbox: SimpleQueue[_Message] = SimpleQueue()
        self._asleep = False
        """Whether the thread must be woken for what is recorded."""
        self._gathers = False
        """Whether it waits for more to come."""
        self._startable = [None]
        """Popped by the caller that starts the thread; popping a list is atomic."""
        self._thread_id: int | None = None
        self._queued_bytes = self._taken_bytes = 0
        self._worked_on = 0
        """How many of what was recorded."""
        self._flushes_due: list[tuple[int, Flush]] = []
        """Flushes that have not begun, each with how much is to be worked on before."""
        self._is_behind = False
        """Whether more was recorded than was worked on in one turn."""
        self._queues = {signal: SignalQueue(signal, self._limits, self._observer, self._dropped) for signal in self._signals}
        self._flushes = Flushes(self._flushers, self._inbox.put)
        self._writer = WorkerThread("agentlog-receipts")
        self._timers: list[tuple[float, Work]] = []

    def renew_after_fork(self) -> None:
        """In the child of a fork: it has neither the threads nor a right to the parent's queue and connections."""
        self._sending.renew_after_fork()
        self._start_anew()

    # -- called by any thread ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread now; the first piece of work does it too."""
        entry = started_in_try(self._run)
        try:
            self._startable.pop()
        except IndexError:
            raise_interrupt()
            return
        try:
            # Not threading.Thread: starting one takes a lock that a signal handler may have interrupted.
            _thread.start_new_thread(entry, ())
        except RuntimeError:
            raise_interrupt()
            # The interpreter is ending, and starts no threads: the caller of flush() does the work.
            self._startable.append(None)

    def put(self, item: Item) -> None:
        """Queue a span or log record; where memory is full it stays in its folder, to be sent later."""
        if self._stopping or item.signal not in self._signals:
            return
        if threading.get_ident() == self._thread_id:
            # Made by work that came before everything in the inbox.
            self._queues[item.signal].add(item)
            return
        if self._is_full:
            self.leave(item.signal, (item.ref,))
            return
        self._queued_bytes += item.size_bytes
        self._record(item)

    def add(self, item: Item) -> None:
        """The same for an item made on the worker's thread."""
        self._queues[item.signal].add(item)

    def take(self, line: Recorded, *, always: bool = False) -> bool:
        """Queue a line; false if there is no room for it. ``always``: one that gets in for longer, but not without end."""
        waiting, queue = self._queued_bytes - self._taken_bytes, self._recorded
        half_full = waiting > self._ample_bytes or queue.qsize() >= self._ample_items
        if self._stopping or (half_full and not self._has_room(line, waiting, always)):
            return False
        size = len(line[0]) + LINE_BYTES
        self._queued_bytes += size
        queue.put(line)
        if self._asleep or self._startable:
            self._wake()
        elif half_full and self._gathers:
            # Waiting for more would fill the queue.
            self._gathers = False
            self._inbox.put(_RING)
        return True

    def _has_room(self, line: Recorded, waiting: int, always: bool) -> bool:
        limits, messages = self._limits, self._recorded.qsize()
        most = limits.line_bytes if line[5] is not None and line[6] else limits.queue_bytes
        if waiting <= most and messages < limits.queue_items:
            return True
        return always and waiting <= 2 * most and messages < limits.messages

    def do(self, work: Work, size_bytes: int = 0) -> bool:
        """Queue a piece of work, which may put items; false if there is no room for the memory it holds.

        Work of no size gets in for longer than other work, but not without end.
        """
        limits = self._limits
        if size_bytes:
            full = self._is_full
        else:
            full = self._waiting_bytes > 2 * limits.line_bytes or self._recorded.qsize() >= limits.messages
        if self._stopping or full:
            return False
        taken = size_bytes or WORK_BYTES
        self._queued_bytes += taken
        self._record(_SizedWork(work, size_bytes) if size_bytes else work)
        return True

    def leave(self, signal: str, refs: Sequence[ItemRef]) -> None:
        """Leave items where they are: they are sent from their folders later."""
        queue = self._queues.get(signal)
        if queue is None or self._stopping or not refs:
            return
        on_thread = threading.get_ident() == self._thread_id
        if on_thread or not self.do(lambda: queue.leave(refs, "queue_full")):
            # The thread is far behind: what it is to do must not become a leak of memory.
            queue.leave(refs, "queue_full")

    def at(self, delay_s: float, work: Work) -> None:
        """Do something short on the worker's thread after a delay in seconds."""
        due = time.monotonic() + delay_s
        if not self._stopping:
            self._push(lambda: self._timers.append((due, work)))

    def write_at(self, delay_s: float, work: Work) -> None:
        """Do something that writes files on a thread that is for that, after a delay in seconds."""
        writer = self._writer
        if delay_s > 0:
            self.at(delay_s, lambda: writer.do(work))
        elif not self._stopping:
            writer.do(work)

    @property
    def ready(self) -> bool:
        """Whether any collector may be tried now."""
        return not self._stopping and any(queue.backoff.ready for queue in self._queues.values())

    @property
    def _waiting_bytes(self) -> int:
        return self._queued_bytes - self._taken_bytes

    @property
    def _is_full(self) -> bool:
        return self._waiting_bytes > self._limits.queue_bytes or self._recorded.qsize() >= self._limits.queue_items

    def _record(self, record: _Record) -> None:
        self._recorded.put(record)
        if self._asleep or self._startable:
            self._wake()

    def _wake(self) -> None:
        if self._asleep:
            self._asleep = False
            self._inbox.put(_RING)
        if self._startable:
            self.start()

    def _push(self, message: _Message) -> None:
        self._inbox.put(message)
        if self._startable:
            self.start()

    def offer(self, items: Sequence[Item], on_done: Callable[[Parts[Item]], None]) -> None:
        """Send items of one signal when nothing live waits; ``on_done`` gets the results, ``[]`` if the worker stops."""
        if self._stopping:
            on_done([])
        else:
            self._push(Batch(items, on_done))

    def flush(self, timeout_s: float) -> bool:
        """Send what is queued; whether everything was tried in time, taken or not."""
        if self._stopping:
            return True
        if threading.get_ident() == self._thread_id:
            return False
        if self._recorded.empty() and self._inbox.empty() and self._startable and not self._flushers:
            return True
        flush = Flush(timeout_s)
        self._push(flush)
        if self._startable:
            self._work_here(flush)
        return flush.done.wait(flush.left_s) and not flush.failed

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
        self.set_deadline(time.monotonic() + timeout_s)
        done = self.flush(timeout_s)
        self._stopping = True
        if self._startable:
            self._end()
        else:
            self._inbox.put(_END)
        return done

    def set_deadline(self, deadline: float) -> None:
        """No request may take longer than until this moment on the monotonic clock."""
        self._sending.set_deadline(deadline)

    # -- on the worker's thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        otel_context.attach(uninstrumented_context())
        self._thread_id = threading.get_ident()
        try:
            while self._turn():
                pass
            self._end()
        finally:
            self._thread_id = None
            if not self._stopping:
                self._startable.append(None)

    def _turn(self, until: float = _NEVER) -> bool:
        """Wait for something to do, and do it; false at the end. Raises nothing."""
        message = self._next(until)
        if message is _END:
            return False
        if isinstance(message, Flush):
            self._flushes_due.append((self._worked_on + self._recorded.qsize(), message))
        self._take(0 if self._must_wait else TAKEN_AT_ONCE)
        self._try(self.on_taken)
        # Each on its own: one that fails must not keep the others from being done.
        if message is not None:
            self._try(lambda: self._handle(message))
        # All that was recorded before a flush was asked for is done before it.
        while self._flushes_due and (self._flushes_due[0][0] <= self._worked_on or not self._is_behind):
            self._try(partial(self._begin, self._flushes_due.pop(0)[1]))
        self._try(self._do_timers)
        self._try(self._send)
        self._try(lambda: self._flushes.settle(tried=all(queue.flushed for queue in self._queues.values())))
        return True

    def _try(self, work: Work) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - nothing that an exporter or an observer raises may end this thread
            self._failed("export", error)

    def _next(self, until: float) -> _Message | None:
        """The next message, or ``None`` when queues, timers or what was recorded are due."""
        wake_at = min([until, *(queue.wake_at() for queue in self._queues.values()), *(due for due, _ in self._timers)])
        if any(queue.busy is not None for queue in self._queues.values()):
            wake_at = min(wake_at, time.monotonic() + STUCK_S)
        if self._is_behind:
            return self._message(min(wake_at, time.monotonic() + SLOW_S) if self._must_wait else 0.0)
        # A record from here on wakes the thread; what came before is seen.
        self._asleep = True
        if self._recorded.empty():
            message = self._message(wake_at)
            if message is not _RING:
                self._asleep = False
                return message
        self._asleep = False
        # More comes right behind it: one turn is for all of it.
        self._gathers = True
        gather_s = 0.0 if self._waiting_bytes > self._limits.line_bytes // 2 else min(GATHER_S, self._limits.delay_s)
        message = self._message(min(wake_at, time.monotonic() + gather_s))
        self._gathers = False
        return message

    @property
    def _must_wait(self) -> bool:
        """Whether what is recorded waits as lines: they take less memory than what is made of them, and more of them fit."""
        return any(queue.is_half_full for queue in self._queues.values())

    def _message(self, wake_at: float) -> _Message | None:
        """The next message that comes until this moment."""
        try:
            if wake_at == _NEVER:
                return self._inbox.get()
            sleep_s = wake_at - time.monotonic()
            return self._inbox.get(timeout=sleep_s) if sleep_s > 0 else self._inbox.get_nowait()
        except Empty:
            return None

    def _take(self, most: int) -> None:
        """Work on what was recorded."""
        recorded, on_line = self._recorded, self.on_line
        for _ in range(most):
            try:
                record = recorded.get_nowait()
            except Empty:
                self._is_behind = False
                self._queued_bytes = self._taken_bytes
                return
            self._worked_on += 1
            try:
                if type(record) is tuple:
                    self._taken_bytes += len(record[0]) + LINE_BYTES
                    on_line(cast(Recorded, record))
                else:
                    self._work_on(cast("Item | _SizedWork | Work", record))
            except BaseException as error:  # noqa: BLE001 - as in `_try`
                self._failed("export", error)
        self._is_behind = not recorded.empty()

    def _work_on(self, record: Item | _SizedWork | Work) -> None:
        if isinstance(record, Item):
            self._taken_bytes += record.size_bytes
            self._queues[record.signal].add(record)
        elif isinstance(record, _SizedWork):
            self._taken_bytes += record.size_bytes
            record.work()
        else:
            self._taken_bytes += WORK_BYTES
            record()

    def _handle(self, message: _Message) -> None:
        if isinstance(message, Batch):
            self._queues[message.items[0].signal].offer(message)
        elif not isinstance(message, (Flush, _Signal)):
            message()

    def _begin(self, flush: Flush) -> None:
        for queue in self._queues.values():
            queue.flush()
        self._flushes.begin(flush)

    def _do_timers(self) -> None:
        now = time.monotonic()
        for timer in [timer for timer in self._timers if timer[0] <= now]:
            self._timers.remove(timer)
            timer[1]()

    def _send(self) -> None:
        for signal, queue in self._queues.items():
            busy = queue.busy
            if busy is not None and time.monotonic() - busy.sent_at > STUCK_S and self._sending.replace(signal):
                queue.finish(busy, [(busy.items, SendResult(Verdict.LATER, "timeout", "stuck"))])
            batch = queue.next()
            if batch is not None:
                self._send_batch(queue, batch)
        if not self._stopping and any(queue.idle for queue in self._queues.values()):
            self._on_idle()

    def _send_batch(self, queue: SignalQueue, batch: Batch) -> None:
        def on_done(parts: Parts[Item]) -> None:
            self._inbox.put(lambda: queue.finish(batch, parts))

        self._sending.send(queue.signal, batch.items, queue.backoff.trusted, on_done)

    def _end(self) -> None:
        for queue in self._queues.values():
            queue.stop()
        self._flushes.stop()
        self._sending.stop()
        self._writer.stop()
        self._release_callers()

    def _release_callers(self) -> None:
        """Answer the flushes and offers that came too late, so that no caller waits for a thread that has ended."""
        self._recorded = SimpleQueue()
        messages: list[_Message] = [flush for _, flush in self._flushes_due]
        while not self._inbox.empty():
            messages.append(self._inbox.get_nowait())
        for message in messages:
            if isinstance(message, Flush):
                message.failed = True
                message.done.set()
            elif isinstance(message, Batch) and message.on_done is not None:
                message.on_done([])
