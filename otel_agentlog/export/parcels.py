"""What goes to a collector: one item, what it was made from, and how much room it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

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
