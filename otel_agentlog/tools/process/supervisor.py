"""The small program between the agent and a process it runs: starts it, watches its tree, leaves nothing behind.

It runs as a process of its own, because what it does changes a process for good: it becomes the reaper of every orphan below it,
and it forks. None of that may happen to the agent's process. It uses the standard library and `sandbox`, nothing else:
the less it imports, the sooner the program runs.

Its orders are a marshalled dict on a socket, preceded by its length in 8 bytes, its answers ``repr`` lines:
``{"pid"}`` once the program runs and one with everything that is known at its end, or ``{"problem"}`` if it could not be started.
A byte on the socket ends the tree: ``t`` politely, ``k`` at once; so does the end of the socket, which is how the agent's death
shows.

Figures: CPU times are the sum of what ``wait4`` returns for every reaped process of the tree; memory is resident memory, of
several processes their proportional share (``Pss``), and at its peak no less than the kernel's ``ru_maxrss`` of any of them.
"""

from __future__ import annotations

import json
import marshal
import os
import resource
import select
import signal
import socket
import sys
import time
from typing import Any

from otel_agentlog._interrupts import raise_interrupt

if sys.platform != "win32":
    from otel_agentlog.tools.process.sandbox import become_reaper, start

assert sys.platform != "win32"

_PAGE = resource.getpagesize()
_FIRST_INTERVAL_S, _LAST_INTERVAL_S = 0.002, 0.1
_KILL_PATIENCE_S = 5.0
_DEAD = (b"Z", b"X")


def main(fd: int) -> None:
    """Run the program that is described on the socket; returns when all its processes have ended."""
    channel = socket.socket(fileno=fd)
    channel.set_inheritable(False)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(ignored, signal.SIG_IGN)
    spec: dict[str, Any] = marshal.loads(_exactly(channel, int.from_bytes(_exactly(channel, 8), "big")))  # noqa: S302
    become_reaper()
    baseline = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    pid, problem = start(spec)
    if problem is not None:
        _send(channel, {"problem": problem})
        return
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    _send(channel, {"pid": pid})
    report = ProcessTree(pid, spec, channel, began, baseline * 1024).watch()
    _send(channel, report)
    if report["reason"] == "abandoned" and spec["scratch"]:
        import shutil  # takes longer to import than all the rest together

        shutil.rmtree(spec["scratch"], ignore_errors=True)


