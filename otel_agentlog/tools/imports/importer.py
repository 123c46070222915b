"""Imports files: finds them, has them read and recorded, and moves the folders to their place. Once, or as long as they grow.

A transcript is read row by row; its tasks are recorded while it is. Traces go into a spool and are recorded when all files were
read. One file that cannot be read, and one wrong line in it, stop nothing else.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.errors import AgentlogError
from otel_agentlog.record.collaborators import Failures
from otel_agentlog.record.recorder import Recorder, recorder, use
from otel_agentlog.store.folder.layout import FILE_MODE, FOLDER_MODE
from otel_agentlog.store.folder.sink import FolderSink
from otel_agentlog.store.folder.writer import TaskFolder
from otel_agentlog.tools.imports.readers.events import Remark
from otel_agentlog.tools.imports.readers.formats import FORMATS, LOOKED_AT, Format, Transcript, format_of, unpacked
from otel_agentlog.tools.imports.readers.rows import Row, Rows, Wrong
from otel_agentlog.tools.imports.readers.spans import LeftOut, Resource, TracedResource, resource_of
from otel_agentlog.tools.imports.spool import Spool
from otel_agentlog.tools.imports.staging import Moved, Staging
from otel_agentlog.tools.imports.traces import TraceWriter
from otel_agentlog.tools.imports.writer import Clock, Writer
from otel_agentlog.vocabulary.envelope import Envelope, TaskRef
from otel_agentlog.vocabulary.event_ids import EventIds
from otel_agentlog.vocabulary.lines import RESOURCES, Line

SUFFIXES = frozenset({".jsonl", ".json", ".ndjson", ".gz"})
"""Of files in folders; a file that is named may have any name."""

MAX_REMEMBERED = 1_000
"""Wrong lines that a report has; the others are only counted."""

READERS_VERSION = 2
"""Where readers change what they make of a file, it is imported anew."""

_SYNC_S = 60.0
_BATCH = 64
"""Folders that are moved at once, so that the disk is waited for once."""


@dataclass(frozen=True)
class WrongLine:
    """A line, or a part of it, that could not be used."""

    path: Path
    number: int
    reason: str
    data: str = ""
    """Redacted."""


@dataclass
class ImportReport:
    """What was done."""

    files: int = 0
    unchanged: int = 0
    """Files that are as they were when they were imported."""
    tasks: dict[Moved, int] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)
    """Where new and replaced tasks are."""
    kept: dict[str, None] = field(default_factory=dict)
    """Why folders that were there were not replaced."""
    problems: list[str] = field(default_factory=list)
    """Why files, or tasks, were not imported."""
    wrong: int = 0
    wrong_lines: list[WrongLine] = field(default_factory=list)
    """The first ones."""


class Destination:
    """The sink of an import: the staging folder, and below the root the tasks that are followed."""

    name = "folder"
    keeps_lines = True

    def __init__(
        self, staged: Path, root: Path, process_line: Callable[[], Line], failed: Callable[[str, BaseException], None]
    ) -> None:
        self.resources: Mapping[str, Any] = {}
        """Those that spans and log records of the task that is being recorded name, by their ids; clean."""

        def with_resources() -> Line:
            return {**process_line(), RESOURCES: self.resources} if self.resources else process_line()

        self._sink_at: Callable[[Path], FolderSink] = lambda path: FolderSink(path, with_resources, failed=failed)
        self.staged, self._live = self._sink_at(staged), self._sink_at(root)
        self._followed: set[str] = set()

    def __call__(self, envelope: Envelope) -> None:
        """Keep a line. Raises `OSError`."""
        task = envelope.task
        (self._live if task is not None and task.task_id in self._followed else self.staged)(envelope)

    def renew(self, staged: Path) -> None:
        """Have tasks that begin from now on in another staging folder; those that are open stay where they are."""
        self.staged.stop_retrying()
        self.staged = self._sink_at(staged)

    def release(self, task: TaskRef) -> Path:
        """Close a task's folder; returns where it is."""
        home = task.home
        assert isinstance(home, TaskFolder)
        home.settle()
        home.release(just_used=True)
        return home.path

    def is_followed(self, task: TaskRef) -> bool:
        """Whether a task is written below the root."""
        return task.task_id in self._followed

    def follow(self, task: TaskRef) -> None:
        """From now on write a task, whose folder was moved, below the root."""
        self._followed.add(task.task_id)
        task.header["started_at"] = task.header["created_at"]
        task.home, task.event_ids = None, EventIds()

    def flush(self) -> None:
        """Wait for the disk."""
        self.staged.flush(_SYNC_S)
        self._live.flush(_SYNC_S)


