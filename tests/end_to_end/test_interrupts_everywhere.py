"""An interrupt behind every call that operations and a log line make, one after the other, in real folders."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from otel_agentlog.store.validation.validate import validate

PROGRAM = "tests.end_to_end.interrupt_program"
REPOSITORY = Path(__file__).parents[2]
STEP = 20
"""Behind every so many calls; each class begins at another one, so that runs of several classes find more."""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("kind", "first"), [("TimeoutError", 1), ("Interrupt", 6), ("KeyError", 11), ("RuntimeError", 16)])
def test_an_interrupt_anywhere_arrives_and_costs_no_line(tmp_path: Path, kind: str, first: int) -> None:
    """It arrives, whatever its class; nothing is written to stderr; every folder is valid: no number twice, none missing."""
    command = [sys.executable, "-m", PROGRAM, str(tmp_path), kind, str(STEP), str(first)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True, cwd=REPOSITORY)
    found = json.loads(done.stdout)

    assert found["lost"] == []
    assert done.stderr == ""
    assert len(found["places"]) > 100
    wrong = {}
    for task, where in found["places"].items():
        if (tmp_path / task / "metadata.json").exists() and not (report := validate(tmp_path / task)).ok:
            wrong[where] = [str(each) for each in report.problems]
    assert wrong == {}
