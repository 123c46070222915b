"""What was asked of a task, as the process that works on it reads it: bit by bit, cheaply, and from nobody but the owner.

Hides where one is in ``control.jsonl``, also when the file is made anew, and how one finds out in a later process what an
earlier one has dealt with: from its own lines.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otel_agentlog.errors import LayoutError, TaskNotFoundError
from otel_agentlog.model import ControlRequest, Line, TaskRef
from otel_agentlog.store import streams
from otel_agentlog.store.control import MAX_REASON_CHARACTERS, MAX_TEXT_BYTES, REQUESTS
from otel_agentlog.store.control_place import open_own_file, open_own_folder
from otel_agentlog.store.descriptors import Descriptor
from otel_agentlog.store.durability import ROOT
from otel_agentlog.store.fields import mapping, text
from otel_agentlog.store.folder import TaskFolder
from otel_agentlog.store.layout import CONTROL, GZIP_SUFFIX
from otel_agentlog.store.lines import LineReader
from otel_agentlog.store.reader import TaskReader

READ_BYTES = 1024 * 1024
"""How much is read at a time; longer than any request."""

_HEAD_BYTES = 256
_MAX_REFUSALS = 20
_MAX_WORD_CHARACTERS = 128


@dataclass(frozen=True, slots=True)
class Found:
    """What one look brought."""

    requests: list[ControlRequest] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Why something that stands there was not taken for a request."""


class ControlFile:
    """The requests of one task, in the order they were made, each once. For one thread at a time; never raises."""

    def __init__(self, task: TaskRef) -> None:
        self._task = task
        self._seen: tuple[int, ...] | None = None
        self._offset, self._head = 0, b""
        self._skipping = False
        self._known: set[str] = set()
        self._first = True
        self._path: Path | None = None
        self._file = ""

    def changed(self) -> bool:
        """Whether there may be something new; costs one ``stat()``."""
        return self._key() not in (self._seen, None)

    def new(self) -> Found:
        """What was added since the last time; at most about `READ_BYTES` of it, and more the next time."""
        folder, key = self._folder(), self._key()
        if folder is None:
            return Found()
        found = Found()
        try:
            directory = open_own_folder(folder)
            if self._first:
                self._first = False
                self._take_compressed(directory, folder, found)
            if self._take(directory, found):
                self._seen = key
        except (LayoutError, TaskNotFoundError, OSError) as error:
            self._seen = key
            found.refused.append(str(error))
        return found

    def history(self) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
        """What others have dealt with, by their own lines: ids of all such requests, of texts the agent took, of pauses that
        are over."""
        folder, history = self._folder(), _History()
        for line in TaskReader(folder).events() if folder is not None else ():
            if line.get("type") in ("event", "state"):
                history.add(text(line, "action"), mapping(line, "details"))
        return frozenset(history.seen - history.waiting), frozenset(history.taken), frozenset(history.over)

    # -- inside -----------------------------------------------------------------------------------------------------------

    def _folder(self) -> Path | None:
        home = self._task.home
        # Before the first line is written the folder has no name yet.
        if self._path is None and isinstance(home, TaskFolder) and os.fspath(home.path) != home.path_of(ROOT):
            self._path = home.path
            self._file = os.fspath(home.path / CONTROL)
        return self._path

    def _key(self) -> tuple[int, ...] | None:
        folder = self._path or self._folder()
        if folder is None:
            return None
        try:
            status = os.stat(self._file, follow_symlinks=False)
        except OSError:
            return (0,) if self._first and streams.exists(folder, CONTROL) else None
        return (status.st_ino, status.st_size, status.st_ctime_ns)

    def _take_compressed(self, directory: Descriptor, folder: Path, found: Found) -> None:
        """What was asked before the folder was compressed; the plain file may repeat it."""
        if open_own_file(directory, CONTROL + GZIP_SUFFIX) is not None:
            self._understand(streams.stream(folder, CONTROL, found.refused.append), found)

    def _take(self, directory: Descriptor, found: Found) -> bool:
        """Read on; whether that was all."""
        file = open_own_file(directory, CONTROL)
        if file is None:
            return True
        status = os.fstat(file.fd)
        head = os.pread(file.fd, _HEAD_BYTES, 0)
        # A file made anew may have the number of the one before it, but hardly its first line.
        if status.st_size < self._offset or not head.startswith(self._head):
            self._offset, self._skipping = 0, False
        self._head = head
        data = os.pread(file.fd, READ_BYTES, self._offset)
        whole = len(data) < READ_BYTES
        end = data.rfind(b"\n") + 1
        if not end:
            if not whole:
                self._skipping = True
                self._offset += len(data)
                found.refused.append(f"a line longer than {READ_BYTES:,} bytes")
            return whole
        begin = data.find(b"\n") + 1 if self._skipping else 0
        self._skipping, self._offset = False, self._offset + end
        self._understand(iter([data[begin:end]]), found)
        return whole

    def _understand(self, data: Iterator[bytes], found: Found) -> None:
        reader = LineReader(lambda complain: data, file=CONTROL, max_line_bytes=READ_BYTES)
        for line in reader:
            try:
                asked = understood(line)
            except ValueError as error:
                found.refused.append(str(error))
                continue
            if asked.request_id not in self._known:
                self._known.add(asked.request_id)
                found.requests.append(asked)
        found.refused.extend(each.reason for each in reader.skipped)
        del found.refused[_MAX_REFUSALS:]


