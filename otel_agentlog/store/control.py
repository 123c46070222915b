"""Control requests: pause, resume, cancel, and text added to the context of a running task.

A request is one line appended to ``control.jsonl`` in the task's folder (``docs/format.md``). `ask` writes it; `ControlFile` is
how the process that works on the task reads it. Only the folder's owner may make requests: nothing is read from, or written
into, a folder or file that another user could have written or planted.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.errors import ConfigurationError, LayoutError, StateError, TaskNotFoundError
from otel_agentlog.store.folder import line_stream as streams
from otel_agentlog.store.folder.files import Descriptor, LineFile, open_directory
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, CONTROL, GZIP_SUFFIX, METADATA, now
from otel_agentlog.store.folder.lines import LineReader
from otel_agentlog.store.folder.metadata import read_metadata
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.folder.sync import ROOT
from otel_agentlog.store.folder.writer import TaskFolder
from otel_agentlog.store.liveness import is_at_work
from otel_agentlog.vocabulary.coerce import mapping, text
from otel_agentlog.vocabulary.envelope import ControlRequest, TaskRef
from otel_agentlog.vocabulary.lines import Line, encode
from otel_agentlog.vocabulary.states import ENDED, STATES, State, is_followed

REQUESTS = ("pause", "resume", "cancel", "context")

MAX_TEXT_BYTES = 64 * 1024
"""Longest text of a ``context`` request, in bytes of UTF-8."""

MAX_REASON_CHARACTERS = 1000
_MAX_WORD_CHARACTERS = 128
READ_BYTES = 1024 * 1024
"""How much is read at a time; longer than any request."""

_MOST_READS = 64
"""How often one call reads on: requests without end must not hold a checkpoint for ever."""

_HEAD_BYTES = 256
_MAX_REFUSALS = 20
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Requested:
    """A request that was written to the task's ``control.jsonl``."""

    task_id: str
    folder: Path
    request: ControlRequest
    status: str
    """The task's status when it was made."""
    at_work: bool | None
    """Whether a process works on the task and will read it soon; else it waits for one. ``None``: unknown."""


def ask(
    folder: Path,
    what: str,
    *,
    text: str = "",
    reason: str | None = None,
    source: str = "code",
    requested_by: str | None = None,
    terminate_tools: bool = False,
) -> Requested:
    """Make a request to the task in this folder. The caller has redacted ``text`` and ``reason``.

    Args:
        what: ``pause`` ``resume`` ``cancel`` or ``context``.
        text: what a ``context`` request adds, at most `MAX_TEXT_BYTES`.
        requested_by: default: the user this process runs as.
        terminate_tools: of a ``cancel``: end running tools too, instead of waiting for them.

    Raises:
        ConfigurationError: an unknown request, or one without its text.
        TaskNotFoundError: no such folder, or no task in it.
        StateError: the task has ended, or its status is running and its process has died; or it is recorded from a transcript,
            whose agent reads no requests.
        LayoutError: a folder or file that another user owns or may write to.
        OSError: it could not be written.
    """
    _check(what, text, reason)
    directory = open_own_folder(folder)
    task_id, status, followed = _known_of(directory, folder)
    at_work = is_at_work(directory, TaskReader(folder))
    if status in ENDED:
        raise StateError(f"task {task_id} has ended ({status}): it takes no requests")
    if status == State.RUNNING.value and at_work is False:
        raise StateError(f"task {task_id} says it is running, but its process is gone: see agentlog recover {task_id}")
    if followed:
        raise StateError(
            f"task {task_id} is recorded from a transcript by agentlog import: its agent takes no requests from here"
        )
    request = ControlRequest(
        request=what,
        request_id=os.urandom(8).hex(),
        timestamp=now(),
        source=source[:_MAX_WORD_CHARACTERS],
        requested_by=(requested_by or system.user_name())[:_MAX_WORD_CHARACTERS],
        text=text,
        reason=reason or None,
        terminate_tools=terminate_tools and what == "cancel",
    )
    _append(directory, _line(request, task_id))
    return Requested(task_id, folder, request, status, at_work)


def _check(what: str, text: str, reason: str | None) -> None:
    if what not in REQUESTS:
        raise ConfigurationError(f"request: expected one of {', '.join(REQUESTS)}, found {what[:64]!r}")
    if (what == "context") != bool(text.strip()):
        expected = "some text to add" if what == "context" else f"none, as {what} takes none"
        raise ConfigurationError(f"text: expected {expected}, found {'none' if not text.strip() else 'some'}")
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_TEXT_BYTES:
        raise ConfigurationError(f"text: expected at most {MAX_TEXT_BYTES:,} bytes, found {size:,}")
    if reason is not None and len(reason) > MAX_REASON_CHARACTERS:
        raise ConfigurationError(f"reason: expected at most {MAX_REASON_CHARACTERS:,} characters, found {len(reason):,}")


