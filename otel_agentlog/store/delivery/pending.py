"""Tasks below a root that may have pending items, found without reading their lines."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

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


def pending_tasks(
    root: Path,
    signals: Collection[str] = SIGNALS,
    *,
    at_most: int | None = None,
    since_s: float = 0.0,
    idle_only: bool = True,
    known: dict[str, float] | None = None,
) -> Iterator[TaskReader]:
    """Yield tasks that may have something to send, those changed last first.

    Args:
        at_most: how many to yield.
        since_s: only tasks that were touched since this Unix time.
        idle_only: leave out tasks that a process is at work on, and those of which nothing of these ``signals`` could be sent at
            the last attempt.
        known: folders of which nothing is missing, with the time they were last touched; filled here, for the next call.
    """
    known = {} if known is None else known
    found = sorted(_folders(root, since_s), reverse=True)
    for name in set(known).difference(name for _, name in found):
        del known[name]
    yield from itertools.islice(_due(root, found, known, signals, idle_only=idle_only), at_most)


def _due(
    root: Path, found: Iterable[tuple[float, str]], known: dict[str, float], signals: Collection[str], *, idle_only: bool
) -> Iterator[TaskReader]:
    for touched_s, name in found:
        if known.get(name) == touched_s:
            continue
        task = TaskReader(root / name)
        if not _is_due(task):
            known[name] = touched_s
        elif not (idle_only and (_is_in_use(task) or is_settled(task, signals))):
            yield task


def _folders(root: Path, since_s: float) -> Iterator[tuple[float, str]]:
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
                    continue
                # A folder's own time changes whenever its metadata.json is replaced.
                touched_s = entry.stat(follow_symlinks=False).st_mtime
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
