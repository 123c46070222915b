"""A disk without a byte, or without a file more, as where retention is needed most: what may go goes, and no lock needs space."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog._platform as system
from otel_agentlog.store.retention.background import BackgroundPruning
from otel_agentlog.store.retention.policy import RetentionLimits
from otel_agentlog.store.retention.prune import prune
from otel_agentlog.view.cli import main as cli
from tests.store.retention.retention_folders import DAY_NS, make_task, names
from tests.support.waiting import wait_until

LIMITS = RetentionLimits(retention_days=15, compress_after_days=0)
FULL = ("bytes", "files")


def fill(root: Path, what: str) -> None:
    """Tasks 10, 20 and 400 days old, then no more bytes or no more files."""
    now_ns = time.time_ns()
    for days in (10, 20, 400):
        make_task(root, f"task-{days}", ended_ns=now_ns - days * DAY_NS, size_bytes=9000)
    rest = root.parent / "rest"
    rest.mkdir()
    with pytest.raises(OSError, match="No space left"):  # noqa: PT012 - until it is full
        for number in range(1_000_000):
            (rest / str(number)).write_bytes(b"x" * 4096 if what == "bytes" else b"")


@pytest.fixture(params=FULL)
def full(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A root on a small disk of its own that is full."""
    disk = tmp_path / "disk"
    disk.mkdir()
    size = "size=256k" if request.param == "bytes" else "size=1m,nr_inodes=40"
    mount = ["mount", "-t", "tmpfs", "-o", size, "none", disk]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only who may mount has a small disk")
    try:
        root = disk / "tasks"
        root.mkdir(mode=0o700)
        fill(root, request.param)
        yield root
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_the_command_frees_space(full: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At the first run, and again when the disk has filled up meanwhile."""
    assert cli.main(["prune", "--keep-days", "15", "--root", str(full)]) == 0
    assert capsys.readouterr().out.startswith("Deleted 2 of 3 tasks")
    assert names(full) == ["task-10"]

    assert cli.main(["prune", "--keep-days", "5", "--root", str(full)]) == 0
    assert names(full) == []


def test_so_does_the_thread_of_a_program(full: Path) -> None:
    """With nothing to complain of."""
    reports: list[Any] = []
    failures: list[Exception] = []
    upkeep = BackgroundPruning(full, LIMITS, done=reports.append, failed=lambda _what, error: failures.append(error))
    upkeep.start()
    wait_until(lambda: bool(reports or failures), "a run")
    upkeep.stop()

    assert failures == []
    assert names(full) == ["task-10"]


def test_a_run_that_frees_nothing_ends_well(full: Path) -> None:
    """It says what it could not do, and the next is not before an hour has gone, if that could be noted."""
    report = prune(full, RetentionLimits(retention_days=1000, compress_after_days=0))

    assert (report.ran, report.deleted, report.tasks_left) == (True, [], 3)
    again = prune(full, LIMITS, only_if_due=True)
    assert again.ran is not (full / ".upkeep.lock").exists()


@pytest.mark.parametrize("place", ["new", "there"])
def test_nothing_is_written_before_something_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """On whatever system: every way to write bytes fails until a file was removed."""
    fill_nothing = tmp_path / "tasks"
    fill_nothing.mkdir(mode=0o700)
    now_ns = time.time_ns()
    make_task(fill_nothing, "task-1", ended_ns=now_ns - 400 * DAY_NS)
    if place == "there":
        (fill_nothing / ".upkeep.lock").touch(mode=0o600)
    unlink, freed = system.unlink, False

    def unlinking(*given: Any, **named: Any) -> None:
        nonlocal freed
        unlink(*given, **named)
        freed = True

    def needs_space(real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*given: Any) -> Any:
            if not freed:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*given)

        return write

    monkeypatch.setattr(system, "unlink", unlinking)
    monkeypatch.setattr(system, "pwrite", needs_space(system.pwrite))
    monkeypatch.setattr(os, "write", needs_space(os.write))
    monkeypatch.setattr(os, "truncate", needs_space(os.truncate))

    report = prune(fill_nothing, LIMITS)

    assert ([each.task_id for each in report.deleted], freed) == (["task-1"], True)
    assert not prune(fill_nothing, LIMITS, only_if_due=True).ran


def test_a_run_that_was_killed_counts_as_none(tmp_path: Path) -> None:
    """The time of the file counts from the end of the first run on, not from when it was made."""
    (tmp_path / ".upkeep.lock").touch(mode=0o600)

    assert prune(tmp_path, LIMITS, only_if_due=True).ran
    assert not prune(tmp_path, LIMITS, only_if_due=True).ran
