"""Hides that questions are answered from the catalogue where there is one, and from the folders where it cannot be used."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from otel_agentlog._fork import after_fork_in_child
from otel_agentlog.query.cards import card_of, freshened
from otel_agentlog.query.filters import Filter, conditions_of
from otel_agentlog.query.source import ORDERS, Counted, Scanned, Shelf, newest_first
from otel_agentlog.store.folder.reader import list_tasks
from otel_agentlog.store.index.columns import Columns, PartSums, columns_of
from otel_agentlog.store.index.database import discard_catalogue
from otel_agentlog.store.index.index import CATALOGUE_FAILED, Catalogue, is_busy
from otel_agentlog.store.index.row import Failure

MAX_RECHECKED = 1000
"""Folders on a page up to this many are looked at before they are shown."""

_TURNS = 3

Answer = TypeVar("Answer")
Progress = Callable[[int, int], None]

_open: dict[str, Catalogue] = {}
_parents: list[dict[str, Catalogue]] = []
_opening = threading.Lock()


def _renew_after_fork() -> None:
    # A connection must not be used, not even closed, in the child of a fork.
    global _opening
    _opening = threading.Lock()
    _parents.append(dict(_open))
    _open.clear()


after_fork_in_child(_renew_after_fork)


def ask(root: Path, question: Callable[[Shelf], Answer], progress: Progress | None = None) -> Answer:
    """Return the answer to a question about the tasks below a root, as they stand now.

    The first question about a large root reads every folder once; `progress` is told how many of how many.
    """
    if next(list_tasks(root), None) is None:
        return question(Scanned(root))
    for _ in range(2):
        try:
            with _catalogue(root) as catalogue:
                catalogue.refresh(progress)
                return question(Catalogued(catalogue))
        except CATALOGUE_FAILED as error:
            if is_busy(error):
                break
            _drop(root)
    return question(Scanned(root))


@contextmanager
def _catalogue(root: Path) -> Iterator[Catalogue]:
    """The open catalogue of a root; other threads wait meanwhile."""
    key = os.path.abspath(root)
    with _opening:
        found = _open.get(key)
        if found is None or not found.is_current:
            found = _open[key] = Catalogue(Path(key), card_of, freshened)
    with found.lock:
        yield found


def _drop(root: Path) -> None:
    """Take away a catalogue that cannot be used: the next question makes a new one."""
    with _opening:
        _open.pop(os.path.abspath(root), None)
        discard_catalogue(root)


class Catalogued:
    """The cards of a root, those of tasks that ended in the catalogue and the others at hand."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._set_live()

    def _set_live(self) -> None:
        self._live = Scanned(self._catalogue.root, self._catalogue.live)

    def folders(self, wanted: Filter, order: str, limit: int | None, offset: int) -> list[str]:
        """The names of the folders of the tasks that meet a filter."""
        for _ in range(_TURNS):
            found = self._folders(wanted, order, limit, offset)
            if len(found) > MAX_RECHECKED or not self._catalogue.recheck(found):
                break
            self._set_live()
        return found

    def _folders(self, wanted: Filter, order: str, limit: int | None, offset: int) -> list[str]:
        live = self._live.matching(wanted)
        if not live:
            return [folder for _, folder in self._catalogue.folders(conditions_of(wanted), order, limit, offset)]
        end = None if limit is None else offset + limit
        key = ORDERS[order]
        found = self._catalogue.folders(conditions_of(wanted), order, end)
        found += [(key(card), card.folder) for card in live]
        return [folder for _, folder in sorted(found)[offset:end]]

    def count(self, wanted: Filter) -> Counted:
        """How many meet it, and how many there are."""
        matching, tasks = self._live.count(wanted)
        everything = conditions_of(Filter())
        conditions = conditions_of(wanted)
        in_all = self._catalogue.count(everything)
        ended = in_all if conditions == everything else self._catalogue.count(conditions)
        return Counted(matching + ended, tasks + in_all)

    def columns(self, wanted: Filter) -> Columns:
        """The figures of those that meet it."""
        found = self._catalogue.columns(conditions_of(wanted))
        more = columns_of(self._live.matching(wanted), found.names)
        return Columns(found.data + more.data, found.names) if more.data else found

    def parts(self, wanted: Filter, kind: str, *, by_variety: bool) -> list[PartSums]:
        """The AI calls or tool runs of those that meet it, by name or by variety."""
        found = {sums.key: sums for sums in self._catalogue.parts(conditions_of(wanted), kind, by_variety=by_variety)}
        for sums in self._live.parts(wanted, kind, by_variety=by_variety):
            found.setdefault(sums.key, PartSums(sums.key)).add(sums)
        return list(found.values())

    def failures(self, wanted: Filter) -> list[tuple[str, Failure]]:
        """The errors of those that meet it, each with its task's folder, the newest first."""
        found = [
            (folder, Failure(error_id, kind, category, message, component, time_ns))
            for folder, time_ns, error_id, kind, category, message, component in self._catalogue.failures(conditions_of(wanted))
        ]
        return newest_first([*found, *self._live.failures(wanted)])
