"""Repair: what processes left open that died is closed, so that every task has an end and every span its parent.

Hides how one tells the dead from the living, and that a repair may itself be cut short at any point: the lines come first, then
``04-final-result.json``, then ``metadata.json``, and the next repair goes on where this one ended. A task that somebody still
runs is never touched, and a task that waits for a worker stays as it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from otel_agentlog.model import Outcome
from otel_agentlog.store.descriptors import Descriptor, open_directory
from otel_agentlog.store.layout import AGENT_OUTPUT, METADATA, WEBHOOK_FLOW
from otel_agentlog.store.locks import Lock, lock_exclusively
from otel_agentlog.store.reader import TaskReader, find_task, list_tasks
from otel_agentlog.store.recovery_alive import FOREIGN_QUIET_S, QUIET_S, is_foreign, may_be_alive, on_network_disk
from otel_agentlog.store.recovery_case import OUTCOMES, UNENDED, Case, has_result, is_balanced, status_of, valid_time
from otel_agentlog.store.recovery_lines import Attributes, Closing
from otel_agentlog.store.recovery_write import write_closing

CURSOR = ".recovered"
"""File in the root: what did not change since the time in it, in Unix nanoseconds, was found closed."""

CURSOR_FROM = 200
"""How many tasks must have been looked at for it to be worth while."""

_CURSOR_SLACK_NS = 5_000_000_000
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Repair:
    """What became of one task, or with a dry run would have."""

    task_id: str
    folder: Path
    what: str
    """``repaired``, ``held`` (somebody still runs it) or ``failed``."""
    spans: int = 0
    """Spans closed."""
    status: str | None = None
    """The task's status now."""
    problem: str | None = None


@dataclass(slots=True)
class Recovered:
    """What `recover` did."""

    looked_at: int = 0
    """Task folders looked at."""
    repairs: list[Repair] = field(default_factory=list)
    """Those that needed something, in the order they were dealt with."""
    complete: bool = True
    """Whether there was time for all."""

    @property
    def repaired(self) -> list[Repair]:
        """Those that were repaired."""
        return [repair for repair in self.repairs if repair.what == "repaired"]


def recover(
    root: Path,
    task_ids: Iterable[str] | None = None,
    *,
    attributes: Attributes = lambda line: {},
    everything: bool = False,
    dry_run: bool = False,
    spent: Callable[[], bool] = lambda: False,
) -> Recovered:
    """Close what dead processes left open below a root.

    Args:
        task_ids: only these tasks; else all that changed since the last complete recovery, or with ``everything`` all.
        attributes: the span attributes of an end line, by the conventions (``export.Conventions.end_attributes``).
        dry_run: only say what would be done.
        spent: asked before each task; ends it early when true, and what is not reached is for the next time.

    Raises:
        TaskNotFoundError: one of ``task_ids`` does not exist.
    """
    return _Recovery(root, attributes, dry_run).run(task_ids, everything, spent)


