"""What waits in folders to be sent, and how it is fetched from there."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from otel_agentlog.export.shipping import Deliver, Shipped, ship
from otel_agentlog.record.recorder import recorder
from otel_agentlog.settings.fields import Settings
from otel_agentlog.store.delivery.own_unsent import OwnShipment
from otel_agentlog.store.delivery.pending import unshipped
from otel_agentlog.store.delivery.process_lock import Presence
from otel_agentlog.store.delivery.tracker import Deliveries
from otel_agentlog.store.delivery.unsent import Shipment

MAX_CAUGHT_UP = 2_000
"""How many tasks that other processes left behind are sent with one look, those changed last first."""

MAX_IN_VAIN = 3
"""How many tasks in a row are looked into of which the collector takes nothing."""


class Backlog:
    """What waits in folders to be sent, by this process or by none."""

    def __init__(self, settings: Settings, deliveries: Deliveries, signals: Callable[[], Collection[str]]) -> None:
        self._settings, self._deliveries, self._signals = settings, deliveries, signals
        self._known: dict[str, float] = {}

    @property
    def has_left(self) -> bool:
        return self._deliveries.has_left

    def ship_left(self, deliver: Deliver) -> bool:
        taken = in_vain = 0
        left = OwnShipment.take_all(self._deliveries)
        while left and in_vain < MAX_IN_VAIN:
            shipped = self._ship_own(left.pop(), deliver)
            taken += shipped.delivered
            in_vain = in_vain + 1 if shipped.problems and not shipped.delivered else 0
        for shipment in left:
            shipment.give_back()
        return taken > 0

    def _ship_own(self, shipment: OwnShipment, deliver: Deliver) -> Shipped:
        try:
            with shipment:
                return ship(shipment.unsent(), deliver, shipment)
        except Exception as error:  # noqa: BLE001 - a folder that cannot be read must not cost what waits in the others
            recorder().failed("catch-up", error)
            return Shipped()

    def ship_others(self, deliver: Deliver) -> None:
        self._deliveries.review()
        Presence.sweep(self._settings.directory)
        since_s, in_vain = time.time() - self._settings.catch_up_days * 86_400, 0
        due = unshipped(self._settings.directory, self._signals(), at_most=MAX_CAUGHT_UP, since_s=since_s, known=self._known)
        for task in due:
            if self.has_left:
                # What this process left comes before what others did.
                self.ship_left(deliver)
            try:
                with Shipment(task, self._settings.reason_to_keep, signals=self._signals()) as shipment:
                    shipped = ship(shipment.unsent(), deliver, shipment)
            except (BlockingIOError, FileNotFoundError):
                continue  # somebody else ships it, or retention was faster
            except Exception as error:  # noqa: BLE001 - whatever a damaged folder raises must not keep the older ones
                recorder().failed("catch-up", error)
                continue
            in_vain = in_vain + 1 if shipped.problems and not shipped.delivered else 0
            if in_vain >= MAX_IN_VAIN:
                return
