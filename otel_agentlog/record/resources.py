"""Measures CPU time, memory and bytes written of this process and its descendants, for tasks and tool runs.

`begin` and `add_figures` are called by operations at their start and end. `ResourceSampler` keeps the meters of a configuration
and one thread that samples the family in between, for the peak; it sleeps while nothing is measured, keeps nothing alive, and is
replaced in a forked child. Costs: ``docs/decisions/0018-resources.md``.

Figures come on Linux from ``getrusage`` and ``/proc`` (proc(5): ``statm``, ``io``, ``stat``, ``task/<tid>/children``);
elsewhere from ``getrusage`` and, where it is installed, psutil. What cannot be read is ``None``.

CPU time and bytes written are those of the whole family, and conserved: when a child has ended and was waited for, the kernel
adds its figures to those of its parent. Memory is the sum of resident sets, so pages that processes share count in each of them.
"""

from __future__ import annotations

import _thread
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from otel_agentlog._interrupts import WeakValues, raise_interrupt
from otel_agentlog.vocabulary.actions import SEGMENT, TASK, TOOL, Kind

MAX_FAMILY = 500
"""How many descendants are measured."""
MAX_READ_AGAIN = 4
"""How many of them are read at the start and end of an operation, in the caller's thread; about 30 µs each."""

LEAST_REST = 50
"""The sampling thread sleeps at least this many times as long as a sample took."""

_MB = 1_000_000
MEASURED: Mapping[Kind, str] = {TASK: "metrics", SEGMENT: "metrics", TOOL: "resources"}
"""The kinds of operation that are measured, and the key of the figures in the ``details`` of their end lines."""

_PAGE = resource.getpagesize()
_TICKS = os.sysconf("SC_CLK_TCK")
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
_HAS_PROC = os.path.exists("/proc/self/statm")
_READ_BYTES = 4096


class OwnUsage(NamedTuple):
    """Figures of this process; CPU time and bytes also of children that have ended and were waited for."""

    cpu_s: float
    rss_bytes: int | None
    peak_bytes: int
    """Highest resident set since the process began."""
    children_peak_bytes: int
    """Highest resident set of any child that has ended; the kernel counts in it what its parent had when it began."""
    written_bytes: int | None


class DescendantUsage(NamedTuple):
    """Figures of one living descendant, and of its own children that have ended."""

    pid: int
    began_s: float
    """Seconds since boot."""
    cpu_s: float
    rss_bytes: int
    written_bytes: int


def own() -> OwnUsage:
    """The figures of this process. About 25 µs."""
    mine, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    rss, written = (_rss(), _written("/proc/self/io")) if _HAS_PROC else _by_psutil()
    return OwnUsage(
        mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime,
        rss,
        mine.ru_maxrss * _MAXRSS_UNIT,
        theirs.ru_maxrss * _MAXRSS_UNIT,
        written,
    )


def family() -> list[DescendantUsage]:
    """All living descendants. Some 10 µs for each thread and each process of the family."""
    return usage_of(_descendant_pids(os.getpid())) if _HAS_PROC else []


def again(seen: list[DescendantUsage]) -> list[DescendantUsage]:
    """The figures now of descendants that were seen before; those that have ended are left out.

    Of more than `MAX_READ_AGAIN` only the existence is checked, which takes microseconds.
    """
    if len(seen) <= MAX_READ_AGAIN:
        return usage_of([one.pid for one in seen])
    return [one for one in seen if _exists(one.pid)]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        raise_interrupt()
        return True
    return True


def usage_of(pids: list[int]) -> list[DescendantUsage]:
    """The figures of these descendants; those that have ended are left out."""
    return [found for pid in pids if (found := _usage(pid)) is not None]


def uptime_s() -> float:
    """Seconds since boot, by the clock of `DescendantUsage.began_s`."""
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
        raise_interrupt()
        return b""


def _descendant_pids(pid: int) -> list[int]:
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
        raise_interrupt()
        return
    for thread in threads:
        yield from map(int, _read(f"/proc/{pid}/task/{thread}/children").split())


