"""One signal's way to the collector: what waits, what is under way, when to try again. No threads and no clock of its own here.

Owned by the courier's thread alone. Live items come first; parcels from folders go when nothing else is waiting. What does not
fit, or what the collector does not take as things stand, is left in its folder: being here saves reading it again, no more.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from otel_agentlog.export.pipeline.bisect import Parts
from otel_agentlog.export.transport.response import Outcome, Verdict

# -- When to try a collector again that did not take what it was given: soon at first, then more and more rarely.

FIRST_WAIT_S = 0.5
MAX_WAIT_S = 15.0
"""Longest pause between two tries, in seconds, while nobody is there or the collector is busy."""
MAX_REFUSED_WAIT_S = 300.0
"""Longest pause, in seconds, where somebody is there who takes nothing as things stand."""


class Breaker:
    """Open while the collector is to be left alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self.until = 0.0
        """When the next try may be made, on the clock."""
        self.trusted = False
        """Whether the collector has taken anything since it last refused to."""
        self.answered = True
        """Whether the last failure was an answer, so that waiting for a moment is worth while."""

    @property
    def ready(self) -> bool:
        """Whether something may be sent now."""
        return self._clock() >= self.until

    def succeeded(self) -> None:
        """The collector took something."""
        self._failures, self.until, self.trusted, self.answered = 0, 0.0, True, True

    def failed(self, outcome: Outcome) -> None:
        """The collector took nothing more."""
        self._failures += 1
        refused = outcome.verdict is Verdict.REFUSED
        first_s, most_s = (MAX_WAIT_S, MAX_REFUSED_WAIT_S) if refused else (FIRST_WAIT_S, MAX_WAIT_S)
        # So that the processes of a host do not all come back at the same moment.
        spread = random.uniform(0.8, 1.2)  # noqa: S311 - nothing secret
        wait_s = min(most_s, first_s * 2.0 ** min(self._failures - 1, 20)) * spread
        if outcome.retry_after_s is not None:
            wait_s = max(FIRST_WAIT_S, outcome.retry_after_s)
        self.until = self._clock() + wait_s
        self.answered = outcome.answered and not refused
        self.trusted = self.trusted and not refused


# -- What goes to a collector: one item, what it was made from, and how much room it takes.

_BASE_BYTES = 600
"""What an item takes besides its texts."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Which line an item was made from, so that its delivery can be noted there."""

    home: Any = None
    """The task's folder as `store` knows it; ``None`` for an item outside every task."""
    event_id: str | None = None
    kind: str = ""
    """``span``, ``log``, ``details`` or ``exception``: at most one of each is made from a line."""


NO_TICKET = Ticket()


@dataclass(frozen=True, slots=True)
class Item:
    """One finished span or log record on its way."""

    signal: str
    """``traces`` or ``logs``."""
    data: Any
    ticket: Ticket = NO_TICKET
    size_bytes: int = _BASE_BYTES
    """About as much as it takes on the wire."""


class Notes(Protocol):
    """Told what became of items that were sent; called by whoever sends."""

    def delivered(self, tickets: Sequence[Ticket], rejected: int, message: str) -> None:
        """The collector has them, but for ``rejected`` of them, and nobody knows which."""

    def rejected(self, tickets: Sequence[Ticket], reason: str, message: str) -> None:
        """The collector will not take them, ever."""

    def set_aside(self, tickets: Sequence[Ticket]) -> None:
        """The collector failed over each of them alone; they wait in their folders, and are not tried again soon."""


class Receipts(Notes, Protocol):
    """Told what became of live items; called on the courier's thread."""

    def left(self, tickets: Sequence[Ticket]) -> None:
        """They are no longer on their way; they wait in their folders to be sent from there."""


def size_of(body: object, attributes: Mapping[str, Any] | None) -> int:
    """About how many bytes an item with these contents takes; cheap rather than exact."""
    size = _BASE_BYTES + _length(body)
    for value in (attributes or {}).values():
        size += 40 + _length(value)
    return size


