"""The delivery of everything that this process recorded: which items were delivered, rejected, or are left in their folders.

The senders report; each task's ledger is written at once, the counts in its ``metadata.json`` at most every `COUNTS_INTERVAL_S`.
Items are known by the ``event_id`` of their line and their kind; ``home`` is the path of the folder they were written to. No
`TaskFolder` is held here but until its counts are written: what is remembered of a task is a few numbers, and that of a bounded
number of tasks.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from otel_agentlog._interrupts import first_of, raise_interrupt
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog.store.delivery.item_set import ItemSet
from otel_agentlog.store.delivery.ledger import SAMPLED, add_counts, note
from otel_agentlog.store.delivery.left import LeftItems
from otel_agentlog.store.folder.files import open_directory
from otel_agentlog.store.folder.locks import lock_shared
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.folder.writer import Counts, TaskFolder, folder_of, missing, settled
from otel_agentlog.store.spans.rebuild import complete
from otel_agentlog.vocabulary.coerce import mapping, number, text
from otel_agentlog.vocabulary.event_ids import split_event_id
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.records import signal_of

COUNTS_INTERVAL_S = 1.0
"""How often, in seconds, the counts in a task's ``metadata.json`` follow the ledger."""

ASIDE_S = 300.0
"""How long, in seconds, an item that a collector failed over waits before it is sent again."""

MAX_TASKS = 1_000
"""Tasks that one thing is remembered of at a time: counts to be written, items that the sampler left out, what was decided, items
set aside."""

Keep = Callable[["str | None", "float | None", "float | None"], "str | None"]
"""Outcome, seconds and US dollars of a task → why it is sent although the sampler left it out; ``None`` if it is not."""


class DeliveryItem(Protocol):
    """An item that was made of a line."""

    @property
    def home(self) -> str | None: ...
    @property
    def event_id(self) -> str | None: ...
    @property
    def kind(self) -> str: ...


