"""Recovery in the background of a program that records: once at its start, for a bounded time; may be cut off at any moment."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from otel_agentlog._interrupts import OwnThread, raise_interrupt
from otel_agentlog.store.recovery.recover import Recovered, recover
from otel_agentlog.store.recovery.repair_lines import Attributes

RUN_S = 30.0
"""Longest time, in seconds; the rest is left to the next start, or to ``agentlog recover``."""

STRETCH_S = 0.005
"""Seconds of work before a pause of the same length, so that the program's own threads get the interpreter."""


class BackgroundRecovery:
    """Repairs one root once. Use: `start`, and `stop` at the end."""

    def __init__(
        self,
        root: Path,
        attributes: Attributes,
        *,
        done: Callable[[Recovered], None] = lambda report: None,
        failed: Callable[[str, BaseException], None] = lambda where, error: None,
    ) -> None:
        """``attributes`` as for `recover`; ``done`` is given the report, ``failed`` what went wrong, both from the thread."""
        self._root, self._attributes, self._done, self._failed = root, attributes, done, failed
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._deadline = self._worked_since = 0.0

    def start(self) -> None:
        """Begin, if there is anything to repair. Raises nothing."""
        if not os.path.isdir(self._root):
            return
        self._thread = OwnThread(self._work, "agentlog-recovery")
        try:
            self._thread.start()
        except RuntimeError as error:
            raise_interrupt()
            self._failed("recovery", error)  # no more threads

    def stop(self) -> None:
        """Have it end after the task under repair; does not wait."""
        self._stopped = True

    def join(self, timeout_s: float) -> None:
        """Wait until it has ended, at most this long."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _work(self) -> None:
        self._deadline = time.monotonic() + RUN_S
        try:
            self._done(recover(self._root, attributes=self._attributes, spent=self._spent))
        except Exception as error:  # noqa: BLE001 - an error of recovery must not reach the program
            self._failed("recovery", error)

    def _spent(self) -> bool:
        now = time.monotonic()
        if now - self._worked_since >= STRETCH_S:
            time.sleep(STRETCH_S)
            self._worked_since = time.monotonic()
        return self._stopped or now >= self._deadline
