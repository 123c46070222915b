"""Tasks below a root that may have pending items, found without reading their lines."""

from __future__ import annotations

import heapq
import itertools
import os
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.store.delivery.ledger import read_ledger
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, METADATA
from otel_agentlog.store.folder.line_stream import size_key
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.liveness import FolderUse, folder_use
from otel_agentlog.vocabulary.coerce import mapping, text
from otel_agentlog.vocabulary.states import ENDED

SIGNALS = ("traces", "logs")
"""All that is sent from folders."""


PORTION = 20_000
"""Folders that are put in order at a time: a root may have millions."""


class KnownFolders:
    """Folders of which nothing is missing, each with the time it was last touched: eight bytes a folder."""

    def __init__(self) -> None:
        self._keys = array("q")
        """In order."""
        self._new = array("q")

    def add(self, found: tuple[float, str]) -> None:
        """Note a folder for the next `forget_others`."""
        self._new.append(hash(found))

    def has(self, found: tuple[float, str]) -> bool:
        """Whether it was noted, and not touched since."""
        key = hash(found)
        at = bisect_left(self._keys, key)
        return at < len(self._keys) and self._keys[at] == key

    def forget_others(self, folders: Iterable[tuple[float, str]]) -> None:
        """Take in what was added, and forget what is not there any more, or was touched."""
        self._keys, self._new = array("q", sorted([*self._keys, *self._new])), array("q")
        self._keys = array("q", sorted(hash(found) for found in folders if self.has(found)))


def pending_tasks(
    root: Path,
    signals: Collection[str] = SIGNALS,
    *,
    at_most: int | None = None,
    since_s: float = 0.0,
    idle_only: bool = True,
    known: KnownFolders | None = None,
) -> Iterator[TaskReader]:
    """Yield tasks that may have something to send, those changed last first.

    Args:
        at_most: how many to yield.
        since_s: only tasks that were touched since this Unix time.
        idle_only: leave out tasks that a process is at work on, and those of which nothing of these ``signals`` could be sent at
            the last attempt.
        known: folders of which nothing is missing, for the next call: they are not read again.
    """
    known = KnownFolders() if known is None else known
    known.forget_others(_folders(root, since_s))
    yield from itertools.islice(_due(root, since_s, known, signals, idle_only=idle_only), at_most)


def _due(root: Path, since_s: float, known: KnownFolders, signals: Collection[str], *, idle_only: bool) -> Iterator[TaskReader]:
    for found in _newest_first(root, since_s, known):
        task = TaskReader(root / found[1])
        if not _is_due(task):
            known.add(found)
        elif not (idle_only and (_is_in_use(task) or is_settled(task, signals))):
            yield task


def _newest_first(root: Path, since_s: float, known: KnownFolders) -> Iterator[tuple[float, str]]:
    """Folders that are not known, with the time they were last touched."""
    before = (float("inf"), "")
    while True:
        others = (found for found in _folders(root, since_s) if found < before and not known.has(found))
        portion = heapq.nlargest(PORTION, others)
        yield from portion
        if len(portion) < PORTION:
            return
        before = portion[-1]


def _folders(root: Path, since_s: float) -> Iterator[tuple[float, str]]:
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
                    continue
                # A folder's own time changes whenever its metadata.json is replaced.
                touched_s = system.entry_stat(entry).st_mtime
                if touched_s >= since_s:
                    yield touched_s, entry.name
    except OSError:
        raise_interrupt()
        # No root yet, or a folder that was deleted meanwhile.
        return


def _is_due(task: TaskReader) -> bool:
    metadata = task.metadata()
    if metadata is None:
        # Killed before it was written: the lines may still be there.
        return task.folder.is_dir()
    ended = text(metadata, "status") in ENDED
    return not ended or mapping(metadata, "delivery").get("pending") != 0 or _is_newer(task.folder)


def _is_newer(folder: Path) -> bool:
    """Whether lines were written after the counts in ``metadata.json``: their process was killed."""
    try:
        return os.stat(folder / AGENT_OUTPUT).st_mtime_ns > os.stat(folder / METADATA).st_mtime_ns
    except OSError:
        raise_interrupt()
        return False


def _is_in_use(task: TaskReader) -> bool:
    """Whether a process is at work in the folder. One that cannot be opened counts as in use, one without locks does not."""
    return folder_use(task.folder, own_only=True) in (FolderUse.IN_USE, FolderUse.UNREADABLE)


def is_settled(task: TaskReader, signals: Collection[str]) -> bool:
    """Whether nothing could be sent at the last attempt to send all of it, and nothing was recorded since."""
    settled = read_ledger(task.folder).settled
    looked_at = settled.get("signals")
    if not isinstance(looked_at, list) or not set(signals) <= {each for each in looked_at if isinstance(each, str)}:
        return False
    return settled.get("pending") == 0 and settled.get("sizes") == sizes_of(task)


def sizes_of(task: TaskReader) -> list[int | None]:
    """The sizes of the files of lines, plain and compressed, in bytes."""
    return [None if each is None else each[1] for each in size_key(task.folder, AGENT_OUTPUT)]
