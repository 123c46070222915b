"""What tasks and tool runs use while they run: read at their start and end, and the peak by one thread for all.

Hides that thread: it sleeps as long as nothing is measured, holds nothing alive, and begins anew in the child of a fork. What it
costs is written down in ``docs/decisions/0018-resources.md``.
"""

from __future__ import annotations

import _thread
import os
import threading
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from otel_agentlog.record import resources
from otel_agentlog.record.kinds import SEGMENT, TASK, TOOL, Kind

if TYPE_CHECKING:
    from otel_agentlog.record.recorder import Recorder

LEAST_REST = 50
"""How many times as long as a look took the thread rests at least."""

_MB = 1_000_000
_KEYS = {TASK: "metrics", SEGMENT: "metrics", TOOL: "resources"}
"""What is measured, and where in the ``details`` of its end line the figures stand."""


class Meter:
    """What is used from now on, by this process and its descendants."""

    def __init__(self, relatives: list[resources.Relative] | None) -> None:
        """``relatives`` are the living descendants, ``None`` if they are not known yet."""
        self._began = resources.own()
        self._earlier_cpu_s, self._earlier_bytes = 0.0, 0
        self._began_uptime_s = resources.uptime_s()
        self._knows_family = relatives is not None
        self._start_bytes = _sum(self._began.rss_bytes, relatives or [])
        self._peak_bytes = self._start_bytes or 0
        self._take_as_earlier(relatives or [])

    def see(self, rss_bytes: int | None, relatives: list[resources.Relative]) -> None:
        """Take notice of what is used at this moment."""
        self._peak_bytes = max(self._peak_bytes, _sum(rss_bytes, relatives) or 0)
        if not self._knows_family:
            self._knows_family = True
            self._take_as_earlier([one for one in relatives if one.began_s < self._began_uptime_s])

    def _take_as_earlier(self, relatives: list[resources.Relative]) -> None:
        """What these have used so far was not used while this was measured."""
        self._earlier_cpu_s += sum(one.cpu_s for one in relatives)
        self._earlier_bytes += sum(one.written_bytes for one in relatives)

    def figures(self, relatives: list[resources.Relative]) -> dict[str, float]:
        """What was used, in seconds and megabytes (10^6 bytes); what cannot be known is left out."""
        began, now = self._began, resources.own()
        self.see(now.rss_bytes, relatives)
        cpu_s = now.cpu_s - began.cpu_s + sum(one.cpu_s for one in relatives) - self._earlier_cpu_s
        found: dict[str, float | None] = {
            "cpu_seconds": round(max(0.0, cpu_s), 6),
            "memory_start_mb": _mb(self._start_bytes),
            "memory_end_mb": _mb(_sum(now.rss_bytes, relatives)),
            "memory_peak_mb": _mb(self._peak(now)),
        }
        if began.written_bytes is not None and now.written_bytes is not None:
            living = sum(one.written_bytes for one in relatives)
            found["disk_written_mb"] = _mb(max(0, now.written_bytes - began.written_bytes + living - self._earlier_bytes))
        return {key: value for key, value in found.items() if value is not None}

    def _peak(self, now: resources.Own) -> int | None:
        """The highest of what was seen, and what the kernel saw in between where it must have been meanwhile."""
        peak = self._peak_bytes
        if now.peak_bytes > self._began.peak_bytes or now.rss_bytes is None:
            peak = max(peak, now.peak_bytes)
        # A child begins with its parent's mark, so only a higher one is its own.
        if now.children_peak_bytes > max(self._began.children_peak_bytes, now.peak_bytes):
            beside = min(self._began.rss_bytes or 0, now.rss_bytes or 0)
            peak = max(peak, now.children_peak_bytes + beside)
        return peak or None


