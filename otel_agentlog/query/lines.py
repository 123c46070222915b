"""A task's two files of lines as one stream in the order of time, also while they grow."""

from __future__ import annotations

import heapq
import queue
import threading
from collections.abc import Callable, Iterator

from otel_agentlog.store.folder.layout import AGENT_OUTPUT, WEBHOOK_FLOW
from otel_agentlog.store.folder.reader import GrowingFile, TaskReader, follow
from otel_agentlog.store.liveness import is_abandoned
from otel_agentlog.vocabulary.chunks import Joiner
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.lines import time_of as time_of

POLL_SECONDS = 0.2
"""How often, in seconds, a followed task is polled."""

_QUIET_POLLS = 10
"""After this many polls without a line it is checked whether a process still writes."""

_MAX_BATCH = 1000
"""Lines that are put in order at a time."""


class LineStream:
    """The lines of a task's webhook flow and of its output, in the order of their times. For one thread."""

    def __init__(self, task: TaskReader) -> None:
        self._task = task
        self._files = self._from_start()
        self._torn: dict[str, Line] = {}
        """The last line of a file that had no newline yet, and was shown."""
        self.left_alone = False
        """Whether `new` ended because the task's process has died."""

    def latest(self, count: int | None = None, *, joined: bool = False) -> list[Line]:
        """Return the last `count` lines that are there, or all of them; with `joined` one line for each text in chunks.

        Holds no more than it returns, and the texts that have not ended.
        """
        joiner = Joiner()
        lines = (found for line in self._read() if (found := joiner.add(line) if joined else line) is not None)
        numbered = ((_order(line), number, line) for number, line in enumerate(lines))
        if count is None:
            latest = sorted(numbered, key=lambda entry: entry[:2])
        else:
            latest = heapq.nlargest(count, numbered, key=lambda entry: entry[:2])[::-1]
        joiner.settle()
        return [line for _, _, line in latest]

    def _from_start(self) -> dict[str, GrowingFile]:
        return {name: GrowingFile(self._task.folder, name) for name in (WEBHOOK_FLOW, AGENT_OUTPUT)}

    def _read(self) -> Iterator[Line]:
        self._files = self._from_start()
        for name, file in self._files.items():
            yield from file.new()
            for line in file.rest():
                self._torn[name] = line
                yield line

    def new(self) -> Iterator[Line]:
        """Yield the lines that come after those `latest` saw, until the task has ended or its process has died."""
        found: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
        stop = threading.Event()
        for name in self._files:
            threading.Thread(target=self._watch, args=(name, found.put, stop), name=f"follow {name}", daemon=True).start()
        try:
            yield from self._until_quiet(found)
        finally:
            stop.set()

    def _watch(self, name: str, put: Callable[[Line | None], None], stop: threading.Event) -> None:
        torn = self._torn.pop(name, None)
        try:
            for line in follow(self._task, self._files[name], poll_seconds=POLL_SECONDS, stop=stop, until_ended=True):
                if line != torn:
                    put(line)
                torn = None
        finally:
            put(None)

    def _until_quiet(self, found: queue.SimpleQueue[Line | None]) -> Iterator[Line]:
        watching, quiet = len(self._files), 0
        while watching:
            batch = _batch(found)
            watching -= batch.count(None)
            yield from sorted((line for line in batch if line is not None), key=_order)
            quiet = 0 if batch else quiet + 1
            if quiet == _QUIET_POLLS:
                quiet, self.left_alone = 0, self._is_abandoned()
                if self.left_alone:
                    return

    def _is_abandoned(self) -> bool:
        return is_abandoned(self._task, text(self._task.metadata() or {}, "status") or "")


def _batch(found: queue.SimpleQueue[Line | None]) -> list[Line | None]:
    """Whatever has come; nothing if nothing comes within a poll."""
    batch: list[Line | None] = []
    try:
        batch.append(found.get(timeout=POLL_SECONDS))
        while len(batch) < _MAX_BATCH:
            batch.append(found.get_nowait())
    except queue.Empty:
        pass
    return batch


def _order(line: Line) -> str:
    # Times of one format sort as text.
    return text(line, "timestamp") or ""
