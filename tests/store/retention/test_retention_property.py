"""For any set of tasks: what goes obeys the rules, a dry run says exactly what the run does, and what stays reads as before."""

from __future__ import annotations

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from otel_agentlog.store.retention.policy import RetentionLimits
from otel_agentlog.store.retention.prune import prune
from otel_agentlog.store.retention.report import PruneReport
from tests.store.retention.retention_folders import DAY_NS, NOW_NS, content, make_task, names, tree

FINISHED = ("completed", "failed", "cancelled", "interrupted", "timed_out")
LINES = "03-agent-output.jsonl"


@dataclass(frozen=True)
class Given:
    """One task of an example."""

    status: str
    age_h: int
    size_bytes: int
    pending: int
    delivered: int
    held: bool
    fresh: bool
    foreign: bool


TASKS = st.lists(
    st.builds(
        Given,
        status=st.sampled_from(FINISHED * 3 + ("pending", "running", "paused")),
        age_h=st.integers(-24, 24 * 20),
        size_bytes=st.integers(1000, 8000),
        pending=st.sampled_from([0, 0, 0, 1, 5]),
        delivered=st.sampled_from([0, 0, 3]),
        held=st.sampled_from([False] * 5 + [True]),
        fresh=st.sampled_from([False] * 5 + [True]),
        foreign=st.sampled_from([False] * 5 + [True]),
    ),
    max_size=8,
)
LIMITS = st.builds(
    RetentionLimits,
    retention_days=st.none() | st.sampled_from([0.5, 1, 5, 10]),
    max_tasks=st.none() | st.integers(0, 6),
    max_bytes=st.none() | st.integers(1, 30_000),
    compress_after_days=st.none() | st.sampled_from([0, 2, 8]),
    delivers=st.booleans(),
)


def make(root: Path, tasks: list[Given]) -> tuple[dict[str, Given], list[int]]:
    """Make the folders; returns them by name, and the locks that are held."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(mode=0o700)
    found, locks = {}, []
    for number, each in enumerate(tasks):
        name = f"task-{number}"
        delivery = {"pending": each.pending, "delivered": each.delivered}
        ended_ns = NOW_NS - each.age_h * DAY_NS // 24
        folder = make_task(root, name, status=each.status, ended_ns=ended_ns, size_bytes=each.size_bytes, delivery=delivery)
        found[name] = each
        if each.foreign:
            (folder / "thesis.tex").touch()
        if each.fresh:
            os.utime(folder / LINES, ns=(NOW_NS, NOW_NS))
        if each.held:
            locks.append(os.open(folder, os.O_RDONLY))
            fcntl.flock(locks[-1], fcntl.LOCK_SH)
    return found, locks


def is_free(task: Given) -> bool:
    """By the rules of the docs: finished, in nobody's hands, quiet for five seconds."""
    return task.status in FINISHED and not task.held and not task.fresh and task.age_h != 0


def is_late(task: Given, limits: RetentionLimits) -> bool:
    """Whether a collector was meant and has not all of it."""
    return task.pending > 0 and (limits.delivers or task.delivered > 0)


def check_rules(tasks: dict[str, Given], limits: RetentionLimits, report: PruneReport, left: list[str]) -> None:
    """What the docs promise, without the code's own words for it."""
    deletable = {name for name, task in tasks.items() if is_free(task) and not task.foreign}
    delivered = {name for name in deletable if not is_late(tasks[name], limits)}
    gone = [each.name for each in report.deleted]
    by = {reason: [each.name for each in report.deleted if each.reason == reason] for reason in ("age", "count", "quota")}

    assert sorted([*gone, *left]) == sorted(tasks)
    assert set(gone) <= deletable
    assert set(by["age"] + by["count"]) <= delivered
    days = limits.retention_days
    expected_by_age = {name for name in delivered if days is not None and tasks[name].age_h >= days * 24}
    assert set(by["age"]) == expected_by_age
    rest = [name for name in oldest_first(tasks) if name in delivered - expected_by_age]
    excess = 0 if limits.max_tasks is None else max(0, len(tasks) - len(expected_by_age) - limits.max_tasks)
    assert by["count"] == rest[:excess]
    check_quota(tasks, limits, report, by["quota"], [*rest[excess:]], deletable - delivered)
    assert report.dropped == sum(tasks[name].pending for name in gone if is_late(tasks[name], limits))


def check_quota(
    tasks: dict[str, Given], limits: RetentionLimits, report: PruneReport, gone: list[str], delivered: list[str], late: set[str]
) -> None:
    """Delivered ones first, each kind oldest first, not one more than it takes."""
    order = delivered + [name for name in oldest_first(tasks) if name in late]
    assert gone == order[: len(gone)]
    if limits.max_bytes is None:
        assert gone == []
        return
    sizes = {each.name: each.size_bytes for each in report.deleted}
    assert report.bytes_after <= limits.max_bytes or gone == order
    assert not gone or report.bytes_after + sizes[gone[-1]] > limits.max_bytes
    assert report.bytes_over == max(0, report.bytes_after - limits.max_bytes)


def oldest_first(tasks: dict[str, Given]) -> list[str]:
    """Names by the end of their task, the older the earlier."""
    return sorted(tasks, key=lambda name: (-tasks[name].age_h, name))


@given(tasks=TASKS, limits=LIMITS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_tasks_and_any_limits(tasks: list[Given], limits: RetentionLimits, tmp_path: Path) -> None:
    """The rules hold, the prediction is exact to the byte, nothing else changes, and a second run has nothing to do."""
    root = tmp_path / "tasks"
    found, locks = make(root, tasks)
    before = {name: content(root / name) for name in found}
    standing = tree(root)
    try:
        foretold = prune(root, limits, now_ns=NOW_NS, dry_run=True)
        assert tree(root) == standing
        report = prune(root, limits, now_ns=NOW_NS)
        again = prune(root, limits, now_ns=NOW_NS)
    finally:
        for lock in locks:
            os.close(lock)

    note(str(report))
    assert {**foretold.as_json(), "dry_run": False, "totals": report.totals} == report.as_json()
    check_rules(found, limits, report, names(root))
    assert {name: content(root / name) for name in names(root)} == {name: before[name] for name in names(root)}
    assert report.bytes_after == sum(path.stat().st_size for path in root.glob("task-*/**/*") if path.is_file())
    assert (again.deleted, again.compressed, again.bytes_after) == ([], [], report.bytes_after)
    ripe = limits.compress_after_days
    for name in names(root):
        is_ripe = ripe is not None and is_free(found[name]) and found[name].age_h >= ripe * 24
        assert (root / name / LINES).exists() is not is_ripe
