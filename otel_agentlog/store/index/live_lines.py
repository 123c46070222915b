"""What the lines of tasks that go on say: each line is read once while this process lives, however often it is asked."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path

from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, WEBHOOK_FLOW
from otel_agentlog.store.folder.reader import GrowingFile, TaskReader, whole
from otel_agentlog.store.folder.totals import Tally
from otel_agentlog.store.index.extract import Extract, Reading
from otel_agentlog.store.index.words import MAX_WORDS, words_of
from otel_agentlog.vocabulary.chunks import Joiner, content_text, text_key

MAX_TASKS = 200
"""Tasks of which it is kept what was read, those asked for last."""


class LinesRead:
    """What was read of one task, for any thread. What its texts hold is kept as words."""

    def __init__(self, folder: Path) -> None:
        self.tally = Tally()
        self._words: dict[str, None] = {}
        self._reading, self._joiner = Reading(), Joiner()
        self._flow, self._output = GrowingFile(folder, WEBHOOK_FLOW), GrowingFile(folder, AGENT_OUTPUT)
        self._lock = threading.Lock()

    def read_on(self, task: TaskReader) -> bool:
        """Read the lines that are new; false if a file was replaced meanwhile, so that all is to be read anew."""
        with self._lock:
            for line in self._flow.new():
                self.tally.add(whole(line, task))
            for line in self._output.new():
                self.tally.add(whole(line, task))
                self._joiner.add(line)
                for each in (*self._joiner.ended(), *([] if text_key(line) else [line])):
                    self._reading.add(each, task)
            for text in self._reading.take_texts():
                if len(self._words) < MAX_WORDS:
                    self._words.update(dict.fromkeys(words_of(text)))
            return not self._flow.restarts and not self._output.restarts

    def extract(self) -> tuple[Extract, list[str]]:
        """What the index keeps of the lines, and in place of texts the first different words of these, in their order."""
        with self._lock:
            unended = [content_text(each) for each in self._joiner.unended()]
            return self._reading.done(), [*self._words, *words_of("\n".join(unended))]


class LiveLines:
    """What was read of the tasks of this process's questions. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: OrderedDict[str, LinesRead] = OrderedDict()

    def of(self, task: TaskReader) -> LinesRead:
        """What all lines of a task say that are there now."""
        key = os.path.abspath(task.folder)
        found = self._kept(key, task.folder)
        if not found.read_on(task):
            found = self._kept(key, task.folder, replaced=found)
            found.read_on(task)
        return found

    def _kept(self, key: str, folder: Path, replaced: LinesRead | None = None) -> LinesRead:
        # The lock is not held while files are read: what is asked of one task does not wait for the lines of another.
        with self._lock:
            found = self._read.pop(key, None)
            if found is None or found is replaced:
                found = LinesRead(folder)
            self._read[key] = found
            while len(self._read) > MAX_TASKS:
                self._read.popitem(last=False)
            return found


_live = LiveLines()


def _renew_after_fork() -> None:
    global _live
    _live = LiveLines()


after_fork_in_child(_renew_after_fork)


def lines_read(task: TaskReader) -> LinesRead:
    """What all lines of a task say that are there now. For tasks that a process works on: a line without its end is left out."""
    return _live.of(task)
