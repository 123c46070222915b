"""Nothing that is done again and again leaves anything behind: no object, descriptor or thread for each time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("growth_program.py")
TIMES = 120
"""Three times what the program bounds everything at; a count that is half of it is growth."""

ACTIVITIES = [
    *(
        "whole_task",
        "dropped_without_end",
        "paused_and_dropped",
        "foreign_spans_that_never_end",
        "foreign_spans_that_end_late",
        "new_names",
    ),
    *("failures", "large_values", "webhooks", "threads", "event_loops", "generators_left_half_way", "streams_left_half_way"),
    *("bound_attributes", "same_task_again", "deleted_below_it", "root_that_is_none", "other_loggers", "checkpoints", "alerts"),
    *("configured_again", "one_long_task"),
]


AT_ONCE = 4
"""Programs that run beside each other where most of their time is waiting for a collector that is away."""


def _left_by(tmp_path: Path, activity: str, *more: str) -> dict[str, object]:
    (tmp_path / "tasks").mkdir()
    command = [sys.executable, str(PROGRAM), str(tmp_path / "tasks"), activity, str(TIMES), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("activity", ACTIVITIES)
def test_nothing_is_left_behind(tmp_path: Path, activity: str) -> None:
    """Without a collector."""
    found = _left_by(tmp_path, activity)

    assert found["more"] == {}
    assert int(str(found["threads"])) <= 2
    assert int(str(found["descriptors"])) <= 4


@pytest.fixture(scope="module")
def left_while_away(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[dict[str, object]]]]:
    """What each activity that is asked for leaves behind while the collector is away."""
    asked = {item.name for item in request.session.items if item.path == request.path}
    chosen = [
        each for each in ACTIVITIES if f"{test_nothing_is_left_behind_while_the_collector_is_away.__name__}[{each}]" in asked
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {each: pool.submit(_left_by, tmp_path_factory.mktemp(each), each, "http://127.0.0.1:1") for each in chosen}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("activity", ACTIVITIES)
def test_nothing_is_left_behind_while_the_collector_is_away(
    left_while_away: dict[str, Future[dict[str, object]]], activity: str
) -> None:
    """What waits to be sent is in the folders, not in memory."""
    found = left_while_away[activity].result()

    assert found["more"] == {}
    assert int(str(found["threads"])) <= 2
    assert int(str(found["descriptors"])) <= 8
