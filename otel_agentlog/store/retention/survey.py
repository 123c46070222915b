"""Finds the task folders below a root that are really ours, and what is in them.

Every folder is opened relative to the root without following links, of files only the ``stat`` is read, and a link, a FIFO, a
mount, what belongs to another user or is simply unknown is named and left alone.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import field, replace
from typing import Any

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.errors import LayoutError
from otel_agentlog.store.delivery.ledger import DELIVERY
from otel_agentlog.store.folder.files import Descriptor, open_directory
from otel_agentlog.store.folder.layout import (
    ARTIFACT_NAME,
    ARTIFACTS,
    DOCUMENTS,
    GZIP_SUFFIX,
    INPUT,
    LINE_FILES,
    METADATA,
    TASK_ID,
    folder_names,
    parse_timestamp,
)
from otel_agentlog.store.folder.locks import BRIEF_WAIT_S
from otel_agentlog.store.folder.metadata import read_metadata
from otel_agentlog.store.liveness import FolderUse, folder_use
from otel_agentlog.store.retention.policy import StoredTask
from otel_agentlog.vocabulary.coerce import mapping, text
from otel_agentlog.vocabulary.lines import FORMAT_VERSION

LARGE_BYTES = 64 * 1024
"""Size from which a whole file or an artifact is worth compressing; lines always are."""

PREPARED = (".pack.tmp", ".whole.tmp")
"""How the files end that a compression prepares."""

MAX_LEFT_LISTED = 100
"""How many entries that were left alone are described; all are counted."""

_OWN = frozenset({*DOCUMENTS, *LINE_FILES})


@dataclass(frozen=True, slots=True)
class Left:
    """An entry of the root that was left alone."""

    name: str
    reason: str


@dataclass
class LeftAlone:
    """What was left alone, at most `MAX_LEFT_LISTED` of it by name."""

    count: int = 0
    listed: list[Left] = field(default_factory=list)

    def add(self, name: str, reason: str) -> None:
        """Note one."""
        self.count += 1
        if len(self.listed) < MAX_LEFT_LISTED:
            self.listed.append(Left(name, reason))


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a task folder."""

    files: Mapping[str, os.stat_result]
    """Files of ours, those of ``artifacts/`` with that prefix."""
    foreign: tuple[str, ...]
    """Everything else, with what was found."""

    @property
    def size_bytes(self) -> int:
        """The sum of the files' sizes."""
        return sum(status.st_size for status in self.files.values())

    @property
    def changed_ns(self) -> frozenset[int]:
        """When the files changed last."""
        return frozenset(status.st_mtime_ns for status in self.files.values())


def survey(root: Descriptor, delivers: bool, left: LeftAlone, spent: Callable[[], bool]) -> tuple[list[StoredTask], bool]:
    """Return the task folders below the root, and whether there was time to examine all of them."""
    tasks: list[StoredTask] = []
    for name in sorted(system.listdir(root.fd)):
        if name.startswith("."):
            continue
        if spent():
            return tasks, False
        try:
            task = examine(root, name, delivers)
        except LayoutError as error:
            left.add(name, str(error))
            continue
        except OSError as error:
            raise_interrupt()
            left.add(name, f"an error: {error.strerror}")
            continue
        if task.is_finished:
            task = replace(task, in_use=folder_use(name, root, wait_s=BRIEF_WAIT_S) is not FolderUse.FREE)
            _note_refusals(task, left)
        tasks.append(task)
    return tasks, True


def _note_refusals(task: StoredTask, left: LeftAlone) -> None:
    for each in task.foreign:
        left.add(task.name, f"holds {each}")
    if task.ended_ns is None:
        left.add(task.name, "finished, but does not say when")


def examine(root: Descriptor, name: str, delivers: bool, task_name: str | None = None) -> StoredTask:
    """Return what a folder contains; for a tombstone, `task_name` is its name before.

    Raises:
        LayoutError: it is no task folder of ours; the message has what was found.
        OSError: it cannot be read.
    """
    if TASK_ID.fullmatch(task_name or name) is None:
        raise LayoutError("not named like a task")
    folder = open_task_folder(root, name)
    contents = list_contents(folder)
    metadata = read_metadata(folder) if METADATA in contents.files else {}
    return StoredTask(
        name=name,
        task_id=_checked_id(task_name or name, metadata),
        status=str(metadata.get("status")),
        source=text(metadata, "source"),
        ended_ns=_time_of(metadata, "completed_at") or _time_of(metadata, "updated_at"),
        changed_ns=contents.changed_ns,
        size_bytes=contents.size_bytes,
        undelivered=_undelivered(mapping(metadata, "delivery"), delivers or DELIVERY in contents.files),
        foreign=contents.foreign,
        unpacked=bool(worth_packing(contents.files) or under_preparation(contents.files)),
    )


