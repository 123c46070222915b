"""What goes, in which order, and what stays: tables of task folders before and after, with a frozen clock."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.settings.fields import load
from otel_agentlog.store.retention.policy import RetentionLimits, limits_of
from otel_agentlog.store.retention.prune import prune
from otel_agentlog.store.retention.report import PruneReport
from tests.store.retention.retention_folders import DAY_NS, NOW_NS, make_task, make_tasks, names, tree

WEEK = """
task-monday     completed    6d  1000
task-tuesday    failed       5d  1000
task-wednesday  cancelled    4d  1000
task-thursday   interrupted  3d  1000
task-friday     timed_out    2d  1000
"""


def pruned(root: Path, **limits: Any) -> PruneReport:
    """Prune with these limits, after a dry run that must have said the same."""
    before = tree(root)
    predicted = prune(root, RetentionLimits(**limits), now_ns=NOW_NS, dry_run=True)
    assert tree(root) == before
    report = prune(root, RetentionLimits(**limits), now_ns=NOW_NS)
    told, foretold = report.as_json(), predicted.as_json()
    assert {**foretold, "dry_run": False, "totals": told["totals"]} == told
    return report


@pytest.mark.parametrize(
    ("limits", "left", "reasons"),
    [
        ({}, ["friday", "monday", "thursday", "tuesday", "wednesday"], []),
        ({"retention_days": 7}, ["friday", "monday", "thursday", "tuesday", "wednesday"], []),
        ({"retention_days": 6}, ["friday", "thursday", "tuesday", "wednesday"], ["age"]),
        ({"retention_days": 3.5}, ["friday", "thursday"], ["age", "age", "age"]),
        ({"retention_days": 0}, [], ["age"] * 5),
        ({"max_tasks": 5}, ["friday", "monday", "thursday", "tuesday", "wednesday"], []),
        ({"max_tasks": 2}, ["friday", "thursday"], ["count"] * 3),
        ({"max_tasks": 0}, [], ["count"] * 5),
        ({"max_bytes": 5000}, ["friday", "monday", "thursday", "tuesday", "wednesday"], []),
        ({"max_bytes": 4999}, ["friday", "thursday", "tuesday", "wednesday"], ["quota"]),
        ({"max_bytes": 2500}, ["friday", "thursday"], ["quota"] * 3),
        ({"max_bytes": 1}, [], ["quota"] * 5),
        ({"retention_days": 5, "max_tasks": 2, "max_bytes": 1000}, ["friday"], ["age", "age", "count", "quota"]),
    ],
)
def test_the_oldest_finished_go_first(limits: dict[str, Any], left: list[str], reasons: list[str], tmp_path: Path) -> None:
    """By age, by number, by size, and by all of them."""
    make_tasks(tmp_path, WEEK)

    report = pruned(tmp_path, **limits)

    assert names(tmp_path) == [f"task-{day}" for day in left]
    assert [each.reason.value for each in report.deleted] == reasons
    assert [each.ended_ns for each in report.deleted] == sorted(each.ended_ns or 0 for each in report.deleted)
    assert (report.tasks, report.tasks_left, report.bytes_after) == (5, len(left), 1000 * len(left))


def test_unfinished_tasks_stay(tmp_path: Path) -> None:
    """Whatever the limits say; they count all the same."""
    make_tasks(
        tmp_path,
        """
        task-pending  pending    900d  1000
        task-running  running    900d  1000
        task-paused   paused     900d  1000
        task-odd      strange    900d  1000
        task-done     completed  900d  1000
        """,
    )

    report = pruned(tmp_path, retention_days=1, max_tasks=1, max_bytes=1)

    assert names(tmp_path) == ["task-odd", "task-paused", "task-pending", "task-running"]
    assert (report.tasks_over, report.bytes_over, report.busy) == (3, 3999, 4)


def test_what_changed_a_moment_ago_stays(tmp_path: Path) -> None:
    """Five seconds of silence, by whatever file, are asked for; a time that lies ahead is no reason to stay for ever."""
    make_tasks(
        tmp_path,
        """
        task-fresh  completed  10d  1000  fresh
        task-young  completed   4s  1000
        task-quiet  completed   5s  1000
        """,
    )
    ahead = make_task(tmp_path, "task-ahead", ended_ns=NOW_NS + 400 * DAY_NS)

    report = pruned(tmp_path, retention_days=0, max_bytes=1)

    assert names(tmp_path) == ["task-fresh", "task-young"]
    assert [(each.name, each.reason.value) for each in report.deleted] == [("task-quiet", "age"), (ahead.name, "quota")]


def test_equal_ends_go_by_name(tmp_path: Path) -> None:
    """So that a dry run and the run agree."""
    make_tasks(tmp_path, "\n".join(f"task-{letter} completed 5d 1000" for letter in "cab"))

    report = pruned(tmp_path, max_tasks=1)

    assert [each.name for each in report.deleted] == ["task-a", "task-b"]


# -- undelivered ----------------------------------------------------------------------------------------------------------

UNDELIVERED = """
task-old     completed  9d  1000  pending=4
task-part    completed  8d  1000  pending=1 delivered=3
task-noted   completed  7d  1000  pending=2 ledger
task-sent    completed  6d  1000  delivered=5
task-recent  completed  1d  1000
"""


def test_without_a_collector_nothing_is_late(tmp_path: Path) -> None:
    """Everything is pending then, and only what somebody once began to deliver waits."""
    make_tasks(tmp_path, UNDELIVERED)

    report = pruned(tmp_path, retention_days=2)

    assert names(tmp_path) == ["task-noted", "task-part", "task-recent"]
    assert (report.waiting, report.dropped) == (2, 0)


def test_with_a_collector_age_and_number_wait_for_it(tmp_path: Path) -> None:
    """What is pending is on its way, however old and however many."""
    make_tasks(tmp_path, UNDELIVERED)

    report = pruned(tmp_path, retention_days=2, max_tasks=1, delivers=True)

    assert names(tmp_path) == ["task-noted", "task-old", "task-part"]
    assert (report.waiting, report.tasks_over, report.dropped) == (3, 2, 0)


@pytest.mark.parametrize(
    ("max_bytes", "left", "dropped"),
    [
        (4000, ["noted", "old", "part", "recent"], 0),
        (3000, ["noted", "old", "part"], 0),
        (2999, ["noted", "part"], 4),
        (1000, ["noted"], 5),
        (999, [], 7),
    ],
)
def test_the_quota_takes_what_is_undelivered_last_and_counts_it(
    max_bytes: int, left: list[str], dropped: int, tmp_path: Path
) -> None:
    """Delivered ones first, even younger ones; then the oldest, and each of their items is counted, once and for good."""
    make_tasks(tmp_path, UNDELIVERED)

    report = pruned(tmp_path, max_bytes=max_bytes, delivers=True)
    again = pruned(tmp_path, max_bytes=max_bytes, delivers=True)

    assert names(tmp_path) == [f"task-{name}" for name in left]
    assert (report.dropped, again.dropped, report.as_json()["dropped"]) == (dropped, 0, {"quota": dropped})
    totals = json.loads((tmp_path / ".upkeep.json").read_bytes())
    assert (totals["dropped"], totals["tasks_deleted"]) == ({"quota": dropped}, 5 - len(left))
    assert ("undelivered items" in report.in_words()) == (dropped > 0)


@pytest.mark.parametrize("receipt", [None, 7, {}, {"pending": "3"}, {"pending": -1}, {"pending": None}])
def test_a_receipt_that_cannot_be_read_is_no_proof(receipt: object, tmp_path: Path) -> None:
    """Where a collector is meant, such a task waits."""
    make_task(tmp_path, "task-a", delivery=None).joinpath("metadata.json")
    document = json.loads((tmp_path / "task-a" / "metadata.json").read_bytes())
    (tmp_path / "task-a" / "metadata.json").write_text(json.dumps({**document, "delivery": receipt}))
    os.utime(tmp_path / "task-a" / "metadata.json", ns=(0, 0))

    assert pruned(tmp_path, retention_days=0.5, delivers=True).waiting == 1
    assert len(pruned(tmp_path, retention_days=0.5).deleted) == 1


# -- when it ended --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "goes"),
    [
        ({"completed_at": None}, True),
        ({"completed_at": "yesterday"}, True),
        ({"completed_at": None, "updated_at": None}, False),
        ({"completed_at": 5, "updated_at": []}, False),
    ],
)
def test_a_task_that_does_not_say_when_it_ended(times: dict[str, Any], goes: bool, tmp_path: Path) -> None:
    """The last change of its metadata stands in; without either it stays, and that is said."""
    make_task(tmp_path, "task-a", **times)

    report = pruned(tmp_path, retention_days=0.5)

    assert names(tmp_path) == ([] if goes else ["task-a"])
    assert [each.reason for each in report.left.listed] == ([] if goes else ["finished, but does not say when"])


# -- settings and turns ---------------------------------------------------------------------------------------------------


def test_limits_come_from_settings() -> None:
    """Variables and their sizes; by default nothing is limited."""
    environment = {
        "TASK_LOGS_RETENTION_DAYS": "30",
        "TASK_LOGS_MAX_TASKS": "1000",
        "TASK_LOGS_MAX_BYTES": "1.5GB",
        "TASK_LOGS_COMPRESS_AFTER_DAYS": "0",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318",
    }

    found = limits_of(load({}, environment=environment))

    assert found == RetentionLimits(
        retention_days=30, max_tasks=1000, max_bytes=1_500_000_000, compress_after_days=0, delivers=True
    )
    assert limits_of(load({}, environment={})) == RetentionLimits()
    assert (found.is_set, RetentionLimits(delivers=True).is_set) == (True, False)


@pytest.mark.parametrize(
    ("text", "size"),
    [("500MB", 500_000_000), ("2GiB", 2 << 30), ("1.5 kb", 1500), ("7", 7), ("10B", 10), ("1TB", 10**12), ("0.5KiB", 512)],
)
def test_sizes_are_understood(text: str, size: int) -> None:
    """Units of a thousand and of 1024."""
    assert load({"max_bytes": text}, environment={}).max_bytes == size


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("max_bytes", value) for value in ("500M", "0", "-1", "1.5", "1e9", "many", True, 1.5, "0.0001kB")),
        *(("retention_days", value) for value in (0, -1, "soon", "nan", "inf")),
        *(("max_tasks", value) for value in (0, "2.5", -3)),
        ("compress_after_days", -1),
    ],
)
def test_limits_that_could_be_mistaken_are_refused(name: str, value: object) -> None:
    """A nought that might mean "no limit" and a lone M that might be either unit delete nothing."""
    with pytest.raises(ConfigurationError, match=name):
        load({name: value}, environment={})


def test_nothing_is_made_where_there_is_no_root(tmp_path: Path) -> None:
    """A root that is not there has no tasks, and is not made by looking."""
    report = prune(tmp_path / "no" / "root", RetentionLimits(max_tasks=1), now_ns=NOW_NS)

    assert (report.tasks, os.listdir(tmp_path)) == (0, [])


def test_once_an_hour_over_all_processes(tmp_path: Path) -> None:
    """By the time of the lock file; a clock that jumped does not stop it for ever."""
    make_tasks(tmp_path, WEEK)
    hour = 3_600 * 1_000_000_000

    def ran(now_ns: int) -> bool:
        return prune(tmp_path, RetentionLimits(max_tasks=3), now_ns=now_ns, only_if_due=True).ran

    assert [ran(NOW_NS + after) for after in (0, 1, hour - 1, hour, hour + 5, -1, -1 - hour)] == [
        True,
        False,
        False,
        True,
        False,
        True,
        True,
    ]
    assert (tmp_path / ".upkeep.lock").stat().st_mtime_ns == NOW_NS - 1 - hour


def test_a_run_that_ran_out_of_time_is_no_run(tmp_path: Path) -> None:
    """What it began with is done, the rest is done at the next occasion, which comes at once."""
    make_tasks(tmp_path, WEEK)
    answers = iter([False] * 7)

    first = prune(tmp_path, RetentionLimits(retention_days=1), now_ns=NOW_NS, only_if_due=True, spent=lambda: next(answers, True))
    second = prune(tmp_path, RetentionLimits(retention_days=1), now_ns=NOW_NS, only_if_due=True)

    assert ([each.name for each in first.deleted], first.complete) == (["task-monday", "task-tuesday"], False)
    assert (len(second.deleted), second.complete) == (3, True)


def test_without_a_whole_survey_only_age_counts(tmp_path: Path) -> None:
    """Numbers and sums of a part say nothing."""
    make_tasks(tmp_path, WEEK)
    answers = iter([False] * 4)

    report = prune(tmp_path, RetentionLimits(max_tasks=1, max_bytes=1), now_ns=NOW_NS, spent=lambda: next(answers, True))

    assert (report.complete, report.tasks, report.deleted) == (False, 4, [])
