"""Where questions find the tasks: what every source of cards can be asked, and the plain one that reads all folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

from otel_agentlog.query.cards import scan
from otel_agentlog.query.filters import Filter, meets
from otel_agentlog.store.index.columns import Columns, Names, PartSums, columns_of, parts_of
from otel_agentlog.store.index.row import Card, Failure

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

    def parts(self, wanted: Filter, kind: str, *, by_variety: bool) -> list[PartSums]:
        """The AI calls or tool runs of those that meet it, by name or by variety."""

    def failures(self, wanted: Filter) -> list[tuple[str, Failure]]:
        """The errors of those that meet it, each with its task's folder, the newest first."""


class Scanned:
    """All cards of a root, read from the folders."""

    def __init__(self, root: Path, cards: Iterable[Card] | None = None) -> None:
        self.cards = list(scan(root) if cards is None else cards)

    def matching(self, wanted: Filter) -> list[Card]:
        """Those that meet a filter."""
        test = meets(wanted)
        return [card for card in self.cards if test(card)]

    def folders(self, wanted: Filter, order: str, limit: int | None, offset: int) -> list[str]:
        """The names of the folders of the tasks that meet a filter."""
        key = ORDERS[order]
        found = sorted(self.matching(wanted), key=lambda card: (key(card), card.folder))
        return [card.folder for card in found[offset : None if limit is None else offset + limit]]

    def count(self, wanted: Filter) -> Counted:
        """How many meet it, and how many there are."""
        return Counted(len(self.matching(wanted)), len(self.cards))

    def columns(self, wanted: Filter) -> Columns:
        """The figures of those that meet it."""
        return columns_of(self.matching(wanted), Names())

    def parts(self, wanted: Filter, kind: str, *, by_variety: bool) -> list[PartSums]:
        """The AI calls or tool runs of those that meet it, by name or by variety."""
        return parts_of(self.matching(wanted), kind, by_variety)

    def failures(self, wanted: Filter) -> list[tuple[str, Failure]]:
        """The errors of those that meet it, each with its task's folder, the newest first."""
        return newest_first((card.folder, failure) for card in self.matching(wanted) for failure in card.failures)


def newest_first(failures: Iterable[tuple[str, Failure]]) -> list[tuple[str, Failure]]:
    """Errors in the order of their times."""
    return sorted(failures, key=lambda entry: (-entry[1].time_ns, entry[0], entry[1].error_id or ""))
