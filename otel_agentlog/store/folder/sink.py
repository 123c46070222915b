"""The sink that keeps every line: in its task's folder, or in the application log when it belongs to no task."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from otel_agentlog._interrupts import WeakValues, raise_interrupt, take, taken_out
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog.store.folder.handle import Root
from otel_agentlog.store.folder.metadata import find_input, find_metadata
from otel_agentlog.store.folder.sync import Syncer
from otel_agentlog.store.folder.writer import LOCK_WAIT_S, Counts, TaskFolder
from otel_agentlog.vocabulary.envelope import Envelope, TaskRef
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.states import State

MAX_LINGERING = 64
"""Folders of tasks that have ended that stay open because something in them has not. What never ends must not hold descriptors
without end; the folder of the oldest is closed, and opened again if its end comes after all."""

MAX_UNSETTLED = 128
"""Folders of tasks that have ended that are looked after until all of it was delivered or dropped: `FolderSink.verify` finds
whether they were deleted. What becomes of older ones is seen when they are read to be sent."""


_DECISIVE = frozenset({"task", "segment", "webhook", "state"})
"""Types of lines that may begin or end the work on a task, or say how it stands."""


class ApplicationLog(Protocol):
    """Keeps lines that belong to no task."""

    def append(self, line: Line, data: bytes = b"") -> None: ...
    def verify(self) -> None: ...


class FolderSink:
    """Writes envelopes into task folders. Safe from any thread."""

    name = "folder"
    keeps_lines = True

    def __init__(
        self,
        root: Path,
        process_line: Callable[[], Line],
        application_log: ApplicationLog | None = None,
        *,
        durability: str = "process",
        pending_on_disk: Callable[[TaskFolder], int] = lambda folder: 0,
        counts: Counts | None = None,
        failed: Callable[[str, BaseException], None] = lambda where, error: None,
    ) -> None:
        """``process_line`` gives the process line that this process writes into each folder; ``pending_on_disk`` counts what is
        there to be sent, where files were deleted below us; ``failed`` is called for whole files that could not be written yet
        and for what could not be synced."""
        self.root, self._root = root, Root(root)
        self._process_line = process_line
        self._application_log = application_log
        self._syncer = Syncer(durability, failed)
        self._pending_on_disk = pending_on_disk
        self._counts = counts or Counts()
        self.ending = False
        """Whether nothing is written later any more: the receipt of a folder follows each line."""
        self.renew_after_fork()
        after_fork_in_child(self.renew_after_fork)

    def renew_after_fork(self) -> None:
        """In the child of a fork: another thread of the parent may have held a lock, and what it recorded it counts itself."""
        # Re-entrant: a signal handler or a finaliser may record while its own thread holds it.
        self._making = threading.RLock()
        self._folders: WeakValues[TaskFolder] = WeakValues()
        self._lingering: deque[TaskFolder] = deque()
        self._unsettled: deque[TaskFolder] = deque()
        self._counts.renew_after_fork()

    @property
    def totals(self) -> Mapping[str, int]:
        """The receipts of all tasks in this process together: OTLP items, and values changed."""
        return self._counts.totals

    def __call__(self, envelope: Envelope) -> None:
        """Keep a line. Raises `OSError` if it is lost."""
        task, line = envelope.task, envelope.line
        if task is None:
            if self._application_log is not None and not envelope.again:
                self._application_log.append(line, envelope.data or envelope.encoded())
            return
        folder = task.home
        if not isinstance(folder, TaskFolder):
            folder = self.folder(task)
        if line.get("type") in _DECISIVE or folder.finished or folder.ended or self.ending or (task.owner and not folder.begun):
            self._keep(folder, task, envelope)
        else:
            folder.append(envelope)

    def _keep(self, folder: TaskFolder, task: TaskRef, envelope: Envelope) -> None:
        """Keep a line that may begin or end something."""
        phase, kind = envelope.line.get("phase"), envelope.line.get("type")
        starts = phase == "start" and kind == "task"
        # The line and the whole files do not need each other: each is tried whatever becomes of the other.
        if task.owner and (starts or not folder.begun):
            self._begin(folder, task, envelope, starts)
        if phase == "end" and kind == "task":
            folder.try_again()
        lost: OSError | None = None
        try:
            folder.append(envelope)
        except OSError as error:
            raise_interrupt()
            lost = error
        if phase == "end" or kind == "state":
            self._finish(folder, task, envelope)
        elif self.ending:
            self._write_receipt(folder)
        if lost is not None:
            try:
                raise lost
            finally:
                del lost  # else its traceback, which has this frame, would keep it alive

    def folder(self, task: TaskRef) -> TaskFolder:
        """The folder of a task, as this process has it."""
        folder = task.home
        if isinstance(folder, TaskFolder):
            return folder
        made = TaskFolder(self._root, task, self._process_line, self._syncer, self._counts, self._pending_on_disk)
        # Held for two assignments. At the interpreter's end a daemon thread may have stopped with it.
        taken: list[bool] = []
        try:
            take(self._making, LOCK_WAIT_S, taken)
            folder = task.home
            if not isinstance(folder, TaskFolder):
                task.home = folder = made
                self._folders.put(id(made), made)
        finally:
            if any(taken):
                self._making.release()
        return folder

    def find_input(self, task_id: str) -> Any:
        """The input of a task, from its ``01-input.json``; ``None`` if there is none."""
        return find_input(self.root, task_id)

    def find_task(self, task_id: str) -> Mapping[str, Any]:
        """``metadata.json`` of a task id, or an empty mapping."""
        return find_metadata(self.root, task_id)

    def verify(self, until: float) -> None:
        """Check that what the receipt calls pending is in its folder; ``until`` is on the monotonic clock."""
        if self._application_log is not None:
            try:
                self._application_log.verify()
            except OSError as error:
                raise_interrupt()
                self._syncer.failed("folder", error)
        taken: list[bool] = []
        try:
            take(self._making, LOCK_WAIT_S, taken)
            folders = list(self._folders)
        finally:
            if any(taken):
                self._making.release()
        for folder in folders:
            if time.monotonic() >= until:
                return
            if not folder.is_settled:
                folder.verify()

    def flush(self, timeout_s: float) -> bool:
        """Wait for the disk where a level of durability asks for it; whether that was done in time."""
        self._syncer.settle()
        return self._syncer.flush(timeout_s)

    def stop_retrying(self) -> None:
        """At the end of a configuration, after `flush`: do not go on trying to write what cannot be written."""
        self._syncer.stop_retrying()

    def _write_receipt(self, folder: TaskFolder) -> None:
        try:
            folder.write_delivery()
        except OSError as error:
            raise_interrupt()
            self._syncer.failed("documents", error)

    def _begin(self, folder: TaskFolder, task: TaskRef, envelope: Envelope, starts: bool) -> None:
        folder.begun = True
        status = State.RUNNING if starts else State(str(task.header.get("status") or State.RUNNING.value))
        at = str((not starts and task.header.get("started_at")) or envelope.line["timestamp"])
        try:
            try:
                folder.begin(task.header, envelope.payload, status, at)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the whole files must not cost the line
                raise_interrupt()
                self._syncer.failed("documents", error)
        except BaseException:
            folder.begun = False
            raise

    def _finish(self, folder: TaskFolder, task: TaskRef, envelope: Envelope) -> None:
        line, kind = envelope.line, envelope.line.get("type")
        try:
            if kind == "state" and "state_after" in line and task.owner:
                folder.write_metadata(status=line["state_after"])
            if line.get("phase") != "end":
                return
            ends = kind == "task" and task.owner
            if ends:
                folder.finish(line, envelope.payload)
            elif folder.finished:
                folder.finish_again()
            folder.ended = folder.ended or kind in ("task", "segment", "webhook")
            if folder.ended and folder.tally.open_spans:
                self._linger(folder)
            elif folder.ended:
                if not ends:
                    folder.verify()
                    folder.write_delivery()
                self._close(folder, just_used=ends)
        except Exception as error:  # noqa: BLE001 - as in `_begin`
            raise_interrupt()
            self._syncer.failed("documents", error)

    def _linger(self, folder: TaskFolder) -> None:
        lingering = self._lingering
        if folder not in lingering:
            lingering.append(folder)
        for oldest in taken_out(lingering, MAX_LINGERING):
            oldest.verify(wait_s=0.0)
            self._close(oldest)

    def _close(self, folder: TaskFolder, *, just_used: bool = False) -> None:
        folder.release(just_used=just_used)
        unsettled = self._unsettled
        if not folder.is_settled and folder not in unsettled:
            unsettled.append(folder)
        for oldest in taken_out(unsettled):
            if not oldest.is_settled and len(unsettled) < MAX_UNSETTLED:
                unsettled.appendleft(oldest)
                break
