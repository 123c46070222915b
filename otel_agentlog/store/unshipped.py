"""Which tasks below a root may have something that no collector has: found without reading their lines."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from pathlib import Path

from otel_agentlog.model import Outcome
from otel_agentlog.store.descriptors import open_directory
from otel_agentlog.store.fields import mapping, text
from otel_agentlog.store.layout import AGENT_OUTPUT
from otel_agentlog.store.ledger import read_ledger
from otel_agentlog.store.locks import Lock, lock_exclusively
from otel_agentlog.store.reader import TaskReader
from otel_agentlog.store.streams import size_key

_ENDS = frozenset(outcome.value for outcome in Outcome)


def unshipped(root: Path, *, at_most: int, since_s: float) -> Iterator[TaskReader]:
    """Yield tasks whose work is over and that may have something to send, those changed last first.

    Looks at no more than `at_most` folders, and at none that was not touched since `since_s` (Unix time).
    """
    for _, name in heapq.nlargest(at_most, _folders(root, since_s)):
        task = TaskReader(root / name)
        if _is_due(task):
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
        # No root yet, or a folder that was deleted while we looked.
        return


def _is_due(task: TaskReader) -> bool:
    metadata = task.metadata()
    if metadata is None:
        return False
    ended = text(metadata, "status") in _ENDS
    pending = mapping(metadata, "delivery").get("pending")
    if ended and pending == 0:
        return False
    return not _is_in_use(task) and not is_settled(task)


def _is_in_use(task: TaskReader) -> bool:
    """Whether somebody is at work in the folder, or it cannot be told. Takes it exclusively for an instant."""
    try:
        directory = open_directory(os.fspath(task.folder))
    except OSError:
        return True
    taken = lock_exclusively(directory) is Lock.TAKEN
    directory.close()
    return taken


def is_settled(task: TaskReader) -> bool:
    """Whether nothing could be sent when somebody last looked at all of it, and nothing was recorded since."""
    settled = read_ledger(task.folder).settled
    return settled.get("pending") == 0 and settled.get("sizes") == sizes_of(task)


def sizes_of(task: TaskReader) -> list[int | None]:
    """The sizes of the files of lines, plain and compressed, in bytes."""
    return [None if each is None else each[1] for each in size_key(task.folder, AGENT_OUTPUT)]
