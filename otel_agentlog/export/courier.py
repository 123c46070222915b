"""The one background thread that sends: spans and log records in batches, metrics on the way.

Hides queueing, batching and deadlines. Losing this thread, or anything in its queue, loses nothing: every line is on disk
already, and what the collector did not acknowledge stays ``pending`` in the task's ledger. Putting something into the queue
takes no lock, so it is safe in signal handlers, ``__del__`` and garbage collection.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from opentelemetry import context as otel_context

from otel_agentlog.export.suppress import suppressed


@dataclass(frozen=True)
class Ticket:
    """Which line an item was made from, so that its delivery can be noted there."""

    home: Any
    """The task's folder as `store` knows it; ``None`` for an item outside every task."""
    event_id: str | None


@dataclass(frozen=True)
class Item:
    """One finished span or log record on its way."""

    signal: str
    """``traces`` or ``logs``."""
    data: Any
    ticket: Ticket


class Sender(Protocol):
    """Sends a batch; returns ``None`` if it was acknowledged, else the reason why not."""

    def send(self, batch: Sequence[Any]) -> str | None: ...
    def shutdown(self) -> None: ...


Receipt = Callable[[str, Sequence[Ticket], "str | None"], None]
"""Told signal, tickets and ``None`` (acknowledged) or the reason why not."""


class _Flush:
    def __init__(self) -> None:
        self.done = threading.Event()


_couriers: weakref.WeakSet[Courier] = weakref.WeakSet()


def _forget_parents_work() -> None:
    for courier in list(_couriers):
        courier.forget()


os.register_at_fork(after_in_child=_forget_parents_work)


class Courier:
    """Takes work from any thread and does it on its own, in order."""

    def __init__(
        self,
        senders: Mapping[str, Callable[[], Sender]],
        *,
        receipt: Receipt,
        failed: Callable[[str, BaseException], None],
        queue_size: int,
        batch_size: int,
        delay_s: float,
    ) -> None:
        self._makers = senders
        self._senders: dict[str, Sender] = {}
        self._receipt, self._failed = receipt, failed
        self._queue_size, self._batch_size, self._delay_s = queue_size, batch_size, delay_s
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._waiting: dict[str, list[Item]] = {}
        self._stopping = False
        self._thread: threading.Thread | None = None
        _couriers.add(self)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="agentlog-courier", daemon=True)
        self._thread.start()

    def forget(self) -> None:
        """In the child of a fork: it has neither the thread nor a right to the parent's queue and sockets."""
        self._queue, self._waiting, self._senders, self._thread = SimpleQueue(), {}, {}, None

    def _push(self, work: Any) -> None:
        if self._thread is None:
            self._start()
        self._queue.put(work)

    # -- any thread -------------------------------------------------------------------------------------------------------

    def put(self, item: Item) -> None:
        """Queue a span or log record; one too many for the queue stays in the folder for later."""
        if self._stopping or item.signal not in self._makers:
            return
        if self._queue.qsize() >= self._queue_size:
            self._receipt(item.signal, (item.ticket,), "queue_full")
            return
        self._push(item)

    def do(self, work: Callable[[], None]) -> None:
        """Queue a piece of work that can wait; it may put items."""
        if not self._stopping:
            self._push(work)

    def flush(self, timeout_s: float) -> bool:
        """Send what is queued; whether that was done in time. What was sent in vain counts as done."""
        if self._thread is None:
            return True
        if not self._thread.is_alive() or threading.current_thread() is self._thread:
            return False
        flush = _Flush()
        self._queue.put(flush)
        return flush.done.wait(timeout_s)

    def shutdown(self, timeout_s: float) -> bool:
        """Send what is queued, at most for ``timeout_s`` seconds, and stop."""
        done = self.flush(timeout_s)
        self._stopping = True
        for sender in list(self._senders.values()):
            try:
                sender.shutdown()
            except Exception as error:  # noqa: BLE001 - exporters are others' code
                self._failed("export", error)
        self._queue.put(None)
        return done

    # -- own thread -------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        otel_context.attach(suppressed())
        while True:
            try:
                if not self._turn():
                    return
            except BaseException as error:  # noqa: BLE001 - nothing that an exporter raises may end this thread
                self._failed("export", error)

    def _turn(self) -> bool:
        deadline = None
        while True:
            timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                task = self._queue.get(timeout=timeout)
            except Empty:
                self._send_all()
                return True
            if task is None:
                return False
            self._take(task)
            if deadline is None and any(self._waiting.values()):
                deadline = time.monotonic() + self._delay_s

    def _take(self, task: Any) -> None:
        if isinstance(task, Item):
            waiting = self._waiting.setdefault(task.signal, [])
            waiting.append(task)
            if len(waiting) >= self._batch_size:
                self._send(task.signal)
        elif isinstance(task, _Flush):
            try:
                self._send_all()
            finally:
                task.done.set()
        else:
            task()

    def _send_all(self) -> None:
        for signal in list(self._waiting):
            self._send(signal)

    def _send(self, signal: str) -> None:
        batch, self._waiting[signal] = self._waiting.get(signal, []), []
        if not batch:
            return
        reason: str | None = "export_failed"
        try:
            sender = self._senders.get(signal)
            if sender is None:
                sender = self._senders[signal] = self._makers[signal]()
            reason = sender.send([item.data for item in batch])
        finally:
            self._receipt(signal, [item.ticket for item in batch], reason)
