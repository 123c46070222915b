"""A request, from its bytes to its acknowledgement: read, cleaned, and on disk before it is answered.

Any thread may call it. What waits together is written in one transaction, so many small requests wait for the disk once. What is
in memory is bounded: so many requests are read at a time, so many bytes of bodies are held, and what was not written in time is
dropped.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from otel_agentlog._interrupts import OwnThread, raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.tools.collect.messages import MalformedError as MalformedError
from otel_agentlog.tools.collect.messages import rows
from otel_agentlog.tools.collect.parts import Clean, Request, TaskPart, parts_of
from otel_agentlog.tools.collect.spool import CollectSpool
from otel_agentlog.vocabulary.envelope import Envelope

if TYPE_CHECKING:
    from collections.abc import Iterator

READERS = 2
"""Requests that are read at a time; reading takes several times the memory of the body."""

_WRITTEN_AT_ONCE = 64
"""Most requests of one transaction."""

_ANSWER_S = 60.0
"""Longest time, in seconds, that a request waits for the disk."""

_ROOM_S = 1.0
"""Seconds between two looks whether a full spool has room again."""

JSON, PROTOBUF = "application/json", "application/x-protobuf"


class BusyError(Exception):
    """No more can be taken now; to be sent again later."""


class Accepted(NamedTuple):
    """What became of a request that is on disk."""

    rejected: int
    """Items that cannot be used, and are not kept."""
    reason: str


@dataclass
class Received:
    """What has come since the process began."""

    requests: int = 0
    items: dict[str, int] = field(default_factory=lambda: {"traces": 0, "logs": 0, "metrics": 0})
    doubled: int = 0
    """Items that were there already."""
    rejected: int = 0
    redacted: int = 0
    """Secrets that were replaced."""
    refused: int = 0
    """Requests that were not taken: too large, too many, no OTLP."""


@dataclass
class _Write:
    """What is to be written of one request."""

    parts: list[TaskPart]
    outgoing: tuple[str, str, bytes] | None
    done: Future[int] = field(default_factory=Future)

    def give_up(self) -> None:
        """Drop it, unless it is being written."""
        if self.done.cancel():
            self.parts, self.outgoing = [], None


class Intake:
    """Takes requests into the spool below a root."""

    def __init__(self, root: Path, clean: Clean, *, forwards: bool, max_spool_bytes: int, forwarding: Callable[[], None]) -> None:
        """``forwards``: whether bodies are kept to be forwarded; ``forwarding`` is called when some were. Raises `OSError`,
        `sqlite3.Error`."""
        self._root, self._clean, self._forwards = root, clean, forwards
        self._max_spool_bytes, self._forwarding = max_spool_bytes, forwarding
        self.counts = Received()
        self._lock = threading.Lock()
        self._reading = threading.Semaphore(READERS)
        self._queue: queue.Queue[_Write | None] = queue.Queue()
        self._is_full = self._closed = False
        CollectSpool(root).close()
        self._thread = OwnThread(self._write_all, "agentlog-collect-writer")
        self._thread.start()

    def close(self) -> None:
        """Write what waits, and end."""
        with self._lock:
            self._closed = True
        self._queue.put(None)
        self._thread.join()

    def refuse(self) -> None:
        """Count a request that was not taken."""
        with self._lock:
            self.counts.refused += 1

    def take(self, signal: str, content_type: str, body: bytes) -> Accepted:
        """Take a request; when this returns it is on disk.

        Raises:
            MalformedError: it is no request of its signal.
            BusyError: the spool is full, the disk is full, or what came before is not written in time.
        """
        if self._is_full or self._closed:
            raise BusyError("the spool is full" if self._is_full else "ending")
        parts = Request()

        def clean(line: dict[str, Any]) -> Envelope:
            envelope = self._clean(line)
            parts.redacted += envelope.redacted
            return envelope

        with self._reading:
            for row in rows(signal, body, is_json=content_type == JSON):
                parts_of(signal, row, clean, parts)
        # Those of one task together; the order of one task stays.
        parts.parts.sort(key=lambda part: part.task)
        write = _Write(parts.parts, (signal, content_type, body) if self._forwards else None)
        self._queue.put(write)
        try:
            doubled = write.done.result(_ANSWER_S)
        except sqlite3.Error as error:
            raise_interrupt()
            raise BusyError(f"cannot write: {error}") from error
        except FutureTimeoutError:  # a class of its own before Python 3.11
            raise_interrupt()
            write.give_up()
            raise BusyError("the disk takes too long") from None
        with self._lock:
            self.counts.requests += 1
            self.counts.items[signal] += parts.items
            self.counts.doubled += doubled
            self.counts.rejected += parts.rejected
            self.counts.redacted += parts.redacted
        return Accepted(parts.rejected, parts.reason)

    # -- the one thread that writes ---------------------------------------------------------------------------------------

    def _write_all(self) -> None:
        spool = CollectSpool(self._root)
        try:
            while (batch := self._next(spool)) is not None:
                self._write(spool, batch)
        finally:
            spool.close()

    def _next(self, spool: CollectSpool) -> list[_Write] | None:
        """What waits, at least one; ``None`` at the end."""
        while True:
            try:
                # While the spool is full nothing comes that would look whether it still is.
                first = self._queue.get(timeout=_ROOM_S if self._is_full else None)
                break
            except queue.Empty:
                self._look_for_room(spool)
        if first is None:
            return None
        batch = [first]
        while len(batch) < _WRITTEN_AT_ONCE:
            try:
                each = self._queue.get_nowait()
            except queue.Empty:
                break
            if each is None:
                self._queue.put(None)
                break
            batch.append(each)
        return batch

    def _look_for_room(self, spool: CollectSpool) -> None:
        try:
            self._is_full = spool.size_bytes() > self._max_spool_bytes
        except sqlite3.Error:
            raise_interrupt()  # it is full until that can be said

    def _write(self, spool: CollectSpool, batch: list[_Write]) -> None:
        batch = [each for each in batch if each.done.set_running_or_notify_cancel()]
        outgoing = [each.outgoing for each in batch if each.outgoing is not None]
        try:
            doubled = spool.keep([each.parts for each in batch], outgoing)
        except Exception as error:  # noqa: BLE001 - whatever it is, each sender hears of it and sends again
            raise_interrupt()
            for each in batch:
                each.done.set_exception(error if isinstance(error, sqlite3.Error) else sqlite3.OperationalError(str(error)))
            return
        self._look_for_room(spool)
        for number, each in enumerate(batch):
            each.done.set_result(0 if number else doubled)
        if outgoing:
            self._forwarding()


class MemoryBudget:
    """How many bytes of bodies may be held at a time, by all requests together."""

    def __init__(self, size_bytes: int) -> None:
        self._left = size_bytes
        self._lock = threading.Lock()

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """A block with a function that takes so many bytes more, or raises `BusyError`; they are given back at its end."""
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            with self._lock:
                if size > self._left:
                    raise BusyError("too many requests at a time")
                self._left -= size
                taken += size

        try:
            yield take
        finally:
            with self._lock:
                self._left += taken
