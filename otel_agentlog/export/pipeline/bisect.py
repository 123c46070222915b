"""Gets a batch through that was refused as a whole: in parts, until what the collector does not take stands alone.

Hides how often is tried, and when it is not the data that is wrong but the collector.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from otel_agentlog.export.transport.response import UNTRIED, Outcome, Verdict

MAX_REQUESTS = 200
"""Requests spent on one batch; what is undecided then waits for the next time."""

MAX_BATCH_S = 60.0
"""Time, in seconds, spent on one batch before its last request begins; likewise."""

MAX_BROKEN = 3
"""Failures in a row over different data after which a collector that has taken nothing is left alone."""

SPARE_REJECTIONS = 3
"""Rejections in a row, beyond those that finding one bad item takes, after which they are not about the data."""

T = TypeVar("T")
Parts = list[tuple[Sequence[T], Outcome]]

_JUDGED = (Verdict.REJECTED, Verdict.TOO_LARGE)


def deliver(
    send: Callable[[Sequence[T]], Outcome], batch: Sequence[T], *, trusted: bool, clock: Callable[[], float] = time.monotonic
) -> Parts[T]:
    """Send a batch, in parts where it must be; every item is in exactly one part of the result.

    ``trusted`` says that this collector has taken data before; only then a rejection is about the data, and final.
    """
    return _Delivery(send, batch, trusted, clock).run()


class _Delivery(Generic[T]):
    def __init__(
        self, send: Callable[[Sequence[T]], Outcome], batch: Sequence[T], trusted: bool, clock: Callable[[], float]
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
            outcome = self._try(part)
            stop = self._stops(outcome)
            if not stop and len(part) > 1 and (outcome.verdict in _JUDGED or outcome.verdict is Verdict.BROKEN):
                self._split(part, outcome)
                continue
            self._done.append((part, outcome if len(part) == 1 else _undecided(outcome)))
            if stop:
                # A success says nothing of what was not sent.
                untried = UNTRIED if outcome.verdict is Verdict.DELIVERED else _undecided(outcome)
                self._done += [(rest, untried) for rest in self._waiting]
                break
        return self._doubted()

    def _try(self, part: Sequence[T]) -> Outcome:
        self._requests += 1
        outcome = self._send(part)
        if outcome.verdict is Verdict.DELIVERED:
            self._trusted = True
        else:
            self._failed_in_a_row += 1
        return outcome

    def _split(self, part: Sequence[T], outcome: Outcome) -> None:
        half = len(part) // 2
        if outcome.verdict is Verdict.TOO_LARGE:
            self._limit = min(self._limit, half)
        if outcome.verdict is Verdict.BROKEN:
            # The other half first: does it fail over anything at all?
            self._waiting.extend([part[:half], part[half:]])
        else:
            self._waiting.extendleft([part[half:], part[:half]])

    def _stops(self, outcome: Outcome) -> bool:
        """Whether the rest of the batch had better not be tried now."""
        if outcome.verdict in (Verdict.LATER, Verdict.REFUSED) or self._is_spent:
            return True
        if self._trusted:
            return False
        return self._failed_in_a_row >= (MAX_BROKEN if outcome.verdict is Verdict.BROKEN else self._patience)

    @property
    def _is_spent(self) -> bool:
        return self._requests >= MAX_REQUESTS or self._clock() >= self._until

    def _doubted(self) -> Parts[T]:
        """A collector that has taken nothing yet has judged nothing: it may be no collector, or not the right one."""
        if self._trusted:
            return self._done
        return [
            (part, replace(outcome, verdict=Verdict.BROKEN) if outcome.verdict in _JUDGED else outcome)
            for part, outcome in self._done
        ]


def _undecided(outcome: Outcome) -> Outcome:
    """What is said of items that were not judged one by one."""
    return replace(outcome, verdict=Verdict.LATER) if outcome.verdict in _JUDGED else outcome