def open_task_folder(root: Descriptor, name: str) -> Descriptor:
    """Open a folder directly below the root that is a directory of ours on the same file system. Raises like `examine`."""
    status = system.stat(name, dir_fd=root.fd, follow_symlinks=False)
    if not stat.S_ISDIR(status.st_mode):
        raise LayoutError(f"no folder but {kind(status)}")
    if status.st_uid != system.user_id():
        raise LayoutError(f"a folder of user {status.st_uid}")
    folder = open_directory(name, root)
    # A mount point has the device of what is mounted there.
    if os.fstat(folder.fd).st_dev != os.fstat(root.fd).st_dev:
        raise LayoutError("another file system is mounted there")
    return folder


def kind(status: os.stat_result) -> str:
    """What a directory entry is, in words."""
    kinds = {stat.S_IFLNK: "a symlink", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
    return kinds.get(stat.S_IFMT(status.st_mode), "a file" if stat.S_ISREG(status.st_mode) else "a device")


def _checked_id(name: str, metadata: Mapping[str, Any]) -> str:
    if not metadata:
        raise LayoutError(f"no {METADATA} that can be read")
    version = metadata.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise LayoutError(f"a {METADATA} of another format: {str(version)[:32]}")
    task_id = metadata.get("task_id")
    if not isinstance(task_id, str) or name not in folder_names(task_id):
        raise LayoutError(f"a {METADATA} of another task: {str(task_id)[:128]}")
    return task_id


def _time_of(metadata: Mapping[str, Any], key: str) -> int | None:
    value = metadata.get(key)
    try:
        return parse_timestamp(value) if isinstance(value, str) else None
    except ValueError:
        raise_interrupt()
        return None


def _undelivered(delivery: Mapping[str, Any], concerned: bool) -> int:
    """How many items the collector should have and has not: without a collector everything is pending, and nothing is late."""
    if not concerned and not delivery.get("delivered"):
        return 0
    pending = delivery.get("pending")
    # Counts that cannot be read are no proof that all was delivered.
    return pending if type(pending) is int and pending >= 0 else 1


# -- what is in a folder --------------------------------------------------------------------------------------------------


def list_contents(folder: Descriptor) -> Contents:
    """Read the ``stat`` of everything in a task folder. Raises `OSError`."""
    files: dict[str, os.stat_result] = {}
    foreign = []
    device, owner = os.fstat(folder.fd).st_dev, system.user_id()
    for name, status in _entries(folder):
        if name == ARTIFACTS and stat.S_ISDIR(status.st_mode) and (status.st_dev, status.st_uid) == (device, owner):
            artifacts = open_directory(ARTIFACTS, folder)
            found = [(f"{ARTIFACTS}/{each}", each, status) for each, status in _entries(artifacts)]
        else:
            found = [(name, name, status)]
        for shown, plain, status in found:
            problem = _problem(plain, status, within_artifacts=shown != plain)
            if problem is None:
                files[shown] = status
            else:
                foreign.append(f"{shown}: {problem}")
    return Contents(files, tuple(foreign))


def _entries(folder: Descriptor) -> Iterator[tuple[str, os.stat_result]]:
    for name in sorted(system.listdir(folder.fd)):
        yield name, system.stat(name, dir_fd=folder.fd, follow_symlinks=False)


def _problem(name: str, status: os.stat_result, *, within_artifacts: bool) -> str | None:
    """What keeps a directory entry from being a file of ours."""
    if not stat.S_ISREG(status.st_mode):
        return kind(status)
    if status.st_uid != system.user_id():
        return f"a file of user {status.st_uid}"
    if status.st_nlink > 1:
        return "a hard link"
    plain = name.removesuffix(GZIP_SUFFIX)
    known = ARTIFACT_NAME.fullmatch(plain) is not None if within_artifacts else plain in _OWN
    # Files that begin with a dot are this package's own notes beside a task, or were on their way to be one of its files.
    return None if known or name.startswith(".") else "a file that does not belong to a task"


def under_preparation(files: Iterable[str]) -> list[str]:
    """What a compression that was killed left."""
    return [name for name in files if name.endswith(PREPARED)]


def worth_packing(files: Mapping[str, os.stat_result]) -> list[str]:
    """The files that compression would replace, in order. What is small or rewritten stays: ``metadata.json``, the result."""
    return [name for name, status in sorted(files.items()) if _is_worth_packing(name, status.st_size, files)]


def _is_worth_packing(name: str, size: int, files: Collection[str]) -> bool:
    if name in LINE_FILES:
        # An empty file beside a compressed one is what a late change of metadata.json leaves.
        return size > 0 or name + GZIP_SUFFIX in files
    whole = name == INPUT or ARTIFACT_NAME.fullmatch(name.removeprefix(f"{ARTIFACTS}/")) is not None
    return whole and (size >= LARGE_BYTES or name + GZIP_SUFFIX in files)
