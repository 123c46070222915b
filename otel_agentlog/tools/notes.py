"""Notes on tasks and scores of them, from outside: of another process, or of one that ended long ago.

    add_note(folder, "the second half is guessed", scores={"quality": 0.4}, by="ann")

They are lines of the task like all others: redacted, numbered, written under the folder's lock, counted in its receipt and sent
to the collector by the next process that sends what waits. Code that has the task itself calls ``task.score`` and ``task.note``.
"""

from __future__ import annotations

import getpass
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.errors import ConfigurationError, LayoutError
from otel_agentlog.record.collaborators import Failures
from otel_agentlog.record.recorder import Cleaning, Recorder, recorder
from otel_agentlog.record.sanitize.cleaner import default_cleaner
from otel_agentlog.settings.version import __version__
from otel_agentlog.store.control import open_own_folder
from otel_agentlog.store.folder.layout import folder_names
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.folder.sink import FolderSink
from otel_agentlog.store.folder.writer import TaskFolder
from otel_agentlog.store.recovery.repair_lines import added_process_line
from otel_agentlog.vocabulary.coerce import mapping, text
from otel_agentlog.vocabulary.envelope import TaskRef
from otel_agentlog.vocabulary.lines import NOTED_BY, Line
from otel_agentlog.vocabulary.scores import MAX_NAME, MAX_SCORE_TEXT, note_line, score_line

MAX_SCORES = 100
"""Most scores that are given at once."""

_CORRELATION = ("correlation_id", "session_id", "instance_id")


@dataclass(frozen=True, slots=True)
class Noted:
    """What was written."""

    task_id: str
    span_id: str | None
    """The part of the task that it is about."""
    event_ids: tuple[str, ...]
    """Of the lines, the note's first."""


def add_note(
    folder: Path,
    note: str = "",
    *,
    scores: Mapping[str, float | str] | None = None,
    on: str | None = None,
    by: str | None = None,
    source: str = "code",
) -> Noted:
    """Add a note to a task, scores of it, or both: then the note is what explains the scores.

    Args:
        folder: the task's folder, e.g. ``query.resolve(root, "last").folder``.
        scores: by name, a number or a word.
        on: the span id, or the step id, of the part that is meant; default: the task.
        by: whose it is; default: the user this process runs as.
        source: ``cli`` ``web`` ``monitor`` ``api`` ``code``.

    Raises:
        TaskNotFoundError: there is no such task.
        LayoutError: its folder is not this user's alone.
        ConfigurationError: neither a note nor a score, one that is too long, or a part that does not exist.
        OSError: it could not be written.
    """
    given = _checked(note, scores or {})
    by = by if by is not None else _user()
    _check_text("by", by or "", MAX_NAME)
    open_own_folder(folder).close()
    reader = TaskReader(folder)
    task = TaskRef(reader.task_id, {**(reader.metadata() or {}), "task_id": reader.task_id}, owner=False)
    if folder.name not in folder_names(task.task_id):
        raise LayoutError(f"{folder}: expected the folder of task {task.task_id}, found a copy of it by another name")
    ids = _place(reader, task, on)
    said = {"explanation": note or None, "by": by, "source": source, "response_id": ids.pop("response_id", None)}
    lines = [score_line(name, value, label=label, **said) for name, value, label in given]
    lines = lines or [note_line(note, by=by, source=source)]
    return Noted(task.task_id, ids.get("span_id"), _write(folder, task, lines, ids))


def _checked(note: str, scores: Mapping[str, float | str]) -> list[tuple[str, float | None, str | None]]:
    """Name, value and label of each score."""
    if not note.strip() and not scores:
        raise ConfigurationError("note", note, "a text, a score or both")
    _check_text("note", note, MAX_SCORE_TEXT)
    if len(scores) > MAX_SCORES:
        raise ConfigurationError("scores", len(scores), f"at most {MAX_SCORES}")
    return [_checked_score(name, value) for name, value in scores.items()]


