"""A run of upkeep may be killed at any moment."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.peers import lack

ROOT = Path(__file__).resolve().parents[3]

SECONDS = 90
"""How long kills may go on; they end once there was one at every system call of the run."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_at_every_system_call_nothing_is_lost_or_half_deleted(tmp_path: Path) -> None:
    """SIGKILL at every nth system call: every reader reads every task that is there, and the next run completes the work."""
    if shutil.which("strace") is None:
        lack("no strace on PATH: apt-get install --no-install-recommends strace")

    said = subprocess.run(
        [sys.executable, "-m", "tests.store.retention.retention_killed", tmp_path, str(SECONDS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert found["wrong"] == []
    assert found["deleted"] == ["task-old-2 age", "task-old-1 age", "task-quota quota"]
    assert found["compressed"] == ["task-both", "task-late", "task-plain"]
    assert found["killed"] >= min(found["calls"], 60)
