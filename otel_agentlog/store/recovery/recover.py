"""Recovery: closes what dead processes left open, so that every task has an end and every span its parent.

A repair may be cut short at any point: the lines are written first, then ``04-final-result.json``, then ``metadata.json``, and
the next repair goes on from there. A task that a process may still be at work on is never touched, and a task that waits for a
worker stays as it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.errors import LayoutError
from otel_agentlog.store.folder.documents import final_result
from otel_agentlog.store.folder.files import Descriptor, LineFile, close_dropped, open_directory, replace_file
from otel_agentlog.store.folder.layout import (
    AGENT_OUTPUT,
    ARTIFACTS,
    FINAL_RESULT,
    INPUT,
    METADATA,
    WEBHOOK_FLOW,
    encode_document,
    is_temp_name,
    now,
    temp_name,
)
from otel_agentlog.store.folder.locks import Lock, lock_exclusively, lock_shared
from otel_agentlog.store.folder.metadata import METADATA_KEYS, is_newer, merged
from otel_agentlog.store.folder.reader import TaskReader, find_task, list_tasks
from otel_agentlog.store.liveness import may_be_at_work
from otel_agentlog.store.recovery.abandoned_task import UNENDED, AbandonedTask, has_result, is_balanced, status_of, valid_time
from otel_agentlog.store.recovery.repair_lines import Attributes, RepairLines
from otel_agentlog.vocabulary.coerce import mapping, text
from otel_agentlog.vocabulary.lines import Line, count_items
from otel_agentlog.vocabulary.states import ENDED, Outcome, State

CURSOR = ".recovered"
"""File in the root: what did not change since the time in it, in Unix nanoseconds, was found closed."""

CURSOR_FROM = 200
"""How many tasks must have been read for the file to be written."""

_CURSOR_SLACK_NS = 5_000_000_000
_DEEPEST = 50
"""Sub-tasks below sub-tasks that are repaired first; deeper ones count as interrupted."""

_TRIES = 3
_FROM_DETAILS = (("assigned_agent", "agent"), *((key, key) for key in ("agent_type", "model", "source", "provider", "tags")))
_FROM_LINE = ("trace_id", "correlation_id", "session_id", "instance_id")


@dataclass(frozen=True, slots=True)
class Repair:
    """What was done with one task, or with a dry run would have been."""

    task_id: str
    folder: Path
    what: str
    """``repaired``, ``held`` (a process may still be at work on it) or ``failed``."""
    spans: int = 0
    """Spans closed."""
    status: str | None = None
    """The task's status now."""
    problem: str | None = None


