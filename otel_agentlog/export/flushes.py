"""Who waits until all that was queued before was tried, and what else is flushed for them, such as metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from otel_agentlog.export.hands import Hand

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
