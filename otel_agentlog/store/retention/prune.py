"""Pruning of the tasks' root: what is old, too many or too large goes, what is finished is compressed (``docs/upkeep.md``).

One run does: finish what a killed run left over; delete by age and by number; compress; delete what is still over the quota,
which so never takes what compression would have kept. A dry run takes the same decisions on the same facts, writes nothing, and
predicts sizes by compressing into nothing.

Processes take turns at a root: ``.upkeep.lock`` is locked during a run, and its modification time is when the last run came to
its end; until one has, it is empty. Nothing is written before something was deleted: the disk may be full. ``.upkeep.json`` holds
the totals of all runs, ``dropped`` among them: the items that a quota deleted before they were delivered.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.errors import LayoutError
from otel_agentlog.store.folder.files import Descriptor, close_dropped, open_directory, replace_file
from otel_agentlog.store.folder.layout import FILE_MODE, encode_document, temp_name
from otel_agentlog.store.folder.locks import Lock, lock_exclusively
from otel_agentlog.store.retention import compress as compression
from otel_agentlog.store.retention import policy
from otel_agentlog.store.retention.delete import TaskDeletion, empty, left_over
from otel_agentlog.store.retention.policy import Reason, RetentionLimits, StoredTask
from otel_agentlog.store.retention.report import Compressed, Deleted, PruneReport
from otel_agentlog.store.retention.survey import open_task_folder, survey
from otel_agentlog.vocabulary.coerce import mapping
from otel_agentlog.vocabulary.lines import timestamp as as_text

LOCK = ".upkeep.lock"
TOTALS = ".upkeep.json"

INTERVAL_NS = 3_600 * 1_000_000_000
"""Least time between two runs in the background, over all processes."""

_PREPARED = temp_name(TOTALS, "turn")
_MAX_TOTALS_BYTES = 64 * 1024
_KEYS = ("tasks_deleted", "bytes_freed", "tasks_compressed", "bytes_saved")

Spent = Callable[[], bool]
"""Whether the time for a run is over; called between tasks and between pieces of files, and may pause."""


def prune(
    root: Path,
    limits: RetentionLimits,
    *,
    now_ns: int | None = None,
    dry_run: bool = False,
    wait_s: float = 0.0,
    only_if_due: bool = False,
    spent: Spent = lambda: False,
) -> PruneReport:
    """Do one run; returns what was done, or with ``dry_run`` what would be.

    ``now_ns`` is the present time, as Unix nanoseconds. ``wait_s`` seconds are waited for another process that prunes.
    With ``only_if_due`` nothing happens within an hour of the last run, of whatever process.

    Raises:
        LayoutError: the file system has no locks, or something else was put in the place of our file.
        OSError: the root cannot be read or is not ours.
    """
    now_ns = time.time_ns() if now_ns is None else now_ns
    report = PruneReport(dry_run=dry_run)
    try:
        folder = open_directory(os.fspath(root))
    except FileNotFoundError:
        return report
    if dry_run:
        return _Run(root, folder, limits, now_ns, spent, report, None).run()
    lock = take_lock(folder, wait_s=wait_s, due_at_ns=now_ns if only_if_due else None)
    if lock is None:
        report.ran = False
        return report
    try:
        _Run(root, folder, limits, now_ns, spent, report, lock).run()
        if report.complete:
            lock.complete(now_ns)
    finally:
        lock.end()
    return report


class _Run:
    """One run; without a lock, a dry one."""

    def __init__(
        self,
        root: Path,
        folder: Descriptor,
        limits: RetentionLimits,
        now_ns: int,
        spent: Spent,
        report: PruneReport,
        lock: PruneLock | None,
    ) -> None:
        self._root, self._folder, self._limits, self._now_ns = root, folder, limits, now_ns
        self._spent, self._report, self._lock = spent, report, lock
        self._uncounted = 0
        self._unwritten: OSError | None = None
        self._deletion = TaskDeletion(folder, limits.delivers, report.left, self._count_dropped)

    def run(self) -> PruneReport:
        report, limits, now_ns = self._report, self._limits, self._now_ns
        self._finish_left_over()
        tasks, report.complete = survey(self._folder, limits.delivers, report.left, self._spent)
        report.tasks, report.bytes_before = len(tasks), sum(task.size_bytes for task in tasks)
        tasks = self._delete(tasks, policy.too_old(tasks, limits, now_ns), Reason.AGE)
        if report.complete:
            # Numbers and sums are wrong before all of it was read.
            tasks = self._delete(tasks, policy.too_many(tasks, limits, now_ns), Reason.COUNT)
        tasks = self._compress(tasks)
        if report.complete:
            tasks = self._delete(tasks, policy.too_large(tasks, limits, now_ns), Reason.QUOTA)
        self._close(tasks)
        return report

    def _finish_left_over(self) -> None:
        for tombstone in left_over(self._folder, self._limits.delivers, self._report.left):
            if self._spent():
                return
            if self._lock is None or empty(self._folder, tombstone, self._report.left, self._count_dropped):
                self._report.finished.append(tombstone.name)
                self._report.dropped += tombstone.undelivered

    def _delete(self, tasks: Sequence[StoredTask], chosen: Iterable[StoredTask], reason: Reason) -> list[StoredTask]:
        """Delete the chosen ones; returns those that remain."""
        gone = set()
        for task in chosen:
            if self._spent():
                self._report.complete = False
                break
            if self._lock is None or self._deletion.delete(task):
                gone.add(task.name)
                self._report.deleted.append(Deleted.of(task, reason))
                self._report.dropped += task.undelivered
        self._deletion.finish()
        return [task for task in tasks if task.name not in gone]

    def _compress(self, tasks: Sequence[StoredTask]) -> list[StoredTask]:
        """Compress what is ripe; returns all tasks, with their sizes."""
        now = {task.name: task for task in tasks}
        for task in policy.ripe(tasks, self._limits, self._now_ns):
            done = compression.Compression()
            try:
                self._compress_one(task, done)
            except compression.InUseError:
                self._report.left.add(task.name, "in use meanwhile")
            except compression.OutOfTimeError:
                self._report.complete = False
            except LayoutError as error:
                self._report.left.add(task.name, str(error))
            except OSError as error:
                raise_interrupt()
                self._report.left.add(task.name, f"an error: {error.strerror}")
            for problem in done.problems:
                self._report.left.add(task.name, problem)
            if done.before_bytes:
                self._report.compressed.append(Compressed(task.name, task.task_id, done.before_bytes, done.after_bytes))
                now[task.name] = replace(task, size_bytes=task.size_bytes - done.before_bytes + done.after_bytes)
            if not self._report.complete:
                break
        return list(now.values())

    def _compress_one(self, task: StoredTask, done: compression.Compression) -> None:
        folder = open_task_folder(self._folder, task.name)
        if self._lock is None:
            compression.measure(self._root / task.name, folder, self._spent, done)
        else:
            compression.compress(self._root / task.name, folder, self._spent, done)

    def _count_dropped(self, items: int) -> None:
        self._uncounted += items
        if self._uncounted:
            self._add()

    def _add(self, **more: int) -> None:
        try:
            if self._lock is not None:
                self._lock.add(self._now_ns, dropped=self._uncounted, **more)
                self._uncounted = 0
        except OSError as error:
            raise_interrupt()
            # A full disk, most likely, which is why we delete: when that is done it is tried again.
            self._unwritten = error

    def _close(self, tasks: Sequence[StoredTask]) -> None:
        report, limits = self._report, self._limits
        report.tasks_left, report.bytes_after = len(tasks), sum(task.size_bytes for task in tasks)
        report.tasks_over = max(0, len(tasks) - limits.max_tasks) if limits.max_tasks is not None else 0
        report.bytes_over = max(0, report.bytes_after - limits.max_bytes) if limits.max_bytes is not None else 0
        report.busy = sum(not policy.is_free(task, self._now_ns) for task in tasks)
        report.waiting = len(policy.waiting(tasks, limits, self._now_ns))
        if report.deleted or report.compressed or self._uncounted:
            self._unwritten = None
            self._add(
                tasks_deleted=len(report.deleted),
                bytes_freed=sum(each.size_bytes for each in report.deleted),
                tasks_compressed=len(report.compressed),
                bytes_saved=sum(each.before_bytes - each.after_bytes for each in report.compressed),
            )
        if self._unwritten is not None:
            report.left.add(TOTALS, f"an error: {self._unwritten.strerror}")
        report.totals = dict(read_totals(self._folder))


class PruneLock:
    """The lock of one root, held while this process prunes it; others wait until `end`."""

    def __init__(self, root: Descriptor, lock: Descriptor, *, has_file: bool) -> None:
        self._root, self._lock, self._has_file = root, lock, has_file

    def complete(self, now_ns: int) -> None:
        """Note that a run came to its end. Raises `OSError`."""
        try:
            system.unlink(_PREPARED, dir_fd=self._root.fd)
        except OSError:
            raise_interrupt()  # there is none, as it should be: only who is killed leaves one
        if not self._has_file:
            return
        try:
            if os.fstat(self._lock.fd).st_size == 0:
                # A hole, which takes no space, and says that the time is that of a run.
                os.truncate(self._lock.fd, 1)
        except OSError:
            raise_interrupt()  # a file system without holes that is still full: then the next run is due at once
        system.utime(self._lock.fd, ns=(now_ns, now_ns))

    def add(self, now_ns: int, dropped: int = 0, **more: int) -> None:
        """Add to the totals. Raises `OSError`."""
        found = read_totals(self._root)
        totals: dict[str, Any] = {"timestamp": as_text(now_ns)}
        totals.update({key: _count(found.get(key)) + more.get(key, 0) for key in _KEYS})
        totals["dropped"] = {"quota": _count(mapping(found, "dropped").get("quota")) + dropped}
        replace_file(self._root, TOTALS, _PREPARED, encode_document(totals), sync=False)

    def end(self) -> None:
        """Release the lock."""
        self._lock.close()
        close_dropped()


def take_lock(root: Descriptor, *, wait_s: float = 0.0, due_at_ns: int | None = None) -> PruneLock | None:
    """Take the lock; ``None`` while another process has it or, with ``due_at_ns``, when the last run is less than an hour ago.

    Raises:
        LayoutError: the lock file is not ours to use, or the file system has no locks.
        OSError: it cannot be opened.
    """
    lock, has_file = _open_lock(root)
    found = lock_exclusively(lock, wait_s)
    if found is Lock.UNSUPPORTED:
        raise LayoutError(f"{LOCK}: expected a file system with locks, without which one cannot tell who is at work")
    if found is Lock.TAKEN or (has_file and due_at_ns is not None and not _is_due(lock, due_at_ns)):
        lock.close()
        return None
    return PruneLock(root, lock, has_file=has_file)


def _open_lock(root: Descriptor) -> tuple[Descriptor, bool]:
    """What is locked, and whether that is the file: where not even an empty one can be made it is the root's folder."""
    try:
        lock = Descriptor(system.open(LOCK, system.UPDATE | os.O_CREAT, FILE_MODE, dir_fd=root.fd))
    except OSError as error:
        raise_interrupt()
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return Descriptor(system.open(".", system.READ_FOLDER, dir_fd=root.fd)), False
    status = lock.status
    if not stat.S_ISREG(status.st_mode) or status.st_uid != system.user_id() or status.st_nlink > 1:
        raise LayoutError(f"{LOCK}: expected a file of user {system.user_id()} with one name")
    return lock, True


def _is_due(lock: Descriptor, now_ns: int) -> bool:
    status = os.fstat(lock.fd)
    # In both directions: after a jump of the clock the time may lie ahead.
    return status.st_size == 0 or abs(now_ns - status.st_mtime_ns) >= INTERVAL_NS


def read_totals(root: Descriptor) -> Mapping[str, Any]:
    """The totals of all runs; empty before the first."""
    try:
        file = Descriptor(system.open(TOTALS, system.READ, dir_fd=root.fd))
        found = orjson.loads(os.read(file.fd, _MAX_TOTALS_BYTES))
    except (OSError, ValueError):
        raise_interrupt()
        return {}
    return found if isinstance(found, dict) else {}


def _count(value: object) -> int:
    return value if type(value) is int and value >= 0 else 0
