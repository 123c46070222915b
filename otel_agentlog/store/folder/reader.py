"""Reads a task back from its folder, whatever state the folder is in.

Nothing here raises because of what is in a file: a missing or damaged file reads as nothing, damaged lines are skipped, and
`TaskReader.problems` has what was skipped and where. A value that is not JSON, or too large for a line, is an object with one
key, ``$bytes``, ``$float``, ``$artifact`` or ``$parts``; an object of that form that is not well-formed is unchanged.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.errors import TaskNotFoundError
from otel_agentlog.store.folder import layout
from otel_agentlog.store.folder import line_stream as streams
from otel_agentlog.store.folder.lines import MAX_READ_LINE_BYTES, MAX_SKIPPED_LISTED, LineReader, Skipped, parse_object
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.lines import Line, timestamp
from otel_agentlog.vocabulary.states import Outcome, State

_GOES_ON = (State.PENDING.value, State.RUNNING.value, State.PAUSED.value)

MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
"""Largest whole file that is read."""


def read_lines(path: Path, *, offset: int = 0, live: bool = False) -> LineReader:
    """Return a reader of the lines of any ``.jsonl`` file, plain or compressed, from `offset` on.

    A missing file has no lines. With `live` a last line without a newline is left for the next call.
    """
    folder, name = path.parent, path.name
    return LineReader(lambda complain: streams.stream(folder, name, complain, offset), file=name, offset=offset, live=live)


class TaskReader:
    """One task's folder, to read. Cheap to make: nothing is opened before it is used.

    Lines come as they are read, so a task of any size needs little memory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._skipped: dict[str, LineReader | list[Skipped]] = {}

    def __repr__(self) -> str:
        return f"TaskReader({str(self.folder)!r})"

    @property
    def task_id(self) -> str:
        """The id in ``metadata.json``, or the folder's name where that is missing."""
        known = (self.metadata() or {}).get("task_id")
        return known if isinstance(known, str) and known else self.folder.name

    def metadata(self) -> dict[str, Any] | None:
        """What the task is and its status: ``metadata.json``."""
        return self.document(layout.METADATA)

    def input(self) -> dict[str, Any] | None:
        """The task's input: ``01-input.json``."""
        return self.document(layout.INPUT)

    def final_result(self) -> dict[str, Any] | None:
        """How it ended."""
        return self.document(layout.FINAL_RESULT)

    def webhook_flow(self) -> Iterator[Line]:
        """How it came in, one line a stage."""
        return iter(self.lines(layout.WEBHOOK_FLOW))

    def events(self) -> Iterator[Line]:
        """What happened, one line an event."""
        return iter(self.lines(layout.AGENT_OUTPUT))

    def control(self) -> Iterator[Line]:
        """The requests to pause, resume or cancel it: ``control.jsonl``."""
        return iter(self.lines(layout.CONTROL))

    def lines(self, name: str) -> LineReader:
        """Return a reader of one of `layout.LINE_FILES`."""
        reader = read_lines(self.folder / name)
        self._skipped[name] = reader
        return reader

    def stamp(self, name: str) -> str:
        """Return what is another text after every change of one of the task's files, for caches; empty if it is not there."""
        return streams.stamp(self.folder, name)

    def artifact(self, sha256: str) -> Iterator[bytes]:
        """Return the bytes of a payload that was too large for a line, in chunks; nothing if it is not there."""
        if layout.ARTIFACT_NAME.fullmatch(sha256) is None:
            return iter(())
        name = f"{layout.ARTIFACTS}/{sha256}"
        skipped: list[Skipped] = []
        self._skipped[name] = skipped
        return streams.stream(self.folder / layout.ARTIFACTS, sha256, _complainer(skipped, name))

    @property
    def problems(self) -> list[Skipped]:
        """What was skipped in everything read so far, file by file; complete for a file once its iterator has ended."""
        found: list[Skipped] = []
        for skipped in self._skipped.values():
            found += skipped.skipped if isinstance(skipped, LineReader) else skipped
        return found

    @property
    def bad_lines(self) -> int:
        """How many lines were skipped, wholly or in part, in everything read so far."""
        return sum(each.bad for each in self._skipped.values() if isinstance(each, LineReader))

    def document(self, name: str) -> dict[str, Any] | None:
        """Return the object in one of `layout.DOCUMENTS`."""
        skipped: list[Skipped] = []
        self._skipped[name] = skipped
        complain = _complainer(skipped, name)
        raw = bytearray()
        for chunk in streams.stream(self.folder, name, complain, replaced=True):
            raw += chunk
            if len(raw) > MAX_DOCUMENT_BYTES:
                complain(f"longer than {MAX_DOCUMENT_BYTES} bytes")
                return None
        if not raw:
            if streams.exists(self.folder, name) and not skipped:
                complain("empty")
            return None
        found = parse_object(raw.removeprefix(b"\xef\xbb\xbf").rstrip(b"\0"))
        if isinstance(found, str):
            complain(found)
            return None
        return found