def _known_of(directory: Descriptor, folder: Path) -> tuple[str, str, bool]:
    """The id and the status of the task in a folder, and whether it is recorded from a transcript."""
    known = read_metadata(directory)
    if not known and not any(_exists(directory, name) for name in (METADATA, AGENT_OUTPUT)):
        raise TaskNotFoundError(f"{folder}: expected the folder of a task, found none")
    status = text(known, "status")
    if status not in STATES:
        # Cut short or damaged; a task that ended has its status in its result.
        status = text(TaskReader(folder).final_result() or {}, "outcome") or State.RUNNING.value
    return text(known, "task_id") or folder.name, status, is_followed(known)


def _exists(directory: Descriptor, name: str) -> bool:
    try:
        system.stat(name, dir_fd=directory.fd, follow_symlinks=False)
    except OSError:
        raise_interrupt()
        return False
    return True


def _append(directory: Descriptor, line: Line) -> None:
    # Checked first: `LineFile` sets mode 0600 on the file it opens, also on one that others could have written.
    open_own_file(directory, CONTROL)
    LineFile(directory, CONTROL).append(encode(line))


def _line(request: ControlRequest, task_id: str) -> Line:
    line: Line = {
        "timestamp": request.timestamp,
        "request": request.request,
        "request_id": request.request_id,
        "task_id": task_id,
    }
    line.update({"task_id": task_id, "source": request.source, "requested_by": request.requested_by})
    if request.text:
        line["text"] = request.text
    if request.reason is not None:
        line["reason"] = request.reason
    if request.terminate_tools:
        line["terminate_tools"] = True
    return {key: _encodable(value) if isinstance(value, str) else value for key, value in line.items()}