def _usage(pid: int) -> DescendantUsage | None:
    # The name in parentheses may hold anything, also spaces and parentheses.
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    if len(fields) < 22 or fields[0] in (b"Z", b"X"):
        # A zombie still has CPU times, which become its parent's when that waits for it.
        return _zombie(pid, fields)
    cpu_s = sum(map(int, fields[11:15])) / _TICKS
    return DescendantUsage(pid, int(fields[19]) / _TICKS, cpu_s, int(fields[21]) * _PAGE, _written(f"/proc/{pid}/io") or 0)


def _zombie(pid: int, fields: list[bytes]) -> DescendantUsage | None:
    if len(fields) < 20 or fields[0] != b"Z":
        return None
    return DescendantUsage(
        pid, int(fields[19]) / _TICKS, sum(map(int, fields[11:15])) / _TICKS, 0, _written(f"/proc/{pid}/io") or 0
    )


def _by_psutil() -> tuple[int | None, int | None]:
    try:
        import psutil

        process: Any = psutil.Process()
        counters = getattr(process, "io_counters", None)
        return process.memory_info().rss, counters().write_bytes if counters is not None else None
    except Exception:  # noqa: BLE001 - not installed, or of no use on this system; the other figures remain
        raise_interrupt()
        return None, None


Failed = Callable[[str, BaseException], None]


class ResourceMeter:
    """Measures one operation: what this process and its descendants use from now on."""

    def __init__(self, descendants: list[DescendantUsage] | None) -> None:
        """``descendants`` are the living descendants, ``None`` if they are not known yet."""
        self._began = own()
        self._earlier_cpu_s, self._earlier_bytes = 0.0, 0
        self._began_uptime_s = uptime_s()
        self._knows_family = descendants is not None
        self._start_bytes = _sum(self._began.rss_bytes, descendants or [])
        self._peak_bytes = self._start_bytes or 0
        self._exclude_earlier(descendants or [])

    def sample(self, rss_bytes: int | None, descendants: list[DescendantUsage]) -> None:
        """Add a sample: what is used at this moment."""
        self._peak_bytes = max(self._peak_bytes, _sum(rss_bytes, descendants) or 0)
        if not self._knows_family:
            self._knows_family = True
            self._exclude_earlier([one for one in descendants if one.began_s < self._began_uptime_s])

    def _exclude_earlier(self, descendants: list[DescendantUsage]) -> None:
        """Leave out what these have used so far."""
        self._earlier_cpu_s += sum(one.cpu_s for one in descendants)
        self._earlier_bytes += sum(one.written_bytes for one in descendants)

    def figures(self, descendants: list[DescendantUsage]) -> dict[str, float]:
        """The figures until now, in seconds and megabytes (10^6 bytes); unknown ones are left out."""
        began, now = self._began, own()
        self.sample(now.rss_bytes, descendants)
        cpu_s = now.cpu_s - began.cpu_s + sum(one.cpu_s for one in descendants) - self._earlier_cpu_s
        found: dict[str, float | None] = {
            "cpu_seconds": round(max(0.0, cpu_s), 6),
            "memory_start_mb": _mb(self._start_bytes),
            "memory_end_mb": _mb(_sum(now.rss_bytes, descendants)),
            "memory_peak_mb": _mb(self._peak(now)),
        }
        if began.written_bytes is not None and now.written_bytes is not None:
            living = sum(one.written_bytes for one in descendants)
            found["disk_written_mb"] = _mb(max(0, now.written_bytes - began.written_bytes + living - self._earlier_bytes))
        return {key: value for key, value in found.items() if value is not None}

    def _peak(self, now: OwnUsage) -> int | None:
        """The highest sample, or the peak of the kernel where that was reached meanwhile."""
        peak = self._peak_bytes
        if now.peak_bytes > self._began.peak_bytes or now.rss_bytes is None:
            peak = max(peak, now.peak_bytes)
        # A child begins with its parent's mark, so only a higher one is its own.
        if now.children_peak_bytes > max(self._began.children_peak_bytes, now.peak_bytes):
            beside = min(self._began.rss_bytes or 0, now.rss_bytes or 0)
            peak = max(peak, now.children_peak_bytes + beside)
        return peak or None


