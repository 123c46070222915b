"""Measures CPU time, memory and bytes written of this process and its descendants, for tasks and tool runs.

One thread takes a `Sample` at its interval while anything is measured, and sleeps otherwise. Operations take the latest sample at
their start and their end and make no system call for it; only a task reads its own CPU time, which takes one. What the figures
mean, and what is said of an operation that is shorter than the interval: ``docs/decisions/0041-resources-and-prices.md``.

Figures come on Linux from ``getrusage`` and ``/proc`` (proc(5): ``statm``, ``stat``, ``io``, ``task/<tid>/children``);
on macOS from ``getrusage`` and, where it is installed, psutil; on Windows from ``GetProcessMemoryInfo``, of this process alone.
What cannot be read is left out.

CPU time and bytes written are those of the whole family, and conserved: when a child has ended and was waited for, the kernel
adds its figures to those of its parent. Memory is the sum of resident sets, so pages that processes share count in each of them.
"""

from __future__ import annotations

import _thread
import os
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from operator import methodcaller
from typing import NamedTuple
from weakref import ref

from otel_agentlog._interrupts import raise_interrupt, started_in_try
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog.vocabulary.actions import SEGMENT, TASK, TOOL

if sys.platform == "win32":
    from otel_agentlog._platform.kernel32 import own_memory

    _PAGE, _TICKS = 4096, 100
else:
    import resource

    _PAGE, _TICKS = resource.getpagesize(), os.sysconf("SC_CLK_TCK")

MAX_FAMILY = 500
"""How many descendants are measured."""

LEAST_REST = 50
"""The sampling thread sleeps at least this many times the CPU time that a sample took."""

MAX_PEAKS = 1000
"""Falling peaks that are remembered; of more, two neighbours become one."""

MEASURED: Mapping[str, str] = {TASK.end_type: "metrics", SEGMENT.end_type: "metrics", TOOL.end_type: "resources"}
"""The end lines that have figures, by type, and the key of the figures in their ``details``."""

_MB = 1_000_000
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
_BLOCK = 512
"""Bytes in a unit of ``ru_oublock``, which Linux makes of the ``write_bytes`` of ``/proc/<pid>/io``."""
_HAS_PROC = os.path.exists("/proc/self/statm")
_READ_BYTES = 4096
_TRIES = 3
_FIRST = (0,)
_CALL = methodcaller("__call__")

Failed = Callable[[str, BaseException], object]
"""Counts an error by where it was."""


class FamilyUsage(NamedTuple):
    """What this process and its descendants use, and have used so far."""

    cpu_s: float
    """Of this process alone."""
    children_cpu_s: float
    """Of its descendants, those that have ended and were waited for among them; so is ``written_bytes``."""
    rss_bytes: int | None
    written_bytes: int | None
    own_rss_bytes: int | None
    peak_bytes: int
    """Highest resident set of this process since it began."""
    children_peak_bytes: int
    """Highest resident set of any child that has ended; the kernel counts in it what its parent had when it began."""


class Descendant(NamedTuple):
    """Figures of one living descendant, and of its own children that have ended."""

    cpu_s: float
    rss_bytes: int
    written_bytes: int


def usage() -> FamilyUsage:
    """The figures at this moment: about 10 µs, with children some 10 µs more for each thread and 30 for each child."""
    if sys.platform == "win32":
        times, (rss, peak) = os.times(), own_memory()
        return FamilyUsage(times.user + times.system, 0.0, rss, None, rss, peak, 0)
    else:  # noqa: RET505 - mypy knows systems by it
        mine, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        living: list[Descendant] = []
        for _ in range(_TRIES if _HAS_PROC and _has_children() else 0):
            living, before = family(), theirs
            theirs = resource.getrusage(resource.RUSAGE_CHILDREN)
            if theirs == before:
                break  # none was waited for meanwhile, which would be in both or in neither
        own_rss = _rss() if _HAS_PROC else _rss_by_psutil()
        return FamilyUsage(
            mine.ru_utime + mine.ru_stime,
            theirs.ru_utime + theirs.ru_stime + sum(one.cpu_s for one in living),
            None if own_rss is None else own_rss + sum(one.rss_bytes for one in living),
            (mine.ru_oublock + theirs.ru_oublock) * _BLOCK + sum(one.written_bytes for one in living) if _HAS_PROC else None,
            own_rss,
            mine.ru_maxrss * _MAXRSS_UNIT,
            theirs.ru_maxrss * _MAXRSS_UNIT,
        )


