"""Where questions find the tasks: what every source of cards can be asked, and the plain one that reads all folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

from otel_agentlog.query.cards import scan
from otel_agentlog.query.filters import Filter, meets
from otel_agentlog.store import Card, Columns, Failure, Names, PartColumns, columns_of, parts_of

ORDERS: dict[str, Callable[[Card], tuple[int, ...]]] = {
    "newest": lambda card: (-card.created_ns,),
    "oldest": lambda card: (card.created_ns,),
    "slowest": lambda card: (-(-1 if card.duration_us is None else card.duration_us), -card.created_ns),
    "costliest": lambda card: (-(-1 if card.cost is None else card.cost), -card.created_ns),
}
"""What comes first, by the name of the order; among equals the folder's name decides."""


class Counted(NamedTuple):
    """How many tasks there are."""

    matching: int
    tasks: int


class Shelf(Protocol):
    """Cards that can be asked for."""

    def folders(self, wanted: Filter, order: str, limit: int | None, offset: int) -> list[str]:
        """The names of the folders of the tasks that meet a filter."""

    def count(self, wanted: Filter) -> Counted:
        """How many meet it, and how many there are."""

    def columns(self, wanted: Filter) -> Columns:
        """The figures of those that meet it."""

    def parts(self, wanted: Filter, kind: str) -> PartColumns:
        """The AI calls or tool runs of those that meet it."""

    def failures(self, wanted: Filter) -> Iterable[tuple[str, Failure]]:
        """The errors of those that meet it, each with its task's folder."""


class Scanned:
    """All cards of a root, read from the folders."""

    def __init__(self, root: Path, cards: Iterable[Card] | None = None) -> None:
        self.cards = list(scan(root) if cards is None else cards)

    def _matching(self, wanted: Filter) -> list[Card]:
        test = meets(wanted)
        return [card for card in self.cards if test(card)]

    def folders(self, wanted: Filter, order: str, limit: int | None, offset: int) -> list[str]:
        """The names of the folders of the tasks that meet a filter."""
        key = ORDERS[order]
        found = sorted(self._matching(wanted), key=lambda card: (key(card), card.folder))
        return [card.folder for card in found[offset : None if limit is None else offset + limit]]

    def count(self, wanted: Filter) -> Counted:
        """How many meet it, and how many there are."""
        return Counted(len(self._matching(wanted)), len(self.cards))

    def columns(self, wanted: Filter) -> Columns:
        """The figures of those that meet it."""
        return columns_of(self._matching(wanted), Names())

    def parts(self, wanted: Filter, kind: str) -> PartColumns:
        """The AI calls or tool runs of those that meet it."""
        return parts_of(self._matching(wanted), kind, Names())

    def failures(self, wanted: Filter) -> Iterable[tuple[str, Failure]]:
        """The errors of those that meet it, each with its task's folder."""
        return [(card.folder, failure) for card in self._matching(wanted) for failure in card.failures]


def open_shelf(root: Path) -> Shelf:
    """Return the cards of a root."""
    return Scanned(root)
