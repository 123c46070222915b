"""The write side of one task folder, for one process.

Decides in which order lines and whole files are written, when they reach the disk, and what happens when a write fails. Lines
of any thread may be appended at the same time, without a lock. Payloads too large for a line go whole to
``artifacts/<sha256>``; the line keeps a preview, the size and the hash.
"""

from __future__ import annotations

import errno
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import orjson

import otel_agentlog._platform as system
from otel_agentlog._interrupts import Turn, WeakValues, first_of, raise_interrupt, take, taken_out
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog.store.folder.documents import Documents, at_the_top, final_result
from otel_agentlog.store.folder.files import Descriptor, LineFile, has_file, make_directory, open_directory, replace_file
from otel_agentlog.store.folder.handle import FULL, FolderHandle, Root
from otel_agentlog.store.folder.layout import (
    AGENT_OUTPUT,
    ARTIFACTS,
    FINAL_RESULT,
    FOLDER_MODE,
    GZIP_SUFFIX,
    INPUT,
    METADATA,
    WEBHOOK_FLOW,
    folder_names,
    temp_name,
)
from otel_agentlog.store.folder.lines import parse_object
from otel_agentlog.store.folder.metadata import DELIVERY_KEYS, METADATA_KEYS, size_of
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.folder.recent import (
    MAX_RECENT_BYTES,
    MAX_RECENT_LINES,
    Numbers,
    RecentLine,
    RecentLines,
    ranges_of,
)
from otel_agentlog.store.folder.sync import FOLDER, ROOT, Level, Syncer, sync_path
from otel_agentlog.store.folder.totals import Tally
from otel_agentlog.vocabulary.envelope import Envelope, TaskRef
from otel_agentlog.vocabulary.event_ids import KEY, split_event_id
from otel_agentlog.vocabulary.lines import Line, encode, timestamp
from otel_agentlog.vocabulary.states import ERROR_LEVELS, State

MAX_WRITTEN_LINE_BYTES = 256 * 1024
"""Longest line, in bytes; a longer one has its largest values moved to artifacts."""

MAX_VALUE_BYTES = 16 * 1024
"""Values up to this size stay in a long line, if that is enough."""

PREVIEW_CHARACTERS = 512

MAX_REMEMBERED = 10_000
"""Open spans and distinct errors of one task that the writer remembers."""

KEEP = frozenset(
    {"timestamp", "type", "event_id", "trace_id", "span_id", "parent_span_id", "task_id", "name", "phase", "kind", "stage"}
)
"""Keys that never move: without them the line cannot be found or placed."""

Keep = Callable[[bytes], str]
"""Stores bytes and returns their sha256 in hex."""


def spill(line: Line, keep: Keep) -> Line:
    """A copy of the line in which large values are references to artifacts."""
    short = {
        key: value if key in KEEP else _moved_text(value, keep) if isinstance(value, str) else _moved(value, keep)
        for key, value in line.items()
    }
    if len(orjson.dumps(short)) <= MAX_WRITTEN_LINE_BYTES:
        return short
    # Many small values: whole containers go, the largest first.
    sizes = {
        key: len(orjson.dumps(value)) for key, value in short.items() if key not in KEEP and not isinstance(value, (int, float))
    }
    excess = sum(sizes.values()) - MAX_WRITTEN_LINE_BYTES // 2
    for key in sorted(sizes, key=lambda name: -sizes[name]):
        if excess <= 0:
            break
        short[key] = _artifact(orjson.dumps(short[key]), "application/json", keep)
        excess -= sizes[key]
    return short


def _moved(value: Any, keep: Keep) -> Any:
    if isinstance(value, str):
        if len(value) > MAX_VALUE_BYTES and value[:1] in ("[", "{"):
            return _moved_json(value, keep)
        return _moved_text(value, keep)
    if isinstance(value, dict):
        return {key: _moved(item, keep) for key, item in value.items()}
    if isinstance(value, list):
        return [_moved(item, keep) for item in value]
    return value


def _moved_text(value: str, keep: Keep) -> Any:
    data = value.encode() if len(value) * 4 > MAX_VALUE_BYTES else b""
    return _artifact(data, "text/plain", keep) if len(data) > MAX_VALUE_BYTES else value


