"""Finds the records in bytes that may be damaged.

A file is split on newlines only (a NUL also ends a line: it is never part of JSON, and power cuts leave blocks of it). A line
that is not one JSON object is searched for whole records by the prefix every record has; the rest is skipped and counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator

import orjson

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass, lazy_pattern
from otel_agentlog.store.folder.layout import RECORD_PREFIX
from otel_agentlog.vocabulary.lines import Line

MAX_READ_LINE_BYTES = 64 * 1024 * 1024
"""Longest line that is read; a longer one is skipped without being held in memory."""

MAX_DEPTH = 200
"""Deepest nesting of a record that is read: below what an encoder can write again (254) and Python can walk (1000)."""

MAX_SKIPPED_LISTED = 100
"""How many skipped pieces of a file are described; all are counted."""

_MAX_GARBAGE_BYTES = 1024 * 1024
_MAX_FAILED_SEARCHES = 64
_NULS = lazy_pattern(rb"\0+")
_BRACKETS = lazy_pattern(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_TEXT_PREFIX = RECORD_PREFIX.decode("ascii")
_decoder = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Skipped:
    """A piece of a file that was not read."""

    file: str
    number: int
    """Line number, from 1; 0 if it concerns the whole file."""
    offset: int
    """Where the line begins, in uncompressed bytes."""
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.number}: {self.reason}" if self.number else f"{self.file}: {self.reason}"


def parse_object(raw: bytes | bytearray) -> Line | str:
    """Return the JSON object in `raw`, or in one sentence why it is not read."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return f"not JSON: {error.msg}"
    if type(value) is not dict:
        return f"expected a JSON object, found {type(value).__name__}"
    # Counting is cheap and finds nearly every line innocent.
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _depth(raw) > MAX_DEPTH:
        return f"nested deeper than {MAX_DEPTH}"
    return value


def _depth(raw: bytes | bytearray) -> int:
    depth = deepest = 0
    for token in _BRACKETS.finditer(raw):
        first = raw[token.start()]
        if first in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif first in b"}]":
            depth -= 1
    return deepest


