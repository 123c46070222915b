"""What became of everything that this process recorded: told by whoever sends, kept in each task's ledger and receipt.

Hides when which file is written. Items are known by the ``event_id`` of their line and their kind; ``home`` is the `TaskFolder`.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from otel_agentlog._fork import after_fork_in_child
from otel_agentlog.store.delivery.item_set import Marks
from otel_agentlog.store.delivery.ledger import SAMPLED, note
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.folder.writer import TaskFolder
from otel_agentlog.vocabulary.coerce import mapping, number, text
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.vocabulary.lines import Line

RECEIPT_INTERVAL_S = 1.0
"""How often, in seconds, the receipt in a task's ``metadata.json`` follows the ledger."""

ASIDE_S = 300.0
"""How long, in seconds, an item waits before it is tried again that a collector failed over."""

COUNTED = ("recorded", "delivered", "dropped", "redacted", "truncated")

Keep = Callable[["str | None", "float | None", "float | None"], "str | None"]
"""Outcome, seconds and US dollars of a task → why it is sent although the sampler left it out; ``None`` if it is not."""


class Ticketed(Protocol):
    """An item that was made of a line."""

    @property
    def home(self) -> Any: ...
    @property
    def event_id(self) -> str | None: ...
    @property
    def kind(self) -> str: ...


