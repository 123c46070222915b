"""Asking something of a task: one line appended to its ``control.jsonl``.

Hides who may ask, of which task, and how one tells that somebody is there to listen. The line is specified in
``docs/format.md``; `control_file` is the other end.
"""

from __future__ import annotations

import os
import pwd
import secrets
from dataclasses import dataclass
from pathlib import Path

from otel_agentlog.errors import ConfigurationError, StateError, TaskNotFoundError
from otel_agentlog.model import ControlRequest, Line, Outcome, State
from otel_agentlog.store.control_place import open_own_file, open_own_folder
from otel_agentlog.store.descriptors import Descriptor, LineFile, open_directory
from otel_agentlog.store.fields import text
from otel_agentlog.store.layout import AGENT_OUTPUT, CONTROL, METADATA, encode, now
from otel_agentlog.store.locks import Lock, lock_exclusively
from otel_agentlog.store.metadata import read_metadata
from otel_agentlog.store.reader import TaskReader
from otel_agentlog.store.recovery_alive import is_foreign, may_be_alive

REQUESTS = ("pause", "resume", "cancel", "context")

MAX_TEXT_BYTES = 64 * 1024
"""Longest text of a ``context`` request, in bytes of UTF-8."""

MAX_REASON_CHARACTERS = 1000
_MAX_WORD_CHARACTERS = 128
_ENDS = frozenset(outcome.value for outcome in Outcome)


@dataclass(frozen=True, slots=True)
class Requested:
    """A request that stands in the task's ``control.jsonl``."""

    task_id: str
    folder: Path
    request: ControlRequest
    status: str
    """The task's status when it was made."""
    at_work: bool | None
    """Whether a process works on the task, so that it will be met soon; else it waits for one. ``None``: cannot be told."""


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
    """Ask something of the task in this folder. The caller has redacted ``text`` and ``reason``.

    Args:
        what: ``pause`` ``resume`` ``cancel`` or ``context``.
        text: what a ``context`` request adds, at most `MAX_TEXT_BYTES`.
        requested_by: who asks; default: the user this process runs as.
        terminate_tools: of a ``cancel``: end running tools too, instead of waiting for them.

    Raises:
        ConfigurationError: a request that is none, or one without what belongs to it.
        TaskNotFoundError: no such folder, or no task in it.
        StateError: the task has ended, or says that it runs and no process does.
        LayoutError: a folder or file that is not ours alone.
        OSError: it could not be written.
    """
    _check(what, text, reason)
    directory = open_own_folder(folder)
    task_id, status = _standing(directory, folder)
    at_work = is_at_work(folder, directory)
    if status in _ENDS:
        raise StateError(f"task {task_id} has ended ({status}): it takes no requests")
    if status == State.RUNNING.value and at_work is False:
        raise StateError(f"task {task_id} says it is running, but its process is gone: see agentlog recover {task_id}")
    asked = ControlRequest(
        request=what,
        request_id=secrets.token_hex(8),
        timestamp=now(),
        source=source[:_MAX_WORD_CHARACTERS],
        requested_by=(requested_by or _user())[:_MAX_WORD_CHARACTERS],
        text=text,
        reason=reason or None,
        terminate_tools=terminate_tools and what == "cancel",
    )
    _append(directory, _line(asked, task_id))
    return Requested(task_id, folder, asked, status, at_work)


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


def _standing(directory: Descriptor, folder: Path) -> tuple[str, str]:
    """The id and the status of the task in a folder."""
    known = read_metadata(directory)
    if not known and not any(_exists(directory, name) for name in (METADATA, AGENT_OUTPUT)):
        raise TaskNotFoundError(f"{folder}: expected the folder of a task, found none")
    status = text(known, "status")
    if status not in {state.value for state in State}:
        # Cut short or damaged; what ended, if anything, says so in the result.
        status = text(TaskReader(folder).final_result() or {}, "outcome") or State.RUNNING.value
    return text(known, "task_id") or folder.name, status


def _exists(directory: Descriptor, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
    except OSError:
        return False
    return True


def is_at_work(folder: Path, directory: Descriptor) -> bool | None:
    """Whether a process has the folder open for writing; ``None`` if that cannot be told."""
    # A descriptor of its own, so that the lock is let go of at once.
    lock = lock_exclusively(open_directory(".", directory))
    if lock is Lock.TAKEN:
        return True
    if lock is Lock.UNSUPPORTED:
        return None
    # A process that ran out of descriptors lets go of folders that it still works in.
    processes = [line for line in TaskReader(folder).events() if line.get("type") == "process" and "repaired_by" not in line]
    if any(may_be_alive(line) for line in processes):
        return None
    return None if processes and is_foreign(processes[-1]) else False


def _append(directory: Descriptor, line: Line) -> None:
    # Looked at first: appending would make a file of the wrong owner or mode look like one of ours.
    open_own_file(directory, CONTROL)
    LineFile(directory, CONTROL).append(encode(line))


def _line(asked: ControlRequest, task_id: str) -> Line:
    line: Line = {"timestamp": asked.timestamp, "request": asked.request, "request_id": asked.request_id, "task_id": task_id}
    line.update({"source": asked.source, "requested_by": asked.requested_by})
    if asked.text:
        line["text"] = asked.text
    if asked.reason is not None:
        line["reason"] = asked.reason
    if asked.terminate_tools:
        line["terminate_tools"] = True
    return {key: _encodable(value) if isinstance(value, str) else value for key, value in line.items()}


def _encodable(value: str) -> str:
    # Lone surrogates, as in arguments that are not UTF-8, have no form in a file.
    return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _user() -> str:
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
