"""What became of everything recorded in this process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Receipt:
    """What became of everything recorded in this process; counts OTLP items (a finished span or a log record)."""

    recorded: int
    delivered: int
    pending: int
    dropped: int
    redacted: int
    truncated: int
    in_time: bool
    """Whether everything that was queued could be tried within the time allowed."""