def _moved_json(value: str, keep: Keep) -> Any:
    """JSON as one text, such as a conversation on a span: its large texts go by themselves.

    An image that is there again in each turn is one artifact, and the one that ``details`` refer to as well.
    """
    pieces: list[Any] = []
    end = 0
    for begin, stop in long_pieces(value):
        pieces += (_moved_text(value[end:begin], keep), _moved_text(value[begin:stop], keep))
        end = stop
    if not pieces:
        return _moved_text(value, keep)
    return {"$parts": [*pieces, _moved_text(value[end:], keep)]}


def long_pieces(value: str) -> Iterator[tuple[int, int]]:
    """Where a text of `MAX_VALUE_BYTES` characters or more lies between quotes; in JSON that is one without quotes in it."""
    # Such a text has a whole block in it, wherever the blocks begin, and in any other block a quote is soon found.
    block, at = MAX_VALUE_BYTES // 2, 0
    while at + block <= len(value):
        if value.find('"', at, at + block) >= 0:
            at += block
            continue
        begin, end = value.rfind('"', 0, at) + 1, value.find('"', at + block)
        at = end if end >= 0 else len(value)
        if begin and at - begin >= MAX_VALUE_BYTES:
            yield begin, at


def _artifact(data: bytes, media_type: str, keep: Keep) -> dict[str, Any]:
    preview = data[: PREVIEW_CHARACTERS * 4].decode("utf-8", "ignore")[:PREVIEW_CHARACTERS]
    return {"$artifact": {"sha256": keep(data), "size_bytes": len(data), "media_type": media_type, "preview": preview}}


LOCK_WAIT_S = 1.0
"""Longest time, in seconds, to wait for a lock: at the end of the interpreter a daemon thread may have stopped with one."""

LOOK_INTERVAL_S = 1.0
"""How often, in seconds, a writer looks whether its files still have their names."""

MAX_DAMAGED = 10_000
"""Writers of which the numbers of lost lines are remembered."""

MAX_STARTS = 256
MAX_START_BYTES = 16 * 1024
"""Start lines of open spans that are kept to be written again if the folder is deleted: how many, and how long at most."""


class Counts:
    """The receipt of everything that this process recorded in tasks; its lock guards those of each folder, too."""

    def __init__(self) -> None:
        self.renew_after_fork()

    def renew_after_fork(self) -> None:
        """In the child of a fork: what the parent recorded it counts itself."""
        # Re-entrant: a signal handler or a finaliser may record while its own thread holds it.
        self.lock = threading.RLock()
        self.totals = dict.fromkeys(DELIVERY_KEYS, 0)
        self._lost: dict[str, Numbers] = {}
        """By writer; here also of folders that nothing uses any more, as a result of sending may come late."""

    def add(self, **more: int) -> None:
        """Count."""
        self.count_in({}, more)

    def count_in(self, counts: dict[str, int], more: Mapping[str, int]) -> None:
        """Add to the counts of a folder, too."""
        taken: list[bool] = []
        try:
            take(self.lock, LOCK_WAIT_S, taken)
            _count_in(self.totals, counts, more)
        finally:
            if any(taken):
                self.lock.release()

    def lose(self, tag: str, numbers: Numbers) -> None:
        """Remember the numbers of a writer's lines that are in no file; they may change."""
        if numbers.value and tag not in self._lost:
            self._lost[tag] = numbers
            if len(self._lost) > MAX_DAMAGED:
                self._lost.pop(first_of(self._lost) or "", None)

    def lost(self, tag: str) -> Numbers:
        """What is remembered of a writer."""
        return self._lost.get(tag) or Numbers()


def _count_in(totals: dict[str, int], counts: dict[str, int], more: Mapping[str, int]) -> None:
    for key, number in more.items():
        # Without a call in between: no other thread comes between reading and writing either, so `TaskFolder.append` counts
        # without the lock.
        totals[key] += number
        if key in counts:
            counts[key] += number


def settled(ranges: Sequence[tuple[int, int]], dropped: int, lost: Numbers) -> dict[str, int]:
    """What is to be counted where items were delivered but for ``dropped`` of them; ranges are of their lines' numbers.

    Those of ``lost`` lines, which are in no file, were counted as dropped before.
    """
    total = sum(last - first + 1 for first, last in ranges)
    known = sum(lost.overlap(first, last) for first, last in ranges)
    return {"delivered": total - dropped, "dropped": dropped - known}