_ACTIONS = frozenset(
    {"execution_pause_requested", "execution_resume_requested", "execution_cancel_requested", "context_added_by_user"}
    | {"task_paused", "process_paused", "task_resumed", "process_resumed", "context_taken_up"}
)


class _History:
    """What became of requests, by the lines of those who met them."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.taken: set[str] = set()
        self.over: set[str] = set()
        self.waiting: set[str] = set()
        """Pauses that were met and had not begun when the process died: they are still to come."""

    def add(self, action: str | None, details: Mapping[str, Any]) -> None:
        if action not in _ACTIONS:
            return
        request_id = text(details, "request_id")
        if action in ("task_resumed", "execution_resume_requested"):
            self.over |= self.seen
        if request_id is not None:
            self.seen.add(request_id)
        if action == "execution_pause_requested" and request_id is not None and details.get("effect") != "none":
            self.waiting.add(request_id)
        elif action in ("task_paused", "process_paused"):
            self.waiting.discard(request_id or "")
        elif action == "execution_resume_requested":
            self.waiting.clear()
        elif action == "context_taken_up":
            listed = details.get("request_ids")
            self.taken.update(each for each in (listed if isinstance(listed, list) else ()) if isinstance(each, str))


def understood(line: Line) -> ControlRequest:
    """The request a line stands for. Raises `ValueError`, saying what was expected."""
    what = line.get("request")
    if not isinstance(what, str) or what not in REQUESTS:
        raise ValueError(f"request: expected one of {', '.join(REQUESTS)}, found {str(what)[:64]!r}")
    said = text(line, "text") or ""
    if what == "context" and not said.strip():
        raise ValueError("text: expected some text to add, found none")
    if len(said.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise ValueError(f"text: expected at most {MAX_TEXT_BYTES:,} bytes, found {len(said):,} characters")
    reason = text(line, "reason")
    return ControlRequest(
        request=what,
        request_id=(text(line, "request_id") or _digest(line))[:_MAX_WORD_CHARACTERS],
        timestamp=text(line, "timestamp") or "",
        source=(text(line, "source") or "unknown")[:_MAX_WORD_CHARACTERS],
        requested_by=(text(line, "requested_by") or "unknown")[:_MAX_WORD_CHARACTERS],
        text=said if what == "context" else "",
        reason=reason[:MAX_REASON_CHARACTERS] if reason else None,
        terminate_tools=what == "cancel" and line.get("terminate_tools") is True,
    )


def _digest(line: Line) -> str:
    """Stands for the id of a line that somebody wrote by hand."""
    return hashlib.sha256(repr(sorted(line.items(), key=lambda item: item[0])).encode("utf-8", "surrogatepass")).hexdigest()[:16]
