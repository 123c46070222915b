"""The sink that keeps every line: in its task's folder, or in the application log when it belongs to no task."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from otel_agentlog._fork import after_fork_in_child
from otel_agentlog.store.folder.metadata import find_input, find_metadata
from otel_agentlog.store.folder.sync import Syncer
from otel_agentlog.store.folder.writer import TaskFolder
from otel_agentlog.vocabulary.envelope import Envelope, TaskRef
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.states import State

_making = threading.RLock()


def _renew_after_fork() -> None:
    global _making
    _making = threading.RLock()


after_fork_in_child(_renew_after_fork)


class ApplicationLog(Protocol):
    """Keeps lines that belong to no task."""

    def append(self, line: Line) -> None: ...


class FolderSink:
    """Writes envelopes into task folders; the first sink, because it gives each line its ``event_id``."""

    name = "folder"

    def __init__(
        self,
        root: Path,
        process_line: Callable[[], Line],
        application_log: ApplicationLog | None = None,
        opened: Callable[[TaskFolder], None] = lambda folder: None,
        *,
        durability: str = "process",
        failed: Callable[[str, BaseException], None] = lambda where, error: None,
        recorded: Callable[[Envelope], None] = lambda envelope: None,
    ) -> None:
        """`failed` is told of whole files that could not be written yet, and of what could not be brought to the disk;
        `recorded` of every line of a task, kept or lost."""
        self.root = root
        self._opened = opened
        self._process_line = process_line
        self._application_log = application_log
        self._syncer = Syncer(durability, failed)
        self._recorded = recorded

    def __call__(self, envelope: Envelope) -> None:
        """Keep a line. Raises `OSError` if it is lost."""
        task = envelope.task
        if task is None:
            if self._application_log is not None:
                self._application_log.append(envelope.line)
            return
        folder = self.folder(task)
        # The line and the whole files do not need each other: each is tried whatever becomes of the other.
        self._whole_files(self._before, folder, task, envelope)
        envelope.kept = False
        try:
            folder.append(envelope)
            envelope.kept = True
        finally:
            self._recorded(envelope)
            self._whole_files(self._after, folder, task, envelope)

    def folder(self, task: TaskRef) -> TaskFolder:
        """The folder of a task, as this process sees it."""
        folder = task.home
        if isinstance(folder, TaskFolder):
            return folder
        made = TaskFolder(self.root, task, self._process_line, self._syncer)
        # Held for two assignments. Re-entrant: a signal handler or a finaliser may come in between.
        with _making:
            folder = task.home
            if isinstance(folder, TaskFolder):
                return folder
            task.home = made
        self._opened(made)
        return made

    def find_input(self, task_id: str) -> Any:
        """What a task was asked, from its ``01-input.json``."""
        return find_input(self.root, task_id)

    def find_task(self, task_id: str) -> Mapping[str, Any]:
        """``metadata.json`` of a task id, or an empty mapping."""
        return find_metadata(self.root, task_id)

    def flush(self, timeout_s: float) -> bool:
        """Wait for the disk where a level of durability asked for it; whether that was done in time."""
        self._syncer.settle()
        return self._syncer.flush(timeout_s)

    def _whole_files(
        self, work: Callable[[TaskFolder, TaskRef, Envelope], None], folder: TaskFolder, task: TaskRef, envelope: Envelope
    ) -> None:
        try:
            work(folder, task, envelope)
        except OSError as error:
            self._syncer.failed("documents", error)

    def _before(self, folder: TaskFolder, task: TaskRef, envelope: Envelope) -> None:
        starts = envelope.line.get("phase") == "start" and envelope.line.get("type") == "task"
        if not task.owner or (folder.begun and not starts):
            return
        folder.begun = True
        status = State.RUNNING if starts else State(str(task.header.get("status") or State.RUNNING.value))
        folder.begin(task.header, envelope.payload, status, str(envelope.line["timestamp"]))

    def _after(self, folder: TaskFolder, task: TaskRef, envelope: Envelope) -> None:
        line = envelope.line
        kind = line.get("type")
        if kind == "state" and "state_after" in line and task.owner:
            folder.write_metadata(status=line["state_after"])
        if line.get("phase") != "end":
            return
        if kind == "task" and task.owner:
            folder.finish(line, envelope.payload)
        folder.ended = folder.ended or kind in ("task", "segment", "webhook")
        if folder.ended and not folder.tally.open_spans:
            folder.write_delivery()
            folder.release()
