"""SIGKILL at the nth system call, and every error of the nth system call, of a small task."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

SAMPLE = 70
"""Kills, and errors; `python benchmarks/syscalls.py` does all."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("level", ["process", "sync"])
def test_a_task_cut_off_at_any_system_call_is_whole_and_one_that_sees_any_error_goes_on(level: str) -> None:
    """Acknowledged records are there, the files are whole, repair makes the folder valid, the program notices nothing."""
    if shutil.which("strace") is None:
        message = "strace is needed: apt-get install strace (.ci/run does it)"
        assert os.environ.get("CI") != "true", message
        pytest.skip(message)
    command = [sys.executable, str(ROOT / "benchmarks" / "syscalls.py"), "--json", "--sample", str(SAMPLE)]
    environment = {**os.environ, "AGENTLOG_DURABILITY": level}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)

    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["kills"] > SAMPLE // 4
    assert found["errors"] >= SAMPLE - 1
    assert {"write", "openat", "renameat", "mkdirat", "fsync", "fdatasync"} <= found["calls"].keys()
