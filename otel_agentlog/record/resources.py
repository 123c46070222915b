"""What this process and its descendants use: CPU time, memory, bytes written. Read from the kernel, a few system calls at a time.

On Linux from ``getrusage`` and ``/proc`` (proc(5): ``statm``, ``io``, ``stat``, ``task/<tid>/children``); elsewhere from
``getrusage`` and, where it is installed, psutil. What cannot be read is ``None``.

CPU time and bytes written are those of the whole family, and conserved: when a child has ended and was waited for, the kernel
adds its figures to its parent's. Memory is the sum of resident sets, so pages that processes share count in each of them.
"""

from __future__ import annotations

import _thread
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet

from otel_agentlog.vocabulary.actions import SEGMENT, TASK, TOOL, Kind

if TYPE_CHECKING:
    from otel_agentlog.record.recorder import Recorder


MAX_FAMILY = 500
"""How many descendants are looked at."""
MAX_READ_AGAIN = 4
"""How many of them are read at the start and end of an operation, while somebody waits; about 30 µs each."""

_PAGE = resource.getpagesize()
_TICKS = os.sysconf("SC_CLK_TCK")
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
_HAS_PROC = os.path.exists("/proc/self/statm")
_READ_BYTES = 4096


class Own(NamedTuple):
    """Of this process; CPU time and bytes also of children that have ended and were waited for."""

    cpu_s: float
    rss_bytes: int | None
    peak_bytes: int
    """Highest resident set since the process began."""
    children_peak_bytes: int
    """Highest resident set of any child that has ended; the kernel counts in it what its parent had when it began."""
    written_bytes: int | None


class Relative(NamedTuple):
    """Of one living descendant, and of its own children that have ended."""

    pid: int
    began_s: float
    """Seconds since boot."""
    cpu_s: float
    rss_bytes: int
    written_bytes: int


def own() -> Own:
    """The figures of this process. About 25 µs."""
    mine, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    rss, written = (_rss(), _written("/proc/self/io")) if _HAS_PROC else _by_psutil()
    return Own(
        mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime,
        rss,
        mine.ru_maxrss * _MAXRSS_UNIT,
        theirs.ru_maxrss * _MAXRSS_UNIT,
        written,
    )


def family() -> list[Relative]:
    """All living descendants. Some 10 µs for each thread and each process of the family."""
    return relatives(_descendants(os.getpid())) if _HAS_PROC else []


def again(seen: list[Relative]) -> list[Relative]:
    """The figures now of descendants that were seen before; those that have ended are left out.

    Of more than a few it is only asked whether they are still there, so that this stays a matter of microseconds.
    """
    if len(seen) <= MAX_READ_AGAIN:
        return relatives([one.pid for one in seen])
    return [one for one in seen if _is_there(one.pid)]


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def relatives(pids: list[int]) -> list[Relative]:
    """The figures of these descendants; those that have ended are left out."""
    return [found for pid in pids if (found := _relative(pid)) is not None]


def uptime_s() -> float:
    """Seconds since boot, by the clock of `Relative.began_s`."""
    import time

    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _rss() -> int | None:
    text = _read("/proc/self/statm")
    return int(text.split()[1]) * _PAGE if text else None


def _written(path: str) -> int | None:
    for line in _read(path).splitlines():
        name, _, number = line.partition(b":")
        if name == b"write_bytes":
            return int(number)
    return None


