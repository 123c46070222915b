"""The delivery of everything that this process recorded: which items were delivered, rejected, or are left in their folders.

The senders report. What was acknowledged is noted for a whole batch in the file of the process's lock, at once; what was dropped,
in the ledger of its task. Ledgers and the counts in ``metadata.json`` follow at once where a task is complete, else every
`INTERVAL_S`, written by another thread: a batch may be of hundreds of tasks, and each call of the system may have to wait for the
interpreter's lock, while lines wait to be sent.

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
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from otel_agentlog._interrupts import Turn, first_of, is_interrupt, raise_interrupt
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog.store.delivery.item_set import ItemSet
from otel_agentlog.store.delivery.ledger import SAMPLED, add_counts, note
from otel_agentlog.store.delivery.left import LeftItems
from otel_agentlog.store.delivery.process_lock import ProcessLock
from otel_agentlog.store.folder.files import open_directory
from otel_agentlog.store.folder.locks import lock_shared
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.folder.writer import Counts, TaskFolder, folder_of, missing, settled
from otel_agentlog.store.spans.rebuild import complete
from otel_agentlog.vocabulary.coerce import mapping, number, text
from otel_agentlog.vocabulary.event_ids import split_event_id
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.records import signal_of

INTERVAL_S = 1.0
"""How often, in seconds, the files of tasks at work follow what was acknowledged."""

WORK_SHARE = 4
"""They follow less often where writing them takes more than this part of the time."""

WRITE_WAIT_S = 1.0
"""Longest time, in seconds, that `DeliveryTracker.write` waits for another thread that writes files of one task."""

ASIDE_S = 300.0
"""How long, in seconds, an item that a collector failed over waits before it is sent again."""

MAX_TASKS = 1_000
"""Tasks that one thing is remembered of at a time: what is to be written, items that the sampler left out, what was decided,
items set aside."""

Keep = Callable[["str | None", "float | None", "float | None"], "str | None"]
"""Outcome, seconds and US dollars of a task → why it is sent although the sampler left it out; ``None`` if it is not."""


_NEVER = float("inf")


class DeliveryItem(Protocol):
    """An item that was made of a line."""

    @property
    def home(self) -> str | None: ...
    @property
    def event_id(self) -> str | None: ...
    @property
    def kind(self) -> str: ...


class _Owed:
    """What is to be written into the folder of one task."""

    __slots__ = ("acked", "added", "folders")

    def __init__(self) -> None:
        self.acked = ItemSet()
        """What was acknowledged, for the ledger."""
        self.folders: set[TaskFolder] = set()
        """Whose counts ``metadata.json`` is to follow."""
        self.added: dict[str, int] = {}
        """What is to be added there, of writers whose `TaskFolder` is gone."""

    @property
    def is_last(self) -> bool:
        """Whether this may be the last that happens to the task, and to this process."""
        return bool(self.folders) and all(folder.ended and not folder.pending for folder in self.folders)

    def add(self, counts: Mapping[str, int]) -> None:
        """Have more added there."""
        for key, count in counts.items():
            self.added[key] = self.added.get(key, 0) + count

    def write_counts(self, home: str) -> None:
        """Bring ``metadata.json`` up to date. Raises `OSError`; what was not written is lost, but for that of a `TaskFolder`."""
        for folder in self.folders:
            # A task that was deleted meanwhile must not come back for its counts.
            if os.path.isdir(folder.location):
                folder.verify(wait_s=0.0)
                folder.write_delivery()
        if self.added:
            _add(home, self.added)


class DeliveryTracker:
    """Counts what becomes of the items of one process. Called by the threads that send."""

    def __init__(
        self,
        keep: Keep,
        failed: Callable[[str, BaseException], None],
        counts: Counts | None = None,
        process_lock: ProcessLock | None = None,
    ) -> None:
        """``counts`` are those of the sink that keeps the lines. Without a ``process_lock`` all is noted in ledgers at once."""
        self._keep, self._failed, self._counts = keep, failed, counts or Counts()
        self._process_lock = process_lock
        self.later: Callable[[float, Callable[[], None]], object] = lambda delay_s, work: None
        """Has files written after so many seconds."""
        self.renew_after_fork()
        after_fork_in_child(self.renew_after_fork)

    def renew_after_fork(self) -> None:
        """In the child of a fork: the parent delivers and counts what it recorded."""
        self._lock = threading.RLock()
        """Never held while a file is written."""
        self._owed: dict[str, _Owed] = {}
        """By path of the folder, that which waits longest first."""
        self._settled: dict[str, ItemSet] = {}
        """What was delivered or dropped, by writer: a ledger may be deleted, or not be written."""
        self._most_settled = 64
        self._left = LeftItems(self._failed)
        self._aside: deque[tuple[float, str, ItemSet]] = deque()
        """With the time, on the monotonic clock, from which on they are sent again."""
        self._unsampled: dict[str, ItemSet] = {}
        self._decided: dict[str, bool] = {}
        self._due_at = 0.0
        """When files of tasks at work are to be written, on the monotonic clock."""
        self._is_due_now = self._is_timed = False
        """Whether a writing now, and one when it is due, are planned."""
        self._in_hand: dict[int, tuple[str, _Owed]] = {}
        """What is being written into ledgers, with its folder: it is in neither of both places."""
        self._turn = Turn()
        """Of the thread that writes files of one task."""

    # -- results of sending -----------------------------------------------------------------------------------------------

    def delivered(self, items: Sequence[DeliveryItem], rejected: int, message: str) -> None:
        """A collector took the items, except ``rejected`` of them; the protocol does not carry which."""
        homes = _by_home(items)
        for home, found in homes.items():
            here = min(rejected, len(found))
            rejected -= here
            with _settling(found):
                if here:
                    self._note(home, acked=found, rejected=here, message=message)
                else:
                    with self._lock:
                        self._owed_to(home).acked.merge(found)
                self._count(home, found, dropped=here)
        lock = self._process_lock
        if lock is None or not lock.note({home: found.as_json() for home, found in homes.items()}):
            for home in homes:
                self._note_owed(home)
        self._plan(homes)

    def rejected(self, items: Sequence[DeliveryItem], reason: str, message: str) -> None:
        """No collector will take the items."""
        homes = _by_home(items)
        for home, found in homes.items():
            self._drop(home, found, reason, message)
        self._plan(homes)

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
            self._aside.extend((due, home, found) for home, found in _by_home(items).items())
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
                self._change(home, folder)
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
                self._change(home, folder)
        self._plan((home,))

    def _owed_to(self, home: str) -> _Owed:
        """What is to be written there; under the lock."""
        owed = self._owed.get(home)
        if owed is None:
            owed = self._owed[home] = _Owed()
        return owed

    def _change(self, home: str, folder: TaskFolder) -> None:
        with self._lock:
            self._owed_to(home).folders.add(folder)

    def _add(self, home: str, added: Mapping[str, int]) -> None:
        """Count in a folder that nothing uses any more."""
        self._counts.add(**added)
        with self._lock:
            self._owed_to(home).add(added)

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

    def _note_owed(self, home: str) -> None:
        with self._lock:
            owed = self._owed.get(home)
            acked = ItemSet() if owed is None else owed.acked
            if owed is not None:
                owed.acked = ItemSet()
        if acked:
            self._note(home, acked=acked)

    def _note(self, home: str, **keys: Any) -> None:
        try:
            note(Path(home), **keys)
        except OSError as error:
            raise_interrupt()
            self._failed("ledger", error)

    # -- sampling ---------------------------------------------------------------------------------------------------------

    def unsampled(self, items: Sequence[DeliveryItem]) -> None:
        """The sampler left the items out; whether that stays so is decided when the task ends."""
        homes = _by_home(items)
        for home, found in homes.items():
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
        self._plan(homes)

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
        self._plan((home,))

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

    def write(self, *, until: float = _NEVER) -> None:
        """Bring ledgers and ``metadata.json`` up to date.

        What there is no time for before ``until`` (monotonic) is left to the next call, or to the next sending from the folder.
        """
        self._write(list(self._owed), until)
        self._forget_noted(until)

    def _forget_noted(self, until: float) -> None:
        """Shorten the file of the process's lock to what is not in the ledgers yet."""
        lock = self._process_lock
        # Another thread may have begun with one.
        with self._turn.taken(max(0.0, min(WRITE_WAIT_S, until - time.monotonic()))) as is_ours:
            if lock is not None and lock.noted_bytes and is_ours:
                noted_bytes, acked = lock.noted_bytes, dict[str, ItemSet]()
                with self._lock:
                    # Lists: a signal handler may flush in between.
                    for home, owed in [*self._owed.items(), *self._in_hand.values()]:
                        if owed.acked:
                            acked.setdefault(home, ItemSet()).merge(owed.acked)
                lock.forget(noted_bytes, {home: items.as_json() for home, items in acked.items()})

    def _plan(self, homes: Iterable[str] = ()) -> None:
        """Have files written: now if one of these tasks is complete, else when it is time to; here where too many wait."""
        with self._lock:
            is_last = any(owed.is_last for home in homes if (owed := self._owed.get(home)) is not None)
            now, timed = is_last and not self._is_due_now, bool(self._owed) and not self._is_timed
            self._is_due_now, self._is_timed = self._is_due_now or now, self._is_timed or timed
        if now:
            self.later(0.0, partial(self._write_due, timed=False))
        if timed:
            self.later(max(0.0, self._due_at - time.monotonic()), partial(self._write_due, timed=True))
        while len(self._owed) > MAX_TASKS:
            self._write(list(self._owed)[:1], _NEVER)

    def _write_due(self, *, timed: bool) -> None:
        with self._lock:
            self._is_due_now, self._is_timed = self._is_due_now and timed, self._is_timed and not timed
            began = time.monotonic()
            is_due = began >= self._due_at
            homes = [home for home, owed in list(self._owed.items()) if is_due or owed.is_last]
        self._write(homes, _NEVER)
        if is_due:
            self._forget_noted(_NEVER)
            now = time.monotonic()
            self._due_at = now + max(INTERVAL_S, (WORK_SHARE - 1) * (now - began))
        self._plan()

    def _write(self, homes: Iterable[str], until: float) -> None:
        wait_s = WRITE_WAIT_S
        for home in homes:
            now = time.monotonic()
            if now >= until:
                break
            try:
                with self._turn.taken(min(wait_s, until - now)) as is_ours:
                    # One that hangs in a folder is waited for once.
                    wait_s = WRITE_WAIT_S if is_ours else 0.0
                    self._write_one(home)
            except Exception as error:  # noqa: BLE001 - a damaged folder may raise anything, and must not keep others from theirs
                raise_interrupt()
                self._failed("receipt", error)

    def _write_one(self, home: str) -> None:
        owed = self._owed.get(home)
        if owed is None:
            return
        try:
            with self._lock:
                if self._owed.get(home) is not owed:
                    return  # another thread was faster
                self._in_hand[id(owed)] = home, owed
                del self._owed[home]
            if owed.acked:
                self._note(home, acked=owed.acked)
            with self._lock:
                del self._in_hand[id(owed)]
            owed.write_counts(home)
        except BaseException as error:
            if is_interrupt(error):
                self._put_back(home, owed)
            raise

    def _put_back(self, home: str, owed: _Owed) -> None:
        with self._lock:
            was_in_hand = self._in_hand.pop(id(owed), None) is not None
            again = self._owed_to(home)
            if again is owed:
                return  # it had not been taken yet
            again.folders |= owed.folders
            if was_in_hand:
                again.acked.merge(owed.acked)
                again.add(owed.added)


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


def _by_home(items: Iterable[DeliveryItem]) -> dict[str, ItemSet]:
    ids: dict[tuple[str, str], list[str | None]] = {}
    for item in items:
        if (home := item.home) is not None:
            ids.setdefault((home, item.kind), []).append(item.event_id)
    homes: dict[str, ItemSet] = {}
    for (home, kind), event_ids in ids.items():
        homes.setdefault(home, ItemSet()).add_all(kind, event_ids)
    return homes
