"""Sliding windows of bounded size: sums by parts of the window, and samples for percentiles."""

from __future__ import annotations

import math
from collections import deque

PARTS = 60
"""A window of sums moves in this many parts: it is exact to a sixtieth of its length."""

MAX_SAMPLES = 5_000
"""Most samples of a window; past it the oldest go first, and the window is shorter for it."""


class Sums:
    """Number of samples in the last ``window_s`` seconds, and the sum of their values."""

    def __init__(self, window_s: float) -> None:
        self._part_ns = max(1, int(window_s * 1e9) // PARTS)
        self._parts: dict[int, list[float]] = {}

    def add(self, time_ns: int, weight: float = 0.0) -> None:
        """Add a sample."""
        part = self._parts.setdefault(time_ns // self._part_ns, [0, 0.0])
        part[0] += 1
        part[1] += weight
        if len(self._parts) > 2 * PARTS:
            # A rule that is switched off is not evaluated.
            self._live(time_ns)

    def count(self, now_ns: int) -> int:
        """How many there were."""
        return int(sum(part[0] for part in self._live(now_ns)))

    def sum(self, now_ns: int) -> float:
        """The sum of their values."""
        return math.fsum(part[1] for part in self._live(now_ns))

    def _live(self, now_ns: int) -> list[list[float]]:
        oldest = now_ns // self._part_ns - PARTS
        # Clocks go backwards, too: what lies ahead counts until it is behind.
        for index in [index for index in self._parts if index <= oldest]:
            del self._parts[index]
        return list(self._parts.values())


class Samples:
    """The values of the last ``window_s`` seconds."""

    def __init__(self, window_s: float) -> None:
        self._window_ns = int(window_s * 1e9)
        self._samples: deque[tuple[int, float]] = deque(maxlen=MAX_SAMPLES)

    def add(self, time_ns: int, value: float) -> None:
        """One value more."""
        self._samples.append((time_ns, value))

    def count(self, now_ns: int) -> int:
        """How many there are."""
        return len(self._live(now_ns))

    def maximum(self, now_ns: int) -> float:
        """The largest; 0 if there is none."""
        return max(self._live(now_ns), default=0.0)

    def above(self, limit: float, now_ns: int) -> int:
        """How many are greater."""
        return sum(value > limit for value in self._live(now_ns))

    def percentile_95(self, now_ns: int) -> float:
        """The smallest value that 95 % of all are not above (nearest rank); 0 if there is none."""
        values = sorted(self._live(now_ns))
        return values[max(0, math.ceil(len(values) * 95 / 100) - 1)] if values else 0.0

    def _live(self, now_ns: int) -> list[float]:
        while self._samples and self._samples[0][0] <= now_ns - self._window_ns:
            self._samples.popleft()
        return [value for _, value in self._samples]
