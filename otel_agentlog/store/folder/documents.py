"""The whole files of one task folder, as this process changes them.

What cannot be written is kept, never more than the latest of each file, and written as soon as that is possible again. Two
threads or processes may change ``metadata.json`` at once: each keeps the other's keys.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar

import otel_agentlog._platform as system
from otel_agentlog._interrupts import Replaced, Turn, raise_interrupt
from otel_agentlog.store.folder.files import Descriptor, replace_file
from otel_agentlog.store.folder.handle import FolderHandle
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, FINAL_RESULT, GZIP_SUFFIX, METADATA, encode_document, temp_name
from otel_agentlog.store.folder.locks import lock_briefly, locked_briefly
from otel_agentlog.store.folder.metadata import DELIVERY_KEYS, METADATA_KEYS, merged, read_metadata
from otel_agentlog.store.folder.totals import Tally
from otel_agentlog.vocabulary.envelope import TaskRef
from otel_agentlog.vocabulary.states import Outcome

Value = TypeVar("Value")

TURN_WAIT_S = 1.0
"""Longest time, in seconds, that one thread waits for another that replaces a file of the same folder; then it goes on."""

_NOTHING = dict.fromkeys(DELIVERY_KEYS, 0)


class Documents:
    """What this process has to write into the whole files of a folder. Safe from any thread and within signal handlers."""

    def __init__(self, task: TaskRef, handle: FolderHandle) -> None:
        self._task, self._handle = task, handle
        self.counts: dict[str, int] = {}
        """What this process adds to ``delivery`` in ``metadata.json``; the file follows with `settle`."""
        self.renew_after_fork()

    def renew_after_fork(self) -> None:
        """In the child of a fork: what was owed and counted is the parent's to write."""
        self._temps = itertools.count()
        self._owed: Replaced[dict[str, tuple[Mapping[str, Any], bool]]] = Replaced({})
        self._changes: Replaced[dict[str, Any]] = Replaced({})
        self.counts, self._written = dict(_NOTHING), dict(_NOTHING)
        self._last: Mapping[str, Any] = {}
        self._rewrites = self._rewritten = 0
        """How often `say_again` was called, and was so when the file was written last."""
        # A signal handler may end a task whose files its own thread is writing.
        self._turn = Turn()
        self._revision = 0

    @property
    def settled(self) -> bool:
        """Whether the files have all that is to be written."""
        return not self._owed.value and not self._unsaid

    @property
    def _unsaid(self) -> bool:
        return bool(self._changes.value) or self._rewrites != self._rewritten or self.counts != self._written

    # -- writing ----------------------------------------------------------------------------------------------------------

    def owe(self, name: str, document: Mapping[str, Any], *, only_new: bool = False) -> None:
        """Note a file for the next `settle`; with ``only_new`` one that is there already stays."""
        owed = {name: (document, only_new)}
        self._owed.replace(lambda before: before | owed)

    def change(self, changes: Mapping[str, Any]) -> None:
        """Note changes of ``metadata.json`` for the next `settle`."""
        self._changes.replace(lambda before: before | dict(changes))

    def say_again(self) -> None:
        """Write ``metadata.json`` with the next `settle` even if nothing changed."""
        self._rewrites += 1

    def settle(self, *, sync: bool = False) -> None:
        """Write what is owed; with ``sync`` wait for the disk. Raises `OSError`; what was not written then is still owed."""
        with self._turn.taken(TURN_WAIT_S):
            directory = self._handle.directory()
            # A folder is known by its metadata.json, and a task that has ended by its result.
            if FINAL_RESULT not in self._owed.value:
                self._write_metadata(directory, sync)
            self._write_owed(directory, sync)
            self._write_metadata(directory, sync)

    def _write_owed(self, directory: Descriptor, sync: bool) -> None:
        for name, owed in self._owed.value.items():
            if not owed[1] or self._handle.is_new or not _exists(directory, name):
                self._replace(directory, name, owed[0], sync)
            self._owed.replace(partial(_without, done={name: owed}))

    def _write_metadata(self, directory: Descriptor, sync: bool) -> None:
        if not self._unsaid:
            return
        if self._handle.is_new:
            self._write_merged(directory, sync)
            return
        # The lock is on the lines' file, because metadata.json is another file after each replacement.
        output = self._handle.files.get(AGENT_OUTPUT)
        with lock_briefly(directory, AGENT_OUTPUT) if output is None else locked_briefly(output):
            self._write_merged(directory, sync)

    def _write_merged(self, directory: Descriptor, sync: bool) -> None:
        while True:
            revision, changes, rewrites = self._revision, self._changes.value, self._rewrites
            counts = dict(self.counts)
            added = {key: counts[key] - self._written[key] for key in counts}
            document = merged(self._known(directory), changes, added)
            if revision == self._revision:
                break
            # A signal handler came in between, and what was read is out of date.
        try:
            self._replace(directory, METADATA, document, sync)
        except TypeError:
            raise_interrupt()  # more is read than can be written, what is nested deeply for one: the file is damaged
            document = merged(self._in_memory(), changes, added)
            self._replace(directory, METADATA, document, sync)
        self._revision += 1
        self._last, self._written, self._rewritten = document, counts, rewrites
        self._changes.replace(partial(_without, done=changes))

    def _known(self, directory: Descriptor) -> Mapping[str, Any]:
        """The content of the file; where it is missing or damaged, what this process has in memory."""
        found = {} if self._handle.is_new else read_metadata(directory)
        if found.get("task_id") == self._task.task_id:
            return found
        return self._in_memory()

    def _in_memory(self) -> Mapping[str, Any]:
        header = self._task.header
        return self._last or {key: header[key] for key in METADATA_KEYS if header.get(key) is not None}

    def _replace(self, directory: Descriptor, name: str, document: Mapping[str, Any], sync: bool) -> None:
        temp = temp_name(name, f"{self._task.event_ids.tag}x{next(self._temps)}")
        replace_file(directory, name, temp, encode_document(document), sync=sync, masked=self._handle.root.masked)