def _length(value: object) -> int:
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, Mapping):
        return sum(20 + _length(item) for item in value.values())
    if isinstance(value, Sequence):
        return sum(8 + _length(item) for item in value)
    return 8


BATCH_BYTES = 3 * 1024 * 1024
"""A batch is closed at about this size: below the 4 MiB that gRPC servers take by default."""

NOT_NOW = Outcome(Verdict.LATER, "not_now")
"""What is said of a parcel while the collector is left alone."""


@dataclass(frozen=True)
class Limits:
    """How much is sent at once, and how much waits in memory."""

    batch_items: int = 512
    queue_items: int = 20_000
    queue_bytes: int = 64 * 1024 * 1024
    delay_s: float = 1.0
    """Longest time an item waits for company."""


@dataclass(eq=False)
class Parcel:
    """Items that are sent together; from a folder if somebody waits for what becomes of them."""

    items: Sequence[Item]
    told: Callable[[Parts[Item]], None] | None = None
    sent_at: float = field(default=0.0)


class Lane:
    """What waits for one signal."""

    def __init__(
        self,
        signal: str,
        limits: Limits,
        receipts: Receipts,
        dropped: Callable[[str, int, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``dropped`` is told signal, number and reason of items that are lost, as they have no folder."""
        self.signal = signal
        self.breaker = Breaker(clock)
        self.busy: Parcel | None = None
        self._limits, self._receipts, self._dropped, self._clock = limits, receipts, dropped, clock
        self._waiting: deque[Item] = deque()
        self._bytes = 0
        self._since = 0.0
        """When the oldest waiting item came."""
        self._parcels: deque[Parcel] = deque()
        self._added = self._settled = 0
        self._pushed_to = 0
        """All items up to this one are to be tried now."""

    # -- what comes in ----------------------------------------------------------------------------------------------------

    def add(self, item: Item) -> None:
        """Take a live item, or leave it in its folder."""
        if len(self._waiting) >= self._limits.queue_items or self._bytes + item.size_bytes > self._limits.queue_bytes:
            self.leave((item.ticket,), "queue_full")
            return
        self._added += 1
        if not self._waiting:
            self._since = self._clock()
        self._waiting.append(item)
        self._bytes += item.size_bytes

    def offer(self, parcel: Parcel) -> None:
        """Take a parcel from a folder, or say at once that it cannot be sent now."""
        self._parcels.append(parcel)
        if self.busy is None and not self.breaker.ready:
            self._return_parcels()

    def _return_parcels(self) -> None:
        parcels, self._parcels = self._parcels, deque()
        for parcel in parcels:
            if parcel.told is not None:
                parcel.told([(parcel.items, NOT_NOW)])

    def push(self) -> None:
        """Try everything that waits now, not later."""
        self._pushed_to = self._added
        if not self.breaker.answered:
            # Nobody was there; one look whether somebody is now costs nothing.
            self.breaker.until = 0.0

    @property
    def pushed(self) -> bool:
        """Whether all was tried that was to be."""
        return self._settled >= self._pushed_to

    @property
    def calm(self) -> bool:
        """Whether nothing waits here and the collector may be spoken to."""
        return self.busy is None and not self._waiting and not self._parcels and self.breaker.ready

    @property
    def waiting(self) -> int:
        """Live items that wait or are under way."""
        return self._added - self._settled

    # -- what goes out ----------------------------------------------------------------------------------------------------

    def next(self) -> Parcel | None:
        """The parcel to send now, if there is one; it is under way from here on."""
        if self.busy is not None or not self.breaker.ready:
            return None
        if self._due_at() <= self._clock():
            self.busy = Parcel(self._batch())
        elif self._parcels:
            self.busy = self._parcels.popleft()
        if self.busy is not None:
            self.busy.sent_at = self._clock()
        return self.busy

    def wake_at(self) -> float:
        """When `next` may have something, on the clock; infinity if only news can change that."""
        if self.busy is not None:
            return float("inf")
        if not self.breaker.ready:
            return self.breaker.until
        return 0.0 if self._parcels else self._due_at()

    def _due_at(self) -> float:
        if not self._waiting:
            return float("inf")
        enough = len(self._waiting) >= self._limits.batch_items or self._bytes >= BATCH_BYTES
        return 0.0 if enough or not self.pushed else self._since + self._limits.delay_s

    def _batch(self) -> Sequence[Item]:
        batch: list[Item] = []
        size = 0
        while self._waiting and len(batch) < self._limits.batch_items and (size < BATCH_BYTES or not batch):
            item = self._waiting.popleft()
            batch.append(item)
            size += item.size_bytes
        self._bytes -= size
        self._since = self._clock()
        return batch

    # -- what came of it --------------------------------------------------------------------------------------------------

    def came_back(self, parcel: Parcel, parts: Parts[Item]) -> None:
        """Note what became of a parcel."""
        if self.busy is not parcel:
            return
        self.busy = None
        self._judge(parts)
        if parcel.told is not None:
            parcel.told(parts)
        else:
            for items, outcome in reversed(parts):
                self._settle(items, outcome)
        if not self.breaker.ready:
            self._return_parcels()

    def _judge(self, parts: Parts[Item]) -> None:
        if any(outcome.verdict is Verdict.DELIVERED for _, outcome in parts):
            self.breaker.succeeded()
        for items, outcome in parts:
            alone = outcome.verdict is Verdict.BROKEN and len(items) == 1 and self.breaker.trusted
            if outcome.verdict in (Verdict.LATER, Verdict.REFUSED, Verdict.BROKEN) and not alone:
                self.breaker.failed(outcome)
                if outcome.verdict is not Verdict.LATER or not outcome.answered:
                    # Trying again while somebody waits for the end would make them wait for nothing.
                    self._pushed_to = 0
                return

    def _settle(self, items: Sequence[Item], outcome: Outcome) -> None:
        verdict, tickets = outcome.verdict, [item.ticket for item in items]
        # First: whatever a receipt may raise, nobody waits for these any longer.
        self._settled += len(items)
        if verdict is Verdict.DELIVERED:
            self._receipts.delivered(tickets, min(outcome.rejected, len(items)), outcome.message)
        elif verdict in (Verdict.REJECTED, Verdict.TOO_LARGE):
            self._receipts.rejected(tickets, outcome.reason, outcome.message)
        elif verdict is Verdict.REFUSED:
            self.leave(tickets, outcome.reason)
        elif verdict is Verdict.BROKEN and self.breaker.ready:
            # Sent again from here at once it would break the collector again.
            self._let_go(tickets, outcome.reason, self._receipts.set_aside)
        else:
            self._put_back(items)

    def _put_back(self, items: Sequence[Item]) -> None:
        self._settled -= len(items)
        self._waiting.extendleft(reversed(items))
        self._bytes += sum(item.size_bytes for item in items)
        self._since = self._clock()
        while len(self._waiting) > self._limits.queue_items or (
            self._bytes > self._limits.queue_bytes and len(self._waiting) > 1
        ):
            item = self._waiting.pop()
            self._bytes -= item.size_bytes
            self._settled += 1
            self.leave((item.ticket,), "queue_full")

    def leave(self, tickets: Sequence[Ticket], reason: str) -> None:
        """Leave items in their folders, to be sent from there; those that have none are lost."""
        self._let_go(tickets, reason, self._receipts.left)

    def _let_go(self, tickets: Sequence[Ticket], reason: str, tell: Callable[[Sequence[Ticket]], None]) -> None:
        at_home = [ticket for ticket in tickets if ticket.home is not None]
        if at_home:
            tell(at_home)
        if len(at_home) < len(tickets):
            self._dropped(self.signal, len(tickets) - len(at_home), reason)

    def abandon(self) -> None:
        """The courier ends: what waits stays in its folders, and whoever waits for a parcel is told so."""
        under_way = [] if self.busy is None else [self.busy]
        for parcel in (*under_way, *self._parcels):
            if parcel.told is not None:
                parcel.told([])
        self._parcels.clear()
        # Now, not piece by piece while the interpreter ends, which would go through all of it several times.
        self._waiting.clear()
        self.busy = None
