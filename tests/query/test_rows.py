"""Rows of tasks: how they stand, what they cost, which come first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from otel_agentlog.query import UNSUCCESSFUL, Filter, find_rows, questions, row_of, statistics
from otel_agentlog.store.folder.reader import TaskReader
from tests.query.folders import MakeTask, held

BEGAN = "2026-11-21T05:22:01.000000000Z"
START = {"timestamp": BEGAN, "type": "task", "phase": "start", "span_id": "a" * 16, "message": "Job", "event_id": "aa-0"}
END = {**START, "timestamp": "2026-11-21T05:22:03.000000000Z", "phase": "end", "outcome": "failed", "duration_ms": 2000.0}


def metadata(status: Any, created: str = BEGAN, **more: Any) -> dict[str, Any]:
    """The keys that matter here."""
    return {"status": status, "created_at": created, "started_at": created, **more}


def test_the_newest_task_comes_first(make_task: MakeTask, tmp_path: Path) -> None:
    """By the time of creation, whatever the names are."""
    for task_id, created in (("b", "2026-11-21T01"), ("c", "2026-11-21T03"), ("a", "2026-11-21T02")):
        make_task(task_id, metadata("completed", f"{created}:00:00.000000000Z"))

    found = find_rows(tmp_path / "tasks")

    assert [row.task_id for row in found.rows] == ["c", "a", "b"]


def test_the_limit_cuts_and_the_count_does_not(make_task: MakeTask, tmp_path: Path) -> None:
    """What is left out is still counted, with and without a filter."""
    for number in range(5):
        make_task(f"task-{number}", metadata("failed" if number % 2 else "completed", f"2026-11-21T0{number}:00:00.000000000Z"))

    found = find_rows(tmp_path / "tasks", statuses={"failed"}, limit=1)

    assert ([row.task_id for row in found.rows], found.matching, found.tasks) == (["task-3"], 2, 5)


def test_a_root_that_is_not_there_has_no_tasks(tmp_path: Path) -> None:
    """Before the first task there is no folder; that is no error."""
    assert find_rows(tmp_path / "nowhere").rows == []


def test_a_task_that_ended_says_its_own_figures(make_task: MakeTask) -> None:
    """The final result is believed; its lines are not read."""
    final = {"outcome": "failed", "metrics": {"cost_usd": 1.5}, "error": {"type": "E", "message": "m", "error_id": "1"}}
    row = row_of(TaskReader(make_task("task-1", metadata("failed"), final=final)))

    assert (row.status, row.metrics, row.error, row.has_ended) == ("failed", {"cost_usd": 1.5}, final["error"], True)


def test_a_running_task_is_counted_from_its_lines(make_task: MakeTask) -> None:
    """Its time goes on until now."""
    folder = make_task("task-1", metadata("running"), START)
    with held(folder):
        row = row_of(TaskReader(folder))

    assert (row.status, row.process_gone, row.has_ended) == ("running", False, False)
    assert row.metrics["duration_seconds"] > 2
    assert row.metrics["ai_calls"] == 0


def test_a_task_whose_process_is_gone_is_interrupted(make_task: MakeTask) -> None:
    """The folder still says running, and nobody holds it."""
    row = row_of(TaskReader(make_task("task-1", metadata("running"), START)))

    assert (row.status, row.process_gone) == ("interrupted", True)


def test_a_task_of_another_machine_may_be_at_work(make_task: MakeTask) -> None:
    """A lock cannot always be seen across the network, so it is not called dead."""
    process = {"timestamp": BEGAN, "type": "process", "host": "elsewhere.example", "event_id": "aa-0"}
    row = row_of(TaskReader(make_task("task-1", metadata("running"), process, START)))

    assert (row.status, row.process_gone) == ("running", False)


@pytest.mark.parametrize("status", ["pending", "paused"])
def test_a_task_may_wait_without_a_process(make_task: MakeTask, status: str) -> None:
    """Pending and paused tasks are not interrupted because nobody is at work on them."""
    assert row_of(TaskReader(make_task("task-1", metadata(status)))).status == status


def test_a_kill_between_the_last_two_writes_is_seen_through(make_task: MakeTask) -> None:
    """The final result is there, metadata.json still says running: it has ended."""
    row = row_of(TaskReader(make_task("task-1", metadata("running"), START, END, final={"outcome": "failed"})))

    assert (row.status, row.process_gone) == ("failed", False)


def test_without_metadata_the_lines_say_how_it_ended(make_task: MakeTask) -> None:
    """A folder that lost metadata.json still has a row."""
    row = row_of(TaskReader(make_task("task-1", None, START, END)))

    assert (row.status, row.task_id, row.name, row.metrics["duration_seconds"]) == ("failed", "task-1", "task-1", 2.0)


@pytest.mark.parametrize("value", [None, 1, "nonsense", [], {}])
def test_values_of_the_wrong_kind_read_as_absent(make_task: MakeTask, value: Any) -> None:
    """Whatever stands in the files, there is a row, and it can be made into JSON."""
    keys = ("name", "status", "created_at", "started_at", "parent_task_id", "tags", "delivery", "assigned_agent")
    folder = make_task("task-1", dict.fromkeys(keys, value), START, final={"metrics": value, "error": value, "outcome": value})
    row = row_of(TaskReader(folder))

    assert row.status in ("interrupted", "running")
    assert orjson.loads(orjson.dumps(row.as_json()))["task_id"] == "task-1"


def test_what_counts_as_unsuccessful_is_what_nobody_wanted() -> None:
    """Cancelled is not failed: somebody wanted it so."""
    assert {"failed", "timed_out", "interrupted"} == UNSUCCESSFUL


def test_days_without_tasks_are_passed_over(make_task: MakeTask, tmp_path: Path) -> None:
    """A task whose time is damaged would have all days of centuries looked at."""
    for number, year in enumerate((1901, 2026, 2026)):
        make_task(f"t-{number}", {"status": "completed", "created_at": f"{year}-03-0{number + 1}T12:00:00.000000000Z"})

    found = statistics(tmp_path / "tasks", group_by="day").groups
    looked_at = questions.ask(tmp_path / "tasks", lambda index: list(questions._days(index, *index.created(Filter()) or (0, 0))))

    assert [each.key for each in found] == ["1901-03-01", "2026-03-02", "2026-03-03"]
    assert len(looked_at) == 3