def _exactly(channel: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = channel.recv(size - len(data))
        if not piece:
            raise SystemExit(1)
        data += piece
    return data


def _send(channel: socket.socket, message: dict[str, Any]) -> None:
    try:
        channel.setblocking(True)
        channel.sendall(json.dumps(message).encode() + b"\n")
    except OSError:
        raise_interrupt()  # the agent has ended


class ProcessTree:
    """The program and everything that descends from it, until nothing of it is left."""

    def __init__(self, pid: int, spec: dict[str, Any], channel: socket.socket, began: float, baseline_bytes: int) -> None:
        self._pid, self._channel, self._began, self._baseline = pid, channel, began, baseline_bytes
        self._agent = os.getppid()
        self._limit, self._grace_s = spec["memory_bytes"], spec["grace_s"]
        self._deadline = None if spec["timeout_s"] is None else began + spec["timeout_s"]
        self._kill_at: float | None = None
        self._interval = _FIRST_INTERVAL_S
        self._written_before = _written()
        self.report: dict[str, Any] = {"exit": None, "reason": None, "user_s": 0.0, "system_s": 0.0, "processes": 1}
        self.report.update(rss_start=None, rss_end=None, rss_peak=0, left_behind=0, unkillable=[], wall_s=0.0, written=0)

    def watch(self) -> dict[str, Any]:
        """Wait for the end, sampling; returns what is to be reported."""
        woken, wake = socket.socketpair()
        for end in (woken, wake):
            end.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        sampled = 0.0
        while self._reap() and self.report["exit"] is None:
            now = time.monotonic()
            if now >= sampled + self._interval:
                sampled, self._interval = now, min(self._interval * 1.2, _LAST_INTERVAL_S)
                self._sample()
            self._judge(now)
            readable, _, _ = select.select([self._channel, woken], [], [], self._wait_s(now))
            if woken in readable:
                woken.recv(4096)
            if self._channel in readable:
                self._listen()
        self.report["wall_s"] = time.monotonic() - self._began
        self._clear()
        # The kernel adds what a process wrote to its parent's when that waits for it; this one writes nothing itself.
        self.report["written"] = _written() - self._written_before
        return self.report

    def _wait_s(self, now: float) -> float:
        ends = [end for end in (self._deadline, self._kill_at) if end is not None]
        return max(0.0, min([now + self._interval, *ends]) - now)

    def _listen(self) -> None:
        try:
            order = self._channel.recv(1)
        except OSError:
            raise_interrupt()
            order = b""  # the agent died with something unread in its socket: that resets the connection
        if order == b"t":
            self._terminate("cancelled")
        elif order == b"k":
            self._terminate("cancelled", at_once=True)
        else:
            self._terminate("abandoned", at_once=True)

    def _judge(self, now: float) -> None:
        if os.getppid() != self._agent:
            # The socket does not close if the agent had forked: the copy holds it open.
            self._terminate("abandoned", at_once=True)
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self._terminate("timeout")
        if self._kill_at is not None and now >= self._kill_at:
            self._signal(signal.SIGKILL)
            self._kill_at = now + _FIRST_INTERVAL_S

    def _terminate(self, reason: str, *, at_once: bool = False) -> None:
        self.report["reason"] = self.report["reason"] or reason
        if at_once:
            self._signal(signal.SIGKILL)
        elif self._kill_at is None:
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)
        self._kill_at = min(self._kill_at or float("inf"), time.monotonic() + (0 if at_once else self._grace_s))

    def _signal(self, number: int) -> None:
        for pid in _descendants(os.getpid()):
            try:
                os.kill(pid, number)
            except OSError:
                raise_interrupt()  # ended meanwhile, or no longer ours to signal: listed as unkillable in the end

    def _reap(self) -> bool:
        """Take note of every process that has ended; whether any is left."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self.report["user_s"] += used.ru_utime
            self.report["system_s"] += used.ru_stime
            # What a process had before it became the program counts too for the kernel: a value below that is not the program's.
            if used.ru_maxrss * 1024 > self._baseline:
                self.report["rss_peak"] = max(self.report["rss_peak"], used.ru_maxrss * 1024)
            if pid == self._pid:
                self.report["exit"] = os.waitstatus_to_exitcode(status)

    def _sample(self) -> None:
        pids = _descendants(os.getpid())
        resident, report = _memory(pids), self.report
        if resident > report["rss_peak"] and len(pids) > 1:
            # Shares are read one after the other: one that ends meanwhile makes those of the others larger.
            resident = min(resident, _memory(_descendants(os.getpid())))
        if not resident:
            return
        report["processes"] = max(report["processes"], len(pids))
        report["rss_start"] = report["rss_start"] or resident
        report["rss_end"], report["rss_peak"] = resident, max(report["rss_peak"], resident, _highest(pids[0]))
        if self._limit is not None and resident > self._limit:
            self._terminate("memory", at_once=True)

    def _clear(self) -> None:
        """End whatever the program left behind, as politely as the grace allows."""
        self._deadline = None
        left = _descendants(os.getpid())
        self.report["left_behind"] = len(left)
        if left and self._kill_at is None:
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)
            self._kill_at = time.monotonic() + min(self._grace_s, 1.0)
        give_up = time.monotonic() + (self._grace_s if left else 0.0) + _KILL_PATIENCE_S
        while self._reap() and time.monotonic() < give_up:
            self._judge(time.monotonic())
            time.sleep(0.002)
        self.report["unkillable"] = _descendants(os.getpid())


def _descendants(pid: int) -> list[int]:
    """Every process below this one, without it and without the dead."""
    found: list[int] = []
    for child in _children(pid):
        if _state(child) not in _DEAD:
            found.append(child)
        found += _descendants(child)
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                children += map(int, file.read().split())
    except OSError:
        raise_interrupt()  # it ended during the read
    return children


def _state(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        raise_interrupt()
        return _DEAD[0]


def _memory(pids: list[int]) -> int:
    return sum(map(_share, pids)) if len(pids) > 1 else sum(map(_resident, pids))


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        raise_interrupt()
        return 0


def _highest(pid: int) -> int:
    """The most that one process had so far; ``ru_maxrss`` would include what it was before it became the program."""
    return _number_in(f"/proc/{pid}/status", b"VmHWM:", 0) * 1024


def _written() -> int:
    """Bytes that this process, and those it waited for, caused to be written to disks."""
    return _number_in("/proc/self/io", b"write_bytes:", 0)


def _share(pid: int) -> int:
    share_kib = _number_in(f"/proc/{pid}/smaps_rollup", b"Pss:", -1)
    return _resident(pid) if share_kib < 0 else share_kib * 1024


def _number_in(path: str, name: bytes, otherwise: int) -> int:
    """The first number of the line that begins so; ``otherwise`` where the file cannot be read."""
    try:
        with open(path, "rb") as file:
            return next((int(line.split()[1]) for line in file if line.startswith(name)), 0)
    except OSError:
        raise_interrupt()
        return otherwise