def _has_children() -> bool:
    """Whether there are any, alive or not waited for; takes nothing from who waits for them."""
    if sys.platform == "linux":
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
    return True


def family() -> list[Descendant]:
    """All living descendants."""
    return [found for pid in _descendant_pids(os.getpid()) if (found := _descendant(pid)) is not None]


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


def _descendant(pid: int) -> Descendant | None:
    # The name in parentheses may hold anything, also spaces and parentheses.
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    if len(fields) < 22 or fields[0] == b"X":
        return None
    # A zombie still has CPU times, which become its parent's when that waits for it.
    rss_bytes = 0 if fields[0] == b"Z" else int(fields[21]) * _PAGE
    return Descendant(sum(map(int, fields[11:15])) / _TICKS, rss_bytes, _written(f"/proc/{pid}/io"))


def _rss() -> int | None:
    text = _read("/proc/self/statm")
    return int(text.split()[1]) * _PAGE if text else None


def _written(path: str) -> int:
    for line in _read(path).splitlines():
        name, _, number = line.partition(b":")
        if name == b"write_bytes":
            return int(number)
    return 0


def _read(path: str) -> bytes:
    """The file; empty where there is none, or it is forbidden to us."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return os.read(descriptor, _READ_BYTES)
        finally:
            os.close(descriptor)
    except OSError:
        raise_interrupt()
        return b""


def _rss_by_psutil() -> int | None:
    try:
        import psutil

        rss: int = psutil.Process().memory_info().rss
        return rss
    except Exception:  # noqa: BLE001 - not installed, or of no use on this system; the other figures remain
        raise_interrupt()
        return None


class Sample(NamedTuple):
    """What was in use at one moment."""

    number: int
    """One more than that of the sample before."""
    usage: FamilyUsage


class _Open:
    """Held by a meter until its operation ends."""

    __slots__ = ("__weakref__",)


class Meter:
    """One operation that is measured."""

    __slots__ = ("began", "cpu_s", "open", "sampler")
    began: Sample | None
    """The latest sample at its start; ``None`` where the thread slept: then the next one stands for it."""
    cpu_s: float | None
    """CPU time of the process at its start, where that is measured exactly."""
    open: _Open | None
    sampler: object
    """What is replaced in the child of a fork, where this meter knows nothing."""


class ResourceSampler:
    """The latest sample, and the thread that takes it while a meter is open. Safe from any thread."""

    def __init__(self, interval_s: float, failed: Failed = lambda where, error: None) -> None:
        """``interval_s``: seconds between two samples. ``failed`` counts samples that could not be taken."""
        self._interval_s, self._failed = interval_s, failed
        self._renew_after_fork()
        after_fork_in_child(self._renew_after_fork)

    def _renew_after_fork(self) -> None:
        """In the child of a fork the thread does not exist, and open meters are the parent's."""
        self._open: set[ref[_Open]] = set()
        # Runs when a meter ends or is dropped; of C, as Python code may be interrupted there.
        self._forget = self._open.discard
        self._latest: Sample | None = None
        """The latest sample; ``None`` while the thread sleeps."""
        self._first: Sample | None = None
        """The first sample since the thread slept."""
        self._peaks: list[tuple[int, int]] = []
        """Numbers of samples and peaks in bytes up to them, each lower than the one before: the first of those from a number
        on is the peak since then. It is replaced, never changed."""
        self._stopped = self._begun = False
        # No threading.Event: setting one takes a lock that a signal handler may have interrupted.
        self._gate = _thread.allocate_lock()
        self._gate.acquire()
        self._asleep: list[Callable[[Callable[[], object]], object]] = [_CALL]
        """Holds, while the thread sleeps, what wakes it; who takes it out calls it with what starts the thread."""

    def begin(self, *, exact_cpu: bool) -> Meter:
        """Begin to measure; with ``exact_cpu`` the CPU time of this process is read here and at the end."""
        meter = Meter()
        meter.open = _Open()
        # First this, as the thread looks here before it sleeps.
        self._open.add(ref(meter.open, self._forget))
        meter.began, meter.sampler = self._latest, self._open
        meter.cpu_s = time.process_time() if exact_cpu else None
        if self._asleep:
            self._wake()
        return meter

    def figures(self, meter: Meter) -> dict[str, float]:
        """End measuring: the figures in seconds and megabytes (10^6 bytes). May be called again.

        Empty where no sample was taken meanwhile; a meter with exact CPU time has that all the same, and memory by the latest
        sample.
        """
        meter.open = None
        last, peaks, own_cpu_s = self._latest, self._peaks, meter.cpu_s
        began = meter.began or (self._first if last is not None else None)
        last = last or began
        if meter.sampler is not self._open:
            return {}
        if own_cpu_s is not None:
            own_cpu_s = time.process_time() - own_cpu_s
        if began is None or last is None:
            return {} if own_cpu_s is None else {"cpu_seconds": round(own_cpu_s, 6)}
        then, now, meanwhile = began.usage, last.usage, last.number > began.number
        if own_cpu_s is None:
            if not meanwhile:
                return {}
            own_cpu_s = now.cpu_s - then.cpu_s
        found = {"cpu_seconds": round(own_cpu_s + max(0.0, now.children_cpu_s - then.children_cpu_s), 6)}
        at = bisect_left(peaks, (began.number + 1,))
        peak_bytes = max(peaks[at][1] if at < len(peaks) else 0, then.rss_bytes or 0, now.rss_bytes or now.peak_bytes)
        if then.rss_bytes is not None and now.rss_bytes is not None:
            found["memory_start_mb"], found["memory_end_mb"] = round(then.rss_bytes / _MB, 3), round(now.rss_bytes / _MB, 3)
        found["memory_peak_mb"] = round(peak_bytes / _MB, 3)
        if meanwhile and then.written_bytes is not None and now.written_bytes is not None:
            found["disk_written_mb"] = round(max(0, now.written_bytes - then.written_bytes) / _MB, 3)
        return found

    def stop(self) -> None:
        """End the thread, after its next sample at the latest."""
        self._stopped = True
        if self._begun and self._asleep:
            self._wake()

    def _wake(self) -> None:
        start = partial(_thread.start_new_thread, started_in_try(self._sample_repeatedly), ())
        try:
            # In one step: a signal handler may raise behind it, not within.
            list(chain.from_iterable(map(map, map(self._asleep.pop, _FIRST), [(start,)])))
        except (IndexError, RuntimeError) as error:
            raise_interrupt()
            # Another thread was faster; or there are no new threads, as at the end of the interpreter.
            if isinstance(error, RuntimeError):
                self._asleep.append(_CALL)

    def _sample_repeatedly(self) -> None:
        """The thread. Not one of `threading`: that would continue the context of the first caller, and its start waits."""
        gate, asleep, self._begun = self._gate, self._asleep, True
        while not self._stopped:
            began_s = time.thread_time()
            try:
                self._sample()
            except Exception as error:  # noqa: BLE001 - what is not known of the system must not end the thread; it is no caller's
                self._failed("meter", error)
            # With hundreds of threads or children one sample takes milliseconds.
            time.sleep(max(self._interval_s, LEAST_REST * (time.thread_time() - began_s)))
            if not self._open:
                self._latest = None
                asleep.append(gate.__exit__)  # type: ignore[arg-type]  # releases it, whatever it is given
                if self._open or self._stopped:
                    # A meter was added just before; one of the two opens the gate.
                    self._wake()
                gate.acquire()
        self._latest = None

    def _sample(self) -> None:
        latest = self._latest
        number = (self._peaks[-1][0] if self._peaks else 0) + 1
        now = usage()
        peak_bytes = now.rss_bytes or now.peak_bytes
        if latest is not None:
            peak_bytes = max(peak_bytes, _peak_between(latest.usage, now))
        kept = bisect_left(self._peaks, -peak_bytes, key=lambda each: -each[1])
        peaks = [*self._peaks[:kept], (number, peak_bytes)]
        self._peaks = peaks if len(peaks) <= MAX_PEAKS else _fewer(peaks)
        sample = Sample(number, now)
        if latest is None:
            self._first = sample
        self._latest = sample


def _peak_between(before: FamilyUsage, now: FamilyUsage) -> int:
    """The highest memory between two samples, as far as the kernel knows it; 0 where it does not."""
    peak = now.peak_bytes if now.peak_bytes > before.peak_bytes else 0
    # A child begins with its parent's mark, so only a higher one is its own.
    if now.children_peak_bytes > max(before.children_peak_bytes, now.peak_bytes):
        peak = max(peak, now.children_peak_bytes + min(before.own_rss_bytes or 0, now.own_rss_bytes or 0))
    return peak


def _fewer(peaks: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Half as many: of two neighbours the later number with the higher peak."""
    pairs = zip(peaks[:-1:2], peaks[1::2], strict=False)
    return [*((later[0], earlier[1]) for earlier, later in pairs), *(peaks[-1:] if len(peaks) % 2 else ())]