class _Recovery:
    def __init__(self, root: Path, attributes: Attributes, dry_run: bool) -> None:
        self._root, self._attributes, self._dry_run = root, attributes, dry_run
        self._report = Recovered()
        self._seen: set[Path] = set()
        self._depth = 0

    def run(self, task_ids: Iterable[str] | None, everything: bool, spent: Callable[[], bool]) -> Recovered:
        began_ns, report = time.time_ns(), self._report
        if task_ids is not None:
            tasks: Iterator[TaskReader] = iter([find_task(self._root, task_id) for task_id in task_ids])
        else:
            tasks = _changed_since(self._root, 0 if everything else _read_cursor(self._root))
        for task in tasks:
            if spent():
                report.complete = False
                break
            self._one(task)
        if task_ids is None and report.complete and not self._dry_run and report.looked_at >= CURSOR_FROM:
            self._write_cursor(began_ns - _CURSOR_SLACK_NS)
        return report

    def _write_cursor(self, cursor_ns: int) -> None:
        # What is held or failed must be looked at again, even if nothing is written there any more.
        again = [repair.folder for repair in self._report.repairs if repair.what != "repaired"]
        oldest = min((_changed_ns(folder) for folder in again), default=cursor_ns)
        try:
            path = self._root / CURSOR
            temp = path.with_name(f"{CURSOR}.{os.getpid()}")
            temp.write_text(str(min(cursor_ns, oldest - 1)), encoding="ascii")
            temp.chmod(0o600)
            temp.replace(path)
        except OSError:
            pass  # only an index: without it the next time takes longer

    # -- one task ---------------------------------------------------------------------------------------------------------

    def _one(self, task: TaskReader) -> None:
        if task.folder in self._seen:
            return
        self._seen.add(task.folder)
        self._report.looked_at += 1
        try:
            found = None if _looks_closed(task) else self._repair(task)
        except Exception as error:  # noqa: BLE001 - whatever stands in one folder must not keep others from being repaired
            found = Repair(task.task_id, task.folder, "failed", problem=f"{type(error).__name__}: {error}")
        if found is not None:
            self._report.repairs.append(found)

    def _repair(self, task: TaskReader) -> Repair | None:
        directory = open_directory(task.folder.name, open_directory(os.fspath(self._root)))
        lock = lock_exclusively(directory)
        if lock is Lock.TAKEN:
            return Repair(task.task_id, task.folder, "held", status=status_of(task.metadata()))
        case = Case(task)
        if _may_be_run(case, lock, directory):
            return Repair(case.task_id, task.folder, "held", status=case.status)
        closing = Closing(case, self._attributes, self._sub_task)
        changes = write_closing(directory, case, closing, dry_run=self._dry_run)
        if changes is None:
            return None
        return Repair(case.task_id, task.folder, "repaired", closing.spans, changes)

    def _sub_task(self, task_id: str) -> tuple[str, str | None] | None:
        """How a sub-task ended, which is dealt with first; ``interrupted`` if it is gone."""
        try:
            task = find_task(self._root, task_id)
        except LookupError:
            return Outcome.INTERRUPTED.value, None
        if self._depth < _DEEPEST:
            self._depth += 1
            self._one(task)
            self._depth -= 1
        metadata = task.metadata() or {}
        status = status_of(metadata)
        if status in OUTCOMES:
            return str(status), valid_time({"timestamp": metadata.get("completed_at")})
        held = any(repair.folder == task.folder and repair.what == "held" for repair in self._report.repairs)
        return None if held else (Outcome.INTERRUPTED.value, None)


def _looks_closed(task: TaskReader) -> bool:
    """Whether a folder needs nothing, by its whole files and the number of its starts and ends."""
    status = status_of(task.metadata())
    if status is None or status in UNENDED:
        return False
    return (status not in OUTCOMES or has_result(task)) and is_balanced(task)


def _may_be_run(case: Case, lock: Lock, directory: Descriptor) -> bool:
    """Whether somebody may be at work who does not hold the lock, or whose lock cannot be seen from here."""
    writers = case.writers_of_open()
    if any(may_be_alive(line) for line in writers):
        return True
    quiet_s = max(0.0, time.time() - _changed_ns(case.task.folder) / 1e9)
    if lock is Lock.UNSUPPORTED and quiet_s < QUIET_S:
        return True
    foreign = any(is_foreign(line) for line in writers)
    return foreign and quiet_s < FOREIGN_QUIET_S and (lock is Lock.UNSUPPORTED or on_network_disk(directory.fd))


# -- which ones ---------------------------------------------------------------------------------------------------------------


def _changed_since(root: Path, cursor_ns: int) -> Iterator[TaskReader]:
    """The tasks in question, those first that changed last: they are the ones somebody is waiting for."""
    changed = [(_changed_ns(task.folder), task) for task in list_tasks(root)]
    for when_ns, task in sorted(changed, key=lambda item: -item[0]):
        if when_ns >= cursor_ns:
            yield task


def _changed_ns(folder: Path) -> int:
    """When the lines or the metadata of a task last changed, Unix nanoseconds; 0 where there is nothing."""
    latest = 0
    for name in (METADATA, AGENT_OUTPUT, WEBHOOK_FLOW):
        try:
            latest = max(latest, os.stat(folder / name, follow_symlinks=False).st_mtime_ns)
        except OSError:
            continue
    return latest


def _read_cursor(root: Path) -> int:
    try:
        return int((root / CURSOR).read_text(encoding="ascii")[:32])
    except (OSError, ValueError):
        return 0