class FailuresOfImport(Failures):
    """Keeps the last error."""

    def __init__(self) -> None:
        super().__init__()
        self.last: BaseException | None = None

    def note(self, where: str, error: BaseException) -> None:
        super().note(where, error)
        self.last = error

    def check(self) -> None:
        """Raise the last error, as what it cost is not known."""
        error, self.last = self.last, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # else its traceback, which has this frame, would keep it alive


@dataclass
class TranscriptFile:
    """A transcript that is being read."""

    rows: Rows
    form: Format
    reader: Transcript
    writer: Writer
    placed: set[Moved] = field(default_factory=set)
    """What became of its folders."""


@dataclass
class TraceFile:
    """A file of traces that is being read."""

    rows: Rows
    form: Format


MakeRecorder = Callable[[Callable[[Callable[[], Line]], Destination], Clock, Failures], Recorder]
"""Gets what makes the sink, the clock and what counts failures."""


class Importer:
    """One import. Use as a ``with`` block; meanwhile this process records nothing else."""

    def __init__(
        self,
        root: Path,
        make_recorder: MakeRecorder,
        *,
        form: str | None = None,
        replace: bool = False,
        rejected: Callable[[WrongLine], None] = lambda line: None,
    ) -> None:
        """``form``: the format of all files (default: found); ``replace``: import anew what was imported; ``rejected`` gets every
        wrong line. Raises `OSError`, and `ConfigurationError` for settings."""
        self.report = ImportReport()
        self._root, self._form, self._replace, self._rejected = root, form, replace, rejected
        self._failures, self.clock = FailuresOfImport(), Clock()
        self._staging = Staging(root)
        self._known = KnownFiles(self._staging.path.parent)
        self._make = make_recorder
        self._spool: Spool | None = None
        self._spooled: dict[Path, TraceFile] = {}
        """The files with anything new since traces were recorded last."""
        self._destination: Destination | None = None
        self._made_of: dict[str, Path] = {}
        """Of which file each task is."""

    def __enter__(self) -> Importer:
        self._recorder = self._make(self._make_sink, self.clock, self._failures)
        self._before = use(self._recorder)
        return self

    def _make_sink(self, process_line: Callable[[], Line]) -> Destination:
        self._destination = Destination(self._staging.tasks, self._root, process_line, self._failures.note)
        return self._destination

    def __exit__(self, *raised: object) -> None:
        use(self._before)
        if self._spool is not None:
            self._spool.close()
        self._staging.close()

    @property
    def destination(self) -> Destination:
        """The sink."""
        assert self._destination is not None
        return self._destination

    # -- once -------------------------------------------------------------------------------------------------------------

    def run(self, paths: Sequence[Path]) -> None:
        """Import everything at these paths, as it is now."""
        for path in self.files(paths):
            with self.guarded(path):
                if self.is_unchanged(path):
                    self.report.unchanged += 1
                else:
                    self._file(path)
        self.record_traces()

    def is_unchanged(self, path: Path) -> bool:
        """Whether a file is as it was when it was imported, and is not to be imported anew."""
        return not self._replace and self._known.is_unchanged(path)

    def files(self, paths: Iterable[Path]) -> Iterator[Path]:
        """Yield the files at these paths; in folders those of `SUFFIXES`, in the order of their names."""
        for path in paths:
            if not path.is_dir():
                yield path
                continue
            for folder, below, names in os.walk(path):
                below.sort()
                yield from (Path(folder, name) for name in sorted(names) if Path(name).suffix.lower() in SUFFIXES)

    def guarded(self, path: Path) -> _Guard:
        """A block in which an error costs this file only."""
        return _Guard(self.report, path, self._start_anew)

    def _start_anew(self) -> None:
        """What failed may be half written: when it is recorded again that goes into another folder."""
        self.destination.renew(self._staging.renew())

    def _file(self, path: Path) -> None:
        if path.is_file() and path.stat().st_size == 0:
            self.report.files += 1
            return
        opened = self.open(path)
        try:
            if isinstance(opened, TraceFile):
                self.spool(opened, last=True)
            else:
                self.read(opened, last=True)
                self.finish(opened)
        finally:
            opened.rows.close()

    def open(self, path: Path) -> TranscriptFile | TraceFile:
        """Open a file and find its format.

        Raises:
            OSError: it cannot be read.
            UnknownFormatError: it is of no known format.
        """
        if self._form is None:
            rows = Rows(path)
            try:
                form = format_of(path, list(islice(rows.read(), LOOKED_AT)))
            finally:
                rows.close()
        else:
            form = FORMATS[self._form]
        rows = Rows(path)
        self.report.files += 1
        if form.transcript is None:
            return TraceFile(rows, form)
        origin = {"format": form.name, "path": str(path)}
        reader = form.transcript(rows.modified_ns, path)
        return TranscriptFile(rows, form, reader, Writer(self.clock, form.prefix, origin))

    def read(self, file: TranscriptFile, *, last: bool) -> None:
        """Record what is new in a transcript."""
        for found in file.rows.read(last=last):
            for value in unpacked(found.value, file.form) if isinstance(found, Row) else ():
                if not file.form.takes(value):
                    self._wrong(file, Wrong(found.number, "expected an object, found a plain value", str(value)[:200].encode()))
                    continue
                for event in file.reader.read(value):
                    file.writer.write(event)
            if isinstance(found, Wrong):
                self._wrong(file, found)
            if len(file.writer.ended) >= _BATCH:
                self.place_ended(file)
        self._failures.check()

    def _wrong(self, file: TranscriptFile, wrong: Wrong) -> None:
        line = self._reject(file.rows.path, wrong)
        if (task := file.writer.last) is not None:
            details = {"file": str(line.path), "line": line.number, "reason": line.reason, "data": line.data}
            file.writer.write(Remark(task, self.clock.now_ns, "import_line_wrong", line.reason, "WARNING", details))

    def _reject(self, path: Path, wrong: Wrong) -> WrongLine:
        line = WrongLine(path, wrong.number, wrong.reason, recorder().clean_text(wrong.data.decode("utf-8", "replace")))
        self.report.wrong += 1
        if len(self.report.wrong_lines) < MAX_REMEMBERED:
            self.report.wrong_lines.append(line)
        self._rejected(line)
        return line

    def finish(self, file: TranscriptFile) -> None:
        """End the tasks of a transcript, as far as it goes, and move them to their place."""
        for event in file.reader.finish():
            file.writer.write(event)
        if self.place_ended(file):
            self._known.add(file.rows)

    def place_ended(self, file: TranscriptFile) -> bool:
        """Move the tasks of a transcript that have ended to their place; whether all of this file are there."""
        self._failures.check()
        file.placed |= set(self.place([each.ref for each in file.writer.ended], file.rows.path))
        file.writer.ended.clear()
        return file.placed <= _PLACED

    def place(self, tasks: Sequence[TaskRef], path: Path, *, ended: bool = True) -> list[Moved]:
        """Move folders of tasks of a file from the staging folder to their place; what became of each. The folder of one that
        has ``ended`` and could not be moved is removed: if the task is recorded again that goes into a new one."""
        made = [(task, self.destination.release(task)) for task in tasks]
        try:
            if made:
                self.destination.flush()
            return [self._place(task, folder, path) for task, folder in made]
        finally:
            for _, folder in made:
                if ended and self._staging.path in folder.parents:
                    shutil.rmtree(folder, ignore_errors=True)

    def _place(self, task: TaskRef, made: Path, path: Path) -> Moved:
        if self._staging.path not in made.parents:
            return Moved.NEW
        what, where = self._staging.move(made, task.task_id, replace_any=self._replace)
        self.report.tasks[what] = self.report.tasks.get(what, 0) + 1
        if what in (Moved.NEW, Moved.REPLACED):
            self.report.folders.append(where)
            if (other := self._made_of.setdefault(task.task_id, path)) != path:
                self.report.kept[f"{task.task_id}: in {other} and {path}; the one that goes further stays"] = None
            return what
        self.report.kept[f"{task.task_id}: {_WHY[what]}"] = None
        return what

    # -- traces -----------------------------------------------------------------------------------------------------------

    def spool(self, file: TraceFile, *, last: bool) -> None:
        """Put what is new in a file of traces into the spool."""
        if self._spool is None:
            self._spool = Spool(self._staging.path / "spool")
        self._spooled[file.rows.path] = file
        for found in file.rows.read(last=last):
            if isinstance(found, Wrong):
                self._reject(file.rows.path, found)
                continue
            for value in unpacked(found.value, file.form):
                self._spool_row(self._spool, file, found.number, value)

    def _spool_row(self, spool: Spool, file: TraceFile, number: int, value: Any) -> None:
        if not isinstance(value, dict) or file.form.traced is None:
            self._reject(file.rows.path, Wrong(number, "expected an object, found a plain value", b""))
            return
        resource: Resource | None = None
        for part in file.form.traced(value):
            if isinstance(part, LeftOut):
                self._reject(file.rows.path, Wrong(number, part.reason, b""))
            elif isinstance(part, TracedResource):
                resource = resource_of(part.attributes, recorder().clean_value)
            else:
                spool.add(part, resource)

    def record_traces(self) -> None:
        """Record the traces that have anything new."""
        if self._spool is None or not self._spooled:
            return
        files, self._spooled = self._spooled, {}
        first = next(iter(files.values()))
        origin = {"format": first.form.name, "path": str(first.rows.path)}
        moved: set[Moved] = set()
        waiting: list[TaskRef] = []
        problems = len(self.report.problems)
        for trace in self._spool.changed():
            with self.guarded(first.rows.path):
                self.destination.resources = self._spool.resources(trace)
                written = TraceWriter(self.clock, self._spool, trace).write(f"trace-{trace}", origin)
                self._failures.check()
                waiting += [written.task] if written is not None and written.task is not None else []
                if len(waiting) >= _BATCH:
                    batch, waiting = waiting, []
                    moved |= set(self.place(batch, first.rows.path))
        self.destination.resources = {}
        with self.guarded(first.rows.path):
            moved |= set(self.place(waiting, first.rows.path))
        if moved <= _PLACED and len(self.report.problems) == problems:
            for file in files.values():
                self._known.add(file.rows)


