"""When to try a collector again that did not take what was sent: soon at first, then more and more rarely."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from otel_agentlog.export.transport.result import SendResult, Verdict

FIRST_WAIT_S = 0.5
MAX_WAIT_S = 15.0
"""Longest pause between two tries, in seconds, while no server answers or the collector is busy."""
MAX_REFUSED_WAIT_S = 300.0
"""Longest pause, in seconds, where a server answers and refuses everything."""


class Backoff:
    """The state of one collector for one signal: whether it may be tried now, and whether it has ever taken data."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self.until = 0.0
        """When the next try may be made, on the clock."""
        self.trusted = False
        """Whether the collector has taken anything since it last refused to."""
        self.answered = True
        """Whether the last failure was an answer, so that a short wait makes sense."""

    @property
    def ready(self) -> bool:
        """Whether something may be sent now."""
        return self._clock() >= self.until

    def succeeded(self) -> None:
        """The collector took something."""
        self._failures, self.until, self.trusted, self.answered = 0, 0.0, True, True

    def failed(self, result: SendResult) -> None:
        """The collector took nothing more."""
        self._failures += 1
        refused = result.verdict is Verdict.REFUSED
        first_s, most_s = (MAX_WAIT_S, MAX_REFUSED_WAIT_S) if refused else (FIRST_WAIT_S, MAX_WAIT_S)
        # Jitter, so that the processes of a host do not all come back at the same moment.
        spread = random.uniform(0.8, 1.2)  # noqa: S311 - nothing secret
        wait_s = min(most_s, first_s * 2.0 ** min(self._failures - 1, 20)) * spread
        if result.retry_after_s is not None:
            wait_s = max(FIRST_WAIT_S, result.retry_after_s)
        self.until = self._clock() + wait_s
        self.answered = result.answered and not refused
        self.trusted = self.trusted and not refused
