"""Items that this process recorded and has not in memory any more, read back from the folder to be sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from otel_agentlog.store.delivery.item_set import Marks
from otel_agentlog.store.delivery.tracker import Deliveries, Ticketed
from otel_agentlog.store.delivery.unsent import Unsent, complete
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.folder.writer import TaskFolder


class OwnShipment:
    """One folder of this process while what is left there is sent; a context manager. What was not taken is given back."""

    def __init__(self, deliveries: Deliveries, home: TaskFolder, marks: Marks) -> None:
        self._deliveries, self._home, self._marks = deliveries, home, marks
        self._seen = Marks()
        self._all_seen = False

    @classmethod
    def take_all(cls, deliveries: Deliveries) -> list[OwnShipment]:
        """Everything that is left, by folder; what is not sent is to be given back."""
        return [cls(deliveries, home, marks) for home, marks in deliveries.take_left()]

    def give_back(self) -> None:
        """Leave it for another time."""
        self._deliveries.give_back(self._home, self._marks)

    def __enter__(self) -> OwnShipment:
        return self

    def __exit__(self, *error: object) -> None:
        # What was not found in all of the folder is not there to be sent.
        waiting = self._seen if self._all_seen else self._marks
        self._deliveries.give_back(self._home, waiting)

    def unsent(self) -> Iterator[Unsent]:
        """Yield what is left, in the order it was recorded."""
        for kind, record in complete(TaskReader(self._home.path)):
            if self._marks.has(kind, record.event_id):
                self._seen.add(kind, record.event_id)
                yield Unsent(kind, record.event_id, record, self._home)
        self._all_seen = True

    def delivered(self, tickets: Sequence[Ticketed], rejected: int, message: str) -> None:
        """A collector has them, but for ``rejected`` of them."""
        self._deliveries.delivered(tickets, rejected, message)
        self._done(tickets)

    def rejected(self, tickets: Sequence[Ticketed], reason: str, message: str) -> None:
        """No collector will take them."""
        self._deliveries.rejected(tickets, reason, message)
        self._done(tickets)

    def set_aside(self, tickets: Sequence[Ticketed]) -> None:
        """They are not to be tried again soon."""
        self._deliveries.set_aside(tickets)
        self._done(tickets)

    def _done(self, tickets: Sequence[Ticketed]) -> None:
        for ticket in tickets:
            self._marks.discard(ticket.kind, ticket.event_id)
            self._seen.discard(ticket.kind, ticket.event_id)