def _read(path: str) -> bytes:
    """The file; empty where there is none, or it is forbidden to us."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, _READ_BYTES)
        finally:
            os.close(descriptor)
    except OSError:
        return b""


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    waiting = [pid]
    while waiting and len(found) < MAX_FAMILY:
        children = list(_children(waiting.pop()))
        found += children
        waiting += children
    return found[:MAX_FAMILY]


def _children(pid: int) -> Iterator[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for thread in threads:
        yield from map(int, _read(f"/proc/{pid}/task/{thread}/children").split())


def _relative(pid: int) -> Relative | None:
    # The name in parentheses may hold anything, also spaces and parentheses.
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    if len(fields) < 22 or fields[0] in (b"Z", b"X"):
        # A zombie still has CPU times, which become its parent's when that waits for it.
        return _zombie(pid, fields)
    cpu_s = sum(map(int, fields[11:15])) / _TICKS
    return Relative(pid, int(fields[19]) / _TICKS, cpu_s, int(fields[21]) * _PAGE, _written(f"/proc/{pid}/io") or 0)


def _zombie(pid: int, fields: list[bytes]) -> Relative | None:
    if len(fields) < 20 or fields[0] != b"Z":
        return None
    return Relative(pid, int(fields[19]) / _TICKS, sum(map(int, fields[11:15])) / _TICKS, 0, _written(f"/proc/{pid}/io") or 0)


def _by_psutil() -> tuple[int | None, int | None]:
    try:
        import psutil

        process: Any = psutil.Process()
        counters = getattr(process, "io_counters", None)
        return process.memory_info().rss, counters().write_bytes if counters is not None else None
    except Exception:  # noqa: BLE001 - not installed, or of no use on this system; the other figures remain
        return None, None


# -- What tasks and tool runs use while they run: read at their start and end, and the peak by one thread for all.
# Hides that thread: it sleeps as long as nothing is measured, holds nothing alive, and begins anew in the child of a fork.
# What it
# costs is written down in ``docs/decisions/0018-resources.md``.

LEAST_REST = 50
"""How many times as long as a look took the thread rests at least."""

_MB = 1_000_000
_KEYS = {TASK: "metrics", SEGMENT: "metrics", TOOL: "resources"}
"""What is measured, and where in the ``details`` of its end line the figures stand."""


class Meter:
    """What is used from now on, by this process and its descendants."""

    def __init__(self, relatives: list[Relative] | None) -> None:
        """``relatives`` are the living descendants, ``None`` if they are not known yet."""
        self._began = own()
        self._earlier_cpu_s, self._earlier_bytes = 0.0, 0
        self._began_uptime_s = uptime_s()
        self._knows_family = relatives is not None
        self._start_bytes = _sum(self._began.rss_bytes, relatives or [])
        self._peak_bytes = self._start_bytes or 0
        self._take_as_earlier(relatives or [])

    def see(self, rss_bytes: int | None, relatives: list[Relative]) -> None:
        """Take notice of what is used at this moment."""
        self._peak_bytes = max(self._peak_bytes, _sum(rss_bytes, relatives) or 0)
        if not self._knows_family:
            self._knows_family = True
            self._take_as_earlier([one for one in relatives if one.began_s < self._began_uptime_s])

    def _take_as_earlier(self, relatives: list[Relative]) -> None:
        """What these have used so far was not used while this was measured."""
        self._earlier_cpu_s += sum(one.cpu_s for one in relatives)
        self._earlier_bytes += sum(one.written_bytes for one in relatives)

    def figures(self, relatives: list[Relative]) -> dict[str, float]:
        """What was used, in seconds and megabytes (10^6 bytes); what cannot be known is left out."""
        began, now = self._began, own()
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

    def _peak(self, now: Own) -> int | None:
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
        self._known: list[Relative] | None = None
        """The family as it was last seen; ``None`` while nobody looks."""

    def meter(self) -> Meter:
        """Begin to measure."""
        if os.getpid() != self._pid:
            self._begin_anew()
        known = self._known
        made = Meter(None if known is None else again(known))
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
        return meter.figures(again(self._known or []))

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
        relatives, mine = family(), own()
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


def _sum(rss_bytes: int | None, relatives: list[Relative]) -> int | None:
    return None if rss_bytes is None else rss_bytes + sum(one.rss_bytes for one in relatives)


def _mb(count: int | None) -> float | None:
    return None if count is None else round(count / _MB, 3)
