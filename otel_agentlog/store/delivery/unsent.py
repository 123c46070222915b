"""The items of a task's folder that no collector has, while they are sent.

They follow from the folder's lines, its ledger, which processes are still running, and the sampler's choice. One process at a
time sends from a folder, by a lock on the ledger. Items of a process that still delivers them itself are skipped.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import field
from types import TracebackType

import otel_agentlog._platform as system
from otel_agentlog._startup import dataclass
from otel_agentlog.store.delivery.item_set import ItemSet, can_hold
from otel_agentlog.store.delivery.ledger import (
    DELIVERY,
    SAMPLED,
    DeliveryCounts,
    Ledger,
    add_counts,
    note,
    read_ledger,
    set_counts,
)
from otel_agentlog.store.delivery.pending import SIGNALS, sizes_of
from otel_agentlog.store.delivery.process_lock import is_running
from otel_agentlog.store.delivery.tracker import DeliveryItem, Keep, reason_to_keep
from otel_agentlog.store.folder.files import Descriptor, LineFile, open_directory
from otel_agentlog.store.folder.layout import FILE_MODE
from otel_agentlog.store.folder.locks import Lock, lock_exclusively, lock_shared
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.spans.rebuild import complete
from otel_agentlog.vocabulary.records import Record, UnsentItem, signal_of


@dataclass
class _Seen:
    """What was counted while the lines were read."""

    counts: DeliveryCounts = field(default_factory=DeliveryCounts)
    sendable: int = 0
    """Items of the signals that are sent here."""
    held: int = 0
    """Items that a running process delivers itself."""
    waiting: int = 0
    """Items that the sampler left out, of a task that has not ended."""


class UnsentItems:
    """What is missing of one folder, while it is sent; a context manager. Leaving it brings ``metadata.json`` up to date."""

    def __init__(
        self,
        task: TaskReader,
        keep: Keep,
        *,
        signals: Collection[str] = SIGNALS,
        everything: bool = False,
        dry: bool = False,
    ) -> None:
        """With ``everything``, also items that the sampler left out or other exporters may have sent; ``dry`` changes nothing on
        the disk."""
        self.task = task
        self._keep, self._signals, self._everything, self._dry = keep, frozenset(signals), everything, dry
        self._ledger = Ledger()
        self._sampled = ItemSet()
        self._why: str | None = None
        self._ended = False
        self._seen = _Seen()
        self._delivered_here = self._dropped_here = self._rejected_here = 0
        self._sizes: list[int | None] | None = None
        """Of the files of lines before they were read, once all of them was read."""
        self._directory: Descriptor | None = None
        self._lock: Descriptor | None = None
        self._running: dict[str, bool] = {}

    # -- the lock ---------------------------------------------------------------------------------------------------------

    def __enter__(self) -> UnsentItems:
        """Lock the folder for sending.

        Raises:
            BlockingIOError: another process sends from it at the moment.
            OSError: it cannot be opened.
        """
        self._directory = open_directory(os.fspath(self.task.folder))
        if not self._dry:
            lock_shared(self._directory)
            # Fails where nothing could be noted, before anything is sent.
            LineFile(self._directory, DELIVERY)
            flags = system.UPDATE | os.O_CREAT
            self._lock = Descriptor(system.open(DELIVERY, flags, FILE_MODE, dir_fd=self._directory.fd))
            if lock_exclusively(self._lock) is Lock.TAKEN:
                raise BlockingIOError(errno.EAGAIN, "another process ships it", os.fspath(self.task.folder))
        self._ledger = read_ledger(self.task.folder)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            if not self._dry and self._directory is not None:
                self._settle(self._directory)
        finally:
            for descriptor in (self._lock, self._directory):
                if descriptor is not None:
                    descriptor.close()

    # -- what is missing --------------------------------------------------------------------------------------------------

    def unsent(self) -> Iterator[UnsentItem]:
        """Yield what is to be sent, in the order it was recorded."""
        sizes = sizes_of(self.task)
        final = self.task.final_result()
        self._ended = final is not None
        self._why = self._ledger.kept or (reason_to_keep(final, self._keep) if final is not None else None)
        for kind, record in complete(self.task):
            if self._is_wanted(kind, record):
                yield UnsentItem(kind, record.event_id, record)
        self._sizes = sizes

    def _is_wanted(self, kind: str, record: Record) -> bool:
        seen, event_id = self._seen, record.event_id
        held = self._is_running(record) and signal_of(kind) in record.origin.sends
        acked = event_id is not None and self._ledger.acked.has(kind, event_id)
        elsewhere = signal_of(kind) in record.origin.elsewhere and not acked and not self._everything
        if elsewhere or not can_hold(event_id):
            return False
        seen.counts.recorded += 1
        if acked:
            seen.counts.delivered += 1
        elif self._is_dropped(kind, event_id):
            seen.counts.dropped += 1
        elif held:
            seen.held += 1
        elif signal_of(kind) in self._signals:
            seen.sendable += 1
            return record.sampled or self._is_kept(kind, str(event_id))
        return False

    def _is_kept(self, kind: str, event_id: str) -> bool:
        """Whether an item that the sampler left out is sent after all."""
        if self._why is not None and self._ledger.kept is None:
            self._ledger.kept = self._why
            if not self._dry:
                note(self.task.folder, kept=self._why)
        if self._why is not None or self._everything:
            return True
        if self._ended:
            self._sampled.add(kind, event_id)
            self._seen.counts.dropped += 1
        else:
            self._seen.waiting += 1
        return False

    def _is_dropped(self, kind: str, event_id: str | None) -> bool:
        again = (SAMPLED,) if self._everything else ()
        return any(items.has(kind, event_id) for reason, items in self._ledger.dropped.items() if reason not in again)

    def _is_running(self, record: Record) -> bool:
        """Whether the process that recorded it still runs and delivers it."""
        name = record.origin.courier
        if name is None:
            return False
        if name not in self._running:
            self._running[name] = is_running(self.task.folder.parent, name, dry=self._dry)
            if not self._running[name]:
                # What it noted before it ended is all there by now; the ledger may have been read a moment too early.
                self._read_again()
        return self._running[name]

    def _read_again(self) -> None:
        kept, self._ledger = self._ledger.kept, read_ledger(self.task.folder)
        self._ledger.kept = self._ledger.kept or kept
        self._ledger.rejected = max(0, self._ledger.rejected - self._rejected_here)

    # -- results of sending -----------------------------------------------------------------------------------------------

    def delivered(self, items: Sequence[DeliveryItem], rejected: int, message: str) -> None:
        """A collector took the items, except ``rejected`` of them."""
        sent = _item_set(items)
        self._delivered_here += len(sent) - rejected
        self._dropped_here += rejected
        self._rejected_here += rejected
        note(self.task.folder, acked=sent, rejected=rejected, message=message if rejected else "")

    def rejected(self, items: Sequence[DeliveryItem], reason: str, message: str) -> None:
        """No collector will take the items."""
        sent = _item_set(items)
        self._dropped_here += len(sent)
        note(self.task.folder, dropped=sent, reason=reason, message=message)

    def set_aside(self, items: Sequence[DeliveryItem]) -> None:
        """A collector failed over the items: they stay in the folder."""

    @property
    def counts(self) -> DeliveryCounts:
        """What is known of the task's items; complete once all of `unsent` was read."""
        counts = self._seen.counts
        rejected = min(self._ledger.rejected, counts.delivered)
        delivered = counts.delivered - rejected + self._delivered_here
        dropped = counts.dropped + rejected + self._dropped_here
        return DeliveryCounts(counts.recorded, delivered, min(dropped, counts.recorded - delivered))

    @property
    def held(self) -> int:
        """Items that a running process delivers itself."""
        return self._seen.held

    @property
    def waiting(self) -> int:
        """Items that the sampler left out, of a task that has not ended."""
        return self._seen.waiting

    def _settle(self, directory: Descriptor) -> None:
        if self._sampled:
            note(self.task.folder, dropped=self._sampled, reason=SAMPLED)
        if self._sizes is not None and self._is_alone(directory):
            acked = self._seen.counts.delivered
            set_counts(self.task, directory, self.counts, acked - min(acked, self._ledger.rejected))
            settled = {"sizes": self._sizes, "pending": self._could_be_sent, "signals": sorted(self._signals)}
            note(self.task.folder, settled=settled)
        elif self._delivered_here or self._dropped_here or self._sampled:
            add_counts(directory, delivered=self._delivered_here, dropped=self._dropped_here + len(self._sampled))

    def _is_alone(self, directory: Descriptor) -> bool:
        """Whether no process is at work in the folder, and none was since it was read."""
        if any(self._running.values()) or lock_exclusively(directory) is not Lock.OURS:
            return False
        return sizes_of(self.task) == self._sizes

    @property
    def _could_be_sent(self) -> int:
        done = self._delivered_here + self._dropped_here + len(self._sampled) + self._seen.waiting
        return max(0, self._seen.sendable - done)


def _item_set(items: Sequence[DeliveryItem]) -> ItemSet:
    found = ItemSet()
    for item in items:
        found.add(item.kind, item.event_id)
    return found
