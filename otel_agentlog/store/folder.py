"""The write side of one task folder, as one process sees it.

Hides where the folder is, which descriptors are open, and how numbers are given out. Lines of any thread may be appended at
the same time; whole files are replaced by whoever owns the task.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import itertools
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from otel_agentlog.model import Envelope, Line, State, TaskRef, timestamp
from otel_agentlog.store.descriptors import (
    Descriptor,
    LineFile,
    lock_briefly,
    lock_shared,
    make_directory,
    open_directory,
    replace_file,
)
from otel_agentlog.store.layout import (
    AGENT_OUTPUT,
    FINAL_RESULT,
    INPUT,
    METADATA,
    WEBHOOK_FLOW,
    encode,
    encode_document,
    folder_names,
    temp_name,
)
from otel_agentlog.store.metadata import DELIVERY_KEYS, METADATA_KEYS, merged, open_root, read_metadata, size_of
from otel_agentlog.store.reader import TaskReader
from otel_agentlog.store.spill import MAX_LINE_BYTES, spill
from otel_agentlog.store.summary import Tally

CHECK_INTERVAL_S = 1.0
"""How often, in seconds, a writer looks whether its files are still there."""

Method = TypeVar("Method", bound=Callable[..., Any])

_lock = threading.RLock()
"""Held while a folder is opened or one of its whole files replaced; never while a line is written."""

_folders: weakref.WeakSet[TaskFolder] = weakref.WeakSet()


def _forget_parents_files() -> None:
    # The child of a fork shares descriptors and numbers with its parent, and another thread may have held the lock.
    global _lock
    _lock = threading.RLock()
    for folder in list(_folders):
        folder.forget()


os.register_at_fork(after_in_child=_forget_parents_files)


def with_descriptors(method: Method) -> Method:
    """Where the process has no descriptor left, let go of the folders that were not written to for longest, and try again."""

    @functools.wraps(method)
    def call(self: TaskFolder, *args: Any, **kwargs: Any) -> Any:
        self.used_at = time.monotonic()
        try:
            return method(self, *args, **kwargs)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
        others = sorted(
            (folder for folder in list(_folders) if folder.is_open and folder is not self), key=lambda folder: folder.used_at
        )
        for folder in others[: max(8, len(others) // 2)]:
            folder.release()
        return method(self, *args, **kwargs)

    return cast(Method, call)


class TaskFolder:
    """One task's folder, open for writing in this process."""

    def __init__(self, root: Path, task: TaskRef, process_line: Callable[[], Line]) -> None:
        self.task = task
        self.tally = Tally()
        self.delivery = dict.fromkeys(DELIVERY_KEYS, 0)
        self._root, self._process_line = root, process_line
        self._directory: Descriptor | None = None
        self._files: dict[str, LineFile] = {}
        self._tag = secrets.token_hex(4)
        self._numbers = itertools.count()
        self._temps = itertools.count()
        self._checked_at = 0.0
        self.used_at = 0.0
        """When something of it was last opened or replaced, on the monotonic clock."""
        self._written: dict[str, int] = {}
        self._name = ""
        self._introduced = False
        self._counting = threading.RLock()
        self._bytes = 0
        self.begun = False
        """Whether its whole files were written from here."""
        self.ended = False
        """Whether the work of this process on the task has ended."""
        _folders.add(self)

    # -- lines ------------------------------------------------------------------------------------------------------------

    def append(self, envelope: Envelope) -> None:
        """Give the line its ``event_id`` and write it. Raises `OSError`."""
        line = envelope.line
        file = self._file(WEBHOOK_FLOW if envelope.webhook else AGENT_OUTPUT)
        line["event_id"] = f"{self._tag}-{next(self._numbers)}"
        data = encode(line)
        if len(data) > MAX_LINE_BYTES:
            data = encode(spill(line, self.write_artifact))
        file.append(data)
        with self._counting:
            self._bytes += len(data)
            self.tally.add(line)
            self.delivery["redacted"] += envelope.redacted
            self.delivery["truncated"] += envelope.truncated
            self.delivery["recorded"] += envelope.items

    def _file(self, name: str) -> LineFile:
        file = self._files.get(name)
        if file is None or self._vanished(file):
            return self._open_file(name)
        return file

    def _vanished(self, file: LineFile) -> bool:
        now = time.monotonic()
        if now - self._checked_at < CHECK_INTERVAL_S:
            return False
        self._checked_at = now
        if not file.gone:
            return False
        self.release()
        self._introduced = False
        return True

    @with_descriptors
    def _open_file(self, name: str) -> LineFile:
        with _lock:
            directory = self._open()
            if not self._introduced:
                self._introduce(directory)
            if name not in self._files:
                self._files[name] = LineFile(directory, name)
            return self._files[name]

    # -- the folder -------------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return self._directory is not None

    def release(self) -> None:
        """Let go of the folder and its lock; the next line opens it again."""
        with _lock:
            self._files, self._directory = {}, None

    def forget(self) -> None:
        """In the child of a fork: write with own descriptors and numbers from here on, and leave the ending to the parent."""
        self._files, self._directory, self._introduced = {}, None, False
        self.task.owner = False
        self.tally, self._counting, self._bytes = Tally(), threading.RLock(), 0

    def _open(self) -> Descriptor:
        if self._directory is None:
            directory = self._find(open_root(self._root))
            lock_shared(directory)
            self._directory, self._checked_at = directory, time.monotonic()
        return self._directory

    def _introduce(self, directory: Descriptor) -> None:
        # A new tag each time: after a fork or in a folder that vanished the numbers begin anew.
        self._tag, self._numbers, self._introduced = secrets.token_hex(4), itertools.count(), True
        line = dict(self._process_line())
        line = {"timestamp": timestamp(time.time_ns()), **line}
        line["task_id"], line["event_id"] = self.task.task_id, f"{self._tag}-{next(self._numbers)}"
        output = self._files[AGENT_OUTPUT] = LineFile(directory, AGENT_OUTPUT)
        data = encode(line)
        output.append(data)
        with self._counting:
            self._bytes += len(data)
            self.tally.add(line)

    def _find(self, root: Descriptor) -> Descriptor:
        for name in folder_names(self.task.task_id):
            created = make_directory(name, root)
            directory = open_directory(name, root)
            if created or read_metadata(directory).get("task_id") in (None, self.task.task_id):
                self._name = name
                return directory
        raise FileExistsError(errno.EEXIST, "every folder name of this task id is taken by another task", self.task.task_id)

    # -- whole files ------------------------------------------------------------------------------------------------------

    @property
    def path(self) -> Path:
        """The folder; meaningful once something was written."""
        return self._root / self._name

    def note_delivery(self, key: str, count: int) -> None:
        """Add to ``delivered`` or ``dropped``; the file follows with `write_delivery`."""
        with self._counting:
            self.delivery[key] += count

    def write_delivery(self) -> None:
        """Bring the receipt in ``metadata.json`` up to date, without keeping a finished folder open."""
        if self.delivery == self._written:
            return
        was_open = self.is_open
        self.write_metadata()
        if not was_open:
            self.release()

    @with_descriptors
    def write_metadata(self, *, sync: bool = False, **changes: Any) -> None:
        """Change keys of ``metadata.json`` and replace it; what other processes wrote there stays."""
        with _lock:
            directory = self._open()
            # The lock is on the lines' file, because metadata.json is another file after each replacement.
            with lock_briefly(directory, AGENT_OUTPUT):
                with self._counting:
                    now = dict(self.delivery)
                added = {key: now[key] - self._written.get(key, 0) for key in now}
                self._write(directory, METADATA, merged(read_metadata(directory), changes, added), sync)
                self._written = now

    def begin(self, header: Mapping[str, Any], payload: Mapping[str, Any] | None, status: State, at: str) -> None:
        """Write what is known when a task is created or started: ``metadata.json`` and ``01-input.json``."""
        changes = {key: header[key] for key in METADATA_KEYS if header.get(key) is not None}
        changes["status"] = status.value
        if status is State.RUNNING:
            changes["started_at"] = at
        self.write_metadata(**changes)
        given = payload is not None and "input" in payload
        if given or not (self.path / INPUT).exists():
            kept = {"task_id": self.task.task_id, "timestamp": at, "input": (payload or {}).get("input")}
            self._write_document(INPUT, {**kept, "source": header.get("source"), "provider": header.get("provider")})

    def finish(self, end: Line, payload: Mapping[str, Any] | None) -> None:
        """Write ``04-final-result.json`` and the last state of ``metadata.json``, and wait for the disk."""
        outcome = str(end["outcome"])
        error = end.get("exception")
        result = {
            "success": outcome == "completed",
            "outcome": outcome,
            "result": (payload or {}).get("result"),
            "error": None if error is None else {key: error[key] for key in error if key != "traceback"},
            "metrics": self._tally_of_all().metrics(end),
            "completed_at": end["timestamp"],
            "task_id": self.task.task_id,
        }
        self._write_document(FINAL_RESULT, result, sync=True)
        self.write_metadata(sync=True, status=outcome, completed_at=end["timestamp"])

    def _tally_of_all(self) -> Tally:
        """The tally of every process that worked on this task: ours, unless others wrote here too."""
        on_disk = sum(size_of(self._root / self._name / name) for name in (AGENT_OUTPUT, WEBHOOK_FLOW))
        if on_disk == self._bytes:
            return self.tally
        tally, reader = Tally(), TaskReader(self._root / self._name)
        for line in itertools.chain(reader.webhook_flow(), reader.events()):
            tally.add(line)
        return tally

    @with_descriptors
    def _write_document(self, name: str, document: Mapping[str, Any], *, sync: bool = False) -> None:
        with _lock:
            self._write(self._open(), name, document, sync)

    def _write(self, directory: Descriptor, name: str, document: Mapping[str, Any], sync: bool) -> None:
        temp = temp_name(name, f"{self._tag}x{next(self._temps)}")
        replace_file(directory, name, temp, encode_document(document), sync=sync)

    @with_descriptors
    def write_artifact(self, data: bytes) -> str:
        """Keep a payload too large for a line; returns its sha256 in hex, which is its file name."""
        digest = hashlib.sha256(data).hexdigest()
        with _lock:
            directory = self._open()
        make_directory("artifacts", directory)
        artifacts = open_directory("artifacts", directory)
        temp = temp_name(digest, f"{self._tag}x{next(self._temps)}")
        replace_file(artifacts, digest, temp, data, sync=False)
        return digest
