"""Memory, descriptors and threads do not grow with the number of tasks: ``benchmarks/soak.py``, for a short time."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.soak import FLAT_COUNT, FLAT_MB, FLAT_OBJECTS, WARM_TASKS, run

TASKS = 2 * WARM_TASKS


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", ["there", "away", "black hole", "slow disk"])
def test_the_second_thousands_of_tasks_take_no_more_than_the_first(tmp_path: Path, mode: str) -> None:
    """Nothing grows; and what had to wait is sent by the same process, once, and counted."""
    figures = run(mode, TASKS, tmp_path)

    assert figures.exit_code == 0
    assert figures.growth("objects") <= FLAT_OBJECTS
    assert figures.growth("rss_mb") <= FLAT_MB
    assert figures.growth("threads") <= FLAT_COUNT
    assert figures.growth("fds") <= FLAT_COUNT
    assert (figures.missing, figures.twice, figures.end["dropped"]) == (0, 0, 0)
    assert figures.end["items"] == 3 * TASKS
    assert figures.end["pending"] == (0 if figures.sends else 3 * TASKS)
