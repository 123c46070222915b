"""The lines that were written last, kept in memory until it is known that their file is still there.

A file may be deleted, replaced or cut below the process that has it open; the kernel then takes further lines without an error.
To ask before each line would cost a system call a line. So the last ones are kept, never many, and those whose file turns out to
be gone are given back, to be written again.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable
from functools import partial
from operator import itemgetter
from typing import TypeAlias

from otel_agentlog._interrupts import Replaced
from otel_agentlog.store.folder.files import LineFile

CHECK_INTERVAL_S = 0.1
"""After how long, in seconds, the next line has the files checked first."""

MAX_RECENT_LINES = 64
MAX_RECENT_BYTES = 256 * 1024
"""So many lines, or bytes, at most are kept; then the files are checked."""


Ranges: TypeAlias = "tuple[tuple[int, int], ...]"

RecentLine: TypeAlias = "tuple[LineFile | None, str, str, bytes]"
"""A line as it was written: where, ``None`` where that no longer matters, as each file holds a descriptor; the file's name; the
line's ``event_id``; its bytes. A plain tuple, as one is made of every line."""


_file_of, _data_of = itemgetter(0), itemgetter(3)


class RecentLines:
    """Lines since the last check. Safe from any thread and in signal handlers, without a lock; one thread at a time checks."""

    def __init__(self) -> None:
        self.lines: list[RecentLine] = []
        """Appended to by the writer itself, as every line passes here."""
        self.size_bytes = 0
        self.check_at = 0.0
        """When to check next, on the monotonic clock."""
        self._lost: list[RecentLine] = []

    def check(self, intact: dict[int, bool]) -> bool:
        """Forget the lines whose file has them; false if there are others, which `take_lost` gives.

        ``intact`` has what is known of files, by their `id`; each other file costs one ``fstat``.
        """
        self.check_at = time.monotonic() + CHECK_INTERVAL_S
        lines = self._take()
        try:
            gone = [file for file in set(map(_file_of, lines)) if not _is_intact(file, intact)]
            if gone:
                lost: list[RecentLine] = [(None, *line[1:]) for line in lines if line[0] in gone]
                self._lost += lost
        except BaseException:  # a signal handler may raise anything
            self.lines[:0] = lines
            raise
        size = sum(map(len, map(_data_of, lines)))
        self.size_bytes -= size
        return not self._lost

    def forget(self, file: LineFile) -> bool:
        """Forget them all, if they are in this file and it has them; else do nothing. Safe from any thread."""
        self.check_at = time.monotonic() + CHECK_INTERVAL_S
        lines = self._take()
        try:
            if file.intact and {file}.issuperset(map(_file_of, lines)):
                size = sum(map(len, map(_data_of, lines)))
                self.size_bytes -= size
                return True
        except BaseException:  # a signal handler may raise anything
            self.lines[:0] = lines
            raise
        self.lines[:0] = lines
        return False

    def _take(self) -> list[RecentLine]:
        """The lines, which are this thread's from then on: each new line is in one of the lists, and each list one thread's."""
        # Made first: nothing is called, and nothing made, between the two.
        empty: list[RecentLine] = []
        lines, self.lines = self.lines, empty
        return lines

    @property
    def has_lost(self) -> bool:
        """Whether there are lines whose file was gone."""
        return bool(self._lost)

    def take_lost(self) -> list[RecentLine]:
        """The lines whose file was gone, to be written again."""
        empty: list[RecentLine] = []
        lost, self._lost = self._lost, empty
        return lost


def _is_intact(file: LineFile | None, known: dict[int, bool]) -> bool:
    found = known.get(id(file))
    return file is not None and file.intact if found is None else found


class Numbers(Replaced[Ranges]):
    """Numbers of lines, as ranges in order: the ``value`` has first and last number of each."""

    def __init__(self) -> None:
        super().__init__(())

    @property
    def highest(self) -> int:
        """The highest; 0 if there is none."""
        ranges = self.value
        return ranges[-1][1] if ranges else 0

    def add(self, number: int) -> None:
        """Add one; those that follow each other cost no memory."""
        self.replace(lambda ranges: _joined(ranges, number))

    def discard(self, ranges: Ranges) -> None:
        """Take out those of these ranges that are there."""
        for first, last in ranges:
            if first <= self.highest:
                self.replace(partial(_without, first=first, last=last))

    def overlap(self, first: int, last: int) -> int:
        """How many there are from first to last."""
        return sum(max(0, min(last, end) - max(first, begin) + 1) for begin, end in self.value)


def ranges_of(numbers: Iterable[int]) -> Ranges:
    """The ranges of numbers that come in order."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return tuple(found)


def _joined(ranges: Ranges, number: int) -> Ranges:
    at = bisect_left(ranges, (number + 1,))
    first, last = number, number
    begin, end = at, at
    if at and ranges[at - 1][1] >= number - 1:
        begin, first, last = at - 1, ranges[at - 1][0], max(number, ranges[at - 1][1])
    if at < len(ranges) and ranges[at][0] == last + 1:
        end, last = at + 1, ranges[at][1]
    return (*ranges[:begin], (first, last), *ranges[end:])


def _without(ranges: Ranges, first: int, last: int) -> Ranges:
    parts = (((begin, min(end, first - 1)), (max(begin, last + 1), end)) for begin, end in ranges)
    return tuple(part for pair in parts for part in pair if part[0] <= part[1])
