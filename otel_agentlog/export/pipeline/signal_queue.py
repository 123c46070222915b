"""The queue of one signal: live items that wait, batches from folders, the batch under way, and when to try again.

It has no thread and no clock of its own: the delivery worker's thread alone owns it. Live items come first; batches from
folders go when nothing else waits. What does not fit, or what the collector refuses for now, is left in its folder and sent
from there: being in this queue only saves reading it again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from otel_agentlog._startup import dataclass
from otel_agentlog.export.pipeline.backoff import Backoff
from otel_agentlog.export.pipeline.bisect import Parts
from otel_agentlog.export.pipeline.items import Item, ItemRef, LiveDeliveryObserver
from otel_agentlog.export.transport.result import SendResult, Verdict

BATCH_BYTES = 3 * 1024 * 1024
"""A batch is closed at about this size: below the 4 MiB that gRPC servers take by default."""

SLOW_S = 1.0
"""Time, in seconds, that a request may take before the collector counts as one that takes nothing at the moment."""

NOT_NOW = SendResult(Verdict.LATER, "not_now")
"""The result of a batch from a folder that is offered while the collector is not to be tried."""


ITEM_BYTES = 400
"""What an item takes in memory besides its bytes: its tuples, its `event_id` and the entry in the queue."""


@dataclass(frozen=True)
class QueueLimits:
    """How much is sent at once, and how much waits in memory.

    What is in a folder, too, is sent from there where it has no room, so it needs no more of it than what a collector that is
    there takes in a moment.
    """

    batch_items: int = 512
    queue_items: int = 20_000
    queue_bytes: int = 64 * 1024 * 1024
    """How much waits of what is in no folder, in the queue of the worker and in that of each signal."""
    line_bytes: int = 4 * 1024 * 1024
    """How much waits for the worker of what is in a folder, too."""
    item_bytes: int = 2 * 1024 * 1024
    """How much of it waits for one signal."""
    waiting_items: int = 1_024
    """How many items of it, while the collector takes nothing."""
    delay_s: float = 1.0
    """Longest time, in seconds, that an item waits for its batch to fill."""

    @property
    def messages(self) -> int:
        """How many messages to the worker's thread may wait, whatever they are."""
        return 1_024 + 2 * self.queue_items


@dataclass(eq=False)
class Batch:
    """Items of one signal that are sent together."""

    items: Sequence[Item]
    on_done: Callable[[Parts[Item]], None] | None = None
    """For a batch from a folder: called with the results, ``[]`` if the worker stops first. ``None`` for live items."""
    sent_at: float = 0.0


