"""SIGKILL at random moments: what a recording call has returned for is read back, byte by byte."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

KILLS = 120
"""`python benchmarks/kill.py` does a thousand."""


def test_what_was_acknowledged_survives_every_kill(tmp_path: Path) -> None:
    """One and four writers, records of 200 B to 1 MB: none lost, none changed, and the repaired folders are valid."""
    command = [sys.executable, str(ROOT / "benchmarks" / "kill.py"), "--json", "--kills", str(KILLS), "--root", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)

    found = json.loads(done.stdout)
    assert (found["lost"], found["changed"], found["invalid"]) == (0, 0, [])
    assert found["kills"] >= KILLS
    assert found["torn"] <= found["kills"] <= found["acknowledged"]
    assert done.returncode == 0, done.stderr
