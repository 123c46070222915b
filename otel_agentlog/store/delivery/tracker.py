"""The delivery of everything that this process recorded: which items were delivered, rejected, or are left in their folders.

The senders report; each task's ledger is written at once, the counts in its ``metadata.json`` at most every `COUNTS_INTERVAL_S`.
Items are known by the ``event_id`` of their line and their kind; ``home`` is the `TaskFolder` they were written to.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from otel_agentlog._fork import after_fork_in_child
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.store.delivery.item_set import ItemSet
from otel_agentlog.store.delivery.ledger import SAMPLED, note
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.folder.writer import TaskFolder
from otel_agentlog.vocabulary.coerce import mapping, number, text
from otel_agentlog.vocabulary.envelope import Home
from otel_agentlog.vocabulary.lines import Line

COUNTS_INTERVAL_S = 1.0
"""How often, in seconds, the counts in a task's ``metadata.json`` follow the ledger."""

ASIDE_S = 300.0
"""How long, in seconds, an item that a collector failed over waits before it is sent again."""

Keep = Callable[["str | None", "float | None", "float | None"], "str | None"]
"""Outcome, seconds and US dollars of a task → why it is sent although the sampler left it out; ``None`` if it is not."""


class DeliveryItem(Protocol):
    """An item that was made of a line."""

    @property
    def home(self) -> Home | None: ...
    @property
    def event_id(self) -> str | None: ...
    @property
    def kind(self) -> str: ...