_PLACED = {Moved.NEW, Moved.REPLACED, Moved.OLDER}
"""Where a folder that goes as far as the source is at its place."""

_WHY = {
    Moved.OLDER: "the folder that is there goes further, and stays (--replace imports it anew)",
    Moved.IN_USE: "another import follows it, and goes on",
    Moved.NOT_IMPORTED: "a task of this id is there that was not imported, and stays",
}


class _Guard:
    """A block of which the errors are noted."""

    def __init__(self, report: ImportReport, path: Path, failed: Callable[[], None]) -> None:
        self._report, self._path, self._failed = report, path, failed

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: object) -> bool:
        if not isinstance(error, Exception):
            return False
        raise_interrupt()
        self._failed()
        text = str(error)
        names_file = isinstance(error, AgentlogError) and text.startswith(str(self._path))
        self._report.problems.append(text if names_file else f"{self._path}: {_described(error)}")
        return True


def _described(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) if isinstance(error, AgentlogError) else f"unexpected {type(error).__name__}: {error}"


class KnownFiles:
    """The files that were imported into one root, as they were then: a small file each, below ``known/``. It is a cache."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "known"
        self._folder.mkdir(mode=FOLDER_MODE, exist_ok=True)

    def is_unchanged(self, path: Path) -> bool:
        """Whether a file is as it was when it was imported. Raises `OSError`."""
        status = os.stat(path)
        try:
            found = orjson.loads(self._note(path).read_bytes())
        except (OSError, ValueError):
            raise_interrupt()
            return False
        return bool(found == _state(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))

    def add(self, rows: Rows) -> None:
        """Note that a file was imported, as it was when it was opened, or looked at last. Raises `OSError`."""
        note = self._note(rows.path)
        new = note.with_suffix(f".{os.getpid()}")
        descriptor = system.open(new, system.UPDATE | os.O_CREAT | os.O_TRUNC, FILE_MODE)
        with open(descriptor, "wb") as file:
            file.write(orjson.dumps(_state(*rows.identity, rows.size_bytes, rows.modified_ns)))
        system.rename(new, note)

    def _note(self, path: Path) -> Path:
        return self._folder / hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]


def _state(*numbers: int) -> dict[str, int]:
    return dict(zip(("device", "inode", "size", "modified_ns"), numbers, strict=True)) | {"version": READERS_VERSION}
