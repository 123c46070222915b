"""The write side of one task folder, for one process.

Decides in which order lines and whole files are written, when they reach the disk, and what happens when a write fails. Lines
of any thread may be appended at the same time, without a lock. Payloads too large for a line go whole to
``artifacts/<sha256>``; the line keeps a preview, the size and the hash.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from otel_agentlog._fork import after_fork_in_child
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.store.folder.documents import Documents, final_result
from otel_agentlog.store.folder.files import LineFile, make_directory, open_directory, replace_file
from otel_agentlog.store.folder.handle import FULL, FolderHandle
from otel_agentlog.store.folder.layout import (
    AGENT_OUTPUT,
    ARTIFACTS,
    FINAL_RESULT,
    GZIP_SUFFIX,
    INPUT,
    METADATA,
    WEBHOOK_FLOW,
    encode,
    temp_name,
)
from otel_agentlog.store.folder.metadata import METADATA_KEYS, size_of
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.folder.sync import FOLDER, ROOT, Level, Syncer, sync_path
from otel_agentlog.store.folder.totals import Tally
from otel_agentlog.vocabulary.envelope import Envelope, TaskRef
from otel_agentlog.vocabulary.lines import Line, timestamp
from otel_agentlog.vocabulary.states import State

MAX_WRITTEN_LINE_BYTES = 256 * 1024
"""Longest line, in bytes; a longer one has its largest values moved to artifacts."""

MAX_VALUE_BYTES = 16 * 1024
"""Values up to this size stay in a long line, if that is enough."""

PREVIEW_CHARACTERS = 512

MAX_REMEMBERED = 10_000
"""Open spans and distinct errors of one task that the writer remembers."""

KEEP = frozenset(
    {"timestamp", "type", "event_id", "trace_id", "span_id", "parent_span_id", "task_id", "name", "phase", "kind", "stage"}
)
"""Keys that never move: without them the line cannot be found or placed."""

Keep = Callable[[bytes], str]
"""Stores bytes and returns their sha256 in hex."""


def spill(line: Line, keep: Keep) -> Line:
    """A copy of the line in which large values are references to artifacts."""
    short = {key: value if key in KEEP else _moved(value, keep) for key, value in line.items()}
    if len(orjson.dumps(short)) <= MAX_WRITTEN_LINE_BYTES:
        return short
    # Many small values: whole containers go, the largest first.
    sizes = {
        key: len(orjson.dumps(value)) for key, value in short.items() if key not in KEEP and not isinstance(value, (int, float))
    }
    excess = sum(sizes.values()) - MAX_WRITTEN_LINE_BYTES // 2
    for key in sorted(sizes, key=lambda name: -sizes[name]):
        if excess <= 0:
            break
        short[key] = _artifact(orjson.dumps(short[key]), "application/json", keep)
        excess -= sizes[key]
    return short


def _moved(value: Any, keep: Keep) -> Any:
    if isinstance(value, str):
        data = value.encode() if len(value) * 4 > MAX_VALUE_BYTES else b""
        return _artifact(data, "text/plain", keep) if len(data) > MAX_VALUE_BYTES else value
    if isinstance(value, dict):
        return {key: _moved(item, keep) for key, item in value.items()}
    if isinstance(value, list):
        return [_moved(item, keep) for item in value]
    return value


def _artifact(data: bytes, media_type: str, keep: Keep) -> dict[str, Any]:
    preview = data[: PREVIEW_CHARACTERS * 4].decode("utf-8", "ignore")[:PREVIEW_CHARACTERS]
    return {"$artifact": {"sha256": keep(data), "size_bytes": len(data), "media_type": media_type, "preview": preview}}


_ERROR_LEVELS = ("ERROR", "CRITICAL")


class TaskFolder:
    """One task's folder, open for writing in this process."""

    def __init__(self, root: Path, task: TaskRef, process_line: Callable[[], Line], syncer: Syncer | None = None) -> None:
        self.task = task
        self.begun = False
        """Whether its whole files were written from here."""
        self.ended = False
        """Whether the work of this process on the task has ended."""
        self.tally = Tally(MAX_REMEMBERED)
        """The figures of what this process wrote."""
        self.waiting: set[str] = set()
        """Names of files that the syncer is to sync and has not synced yet."""
        self._process_line, self._syncer = process_line, syncer or Syncer()
        self._handle = FolderHandle(root, task.task_id, task.event_ids, self._introduce, self._renewed)
        self._documents = Documents(task, self._handle.directory)
        self._counting = threading.RLock()
        self._bytes = 0
        self._degraded = False
        self._location = ("", "")
        after_fork_in_child(self.renew_after_fork)

    def renew_after_fork(self) -> None:
        """In the child of a fork: write with own descriptors from here on, and leave the ending to the parent."""
        self.task.owner = False
        self.tally, self.waiting = Tally(MAX_REMEMBERED), set()
        self._counting, self._bytes, self._degraded = threading.RLock(), 0, False
        self._handle.renew_after_fork()
        self._documents.renew_after_fork()

    @property
    def path(self) -> Path:
        """The folder; meaningful once something was written."""
        return self._handle.root / self._handle.name

    @property
    def location(self) -> str:
        """The same as text, by which `folder_at` finds this object for as long as it lives."""
        name, location = self._location
        if name != self._handle.name or not name:
            location = os.fspath(self.path)
            self._location = self._handle.name, location
            _living[location] = self
        return location

    @property
    def is_open(self) -> bool:
        """Whether this process has it open, and holds it."""
        return self._handle.is_open

    def release(self) -> None:
        """Close the folder and its lock; the next line opens it again."""
        self._handle.release()

    # -- lines ------------------------------------------------------------------------------------------------------------

    def append(self, envelope: Envelope) -> None:
        """Write a line. Raises `OSError`; then the line is lost, and counted as dropped.

        It is numbered here only if it has no number of the file that it goes into: a note of the folder's own, or a line whose
        file was deleted after it was numbered.
        """
        line, name = envelope.line, WEBHOOK_FLOW if envelope.webhook else AGENT_OUTPUT
        try:
            file, size = self._append(name, line)
        except Exception:
            lost = max(1, envelope.items)
            self.count(recorded=lost, dropped=lost)
            raise
        with self._counting:
            self._bytes += size
            self.tally.add(line)
            counts = self._documents.counts
            counts["recorded"] += envelope.items
            counts["redacted"] += envelope.redacted
            counts["truncated"] += envelope.truncated
        if (level := self._syncer.level) is not Level.PROCESS or line.get("level") in _ERROR_LEVELS:
            self._sync(file, name, level)

    def _append(self, name: str, line: Line) -> tuple[LineFile, int]:
        try:
            file = self._handle.file(name)
        except OSError:
            self._handle.lose()
            raise
        ids = self.task.event_ids
        if not line.get("event_id", "").startswith(ids.tag):
            line["event_id"] = ids.next()
        data = encode(line)
        if len(data) > MAX_WRITTEN_LINE_BYTES:
            data = encode(spill(line, self.write_artifact))
        try:
            file.append(data)
        except OSError as error:
            raise_interrupt()
            if error.errno in FULL:
                raise
            # Another mount, another server, a descriptor that other code closed: perhaps the file opened anew takes it.
            self.release()
            file = self._handle.file(name)
            file.append(data)
        return file, len(data)

    def _introduce(self, output: LineFile) -> None:
        line = {"timestamp": timestamp(time.time_ns()), **self._process_line()}
        line["task_id"], line["event_id"] = self.task.task_id, self.task.event_ids.of_process_line
        data = encode(line)
        output.append(data)
        with self._counting:
            self._bytes += len(data)
            self.tally.add(line)
        if self._syncer.level is Level.GROUP:
            self._syncer.ask(self, AGENT_OUTPUT, FOLDER, ROOT)
        elif self._syncer.level is Level.SYNC:
            self._sync_folders()

    def _sync_folders(self) -> None:
        """A file that is on the disk is of no use if its name is not."""
        try:
            sync_path(self.path_of(FOLDER))
            sync_path(self.path_of(ROOT))
        except OSError as error:
            raise_interrupt()
            self._syncer.failed("sync", error)

    def _renewed(self) -> None:
        """The folder was deleted or moved away below us: its documents are written again."""
        if self.begun:
            self._documents.say_again()
            self._syncer.retry(self)

    def _sync(self, file: LineFile, name: str, level: Level) -> None:
        """Have a line brought to the disk: before this returns, or soon."""
        if level is Level.SYNC:
            try:
                file.sync()
            except OSError as error:
                raise_interrupt()
                self._syncer.broken(self, name, error)
        else:
            self._syncer.ask(self, name)

    def degrade(self, name: str, error: OSError) -> None:
        """Write a line, once, that the disk may not have all of it. Raises nothing."""
        if self._degraded:
            return
        self._degraded = True
        line: Line = {
            "timestamp": timestamp(time.time_ns()),
            "type": "event",
            "level": "WARNING",
            "component": "process",
            "action": "durability_degraded",
            "message": f"{name} could not be brought to the disk: a power cut may take what was recorded, the process's end not",
            "task_id": self.task.task_id,
            "details": {"file": name, "error": errno.errorcode.get(error.errno or 0, "unknown")},
        }
        try:
            self.append(Envelope(line, self.task, time.time_ns(), items=1))
        except OSError as problem:
            raise_interrupt()
            self._syncer.failed("folder", problem)

    def path_of(self, name: str) -> str:
        """Where a file is; `FOLDER` and `ROOT` are the folder and the one around it."""
        if name == ROOT:
            return os.fspath(self._handle.root)
        return os.fspath(self.path if name == FOLDER else self.path / name)

    # -- whole files ------------------------------------------------------------------------------------------------------

    @property
    def delivery(self) -> Mapping[str, int]:
        """What this process adds to the receipt in ``metadata.json``."""
        return self._documents.counts

    def count(self, **more: int) -> None:
        """Add to the receipt; the file follows with `write_delivery`."""
        with self._counting:
            for key, number in more.items():
                self._documents.counts[key] += number

    def write_delivery(self) -> None:
        """Bring the receipt in ``metadata.json`` up to date. Raises `OSError`."""
        self.settle()

    def settle(self) -> None:
        """Write the current content of the whole files, without keeping a finished folder open. Raises `OSError`."""
        if self._documents.settled:
            return
        was_open = self.is_open
        self._settle()
        if not was_open:
            self.release()

    def write_metadata(self, **changes: Any) -> None:
        """Change keys of ``metadata.json`` and replace it; what other processes wrote there stays. Raises `OSError`."""
        self._documents.change(changes)
        self._settle()

    def begin(self, header: Mapping[str, Any], payload: Mapping[str, Any] | None, status: State, at: str) -> None:
        """Write what is known when a task is created or started: ``metadata.json`` and ``01-input.json``. Raises `OSError`."""
        changes = {key: header[key] for key in METADATA_KEYS if header.get(key) is not None}
        changes["status"] = status.value
        if status is State.RUNNING:
            # One that was left behind and goes on began when it began.
            changes["started_at"] = header.get("started_at") or at
            changes["completed_at"] = None
        self._documents.change(changes)
        given = payload is not None and "input" in payload
        kept = {"task_id": self.task.task_id, "timestamp": at, "input": (payload or {}).get("input")}
        document = {**kept, "source": header.get("source"), "provider": header.get("provider")}
        self._documents.owe(INPUT, document, only_new=not given)
        self._settle()
        if self._syncer.level is Level.GROUP:
            self._syncer.ask(self, METADATA, INPUT, FOLDER, ROOT)

    def finish(self, end: Line, payload: Mapping[str, Any] | None) -> None:
        """Write ``04-final-result.json`` and the last state of ``metadata.json``, both soon on the disk. Raises `OSError`."""
        result = (payload or {}).get("result")
        self._documents.owe(FINAL_RESULT, final_result(end, result, self._tally_of_all(), self.task.task_id))
        self._documents.change({"status": str(end["outcome"]), "completed_at": end["timestamp"]})
        self._settle()
        if self._syncer.level is not Level.SYNC:
            self._syncer.ask(self, WEBHOOK_FLOW, AGENT_OUTPUT, FINAL_RESULT, METADATA, FOLDER, ROOT)

    def _settle(self) -> None:
        sync = self._syncer.level is Level.SYNC
        handle = self._handle
        try:
            handle.with_descriptors(lambda: handle.with_reopening(lambda: self._documents.settle(sync=sync)))
        except OSError:
            self._syncer.retry(self)
            raise

    def _tally_of_all(self) -> Tally:
        """The tally of every process that worked on this task: ours, unless others wrote here too."""
        names = (AGENT_OUTPUT, WEBHOOK_FLOW, AGENT_OUTPUT + GZIP_SUFFIX, WEBHOOK_FLOW + GZIP_SUFFIX)
        on_disk = sum(size_of(self.path / name) for name in names)
        if on_disk == self._bytes:
            return self.tally
        tally, reader = Tally(), TaskReader(self.path)
        for line in itertools.chain(reader.webhook_flow(), reader.events()):
            tally.add(line)
        return tally

    def write_artifact(self, data: bytes) -> str:
        """Keep a payload too large for a line; returns its sha256 in hex, which is its file name. Raises `OSError`."""
        return self._handle.with_descriptors(lambda: self._handle.with_reopening(lambda: self._write_artifact(data)))

    def _write_artifact(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        directory, sync = self._handle.directory(), self._syncer.level is not Level.PROCESS
        make_directory(ARTIFACTS, directory)
        artifacts = open_directory(ARTIFACTS, directory)
        replace_file(artifacts, digest, temp_name(digest, secrets.token_hex(6)), data, sync=sync)
        return digest


_living: weakref.WeakValueDictionary[str, TaskFolder] = weakref.WeakValueDictionary()


def folder_at(location: str) -> TaskFolder | None:
    """The folder of this process at a `TaskFolder.location`; ``None`` once nothing uses it any more."""
    return _living.get(location)