class SignalQueue:
    """What waits for one signal."""

    def __init__(
        self,
        signal: str,
        limits: QueueLimits,
        observer: LiveDeliveryObserver,
        dropped: Callable[[str, int, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``dropped`` is called with signal, number and reason of items that are lost because they have no folder."""
        self.signal = signal
        self.backoff = Backoff(clock)
        self.busy: Batch | None = None
        """The batch under way."""
        self._limits, self._observer, self._dropped, self._clock = limits, observer, dropped, clock
        self._waiting: deque[Item] = deque()
        self._bytes = 0
        self._since = 0.0
        """When the oldest waiting item came."""
        self._offered: deque[Batch] = deque()
        self._added = self._settled = 0
        self._flush_to = 0
        """All items up to this number are to be tried now."""

    # -- what comes in ----------------------------------------------------------------------------------------------------

    def add(self, item: Item) -> None:
        """Take a live item, or leave it in its folder if the queue is full."""
        limits, waiting, size_bytes = self._limits, len(self._waiting), self._bytes + item.size_bytes
        # One that is alone gets in, whatever its size.
        if waiting and (waiting >= limits.queue_items or size_bytes > limits.queue_bytes or self._stays(item)):
            self.leave((item.ref,), "queue_full")
            return
        self._added += 1
        if not waiting:
            self._since = self._clock()
        self._waiting.append(item)
        self._bytes = size_bytes

    def _stays(self, item: Item) -> bool:
        """Whether there is room only for what is in no folder, and the item is in one."""
        if item.ref.home is None or not item.ref.kept:
            return False
        limits, waiting = self._limits, len(self._waiting)
        if self._bytes + item.size_bytes + waiting * ITEM_BYTES > limits.item_bytes:
            return True
        return waiting >= limits.waiting_items and not self._is_taking

    @property
    def _is_taking(self) -> bool:
        """Whether the collector is there. While it is not, memory is for what stands nowhere else."""
        return self.backoff.ready and (self.busy is None or self._clock() - self.busy.sent_at <= SLOW_S)

    @property
    def is_half_full(self) -> bool:
        """Whether lines had better wait for the answer to the request under way: what is made of them may have no room."""
        size_bytes = self._bytes + len(self._waiting) * ITEM_BYTES
        return self.busy is not None and 2 * size_bytes > self._limits.item_bytes and self._is_taking

    def offer(self, batch: Batch) -> None:
        """Take a batch from a folder, or return it at once with `NOT_NOW`."""
        self._offered.append(batch)
        if self.busy is None and not self.backoff.ready:
            self._return_offered()

    def _return_offered(self) -> None:
        batches, self._offered = self._offered, deque()
        for batch in batches:
            if batch.on_done is not None:
                batch.on_done([(batch.items, NOT_NOW)])

    def flush(self) -> None:
        """Try everything that waits now, not later."""
        self._flush_to = self._added
        if not self.backoff.answered:
            # No server was listening; one more attempt costs nothing.
            self.backoff.until = 0.0

    @property
    def flushed(self) -> bool:
        """Whether everything was tried that was to be."""
        return self._settled >= self._flush_to

    @property
    def idle(self) -> bool:
        """Whether nothing waits here and the collector may be tried."""
        return self.busy is None and not self._waiting and not self._offered and self.backoff.ready

    @property
    def waiting(self) -> int:
        """Live items that wait or are under way."""
        return self._added - self._settled

    # -- what goes out ----------------------------------------------------------------------------------------------------

    def next(self) -> Batch | None:
        """The batch to send now, if there is one; it is under way from here on."""
        if self.busy is not None or not self.backoff.ready:
            return None
        if self._due_at() <= self._clock():
            self.busy = Batch(self._take_batch())
        elif self._offered:
            self.busy = self._offered.popleft()
        if self.busy is not None:
            self.busy.sent_at = self._clock()
        return self.busy

    def wake_at(self) -> float:
        """When `next` may have something, on the clock; infinity if only a call from outside can change that."""
        if self.busy is not None:
            return float("inf")
        if not self.backoff.ready:
            return self.backoff.until
        return 0.0 if self._offered else self._due_at()

    def _due_at(self) -> float:
        if not self._waiting:
            return float("inf")
        enough = len(self._waiting) >= self._limits.batch_items or self._bytes >= BATCH_BYTES
        return 0.0 if enough or not self.flushed else self._since + self._limits.delay_s

    def _take_batch(self) -> Sequence[Item]:
        batch: list[Item] = []
        size = 0
        while self._waiting and len(batch) < self._limits.batch_items and (size < BATCH_BYTES or not batch):
            item = self._waiting.popleft()
            batch.append(item)
            size += item.size_bytes
        self._bytes -= size
        self._since = self._clock()
        return batch

    # -- results ----------------------------------------------------------------------------------------------------------

    def finish(self, batch: Batch, parts: Parts[Item]) -> None:
        """Take the results of the batch under way; those of any other are ignored."""
        if self.busy is not batch:
            return
        self.busy = None
        self._update_backoff(parts)
        if batch.on_done is not None:
            batch.on_done(parts)
        else:
            for items, result in reversed(parts):
                self._settle(items, result)
        if not self.backoff.ready:
            self._return_offered()

    def _update_backoff(self, parts: Parts[Item]) -> None:
        if any(result.verdict is Verdict.DELIVERED for _, result in parts):
            self.backoff.succeeded()
        for items, result in parts:
            alone = result.verdict is Verdict.BROKEN and len(items) == 1 and self.backoff.trusted
            if result.verdict in (Verdict.LATER, Verdict.REFUSED, Verdict.BROKEN) and not alone:
                self.backoff.failed(result)
                if result.verdict is not Verdict.LATER or not result.answered:
                    # Another try within this flush would fail the same way and only delay its caller.
                    self._flush_to = 0
                return

    def _settle(self, items: Sequence[Item], result: SendResult) -> None:
        verdict, refs = result.verdict, [item.ref for item in items]
        # First: whatever the observer may raise, no flush waits for these any longer.
        self._settled += len(items)
        if verdict is Verdict.DELIVERED:
            self._observer.delivered(refs, min(result.rejected, len(items)), result.message)
        elif verdict in (Verdict.REJECTED, Verdict.TOO_LARGE):
            self._observer.rejected(refs, result.reason, result.message)
        elif verdict is Verdict.REFUSED:
            self.leave(refs, result.reason)
        elif verdict is Verdict.BROKEN and self.backoff.ready:
            # Sent again from here at once it would break the collector again.
            self._remove(refs, result.reason, self._observer.set_aside)
        else:
            self._put_back(items)

    def _put_back(self, items: Sequence[Item]) -> None:
        self._settled -= len(items)
        self._waiting.extendleft(reversed(items))
        self._bytes += sum(item.size_bytes for item in items)
        self._since = self._clock()
        if not self._is_taking:
            self._leave_most()
        while len(self._waiting) > self._limits.queue_items or (
            self._bytes > self._limits.queue_bytes and len(self._waiting) > 1
        ):
            last = self._waiting.pop()
            self._bytes -= last.size_bytes
            self._leave_one(last)

    def _leave_most(self) -> None:
        waiting, self._waiting, self._bytes = self._waiting, deque(), 0
        for item in waiting:
            if self._stays(item):
                self._leave_one(item)
            else:
                self._waiting.append(item)
                self._bytes += item.size_bytes

    def _leave_one(self, item: Item) -> None:
        self._settled += 1
        self.leave((item.ref,), "queue_full")

    def leave(self, refs: Sequence[ItemRef], reason: str) -> None:
        """Leave items in their folders, to be sent from there; those that have none are lost."""
        self._remove(refs, reason, self._observer.left)

    def _remove(self, refs: Sequence[ItemRef], reason: str, notify: Callable[[Sequence[ItemRef]], None]) -> None:
        in_folders = [ref for ref in refs if ref.home is not None and ref.kept]
        if in_folders:
            notify(in_folders)
        if len(in_folders) < len(refs):
            self._dropped(self.signal, len(refs) - len(in_folders), reason)

    def stop(self) -> None:
        """The worker stops: what waits stays in its folders; callers that wait for a batch get ``[]``."""
        under_way = [] if self.busy is None else [self.busy]
        for batch in (*under_way, *self._offered):
            if batch.on_done is not None:
                batch.on_done([])
        self._offered.clear()
        # Now, not piece by piece while the interpreter ends, which would go through all of it several times.
        self._waiting.clear()
        self.busy = None
