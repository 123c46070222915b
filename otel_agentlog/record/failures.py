"""What could not be recorded: counted, and reported once a minute."""

from __future__ import annotations

import time
from collections.abc import Callable

WARNING_INTERVAL_S = 60.0
"""Shortest time between two reports, in seconds."""


class Failures:
    """Counts by place; made before anything that can fail, and shared by all of it. Safe from any thread."""

    def __init__(self, warn: Callable[[str], None] = lambda text: None) -> None:
        self.counts: dict[str, int] = {}
        """How often something failed, by where it did: ``folder``, ``processor``, ``span`` …"""
        self._warn = warn
        self._warned_at = -WARNING_INTERVAL_S

    def note(self, where: str, error: BaseException) -> None:
        """Count an error, and report the counts unless that was done less than a minute ago. Names types, never values."""
        self.counts[where] = self.counts.get(where, 0) + 1
        now = time.monotonic()
        if now - self._warned_at < WARNING_INTERVAL_S:
            return
        self._warned_at = now
        counts = ", ".join(f"{name}: {count}" for name, count in sorted(self.counts.items()))
        try:
            self._warn(f"otel_agentlog could not record everything ({counts}); last: {type(error).__name__}")
        except Exception:  # noqa: BLE001, S110 - a warning that cannot be given must not reach the agent either
            pass
