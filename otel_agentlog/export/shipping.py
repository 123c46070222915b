"""Sends items of a task's folder in batches as they are read: spans and log records with the ids they were recorded with.

The same for the command line, which waits, and for the background, where live items go first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.export.encoding import Encoder
from otel_agentlog.export.pipeline.items import Deliver, DeliveryObserver, Item, ItemRef
from otel_agentlog.export.pipeline.signal_queue import BATCH_BYTES, QueueLimits
from otel_agentlog.export.transport.result import Verdict
from otel_agentlog.vocabulary.records import LogRecordLine, UnsentItem

BATCH_ITEMS = QueueLimits().batch_items
"""Most spans or log records of one batch."""


@dataclass
class Shipped:
    """The result of shipping one folder, in items."""

    delivered: int = 0
    dropped: int = 0
    waiting: int = 0
    """Items that were not taken this time."""
    problems: dict[str, str] = field(default_factory=dict)
    """By signal, why its items wait: a word, and the collector's message."""


def ship(unsent: Iterable[UnsentItem], deliver: Deliver, observer: DeliveryObserver) -> Shipped:
    """Send items as they are read; a signal that the collector does not take now is not tried again in this call."""
    return _Shipping(deliver, observer).run(unsent)


def item_of(unsent: UnsentItem, encoder: Encoder) -> Item:
    """The span or log record of an item. May raise any exception where its line is damaged."""
    record = unsent.record
    encoded = encoder.record(record) if isinstance(record, LogRecordLine) else encoder.span(record)
    return Item(unsent.signal, encoded, _ref_of(unsent), len(encoded.data))


def _ref_of(unsent: UnsentItem) -> ItemRef:
    return ItemRef(unsent.home, unsent.event_id, unsent.kind)


def batches(items: Iterable[Item]) -> Iterator[tuple[str, list[Item]]]:
    """Yield signals, each with a batch of its items, as soon as one is full; at the end what is left, traces first."""
    found: dict[str, list[Item]] = {"traces": [], "logs": []}
    sizes = {"traces": 0, "logs": 0}
    for item in items:
        signal = item.signal
        found[signal].append(item)
        sizes[signal] += item.size_bytes
        if len(found[signal]) >= BATCH_ITEMS or sizes[signal] >= BATCH_BYTES:
            batch, found[signal], sizes[signal] = found[signal], [], 0
            yield signal, batch
    yield from ((signal, left) for signal, left in found.items() if left)


class _Shipping:
    def __init__(self, deliver: Deliver, observer: DeliveryObserver) -> None:
        self._deliver, self._observer = deliver, observer
        self._shipped = Shipped()
        self._encoder = Encoder()

    def run(self, unsent: Iterable[UnsentItem]) -> Shipped:
        for signal, batch in batches(self._items(unsent)):
            self._send(signal, batch)
        return self._shipped

    def _items(self, unsent: Iterable[UnsentItem]) -> Iterator[Item]:
        for each in unsent:
            if each.signal in self._shipped.problems:
                self._shipped.waiting += 1
            elif (item := self._item(each)) is not None:
                yield item

    def _item(self, unsent: UnsentItem) -> Item | None:
        try:
            return item_of(unsent, self._encoder)
        except Exception as error:  # noqa: BLE001 - a damaged line may raise anything, and must not keep the other items
            raise_interrupt()
            self._observer.rejected([_ref_of(unsent)], "unreadable", type(error).__name__)
            self._shipped.dropped += 1
            return None

    def _send(self, signal: str, batch: list[Item]) -> None:
        parts = self._deliver(signal, batch)
        for items, result in parts:
            refs = [item.ref for item in items]
            if result.verdict is Verdict.DELIVERED:
                rejected = min(result.rejected, len(items))
                self._observer.delivered(refs, rejected, result.message)
                self._shipped.delivered += len(items) - rejected
                self._shipped.dropped += rejected
            elif result.verdict in (Verdict.REJECTED, Verdict.TOO_LARGE):
                self._observer.rejected(refs, result.reason, result.message)
                self._shipped.dropped += len(items)
            else:
                self._shipped.waiting += len(items)
                if result.verdict is Verdict.BROKEN and len(items) == 1:
                    self._observer.set_aside(refs)
                else:
                    self._shipped.problems.setdefault(signal, f"{result.reason} {result.message}".strip())
        if not parts:
            self._shipped.waiting += len(batch)
            self._shipped.problems.setdefault(signal, "stopped")
