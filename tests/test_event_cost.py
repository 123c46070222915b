"""What one event costs the calling thread, in counts, which a busy machine does not change. `benchmarks/speed.py` has the times.

The ceilings only ever go down. The calls of a log line are in `test_event_path.py`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.systems import counts
from tests.support.peers import lack

CALLS_OF_A_TOOL_RUN = 53
"""Most of the package's own Python calls from the start of a tool run to its end."""

SYSTEM_CALLS_OF_AN_EVENT = 1.83
"""Most of the calling thread, without ``futex``, in the task that the benchmarks record: its 71 events and its folder."""

INSTRUCTIONS_WITHIN = 0.15
"""By how much the instructions of that task may differ from those of ``benchmarks/systems/counts.json``."""


def need(program: str) -> None:
    """Say so where the program is not there."""
    if shutil.which(program) is None:
        lack(f"no {program} on PATH: apt-get install --no-install-recommends {program}")


def test_a_tool_run_makes_few_calls(tmp_path: Path) -> None:
    """Its start, its result and its end."""
    assert counts.own_calls(tmp_path)["tool run"] <= CALLS_OF_A_TOOL_RUN


@pytest.mark.timeout(300)
def test_an_event_makes_few_system_calls(tmp_path: Path) -> None:
    """As strace counts them."""
    need("strace")

    found = counts.system_calls(tmp_path)

    assert found.of_an_event <= SYSTEM_CALLS_OF_AN_EVENT, str(found)


@pytest.mark.slow
@pytest.mark.timeout(1000)
def test_a_task_takes_as_many_instructions_as_when_they_were_last_counted(tmp_path: Path) -> None:
    """As callgrind counts them. More is a cost that somebody must have meant; less is to be kept: ``counts --commit``."""
    wanted = counts.committed().get(counts.PYTHON)
    if wanted is None:
        pytest.skip(f"no figure for {counts.PYTHON}: python -m benchmarks.systems.counts --commit")
    need("valgrind")

    found = counts.instructions(tmp_path)

    assert abs(found / wanted - 1) <= INSTRUCTIONS_WITHIN, (
        f"{found:,} instructions of a task, {wanted:,} committed: if that is meant, python -m benchmarks.systems.counts --commit"
    )
