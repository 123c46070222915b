"""Peak memory by ``VmHWM``: the kernel counts in ``ru_maxrss`` of a child what its parent had when it began it, here pytest's."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def peak_kib(pid: int | str = "self") -> int:
    """The most that a process had in memory so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def forget_peak() -> None:
    """Let this process's peak begin at what it has now."""
    Path("/proc/self/clear_refs").write_text("5")


def environment() -> dict[str, str]:
    """Variables of a program that imports this module."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}
