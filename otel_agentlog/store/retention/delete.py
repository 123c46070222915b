"""Deletes task folders: at once for every reader, and for good even if this process is killed in the middle.

A folder is first renamed to a tombstone, ``.pruned.<name>.<16 hex digits>``, which no reader lists. Then its files are removed,
``metadata.json`` last, so that a tombstone names its task until it is empty; the next run finishes what is left over.
Only files of ours are removed, each by its name in a folder that is open: no path is built, no link is followed.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import replace

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.errors import LayoutError
from otel_agentlog.store.folder.files import Descriptor, close_dropped, is_named, open_directory
from otel_agentlog.store.folder.layout import ARTIFACTS, METADATA
from otel_agentlog.store.folder.locks import BRIEF_WAIT_S, Lock, lock_exclusively
from otel_agentlog.store.retention.policy import StoredTask
from otel_agentlog.store.retention.survey import Contents, LeftAlone, examine, list_contents, open_task_folder

BATCH = 32
"""How many folders are renamed before the disk is waited for, once, and their files go."""

_TOMBSTONE = re.compile(r"\.pruned\.(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,127})\.[0-9a-f]{16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A folder that was renamed to be deleted."""

    name: str
    folder: Descriptor
    """Held exclusively."""
    undelivered: int
    size_bytes: int


class TaskDeletion:
    """Deletes tasks, a batch at a time. Use: `delete` each, then `finish`."""

    def __init__(self, root: Descriptor, delivers: bool, left: LeftAlone, count: Callable[[int], None]) -> None:
        """``count`` is as for `empty`."""
        self._root, self._delivers, self._left, self._count = root, delivers, left, count
        self._batch: list[Tombstone] = []

    def delete(self, task: StoredTask) -> bool:
        """Rename a task to a tombstone, if nothing has changed since it was examined; whether it was renamed. Raises nothing."""
        try:
            self._batch.append(self._rename(task))
        except LayoutError as error:
            self._left.add(task.name, str(error))
            return False
        except OSError as error:
            raise_interrupt()
            self._left.add(task.name, f"an error: {error.strerror}")
            return False
        if len(self._batch) >= BATCH:
            self.finish()
        return True

    def _rename(self, task: StoredTask) -> Tombstone:
        folder = open_task_folder(self._root, task.name)
        if lock_exclusively(folder, BRIEF_WAIT_S) is not Lock.OURS:
            raise LayoutError("in use meanwhile")
        found = examine(self._root, task.name, self._delivers)
        # Compression changes sizes and keeps times; any other change is the work of a process.
        as_before = replace(found, changed_ns=task.changed_ns, size_bytes=task.size_bytes, unpacked=task.unpacked) == task
        if not as_before or not found.changed_ns <= task.changed_ns or not is_named(folder, task.name, self._root):
            raise LayoutError("changed meanwhile")
        tombstone = f".pruned.{task.name}.{secrets.token_hex(8)}"
        close_dropped()  # Windows renames no folder with something open in it
        system.rename(task.name, tombstone, src_dir_fd=self._root.fd, dst_dir_fd=self._root.fd)
        return Tombstone(tombstone, folder, task.undelivered, task.size_bytes)

    def finish(self) -> None:
        """Remove the tombstones of this batch with all files. Raises nothing."""
        batch, self._batch = self._batch, []
        if not batch:
            return
        try:
            # Or a power cut could bring back a folder, under its name, without its files.
            system.sync_folder(self._root.fd)
        except OSError as error:
            raise_interrupt()
            for tombstone in batch:
                self._left.add(tombstone.name, f"an error: {error.strerror}")
            return
        for tombstone in batch:
            empty(self._root, tombstone, self._left, self._count)


def empty(root: Descriptor, tombstone: Tombstone, left: LeftAlone, count: Callable[[int], None]) -> bool:
    """Remove a tombstone with everything of ours in it; whether nothing remains. Raises nothing.

    ``count`` is called with the undelivered items before they are removed: a kill in between counts them twice rather than never.
    """
    try:
        contents = list_contents(tombstone.folder)
        for each in contents.foreign:
            left.add(tombstone.name, f"holds {each}")
        if contents.foreign:
            return False
        count(tombstone.undelivered)
        _unlink_all(tombstone.folder, contents)
        system.rmdir(tombstone.name, dir_fd=root.fd)
    except OSError as error:
        raise_interrupt()
        left.add(tombstone.name, f"an error: {error.strerror}")
        return False
    tombstone.folder.close()
    return True


def _unlink_all(folder: Descriptor, contents: Contents) -> None:
    prefix = f"{ARTIFACTS}/"
    try:
        artifacts = open_directory(ARTIFACTS, folder)
    except FileNotFoundError:
        artifacts = None
    if artifacts is not None:
        for name in contents.files:
            if name.startswith(prefix):
                system.unlink(name.removeprefix(prefix), dir_fd=artifacts.fd)
        artifacts.close()
        system.rmdir(ARTIFACTS, dir_fd=folder.fd)
    for name in sorted(contents.files, key=lambda name: name == METADATA):
        if not name.startswith(prefix):
            system.unlink(name, dir_fd=folder.fd)


def left_over(root: Descriptor, delivers: bool, left: LeftAlone) -> list[Tombstone]:
    """The tombstones that a killed run left; other folders with such a name are left alone. Raises `OSError` for the root."""
    found = []
    for name in sorted(system.listdir(root.fd)):
        match = _TOMBSTONE.fullmatch(name)
        if match is None:
            continue
        try:
            found.append(_open_tombstone(root, name, match["name"], delivers))
        except LayoutError as error:
            left.add(name, str(error))
        except OSError as error:
            raise_interrupt()
            left.add(name, f"an error: {error.strerror}")
    return found


def _open_tombstone(root: Descriptor, name: str, task_name: str, delivers: bool) -> Tombstone:
    folder = open_task_folder(root, name)
    if lock_exclusively(folder, BRIEF_WAIT_S) is not Lock.OURS:
        raise LayoutError("in use")
    if not system.listdir(folder.fd):
        return Tombstone(name, folder, 0, 0)
    task = examine(root, name, delivers, task_name)
    return Tombstone(name, folder, task.undelivered, task.size_bytes)
