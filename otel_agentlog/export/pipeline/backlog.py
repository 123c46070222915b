"""Sends from folders what is not on its way in memory: this process's own overflow, and what dead processes left behind.

Hides when that happens: in the background, on a thread of its own, never before live traffic, one batch at a time, and only while
the collector takes something.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from otel_agentlog._fork import after_fork_in_child
from otel_agentlog.export.pipeline.bisect import Parts
from otel_agentlog.export.pipeline.signal_queue import NOT_NOW, Item
from otel_agentlog.export.pipeline.worker import STUCK_S, Courier
from otel_agentlog.export.pipeline.workers import Hand
from otel_agentlog.export.shipping import Deliver

FIRST_LOOK_S = 0.3
"""Time, in seconds, that a process has for its own beginning before it looks after others."""
LOOK_INTERVAL_S = 300.0
"""How often, in seconds, a process looks for what others left behind."""
LAST_LOOK_S = 1.0
"""Longest time, in seconds, that the end of a process waits for a look at what others left behind."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_TRIES, _MOMENT_S = 5, 0.5


class Backlog(Protocol):
    """What waits in folders; implemented where the folders are known."""

    @property
    def has_left(self) -> bool:
        """Whether something of this process waits there."""

    def ship_left(self, deliver: Deliver) -> bool:
        """Send that; whether anything was taken. Raises nothing that costs what waits."""

    def ship_others(self, deliver: Deliver) -> None:
        """Send what dead processes left."""


class Nothing:
    """The backlog of who keeps nothing."""

    has_left = False

    def ship_left(self, deliver: Deliver) -> bool:
        return False

    def ship_others(self, deliver: Deliver) -> None:
        pass


class CatchUp:
    """Works off a backlog whenever the courier has nothing better to do."""

    def __init__(self, courier: Courier, backlog: Backlog, failed: Callable[[str, BaseException], None], *, others: bool) -> None:
        """With ``others`` it looks after what dead processes left, too."""
        self._courier, self._backlog, self._failed = courier, backlog, failed
        self._others_wanted = others
        self._begin_anew()
        after_fork_in_child(self.renew_after_fork)

    def renew_after_fork(self) -> None:
        """In the child of a fork: the parent looks after others."""
        self._others_wanted = False
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._hand = Hand("agentlog-catchup")
        self._idle = [None]
        """Popped by whoever sends what is left; popping a list is atomic."""
        self._looked = threading.Event()
        self._stop = threading.Event()
        self._not_before = 0.0
        self._pause_s = _FIRST_PAUSE_S

    # -- when -------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to look after others."""
        if self._others_wanted:
            self._courier.at(FIRST_LOOK_S, self._look)

    def look_again(self) -> None:
        """There is more to be found than at the last look."""
        if self._others_wanted:
            self._looked.clear()
            self._courier.at(0.0, self._look_now)

    def on_calm(self) -> None:
        """Nothing live waits: a moment for what is left."""
        if self._backlog.has_left and time.monotonic() >= self._not_before:
            try:
                self._idle.pop()
            except IndexError:
                return
            self._hand.do(lambda: self._run(self._ship_left, lambda: self._idle.append(None)))

    def finish(self, deadline: float) -> bool:
        """Send what is left of this process before ``deadline`` (monotonic); whether there was time for all of it."""
        if not self._courier.ready or not (self._backlog.has_left or self._is_shipping):
            return True
        # Behind what is under way already.
        finished = threading.Event()
        self._hand.do(lambda: self._run(self._ship_left, finished.set))
        return finished.wait(max(0.0, deadline - time.monotonic()))

    def last_look(self, deadline: float) -> None:
        """Before the process ends: look after others once, for a moment, if there was no time for it yet."""
        if self._others_wanted and not self._looked.is_set() and self._courier.ready:
            self._look_now()
            self._looked.wait(max(0.0, min(LAST_LOOK_S, deadline - time.monotonic())))

    def stop(self) -> None:
        """End what is under way; it is sent another time."""
        self._stop.set()
        self._hand.stop()

    @property
    def _stopped(self) -> bool:
        return self._stop.is_set()

    # -- what -------------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        self._look_now()
        self._courier.at(LOOK_INTERVAL_S, self._look)

    def _look_now(self) -> None:
        self._hand.do(lambda: self._run(self._ship_others, self._looked.set))

    def _run(self, work: Callable[[], None], finished: Callable[[], object]) -> None:
        try:
            if not self._stopped:
                work()
        except BaseException as error:  # noqa: BLE001 - a folder that cannot be read must not end this thread
            self._failed("catch-up", error)
        finished()

    @property
    def _is_shipping(self) -> bool:
        return not self._idle

    def _ship_left(self) -> None:
        if self._backlog.has_left and self._backlog.ship_left(self._deliver):
            self._pause_s = _FIRST_PAUSE_S
        if self._backlog.has_left:
            self._not_before = time.monotonic() + self._pause_s
            # Wakes the courier, which asks `on_calm` again.
            self._courier.at(self._pause_s, lambda: None)
            self._pause_s = min(_LONGEST_PAUSE_S, 2 * self._pause_s)

    def _ship_others(self) -> None:
        if self._courier.ready:
            self._backlog.ship_others(self._deliver)

    def _deliver(self, signal: str, items: Sequence[Item]) -> Parts[Item]:
        """Send items when nothing live waits; where the collector is left alone for a moment, wait for that."""
        for _ in range(_TRIES):
            parts = self._offer(items)
            if self._stopped or [outcome for _, outcome in parts] != [NOT_NOW]:
                break
            self._stop.wait(_MOMENT_S)
        return parts

    def _offer(self, items: Sequence[Item]) -> Parts[Item]:
        if self._stopped:
            return []
        answered = threading.Event()
        answer: Parts[Item] = []

        def told(parts: Parts[Item]) -> None:
            answer.extend(parts)
            answered.set()

        self._courier.offer(items, told)
        deadline = time.monotonic() + 2 * STUCK_S
        while not answered.wait(_MOMENT_S) and not self._stopped and time.monotonic() < deadline:
            pass
        return answer if answered.is_set() else []
