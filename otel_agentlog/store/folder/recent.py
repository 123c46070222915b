"""The lines that were written last, kept in memory until it is known that their file is still there.

A file may be deleted, replaced or cut below the process that has it open; the kernel then takes further lines without an error.
To ask before each line would cost a system call a line. So the last ones are kept, never many, and those whose file turns out to
be gone are given back, to be written again.
"""

from __future__ import annotations

import time
from operator import itemgetter
from typing import TypeAlias

from otel_agentlog.store.folder.files import LineFile

CHECK_INTERVAL_S = 0.1
"""After how long, in seconds, the next line has the files checked first."""

MAX_RECENT_LINES = 64
MAX_RECENT_BYTES = 256 * 1024
"""So many lines, or bytes, at most are kept; then the files are checked."""


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
                self._lost += [(None, *line[1:]) for line in lines if line[0] in gone]
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
        """The lines, which are this thread's from then on. Nothing is called in between: each new line is in one of the lists."""
        lines = self.lines
        self.lines = []
        return lines

    @property
    def has_lost(self) -> bool:
        """Whether there are lines whose file was gone."""
        return bool(self._lost)

    def take_lost(self) -> list[RecentLine]:
        """The lines whose file was gone, to be written again."""
        lost, self._lost = self._lost, []
        return lost


def _is_intact(file: LineFile | None, known: dict[int, bool]) -> bool:
    found = known.get(id(file))
    return file is not None and file.intact if found is None else found


class Numbers:
    """Numbers of lines, as ranges in the order they came."""

    def __init__(self) -> None:
        self.ranges: list[list[int]] = []
        self.highest = 0

    def add(self, number: int) -> None:
        """Add one; where they come in order it costs no memory."""
        self.highest = max(self.highest, number)
        if self.ranges and self.ranges[-1][1] == number - 1:
            self.ranges[-1][1] = number
        else:
            self.ranges.append([number, number])

    def discard(self, number: int) -> None:
        """Take one out, if it is there."""
        if number > self.highest:
            return
        parts = [[[begin, min(end, number - 1)], [max(begin, number + 1), end]] for begin, end in self.ranges]
        self.ranges = [part for pair in parts for part in pair if part[0] <= part[1]]

    def replace(self, first: int, last: int, present: set[int]) -> None:
        """Have all from first to last that are not ``present``."""
        self.ranges, self.highest = [], 0
        for number in range(first, last + 1):
            if number not in present:
                self.add(number)

    def overlap(self, first: int, last: int) -> int:
        """How many there are from first to last."""
        return sum(max(0, min(last, end) - max(first, begin) + 1) for begin, end in self.ranges)
