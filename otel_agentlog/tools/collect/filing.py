"""Tasks of the spool that are due, to folders: recorded anew as imports are, and put to their place whole.

A task that gets more after it was filed is filed again with all of it, and its folder exchanged. A part that comes when the spool
has forgotten its task is looked for in the folder; what is not there goes into a further one, a sub-task of the first.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from pathlib import Path

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.record.recorder import Recorder, recorder, use
from otel_agentlog.store.folder.files import open_directory
from otel_agentlog.store.folder.layout import folder_names
from otel_agentlog.store.folder.locks import Lock, lock_exclusively
from otel_agentlog.store.folder.reader import TaskReader, is_task_folder
from otel_agentlog.tools.collect import HOME
from otel_agentlog.tools.collect.parts import session_of
from otel_agentlog.tools.collect.spool import CollectSpool, Due
from otel_agentlog.tools.imports.importer import Destination, FailuresOfImport, MakeRecorder
from otel_agentlog.tools.imports.readers.agent_events import PROMPTS, event_of, known
from otel_agentlog.tools.imports.readers.events import Begin, End, Event, title
from otel_agentlog.tools.imports.readers.spans import TracedLog
from otel_agentlog.tools.imports.staging import Moved, Staging
from otel_agentlog.tools.imports.traces import TraceWriter, line_of
from otel_agentlog.tools.imports.writer import Clock, Open, Writer
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.envelope import TaskRef
from otel_agentlog.vocabulary.states import COLLECTED, Outcome

BATCH = 64
"""Folders that are moved at once, so that the disk is waited for once."""

SETTLE_S, WAIT_S, KEEP_S = 2.0, 30.0, 3600.0
"""Seconds without news after which a task is filed that is complete, one is whose root has not come, and one is forgotten."""

AGAIN_S = 60.0
"""Seconds after which what was put aside is tried again: another process may have had its folder open."""

NO_ROOT = "its root span has not come"
_FORMAT = "otlp"
_MOST_FURTHER = 10_000


@dataclass
class FilingReport:
    """What was filed."""

    tasks: int = 0
    again: int = 0
    """Of them those that were filed before."""
    at_home: int = 0
    """Tasks that the program which sent them has recorded itself below this root."""
    problems: dict[str, str] = field(default_factory=dict)
    """Tasks that are kept aside, and why."""


class BusySpoolError(Exception):
    """Another process files what is below this root."""


@dataclass(frozen=True)
class _Made:
    due: Due
    task: TaskRef
    folder: Path
    task_id: str


class Filer:
    """Files the tasks of one spool. Use as a ``with`` block; meanwhile this process records nothing else."""

    def __init__(
        self,
        root: Path,
        make_recorder: MakeRecorder,
        *,
        settle_s: float = SETTLE_S,
        wait_s: float = WAIT_S,
        keep_s: float = KEEP_S,
        max_spool_bytes: float = math.inf,
    ) -> None:
        """``max_spool_bytes``: what senders are sent away past; tasks are forgotten early so that it is not reached by what is in
        folders. Raises `BusySpoolError`, `OSError`, `sqlite3.Error`."""
        self.report = FilingReport()
        self._root, self._make = root, make_recorder
        self._settle_s, self._wait_s, self._keep_s = settle_s, wait_s, keep_s
        self._roomy_bytes = max_spool_bytes / 2
        self._failures, self._clock = FailuresOfImport(), Clock()
        self._has_failed = False
        """Whether anything of the batch that is being filed has."""
        self._spool = CollectSpool(root)
        self._held = open_directory(str(root / HOME))
        if lock_exclusively(self._held, 5.0) is Lock.TAKEN:
            self._held.close_at_once()
            self._spool.close()
            raise BusySpoolError(f"{root}: another process files what is collected there")
        self._staging = Staging(root)

    def __enter__(self) -> Filer:
        self._destinations: list[Destination] = []
        self._before: Recorder = use(self._make(self._make_sink, self._clock, self._failures))
        self._spool.try_again()
        return self

    def _make_sink(self, process_line: object) -> Destination:
        self._destinations.append(Destination(self._staging.tasks, self._root, process_line, self._failures.note))  # type: ignore[arg-type]
        return self._destinations[0]

    def __exit__(self, *raised: object) -> None:
        use(self._before)
        self._staging.close()
        self._spool.close()
        self._held.close_at_once()

    def run(self, ended: Callable[[float], bool]) -> None:
        """File what is due, again and again, until ``ended``, which waits so many seconds, is true; then everything."""
        again = time.monotonic() + AGAIN_S
        while not ended(min(1.0, self._settle_s / 2)):
            self.file_due()
            self._forget()
            if time.monotonic() > again:
                again = time.monotonic() + AGAIN_S
                self._spool.try_again()
        self._spool.try_again()
        self.file_all()

    def _forget(self) -> None:
        """Forget what was filed long ago, and where the spool is half full the oldest of the rest."""
        self._spool.forget(self._keep_s)
        self._spool.forget_ids()
        for forget in (self._spool.forget, self._spool.forget_ids):
            while self._spool.size_bytes() > self._roomy_bytes and forget(self._settle_s, BATCH):
                pass

    def file_all(self) -> None:
        """File everything that is there, complete or not."""
        while self.file_due(everything=True):
            pass

    def file_due(self, *, everything: bool = False) -> int:
        """File what is due now; how many tasks were."""
        found = self._spool.due(settle_s=self._settle_s, wait_s=self._wait_s, everything=everything)
        for start in range(0, len(found), BATCH):
            self._file(found[start : start + BATCH])
        return len(found)

    def _file(self, batch: list[Due]) -> None:
        made: list[_Made] = []
        done: list[Due] = []
        for due in batch:
            try:
                if (one := self._record(due)) is not None:
                    made.append(one)
                else:
                    done.append(due)
            except Exception as error:  # noqa: BLE001 - what others sent may hold anything, and must not stop the rest
                raise_interrupt()
                self._put_aside(due, error)
        if made:
            self._destinations[0].flush()
            self._spool.begin_filing([(each.due.key, each.task_id) for each in made])
        for each in made:
            try:
                self._move(each)
                done.append(each.due)
            except Exception as error:  # noqa: BLE001 - a folder that cannot be moved must not stop the rest
                raise_interrupt()
                self._put_aside(each.due, error)
        for due in done:
            self.report.problems.pop(due.key, None)
        self._spool.end_filing(done)
        if self._has_failed:
            self._start_anew()

    def _start_anew(self) -> None:
        """What failed may be half written: it is removed, and when the task is recorded again that goes into another folder."""
        before = self._staging.tasks
        self._destinations[0].renew(self._staging.renew())
        shutil.rmtree(before, ignore_errors=True)
        self._has_failed = False

    def _put_aside(self, due: Due, error: Exception) -> None:
        self._has_failed = True
        problem = f"{type(error).__name__}: {error}"
        self.report.problems[due.key] = problem
        self._spool.put_aside(due.key, problem)

    # -- one task ---------------------------------------------------------------------------------------------------------

    def _record(self, due: Due) -> _Made | None:
        """Record a task below the staging folder; ``None`` if there is nothing to record."""
        at_home = self._at_home(due.key)
        if at_home and not self._leave_at_home(due.key, at_home):
            self.report.at_home += 1
            return None
        task_id = self._spool.filed_as(due.key)
        if task_id is None and (there := self._folder_of(due.key)) is not None:
            # Forgotten meanwhile, or imported from a file.
            if not self._spool.leave_out(due.key, _span_ids(there)):
                return None
            task_id = self._further(due.key)
        task_id = task_id or due.key
        parent = due.key if task_id != due.key else next(iter(at_home), None)
        self._failures.last = None
        self._destinations[0].resources = self._spool.resources(due.key)
        if self._spool.has_spans(due.key):
            task = self._trace(due, task_id, parent)
        else:
            task = self._session(due.key, task_id, parent)
        self._failures.check()
        return None if task is None else _Made(due, task, self._destinations[0].release(task), task_id)

    def _at_home(self, key: str) -> dict[str, Path]:
        """The tasks that spans of it name and that the program which sent those has recorded itself below this root."""
        there = {own: folder for own in self._spool.own_tasks(key) if (folder := self._folder_of(own)) is not None}
        return {own: path for own, path in there.items() if (TaskReader(path).metadata() or {}).get("source") != COLLECTED}

    def _leave_at_home(self, key: str, tasks: Mapping[str, Path]) -> bool:
        """Leave out what the folders of these tasks have; whether anything else is there, of other services."""
        lines = (line for path in tasks.values() for line in TaskReader(path).events())
        known = {found for line in lines if "phase" in line and (found := text(line, "span_id")) is not None}
        return self._spool.leave_at_home(key, known, tasks.keys())

    def _folder_of(self, task_id: str) -> Path | None:
        for name in folder_names(task_id):
            if is_task_folder(path := self._root / name) and TaskReader(path).task_id == task_id:
                return path
        return None

    def _further(self, key: str) -> str:
        """The id of a further task for what came late."""
        for number in range(1, _MOST_FURTHER):
            if self._folder_of(found := f"{key}-late-{number}") is None:
                return found
        raise OSError(f"{self._root}: too many late parts of {key}")

    def _trace(self, due: Due, task_id: str, parent: str | None) -> TaskRef | None:
        origin = {"format": _FORMAT, "service": self._spool.service_of(due.key)}
        incomplete = None if due.has_root or parent is not None else NO_ROOT
        writer = TraceWriter(self._clock, self._spool, due.key)
        task = writer.write(task_id, origin, source=COLLECTED, parent=parent, incomplete=incomplete)
        return None if task is None else task.task

    def _session(self, key: str, task_id: str, parent: str | None) -> TaskRef | None:
        kind = key.partition("-")[0]
        service = self._spool.service_of(key) or "unknown_service"
        own_key = task_id.split("-", 1)[1]
        session = _session_from(own_key, kind, service, self._spool.logs(key))
        if not session.begins_ns:
            return None
        writer = Writer(self._clock, kind, {"format": _FORMAT}, source=COLLECTED, parent=parent)
        for each in _events_of(session, self._spool.logs(key)):
            if isinstance(each, TracedLog):
                self._line(writer.open[own_key], each)
            else:
                writer.write(each)
        return writer.ended[0].ref

    def _line(self, into: Open, log: TracedLog) -> None:
        self._clock.now_ns = log.at_ns
        recorder().point(line_of(log), into.ref, into.task.ids(), sampled=into.task.sampled)

    def _move(self, made: _Made) -> None:
        what, _ = self._staging.move(made.folder, made.task_id)
        if what in (Moved.OLDER, Moved.NOT_IMPORTED, Moved.IN_USE):
            # A process writes into it, or it has more, or it is not ours to replace. Both stay, this one in the spool.
            raise FileExistsError(f"a folder of task {made.task_id} is there ({what.value})")
        self.report.tasks += 1
        self.report.again += what is Moved.REPLACED


def _span_ids(folder: Path) -> Iterator[str]:
    """The ids of the spans that a folder has, with those of the further ones."""
    reader = TaskReader(folder)
    further = (folder.with_name(f"{reader.task_id}-late-{number}") for number in range(1, _MOST_FURTHER))
    yield from _ids(reader)
    for each in further:
        if not is_task_folder(each):
            break
        yield from _ids(TaskReader(each))


def _ids(reader: TaskReader) -> Iterator[str]:
    for line in reader.events():
        if line.get("phase") == "end" and (found := text(line, "span_id")) is not None:
            yield found


# -- what belongs to no trace -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Session:
    """What is known of a task of log records and data points that belong to no trace: of a coding agent, or of any service."""

    key: str
    begins_ns: int
    name: str
    service: str
    session_id: str | None
    input: str | None


def _session_from(key: str, kind: str, service: str, logs: Iterator[TracedLog]) -> _Session:
    """The task that log records make; ``kind`` and ``key`` are of the key of the spool. There is at least one record."""
    begins_ns, prompt, session = 0, None, None
    for log in logs:
        begins_ns = begins_ns or log.at_ns
        session = session or session_of(log.details)
        if event_of(log) in PROMPTS:
            prompt = text(log.details, "prompt")
            break
    return _Session(key, begins_ns, title(prompt, f"{kind} {key}"), service, session, prompt)


def _events_of(session: _Session, logs: Iterator[TracedLog]) -> Iterator[Event | TracedLog]:
    """Begin, what happened, end; what is no event of a coding agent as it is."""
    details = {"service": session.service}
    yield Begin(
        session.key,
        session.begins_ns,
        session.name,
        session.service,
        session.input,
        None,
        None,
        session.session_id,
        None,
        details,
    )
    last_ns = session.begins_ns
    for number, log in enumerate(logs):
        last_ns = log.at_ns
        found = [*known(session.key, log, number)]
        yield from found
        if not found:
            yield log
    yield End(session.key, last_ns, Outcome.COMPLETED)
