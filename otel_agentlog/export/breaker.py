"""When to try a collector again that did not take what it was given: soon at first, then more and more rarely."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from otel_agentlog.export.outcome import Outcome, Verdict

FIRST_WAIT_S = 0.5
MAX_WAIT_S = 15.0
"""Longest pause between two tries, in seconds, while nobody is there or the collector is busy."""
MAX_REFUSED_WAIT_S = 300.0
"""Longest pause, in seconds, where somebody is there who takes nothing as things stand."""


class Breaker:
    """Open while the collector is to be left alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self.until = 0.0
        """When the next try may be made, on the clock."""
        self.trusted = False
        """Whether the collector has taken anything since it last refused to."""
        self.answered = True
        """Whether the last failure was an answer, so that waiting for a moment is worth while."""

    @property
    def ready(self) -> bool:
        """Whether something may be sent now."""
        return self._clock() >= self.until

    def succeeded(self) -> None:
        """The collector took something."""
        self._failures, self.until, self.trusted, self.answered = 0, 0.0, True, True

    def failed(self, outcome: Outcome) -> None:
        """The collector took nothing more."""
        self._failures += 1
        refused = outcome.verdict is Verdict.REFUSED
        first_s, most_s = (MAX_WAIT_S, MAX_REFUSED_WAIT_S) if refused else (FIRST_WAIT_S, MAX_WAIT_S)
        # So that the processes of a host do not all come back at the same moment.
        spread = random.uniform(0.8, 1.2)  # noqa: S311 - nothing secret
        wait_s = min(most_s, first_s * 2.0 ** min(self._failures - 1, 20)) * spread
        if outcome.retry_after_s is not None:
            wait_s = max(FIRST_WAIT_S, outcome.retry_after_s)
        self.until = self._clock() + wait_s
        self.answered = outcome.answered and not refused
        self.trusted = self.trusted and not refused
