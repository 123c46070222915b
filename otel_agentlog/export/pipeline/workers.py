"""The threads that do what may take long, so that the delivery worker's own thread never waits for a network.

`WorkerThread` does one piece of work after another; `SendWorkers` has one of them, and one sender, for each signal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from typing import TypeAlias

from opentelemetry import context as otel_context

from otel_agentlog._interrupts import OwnThread, raise_interrupt
from otel_agentlog._platform.fork import forks_wait
from otel_agentlog.export.pipeline.bisect import Parts, send_in_parts
from otel_agentlog.export.pipeline.items import Item
from otel_agentlog.export.transport.result import SendResult, Verdict
from otel_agentlog.export.transport.senders import Sender
from otel_agentlog.export.transport.suppression import uninstrumented_context

Work: TypeAlias = Callable[[], None]

MAX_STUCK = 4
"""Threads that may be stuck at once. Past it a signal waits for one of them: what hangs for ever must not take more and more."""

_kept_alive: list[object] = []
"""Senders that must neither be used nor closed: those of a parent process, whose destructors would write to its connections,
and those of a thread that is stuck."""


class WorkerThread:
    """A daemon thread, begun with its first piece of work, that does what it is given in order; the work must not raise."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.RLock()
        """Re-entrant, because a signal handler may flush while its own thread begins one."""

    def do(self, work: Work) -> None:
        """Queue a piece of work; at the end of the interpreter, where no threads begin, it is done here and now."""
        if self._has_thread():
            self._queue.put(work)
        else:
            work()

    def _has_thread(self) -> bool:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                thread = OwnThread(self._run, self._name)
                try:
                    thread.start()
                except RuntimeError:
                    raise_interrupt()
                    return False
                self._thread = thread
        return True

    @property
    def is_alive(self) -> bool:
        """Whether its thread has not ended."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """End the thread when it has done what it was given."""
        if self._thread is not None:
            self._queue.put(None)

    def _run(self) -> None:
        otel_context.attach(uninstrumented_context())
        work = self._queue.get()
        while work is not None:
            work()
            # While there is nothing to do, what was done must not be kept alive.
            del work
            work = self._queue.get()


class SendWorkers:
    """One thread and one sender for each signal; the sender is made by its thread, when there is something to send."""

    def __init__(self, makers: Mapping[str, Callable[[], Sender]], failed: Callable[[str, BaseException], None]) -> None:
        """``failed`` is called with ``export`` and whatever a sender raises."""
        self._makers, self._failed = makers, failed
        self._start_anew()

    def _start_anew(self) -> None:
        self._threads = {signal: WorkerThread(f"agentlog-{signal}") for signal in self._makers}
        self._senders: dict[str, Sender] = {}
        self._stuck: list[WorkerThread] = []
        self._deadline: float | None = None

    def renew_after_fork(self) -> None:
        """In the child of a fork: it has neither the threads nor a right to the parent's connections."""
        _kept_alive.append((self._threads, self._senders))
        self._start_anew()

    def send(self, signal: str, items: Sequence[Item], trusted: bool, on_done: Callable[[Parts[Item]], None]) -> None:
        """Send items in the background; ``on_done`` is called with the results by the thread that sent. Raises nothing."""

        def work() -> None:
            parts: Parts[Item] = [(items, SendResult(Verdict.LATER, "export_failed"))]
            try:
                sender = self._sender(signal)
                parts = send_in_parts(lambda part: sender.send([item.data for item in part]), items, trusted=trusted)
            except BaseException as error:  # noqa: BLE001 - whatever an exporter raises must not end its thread
                self._failed("export", error)
            on_done(parts)

        self._threads[signal].do(work)

    def _sender(self, signal: str) -> Sender:
        if signal not in self._senders:
            with forks_wait():
                self._senders[signal] = self._makers[signal]()
        sender = self._senders[signal]
        sender.deadline = self._deadline
        return sender

    def set_deadline(self, deadline: float) -> None:
        """No request may take longer than until this moment on the monotonic clock."""
        self._deadline = deadline
        for sender in list(self._senders.values()):
            sender.deadline = deadline

    def replace(self, signal: str) -> bool:
        """Abandon a thread that is stuck; the new one makes a sender of its own. False where too many are stuck already."""
        self._stuck = [thread for thread in self._stuck if thread.is_alive]
        if len(self._stuck) >= MAX_STUCK:
            return False
        self._stuck.append(self._threads[signal])
        _kept_alive.append(self._senders.pop(signal, None))
        self._threads[signal] = WorkerThread(f"agentlog-{signal}")
        return True

    def stop(self) -> None:
        """End the threads and close the connections."""
        for thread in self._threads.values():
            thread.stop()
        for sender in self._senders.values():
            try:
                sender.shutdown()
            except Exception as error:  # noqa: BLE001 - exporters are others' code
                raise_interrupt()
                self._failed("export", error)
