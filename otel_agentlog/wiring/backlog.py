"""The items that wait in task folders to be sent, and how they are read back and sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from otel_agentlog.export.pipeline.items import Deliver
from otel_agentlog.export.shipping import ship
from otel_agentlog.settings.fields import Settings
from otel_agentlog.store.delivery.own_unsent import OwnUnsentItems
from otel_agentlog.store.delivery.pending import KnownFolders, pending_tasks
from otel_agentlog.store.delivery.process_lock import ProcessLock
from otel_agentlog.store.delivery.tracker import DeliveryTracker
from otel_agentlog.store.delivery.unsent import UnsentItems

MAX_CAUGHT_UP = 2_000
"""How many tasks that other processes left behind are sent with one scan, those changed last first."""

MAX_IN_VAIN = 3
"""How many times in a row the collector may take nothing of what is read."""

MAX_TOGETHER = 128
"""How many tasks of this process share requests, once the collector takes something."""


class FolderBacklog:
    """Sends what waits in folders: items of this process that were not kept in memory, and those of dead processes."""

    signals: Collection[str] = ()
    """The signals that this process sends."""

    def __init__(self, settings: Settings, deliveries: DeliveryTracker, failed: Callable[[str, BaseException], None]) -> None:
        self._settings, self._deliveries, self._failed = settings, deliveries, failed
        self._known = KnownFolders()

    @property
    def has_left(self) -> bool:
        return self._deliveries.has_left

    def ship_left(self, deliver: Deliver) -> bool:
        # Only what waits now: what comes back has its turn when this is called again.
        waiting, together = self._deliveries.folders_left, 1
        taken = in_vain = 0
        while waiting > 0 and in_vain < MAX_IN_VAIN:
            items = OwnUnsentItems(self._deliveries, min(waiting, together), self._failed)
            waiting -= max(1, len(items))
            with items:
                shipped = ship(items.unsent(), deliver, items)
            taken += shipped.delivered
            together = min(MAX_TOGETHER, 4 * together) if shipped.delivered else 1
            in_vain = in_vain + 1 if shipped.waiting and not shipped.delivered else 0
        return taken > 0

    def ship_others(self, deliver: Deliver) -> None:
        self._deliveries.review()
        ProcessLock.sweep(self._settings.directory)
        since_s, in_vain = time.time() - self._settings.catch_up_days * 86_400, 0
        due = pending_tasks(self._settings.directory, self.signals, at_most=MAX_CAUGHT_UP, since_s=since_s, known=self._known)
        for task in due:
            if self.has_left:
                # What this process left comes before what others did.
                self.ship_left(deliver)
            try:
                with UnsentItems(task, self._settings.reason_to_keep, signals=self.signals) as items:
                    shipped = ship(items.unsent(), deliver, items)
            except (BlockingIOError, FileNotFoundError):
                continue  # another process ships it, or retention was faster
            except Exception as error:  # noqa: BLE001 - whatever a damaged folder raises must not keep the older ones
                self._failed("catch-up", error)
                continue
            in_vain = in_vain + 1 if shipped.problems and not shipped.delivered else 0
            if in_vain >= MAX_IN_VAIN:
                return