class Measuring:
    """The meters of one configuration, and the thread that looks in between. Safe from any thread."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._meters: WeakSet[Meter] = WeakSet()
        # No threading.Event: setting one takes a lock that a signal handler may have interrupted.
        self._gate = _thread.allocate_lock()
        self._gate.acquire()
        self._asleep: list[None] = []
        """Holds an item while the thread sleeps at the gate; who pops it opens the gate, once."""
        self._running = self._stopped = False
        self._known: list[resources.Relative] | None = None
        """The family as it was last seen; ``None`` while nobody looks."""

    def meter(self) -> Meter:
        """Begin to measure."""
        if os.getpid() != self._pid:
            self._begin_anew()
        known = self._known
        made = Meter(None if known is None else resources.again(known))
        with self._lock:
            self._meters.add(made)
            if not self._running:
                self._running = True
                self._start()
        self._wake()
        return made

    def figures(self, meter: Meter) -> dict[str, float]:
        """End measuring; what was used since."""
        if os.getpid() != self._pid:
            return {}
        with self._lock:
            self._meters.discard(meter)
        return meter.figures(resources.again(self._known or []))

    def stop(self) -> None:
        """End the thread, after its next look at the latest."""
        self._stopped = True
        self._wake()

    @property
    def looks(self) -> bool:
        """Whether the thread looks, and does not sleep."""
        return self._running and not self._asleep

    def _start(self) -> None:
        try:
            # Not threading.Thread: that would continue the context of whoever happens to be first, and start() waits.
            _thread.start_new_thread(self._look_again_and_again, (self._gate, self._asleep))
        except RuntimeError:
            pass  # no new threads at the end of the interpreter: the peak is that of start and end

    def _wake(self) -> bool:
        try:
            self._asleep.pop()
        except IndexError:
            return False
        self._gate.release()
        return True

    def _look_again_and_again(self, gate: _thread.LockType, asleep: list[None]) -> None:
        took_s = 0.0
        while True:
            # With hundreds of threads or children one look takes milliseconds.
            time.sleep(max(self._interval_s, LEAST_REST * took_s))
            if self._stopped:
                return
            try:
                began_s = time.perf_counter()
                busy = self._look()
                took_s = time.perf_counter() - began_s
            except Exception:  # noqa: BLE001, S112 - one look that failed costs one look; there is nobody to tell
                continue
            if not busy:
                asleep.append(None)
                if self._has_work():
                    # Somebody came before we slept; either of us opens the gate.
                    self._wake()
                gate.acquire()

    def _has_work(self) -> bool:
        return self._stopped or bool(self._measured())

    def _measured(self) -> list[Meter]:
        with self._lock:
            return list(self._meters)

    def _look(self) -> bool:
        """See what is used; whether anybody wants to know."""
        meters = self._measured()
        if not meters:
            self._known = None
            return False
        relatives, mine = resources.family(), resources.own()
        self._known = relatives
        for meter in meters:
            meter.see(mine.rss_bytes, relatives)
        return True


def begin(kind: Kind, record: Recorder) -> Meter | None:
    """Begin to measure an operation of this kind, if such are measured."""
    if record.measuring is None or kind not in _KEYS:
        return None
    try:
        return record.measuring.meter()
    except Exception as error:  # noqa: BLE001 - figures that cannot be had must not cost the record
        record.failed("meter", error)
        return None


def add_figures(kind: Kind, meter: Meter | None, details: dict[str, Any], record: Recorder) -> None:
    """Put what was used into the ``details`` of an end line, unless somebody who knows better has done so."""
    if meter is None or record.measuring is None:
        return
    try:
        details.setdefault(_KEYS[kind], record.measuring.figures(meter))
    except Exception as error:  # noqa: BLE001 - as in `begin`
        record.failed("meter", error)


def _sum(rss_bytes: int | None, relatives: list[resources.Relative]) -> int | None:
    return None if rss_bytes is None else rss_bytes + sum(one.rss_bytes for one in relatives)


def _mb(count: int | None) -> float | None:
    return None if count is None else round(count / _MB, 3)