class DeliveryTracker:
    """Counts what becomes of the items of one process. Called by the threads that send."""

    def __init__(self, keep: Keep, failed: Callable[[str, BaseException], None]) -> None:
        self._keep, self._failed = keep, failed
        self.renew_after_fork()
        after_fork_in_child(self.renew_after_fork)

    def renew_after_fork(self) -> None:
        """In the child of a fork: the parent delivers and counts what it recorded."""
        self._lock = threading.RLock()
        """Never held while a file is written."""
        self.totals = {"delivered": 0, "dropped": 0}
        self._changed: set[TaskFolder] = set()
        self._left: dict[TaskFolder, ItemSet] = {}
        self._aside: list[tuple[float, TaskFolder, ItemSet]] = []
        """With the time, on the monotonic clock, from which on they are sent again."""
        self._unsampled: dict[TaskFolder, ItemSet] = {}
        self._decided: weakref.WeakKeyDictionary[TaskFolder, bool] = weakref.WeakKeyDictionary()
        self._written_at = 0.0

    # -- counting ---------------------------------------------------------------------------------------------------------

    def _count(self, home: TaskFolder, key: str, count: int) -> None:
        home.count(**{key: count})
        with self._lock:
            self.totals[key] += count
            self._changed.add(home)

    # -- results of sending -----------------------------------------------------------------------------------------------

    def delivered(self, items: Sequence[DeliveryItem], rejected: int, message: str) -> None:
        """A collector took the items, except ``rejected`` of them; the protocol does not carry which."""
        for home, found in _by_home(items):
            count = len(found)
            here = min(rejected, count)
            rejected -= here
            self._note(home, acked=found, rejected=here, message=message if here else "")
            self._count(home, "delivered", count - here)
            self._count(home, "dropped", here)
        self.write(only_if_due=True)

    def rejected(self, items: Sequence[DeliveryItem], reason: str, message: str) -> None:
        """No collector will take the items."""
        for home, found in _by_home(items):
            self._drop(home, found, reason, message)
        self.write(only_if_due=True)

    def left(self, items: Sequence[DeliveryItem]) -> None:
        """The items wait in their folders, to be sent from there."""
        with self._lock:
            for item in items:
                if isinstance(item.home, TaskFolder):
                    self._left.setdefault(item.home, ItemSet()).add(item.kind, item.event_id)

    def set_aside(self, items: Sequence[DeliveryItem]) -> None:
        """A collector failed over the items: they wait in their folders for `ASIDE_S`."""
        due = time.monotonic() + ASIDE_S
        with self._lock:
            self._aside += [(due, home, found) for home, found in _by_home(items)]

    def _drop(self, home: TaskFolder, items: ItemSet, reason: str, message: str = "") -> None:
        self._note(home, dropped=items, reason=reason, message=message)
        self._count(home, "dropped", len(items))

    def _note(self, home: TaskFolder, **keys: Any) -> None:
        try:
            note(home.path, **keys)
        except OSError as error:
            raise_interrupt()
            self._failed("ledger", error)

    # -- sampling ---------------------------------------------------------------------------------------------------------

    def unsampled(self, items: Sequence[DeliveryItem]) -> None:
        """The sampler left the items out; whether that stays so is decided when the task ends."""
        for home, found in _by_home(items):
            kept = self._decided.get(home)
            if kept is None:
                with self._lock:
                    self._unsampled.setdefault(home, ItemSet()).update(found.as_json())
            elif kept:
                self.give_back(home, found)
            else:
                self._drop(home, found, SAMPLED)

    def ended(self, home: Home | None) -> None:
        """A task ended: decide whether what the sampler left out is sent after all."""
        if not isinstance(home, TaskFolder):
            return
        final = TaskReader(home.path).final_result() if home in self._unsampled else None
        if final is None:
            return
        with self._lock:
            items = self._unsampled.pop(home, None)
        if items is None:
            return
        why = reason_to_keep(final, self._keep)
        self._decided[home] = why is not None
        if why is None:
            self._drop(home, items, SAMPLED)
        else:
            self._note(home, kept=why)
            self.give_back(home, items)

    def review(self) -> None:
        """Decide for tasks that ended in other processes meanwhile."""
        for home in list(self._unsampled):
            if home.ended:
                self.ended(home)

    # -- what is left -----------------------------------------------------------------------------------------------------

    @property
    def has_left(self) -> bool:
        """Whether items wait in the folders of this process, to be sent from there."""
        # The oldest comes first.
        return bool(self._left) or any(due <= time.monotonic() for due, _, _ in self._aside[:1])

    def take_left(self) -> list[tuple[TaskFolder, ItemSet]]:
        """Take the items that wait, by folder; the caller sends them or gives them back."""
        now = time.monotonic()
        with self._lock:
            left, self._left = self._left, {}
            for _, home, items in (each for each in self._aside if each[0] <= now):
                left.setdefault(home, ItemSet()).update(items.as_json())
            self._aside = [each for each in self._aside if each[0] > now]
        return list(left.items())

    def give_back(self, home: TaskFolder, items: ItemSet) -> None:
        """The items could not be sent now."""
        if items:
            with self._lock:
                self._left.setdefault(home, ItemSet()).update(items.as_json())

    # -- writing ----------------------------------------------------------------------------------------------------------

    def write(self, *, only_if_due: bool = False, until: float = float("inf")) -> None:
        """Bring ``metadata.json`` of the tasks with changed counts up to date.

        What there is no time for before ``until`` (monotonic) is left to the next call, or to the next sending from the folder.
        """
        if only_if_due and time.monotonic() - self._written_at < COUNTS_INTERVAL_S:
            return
        with self._lock:
            changed, self._changed = self._changed, set()
            self._written_at = time.monotonic()
        while changed:
            if time.monotonic() >= until:
                with self._lock:
                    self._changed |= changed
                return
            home = changed.pop()
            # A task that was deleted meanwhile must not come back for its counts.
            if not home.path.is_dir():
                continue
            try:
                home.write_delivery()
            except OSError as error:
                raise_interrupt()
                self._failed("receipt", error)


def reason_to_keep(final: Line, keep: Keep) -> str | None:
    """Why a task with this final result is sent although the sampler left it out; ``None`` if it is not."""
    metrics = mapping(final, "metrics")
    return keep(text(final, "outcome"), number(metrics, "duration_seconds"), number(metrics, "cost_usd"))


def _by_home(items: Iterable[DeliveryItem]) -> list[tuple[TaskFolder, ItemSet]]:
    homes: dict[TaskFolder, ItemSet] = {}
    for item in items:
        if isinstance(item.home, TaskFolder):
            homes.setdefault(item.home, ItemSet()).add(item.kind, item.event_id)
    return list(homes.items())
