"""Memory, descriptors and threads do not grow with the number of tasks: ``benchmarks/soak.py``, for a short time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from benchmarks.soak import FLAT_COUNT, FLAT_MB, FLAT_OBJECTS, WARM_TASKS, Figures, run

TASKS = 2 * WARM_TASKS
MODES = ["black hole", "away", "there", "slow disk"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Figures]]]:
    """Two beside each other: half of the time is spent waiting for a collector or a disk."""
    with ThreadPoolExecutor(2) as pool:
        started = {mode: pool.submit(run, mode, TASKS, tmp_path_factory.mktemp("soak")) for mode in MODES}
        yield started
        for each in started.values():
            each.cancel()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", MODES)
def test_the_second_thousands_of_tasks_take_no_more_than_the_first(runs: dict[str, Future[Figures]], mode: str) -> None:
    """Nothing grows; and what had to wait is sent by the same process, once, and counted."""
    figures = runs[mode].result()

    assert figures.exit_code == 0
    assert figures.growth("objects") <= FLAT_OBJECTS
    assert figures.growth("rss_mb") <= FLAT_MB
    assert figures.growth("threads") <= FLAT_COUNT
    assert figures.growth("fds") <= FLAT_COUNT
    assert (figures.missing, figures.twice, figures.end["dropped"]) == (0, 0, 0)
    assert figures.end["items"] == 3 * TASKS
    assert figures.end["pending"] == (0 if figures.sends else 3 * TASKS)
