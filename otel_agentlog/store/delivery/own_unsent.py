"""Items that this process recorded and no longer holds in memory: read back from their folder to be sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from otel_agentlog.store.delivery.item_set import ItemSet
from otel_agentlog.store.delivery.tracker import DeliveryItem, DeliveryTracker
from otel_agentlog.store.delivery.unsent import complete
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.folder.writer import TaskFolder
from otel_agentlog.vocabulary.records import UnsentItem


class OwnUnsentItems:
    """The items left in one folder of this process, while they are sent; a context manager. Those not sent are given back."""

    def __init__(self, tracker: DeliveryTracker, home: TaskFolder, items: ItemSet) -> None:
        self._tracker, self._home, self._items = tracker, home, items
        self._seen = ItemSet()
        self._all_seen = False

    @classmethod
    def take_all(cls, tracker: DeliveryTracker) -> list[OwnUnsentItems]:
        """Take everything that is left, by folder; the caller sends it or gives it back."""
        return [cls(tracker, home, items) for home, items in tracker.take_left()]

    def give_back(self) -> None:
        """Leave all of it for later."""
        self._tracker.give_back(self._home, self._items)

    def __enter__(self) -> OwnUnsentItems:
        return self

    def __exit__(self, *error: object) -> None:
        # What was not found in all of the folder is not there to be sent.
        waiting = self._seen if self._all_seen else self._items
        self._tracker.give_back(self._home, waiting)

    def unsent(self) -> Iterator[UnsentItem]:
        """Yield what is left, in the order it was recorded."""
        for kind, record in complete(TaskReader(self._home.path)):
            if self._items.has(kind, record.event_id):
                self._seen.add(kind, record.event_id)
                yield UnsentItem(kind, record.event_id, record, self._home)
        self._all_seen = True

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
            self._items.discard(item.kind, item.event_id)
            self._seen.discard(item.kind, item.event_id)