def _complainer(skipped: list[Skipped], name: str) -> streams.Complain:
    return lambda reason: skipped.append(Skipped(name, 0, 0, reason))


def list_tasks(root: Path, *, newest_first: bool = False) -> Iterator[TaskReader]:
    """Yield the tasks below `root`; in the order of the disk, or by creation time, which reads each ``metadata.json``."""
    if not newest_first:
        return _tasks(root)
    return iter(sorted(_tasks(root), key=_creation_key, reverse=True))


def _tasks(root: Path) -> Iterator[TaskReader]:
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and is_task_folder(folder := root / entry.name):
                    yield TaskReader(folder)
    except OSError:
        raise_interrupt()
        # No root yet, or one that is not ours to read: no tasks.
        return


def is_task_folder(folder: Path) -> bool:
    """Whether this is a folder that holds anything of a task; a kill can come before ``metadata.json`` is there."""
    names = (layout.METADATA, layout.AGENT_OUTPUT, layout.WEBHOOK_FLOW)
    return streams.is_folder(folder) and any(streams.exists(folder, name) for name in names)


def _creation_key(task: TaskReader) -> tuple[str, str]:
    created = (task.metadata() or {}).get("created_at")
    if not isinstance(created, str):
        try:
            created = timestamp(os.stat(task.folder, follow_symlinks=False).st_mtime_ns)
        except OSError:
            raise_interrupt()
            created = ""
    return created, task.folder.name


def find_task(root: Path, task_id: str) -> TaskReader:
    """Return the task of an id; a folder's name, as `list_tasks` shows it, is accepted too.

    Raises:
        TaskNotFoundError: there is none below `root`; names similar ids.
    """
    for name in layout.folder_names(task_id):
        task = TaskReader(root / name)
        if is_task_folder(task.folder) and _answers_to(task, task_id):
            return task
    if layout.TASK_ID.fullmatch(task_id) and layout.folder_name(task_id) != task_id and is_task_folder(root / task_id):
        return TaskReader(root / task_id)
    raise TaskNotFoundError(_not_found(root, task_id))


def _answers_to(task: TaskReader, task_id: str) -> bool:
    known = (task.metadata() or {}).get("task_id")
    # Without metadata the folder is known by its name.
    return known == task_id if isinstance(known, str) else True


def _not_found(root: Path, task_id: str) -> str:
    import difflib  # not needed by a process that records

    shown = task_id[:128].encode("ascii", "backslashreplace").decode("ascii")
    names = [task.folder.name for task in _tasks(root)]
    near = sorted(name for name in names if task_id and name.startswith(task_id))
    near += [name for name in difflib.get_close_matches(task_id[:128], names, n=3) if name not in near]
    hint = f"; did you mean {' or '.join(near[:3])}?" if near else f"; there are {len(names)} tasks"
    return f"no task {shown!r} below {root}{hint}"


class _Replaced(Exception):
    """The file is not the one whose beginning was read before."""


