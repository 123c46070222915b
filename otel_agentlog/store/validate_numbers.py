"""Hides how missing and repeated event numbers are found, in memory that grows with the gaps and not with the lines."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

IN_FLIGHT = 64
"""Numbers before a dead writer's last one that may have been given out to other threads and not been written yet."""


class Gap(NamedTuple):
    """Numbers that are missing, both ends included."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"


class Numbers:
    """The numbers seen of one writer tag, in any order."""

    def __init__(self) -> None:
        self.highest = -1
        self._firsts: list[int] = []
        self._gaps: list[Gap] = []

    def add(self, number: int) -> bool:
        """Note a number; return whether it is new."""
        if number > self.highest:
            if number > self.highest + 1:
                self._firsts.append(self.highest + 1)
                self._gaps.append(Gap(self.highest + 1, number - 1))
            self.highest = number
            return True
        place = bisect_right(self._firsts, number) - 1
        if place < 0 or number > self._gaps[place].last:
            return False
        self._fill(place, number)
        return True

    def gaps(self) -> Iterator[Gap]:
        """Yield what is missing, in order."""
        return iter(self._gaps)

    def is_in_flight(self, gap: Gap) -> bool:
        """Whether a gap lies so near the end that a dying process explains it."""
        return gap.first > self.highest - IN_FLIGHT

    def _fill(self, place: int, number: int) -> None:
        gap = self._gaps[place]
        left = [Gap(gap.first, number - 1)] if number > gap.first else []
        right = [Gap(number + 1, gap.last)] if number < gap.last else []
        self._gaps[place : place + 1] = left + right
        self._firsts[place : place + 1] = [part.first for part in left + right]
