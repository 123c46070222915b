"""After `shutdown` nothing of a configuration is at work any more."""

from __future__ import annotations

from pathlib import Path

import otel_agentlog as agentlog
import otel_agentlog.wiring
from tests.support.waiting import wait_until


def test_folders_that_cannot_be_written_are_not_tried_for_ever(tmp_path: Path) -> None:
    """What could not be written is tried once more by `shutdown`, and not again."""
    (tmp_path / "file").write_text("no directory")
    agentlog.configure(directory=tmp_path / "file" / "tasks", log_directory=tmp_path, console="off", capture_logging=False)
    wired = otel_agentlog.wiring._wired
    assert wired is not None
    with agentlog.task("lost"):
        pass
    agentlog.shutdown()
    syncer = wired.folders._syncer

    wait_until(lambda: not syncer._unsettled and bool(syncer._idle), "the thread that retries to end", timeout_s=20)


def test_an_operation_that_ends_after_shutdown_is_not_retried_for_ever(tmp_path: Path) -> None:
    """It keeps the sinks it began with; they write what they can, once."""
    (tmp_path / "file").write_text("no directory")
    agentlog.configure(directory=tmp_path / "file" / "tasks", log_directory=tmp_path, console="off", capture_logging=False)
    wired = otel_agentlog.wiring._wired
    assert wired is not None
    task = agentlog.task("late").start()
    agentlog.shutdown()
    task.end()
    syncer = wired.folders._syncer

    wait_until(lambda: not syncer._unsettled and bool(syncer._idle), "the thread that retries to end", timeout_s=20)
