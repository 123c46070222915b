"""Kills a run of upkeep at its nth system call, for many n, and checks what is left; a program, as it forks.

Usage: ``python -m tests.store.retention.retention_killed FOLDER SECONDS``. Prints one JSON object: how many system calls a run
has, at how
many of them it was killed, and what was wrong. Each child stops itself, strace is attached and told the n, and the child goes on.
"""

from __future__ import annotations

import ctypes
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from otel_agentlog.store.folder import layout
from otel_agentlog.store.retention.policy import RetentionLimits
from otel_agentlog.store.retention.prune import prune
from otel_agentlog.vocabulary.lines import timestamp
from tests.store.retention.retention_folders import DAY_NS, NOW_NS, content, lines, make_task, names, tree, write
from tests.support.waiting import wait_until

CALLS = (
    "openat,open,mkdir,mkdirat,write,pwrite64,rename,renameat,renameat2,unlink,unlinkat,rmdir,fsync,fdatasync,ftruncate,"
    "utimensat,fchmod,flock,link,linkat"
)
"""Between two of these the disk does not change."""

LIMITS = RetentionLimits(retention_days=30, max_bytes=19_000, compress_after_days=0.5, delivers=True)
OUTPUT = layout.AGENT_OUTPUT
PR_SET_PTRACER, PR_SET_PTRACER_ANY = 0x59616D61, -1


def make_root(root: Path) -> None:
    """Tasks for everything that a run does: finish, delete by age and quota, compress, merge, and leave alone."""
    root.mkdir(mode=0o700)
    # Undelivered tasks go last and by age, so that the quota takes the oldest of these alone.
    waits = {"pending": 1}
    make_task(root, "task-gone", ended_ns=NOW_NS - 50 * DAY_NS).rename(root / ".pruned.task-gone.0123456789abcdef")
    old = make_task(root, "task-old-1", ended_ns=NOW_NS - 40 * DAY_NS)
    (old / layout.ARTIFACTS).mkdir(mode=0o700)
    write(old / layout.ARTIFACTS / ("a" * 64), b"artifact")
    make_task(root, "task-old-2", ended_ns=NOW_NS - 41 * DAY_NS)
    make_task(root, "task-quota", ended_ns=NOW_NS - 20 * DAY_NS, size_bytes=15_000, delivery={"pending": 7}, status="failed")
    os.truncate(root / "task-quota" / OUTPUT, 0)
    write(root / "task-quota" / ".delivery.jsonl", os.urandom(15_000))
    plain = make_task(root, "task-plain", size_bytes=6_000, delivery=waits)
    write(plain / layout.INPUT, b'{"input":"' + b"x" * 70_000 + b'"}\n')
    write(plain / layout.WEBHOOK_FLOW, lines("task-plain", timestamp(NOW_NS), 2_000))
    (plain / layout.ARTIFACTS).mkdir(mode=0o700)
    write(plain / layout.ARTIFACTS / ("b" * 64), b"artifact " * 10_000)
    late = make_task(root, "task-late", delivery=waits)
    write(late / f"{OUTPUT}.gz", gzip.compress((late / OUTPUT).read_bytes()))
    write(late / OUTPUT, lines("task-late", timestamp(NOW_NS - DAY_NS), 1_000).replace(b'"a1-', b'"b2-'))
    both = make_task(root, "task-both", delivery=waits)
    write(both / f"{OUTPUT}.gz", gzip.compress((both / OUTPUT).read_bytes()))
    write(both / f".{OUTPUT}.gz.pack.tmp", b"half")
    make_task(root, "task-running", status="running")
    (root / "somebodys").mkdir()
    write(root / "somebodys" / "thesis.tex", b"precious")


