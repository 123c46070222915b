"""One row about a task: from its whole files, or from its lines while it has not ended."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.store.folder.layout import parse_timestamp
from otel_agentlog.store.folder.reader import TaskReader, is_of_before, list_tasks
from otel_agentlog.store.folder.totals import Tally, replay
from otel_agentlog.store.index.live_lines import lines_read
from otel_agentlog.store.liveness import is_abandoned
from otel_agentlog.vocabulary.coerce import mapping, number, text
from otel_agentlog.vocabulary.lines import timestamp
from otel_agentlog.vocabulary.states import ENDED, STATES, State

_MOST = 1 << 62
"""Figures beyond that, and their negative, are damage: times and costs are computed with them."""


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One task at a glance. Every text is as it is in the folder: not safe for a terminal."""

    task_id: str
    folder: Path
    status: str
    """A state; ``interrupted`` also where a process died and that has not been written down yet."""
    process_gone: bool
    """Whether the status in the folder is ``running`` and no process is at work on it."""
    metadata: Mapping[str, Any]
    """``metadata.json``; empty if it is not there."""
    metrics: Mapping[str, Any]
    """The figures of ``04-final-result.json``; counted from the lines while there is none."""
    error: Mapping[str, Any] | None
    """The exception it ended with: ``type``, ``message``, ``error_id``."""
    scores: Mapping[str, float | str] = field(default_factory=dict)
    """By name the mean of the scores that count, or a label where none has a value; where the index was asked."""
    unpriced: bool | None = None
    """Whether the price of something in it is not known; ``None`` where neither the index was asked nor all lines were read."""

    @property
    def name(self) -> str:
        """Name for people; the id where there is none."""
        return text(self.metadata, "name") or self.task_id

    @property
    def parent_task_id(self) -> str | None:
        """The task it is a sub-task of."""
        return text(self.metadata, "parent_task_id")

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to be expected."""
        return self.status in ENDED

    def time_ns(self, *keys: str) -> int | None:
        """The first of these times of ``metadata.json`` that is known, in Unix nanoseconds."""
        for key in keys:
            try:
                return parse_timestamp(text(self.metadata, key) or "")
            except ValueError:
                raise_interrupt()
                continue
        return None

    def as_json(self) -> dict[str, Any]:
        """One flat object, with the keys of the folder's files."""
        known = {key: value for key, value in self.metadata.items() if key not in ("format_version", "updated_at", "delivery")}
        return {
            **known,
            "task_id": self.task_id,
            "name": self.name,
            "status": self.status,
            "process_gone": self.process_gone,
            **self.metrics,
            "unpriced": self.unpriced,
            "error": None if self.error is None else dict(self.error),
            "scores": dict(self.scores),
            "delivery": dict(mapping(self.metadata, "delivery")),
            "folder": str(self.folder),
        }


@dataclass(frozen=True, slots=True)
class Found:
    """What `find_rows` found."""

    rows: list[TaskRow]
    """Newest first, at most ``limit``."""
    matching: int
    """How many there are in all."""
    tasks: int
    """How many tasks there are below the root, whatever their status."""


def find_rows(root: Path, *, statuses: Collection[str] = (), limit: int | None = None) -> Found:
    """Return the tasks below `root`, newest first; with `statuses` only those in one of them."""
    tasks, matching = 0, []
    for task in list_tasks(root):
        tasks += 1
        metadata = task.metadata() or {}
        if statuses and standing(task, metadata)[0] not in statuses:
            continue
        matching.append((_created(task, metadata), task.folder.name, task))
    matching.sort(key=lambda entry: entry[:2], reverse=True)
    return Found([row_of(task) for _, _, task in matching[:limit]], len(matching), tasks)


def row_of(task: TaskReader) -> TaskRow:
    """Return the row of one task. Reads its lines if it has not ended, those that were not read before in this process."""
    return make_row(task, task.metadata() or {}, task.final_result() or {}, lambda: tally_of(task))


def tally_of(task: TaskReader) -> Tally:
    """The tally of all lines of a task; while a process is at work on it each line is read once."""
    return replay(task) if is_abandoned(task, State.RUNNING.value) else lines_read(task).tally


def make_row(task: TaskReader, metadata: Mapping[str, Any], final: Mapping[str, Any], tally: Callable[[], Tally]) -> TaskRow:
    """Return the row of one task from its whole files; the `tally` of its lines is asked for where they lack figures."""
    if is_of_before(final, metadata):
        final = {}
    status, gone = _standing(task, metadata, lambda: final, tally)
    # What is no number is unknown, here for all who show or sum it up.
    metrics: Mapping[str, Any] = {key: _figure(value) for key, value in mapping(final, "metrics").items()}
    if not metrics:
        metrics = tally().metrics()
        if status not in ENDED:
            metrics = {**metrics, "duration_seconds": _elapsed(metadata, metrics)}
    return TaskRow(
        task_id=text(metadata, "task_id") or task.folder.name,
        folder=task.folder,
        status=status,
        process_gone=gone,
        metadata=metadata,
        metrics=metrics,
        error=mapping(final, "error") or None,
    )


def _figure(value: Any) -> float | None:
    counts = isinstance(value, (int, float)) and not isinstance(value, bool) and -_MOST <= value <= _MOST
    return value if counts else None


def standing(task: TaskReader, metadata: Mapping[str, Any] | None = None) -> tuple[str, bool]:
    """The status of a task, and whether it is that because its process has died."""
    known = (task.metadata() or {}) if metadata is None else metadata
    return _standing(task, known, lambda: task.final_result() or {}, lambda: tally_of(task))


def status_of(task: TaskReader) -> str:
    """The status of a task, without reading its lines where its whole files have it."""
    return standing(task)[0]


def has_ended(task: TaskReader) -> bool:
    """Whether nothing more is to be expected of a task."""
    return standing(task)[0] in ENDED


def is_left_open(task: TaskReader) -> bool:
    """Whether a task's process has died and that has not been recorded yet."""
    return standing(task)[1]


def _standing(
    task: TaskReader,
    metadata: Mapping[str, Any],
    final: Callable[[], Mapping[str, Any]],
    tally: Callable[[], Tally],
) -> tuple[str, bool]:
    status = text(metadata, "status")
    if status in ENDED:
        return status, False
    # The final result is written before metadata.json: a kill can come between the two.
    found = final()
    outcome = text(found, "outcome")
    if outcome in ENDED and not is_of_before(found, metadata):
        return outcome, False
    if status not in STATES:
        # Without metadata.json, or with a damaged one, the lines must have it; at a task's very start they do not yet.
        status = tally().task_outcome or State.RUNNING.value
    return (State.INTERRUPTED.value, True) if is_abandoned(task, status) else (status, False)


def _elapsed(metadata: Mapping[str, Any], metrics: Mapping[str, Any]) -> float | None:
    """Seconds since the start of a task that goes on."""
    try:
        began = parse_timestamp(text(metadata, "started_at") or "")
    except ValueError:
        raise_interrupt()
        return number(metrics, "duration_seconds")
    return round(max(0, time.time_ns() - began) / 1e9, 3)


def _created(task: TaskReader, metadata: Mapping[str, Any]) -> str:
    created = text(metadata, "created_at")
    if created is not None:
        return created
    try:
        return timestamp(os.stat(task.folder, follow_symlinks=False).st_mtime_ns)
    except OSError:
        raise_interrupt()
        return ""
