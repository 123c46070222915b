"""What goes to a collector: one span or log record, a reference to the line it was made from, its size, and who is notified."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from opentelemetry.sdk._logs import ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.trace import ReadableSpan

from otel_agentlog.export.pipeline.bisect import Parts
from otel_agentlog.export.transport.wire import Encoded

Data: TypeAlias = Encoded | ReadableSpan | ReadableLogRecord | ReadWriteLogRecord
"""A finished span (signal ``traces``) or log record (signal ``logs``): encoded, or of another library and as the SDK made it."""

_BASE_BYTES = 600
"""What an item takes besides its texts."""


class ItemRef(NamedTuple):
    """The line an item was made from, so that its delivery can be noted there."""

    home: str | None = None
    """Path of the task's folder; ``None`` for an item that is in none."""
    event_id: str | None = None
    kind: str = ""
    """``span``, ``log``, ``details`` or ``exception``: at most one of each is made from a line."""
    kept: bool = True
    """Whether the line is in the folder; if not, the item is sent now or never."""


NO_REF = ItemRef()


class Item(NamedTuple):
    """One finished span or log record on its way."""

    signal: str
    """``traces`` or ``logs``."""
    data: Data
    ref: ItemRef = NO_REF
    size_bytes: int = _BASE_BYTES
    """About as much as it takes on the wire."""


Deliver: TypeAlias = Callable[[str, Sequence[Item]], Parts[Item]]
"""Sends items of a signal; every item is in one part of the result, or in none if the sending came to an end."""


class DeliveryObserver(Protocol):
    """Called with the final result of items that were sent, by the thread that sends."""

    def delivered(self, refs: Sequence[ItemRef], rejected: int, message: str) -> None:
        """The collector has them, but for ``rejected`` of them; the protocol does not carry which."""

    def rejected(self, refs: Sequence[ItemRef], reason: str, message: str) -> None:
        """The collector will never take them."""

    def set_aside(self, refs: Sequence[ItemRef]) -> None:
        """The collector failed with each of them sent alone; they wait in their folders, and are not tried again soon."""


class LiveDeliveryObserver(DeliveryObserver, Protocol):
    """The same for items of this process, which need not be sent; called on the delivery worker's thread."""

    def left(self, refs: Sequence[ItemRef]) -> None:
        """They are no longer queued; they are sent from their folders later."""

    def unsampled(self, refs: Sequence[ItemRef]) -> None:
        """The sampler left them out: they are not sent, unless their task fails, is slow or costs much."""

    def ended(self, home: str | None) -> None:
        """A task ended, so that it can be decided whether its unsampled items are sent."""


def size_of(body: object, attributes: Mapping[str, object] | None) -> int:
    """Bytes that an item with these contents takes, estimated: cheap rather than exact."""
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
