"""Nothing that is done again and again leaves anything behind: no object, descriptor or thread for each time."""

from __future__ import annotations

import json
import subprocess
import sys
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


AWAY = "http://127.0.0.1:1"

Left = dict[str, dict[str, object]]
"""What each activity left behind."""


def _left(tests: str, request: pytest.FixtureRequest, folder: Path, at_once: int, endpoint: str) -> Left:
    """What those activities leave behind whose test is to run: one program, as it takes long to import everything."""
    names = {item.name for item in request.session.items if item.path == request.path}
    chosen = [each for each in ACTIVITIES if f"{tests}[{each}]" in names]
    command = [sys.executable, str(PROGRAM), str(folder), str(TIMES), str(at_once), endpoint, *chosen]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return {found["activity"]: found for found in map(json.loads, done.stdout.splitlines())}


@pytest.fixture(scope="module")
def left_behind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Left:
    return _left(test_nothing_is_left_behind.__name__, request, tmp_path_factory.mktemp("alone"), 1, "")


@pytest.fixture(scope="module")
def left_while_away(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Left:
    """Most of the time they wait for a collector that is not there: some beside each other."""
    name = test_nothing_is_left_behind_while_the_collector_is_away.__name__
    return _left(name, request, tmp_path_factory.mktemp("away"), 8, AWAY)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("activity", ACTIVITIES)
def test_nothing_is_left_behind(left_behind: Left, activity: str) -> None:
    """Without a collector."""
    found = left_behind[activity]

    assert found["more"] == {}
    assert int(str(found["threads"])) <= 2
    assert int(str(found["descriptors"])) <= 4


@pytest.mark.timeout(300)
@pytest.mark.parametrize("activity", ACTIVITIES)
def test_nothing_is_left_behind_while_the_collector_is_away(left_while_away: Left, activity: str) -> None:
    """What waits to be sent is in the folders, not in memory."""
    found = left_while_away[activity]

    assert found["more"] == {}
    assert int(str(found["threads"])) <= 2
    assert int(str(found["descriptors"])) <= 8
