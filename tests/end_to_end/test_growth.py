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
    *("whole_task", "dropped_without_end", "foreign_spans_that_never_end", "foreign_spans_that_end_late", "new_names"),
    *("failures", "large_values", "webhooks", "threads", "event_loops", "generators_left_half_way", "streams_left_half_way"),
    *("bound_attributes", "same_task_again", "deleted_below_it", "root_that_is_none", "other_loggers", "checkpoints", "alerts"),
    *("configured_again", "one_long_task"),
]


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


@pytest.mark.timeout(300)
@pytest.mark.parametrize("activity", ACTIVITIES)
def test_nothing_is_left_behind_while_the_collector_is_away(tmp_path: Path, activity: str) -> None:
    """What waits to be sent is in the folders, not in memory."""
    found = _left_by(tmp_path, activity, "http://127.0.0.1:1")

    assert found["more"] == {}
    assert int(str(found["threads"])) <= 2
    assert int(str(found["descriptors"])) <= 8
