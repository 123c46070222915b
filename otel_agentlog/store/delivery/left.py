"""Which items wait in which folders: a queue whose memory does not grow with the number of folders.

Past `MAX_FOLDERS` folders the rest stands in a file without a name, one JSON line a folder: ``[path, items]``. It ends with the
process; another one finds from the folders themselves what they have to send.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import orjson

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.store.delivery.item_set import ItemSet
from otel_agentlog.store.folder.files import Descriptor

MAX_FOLDERS = 500
"""Folders of which the items are held in memory; two or three such portions are there at the same time."""

MAX_UNWRITTEN = 20 * MAX_FOLDERS
"""The same where the file cannot be written. Past it the oldest are left to another process."""

_PIECE_BYTES = 1 << 18

_MAX_READ_BYTES = 1 << 20
"""A file of which this much was read, and more than is still to be read, is begun anew."""


class LeftItems:
    """A queue of folders with the items that wait there, those that wait for longest first. For one thread at a time.

    A signal handler or a finaliser may give items while its own thread is in here.
    """

    def __init__(self, failed: Callable[[str, BaseException], None]) -> None:
        """``failed`` is called with ``backlog`` and an error where folders could not be noted, or had to be forgotten."""
        self._failed = failed
        self._first: dict[str, ItemSet] = {}
        self._file: _LineQueue | None = None
        self._last: dict[str, ItemSet] = {}
        self._in_file = False
        """Whether this thread is reading or writing the file."""

    def __len__(self) -> int:
        """How many folders wait; one that was given again after it was written counts twice."""
        return len(self._first) + (0 if self._file is None else len(self._file)) + len(self._last)

    def items_of(self, home: str) -> ItemSet:
        """The set of items that wait in a folder, to be added to at once."""
        found = self._first.get(home)
        if found is None:
            found = self._last.get(home)
        if found is None:
            if len(self._last) >= MAX_FOLDERS:
                self._write(home)
            found = self._last[home] = ItemSet()
        return found

    def take(self, folders: int) -> dict[str, ItemSet]:
        """Take the items of the next folders, at most so many."""
        taken: dict[str, ItemSet] = {}
        while len(taken) < folders and (self._first or self._fill()):
            home = next(iter(self._first))
            items = self._first.pop(home)
            if home in taken:
                taken[home].merge(items)
            else:
                taken[home] = items
        return taken

    def _fill(self) -> bool:
        """Get the next portion into memory; whether there is one."""
        if self._file is not None and not self._in_file:
            self._read(self._file)
        if not self._first:
            self._first, self._last = self._last, {}
        return bool(self._first)

    def _read(self, file: _LineQueue) -> None:
        self._in_file = True
        try:
            lines = file.take(MAX_FOLDERS)
        except OSError as error:
            raise_interrupt()
            self._failed("backlog", error)
            lines, self._file = [], None
        finally:
            self._in_file = False
        for line in lines:
            home, items = orjson.loads(line)
            self._first.setdefault(home, ItemSet()).update(items)

    def _write(self, home: str) -> None:
        """Bring the newest portion into the file, which is in the folder around the tasks."""
        if self._in_file:
            return
        self._in_file = True
        portion, self._last = self._last, {}
        written = False
        try:
            if self._file is not None and not self._file.is_ours:
                self._failed("backlog", OSError(errno.EBADF, "other code closed the file"))
                self._file = None
            if self._file is None:
                self._file = _LineQueue(os.path.dirname(home))
            self._file.put([orjson.dumps([each, items.as_json()]) for each, items in portion.items()])
            written = True
        except OSError as error:
            raise_interrupt()
            if len(portion) >= MAX_UNWRITTEN:
                del portion[next(iter(portion))]
                self._failed("backlog", error)
        finally:
            if not written:
                for each, items in self._last.items():
                    portion.setdefault(each, ItemSet()).merge(items)
                self._last = portion
            self._in_file = False


class _LineQueue:
    """Lines in a file without a name: written at its end, read from its beginning. Raises `OSError`."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._file = self._new()
        self._read_to = self._written_to = self._lines = 0

    def _new(self) -> Descriptor:
        import tempfile  # takes longer to import than everything here, and is seldom used

        with tempfile.TemporaryFile(buffering=0, prefix=".left-", dir=self._directory) as file:
            return Descriptor(os.dup(file.fileno()))

    def __len__(self) -> int:
        return self._lines

    @property
    def is_ours(self) -> bool:
        """Whether the file is still open: other code may have closed its descriptor, and opened another file under the number."""
        return self._file.is_ours

    def put(self, lines: list[bytes]) -> None:
        # What a failed attempt has written lies behind the end, and is written over.
        self._written_to += _write_at(self._file, b"".join(line + b"\n" for line in lines), self._written_to)
        self._lines += len(lines)

    def take(self, most: int) -> list[bytes]:
        if not self.is_ours:
            raise OSError(errno.EBADF, "other code closed the file")
        data, wanted = b"", min(most, self._lines)
        while data.count(b"\n") < wanted:
            data += self._piece(self._file, self._read_to + len(data), _PIECE_BYTES)
        found = data.split(b"\n", wanted)[:wanted]
        self._read_to += sum(len(line) + 1 for line in found)
        self._lines -= wanted
        self._shorten()
        return found

    def _piece(self, file: Descriptor, offset: int, size: int) -> bytes:
        piece = system.pread(file.fd, size, offset)
        if not piece:
            raise OSError(errno.EIO, "a file is shorter than what was written into it")
        return piece

    def _shorten(self) -> None:
        rest = self._written_to - self._read_to
        if not rest:
            os.ftruncate(self._file.fd, 0)
            self._read_to = self._written_to = 0
        elif self._read_to > max(_MAX_READ_BYTES, rest):
            self._copy(rest)

    def _copy(self, size: int) -> None:
        copied = 0
        try:
            new = self._new()
            while copied < size:
                piece = self._piece(self._file, self._read_to + copied, min(_PIECE_BYTES, size - copied))
                copied += _write_at(new, piece, copied)
        except OSError:
            raise_interrupt()
            return  # no room for a copy now
        self._file, self._read_to, self._written_to = new, 0, size


def _write_at(file: Descriptor, data: bytes, offset: int) -> int:
    """Write all of it, and return how much that is."""
    view = memoryview(data)
    while view:
        written = system.pwrite(file.fd, view, offset)
        view, offset = view[written:], offset + written
    return len(data)