class ResourceSampler:
    """The meters of one configuration, and the thread that samples for them. Safe from any thread."""

    def __init__(self, interval_s: float) -> None:
        """``interval_s``: seconds between two measurements of the peak."""
        self._interval_s = interval_s
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._meters: WeakValues[ResourceMeter] = WeakValues()
        # No threading.Event: setting one takes a lock that a signal handler may have interrupted.
        self._gate = _thread.allocate_lock()
        self._gate.acquire()
        self._asleep: list[None] = []
        """Holds an item while the thread sleeps at the gate; popping it gives the right to open the gate, once."""
        self._running = self._stopped = False
        self._known: list[DescendantUsage] | None = None
        """The descendants of the last sample; ``None`` while nothing is sampled."""

    def begin(self, failed: Failed) -> ResourceMeter | None:
        """Begin to measure, as `meter` does, but raise nothing: ``failed`` counts errors."""
        try:
            return self.meter()
        except Exception as error:  # noqa: BLE001 - figures that cannot be read must not cost the record
            raise_interrupt()
            failed("meter", error)
            return None

    def add_figures(self, key: str, meter: ResourceMeter, details: dict[str, Any], failed: Failed) -> None:
        """End measuring; the figures go into ``details`` under this key, unless the user has set them. Raises nothing."""
        try:
            details.setdefault(key, self.figures(meter))
        except Exception as error:  # noqa: BLE001 - as in `begin`
            raise_interrupt()
            failed("meter", error)

    def meter(self) -> ResourceMeter:
        """Begin to measure."""
        if os.getpid() != self._pid:
            self._reset()
        known = self._known
        made = ResourceMeter(None if known is None else again(known))
        with self._lock:
            self._meters.put(id(made), made)
            if not self._running:
                self._running = True
                self._start()
        self._wake()
        return made

    def figures(self, meter: ResourceMeter) -> dict[str, float]:
        """End measuring; returns what was used since."""
        if os.getpid() != self._pid:
            return {}
        with self._lock:
            self._meters.pop(id(meter), None)
        return meter.figures(again(self._known or []))

    def stop(self) -> None:
        """End the thread, after its next sample at the latest."""
        self._stopped = True
        self._wake()

    @property
    def sampling(self) -> bool:
        """Whether the thread is sampling, not sleeping."""
        return self._running and not self._asleep

    def _start(self) -> None:
        try:
            # Not threading.Thread: that would continue the context of the first caller, and its start() waits.
            _thread.start_new_thread(self._sample_repeatedly, (self._gate, self._asleep))
        except RuntimeError:
            raise_interrupt()  # no new threads at the end of the interpreter: the peak is that of start and end

    def _wake(self) -> bool:
        if not self._asleep:
            return False
        try:
            self._asleep.pop()
        except IndexError:
            raise_interrupt()
            return False
        self._gate.release()
        return True

    def _sample_repeatedly(self, gate: _thread.LockType, asleep: list[None]) -> None:
        took_s = 0.0
        while True:
            # With hundreds of threads or children one sample takes milliseconds.
            time.sleep(max(self._interval_s, LEAST_REST * took_s))
            if self._stopped:
                return
            try:
                began_s = time.perf_counter()
                busy = self._sample()
                took_s = time.perf_counter() - began_s
            except Exception:  # noqa: BLE001, S112 - a failed sample only makes the peak less exact; there is no caller to raise to
                continue
            if not busy:
                asleep.append(None)
                if self._has_work():
                    # A meter was added just before; one of the two opens the gate.
                    self._wake()
                gate.acquire()

    def _has_work(self) -> bool:
        return self._stopped or bool(self._measured())

    def _measured(self) -> list[ResourceMeter]:
        with self._lock:
            return list(self._meters)

    def _sample(self) -> bool:
        """Sample for all meters; returns whether there are any."""
        meters = self._measured()
        if not meters:
            self._known = None
            return False
        descendants, mine = family(), own()
        self._known = descendants
        for meter in meters:
            meter.sample(mine.rss_bytes, descendants)
        return True


def _sum(rss_bytes: int | None, descendants: list[DescendantUsage]) -> int | None:
    return None if rss_bytes is None else rss_bytes + sum(one.rss_bytes for one in descendants)


def _mb(count: int | None) -> float | None:
    return None if count is None else round(count / _MB, 3)
