"""Sends what a folder gives back: spans and log records with the ids they always had, in batches, as it is read.

The same for the command line, which waits, and for the background, which gives way to what is live.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from otel_agentlog.export.pipeline.bisect import Parts
from otel_agentlog.export.pipeline.signal_queue import BATCH_BYTES, Item, Limits, Notes, Ticket, size_of
from otel_agentlog.export.rebuild import readable_log, readable_span
from otel_agentlog.export.transport.response import Verdict
from otel_agentlog.vocabulary.lines import SPAN

Deliver = Callable[[str, Sequence[Item]], Parts[Item]]
"""Sends items of a signal; every item is in one part of the result, or in none if the sending came to an end."""


class Unsent(Protocol):
    """An item of a folder (``store.Unsent``)."""

    @property
    def kind(self) -> str: ...
    @property
    def event_id(self) -> str | None: ...
    @property
    def record(self) -> Any: ...
    @property
    def home(self) -> Any: ...


@dataclass
class Shipped:
    """What came of shipping one folder."""

    delivered: int = 0
    dropped: int = 0
    waiting: int = 0
    """Items that were not taken this time."""
    problems: dict[str, str] = field(default_factory=dict)
    """By signal, why its items wait: a word, and what the collector said."""


def ship(unsent: Iterable[Unsent], deliver: Deliver, receipts: Notes, limits: Limits | None = None) -> Shipped:
    """Send items as they are read; a signal that the collector does not take now is not tried again in this call."""
    return _Shipping(deliver, receipts, limits or Limits()).run(unsent)


def item_of(unsent: Unsent) -> Item:
    """An item of a folder as it goes to a collector. Raises whatever a damaged line makes it raise."""
    ticket = _ticket(unsent)
    if unsent.kind == SPAN:
        span = readable_span(unsent.record)
        return Item("traces", span, ticket, size_of(None, span.attributes))
    log = readable_log(unsent.record)
    return Item("logs", log, ticket, size_of(log.log_record.body, log.log_record.attributes))


def _ticket(unsent: Unsent) -> Ticket:
    return Ticket(unsent.home if unsent.home is not None else unsent, unsent.event_id, unsent.kind)


class _Shipping:
    def __init__(self, deliver: Deliver, receipts: Notes, limits: Limits) -> None:
        self._deliver, self._receipts, self._limits = deliver, receipts, limits
        self._batches: dict[str, list[Item]] = {"traces": [], "logs": []}
        self._bytes = {"traces": 0, "logs": 0}
        self._shipped = Shipped()

    def run(self, unsent: Iterable[Unsent]) -> Shipped:
        for each in unsent:
            signal = "traces" if each.kind == SPAN else "logs"
            if signal in self._shipped.problems:
                self._shipped.waiting += 1
                continue
            item = self._item(each)
            if item is None:
                continue
            self._batches[signal].append(item)
            self._bytes[signal] += item.size_bytes
            if len(self._batches[signal]) >= self._limits.batch_items or self._bytes[signal] >= BATCH_BYTES:
                self._send(signal)
        for signal in self._batches:
            self._send(signal)
        return self._shipped

    def _item(self, unsent: Unsent) -> Item | None:
        try:
            return item_of(unsent)
        except Exception as error:  # noqa: BLE001 - a damaged line may raise anything, and must not keep its mates
            self._receipts.rejected([_ticket(unsent)], "unreadable", type(error).__name__)
            self._shipped.dropped += 1
            return None

    def _send(self, signal: str) -> None:
        batch, self._batches[signal] = self._batches[signal], []
        self._bytes[signal] = 0
        if not batch:
            return
        parts = self._deliver(signal, batch)
        for items, outcome in parts:
            tickets = [item.ticket for item in items]
            if outcome.verdict is Verdict.DELIVERED:
                rejected = min(outcome.rejected, len(items))
                self._receipts.delivered(tickets, rejected, outcome.message)
                self._shipped.delivered += len(items) - rejected
                self._shipped.dropped += rejected
            elif outcome.verdict in (Verdict.REJECTED, Verdict.TOO_LARGE):
                self._receipts.rejected(tickets, outcome.reason, outcome.message)
                self._shipped.dropped += len(items)
            else:
                self._shipped.waiting += len(items)
                if outcome.verdict is Verdict.BROKEN and len(items) == 1:
                    self._receipts.set_aside(tickets)
                else:
                    self._shipped.problems.setdefault(signal, f"{outcome.reason} {outcome.message}".strip())
        if not parts:
            self._shipped.waiting += len(batch)
            self._shipped.problems.setdefault(signal, "stopped")
