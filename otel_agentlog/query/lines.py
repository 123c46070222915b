"""Hides how a task's two files of lines become one stream in the order of time, also while they grow."""

from __future__ import annotations

import heapq
import queue
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from otel_agentlog.store.folder.layout import AGENT_OUTPUT, FINAL_RESULT, INPUT, WEBHOOK_FLOW, parse_timestamp
from otel_agentlog.store.folder.reader import TaskReader, follow
from otel_agentlog.store.index.row import storable, words_of
from otel_agentlog.store.liveness import is_abandoned
from otel_agentlog.vocabulary.coerce import mapping, text
from otel_agentlog.vocabulary.lines import Line

# -- Hides how the lines are found in which words stand that a task was found by.

AROUND = 60
"""Characters shown before the word that was found."""
MAX_TEXT = 240


@dataclass(frozen=True, slots=True)
class Match:
    """A place in a task where a word stands."""

    file: str
    timestamp: str | None
    time_ns: int | None
    type: str
    """The line's type; ``input`` or ``result``."""
    level: str | None
    text: str
    """What stands around it, as it stands in the folder."""


def matches(folder: Path, wanted: str, *, limit: int) -> list[Match]:
    """Return the first places in a task where any of the words stands; first those where most of them do."""
    asked = sorted(set(words_of(storable(wanted))))
    if not asked or limit < 1:
        return []
    found = [(-count, order, match) for order, (count, match) in enumerate(_places(TaskReader(folder), asked))]
    best = sorted(sorted(found, key=lambda entry: entry[:2])[:limit], key=lambda entry: entry[1])
    return [match for _, _, match in best]


def _places(task: TaskReader, asked: list[str]) -> Iterator[tuple[int, Match]]:
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(word)}" for word in asked), re.IGNORECASE)
    for name, document, key in ((INPUT, task.input() or {}, "input"), (FINAL_RESULT, task.final_result() or {}, "result")):
        yield from _place(pattern, name, document, key, _as_text(document.get(key)))
    for line in task.events():
        if line.get("phase") != "end" or line.get("exception"):
            for said in _said(line):
                yield from _place(pattern, AGENT_OUTPUT, line, text(line, "type") or "", said)


def _place(pattern: re.Pattern[str], file: str, line: Line, kind: str, said: str) -> Iterator[tuple[int, Match]]:
    found = {match.group().casefold() for match in pattern.finditer(said)}
    first = pattern.search(said)
    if first is None:
        return
    start = max(0, first.start() - AROUND)
    cut = ("…" if start else "") + said[start : start + MAX_TEXT] + ("…" if len(said) > start + MAX_TEXT else "")
    yield len(found), Match(file, text(line, "timestamp"), _time(line), kind, text(line, "level"), cut)


def _said(line: Line) -> Iterator[str]:
    exception = mapping(line, "exception")
    if exception:
        yield " ".join(found for key in ("type", "message", "error_id") if (found := text(exception, key)))
    for key in ("message", "content"):
        value = line.get(key)
        if isinstance(value, dict):
            value = mapping(value, "$artifact").get("preview")
        if isinstance(value, str):
            yield value


def _as_text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:
        return str(value)


def _time(line: Line) -> int | None:
    try:
        return parse_timestamp(text(line, "timestamp") or "")
    except ValueError:
        return None


POLL_SECONDS = 0.2
"""How often, in seconds, a followed task is looked at."""

_QUIET_POLLS = 10
"""After this many polls without a line it is worth asking whether anybody still writes."""

_MAX_BATCH = 1000
"""Lines that are put in order at a time."""


class LineStream:
    """The lines of a task's webhook flow and of its output, told in the order of their times. For one thread."""

    def __init__(self, task: TaskReader) -> None:
        self._task = task
        self._seen = {WEBHOOK_FLOW: 0, AGENT_OUTPUT: 0}
        self.left_alone = False
        """Whether `new` ended because the task's process is gone."""

    def latest(self, count: int | None = None) -> list[Line]:
        """Return the last `count` lines that are there, or all of them. Holds no more than it returns."""
        numbered = ((_order(line), number, line) for number, line in enumerate(self._told()))
        if count is None:
            return [line for _, _, line in sorted(numbered, key=lambda entry: entry[:2])]
        return [line for _, _, line in reversed(heapq.nlargest(count, numbered, key=lambda entry: entry[:2]))]

    def _told(self) -> Iterator[Line]:
        for name in self._seen:
            self._seen[name] = 0
            for line in self._task.lines(name):
                self._seen[name] += 1
                yield line

    def new(self) -> Iterator[Line]:
        """Yield the lines that come after those `latest` saw, until the task has ended or its process is gone."""
        found: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
        stop = threading.Event()
        for name, seen in self._seen.items():
            threading.Thread(target=self._watch, args=(name, seen, found.put, stop), name=f"follow {name}", daemon=True).start()
        try:
            yield from self._until_quiet(found)
        finally:
            stop.set()

    def _watch(self, name: str, seen: int, put: Callable[[Line | None], None], stop: threading.Event) -> None:
        try:
            lines = follow(self._task, name=name, poll_seconds=POLL_SECONDS, stop=stop, until_ended=True)
            for line in islice(lines, seen, None):
                put(line)
        finally:
            put(None)

    def _until_quiet(self, found: queue.SimpleQueue[Line | None]) -> Iterator[Line]:
        watching, quiet = len(self._seen), 0
        while watching:
            batch = _batch(found)
            watching -= batch.count(None)
            yield from sorted((line for line in batch if line is not None), key=_order)
            quiet = 0 if batch else quiet + 1
            if quiet == _QUIET_POLLS:
                quiet, self.left_alone = 0, self._is_left_alone()
                if self.left_alone:
                    return

    def _is_left_alone(self) -> bool:
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
