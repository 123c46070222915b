"""Items that this process recorded and no longer holds in memory: read back from their folders to be sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.store.delivery.item_set import ItemSet
from otel_agentlog.store.delivery.tracker import DeliveryItem, DeliveryTracker
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.spans.rebuild import complete
from otel_agentlog.vocabulary.records import UnsentItem


class OwnUnsentItems:
    """The items left in some folders of this process, while they are sent; a context manager. Those not sent are given back."""

    def __init__(self, tracker: DeliveryTracker, folders: int, failed: Callable[[str, BaseException], None]) -> None:
        """Takes what is left in the next folders, at most so many; ``failed`` is called for those that cannot be read."""
        self._tracker, self._failed = tracker, failed
        self._items = tracker.take_left(folders)
        self._seen: dict[str, ItemSet] = {}
        self._all_seen: set[str] = set()

    def __len__(self) -> int:
        """How many folders these are."""
        return len(self._items)

    def __enter__(self) -> OwnUnsentItems:
        return self

    def __exit__(self, *error: object) -> None:
        for home, items in self._items.items():
            if home in self._all_seen:
                self._tracker.give_back(home, self._seen[home])
                self._tracker.missing(home, items.without(self._seen[home]))
            else:
                self._tracker.give_back(home, items)

    def unsent(self) -> Iterator[UnsentItem]:
        """Yield what is left, in the order it was recorded."""
        for home, items in self._items.items():
            try:
                yield from self._of(home, items, self._seen.setdefault(home, ItemSet()))
                self._all_seen.add(home)
            except Exception as error:  # noqa: BLE001 - a folder that cannot be read must not cost what waits in the others
                raise_interrupt()
                self._failed("catch-up", error)

    def _of(self, home: str, items: ItemSet, seen: ItemSet) -> Iterator[UnsentItem]:
        for kind, record in complete(TaskReader(Path(home))):
            if items.has(kind, record.event_id):
                seen.add(kind, record.event_id)
                yield UnsentItem(kind, record.event_id, record, home)

    def delivered(self, items: Sequence[DeliveryItem], rejected: int, message: str) -> None:
        """A collector took the items, except ``rejected`` of them."""
        self._tracker.delivered(items, rejected, message)
        self._done(items)

    def rejected(self, items: Sequence[DeliveryItem], reason: str, message: str) -> None:
        """No collector will take the items."""
        self._tracker.rejected(items, reason, message)
        self._done(items)

    def set_aside(self, items: Sequence[DeliveryItem]) -> None:
        """A collector failed over the items: do not try them again soon."""
        self._tracker.set_aside(items)
        self._done(items)

    def _done(self, items: Sequence[DeliveryItem]) -> None:
        for item in items:
            if item.home is not None:
                self._items[item.home].discard(item.kind, item.event_id)
                self._seen[item.home].discard(item.kind, item.event_id)
