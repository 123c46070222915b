"""Upkeep of the tasks' root: what is old, too many or too large goes, what is finished is compressed (``docs/upkeep.md``).

One run does: finish what a killed run left over; delete by age and by number; compress; delete what is still over the quota,
which so never takes what compression would have kept. A dry run takes the same decisions on the same facts, writes nothing, and
predicts sizes by compressing into nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from otel_agentlog.errors import LayoutError
from otel_agentlog.settings import Settings
from otel_agentlog.store import archive, retention
from otel_agentlog.store.descriptors import Descriptor, open_directory
from otel_agentlog.store.retention import Limits, Reason, StoredTask
from otel_agentlog.store.retention_delete import Burials, empty, left_over
from otel_agentlog.store.retention_survey import open_task_folder, survey
from otel_agentlog.store.upkeep_report import Compressed, Deleted, PruneReport
from otel_agentlog.store.upkeep_turn import TOTALS, Turn, read_totals, take_turn

Spent = Callable[[], bool]
"""Whether the time for a run is over; asked between tasks and between pieces of files, and may pause."""


def limits_of(settings: Settings) -> Limits:
    """The limits that settings ask for."""
    return Limits(
        retention_days=settings.retention_days,
        max_tasks=settings.max_tasks,
        max_bytes=settings.max_bytes,
        compress_after_days=settings.compress_after_days,
        delivers=any(settings.exporter(signal) == "otlp" for signal in ("traces", "logs")),
    )


def prune(
    root: Path,
    limits: Limits,
    *,
    now_ns: int | None = None,
    dry_run: bool = False,
    wait_s: float = 0.0,
    only_if_due: bool = False,
    spent: Spent = lambda: False,
) -> PruneReport:
    """Do one run of upkeep; returns what was done, or with ``dry_run`` what would be.

    ``now_ns`` is the present time, as Unix nanoseconds. ``wait_s`` seconds are waited for another process that is at it.
    With ``only_if_due`` nothing happens within an hour of the last run, of whatever process.

    Raises:
        LayoutError: the file system has no locks, or somebody put something else in the place of ours.
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
    turn = take_turn(folder, wait_s=wait_s, due_at_ns=now_ns if only_if_due else None)
    if turn is None:
        report.ran = False
        return report
    try:
        _Run(root, folder, limits, now_ns, spent, report, turn).run()
        if report.complete:
            turn.complete(now_ns)
    finally:
        turn.end()
    return report


class _Run:
    """One run; without a turn, a dry one."""

    def __init__(
        self, root: Path, folder: Descriptor, limits: Limits, now_ns: int, spent: Spent, report: PruneReport, turn: Turn | None
    ) -> None:
        self._root, self._folder, self._limits, self._now_ns = root, folder, limits, now_ns
        self._spent, self._report, self._turn = spent, report, turn
        self._uncounted = 0
        self._unwritten: OSError | None = None
        self._burials = Burials(folder, limits.delivers, report.left, self._count_dropped)

    def run(self) -> PruneReport:
        report, limits, now_ns = self._report, self._limits, self._now_ns
        self._finish_left_over()
        tasks, report.complete = survey(self._folder, limits.delivers, report.left, self._spent)
        report.tasks, report.bytes_before = len(tasks), sum(task.size_bytes for task in tasks)
        tasks = self._delete(tasks, retention.too_old(tasks, limits, now_ns), Reason.AGE)
        if report.complete:
            # Numbers and sums say nothing before all of it was seen.
            tasks = self._delete(tasks, retention.too_many(tasks, limits, now_ns), Reason.COUNT)
        tasks = self._compress(tasks)
        if report.complete:
            tasks = self._delete(tasks, retention.too_large(tasks, limits, now_ns), Reason.QUOTA)
        self._close(tasks)
        return report

    def _finish_left_over(self) -> None:
        for tombstone in left_over(self._folder, self._limits.delivers, self._report.left):
            if self._spent():
                return
            if self._turn is None or empty(self._folder, tombstone, self._report.left, self._count_dropped):
                self._report.finished.append(tombstone.name)
                self._report.dropped += tombstone.undelivered

    def _delete(self, tasks: Sequence[StoredTask], chosen: Iterable[StoredTask], reason: Reason) -> list[StoredTask]:
        """Delete the chosen ones; returns those that remain."""
        gone = set()
        for task in chosen:
            if self._spent():
                self._report.complete = False
                break
            if self._turn is None or self._burials.bury(task):
                gone.add(task.name)
                self._report.deleted.append(Deleted.of(task, reason))
                self._report.dropped += task.undelivered
        self._burials.finish()
        return [task for task in tasks if task.name not in gone]

    def _compress(self, tasks: Sequence[StoredTask]) -> list[StoredTask]:
        """Compress what is ripe; returns all tasks, with their sizes."""
        now = {task.name: task for task in tasks}
        for task in retention.ripe(tasks, self._limits, self._now_ns):
            done = archive.Compression()
            try:
                self._compress_one(task, done)
            except archive.InUseError:
                self._report.left.add(task.name, "in use meanwhile")
            except archive.OutOfTimeError:
                self._report.complete = False
            except LayoutError as error:
                self._report.left.add(task.name, str(error))
            except OSError as error:
                self._report.left.add(task.name, f"an error: {error.strerror}")
            for problem in done.problems:
                self._report.left.add(task.name, problem)
            if done.before_bytes:
                self._report.compressed.append(Compressed(task.name, task.task_id, done.before_bytes, done.after_bytes))
                now[task.name] = replace(task, size_bytes=task.size_bytes - done.before_bytes + done.after_bytes)
            if not self._report.complete:
                break
        return list(now.values())

    def _compress_one(self, task: StoredTask, done: archive.Compression) -> None:
        folder = open_task_folder(self._folder, task.name)
        if self._turn is None:
            archive.measure(self._root / task.name, folder, self._spent, done)
        else:
            archive.compress(self._root / task.name, folder, self._spent, done)

    def _count_dropped(self, items: int) -> None:
        self._uncounted += items
        if self._uncounted:
            self._add()

    def _add(self, **more: int) -> None:
        try:
            if self._turn is not None:
                self._turn.add(self._now_ns, dropped=self._uncounted, **more)
                self._uncounted = 0
        except OSError as error:
            # A full disk, most likely, which is why we delete: when that is done it is tried again.
            self._unwritten = error

    def _close(self, tasks: Sequence[StoredTask]) -> None:
        report, limits = self._report, self._limits
        report.tasks_left, report.bytes_after = len(tasks), sum(task.size_bytes for task in tasks)
        report.tasks_over = max(0, len(tasks) - limits.max_tasks) if limits.max_tasks is not None else 0
        report.bytes_over = max(0, report.bytes_after - limits.max_bytes) if limits.max_bytes is not None else 0
        report.busy = sum(not retention.is_free(task, self._now_ns) for task in tasks)
        report.waiting = len(retention.waiting(tasks, limits, self._now_ns))
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
