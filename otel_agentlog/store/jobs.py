"""The jobs that a task was handed over to, and which of them have ended (``docs/decisions/0082-several-jobs.md``).

``.jobs.jsonl`` in the task's folder, a line for each that was given the end, and one for its end, as ``docs/format.md`` has them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.store.folder.files import Descriptor, open_directory
from otel_agentlog.store.folder.layout import FILE_MODE, now
from otel_agentlog.store.folder.locks import lock_exclusively
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.envelope import JobsLeft, TaskRef
from otel_agentlog.vocabulary.lines import Line, encode
from otel_agentlog.vocabulary.states import FAILED

JOBS = ".jobs.jsonl"
LOCK_WAIT_S = 5.0
"""Longest time to wait for another process; it reads, appends, and hands the task over: about a millisecond, on a busy disk some
hundred times that. Who goes on without the lock may not see that it is the last."""
MAX_BYTES = 4 * 1024 * 1024
"""How much is read of what other processes wrote: more than 10,000 jobs."""


class JobFile:
    """The jobs of one task that is kept. Safe from any thread and process."""

    def __init__(self, task: TaskRef) -> None:
        self._task = task

    def add(self, job: str) -> bool:
        """Note that a job was given the end of the task; whether it can be known when it ends. Raises `OSError`."""
        with self._turn() as turn:
            if turn is not None:
                turn.append({"timestamp": now(), "job": job, "phase": "start"})
            return turn is not None

    @contextmanager
    def ending(self, job: str, outcome: str) -> Iterator[JobsLeft | None]:
        """Note how a job ended; gives what is left, ``None`` if that is not known or it had ended before. Raises `OSError`.

        No other job ends before the block has: what it does of the task is done when the last one finds itself the last.
        """
        with self._turn() as turn:
            yield None if turn is None else _end(turn, job, outcome)

    @contextmanager
    def _turn(self) -> Iterator[_Turn | None]:
        """The file, for as long as the block lasts: of two jobs that end at once one is the last."""
        home = self._task.home
        if home is None:
            yield None
            return
        directory = open_directory(os.fspath(home.path))
        file = Descriptor(system.open(JOBS, system.APPEND, FILE_MODE, dir_fd=directory.fd))
        try:
            lock_exclusively(file, LOCK_WAIT_S)
            yield _Turn(file)
        finally:
            file.close_at_once()


def _end(turn: _Turn, job: str, outcome: str) -> JobsLeft | None:
    given = {text(line, "job") for line in turn.lines if line.get("phase") == "start"}
    ended = {text(line, "job"): text(line, "outcome") for line in turn.lines if line.get("phase") == "end"}
    if job not in given or job in ended:
        return None
    turn.append({"timestamp": now(), "job": job, "phase": "end", "outcome": outcome})
    return JobsLeft(len(given - ended.keys() - {job}), any(each in FAILED for each in ended.values()))


class _Turn:
    """The lines that are there, and what appends one."""

    def __init__(self, file: Descriptor) -> None:
        self._fd, self._before = file.fd, _read(file)
        self.lines = [line for data in self._before.split(b"\n") if (line := _parsed(data)) is not None]

    def append(self, line: Line) -> None:
        """Append a line: a fresh one, as the one before may have been cut by a crash. Raises `OSError`, also of a disk with room
        for a part of it alone."""
        data = (b"\n" if self._before and not self._before.endswith(b"\n") else b"") + encode(line)
        if os.write(self._fd, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), JOBS)


def _read(file: Descriptor) -> bytes:
    found = b""
    while len(found) < MAX_BYTES and (data := system.pread(file.fd, 65_536, len(found))):
        found += data
    return found


def _parsed(data: bytes) -> Line | None:
    try:
        line: Any = orjson.loads(data)
    except ValueError:
        raise_interrupt()
        return None
    return dict(line) if isinstance(line, Mapping) else None
