"""Reads files of JSON, however large: one value a line, or the elements of one array, or one object in several lines.

Memory is bounded by the longest value, which is at most `MAX_ROW_BYTES`. A file that grows is read on from where it was.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

import orjson

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt

MAX_ROW_BYTES = 64 * 1024 * 1024
"""Longest value that is read; a longer one counts as wrong."""

MAX_KEPT_BYTES = 64 * 1024
"""Of a wrong line so much is kept."""

_CHUNK = 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"


class Row(NamedTuple):
    """One value and the line that it begins in."""

    number: int
    value: Any


class Wrong(NamedTuple):
    """A line that cannot be used."""

    number: int
    reason: str
    data: bytes


Found: TypeAlias = Row | Wrong


class Rows:
    """The values of one file. `read` gives those that are there; called again, those that came since."""

    def __init__(self, path: Path) -> None:
        """Raises `OSError`; also for what is no regular file."""
        self.path = path
        descriptor = system.open(path.resolve(), system.READ)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise OSError(f"{path}: expected a file, found {stat.filemode(status.st_mode)}")
        self._raw = os.fdopen(descriptor, "rb")
        self._file: IO[bytes] = self._raw
        packed = self._raw.read(2) == _GZIP
        self._raw.seek(0)
        if packed:
            self._file = gzip.GzipFile(fileobj=self._raw)  # type: ignore[assignment]  # it reads bytes
        self.identity = (status.st_dev, status.st_ino)
        self.modified_ns, self.size_bytes = status.st_mtime_ns, status.st_size
        self._number, self._is_lines = 0, True
        self._begun = False
        self._left: list[bytes] = []
        """Of a line that is not complete yet, what was read."""
        self._left_bytes = 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._raw.close()

    def has_grown(self) -> bool:
        """Whether there is more to read. Raises `FileNotFoundError`, and `LookupError` where it is another file or was cut."""
        status = os.stat(self.path)
        if (status.st_dev, status.st_ino) != self.identity or status.st_size < self.size_bytes:
            raise LookupError(f"{self.path}: another file than before")
        grown = (status.st_size, status.st_mtime_ns) != (self.size_bytes, self.modified_ns)
        if grown and not (self._is_lines and isinstance(self._file, io.BufferedReader)):
            raise LookupError(f"{self.path}: changed as a whole")
        self.size_bytes, self.modified_ns = status.st_size, status.st_mtime_ns
        return grown

    def read(self, *, last: bool = True) -> Iterator[Found]:
        """Yield what is there, with a line that has no end yet only if it is the ``last`` time."""
        try:
            if not self._begun:
                self._begun = True
                self._is_lines = _is_lines(self._file)
                self._file.seek(0)
            yield from self._lines(last=last) if self._is_lines else self._document()
        except (EOFError, gzip.BadGzipFile, OSError) as error:
            raise_interrupt()
            yield Wrong(self._number + 1, f"the file cannot be read on: {error}", b"")

    def _lines(self, *, last: bool) -> Iterator[Found]:
        while data := self._file.readline(_CHUNK):
            if self._left_bytes <= MAX_ROW_BYTES:
                self._left.append(data)
            self._left_bytes += len(data)
            if data.endswith(b"\n"):
                yield from self._line(complete=True)
        if last and self._left:
            yield from self._line(complete=False)

    def _line(self, *, complete: bool) -> Iterator[Found]:
        data, size = b"".join(self._left), self._left_bytes
        self._left, self._left_bytes, self._number = [], 0, self._number + 1
        data = data.removeprefix(_BOM) if self._number == 1 else data
        if size > MAX_ROW_BYTES:
            yield Wrong(self._number, f"expected at most {MAX_ROW_BYTES:,} bytes, found {size:,}", data[:MAX_KEPT_BYTES])
        elif data.strip():
            what = "a JSON value" if complete else "a whole JSON value: the last line is not complete"
            yield _parsed(self._number, data, what)

    def _document(self) -> Iterator[Found]:
        """An array, element by element, or one object."""
        first = self._file.read(_CHUNK)
        if first.removeprefix(_BOM).lstrip()[:1] == b"[":
            self._file.seek(0)
            yield from _elements(self._file)
            return
        data = first + self._file.read(MAX_ROW_BYTES)
        if len(data) > MAX_ROW_BYTES:
            yield Wrong(1, f"expected one JSON value a line, or at most {MAX_ROW_BYTES:,} bytes; found one larger object", b"")
            return
        found = _parsed(1, data.removeprefix(_BOM), "a JSON value")
        if isinstance(found, Row):
            yield found
            return
        # Lines after all, the first of which is wrong.
        self._file.seek(0)
        self._is_lines = True
        yield from self._lines(last=True)


def _is_lines(file: IO[bytes]) -> bool:
    """Whether a file has a value a line: the first one is a value or the beginning of none, or the second one is a value."""
    texts = (line.removeprefix(_BOM).strip() for line in iter(lambda: file.readline(MAX_ROW_BYTES), b""))
    first, second, third = [*islice((text for text in texts if text), 3), b"", b"", b""][:3]
    if first[:1] not in (b"[", b"{") or isinstance(_parsed(1, first, ""), Row):
        return True
    # An array of one element may be written so, too.
    return second[:1] in (b"[", b"{") and isinstance(_parsed(1, second, ""), Row) and third[:1] != b"]"


def _parsed(number: int, data: bytes, what: str) -> Found:
    try:
        return Row(number, orjson.loads(data))
    except ValueError as error:
        raise_interrupt()
        wrong = Wrong(number, f"expected {what}, found {error}", data[:MAX_KEPT_BYTES])
    try:
        return Row(number, _read_leniently(data))
    except (ValueError, RecursionError):
        raise_interrupt()
        return wrong


def _read_leniently(data: bytes) -> Any:
    """What JavaScript and Python write that is no JSON by the letter: halves of characters become ``?``, NaN becomes ``None``."""
    value = json.loads(data, parse_constant=lambda name: None)
    return orjson.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


_OUTSIDE = re.compile(rb'["\[\]{},]')
_INSIDE = re.compile(rb'["\\]')


def _elements(file: IO[bytes]) -> Iterator[Found]:
    """The elements of the array that a file is."""
    scanner = _Scanner()
    while chunk := file.read(_CHUNK):
        yield from scanner.add(chunk)
    if not scanner.is_complete:
        yield Wrong(scanner.number, "expected the end of the array, found the end of the file", scanner.rest())


class _Scanner:
    """Finds where elements of an array end, by its brackets and quotes."""

    def __init__(self) -> None:
        self.number = 1
        self._begun_in = 1
        self._depth, self._in_text, self._escaped = 0, False, False
        self._pieces: list[bytes] = []
        self._size = 0
        self.is_complete = False

    def rest(self) -> bytes:
        """What was read of the element under way."""
        return b"".join(self._pieces)[:MAX_KEPT_BYTES]

    def add(self, chunk: bytes) -> Iterator[Found]:
        """Yield the elements that end in this chunk."""
        begin = at = 0
        if self._escaped:
            self._escaped, at = False, 1
        while (match := (_INSIDE if self._in_text else _OUTSIDE).search(chunk, at)) is not None:
            at = match.end()
            mark = match[0]
            if self._in_text:
                if mark == b"\\":
                    self._escaped, at = at >= len(chunk), at + 1
                else:
                    self._in_text = False
            elif mark == b'"':
                self._in_text = True
            elif self._is_end(mark):
                self._keep(chunk[begin : at - 1])
                begin = at
                yield from self._element()
        self._keep(chunk[begin:])

    def _is_end(self, mark: bytes) -> bool:
        """Whether an element ends here, or the array begins."""
        if mark in b"[{":
            self._depth += 1
            return self._depth == 1
        if mark in b"]}":
            self._depth -= 1
            self.is_complete = self.is_complete or self._depth == 0
            return self._depth == 0
        return self._depth == 1

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= MAX_ROW_BYTES:
            self._pieces.append(piece)

    def _element(self) -> Iterator[Found]:
        data, size, number = b"".join(self._pieces), self._size, self.number
        self.number += data.count(b"\n")
        self._pieces, self._size = [], 0
        number += data[: len(data) - len(data.lstrip())].count(b"\n")
        if size > MAX_ROW_BYTES:
            yield Wrong(number, f"expected at most {MAX_ROW_BYTES:,} bytes, found {size:,}", data[:MAX_KEPT_BYTES])
        elif data.removeprefix(_BOM).strip():
            yield _parsed(number, data, "a JSON value")
