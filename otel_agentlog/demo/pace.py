"""Waits that people can watch, taken in small pieces so that whoever wants to pause or stop the agent gets between them."""

from __future__ import annotations

import time
from dataclasses import dataclass

import otel_agentlog as agentlog

PIECE_S = 0.1
"""Longest single sleep, in seconds."""


@dataclass(frozen=True)
class Pace:
    """How much of the visible waits is really waited: nothing in the plain demo, all of it with ``--slow``."""

    slow: bool

    def show(self, seconds: float) -> None:
        """A wait that is only there to be watched."""
        if self.slow:
            self.wait(seconds)

    def wait(self, seconds: float) -> None:
        """A wait that is needed; the task can be paused and cancelled in it."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(PIECE_S, left))
            agentlog.checkpoint()