class DeliveryTracker:
    """Counts what becomes of the items of one process. Called by the threads that send."""

    def __init__(self, keep: Keep, failed: Callable[[str, BaseException], None], counts: Counts | None = None) -> None:
        """``counts`` are those of the sink that keeps the lines."""
        self._keep, self._failed, self._counts = keep, failed, counts or Counts()
        self.later: Callable[[float, Callable[[], None]], object] = lambda delay_s, work: None
        """Has something done after so many seconds."""
        self.renew_after_fork()
        after_fork_in_child(self.renew_after_fork)

    def renew_after_fork(self) -> None:
        """In the child of a fork: the parent delivers and counts what it recorded."""
        self._lock = threading.RLock()
        """Never held while a file is written."""
        self._changed: set[TaskFolder] = set()
        """Folders whose ``metadata.json`` is to follow; never more than `MAX_TASKS`."""
        self._added: dict[str, dict[str, int]] = {}
        """What is to be added to ``metadata.json`` of folders that nothing else uses any more, by path."""
        self._settled: dict[str, ItemSet] = {}
        """What was delivered or dropped, by writer: a ledger may be deleted, or not be written."""
        self._most_settled = 64
        self._left = LeftItems(self._failed)
        self._aside: deque[tuple[float, str, ItemSet]] = deque()
        """With the time, on the monotonic clock, from which on they are sent again."""
        self._unsampled: dict[str, ItemSet] = {}
        self._decided: dict[str, bool] = {}
        self._written_at = 0.0
        self._is_planned = False
        """Whether a later `write` is planned."""

    # -- results of sending -----------------------------------------------------------------------------------------------

    def delivered(self, items: Sequence[DeliveryItem], rejected: int, message: str) -> None:
        """A collector took the items, except ``rejected`` of them; the protocol does not carry which."""
        for home, found in _by_home(items):
            count = len(found)
            here = min(rejected, count)
            rejected -= here
            with _settling(found):
                self._note(home, acked=found, rejected=here, message=message if here else "")
                self._count(home, found, dropped=here)
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
                if item.home is not None:
                    self._left.items_of(item.home).add(item.kind, item.event_id)

    def set_aside(self, items: Sequence[DeliveryItem]) -> None:
        """A collector failed over the items: they wait in their folders for `ASIDE_S`, or until too many others do."""
        due = time.monotonic() + ASIDE_S
        with self._lock:
            self._aside.extend((due, home, found) for home, found in _by_home(items))
            while len(self._aside) > MAX_TASKS:
                _, home, found = self._aside.popleft()
                self._left.items_of(home).merge(found)

    def _drop(self, home: str, items: ItemSet, reason: str, message: str = "") -> None:
        with _settling(items):
            self._note(home, dropped=items, reason=reason, message=message)
            self._count(home, items, dropped=len(items))

    # -- counting ---------------------------------------------------------------------------------------------------------

    def _count(self, home: str, items: ItemSet, *, dropped: int) -> None:
        for tag, ranges in items.by_writer().items():
            here = min(dropped, sum(last - first + 1 for first, last in ranges))
            dropped -= here
            folder = folder_of(tag)
            if folder is None:
                self._add(home, settled(ranges, here, self._counts.lost(tag)))
            else:
                folder.settled(ranges, dropped=here)
                self._change(folder)
                self._settle(tag, items)

    def _settle(self, tag: str, items: ItemSet) -> None:
        with self._lock:
            self._settled.setdefault(tag, ItemSet()).merge(items)
            if len(self._settled) > min(MAX_TASKS, self._most_settled):
                # It is for folders that are in use.
                self._settled = {tag: found for tag, found in self._settled.items() if folder_of(tag) is not None}
                _shorten(self._settled)
                self._most_settled = 2 * len(self._settled) + 64

    def missing(self, home: str, items: ItemSet) -> None:
        """The items were looked for in their folder and are not there."""
        for tag, ranges in items.by_writer().items():
            folder = folder_of(tag)
            if folder is None:
                lost = self._counts.lost(tag)
                self._add(home, missing(ranges, lost))
                self._counts.lose(tag, lost)
            else:
                folder.missing(ranges)
                self._change(folder)

    def _change(self, folder: TaskFolder) -> None:
        with self._lock:
            self._changed.add(folder)

    def _add(self, home: str, added: Mapping[str, int]) -> None:
        """Count in a folder that nothing uses any more."""
        self._counts.add(**added)
        with self._lock:
            counts = self._added.setdefault(home, {})
            for key, count in added.items():
                counts[key] = counts.get(key, 0) + count

    def pending_on_disk(self, home: TaskFolder) -> int:
        """How many items of this process are in a folder to be sent."""
        tag = home.task.event_ids.tag
        found = self._settled.get(tag, ItemSet())
        return sum(
            (split_event_id(record.event_id) or ("", 0))[0] == tag
            and signal_of(kind) not in record.origin.elsewhere
            and not found.has(kind, record.event_id)
            for kind, record in complete(TaskReader(home.path))
        )

    def _note(self, home: str, **keys: Any) -> None:
        try:
            note(Path(home), **keys)
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
                    self._unsampled.setdefault(home, ItemSet()).merge(found)
                    # The oldest stay pending, to be decided on by another process.
                    _shorten(self._unsampled)
            elif kept:
                self.give_back(home, found)
            else:
                self._drop(home, found, SAMPLED)

    def ended(self, home: str | None) -> None:
        """A task ended: decide whether what the sampler left out is sent after all."""
        if home is None:
            return
        final = TaskReader(Path(home)).final_result() if home in self._unsampled else None
        if final is None:
            return
        with self._lock:
            items = self._unsampled.pop(home, None)
        if items is None:
            return
        why = reason_to_keep(final, self._keep)
        with self._lock:
            self._decided[home] = why is not None
            _shorten(self._decided)
        if why is None:
            self._drop(home, items, SAMPLED)
        else:
            self._note(home, kept=why)
            self.give_back(home, items)

    def review(self) -> None:
        """Decide for tasks that ended in other processes meanwhile."""
        for home in list(self._unsampled):
            self.ended(home)

    # -- what is left -----------------------------------------------------------------------------------------------------

    @property
    def has_left(self) -> bool:
        """Whether items wait in the folders of this process, to be sent from there."""
        oldest = first_of(self._aside)
        return bool(self._left) or (oldest is not None and oldest[0] <= time.monotonic())

    @property
    def folders_left(self) -> int:
        """In how many folders, at most, items wait that may be sent now."""
        self._end_waits()
        return len(self._left)

    def _end_waits(self) -> None:
        with self._lock:
            while self._aside and self._aside[0][0] <= time.monotonic():
                _, home, items = self._aside.popleft()
                self._left.items_of(home).merge(items)

    def take_left(self, folders: int) -> dict[str, ItemSet]:
        """Take the items that wait in the next folders, at most so many; the caller sends them or gives them back."""
        self._end_waits()
        with self._lock:
            return self._left.take(folders)

    def give_back(self, home: str, items: ItemSet) -> None:
        """The items could not be sent now."""
        if items:
            with self._lock:
                self._left.items_of(home).merge(items)

    # -- writing ----------------------------------------------------------------------------------------------------------

    def write(self, *, only_if_due: bool = False, until: float = float("inf")) -> None:
        """Bring ``metadata.json`` of the tasks with changed counts up to date.

        With ``only_if_due`` those of tasks that are not complete follow after a moment. What there is no time for before
        ``until`` (monotonic) is left to the next call, or to the next sending from the folder.
        """
        with self._lock:
            changed, self._changed = self._changed, set()
            added, self._added = self._added, {}
            is_due = len(changed) + len(added) >= MAX_TASKS or time.monotonic() - self._written_at >= COUNTS_INTERVAL_S
            if only_if_due and not is_due:
                # What is complete may be the last that happens to its task, and to this process.
                complete = {home for home in changed if home.ended and not home.pending}
                self._changed, self._added = changed - complete, added
                changed, added = complete, {}
            else:
                self._written_at = time.monotonic()
            planned = bool(self._changed or self._added) and not self._is_planned
            self._is_planned = self._is_planned or planned
        if planned:
            self.later(COUNTS_INTERVAL_S, self._write_later)
        self._write(changed, added, until)

    def _write_later(self) -> None:
        self._is_planned = False
        self.write()

    def _write(self, changed: set[TaskFolder], added: dict[str, dict[str, int]], until: float) -> None:
        while (changed or added) and time.monotonic() < until:
            try:
                if changed:
                    folder = changed.pop()
                    # A task that was deleted meanwhile must not come back for its counts.
                    if os.path.isdir(folder.location):
                        folder.write_delivery()
                else:
                    _add(*added.popitem())
            except OSError as error:
                raise_interrupt()
                self._failed("receipt", error)
        with self._lock:
            self._changed |= changed
            for home, counts in added.items():
                now = self._added.setdefault(home, {})
                now.update({key: now.get(key, 0) + count for key, count in counts.items()})