def missing(ranges: Sequence[tuple[int, int]], lost: Numbers) -> dict[str, int]:
    """What is to be counted where items were looked for and are not there; their lines are ``lost`` from now on."""
    new = [each for first, last in ranges for each in range(first, last + 1) if not lost.overlap(each, each)]
    for each in sorted(set(new)):
        lost.add(each)
    return {"dropped": len(new)}


_RECOUNT = 1 << 62
"""Taken from the number of bytes written, where that and the figures are not to be relied on."""


class _ReadTally(NamedTuple):
    """Figures that were read from the files, and when."""

    tally: Tally
    others: int
    """Bytes of other processes that were there."""
    lines: int
    """Lines that this process had written."""


class TaskFolder:
    """One task's folder, open for writing in this process."""

    def __init__(
        self,
        root: Root,
        task: TaskRef,
        process_line: Callable[[], Line],
        syncer: Syncer | None = None,
        counts: Counts | None = None,
        pending_on_disk: Callable[[TaskFolder], int] = lambda folder: 0,
    ) -> None:
        """``pending_on_disk`` counts the items of this process that are in a folder to be sent."""
        self.task = task
        self.begun = False
        """Whether its whole files were written from here."""
        self.ended = False
        """Whether the work of this process on the task has ended."""
        self.finished = False
        """Whether the task has ended, and its result was written from here."""
        self.tally = Tally(MAX_REMEMBERED)
        """The figures of what this process wrote."""
        self.waiting: set[str] = set()
        """Names of files that the syncer is to sync and has not synced yet."""
        self.held: dict[str, Descriptor] = {}
        """Of these, files that are open."""
        self._process_line, self._syncer = process_line, syncer or Syncer()
        self._counts, self._pending_on_disk = counts or Counts(), pending_on_disk
        self._handle = FolderHandle(root, task.task_id, self._introduce, self._renewed, self._forget_files)
        self._documents = Documents(task, self._handle)
        self._begin_anew()
        after_fork_in_child(self.renew_after_fork)

    def _begin_anew(self) -> None:
        self._bytes = 0
        self._introducing = ""
        """The id of the process line that was written last, or is being written."""
        self._begun: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None
        """What `begin` wrote last."""
        self._degraded = False
        self._location = ("", "", "")
        self._recent = RecentLines()
        self._starts: dict[str, RecentLine] = {}
        """Start lines of open spans, by span id."""
        self._ended_spans: deque[str] = deque()
        """Those that have ended since the last check."""
        self._again: list[RecentLine] = []
        """Lines to be written again into files that are others than before."""
        self._last_id = ""
        """Of the last line that was written."""
        self._lost = Numbers()
        """Of lines that are in no file."""
        self._unmarked = Numbers()
        """Those of them that no process line has yet."""
        self._last_failed = False
        """Whether the last line could not be written."""
        self._read: _ReadTally | None = None
        """The figures that were read from the files where others wrote, too."""
        self._uncounted = 0
        """How often the receipt is to be counted anew from the disk: once more later, as other threads may be in the middle."""
        self._checking = Turn()
        self._is_checking, self._look_at = False, monotonic() + LOOK_INTERVAL_S

    def renew_after_fork(self) -> None:
        """In the child of a fork: write with own descriptors from here on, and leave the ending to the parent."""
        self.task.owner = self.finished = False
        self.tally, self.waiting, self.held = Tally(MAX_REMEMBERED), set(), {}
        self._begin_anew()
        self._handle.renew_after_fork()
        self._documents.renew_after_fork()

    @property
    def path(self) -> Path:
        """The folder; meaningful once something was written."""
        return self._handle.root.path / self._handle.name

    @property
    def location(self) -> str:
        """The same as text, for items made of its lines; from then on `folder_of` finds this object for as long as it lives."""
        tag, name, location = self._location
        if name != self._handle.name or not tag:
            tag, name = self.task.event_ids.tag, self._handle.name
            # Before it could be opened it is the one that would be made.
            location = os.path.join(self._handle.root.text, name or next(iter(folder_names(self.task.task_id))))
            # In this order: a thread that finds the location finds the object by its tag, too.
            _living.put(tag, self)
            self._location = tag, name, location
        return location

    @property
    def is_open(self) -> bool:
        """Whether this process has it open, and holds it."""
        return self._handle.is_open

    def try_again(self) -> None:
        """Have the next line try to open it, however often that failed a moment ago."""
        self._handle.try_again()

    def release(self, *, just_used: bool = False) -> None:
        """Close the folder and its lock; the next line opens it again. ``just_used`` as for `FolderHandle.release`."""
        self._handle.release(just_used=just_used)

    # -- lines ------------------------------------------------------------------------------------------------------------

    def append(self, envelope: Envelope) -> None:  # noqa: C901 - in one piece, as every line passes here
        """Write a line. Raises `OSError`; then the line is lost, and counted as dropped unless a collector takes its items.

        It is numbered here only if it has no number of this process: a note of the folder's own.
        """
        line, recent = envelope.line, self._recent
        name = WEBHOOK_FLOW if envelope.webhook else AGENT_OUTPUT
        if len(recent.lines) >= MAX_RECENT_LINES or recent.size_bytes > MAX_RECENT_BYTES or monotonic() >= recent.check_at:
            self._glance()
        try:
            file = self._handle.files.get(name) or self._handle.file(name)
            data, there = envelope.data or envelope.encoded(), False
            own = line.get("event_id", "").startswith(self.task.event_ids.tag)
            if envelope.again or not own or len(data) > MAX_WRITTEN_LINE_BYTES:
                data, there = self._prepare(envelope, file)
            try:
                if not there:
                    file.append(data)
            except OSError as error:
                raise_interrupt()
                file = self._append_anew(name, data, error)
        except Exception:
            raise_interrupt()
            # What a start line has is on its span, too; any other is in no other home.
            self._lose(envelope, envelope.items or int(line.get("phase") != "start"))
            raise
        self._last_id = event_id = line["event_id"]
        self._last_failed, size = False, len(data)
        if "phase" in line:
            self._note_span(line, name, data)
        if not envelope.counted:
            self.tally.add(line)
            counts, totals, items = self._documents.counts, self._counts.totals, envelope.items
            # Without a call in between: signal handlers and other threads come before or after all of it.
            self._bytes += size
            if items:
                counts["recorded"] += items
                totals["recorded"] += items
            if (changed := envelope.redacted) or envelope.truncated:
                counts["redacted"] += changed
                totals["redacted"] += changed
                counts["truncated"] += envelope.truncated
                totals["truncated"] += envelope.truncated
            envelope.counted = 1
        if self._lost.value:
            self._found(event_id)
        recent.lines.append((file, name, event_id, data))
        recent.size_bytes += size
        if (level := self._syncer.level) is not Level.PROCESS or line.get("level") in ERROR_LEVELS:
            self._sync(file, name, level)

    def _prepare(self, envelope: Envelope, file: LineFile) -> tuple[bytes, bool]:
        """The bytes of a line that has no number, is long, or comes again, and whether they were written before."""
        line, ids = envelope.line, self.task.event_ids
        if envelope.again and not envelope.counted:
            # If it was added before, the figures are no longer those of the lines, and are read from them at the end.
            self._bytes -= _RECOUNT
        if not line.get("event_id", "").startswith(ids.tag):
            line.update(zip(KEY, ids.each, strict=False))
            envelope.data = b""
        data = envelope.encoded()
        if len(data) > MAX_WRITTEN_LINE_BYTES:
            data = encode(spill(line, self.write_artifact))
        try:
            return data, envelope.again and file.holds(data)
        except OSError:
            raise_interrupt()
            return data, False

    def _append_anew(self, name: str, data: bytes, error: OSError) -> LineFile:
        """Write a line that could not be written: another mount, another server, a descriptor that other code closed.

        Perhaps the file opened anew takes it.
        """
        if error.errno in FULL:
            try:
                raise error
            finally:
                del error  # else its traceback, which has this frame, would keep it alive
        self.release()
        file = self._handle.file(name)
        file.append(data)
        return file

    def _note_span(self, line: Line, name: str, data: bytes) -> None:
        """Keep the start line of what is open; that of what has ended until the next check, so that both are written again."""
        span_id, starts = str(line.get("span_id")), self._starts
        if line["phase"] == "end":
            self._ended_spans.append(span_id)
        elif len(starts) < MAX_STARTS + len(self._ended_spans) and len(data) <= MAX_START_BYTES:
            starts[span_id] = None, name, line["event_id"], data

    def _lose(self, envelope: Envelope, items: int) -> None:
        """Count a line that could not be written: its number stays missing."""
        self._last_failed = True
        if not envelope.counted:
            self.count(recorded=items, dropped=items)
            envelope.counted = 1
        writer = split_event_id(envelope.line.get("event_id"))
        if writer is not None and writer[0] == self.task.event_ids.tag:
            self._lose_number(writer[1])
            self._counts.lose(writer[0], self._lost)

    def _lose_number(self, number: int) -> None:
        for numbers in (self._lost, self._unmarked):
            numbers.add(number)

    def _found(self, event_id: str) -> None:
        """A line was written that was under way in another thread while its number was missing."""
        number = (split_event_id(event_id) or ("", 0))[1]
        self._lost.discard(((number, number),))

    def _introduce(self, output: LineFile) -> None:
        """Write the process line into a file that is another than before, and find out what else is to be written there."""
        number = 0
        if self._last_id or self._lost.value:
            number = self._compare()
        if number == 0:
            self._write_process_line(output, self.task.event_ids.of_process_line)

    def _write_process_line(self, output: LineFile, event_id: str) -> None:
        missing, size = self._unmarked.value, 0
        # Where an interrupt cut this short, or what follows it, it may have been written.
        if self._introducing == event_id and output.holds(f'"event_id":"{event_id}"}}\n'.encode()):
            self._bytes -= _RECOUNT
        else:
            self._introducing = event_id
            line: Line = {"timestamp": timestamp(time.time_ns()), **self._process_line(), "task_id": self.task.task_id}
            if missing:
                line["missing"] = missing
            line["event_id"] = event_id
            data = encode(line)
            output.append(data)
            size = len(data)
            self._bytes += size
            self.tally.add(line)
        self._unmarked.discard(missing)
        if self._syncer.level is Level.GROUP:
            self._syncer.ask(self, AGENT_OUTPUT, FOLDER, ROOT)
        elif self._syncer.level is Level.SYNC:
            self._sync_folders()

    def _sync_folders(self) -> None:
        """A file that is on the disk is of no use if its name is not."""
        try:
            sync_path(self.path_of(FOLDER), is_folder=True)
            sync_path(self.path_of(ROOT), is_folder=True)
        except OSError as error:
            raise_interrupt()
            self._syncer.failed("sync", error)

    def _renewed(self) -> None:
        """The folder was deleted or changed below us: what this process still has of it is written again."""
        again: list[RecentLine] = []
        again, self._again = self._again, again
        try:
            self._write_again(again)
        except OSError as error:
            raise_interrupt()
            self._again = again
            self._compare(writable=False)
            self._syncer.failed("folder", error)
        if self.begun:
            self._documents.say_again()
            self._syncer.retry(self)

    def _write_again(self, lines: list[RecentLine]) -> None:
        while lines:
            _, name, event_id, data = lines[0]
            file = self._handle.file(name)
            file.append(data)
            self._recent.lines.append((file, name, event_id, data))
            del lines[0]

    # -- what is still there ----------------------------------------------------------------------------------------------

    def _glance(self) -> None:
        """Check what was written last, between two lines: in few calls where all is as it should be. Raises nothing."""
        files, recent = self._handle.files, self._recent
        output = files.get(AGENT_OUTPUT) if len(files) == 1 else None
        is_usual = not (self._unmarked.value or self._uncounted or recent.has_lost)
        try:
            if output is not None and is_usual and monotonic() < self._look_at and recent.forget(output):
                self._forget_ended()
            else:
                self.verify(wait_s=0.0)
        except Exception as error:  # noqa: BLE001 - a fault here must not cost the line that is written next
            raise_interrupt()
            self._syncer.failed("folder", error)

    def _forget_ended(self) -> None:
        for span_id in taken_out(self._ended_spans):
            self._starts.pop(span_id, None)

    def verify(self, *, wait_s: float = LOCK_WAIT_S) -> None:
        """Check that what was written is there, write again what can be, and count as dropped what is gone. Raises nothing.

        ``wait_s``: how long to wait for another thread that does the same; it does nothing if it has to wait longer.
        """
        try:
            with self._checking.taken(wait_s) as is_ours:
                # A signal handler may come in between.
                if not is_ours or self._is_checking:
                    return
                self._is_checking, self._look_at = True, monotonic() + LOOK_INTERVAL_S
                try:
                    self._check()
                finally:
                    self._is_checking = False
        except Exception as error:  # noqa: BLE001 - a process line that cannot be written must not cost what is counted here
            raise_interrupt()
            self._syncer.failed("folder", error)

    def _check(self) -> None:
        handle = self._handle
        states = handle.states()
        intact = self._recent.check(states) and all(states.values())
        if intact and not states and self.pending and handle.name:
            intact = handle.is_where_it_was()
        try:
            if intact:
                self._forget_ended()
            else:
                self._uncounted = 2
                for file in handle.renamed():
                    self._take_back(file)
                handle.renew()
                # One that has ended and has nothing left to be written stays deleted.
                if self._recent.has_lost or self._starts or not self.ended:
                    handle.file(AGENT_OUTPUT)
                else:
                    self._compare(writable=False)
            if self._unmarked.value and handle.is_open and not self._last_failed:
                self._mark_missing()
        except OSError:
            raise_interrupt()
            self._compare(writable=False)
            raise
        finally:
            if self._uncounted:
                self._count_anew()

    def _take_back(self, file: LineFile) -> None:
        """Have the lines written again that went into a file after it was renamed, which nobody reads as this task's."""
        for data in file.since_named().splitlines(keepends=True):
            line = parse_object(data)
            event_id = line.get("event_id") if isinstance(line, dict) else None
            number = split_event_id(event_id)
            # The process line is written anew.
            if isinstance(event_id, str) and number is not None and number[0] == self.task.event_ids.tag and number[1]:
                self._again.append((None, file.name, event_id, data))

    def _mark_missing(self) -> None:
        """Write a further process line, which has the numbers that are missing."""
        taken: list[str] = []
        try:
            output = self._handle.file(AGENT_OUTPUT)
            taken.extend(itertools.islice(self.task.event_ids.each, 1))
            self._write_process_line(output, taken[0])
            self._last_id = taken[0]
        except BaseException as error:
            # The disk is still full, or a signal handler raised: the next check tries again, and this number is missing, too.
            for number in (split_event_id(each) for each in taken):
                self._lose_number(number[1] if number is not None else 0)
            if not isinstance(error, OSError):
                raise
            raise_interrupt()

    def _compare(self, *, writable: bool = True) -> int:
        """Compare what was written with the files there are now; returns 1 if they have our process line, else 0.

        Unless they are ``writable``, what is to be written again is lost for now.
        """
        highest = (split_event_id(self._last_id) or ("", 0))[1]
        present = self._numbers_on_disk()
        wanted = {each[2]: each for each in (*self._starts.values(), *self._again, *self._recent.take_lost())}
        numbered = sorted((number[1], each) for id_, each in wanted.items() if (number := split_event_id(id_)) is not None)
        self._again = [each for number, each in numbered if number not in present]
        known = present | {each[0] for each in numbered} if writable else present
        highest = max(highest, self._lost.highest)
        lost = ranges_of(number for number in range(1, highest + 1) if number not in known)
        self._lost.replace(lambda ranges: (*lost, *(each for each in ranges if each[0] > highest)))
        self._unmarked.replace(lambda _: self._lost.value)
        self._counts.lose(self.task.event_ids.tag, self._lost)
        self._uncounted = 2
        # Figures are taken from the lines from here on.
        self._bytes = -1
        return int(0 in present)

    def _numbers_on_disk(self) -> set[int]:
        reader, tag = TaskReader(self.path), self.task.event_ids.tag
        ids = (split_event_id(line.get("event_id")) for line in itertools.chain(reader.webhook_flow(), reader.events()))
        return {each[1] for each in ids if each is not None and each[0] == tag}

    def _count_anew(self) -> None:
        """Set ``dropped`` to what is neither delivered nor on the disk."""
        self._uncounted -= 1
        pending = self._pending_on_disk(self)
        counts = self._documents.counts
        self.count(dropped=counts["recorded"] - counts["delivered"] - pending - counts["dropped"])

    def _forget_files(self) -> None:
        """Check the files before they are closed; what is not in them any more is written again later."""
        self._recent.check({})

    @property
    def is_settled(self) -> bool:
        """Whether all items of this process were delivered or dropped, as far as is known."""
        return not self.pending and not self._uncounted

    @property
    def pending(self) -> int:
        """Items of this process that were neither delivered nor dropped."""
        counts = self._documents.counts
        return counts["recorded"] - counts["delivered"] - counts["dropped"]

    @contextmanager
    def settling(self) -> Iterator[None]:
        """While results of sending are counted: what is there is not counted meanwhile."""
        with self._checking.taken(LOCK_WAIT_S):
            yield

    def settled(self, ranges: Sequence[tuple[int, int]], *, dropped: int = 0) -> None:
        """Count items, by ranges of their lines' numbers, as delivered but for ``dropped`` of them."""
        self.count(**settled(ranges, dropped, self._lost))

    def missing(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Items of lines of these numbers were looked for and are not there."""
        self.count(**missing(ranges, self._lost))
        self._counts.lose(self.task.event_ids.tag, self._lost)

    def _sync(self, file: LineFile, name: str, level: Level) -> None:
        """Have a line brought to the disk: before this returns, or soon."""
        if level is Level.SYNC:
            try:
                file.sync()
            except OSError as error:
                raise_interrupt()
                self._syncer.broken(self, name, error)
        else:
            self._syncer.ask(self, name)

    def degrade(self, name: str, error: OSError) -> None:
        """Write a line, once, that the disk may not have all of it. Raises nothing."""
        if self._degraded:
            return
        self._degraded = True
        line: Line = {
            "timestamp": timestamp(time.time_ns()),
            "type": "event",
            "level": "WARNING",
            "component": "process",
            "action": "durability_degraded",
            "message": f"{name} could not be brought to the disk: a power cut may take what was recorded, the process's end not",
            "task_id": self.task.task_id,
            "details": {"file": name, "error": errno.errorcode.get(error.errno or 0, "unknown")},
        }
        try:
            self.append(Envelope(line, self.task, time.time_ns(), items=1))
        except OSError as problem:
            raise_interrupt()
            self._syncer.failed("folder", problem)

    def path_of(self, name: str) -> str:
        """Where a file is; `FOLDER` and `ROOT` are the folder and the one around it."""
        if name == ROOT:
            return self._handle.root.text
        folder = os.path.join(self._handle.root.text, self._handle.name)
        return folder if name == FOLDER else os.path.join(folder, name)

    # -- whole files ------------------------------------------------------------------------------------------------------

    @property
    def delivery(self) -> Mapping[str, int]:
        """What this process adds to the receipt in ``metadata.json``."""
        return self._documents.counts

    def count(self, **more: int) -> None:
        """Add to the receipt; the file follows with `write_delivery`."""
        self._counts.count_in(self._documents.counts, more)

    def write_delivery(self) -> None:
        """Bring the receipt in ``metadata.json`` up to date. Raises `OSError`."""
        self.settle()

    def settle(self) -> None:
        """Write the current content of the whole files, without keeping a finished folder open. Raises `OSError`."""
        if self._documents.settled:
            return
        was_open = self.is_open
        self._settle()
        if not was_open:
            self.release(just_used=True)

    def write_metadata(self, **changes: Any) -> None:
        """Change keys of ``metadata.json`` and replace it; what other processes wrote there stays. Raises `OSError`."""
        self._documents.change(changes)
        self._settle()

    def begin(self, header: Mapping[str, Any], payload: Mapping[str, Any] | None, status: State, at: str) -> None:
        """Write what is known when a task is created or started: ``metadata.json`` and ``01-input.json``. Raises `OSError`.

        Nothing is written if that is what was written before: a task in a webhook begins by the webhook's stages.
        """
        changes = {key: header[key] for key in METADATA_KEYS if header.get(key) is not None}
        changes["status"] = status.value
        if status is State.RUNNING:
            # One that was left behind and goes on began when it began.
            changes["started_at"] = header.get("started_at") or at
            changes["completed_at"] = None
        given = payload is not None and "input" in payload
        kept = {"task_id": self.task.task_id, "timestamp": at, "input": (payload or {}).get("input")}
        document = {**kept, "source": header.get("source"), "provider": header.get("provider"), **at_the_top(kept["input"])}
        if self._begun == (changes, document):
            return
        self._documents.change(changes)
        self._documents.owe(INPUT, document, only_new=not given)
        self._settle()
        if self._syncer.level is Level.GROUP:
            self._syncer.ask(self, METADATA, INPUT, FOLDER, ROOT)
        self._begun = changes, document

    def finish(self, end: Line, payload: Mapping[str, Any] | None) -> None:
        """Write ``04-final-result.json`` and the last state of ``metadata.json``, both soon on the disk. Raises `OSError`."""
        self.finished = True
        result = (payload or {}).get("result")
        self.verify()
        self._documents.owe(FINAL_RESULT, final_result(end, result, self._tally_of_all(end), self.task.task_id))
        self._documents.change({"status": str(end["outcome"]), "completed_at": end["timestamp"]})
        self._settle()
        # It may have been deleted meanwhile, or be there only now.
        if AGENT_OUTPUT not in self._handle.files or self._unmarked.value or self._again or self._uncounted:
            self.verify()
        output = self._handle.files.get(AGENT_OUTPUT)
        if self._syncer.level is not Level.SYNC:
            if output is not None and self._syncer.is_quick:
                self.held[AGENT_OUTPUT] = output.descriptor
            elif output is not None:
                output.descriptor.trust()
            self._syncer.ask(self, *self._handle.names, FINAL_RESULT, METADATA, FOLDER, ROOT)

    def finish_again(self) -> None:
        """Bring the figures of ``04-final-result.json`` up to date with what ended after the task. Raises `OSError`."""
        known = TaskReader(self.path).final_result()
        metrics = self._tally_of_all().metrics()
        if known is not None and known.get("metrics") != metrics:
            self._documents.owe(FINAL_RESULT, {**known, "metrics": metrics})
            self._settle()

    def _settle(self) -> None:
        sync = self._syncer.level is Level.SYNC
        handle = self._handle
        try:
            handle.with_descriptors(lambda: handle.with_reopening(lambda: self._documents.settle(sync=sync)))
        except OSError:
            self._syncer.retry(self)
            raise

    def used(self, is_error: bool, error_id: str | None) -> dict[str, Any]:
        """What the task came to so far, for its end line. Raises `OSError`."""
        return self._tally_of_all().used(is_error, error_id)

    def _tally_of_all(self, end: Line | None = None) -> Tally:
        """The tally of every process that worked on this task: ours, unless others wrote here too.

        Those of others are read; not again where only the ``end`` line was written since.
        """
        output = self._handle.files.get(AGENT_OUTPUT)
        # A process that writes here has begun with a process line in this file. `intact` looks at it again.
        if output is not None and self._bytes > 0 and (output.is_all_ours or (output.intact and output.is_all_ours)):
            return self.tally
        if end is None:
            # Files that are gone are not taken for those of others, or for empty ones.
            self.verify(wait_s=0.0)
        names = (AGENT_OUTPUT, WEBHOOK_FLOW, AGENT_OUTPUT + GZIP_SUFFIX, WEBHOOK_FLOW + GZIP_SUFFIX)
        on_disk = sum(size_of(self.path / name) for name in names)
        if on_disk == self._bytes:
            return self.tally
        read, others, lines = self._read, on_disk - self._bytes, self.tally.lines
        if read is not None and end is not None and read[1:] == (others, lines - 1):
            tally = read.tally
            tally.add(end)
        else:
            tally, reader = Tally(), TaskReader(self.path)
            for line in itertools.chain(reader.webhook_flow(), reader.events()):
                tally.add(line)
            self._read = _ReadTally(tally, others, lines)
        # Of lines that are gone the figures are known here, unless others wrote, too.
        return self.tally if self._lost.value and set(tally.writers) <= {self.task.event_ids.tag} else tally

    def write_artifact(self, data: bytes) -> str:
        """Keep a payload too large for a line; returns its sha256 in hex, which is its file name. Raises `OSError`."""
        return self._handle.with_descriptors(lambda: self._handle.with_reopening(lambda: self._write_artifact(data)))

    def _write_artifact(self, data: bytes) -> str:
        import hashlib  # loads OpenSSL, which costs as much as ten of our modules and is seldom needed

        digest = hashlib.sha256(data).hexdigest()
        directory, sync = self._handle.directory(), self._syncer.level is not Level.PROCESS
        made = make_directory(ARTIFACTS, directory)
        artifacts = open_directory(ARTIFACTS, directory)
        if made:
            system.fchmod(artifacts.fd, FOLDER_MODE)
        if has_file(artifacts, digest, len(data)):
            return digest
        replace_file(artifacts, digest, temp_name(digest, os.urandom(6).hex()), data, sync=sync)
        return digest


_living: WeakValues[TaskFolder] = WeakValues()


def folder_of(tag: str) -> TaskFolder | None:
    """The folder that this process writes into with a tag of event ids; ``None`` once nothing uses it any more."""
    return _living.get(tag)
