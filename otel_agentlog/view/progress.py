"""Says on a terminal how far something has got that takes more than a moment; says nothing anywhere else."""

from __future__ import annotations

import sys
import time
from typing import TextIO

FIRST_S = 0.5
"""What takes less than this, in seconds, needs no progress."""
INTERVAL_S = 0.1

_CLEAR = "\r\x1b[K"


class Progress:
    """One line on standard error that is written over; a context manager, which takes it away at the end."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._shown = False
        self._next_s = time.monotonic() + FIRST_S

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._shown:
            self._out.write(_CLEAR)
            self._out.flush()

    def show(self, text: str) -> None:
        """Show a safe text, now and then."""
        now = time.monotonic()
        if now >= self._next_s and self._out.isatty():
            self._next_s, self._shown = now + INTERVAL_S, True
            self._out.write(_CLEAR + text)
            self._out.flush()