class Deliveries:
    """The books of one process. `recorded` may be called by any thread, the rest by those that send."""

    def __init__(self, keep: Keep, failed: Callable[[str, BaseException], None]) -> None:
        self._keep, self._failed = keep, failed
        self.renew_after_fork()
        after_fork_in_child(self.renew_after_fork)

    def renew_after_fork(self) -> None:
        """In the child of a fork: what the parent recorded is the parent's to deliver and to note."""
        self._lock = threading.RLock()
        """Held for moments only, never while something is written."""
        self.totals = dict.fromkeys(COUNTED, 0)
        self._changed: set[TaskFolder] = set()
        self._left: dict[TaskFolder, Marks] = {}
        self._aside: list[tuple[float, TaskFolder, Marks]] = []
        """With the moment, on the monotonic clock, from which on it is to be tried again."""
        self._unsampled: dict[TaskFolder, Marks] = {}
        self._decided: weakref.WeakKeyDictionary[TaskFolder, bool] = weakref.WeakKeyDictionary()
        self._written_at = 0.0

    # -- counting ---------------------------------------------------------------------------------------------------------

    def recorded(self, envelope: Envelope) -> None:
        """A line was written, or could not be: then it is lost, as `TaskFolder.append` counts it."""
        with self._lock:
            totals = self.totals
            if envelope.kept:
                totals["recorded"] += envelope.items
                totals["redacted"] += envelope.redacted
                totals["truncated"] += envelope.truncated
            else:
                totals["recorded"] += max(1, envelope.items)
                totals["dropped"] += max(1, envelope.items)

    def _count(self, home: TaskFolder, key: str, count: int) -> None:
        home.note_delivery(key, count)
        with self._lock:
            self.totals[key] += count
            self._changed.add(home)

    # -- told by the courier ----------------------------------------------------------------------------------------------

    def delivered(self, tickets: Sequence[Ticketed], rejected: int, message: str) -> None:
        """A collector has them, but for ``rejected`` of them, and the protocol does not say which."""
        for home, marks in _by_home(tickets):
            count = len(marks)
            here = min(rejected, count)
            rejected -= here
            self._note(home, acked=marks, rejected=here, message=message if here else "")
            self._count(home, "delivered", count - here)
            self._count(home, "dropped", here)
        self.write(only_if_due=True)

    def rejected(self, tickets: Sequence[Ticketed], reason: str, message: str) -> None:
        """No collector will take them."""
        for home, marks in _by_home(tickets):
            self._drop(home, marks, reason, message)
        self.write(only_if_due=True)

    def left(self, tickets: Sequence[Ticketed]) -> None:
        """They wait in their folders to be sent from there."""
        with self._lock:
            for ticket in tickets:
                if isinstance(ticket.home, TaskFolder):
                    self._left.setdefault(ticket.home, Marks()).add(ticket.kind, ticket.event_id)

    def set_aside(self, tickets: Sequence[Ticketed]) -> None:
        """They wait in their folders, too, but a collector failed over them; they are left alone for a while."""
        due = time.monotonic() + ASIDE_S
        with self._lock:
            self._aside += [(due, home, marks) for home, marks in _by_home(tickets)]

    def _drop(self, home: TaskFolder, marks: Marks, reason: str, message: str = "") -> None:
        self._note(home, dropped=marks, reason=reason, message=message)
        self._count(home, "dropped", len(marks))

    def _note(self, home: TaskFolder, **keys: Any) -> None:
        try:
            note(home.path, **keys)
        except OSError as error:
            self._failed("ledger", error)

    # -- sampling ---------------------------------------------------------------------------------------------------------

    def unsampled(self, tickets: Sequence[Ticketed]) -> None:
        """The sampler left them out; whether that stays so is decided when the task ends."""
        for home, marks in _by_home(tickets):
            kept = self._decided.get(home)
            if kept is None:
                with self._lock:
                    self._unsampled.setdefault(home, Marks()).update(marks.as_json())
            elif kept:
                self.give_back(home, marks)
            else:
                self._drop(home, marks, SAMPLED)

    def ended(self, home: Any) -> None:
        """A task ended: decide what becomes of what the sampler left out."""
        if not isinstance(home, TaskFolder):
            return
        final = TaskReader(home.path).final_result() if home in self._unsampled else None
        if final is None:
            return
        with self._lock:
            marks = self._unsampled.pop(home, None)
        if marks is None:
            return
        why = reason_to_keep(final, self._keep)
        self._decided[home] = why is not None
        if why is None:
            self._drop(home, marks, SAMPLED)
            return
        self._note(home, kept=why)
        with self._lock:
            self._left.setdefault(home, Marks()).update(marks.as_json())

    def review(self) -> None:
        """Decide about tasks that ended in other processes meanwhile."""
        for home in list(self._unsampled):
            if home.ended:
                self.ended(home)

    # -- what is left -----------------------------------------------------------------------------------------------------

    @property
    def has_left(self) -> bool:
        """Whether something waits in the folders of this process to be sent from there."""
        # The oldest stands first.
        return bool(self._left) or any(due <= time.monotonic() for due, _, _ in self._aside[:1])

    def take_left(self) -> list[tuple[TaskFolder, Marks]]:
        """What waits; from here on it is the caller's to send, or to give back by `left`."""
        now = time.monotonic()
        with self._lock:
            left, self._left = self._left, {}
            for _, home, marks in (each for each in self._aside if each[0] <= now):
                left.setdefault(home, Marks()).update(marks.as_json())
            self._aside = [each for each in self._aside if each[0] > now]
        return list(left.items())

    def give_back(self, home: TaskFolder, marks: Marks) -> None:
        """It could not be sent now."""
        if marks:
            with self._lock:
                self._left.setdefault(home, Marks()).update(marks.as_json())

    # -- writing ----------------------------------------------------------------------------------------------------------

    def write(self, *, only_if_due: bool = False, until: float = float("inf")) -> None:
        """Bring ``metadata.json`` of the tasks whose counts changed up to date.

        What there is no time for before ``until`` (monotonic) is left to the next call, or to whoever ships the task.
        """
        if only_if_due and time.monotonic() - self._written_at < RECEIPT_INTERVAL_S:
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
            # A task that was deleted meanwhile does not come back because of its receipt.
            if not home.path.is_dir():
                continue
            try:
                home.write_delivery()
            except OSError as error:
                self._failed("receipt", error)


def reason_to_keep(final: Line, keep: Keep) -> str | None:
    """Why a task with this final result is sent although the sampler left it out; ``None`` if it is not."""
    metrics = mapping(final, "metrics")
    return keep(text(final, "outcome"), number(metrics, "duration_seconds"), number(metrics, "cost_usd"))


def _by_home(tickets: Iterable[Ticketed]) -> list[tuple[TaskFolder, Marks]]:
    homes: dict[TaskFolder, Marks] = {}
    for ticket in tickets:
        if isinstance(ticket.home, TaskFolder):
            homes.setdefault(ticket.home, Marks()).add(ticket.kind, ticket.event_id)
    return list(homes.items())
