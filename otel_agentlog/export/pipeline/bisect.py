"""Sends a batch that was refused as a whole in halves, until each item that the collector does not take is alone in its request.

The number of requests is bounded; wrong items are distinguished from a collector that refuses everything.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from otel_agentlog.export.transport.result import UNTRIED, SendResult, Verdict

MAX_REQUESTS = 200
"""Requests spent on one batch; what is undecided then waits for the next time."""

MAX_BATCH_S = 60.0
"""Time, in seconds, spent on one batch before its last request begins; likewise."""

MAX_BROKEN = 3
"""Failures in a row over different data after which a collector that has taken nothing is left alone."""

SPARE_REJECTIONS = 3
"""Rejections in a row, beyond those that finding one bad item takes, after which they are not about the data."""

T = TypeVar("T")
Parts = list[tuple[Sequence[T], SendResult]]
"""The items of a batch, in parts, each with its result."""

_JUDGED = (Verdict.REJECTED, Verdict.TOO_LARGE)


def send_in_parts(
    send: Callable[[Sequence[T]], SendResult], batch: Sequence[T], *, trusted: bool, clock: Callable[[], float] = time.monotonic
) -> Parts[T]:
    """Send a batch, in parts where it must be; every item is in exactly one part of the result.

    ``trusted``: this collector has taken data before; only then a rejection is about the data, and final.
    """
    return _Bisection(send, batch, trusted, clock).run()


class _Bisection(Generic[T]):
    def __init__(
        self, send: Callable[[Sequence[T]], SendResult], batch: Sequence[T], trusted: bool, clock: Callable[[], float]
    ) -> None:
        self._send, self._trusted, self._clock = send, trusted, clock
        self._until = clock() + MAX_BATCH_S
        self._waiting: deque[Sequence[T]] = deque([batch])
        self._done: Parts[T] = []
        self._limit = len(batch)
        self._requests = self._failed_in_a_row = 0
        self._patience = len(batch).bit_length() + SPARE_REJECTIONS

    def run(self) -> Parts[T]:
        while self._waiting:
            part = self._waiting.popleft()
            if len(part) > self._limit:
                self._waiting.extendleft([part[self._limit :], part[: self._limit]])
                continue
            result = self._try(part)
            stop = self._stops(result)
            if not stop and len(part) > 1 and (result.verdict in _JUDGED or result.verdict is Verdict.BROKEN):
                self._split(part, result)
                continue
            self._done.append((part, result if len(part) == 1 else _undecided(result)))
            if stop:
                # A success is not about what was not sent.
                untried = UNTRIED if result.verdict is Verdict.DELIVERED else _undecided(result)
                self._done += [(rest, untried) for rest in self._waiting]
                break
        return self._done if self._trusted else self._without_judgements()

    def _try(self, part: Sequence[T]) -> SendResult:
        self._requests += 1
        result = self._send(part)
        if result.verdict is Verdict.DELIVERED:
            self._trusted = True
        else:
            self._failed_in_a_row += 1
        return result

    def _split(self, part: Sequence[T], result: SendResult) -> None:
        half = len(part) // 2
        if result.verdict is Verdict.TOO_LARGE:
            self._limit = min(self._limit, half)
        if result.verdict is Verdict.BROKEN:
            # The other half first: does it fail with any data?
            self._waiting.extend([part[:half], part[half:]])
        else:
            self._waiting.extendleft([part[half:], part[:half]])

    def _stops(self, result: SendResult) -> bool:
        """Whether the rest of the batch had better not be tried now."""
        spent = self._requests >= MAX_REQUESTS or self._clock() >= self._until
        if spent or result.verdict in (Verdict.LATER, Verdict.REFUSED):
            return True
        if self._trusted:
            return False
        return self._failed_in_a_row >= (MAX_BROKEN if result.verdict is Verdict.BROKEN else self._patience)

    def _without_judgements(self) -> Parts[T]:
        """The results of a collector that has taken nothing yet: it may be no collector, so its rejections are not final."""
        return [(part, _judged_as(Verdict.BROKEN, result)) for part, result in self._done]


def _undecided(result: SendResult) -> SendResult:
    """The result of items that were not sent one by one."""
    return _judged_as(Verdict.LATER, result)


def _judged_as(verdict: Verdict, result: SendResult) -> SendResult:
    return replace(result, verdict=verdict) if result.verdict in _JUDGED else result