def _without(before: dict[str, Value], done: Mapping[str, Value]) -> dict[str, Value]:
    """What there is but what is done; of another value for the same key that is not so."""
    return {key: value for key, value in before.items() if key not in done or done[key] is not value}


def _exists(directory: Descriptor, name: str) -> bool:
    return any(_has(directory, each) for each in (name, name + GZIP_SUFFIX))


def _has(directory: Descriptor, name: str) -> bool:
    try:
        system.stat(name, dir_fd=directory.fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


INPUT_AT_THE_TOP = ("message", "source_metadata")
"""Keys of an input that ``01-input.json`` has at its top, too, where readers of message and source look."""


MAX_MESSAGE = 1_000_000
"""Longest text, in characters, that is there as input and as message."""


def at_the_top(given: Any) -> dict[str, Any]:
    """What ``01-input.json`` has beside ``input``; a text is the message, unless it is too long to be kept twice."""
    if isinstance(given, str):
        return {"message": given} if len(given) <= MAX_MESSAGE else {}
    return {key: given[key] for key in INPUT_AT_THE_TOP if key in given} if isinstance(given, dict) else {}


def final_result(end: Mapping[str, Any], result: Any, tally: Tally, task_id: str) -> dict[str, Any]:
    """The object of ``04-final-result.json``, from the task's end line and the figures of all its lines."""
    outcome, error = str(end["outcome"]), end.get("exception")
    return {
        "success": outcome == Outcome.COMPLETED.value,
        "outcome": outcome,
        "result": result,
        "error": None if error is None else {key: error[key] for key in error if key != "traceback"},
        "metrics": tally.metrics(dict(end)),
        "completed_at": end["timestamp"],
        "task_id": task_id,
    }
