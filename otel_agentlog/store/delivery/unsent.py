"""Sends exactly what is missing: which items of a task's folder no collector has, and what becomes of them.

Hides how a folder, its ledger, living processes and the sampler's choice add up to an answer, and that two processes may ask at
once: one ships a folder at a time, by a lock on the ledger. Items of a process that still delivers them itself are left to it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from otel_agentlog.store.delivery.item_set import Marks, can_mark
from otel_agentlog.store.delivery.ledger import DELIVERY, SAMPLED, Counts, Ledger, change_receipt, note, read_ledger, set_receipt
from otel_agentlog.store.delivery.pending import SIGNALS, sizes_of
from otel_agentlog.store.delivery.process_lock import is_present
from otel_agentlog.store.delivery.tracker import Keep, Ticketed, reason_to_keep
from otel_agentlog.store.folder.files import Descriptor, LineFile, open_directory
from otel_agentlog.store.folder.layout import FILE_MODE
from otel_agentlog.store.folder.locks import Lock, lock_exclusively, lock_shared
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.spans.rebuild import LogRecordLine, Record, records
from otel_agentlog.vocabulary.lines import SPAN


@dataclass(frozen=True, slots=True)
class Unsent:
    """An item of a folder that is to be sent."""

    kind: str
    event_id: str | None
    record: Record
    home: object = None
    """The folder of this process, for items that it recorded itself."""

    @property
    def signal(self) -> str:
        """``traces`` or ``logs``."""
        return signal_of(self.kind)


def signal_of(kind: str) -> str:
    """The signal of a kind of item."""
    return "traces" if kind == SPAN else "logs"


def complete(task: TaskReader) -> Iterator[tuple[str, Record]]:
    """Yield the items of a task that can be sent, with their kind: spans that ended, and log records."""
    for record in records(task):
        if isinstance(record, LogRecordLine):
            yield record.kind, record
        elif record.end_ns is not None:
            yield SPAN, record


@dataclass
class _Tally:
    counts: Counts = field(default_factory=Counts)
    sendable: int = 0
    """Items of the signals that are asked for."""
    held: int = 0
    waiting: int = 0


class Shipment:
    """One folder while somebody ships what is missing; a context manager. Leaving it brings ``metadata.json`` up to date."""

    def __init__(
        self,
        task: TaskReader,
        keep: Keep,
        *,
        signals: Collection[str] = SIGNALS,
        everything: bool = False,
        dry: bool = False,
    ) -> None:
        """``everything`` is also what the sampler left out, and what others' exporters may have sent; ``dry`` changes nothing on
        the disk."""
        self.task = task
        self._keep, self._signals, self._everything, self._dry = keep, frozenset(signals), everything, dry
        self._ledger = Ledger()
        self._sampled = Marks()
        self._why: str | None = None
        self._ended = False
        self._tally = _Tally()
        self._delivered_here = self._dropped_here = self._rejected_here = 0
        self._sizes: list[int | None] | None = None
        """Of the files of lines before they were read, once all of them was looked at."""
        self._directory: Descriptor | None = None
        self._lock: Descriptor | None = None
        self._presences: dict[str, bool] = {}

    # -- the lock ---------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Shipment:
        """Take the folder.

        Raises:
            BlockingIOError: somebody else ships it at the moment.
            OSError: it cannot be opened.
        """
        self._directory = open_directory(os.fspath(self.task.folder))
        if not self._dry:
            lock_shared(self._directory)
            # Refuses what could not be written to, before anything is sent.
            LineFile(self._directory, DELIVERY)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self._lock = Descriptor(os.open(DELIVERY, flags, FILE_MODE, dir_fd=self._directory.fd))
            if lock_exclusively(self._lock) is Lock.TAKEN:
                raise BlockingIOError(errno.EAGAIN, "somebody else ships it", os.fspath(self.task.folder))
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

    def unsent(self) -> Iterator[Unsent]:
        """Yield what is to be sent, in the order it was recorded."""
        sizes = sizes_of(self.task)
        final = self.task.final_result()
        self._ended = final is not None
        self._why = self._ledger.kept or (reason_to_keep(final, self._keep) if final is not None else None)
        for kind, record in complete(self.task):
            if self._is_wanted(kind, record):
                yield Unsent(kind, record.event_id, record)
        self._sizes = sizes

    def _is_wanted(self, kind: str, record: Record) -> bool:
        tally, event_id = self._tally, record.event_id
        held = self._is_present(record) and signal_of(kind) in record.origin.sends
        acked = event_id is not None and self._ledger.acked.has(kind, event_id)
        elsewhere = signal_of(kind) in record.origin.elsewhere and not acked and not self._everything
        if elsewhere or not can_mark(event_id):
            return False
        tally.counts.recorded += 1
        if acked:
            tally.counts.delivered += 1
        elif self._is_dropped(kind, event_id):
            tally.counts.dropped += 1
        elif held:
            tally.held += 1
        elif signal_of(kind) in self._signals:
            tally.sendable += 1
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
            self._tally.counts.dropped += 1
        else:
            self._tally.waiting += 1
        return False

    def _is_dropped(self, kind: str, event_id: str | None) -> bool:
        again = (SAMPLED,) if self._everything else ()
        return any(marks.has(kind, event_id) for reason, marks in self._ledger.dropped.items() if reason not in again)

    def _is_present(self, record: Record) -> bool:
        """Whether the process that recorded it is alive to deliver it."""
        name = record.origin.courier
        if name is None:
            return False
        if name not in self._presences:
            self._presences[name] = is_present(self.task.folder.parent, name)
            if not self._presences[name]:
                # What it noted before it left is all there by now; we may have looked a moment too early.
                self._read_again()
        return self._presences[name]

    def _read_again(self) -> None:
        kept, self._ledger = self._ledger.kept, read_ledger(self.task.folder)
        self._ledger.kept = self._ledger.kept or kept
        self._ledger.rejected = max(0, self._ledger.rejected - self._rejected_here)

    # -- what became of it ------------------------------------------------------------------------------------------------

    def delivered(self, tickets: Sequence[Ticketed], rejected: int, message: str) -> None:
        """A collector has them, but for ``rejected`` of them."""
        marks = _marks(tickets)
        self._delivered_here += len(marks) - rejected
        self._dropped_here += rejected
        self._rejected_here += rejected
        note(self.task.folder, acked=marks, rejected=rejected, message=message if rejected else "")

    def rejected(self, tickets: Sequence[Ticketed], reason: str, message: str) -> None:
        """No collector will take them."""
        marks = _marks(tickets)
        self._dropped_here += len(marks)
        note(self.task.folder, dropped=marks, reason=reason, message=message)

    def set_aside(self, tickets: Sequence[Ticketed]) -> None:
        """They wait where they are."""

    @property
    def counts(self) -> Counts:
        """How the task stands; complete once all of `unsent` was seen."""
        counts = self._tally.counts
        rejected = min(self._ledger.rejected, counts.delivered)
        delivered = counts.delivered - rejected + self._delivered_here
        dropped = counts.dropped + rejected + self._dropped_here
        return Counts(counts.recorded, delivered, min(dropped, counts.recorded - delivered))

    @property
    def held(self) -> int:
        """Items that a living process delivers itself."""
        return self._tally.held

    @property
    def waiting(self) -> int:
        """Items that the sampler left out, of a task that has not ended."""
        return self._tally.waiting

    def _settle(self, directory: Descriptor) -> None:
        if self._sampled:
            note(self.task.folder, dropped=self._sampled, reason=SAMPLED)
        if self._sizes is not None and self._is_alone(directory):
            set_receipt(self.task, directory, self.counts)
            settled = {"sizes": self._sizes, "pending": self._could_be_sent, "signals": sorted(self._signals)}
            note(self.task.folder, settled=settled)
        elif self._delivered_here or self._dropped_here or self._sampled:
            change_receipt(self.task, directory, self._delivered_here, self._dropped_here + len(self._sampled))

    def _is_alone(self, directory: Descriptor) -> bool:
        """Whether nobody is at work in the folder, and nobody was since it was read."""
        if any(self._presences.values()) or lock_exclusively(directory) is not Lock.OURS:
            return False
        return sizes_of(self.task) == self._sizes

    @property
    def _could_be_sent(self) -> int:
        done = self._delivered_here + self._dropped_here + len(self._sampled) + self._tally.waiting
        return max(0, self._tally.sendable - done)


def _marks(tickets: Sequence[Ticketed]) -> Marks:
    marks = Marks()
    for ticket in tickets:
        marks.add(ticket.kind, ticket.event_id)
    return marks
