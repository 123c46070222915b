"""Pruning in the background of a program that records: at most once an hour, in short stretches; may be cut off at any moment."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from otel_agentlog._interrupts import OwnThread, raise_interrupt
from otel_agentlog._platform.fork import forks_wait
from otel_agentlog.store.retention.policy import RetentionLimits

if TYPE_CHECKING:
    from otel_agentlog.store.retention.report import PruneReport

RUN_S = 30.0
"""Longest time, in seconds, for one run; what is left is for the next one."""

RETRY_S = 60.0
"""Seconds until the next run where time was over, or until the lock is tried again."""

STRETCH_S = 0.005
"""Seconds of work before a pause of the same length, so that the program's own threads get the interpreter."""

STOP_WAIT_S = 0.5
"""Longest time, in seconds, that `BackgroundPruning.stop` waits for the thread."""


class BackgroundPruning:
    """Prunes one root on a daemon thread, until `stop` or the end of the process. Use: `start`, and `stop` at the end.

    At most one run an hour over all processes, each of bounded time, in short stretches with pauses between. No other thread
    waits for it, and it may be killed at any moment with the interpreter.
    """

    def __init__(
        self,
        root: Path,
        limits: RetentionLimits,
        *,
        done: Callable[[PruneReport], None],
        failed: Callable[[str, Exception], None],
        run_s: float = RUN_S,
        retry_s: float = RETRY_S,
    ) -> None:
        """``done`` is given the report of each run, ``failed`` what went wrong; both from the thread."""
        self._root, self._limits, self._done, self._failed = root, limits, done, failed
        self._run_s, self._retry_s = run_s, retry_s
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def start(self) -> None:
        """Begin, if any limit is set. Raises nothing."""
        if not self._limits.is_set or self._thread is not None:
            return
        thread = OwnThread(self._work, "agentlog-upkeep")
        try:
            thread.start()
        except RuntimeError as error:
            raise_interrupt()
            self._failed("upkeep", error)  # no more threads
        else:
            self._thread = thread

    def stop(self) -> None:
        """End the thread, at the next pause; within `STOP_WAIT_S` even if it does not listen."""
        # The child of a fork has no such thread, and the state of the event at that moment is unknown.
        if self._thread is not None and os.getpid() == self._pid:
            self._stopped.set()
            self._thread.join(STOP_WAIT_S)

    def _work(self) -> None:
        # Most programs set no limit, and have no use for all of this. The child of a fork could not import what is half imported.
        with forks_wait():
            from otel_agentlog.store.retention.prune import prune

        while not self._stopped.is_set():
            try:
                report = prune(self._root, self._limits, only_if_due=True, spent=_Pace(self._stopped, self._run_s))
                if report.ran:
                    self._done(report)
            except Exception as error:  # noqa: BLE001 - no error may end the thread silently, nor reach the program
                self._failed("upkeep", error)
            self._stopped.wait(self._retry_s)


class _Pace:
    """A `Spent`: whether the time for a run is over. Pauses now and then when called."""

    def __init__(self, stopped: threading.Event, run_s: float) -> None:
        self._stopped = stopped
        self._deadline = time.monotonic() + run_s
        self._worked_since = time.monotonic()

    def __call__(self) -> bool:
        if time.monotonic() - self._worked_since >= STRETCH_S:
            self._stopped.wait(STRETCH_S)
            self._worked_since = time.monotonic()
        return self._stopped.is_set() or time.monotonic() >= self._deadline
