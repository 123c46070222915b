"""How a process tree ended and what it used, as plain data; how it is cancelled; how what escaped its supervisor is found."""

from __future__ import annotations

import errno
import os
import selectors
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass

_MB = 1_000_000
_SEARCH_S = 5.0
_KILL = getattr(signal, "SIGKILL", 0)


@dataclass(frozen=True)
class ResourceUsage:
    """What a process tree used. A MB is 10^6 bytes; memory is resident, ``None`` where it ended before it could be measured."""

    wall_s: float = 0.0
    cpu_user_s: float = 0.0
    cpu_system_s: float = 0.0
    memory_start_mb: float | None = None
    memory_end_mb: float | None = None
    memory_peak_mb: float | None = None
    peak_processes: int = 0
    """The most processes at the same time."""
    disk_written_mb: float | None = None
    """What it caused to be written to disks, as far as the kernel reports it."""

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU, in user and system mode."""
        return self.cpu_user_s + self.cpu_system_s

    @property
    def peak_memory_mb(self) -> float | None:
        """`memory_peak_mb`, by another name in use."""
        return self.memory_peak_mb

    @property
    def cpu_time_seconds(self) -> float:
        """`cpu_s`, by another name in use."""
        return self.cpu_s

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> ResourceUsage:
        """From the supervisor's report."""
        return cls(
            wall_s=round(report["wall_s"], 6),
            cpu_user_s=round(report["user_s"], 6),
            cpu_system_s=round(report["system_s"], 6),
            memory_start_mb=_mb(report["rss_start"] or None),
            memory_end_mb=_mb(report["rss_end"] or None),
            memory_peak_mb=_mb(report["rss_peak"] or None),
            disk_written_mb=_mb(report["written"]),
            peak_processes=report["processes"],
        )

    def __add__(self, later: ResourceUsage) -> ResourceUsage:
        """One attempt after the other: times add up, memory peaks at the higher of both."""
        peaks = [peak for peak in (self.memory_peak_mb, later.memory_peak_mb) if peak is not None]
        written = [each for each in (self.disk_written_mb, later.disk_written_mb) if each is not None]
        return ResourceUsage(
            wall_s=self.wall_s + later.wall_s,
            cpu_user_s=self.cpu_user_s + later.cpu_user_s,
            cpu_system_s=self.cpu_system_s + later.cpu_system_s,
            memory_start_mb=self.memory_start_mb if self.memory_start_mb is not None else later.memory_start_mb,
            memory_end_mb=later.memory_end_mb if later.memory_end_mb is not None else self.memory_end_mb,
            memory_peak_mb=max(peaks) if peaks else None,
            disk_written_mb=round(sum(written), 3) if written else None,
            peak_processes=max(self.peak_processes, later.peak_processes),
        )

    def as_dict(self) -> dict[str, Any]:
        """The figures by name, with ``cpu_s``."""
        return {**asdict(self), "cpu_s": round(self.cpu_s, 6)}

    def as_resources(self) -> dict[str, float]:
        """Those of ``details.resources`` of a tool run's end, as far as they are known."""
        figures = {
            "cpu_seconds": round(self.cpu_s, 6),
            "memory_start_mb": self.memory_start_mb,
            "memory_end_mb": self.memory_end_mb,
            "memory_peak_mb": self.memory_peak_mb,
            "disk_written_mb": self.disk_written_mb,
            "peak_processes": self.peak_processes,
        }
        return {name: figure for name, figure in figures.items() if figure is not None}


def _mb(size_bytes: int | None) -> float | None:
    return None if size_bytes is None else round(size_bytes / _MB, 3)


@dataclass(frozen=True)
class StartFailure:
    """Why a process could not be started."""

    stage: str
    """``cwd``, ``start``, ``limits``, ``sandbox`` or ``exec``."""
    number: int
    """The ``errno``."""
    path: str

    def __str__(self) -> str:
        return f"{self.stage}: {os.strerror(self.number)} ({errno.errorcode.get(self.number, self.number)}): {self.path}"


@dataclass(frozen=True)
class Ending:
    """How a process tree ended."""

    exit_code: int | None = None
    """Negative: ended by that signal. ``None``: it was never started, or that is not known."""
    reason: str | None = None
    """Who ended it: ``timeout``, ``memory``, ``cancelled``, ``abandoned``, ``lost`` (its supervisor was killed) or ``None``."""
    problem: StartFailure | None = None
    usage: ResourceUsage = ResourceUsage()
    left_behind: int = 0
    """Processes that the program left running; they were ended."""
    unkillable: tuple[int, ...] = ()
    """Process ids that could not be ended."""


class Cancellation:
    """Ends an execution from another thread; good for one execution."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair()
        self.requested = False

    def cancel(self) -> None:
        """Ask for the end; may be called more than once."""
        self.requested = True
        try:
            self._ours.send(b"c")
        except OSError:
            raise_interrupt()  # it has ended already

    def wait(self, seconds: float) -> bool:
        """Sleep, unless or until it is cancelled; whether it is."""
        if not self.requested:
            with selectors.DefaultSelector() as selector:
                selector.register(self.theirs, selectors.EVENT_READ)
                selector.select(seconds)
        return self.requested

    def close(self) -> None:
        """Close both sockets."""
        self._ours.close()
        self.theirs.close()


def process_state(pid: int) -> bytes:
    """One letter, as in ``/proc/<pid>/stat``: ``T`` stopped, ``t`` traced, ``Z`` dead, also if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        raise_interrupt()
        return b"Z"


def end_marked(name: str, value: str) -> None:
    """Kill every process that has this variable in its environment; for when its supervisor has died."""
    give_up = time.monotonic() + _SEARCH_S
    while time.monotonic() < give_up:
        found = False
        for pid in _marked(f"{name}={value}".encode()):
            found = True
            try:
                os.kill(pid, _KILL)
            except OSError:
                raise_interrupt()  # ended meanwhile, or not ours to end
        if not found:
            return


def _marked(entry: bytes) -> Iterator[int]:
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        raise_interrupt()
        return
    for pid in pids:
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if entry in file.read().split(b"\0"):
                    yield pid
        except OSError:
            raise_interrupt()  # ended meanwhile, or of another user