class LineReader:
    """Iterate over the records of a file. One pass; not for several threads.

    `source` opens the file: it is given a function to report why the file cannot be read any further, and returns its bytes in
    chunks. In `live` mode a last line without a newline is left for later, as a process may still be writing it; otherwise it
    is read if it is whole.
    """

    def __init__(
        self,
        source: Callable[[Callable[[str], None]], Iterable[bytes]],
        *,
        file: str = "",
        offset: int = 0,
        live: bool = False,
        max_line_bytes: int = MAX_READ_LINE_BYTES,
    ) -> None:
        self.file = file
        self.offset = self._end = offset
        """Where the next line begins, in uncompressed bytes: the place to go on from."""
        self.number = 0
        """Number of the line last read, from 1."""
        self.bad = 0
        """Lines that were skipped, wholly or in part."""
        self.recovered = 0
        """Records found again in such lines."""
        self.nul_bytes = 0
        """NUL bytes passed over."""
        self.skipped: list[Skipped] = []
        """The first `MAX_SKIPPED_LISTED` skipped pieces."""
        self._source = source
        self._live = live
        self._max_line_bytes = max_line_bytes
        self._pending = bytearray()
        self._too_long = False

    def __iter__(self) -> Iterator[Line]:
        for chunk in self._source(self.complain):
            if b"\0" in chunk:
                yield from self._with_nuls(chunk)
            else:
                yield from self._feed(chunk)
        if not self._live:
            yield from self._break("ends within a line")

    def _feed(self, chunk: bytes) -> Iterator[Line]:
        *pieces, rest = chunk.split(b"\n")
        begin, number = self._end, self.number
        for piece in pieces:
            number += 1
            if piece or self._pending:
                self.number = number
                yield from self._line(piece)
            begin += len(piece) + 1
            self.offset = begin
        self.number = number
        self._end += len(chunk)
        self._hold(rest)

    def _with_nuls(self, chunk: bytes) -> Iterator[Line]:
        """Read a chunk with NUL bytes in it: they end what is before them, but are no newline."""
        runs = [(0, len(chunk))] if chunk.count(0) == len(chunk) else [match.span() for match in _NULS.finditer(chunk)]
        done = 0
        for begin, end in runs:
            yield from self._feed(chunk[done:begin])
            yield from self._break("ends in NUL bytes")
            self.nul_bytes += end - begin
            self._end += end - begin
            self.offset = self._end
            done = end
        yield from self._feed(chunk[done:])

    def _break(self, reason: str) -> Iterator[Line]:
        """Read what is pending as a line, though no newline ends it."""
        if self._pending:
            self.number += 1
            yield from self._line(b"", reason)
            self.number -= 1
            self.offset = self._end

    def skip(self, reason: str) -> None:
        """Note that the line at hand was skipped."""
        self.bad += 1
        self.complain(reason, self.number)

    def complain(self, reason: str, number: int = 0) -> None:
        """Note why something is missing, without counting a line."""
        if len(self.skipped) < MAX_SKIPPED_LISTED:
            self.skipped.append(Skipped(self.file, number, self.offset, reason))

    def _hold(self, rest: bytes) -> None:
        """Keep the beginning of a line that goes on in the next chunk."""
        self._pending += rest
        size = len(self._pending)
        is_object = self._pending[:16].lstrip(_BLANK + _BOM)[:1] == b"{"
        if size > (self._max_line_bytes if is_object else _MAX_GARBAGE_BYTES):
            self._too_long = True
            # Only a record glued behind can be of use now. Searching the second half drops at least half each time.
            later = self._pending.find(RECORD_PREFIX, size // 2 if is_object else 1)
            del self._pending[: later if later >= 0 else size - len(RECORD_PREFIX)]

    def _line(self, piece: bytes, torn: str | None = None) -> Iterable[Line]:
        raw: bytes | bytearray = piece
        if self._pending:
            raw, self._pending = self._pending, bytearray()
            raw += piece
        found = parse_object(raw)
        if isinstance(found, dict) and not self._too_long:
            return (found,)
        return self._damaged(raw, torn or str(found))

    def _damaged(self, raw: bytes | bytearray, reason: str) -> Iterable[Line]:
        """Return the records to be had from a line that is not one; none, uncounted, from a blank one."""
        if self._too_long:
            reason, self._too_long = f"longer than {self._max_line_bytes} bytes, or no JSON", False
        elif self.number == 1 and raw.startswith(_BOM):
            return self._line(bytes(raw[len(_BOM) :]))
        elif not raw.strip(_BLANK):
            return ()
        self.skip(reason)
        return self._search(raw)

    def _search(self, raw: bytes | bytearray) -> Iterator[Line]:
        for line in _embedded(raw):
            self.recovered += 1
            yield line


def _embedded(raw: bytes | bytearray) -> Iterator[Line]:
    """Yield the whole records inside a line that is not one.

    Inside a JSON string the prefix would have backslashes, so what is found is a record, or an object nested in a torn
    one. Records carry an ``event_id`` or, in ``control.jsonl``, a ``request``; span events and other nested objects do not.
    """
    # Latin-1: one character a byte, so that positions are those of `raw` and no byte is in the way.
    text = raw.decode("latin-1")
    position, failures, budget = 0, 0, 4 * len(text)
    while (start := text.find(_TEXT_PREFIX, position)) >= 0:
        if failures >= _MAX_FAILED_SEARCHES or budget < 0:
            start = text.rfind(_TEXT_PREFIX)
        end = _end_of_object(text, start)
        line = parse_object(raw[start:end]) if end > 0 else ""
        if isinstance(line, dict) and ("event_id" in line or "request" in line):
            yield line
        if end > 0:
            position = end
        else:
            failures, budget, position = failures + 1, budget + end, start + len(_TEXT_PREFIX)


def _end_of_object(text: str, start: int) -> int:
    """Return where the JSON object at `start` ends; if it does not, minus the number of characters read."""
    try:
        return _decoder.raw_decode(text, start)[1]
    except json.JSONDecodeError as error:
        return start - max(error.pos, start + 1)
    except (ValueError, RecursionError):
        raise_interrupt()
        # Numbers of thousands of digits, nesting beyond all reason.
        return start - len(text)
