"""Follows files as they grow, so that who looks at the folders sees the agent at work now.

Files are looked at in intervals. A transcript that has grown lately has a task that runs: what it had is imported as always, and
from then on each new row is recorded below the root. It ends when nothing came for a while, when the file was replaced or cut,
and with the watch. A trace is recorded anew with each part of it that comes.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.tools.imports.importer import Importer, TraceFile, TranscriptFile
from otel_agentlog.tools.imports.readers.events import Remark
from otel_agentlog.tools.imports.staging import Moved

IDLE_S = 600.0
"""How long nothing must have come into a transcript for its tasks to have ended."""


class FileWatch:
    """Follows the files at some paths."""

    def __init__(self, importer: Importer, paths: Sequence[Path], interval_s: float, *, say: Callable[[str], None]) -> None:
        """``say`` is called with what begins and ends."""
        self._importer, self._paths, self._interval_s, self._say = importer, paths, interval_s, say
        self._transcripts: dict[Path, TranscriptFile] = {}
        self._traces: dict[Path, TraceFile] = {}
        self._looked: dict[Path, tuple[int, int]] = {}
        """Size and time of the files that are not followed, when they were imported or could not be."""
        self._reported = 0
        self._ended = threading.Event()

    def run(self) -> None:
        """Follow them until SIGINT or SIGTERM, which ends what is followed; a second one ends the process. In the main thread."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def end(number: int, frame: object) -> None:
            # No exception: a row that is being recorded would be lost.
            signal.signal(number, before[signal.Signals(number)])
            self._ended.set()

        for number in before:
            signal.signal(number, end)
        try:
            self._look()
            self._say(f"watching {len({*self._transcripts, *self._traces, *self._looked})} files; Ctrl-C ends it")
            while not self._ended.wait(self._interval_s):
                self._look()
            for path in [*self._transcripts, *self._traces]:
                self._end(path)
            self._importer.record_traces()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _look(self) -> None:
        """Import what is new."""
        for path in self._importer.files(self._paths):
            if self._ended.is_set():
                return
            with self._importer.guarded(path):
                self._file(path)
        for path in [path for path in (*self._transcripts, *self._traces) if not path.exists()]:
            self._end(path)
        self._importer.record_traces()
        problems = self._importer.report.problems
        for problem in problems[self._reported :]:
            self._say(problem)
        self._reported = len(problems)

    def _file(self, path: Path) -> None:
        followed = self._transcripts.get(path) or self._traces.get(path)
        if followed is None:
            self._begin(path)
            return
        try:
            grown = followed.rows.has_grown()
        except (LookupError, FileNotFoundError):
            raise_interrupt()
            self._leave(path)
            self._begin(path)
            return
        if grown:
            self._read_on(followed)
        elif time.time() - followed.rows.modified_ns / 1e9 > IDLE_S:
            self._end(path)

    def _read_on(self, followed: TranscriptFile | TraceFile) -> None:
        if isinstance(followed, TraceFile):
            self._importer.spool(followed, last=False)
        else:
            self._importer.read(followed, last=False)
            self._follow(followed)

    def _begin(self, path: Path) -> None:
        """Import a file that is not followed, if it is new or has changed, and follow it."""
        try:
            status = path.stat()
        except FileNotFoundError:
            raise_interrupt()
            return
        idle = time.time() - status.st_mtime > IDLE_S
        if self._looked.get(path) == (status.st_size, status.st_mtime_ns):
            return
        self._looked[path] = (status.st_size, status.st_mtime_ns)
        if status.st_size == 0 or (idle and self._importer.is_unchanged(path)):
            return
        opened = self._importer.open(path)
        if isinstance(opened, TraceFile):
            self._traces[path] = opened
            self._importer.spool(opened, last=False)
            return
        self._transcripts[path] = opened
        self._importer.read(opened, last=idle)
        if idle:
            self._end(path)
        else:
            self._follow(opened)

    def _follow(self, file: TranscriptFile) -> None:
        """Have the tasks of a transcript that are staged moved below the root, and written there from now on."""
        self._importer.place_ended(file)
        destination = self._importer.destination
        for key, task in [(key, each.ref) for key, each in file.writer.open.items() if not destination.is_followed(each.ref)]:
            if self._importer.place([task], file.rows.path, ended=False)[0] in (Moved.NEW, Moved.REPLACED):
                destination.follow(task)
                # With a line the folder is open, and others see that somebody is at work in it.
                at_ns = self._importer.clock.now_ns
                file.writer.write(
                    Remark(key, at_ns, "import_follows", f"following {file.rows.path}", details={"pid": os.getpid()})
                )
                self._say(f"following {task.task_id}")

    def _leave(self, path: Path) -> None:
        """The file is another one now, or was cut."""
        self._end(path)
        self._looked.pop(path, None)

    def _end(self, path: Path) -> None:
        """Follow a file no longer; the tasks of a transcript end, as far as it goes."""
        file = self._transcripts.pop(path, None) or self._traces.pop(path)
        with self._importer.guarded(path):
            if isinstance(file, TranscriptFile):
                self._importer.read(file, last=True)
                self._importer.finish(file)
            self._looked[path] = (file.rows.size_bytes, file.rows.modified_ns)
        file.rows.close()