def run_killed(root: Path, call: str, number: int, log: Path) -> bool:
    """Prune in a child that is killed when it enters the nth call of this name; false if it came to its end before."""
    child = os.fork()
    if child == 0:
        _wait_for_tracer()
        try:
            prune(root, LIMITS, now_ns=NOW_NS)
        finally:
            os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    inject = ["-e", f"inject={call}:signal=SIGKILL:when={number}"] if call else []
    tracer = subprocess.Popen(
        ["strace", "-qq", "-o", str(log), "-e", f"trace={CALLS}", *inject, "-p", str(child)], stderr=subprocess.PIPE
    )
    try:
        wait_until(lambda: _is_traced(child) or tracer.poll() is not None, "strace to attach")
        assert tracer.poll() is None, f"strace: {tracer.communicate()[1].decode()}"
        os.kill(child, signal.SIGCONT)
        _, status = os.waitpid(child, 0)
    finally:
        tracer.terminate()
        tracer.communicate()
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def _wait_for_tracer() -> None:
    # Where Yama restricts ptrace, a process may only be traced by its parents unless it says otherwise.
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(PR_SET_PTRACER_ANY & (2**64 - 1)), 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)


def _is_traced(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    return "TracerPid:\t0\n" not in status


class Check:
    """What must hold after a kill, and after the run that follows it."""

    def __init__(self, folder: Path) -> None:
        self._template, self._expected = folder / "template", folder / "expected"
        make_root(self._template)
        self.before = {name: content(self._template / name) for name in names(self._template) if name != "somebodys"}
        self.copy(self._expected)
        self.report = prune(self._expected, LIMITS, now_ns=NOW_NS)
        self._after = tree(self._expected)
        self._survivors = set(names(self._expected))

    def copy(self, root: Path) -> None:
        """Make the root anew, with the same times and modes."""
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self._template, root, symlinks=True)

    def after_kill(self, root: Path) -> list[str]:
        """Every task that stays reads as before; one that goes is whole or not there."""
        wrong = [f"lost {name}" for name in self._survivors - set(names(root))]
        for name, before in self.before.items():
            if (root / name).exists() and content(root / name) != before:
                wrong.append(f"changed {name}")
        return wrong

    def after_next_run(self, root: Path) -> list[str]:
        """The same as if nobody had been killed, and what was dropped is counted at least once."""
        report = prune(root, LIMITS, now_ns=NOW_NS)
        after = tree(root)
        wrong = [f"differs: {path}" for path in sorted({*after, *self._after}) if after.get(path) != self._after.get(path)]
        if report.totals.get("dropped", {}).get("quota", 0) < self.report.dropped:
            wrong.append(f"counted {report.totals.get('dropped')}")
        return wrong


def main(folder: Path, seconds: float) -> dict[str, Any]:
    """Kill as often as the time allows, spread evenly over the run."""
    check, root, log = Check(folder), folder / "root", folder / "strace.log"
    check.copy(root)
    run_killed(root, "", 0, log)
    calls = numbered(log.read_text())
    began, killed, wrong = time.monotonic(), 0, []
    for place in _spread(len(calls)):
        if time.monotonic() - began > seconds:
            break
        check.copy(root)
        call, number = calls[place]
        killed += run_killed(root, call, number, log)
        found = check.after_kill(root) + check.after_next_run(root)
        wrong += [f"killed at {call} {number}: {each}" for each in found]
    deleted = [f"{each.name} {each.reason.value}" for each in check.report.deleted]
    compressed = [each.name for each in check.report.compressed]
    return {"calls": len(calls), "killed": killed, "wrong": wrong, "deleted": deleted, "compressed": compressed}


def numbered(log: str) -> list[tuple[str, int]]:
    """The calls of a run in order, each with its number among those of its name, as strace counts."""
    counts: dict[str, int] = {}
    calls = []
    for name in re.findall(r"^(\w+)\(", log, re.MULTILINE):
        counts[name] = counts.get(name, 0) + 1
        calls.append((name, counts[name]))
    return calls


def _spread(total: int) -> list[int]:
    """All places, every eighth first, so that whatever time allows is spread."""
    return sorted(range(total), key=lambda place: (int(f"{place % 8:03b}"[::-1], 2), place))


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), float(sys.argv[2]))))