@dataclass(slots=True)
class Recovered:
    """What `recover` did."""

    looked_at: int = 0
    """Task folders read."""
    repairs: list[Repair] = field(default_factory=list)
    """Those that needed something, in the order they were repaired."""
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
        dry_run: only report what would be done.
        spent: called before each task; when true, this ends early, and the next recovery does the rest.

    Raises:
        TaskNotFoundError: one of ``task_ids`` does not exist.
    """
    return _Recovery(root, attributes, dry_run).run(task_ids, everything, spent)


def close_abandoned(root: Path, task_id: str, *, attributes: Attributes) -> Recovered:
    """Close what a dead process left open of one task, before it is resumed; a task that a process runs stays as it is.

    Another thread or process may be repairing it at this very moment: a process that starts again after a crash recovers in the
    background and resumes in the foreground.

    Raises:
        TaskNotFoundError: there is no such task.
        OSError: its folder cannot be opened.
    """
    for _ in range(_TRIES):
        # Waits for an exclusive lock, which only repair and retention ever have.
        lock_shared(open_directory(os.fspath(find_task(root, task_id).folder)))
        found = recover(root, [task_id], attributes=attributes)
        if all(repair.what != "held" for repair in found.repairs):
            break
    return found


class _Recovery:
    def __init__(self, root: Path, attributes: Attributes, dry_run: bool) -> None:
        self._root, self._attributes, self._dry_run = root, attributes, dry_run
        self._report = Recovered()
        self._seen: set[str] = set()
        self._waiting: list[Path] = []
        """Tasks that wait for a job: nothing is wrong with them yet."""
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
        # What is held or failed must be read again, even if nothing is written there any more.
        again = self._waiting + [repair.folder for repair in self._report.repairs if repair.what != "repaired"]
        oldest = min((_changed_ns(folder) for folder in again), default=cursor_ns)
        try:
            path = self._root / CURSOR
            temp = path.with_name(f"{CURSOR}.{os.getpid()}")
            temp.write_text(str(min(cursor_ns, oldest - 1)), encoding="ascii")
            temp.chmod(0o600)
            temp.replace(path)
        except OSError:
            raise_interrupt()  # only an index: without it the next time takes longer

    # -- one task ---------------------------------------------------------------------------------------------------------

    def _one(self, task: TaskReader) -> None:
        if task.folder.name in self._seen:
            return
        self._seen.add(task.folder.name)
        self._report.looked_at += 1
        try:
            found = None if _looks_closed(task) else self._repair(task)
        except Exception as error:  # noqa: BLE001 - one damaged folder must not keep others from being repaired
            raise_interrupt()
            found = Repair(task.task_id, task.folder, "failed", problem=f"{type(error).__name__}: {error}")
        close_dropped()
        if found is not None:
            self._report.repairs.append(found)

    def _repair(self, task: TaskReader) -> Repair | None:
        directory = open_directory(task.folder.name, open_directory(os.fspath(self._root)))
        lock = lock_exclusively(directory)
        if lock is Lock.TAKEN:
            return Repair(task.task_id, task.folder, "held", status=status_of(task.metadata()))
        if is_newer(task.metadata() or {}):
            raise LayoutError(f"a {METADATA} of a later format, which a later release can close")
        abandoned = AbandonedTask(task)
        if abandoned.waits:
            self._waiting.append(task.folder)
        quiet_s = max(0.0, time.time() - _changed_ns(task.folder) / 1e9)
        if may_be_at_work(abandoned.writers_of_open(), directory, lock, quiet_s):
            return Repair(abandoned.task_id, task.folder, "held", status=abandoned.status)
        added = RepairLines(abandoned, self._attributes, self._sub_task)
        status = write_repair(directory, abandoned, added, dry_run=self._dry_run)
        if status is None:
            return None
        return Repair(abandoned.task_id, task.folder, "repaired", added.spans, status)

    def _sub_task(self, task_id: str) -> tuple[str, str | None] | None:
        """How a sub-task ended, which is repaired first: outcome and end time; ``interrupted`` if its folder was deleted."""
        try:
            task = find_task(self._root, task_id)
        except LookupError:
            raise_interrupt()
            return Outcome.INTERRUPTED.value, None
        if self._depth < _DEEPEST:
            self._depth += 1
            self._one(task)
            self._depth -= 1
        metadata = task.metadata() or {}
        status = status_of(metadata)
        if status in ENDED:
            return str(status), valid_time({"timestamp": metadata.get("completed_at")})
        held = any(repair.folder == task.folder and repair.what == "held" for repair in self._report.repairs)
        return None if held else (Outcome.INTERRUPTED.value, None)


def _looks_closed(task: TaskReader) -> bool:
    """Whether a folder needs nothing, by its whole files and the number of its starts and ends."""
    metadata = task.metadata()
    status = status_of(metadata)
    if status is None or status in UNENDED:
        return False
    if status == State.PENDING.value and (metadata or {}).get("started_at") is not None:
        return False  # handed over, perhaps to a job that does not come any more
    return (status not in ENDED or has_result(task)) and is_balanced(task)


def _changed_since(root: Path, cursor_ns: int) -> Iterator[TaskReader]:
    """The tasks that changed since then, those first that changed last: they are the ones that are waited for."""
    # There may be a hundred thousand of them: no more than a name is held of each, and of those that did not change nothing.
    times = ((_changed_ns(task.folder), task.folder.name) for task in list_tasks(root))
    for _, name in sorted((found for found in times if found[0] >= cursor_ns), key=lambda found: -found[0]):
        yield TaskReader(root / name)


def _changed_ns(folder: Path) -> int:
    """When the lines or the metadata of a task last changed, Unix nanoseconds; 0 where there is nothing."""
    latest = 0
    for name in (METADATA, AGENT_OUTPUT, WEBHOOK_FLOW):
        try:
            latest = max(latest, os.stat(folder / name, follow_symlinks=False).st_mtime_ns)
        except OSError:
            raise_interrupt()
            continue
    return latest


def _read_cursor(root: Path) -> int:
    try:
        return int((root / CURSOR).read_text(encoding="ascii")[:32])
    except (OSError, ValueError):
        raise_interrupt()
        return 0


def write_repair(directory: Descriptor, task: AbandonedTask, added: RepairLines, *, dry_run: bool = False) -> str | None:
    """Append the lines and bring the whole files up to date; returns the status then, ``None`` if there was nothing to do.

    Raises `OSError`; what was written until then is kept, and the next repair goes on from there.
    """
    ends = task.has_begun and not (task.is_finished and task.metadata is not None)
    heals = task.metadata is None and task.is_something
    if not (added.lines or ends or heals):
        return None
    status = task.outcome if task.has_begun else task.status or State.PENDING.value
    if dry_run:
        return status
    if added.lines:
        output = LineFile(directory, AGENT_OUTPUT)
        output.append(added.encoded())
        output.sync()
    for line in added.lines:
        task.tally.add(line)
    _Documents(directory, task, added).write(status, ends)
    _remove_leftovers(directory)
    return status


class _Documents:
    """The whole files of a task under repair."""

    def __init__(self, directory: Descriptor, task: AbandonedTask, added: RepairLines) -> None:
        self._directory, self._task, self._added = directory, task, added
        self._tag = os.urandom(6).hex()

    def write(self, status: str, ends: bool) -> None:
        """``01`` where it was cut off, ``04`` where it is missing, ``metadata.json`` last."""
        if _is_empty(self._directory, INPUT):
            given = {"task_id": self._task.task_id, "timestamp": self._task.tally.first_seen or now(), "input": None}
            self._replace(INPUT, {**given, "source": None, "provider": None})
        changes: dict[str, Any] = {"status": status}
        if ends:
            end = self._end(status)
            changes["completed_at"] = end["timestamp"]
            result = self._task.result
            if result is None or result["outcome"] != status:
                kept = (result or {}).get("result")
                self._replace(FINAL_RESULT, final_result(end, kept, self._task.tally, self._task.task_id))
        self._replace(METADATA, merged(self._known(), changes, self._counts()))

    def _replace(self, name: str, document: Mapping[str, Any]) -> None:
        replace_file(self._directory, name, temp_name(name, self._tag), encode_document(document), sync=True)

    def _end(self, status: str) -> Line:
        """The line that ended the task, or one made of what is known where there is no such line."""
        found = self._added.task_end or self._task.task_end
        if found is not None and text(found, "timestamp"):
            return {**found, "outcome": status, "exception": dict(mapping(found, "exception")) or None}
        known = self._task.metadata or {}
        at = (self._task.result or {}).get("completed_at") or known.get("completed_at") or self._task.tally.last_seen
        return {"timestamp": at or known.get("updated_at") or now(), "outcome": status}

    def _known(self) -> dict[str, Any]:
        """``metadata.json`` as it is, with what it lost taken from the lines."""
        task, found = self._task, dict(self._task.metadata or {})
        start = task.task_start or {}
        details = mapping(start, "details")
        again: dict[str, Any] = {
            "task_id": task.task_id,
            "name": text(start, "message"),
            "created_at": task.tally.first_seen,
            "started_at": valid_time(start),
            **{key: start.get(key) for key in _FROM_LINE},
            **{key: details.get(source) for key, source in _FROM_DETAILS},
        }
        if start.get("trace_id") and start.get("span_id"):
            again["traceparent"] = f"00-{start['trace_id']}-{start['span_id']}-{start.get('trace_flags', 1):02x}"
        if task.metadata is None:
            return again
        return {**again, **{key: value for key, value in found.items() if value is not None or key not in METADATA_KEYS}}

    def _counts(self) -> dict[str, int]:
        """Items that the dead process had recorded and not counted yet."""
        content = text(self._added.lines[0], "content_policy") or "off" if self._added.lines else "off"
        items = self._task.items + sum(count_items(line, content) for line in self._added.lines)
        known = mapping(self._task.metadata or {}, "delivery").get("recorded")
        return {"recorded": max(0, items - (known if isinstance(known, int) else 0))}


def _is_empty(directory: Descriptor, name: str) -> bool:
    try:
        return system.stat(name, dir_fd=directory.fd, follow_symlinks=False).st_size == 0
    except OSError:
        raise_interrupt()
        return False


def _remove_leftovers(directory: Descriptor) -> None:
    """Delete files that a process was preparing when it died."""
    places = [directory]
    try:
        places.append(open_directory(ARTIFACTS, directory))
    except OSError:
        raise_interrupt()
    for place in places:
        for name in system.listdir(place.fd):
            if is_temp_name(name):
                system.unlink(name, dir_fd=place.fd)