class GrowingFile:
    """The lines of a task's file, each once, while it grows: what was read before is not read again. For one thread.

    Goes on through compression of the file and resumption of the task. A file that was emptied, cut or replaced is read from
    its start.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.offset = 0
        """Where the next line begins, in uncompressed bytes."""
        self.restarts = 0
        """How often it was found to be another file, and read from its start."""
        self.skipped: list[Skipped] = []
        """Pieces that were not read, at most `MAX_SKIPPED_LISTED`."""
        self._folder, self._name = folder, name
        self._number = 0
        self._known: object = None
        self._tail = b""
        """The last bytes before `offset`, by which the file is known again."""

    def has_changed(self, *, live: bool = True) -> bool:
        """Whether `new` has something to read."""
        return (streams.size_key(self._folder, self._name), live) != self._known

    def new(self, *, live: bool = True) -> Iterator[Line]:
        """Yield the lines that came since the last call; a `live` last line without its newline is left for the next one."""
        known = streams.size_key(self._folder, self._name), live
        if known == self._known:
            return
        if streams.is_shorter(self._folder, self._name, self.offset):
            self._restart()
        try:
            yield from self._read(live)
        except _Replaced:
            self._restart()
            yield from self._read(live)
        self._known = known

    def rest(self) -> Iterator[Line]:
        """Yield what a last line without its newline holds; `new` will have it again."""
        folder, name, offset = self._folder, self._name, self.offset
        return iter(LineReader(lambda complain: streams.stream(folder, name, complain, offset), file=name, offset=offset))

    def _restart(self) -> None:
        self.offset, self._number, self._tail = 0, 0, b""
        self.skipped.clear()
        self.restarts += 1

    def _read(self, live: bool) -> Iterator[Line]:
        source = _Continued(self._folder, self._name, self.offset, self._tail)
        reader = LineReader(source.chunks, file=self._name, offset=self.offset, live=live)
        reader.number = self._number
        source.reader = reader
        yield from reader
        self.offset, self._number, self._tail = reader.offset, reader.number, source.tail_at(reader.offset)
        self.skipped += reader.skipped[: MAX_SKIPPED_LISTED - len(self.skipped)]


_TAIL_BYTES = 64
"""So many bytes before the place to go on from are compared: a line ends with ids of its own."""


class _Continued:
    """The bytes of a file from an offset on, if those before it are still the same."""

    def __init__(self, folder: Path, name: str, offset: int, tail: bytes) -> None:
        self.reader: LineReader | None = None
        """What makes lines of them; it may be in the middle of one that began chunks ago."""
        self._folder, self._name = folder, name
        self._at, self._before, self._chunk = offset, tail, b""
        self._tail = tail

    def chunks(self, complain: Callable[[str], None]) -> Iterator[bytes]:
        """Yield them. Raises `_Replaced` if it is another file."""
        tail, found = self._before, b""
        for chunk in streams.stream(self._folder, self._name, complain, self._at - len(tail)):
            if len(found) < len(tail):
                found += chunk
                if found[: len(tail)] != tail[: len(found)]:
                    raise _Replaced
                chunk = found[len(tail) :]
            if self.reader is not None:
                self._tail = self.tail_at(self.reader.offset)
            self._before = (self._before + self._chunk)[-_TAIL_BYTES:]
            self._at += len(self._chunk)
            self._chunk = chunk
            yield chunk
        if 0 < len(found) < len(tail):
            raise _Replaced

    def tail_at(self, offset: int) -> bytes:
        """The last bytes before an offset that is no further back than where the reader was before the last chunk."""
        return self._tail if offset < self._at else (self._before + self._chunk[: offset - self._at])[-_TAIL_BYTES:]


def follow(
    task: TaskReader,
    file: GrowingFile | None = None,
    *,
    poll_seconds: float = 0.25,
    stop: threading.Event | None = None,
    until_ended: bool = False,
) -> Iterator[Line]:
    """Yield the lines of a task, or of another file of its, that are there and then new ones as they come; only whole ones.

    Ends when `stop` is set, when the folder was deleted or, with `until_ended`, when the task has its final result and nothing
    more came during one poll. Goes on through compression of the file and resumption of the task.
    """
    stop = stop or threading.Event()
    file = file or GrowingFile(task.folder, layout.AGENT_OUTPUT)
    while True:
        if file.has_changed():
            yield from file.new()
        elif until_ended and _has_ended(task):
            return
        if stop.wait(poll_seconds) or not streams.is_folder(task.folder):
            return


def _has_ended(task: TaskReader) -> bool:
    result = task.final_result()
    if result is None:
        return streams.exists(task.folder, layout.FINAL_RESULT)
    return not is_of_before(result, task.metadata() or {})


def is_of_before(result: Mapping[str, Any], metadata: Mapping[str, Any]) -> bool:
    """Whether a result is of a process that was interrupted, and the task goes on, or waits for a job."""
    return text(result, "outcome") == Outcome.INTERRUPTED.value and text(metadata, "status") in _GOES_ON


def with_artifacts(value: Any, task: TaskReader) -> Any:
    """Return a value from a line of `task` with artifacts put back in full, where they are there and of bearable size."""
    return _replaced(value, lambda tag, content: _artifact(task, content) if tag == "$artifact" else None)


def whole(line: Line, task: TaskReader) -> Line:
    """Return a line as it was before parts of it were moved to artifacts; cheap where none were, as nearly always."""
    moved = any(isinstance(value, dict) and "$artifact" in value for value in line.values())
    found: Line = with_artifacts(line, task) if moved else line
    return found


def _replaced(value: Any, replacement: Callable[[str, Any], Any]) -> Any:
    """Return `value` with each tagged object replaced, unless its `replacement` is ``None``. Lines are at most 200 deep."""
    if isinstance(value, list):
        return [_replaced(item, replacement) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((tag, content),) = value.items()
        if tag == "$parts" and isinstance(content, list):
            return _joined(value, [_replaced(item, replacement) for item in content])
        found = replacement(tag, content) if tag[:1] == "$" else None
        if found is not None:
            return found
    return {key: _replaced(item, replacement) for key, item in value.items()}


def _joined(value: Any, parts: list[Any]) -> Any:
    """The text that was moved in parts; ``value`` if one of them is not there, or is no text."""
    return "".join(parts) if all(isinstance(part, str) for part in parts) else value


def _artifact(task: TaskReader, reference: Any) -> Any:
    if not isinstance(reference, Mapping):
        return None
    sha256, size = reference.get("sha256"), reference.get("size_bytes")
    if not isinstance(sha256, str) or not isinstance(size, int) or size > MAX_READ_LINE_BYTES:
        return None
    raw = b"".join(task.artifact(sha256))
    if len(raw) != size:
        return None
    try:
        return orjson.loads(raw) if reference.get("media_type") == "application/json" else raw.decode()
    except ValueError:
        raise_interrupt()
        return None