def _checked_score(name: str, value: object) -> tuple[str, float | None, str | None]:
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError("score", name, "a name")
    _check_text("score", name, MAX_NAME)
    where = f"score {name}"
    if isinstance(value, str) and value.strip():
        _check_text(where, value, MAX_NAME)
        return name, None, value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ConfigurationError(where, value, "a number or a word")
    return name, float(value), None


def _check_text(where: str, value: str, most: int) -> None:
    if len(value) > most:
        raise ConfigurationError(where, f"{len(value):,} characters", f"at most {most:,}")


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise_interrupt()
        return None


def _place(reader: TaskReader, task: TaskRef, on: str | None) -> dict[str, str]:
    """The ids on the lines of a part of a task."""
    header, found = task.header, {"task_id": task.task_id}
    for key in _CORRELATION:
        if value := text(header, key):
            found[key] = value
    if on is None:
        return found | _trunk(reader, header)
    span_id, matches = on, dict[str, str]()
    for line in reader.events():
        if line.get("type") == "step" and line.get("step_id") == on:
            span_id = text(line, "span_id") or on
        if "phase" in line and line.get("span_id") == span_id:
            matches |= _ids_of(line)
    if not matches:
        raise ConfigurationError("on", on, f"the span id or the step id of a part of {task.task_id}")
    return found | matches


def _ids_of(line: Line) -> dict[str, str]:
    ids = {key: value for key in ("step_id", "trace_id", "span_id") if (value := text(line, key))}
    response_id = text(mapping(line, "details"), "response_id")
    return {**ids, "response_id": response_id} if response_id else ids


def _trunk(reader: TaskReader, header: Mapping[str, Any]) -> dict[str, str]:
    """The ids of the span of the task itself."""
    parts = (text(header, "traceparent") or "").split("-")
    if len(parts) == 4 and len(parts[1]) == 32 and len(parts[2]) == 16:
        return {"trace_id": parts[1], "span_id": parts[2]}
    starts = (line for line in reader.events() if line.get("type") == "task" and line.get("phase") == "start")
    return {key: value for key, value in _ids_of(next(starts, {})).items() if key in ("trace_id", "span_id")}


def _write(folder: Path, task: TaskRef, lines: list[Line], ids: Mapping[str, str]) -> tuple[str, ...]:
    """Record the lines by this process's recorder if it keeps its tasks here, else by one for them alone."""
    lost = _Lost()
    here = recorder()
    keeps = any(isinstance(sink, FolderSink) and sink.root == folder.parent for sink in here.sinks)
    record = here if keeps else _own_recorder(folder, task, lost)
    written = [record.point(line, task, ids) for line in lines]
    home = task.home
    if not isinstance(home, TaskFolder) or not all(envelope.kept for envelope in written):
        unknown = OSError(f"{folder}: the line could not be written")
        raise next((error for error in lost.errors if isinstance(error, OSError)), unknown)
    home.settle()
    home.release(just_used=True)
    return tuple(str(envelope.line["event_id"]) for envelope in written)


class _Lost(Failures):
    """Keeps the errors, to be raised."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[BaseException] = []

    def note(self, where: str, error: BaseException) -> None:
        self.errors.append(error)


def _own_recorder(folder: Path, task: TaskRef, lost: _Lost) -> Recorder:
    sink = FolderSink(folder.parent, lambda: _process_line(folder, task), failed=lost.note)
    return Recorder([sink], cleaning=Cleaning(default_cleaner(), failed=lost.note), failures=lost)


def _process_line(folder: Path, task: TaskRef) -> Line:
    """This process, with the resource of the one that the task is of: the note is about what that one did."""
    of_task = next((line for line in TaskReader(folder).events() if line.get("type") == "process"), {})
    line = added_process_line({"scope": {"name": "otel_agentlog", "version": __version__}, **of_task}, "noted", NOTED_BY)
    cleaned: Line = default_cleaner().clean_line({**line, "task_id": task.task_id}).value
    return cleaned