def _encodable(value: str) -> str:
    # Lone surrogates, as in arguments that are not UTF-8, have no form in a file.
    return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class NewRequests:
    """What was read from ``control.jsonl`` since the last time."""

    requests: list[ControlRequest] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Why a line was not taken for a request."""


class ControlFile:
    """Reads the requests of one task, in the order they were made, each once. For one thread at a time; never raises."""

    def __init__(self, task: TaskRef) -> None:
        self._task = task
        self._seen: tuple[int, ...] | None = None
        self._offset, self._head = 0, b""
        self._skipping = False
        self._known: set[str] = set()
        self._first = self._may_be_compressed = True
        self._path: Path | None = None
        self._file = ""

    def changed(self) -> bool:
        """Whether there may be something new; safe from any thread. Costs one system call, or two until something was read."""
        return self._key() not in (self._seen, None)

    def new(self) -> NewRequests:
        """What was added since the last time: all of it, up to `_MOST_READS` times `READ_BYTES`; more the next time."""
        folder, key = self._folder(), self._key()
        if folder is None:
            return NewRequests()
        found = NewRequests()
        try:
            directory = open_own_folder(folder)
            if self._first:
                self._first = False
                self._take_compressed(directory, folder, found)
            if any(self._take(directory, found) for _ in range(_MOST_READS)):
                self._seen = key
        except (LayoutError, TaskNotFoundError, OSError) as error:
            raise_interrupt()
            self._seen = key
            found.refused.append(str(error))
        return found

    def history(self) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
        """What earlier processes have handled, by their own lines: ids of all such requests, of texts the agent took, of
        pauses that are over."""
        folder, history = self._folder(), _History()
        for line in TaskReader(folder).events() if folder is not None else ():
            if line.get("type") in ("event", "state"):
                history.add(text(line, "action"), mapping(line, "details"))
        return frozenset(history.seen - history.waiting), frozenset(history.taken), frozenset(history.over)

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
        # Nearly always there is no request, and an exception costs more than the call that raises it.
        if self._seen is not None or os.access(self._file, os.F_OK):
            try:
                status = os.stat(self._file, follow_symlinks=False)
            except OSError:
                raise_interrupt()
                return None
            # Not by time alone: two requests may fall into one tick of the clock that files are dated by.
            return (status.st_ino, status.st_size, status.st_ctime_ns)
        if self._may_be_compressed and streams.exists(folder, CONTROL):
            return (0,)
        # A folder in use is not compressed any more.
        self._may_be_compressed = False
        return None

    def _take_compressed(self, directory: Descriptor, folder: Path, found: NewRequests) -> None:
        """Read what was requested before the folder was compressed; the plain file may repeat it."""
        if open_own_file(directory, CONTROL + GZIP_SUFFIX) is not None:
            self._understand(streams.stream(folder, CONTROL, found.refused.append), found)

    def _take(self, directory: Descriptor, found: NewRequests) -> bool:
        """Read on; whether that was all."""
        file = open_own_file(directory, CONTROL)
        if file is None:
            return True
        status = os.fstat(file.fd)
        head = system.pread(file.fd, _HEAD_BYTES, 0)
        # A file made anew may have the number of the one before it, but hardly its first line.
        if status.st_size < self._offset or not head.startswith(self._head):
            self._offset, self._skipping = 0, False
        self._head = head
        data = system.pread(file.fd, READ_BYTES, self._offset)
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

    def _understand(self, data: Iterator[bytes], found: NewRequests) -> None:
        reader = LineReader(lambda complain: data, file=CONTROL, max_line_bytes=READ_BYTES)
        for line in reader:
            try:
                request = understood(line)
            except ValueError as error:
                raise_interrupt()
                found.refused.append(str(error))
                continue
            if request.request_id not in self._known:
                self._known.add(request.request_id)
                found.requests.append(request)
        found.refused.extend(each.reason for each in reader.skipped)
        del found.refused[_MAX_REFUSALS:]


_ACTIONS = frozenset(
    {"execution_pause_requested", "execution_resume_requested", "execution_cancel_requested", "context_added_by_user"}
    | {"task_paused", "process_paused", "task_resumed", "process_resumed", "context_taken_up"}
)


class _History:
    """What became of requests, by the lines of the processes that handled them."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.taken: set[str] = set()
        self.over: set[str] = set()
        self.waiting: set[str] = set()
        """Pauses that were read and had not begun when the process died: they still have to begin."""

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
    """The request in a line. Raises `ValueError` with what was expected and found."""
    what = line.get("request")
    if not isinstance(what, str) or what not in REQUESTS:
        raise ValueError(f"request: expected one of {', '.join(REQUESTS)}, found {str(what)[:64]!r}")
    added = text(line, "text") or ""
    if what == "context" and not added.strip():
        raise ValueError("text: expected some text to add, found none")
    if len(added.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise ValueError(f"text: expected at most {MAX_TEXT_BYTES:,} bytes, found {len(added):,} characters")
    reason = text(line, "reason")
    return ControlRequest(
        request=what,
        request_id=(text(line, "request_id") or _digest(line))[:_MAX_WORD_CHARACTERS],
        timestamp=text(line, "timestamp") or "",
        source=(text(line, "source") or "unknown")[:_MAX_WORD_CHARACTERS],
        requested_by=(text(line, "requested_by") or "unknown")[:_MAX_WORD_CHARACTERS],
        text=added if what == "context" else "",
        reason=reason[:MAX_REASON_CHARACTERS] if reason else None,
        terminate_tools=what == "cancel" and line.get("terminate_tools") is True,
    )


def _digest(line: Line) -> str:
    """An id for a line without one, as written by hand."""
    import hashlib  # loads OpenSSL, which costs as much as ten of our modules and is seldom needed

    return hashlib.sha256(repr(sorted(line.items(), key=lambda item: item[0])).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def open_own_folder(folder: Path) -> Descriptor:
    """Open a task's folder that only this user may write to.

    Raises:
        TaskNotFoundError: there is none.
        LayoutError: it is a link or no folder, belongs to another user, others may write into it, or files have no owners.
    """
    if not system.HAS_OWNERS:
        raise LayoutError("control requests: expected Linux or macOS, where a file says which user wrote it; found Windows")
    try:
        directory = open_directory(os.fspath(folder))
    except FileNotFoundError:
        raise TaskNotFoundError(f"no task folder at {folder}") from None
    except OSError as error:
        raise_interrupt()
        found = error.strerror if error.errno == errno.EPERM else "a link, or no folder"
        raise LayoutError(f"{folder}: expected a task's folder of ours, found: {found}") from error
    _refuse_writable(os.fstat(directory.fd).st_mode, str(folder))
    return directory


def open_own_file(directory: Descriptor, name: str) -> Descriptor | None:
    """Open a file for reading that no other user could have written; ``None`` if there is none.

    Raises:
        LayoutError: it is a link, a hard link, no regular file, belongs to another user, or others may write into it.
    """
    try:
        file = Descriptor(system.open(name, system.READ, dir_fd=directory.fd))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise_interrupt()
        raise LayoutError(f"{name}: expected a file, found what cannot be opened: {error.strerror}") from error
    status = os.fstat(file.fd)
    if not stat.S_ISREG(status.st_mode):
        raise LayoutError(f"{name}: expected a regular file, found {stat.filemode(status.st_mode)}")
    if status.st_uid != (user := system.user_id()):
        raise LayoutError(f"{name}: expected a file of user {user}, found one of user {status.st_uid}")
    if status.st_nlink > 1:
        raise LayoutError(f"{name}: expected a file with one name, found a hard link")
    _refuse_writable(status.st_mode, name)
    return file


def _refuse_writable(mode: int, name: str) -> None:
    if mode & _OTHERS_MAY_WRITE:
        raise LayoutError(f"{name}: expected that only its owner may write, found mode {stat.S_IMODE(mode):04o}")
