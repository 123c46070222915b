"""Upkeep beside the program that records: a daemon thread, at most once an hour per root, a bounded time per run.

Nothing waits for it and it waits for nobody: it takes turns with other processes by a lock file, works in short stretches with
pauses between, and may be killed at any moment with the interpreter.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from otel_agentlog.store.retention import Limits
from otel_agentlog.store.upkeep import prune
from otel_agentlog.store.upkeep_report import PruneReport

RUN_S = 30.0
"""Longest time, in seconds, for one run; what is left is for the next one."""

RETRY_S = 60.0
"""Seconds until the next run where time was over, or until one looks again whether it is one's turn."""

STRETCH_S = 0.005
"""Seconds of work before a pause of the same length, so that the program's own threads get the interpreter."""

STOP_WAIT_S = 0.5
"""Longest time, in seconds, that `Upkeep.stop` waits for the thread."""


class Upkeep:
    """Keeps one root in order while the process lives. Use: `start`, and `stop` at the end."""

    def __init__(
        self,
        root: Path,
        limits: Limits,
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
        thread = threading.Thread(target=self._work, name="agentlog-upkeep", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._failed("upkeep", error)  # no more threads
        else:
            self._thread = thread

    def stop(self) -> None:
        """End the thread, at the next pause; within `STOP_WAIT_S` even if it does not listen."""
        # The child of a fork has no such thread, and what the event was doing at that moment nobody knows.
        if self._thread is not None and os.getpid() == self._pid:
            self._stopped.set()
            self._thread.join(STOP_WAIT_S)

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                report = prune(self._root, self._limits, only_if_due=True, spent=_Pace(self._stopped, self._run_s))
                if report.ran:
                    self._done(report)
            except Exception as error:  # noqa: BLE001  whatever it is must not end the thread silently, nor reach the program
                self._failed("upkeep", error)
            self._stopped.wait(self._retry_s)


class _Pace:
    """Says when the time for a run is over, and pauses now and then when asked."""

    def __init__(self, stopped: threading.Event, run_s: float) -> None:
        self._stopped = stopped
        self._deadline = time.monotonic() + run_s
        self._worked_since = time.monotonic()

    def __call__(self) -> bool:
        if time.monotonic() - self._worked_since >= STRETCH_S:
            self._stopped.wait(STRETCH_S)
            self._worked_since = time.monotonic()
        return self._stopped.is_set() or time.monotonic() >= self._deadline
