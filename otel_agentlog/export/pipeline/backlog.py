"""Sends from folders what is not queued in memory: this process's own overflow, and what dead processes left behind.

It runs on a thread of its own, one batch at a time, only when nothing live waits and only while the collector takes something.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog.export.pipeline.bisect import Parts
from otel_agentlog.export.pipeline.items import Deliver, Item
from otel_agentlog.export.pipeline.signal_queue import NOT_NOW
from otel_agentlog.export.pipeline.worker import STUCK_S, DeliveryWorker
from otel_agentlog.export.pipeline.workers import WorkerThread

FIRST_SCAN_S = 0.3
"""Seconds from the start of a process to its first scan for items that dead processes left."""
SCAN_INTERVAL_S = 300.0
"""Seconds between two scans for items that dead processes left."""
LAST_SCAN_S = 1.0
"""Longest time, in seconds, that the end of a process waits for its scan."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_TRIES, _RETRY_S = 5, 0.5


class Backlog(Protocol):
    """What waits in folders; implemented in `otel_agentlog.wiring`, where the folders are known."""

    @property
    def has_left(self) -> bool:
        """Whether something of this process waits there."""

    def ship_left(self, deliver: Deliver) -> bool:
        """Send that; whether anything was taken. Raises nothing that costs what waits."""

    def ship_others(self, deliver: Deliver) -> None:
        """Send what dead processes left."""


class EmptyBacklog:
    """The backlog where no folders are written."""

    has_left = False

    def ship_left(self, deliver: Deliver) -> bool:
        return False

    def ship_others(self, deliver: Deliver) -> None:
        pass


class CatchUp:
    """Works off a backlog whenever the delivery worker is idle."""

    def __init__(
        self, worker: DeliveryWorker, backlog: Backlog, failed: Callable[[str, BaseException], None], *, others: bool
    ) -> None:
        """With ``others`` it sends what dead processes left, too."""
        self._worker, self._backlog, self._failed = worker, backlog, failed
        self._others_wanted = others
        self._start_anew()
        after_fork_in_child(self.renew_after_fork)

    def renew_after_fork(self) -> None:
        """In the child of a fork: the parent sends what others left."""
        self._others_wanted = False
        self._start_anew()

    def _start_anew(self) -> None:
        self._thread = WorkerThread("agentlog-catchup")
        self._startable = [None]
        """Popped by the caller that sends what is left; popping a list is atomic."""
        self._finishing: deque[threading.Event] = deque()
        """Set when what `finish` asked for is done, in that order."""
        self._scanned = threading.Event()
        self._wanted_scans = 0
        self._stop = threading.Event()
        self._not_before = 0.0
        self._pause_s = _FIRST_PAUSE_S

    # -- when -------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to scan for items that dead processes left."""
        if self._others_wanted:
            self._worker.at(FIRST_SCAN_S, self._scan)

    def scan_again(self) -> None:
        """Scan at once: there is more to be found than at the last scan."""
        if self._others_wanted:
            self._wanted_scans += 1
            self._scanned.clear()
            self._worker.at(0.0, self._scan_now)

    def on_idle(self) -> None:
        """Send what this process left, if it is time to: nothing live waits."""
        if self._backlog.has_left and time.monotonic() >= self._not_before:
            try:
                self._startable.pop()
            except IndexError:
                raise_interrupt()
                return
            self._thread.do(lambda: self._run(self._ship_left, lambda: self._startable.append(None)))

    def finish(self, deadline: float) -> bool:
        """Send what is left of this process before ``deadline`` (monotonic); whether there was time for all of it."""
        is_shipping = not self._startable
        if not self._worker.ready or not (self._backlog.has_left or is_shipping):
            return True
        finishing = self._finishing
        if len(finishing) < 2:
            # Behind what is under way already.
            finished = threading.Event()
            finishing.append(finished)
            self._thread.do(lambda: self._run(self._ship_left, lambda: finishing.popleft().set()))
        else:
            # One that has not begun does for all who ask meanwhile, as may happen for hours while no collector answers.
            finished = finishing[-1]
        return finished.wait(max(0.0, deadline - time.monotonic()))

    def last_scan(self, deadline: float) -> None:
        """Before the process ends: scan, for at most `LAST_SCAN_S`, if no scan has finished yet."""
        if self._others_wanted and not self._scanned.is_set() and self._worker.ready:
            self._scan_now()
            self._scanned.wait(max(0.0, min(LAST_SCAN_S, deadline - time.monotonic())))

    def stop(self) -> None:
        """End what is under way; it is sent another time."""
        self._stop.set()
        self._thread.stop()

    @property
    def _stopped(self) -> bool:
        return self._stop.is_set()

    # -- what -------------------------------------------------------------------------------------------------------------

    def _scan(self) -> None:
        self._scan_now()
        self._worker.at(SCAN_INTERVAL_S, self._scan)

    def _scan_now(self) -> None:
        scan = self._wanted_scans

        def finished() -> None:
            # A scan that began before `scan_again` has not seen what is there since.
            if scan == self._wanted_scans:
                self._scanned.set()

        self._thread.do(lambda: self._run(self._ship_others, finished))

    def _run(self, work: Callable[[], None], finished: Callable[[], object]) -> None:
        try:
            if not self._stopped:
                work()
        except BaseException as error:  # noqa: BLE001 - a folder that cannot be read must not end this thread
            self._failed("catch-up", error)
        finished()

    def _ship_left(self) -> None:
        if self._backlog.has_left and self._backlog.ship_left(self._deliver):
            self._pause_s = _FIRST_PAUSE_S
        if self._backlog.has_left:
            self._not_before = time.monotonic() + self._pause_s
            # Wakes the worker, which calls `on_idle` again.
            self._worker.at(self._pause_s, lambda: None)
            self._pause_s = min(_LONGEST_PAUSE_S, 2 * self._pause_s)

    def _ship_others(self) -> None:
        if self._worker.ready:
            self._backlog.ship_others(self._deliver)

    def _deliver(self, signal: str, items: Sequence[Item]) -> Parts[Item]:
        """Send items when nothing live waits; where the collector is not to be tried for a moment, wait for that."""
        for _ in range(_TRIES):
            parts = self._offer(items)
            if self._stopped or [result for _, result in parts] != [NOT_NOW]:
                break
            self._stop.wait(_RETRY_S)
        return parts

    def _offer(self, items: Sequence[Item]) -> Parts[Item]:
        if self._stopped:
            return []
        answered = threading.Event()
        answer: Parts[Item] = []

        def on_done(parts: Parts[Item]) -> None:
            answer.extend(parts)
            answered.set()

        self._worker.offer(items, on_done)
        deadline = time.monotonic() + 2 * STUCK_S
        while not answered.wait(_RETRY_S) and not self._stopped and time.monotonic() < deadline:
            pass
        return answer if answered.is_set() else []