def _add(home: str, added: dict[str, int]) -> None:
    """Add counts to a task's ``metadata.json``. A task that was deleted meanwhile does not come back for them."""
    try:
        directory = open_directory(home)
    except FileNotFoundError:
        return
    lock_shared(directory)
    add_counts(directory, **added)


@contextmanager
def _settling(items: ItemSet) -> Iterator[None]:
    """While results of sending are noted and counted: what is in the folders is not counted anew."""
    with ExitStack() as stack:
        for tag in items.by_writer():
            folder = folder_of(tag)
            if folder is not None:
                stack.enter_context(folder.settling())
        yield


def _shorten(found: dict[str, Any]) -> None:
    while len(found) > MAX_TASKS:
        del found[next(iter(found))]


def reason_to_keep(final: Line, keep: Keep) -> str | None:
    """Why a task with this final result is sent although the sampler left it out; ``None`` if it is not."""
    metrics = mapping(final, "metrics")
    return keep(text(final, "outcome"), number(metrics, "duration_seconds"), number(metrics, "cost_usd"))


def _by_home(items: Iterable[DeliveryItem]) -> list[tuple[str, ItemSet]]:
    ids: dict[tuple[str, str], list[str | None]] = {}
    for item in items:
        if (home := item.home) is not None:
            ids.setdefault((home, item.kind), []).append(item.event_id)
    homes: dict[str, ItemSet] = {}
    for (home, kind), event_ids in ids.items():
        homes.setdefault(home, ItemSet()).add_all(kind, event_ids)
    return list(homes.items())
