"""What this process and its descendants use: CPU time, memory, bytes written. Read from the kernel, a few system calls at a time.

On Linux from ``getrusage`` and ``/proc`` (proc(5): ``statm``, ``io``, ``stat``, ``task/<tid>/children``); elsewhere from
``getrusage`` and, where it is installed, psutil. What cannot be read is ``None``.

CPU time and bytes written are those of the whole family, and conserved: when a child has ended and was waited for, the kernel
adds its figures to its parent's. Memory is the sum of resident sets, so pages that processes share count in each of them.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

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
