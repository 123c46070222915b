"""Control from code: what is asked is redacted, what became of it is seen, and tools end with a task that is cancelled."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import otel_agentlog as agentlog
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.tools import add_context, cancel, effect_of, pause, resume, stoppable
from tests.support.waiting import wait_until

DEADLINE_S = 60.0

AGENT = """
import sys, time, otel_agentlog as agentlog
agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + "-l", console="off")
with agentlog.task("job", task_id="t") as task:
    while True:
        task.checkpoint()
        time.sleep(0.01)
"""


@contextlib.contextmanager
def agent(root: Path) -> Iterator[Path]:
    """The folder of a task that another process runs until it is cancelled."""
    process = subprocess.Popen([sys.executable, "-c", AGENT, str(root)], stderr=subprocess.DEVNULL)
    try:
        folder = root / "t"
        wait_until(lambda: (TaskReader(folder).metadata() or {}).get("status"), "the agent", timeout_s=DEADLINE_S)
        yield folder
    finally:
        process.kill()
        process.wait()


def test_what_was_asked_of_another_process_takes_effect(tmp_path: Path) -> None:
    """Each request and what it came to, one after the other; a second pause has nothing to do."""
    with agent(tmp_path / "tasks") as folder:
        effects = [
            effect_of(pause(folder, reason="look"), timeout_s=DEADLINE_S),
            effect_of(pause(folder), timeout_s=DEADLINE_S),
            effect_of(add_context(folder, "mind the tests"), timeout_s=DEADLINE_S),
            effect_of(resume(folder), timeout_s=DEADLINE_S),
            effect_of(resume(folder), timeout_s=DEADLINE_S),
            effect_of(cancel(folder, reason="enough", source="alert"), timeout_s=DEADLINE_S),
        ]
        with pytest.raises(agentlog.StateError):
            pause(folder)

    assert effects == ["paused", "none", "added", "resumed", "none", "cancelled"]


def test_what_is_not_met_in_time_is_none(tasks_root: Path) -> None:
    """The request stands; the agent has not come to a checkpoint."""
    with agentlog.task("job", task_id="t") as task:
        assert task.folder is not None
        assert effect_of(pause(task.folder), timeout_s=0.2) is None


@pytest.mark.parametrize("configured", [True, False])
def test_secrets_are_redacted_before_they_are_written(configured: bool, tmp_path: Path) -> None:
    """By the rules that always hold, and by those of this process's configuration."""
    root = tmp_path / "tasks"
    agentlog.configure(
        directory=root, log_directory=tmp_path / "l", console="off", capture_logging=False, redaction_patterns=["tulip-[0-9]+"]
    )
    task = agentlog.task("job", task_id="t").start()
    assert task.folder is not None
    if not configured:
        agentlog.shutdown()

    add_context(task.folder, "use AKIAIOSFODNN7EXAMPLE and tulip-42", reason="it is AKIAIOSFODNN7EXAMPLE")
    agentlog.shutdown()

    text = (root / "t" / "control.jsonl").read_text()
    assert "AKIA" not in text
    assert ("tulip-42" in text) is not configured


def test_a_cancel_ends_a_running_tool_if_it_says_so(tasks_root: Path) -> None:
    """While the agent waits for its tool nobody is at a checkpoint: the tool is told to end, once, and the folder says so."""
    stops: list[float] = []
    with contextlib.suppress(agentlog.TaskCancelled), agentlog.task("job", task_id="t") as task, agentlog.tool("sleep"):
        assert task.folder is not None
        sleeper = subprocess.Popen(["sleep", "600"], start_new_session=True)

        def stop() -> None:
            stops.append(time.monotonic())
            os.killpg(sleeper.pid, 15)

        with stoppable(stop) as tool:
            cancel(task.folder, terminate_tools=True)
            assert sleeper.wait(DEADLINE_S) == -15
        assert tool is not None
        assert tool.stopped
        agentlog.checkpoint()

    assert len(stops) == 1
    actions = [line.get("action") for line in TaskReader(tasks_root / "t").events()]
    assert actions.index("execution_cancel_requested") < actions.index("tool_terminated") < actions.index("task_cancelled")


def test_other_cancels_leave_tools_alone(tasks_root: Path) -> None:
    """Without ``terminate_tools`` the agent gets to its checkpoint by itself; a cancel of another task is no business of it."""
    with agentlog.task("other") as other:
        assert other.folder is not None
        cancel(other.folder, terminate_tools=True)
    task = agentlog.task("job", task_id="t")
    with contextlib.suppress(agentlog.TaskCancelled), task:
        assert task.folder is not None
        seen = threading.Event()
        with stoppable(seen.set) as tool:
            cancel(task.folder)
            output = task.folder / "03-agent-output.jsonl"
            wait_until(
                lambda: b"execution_cancel_requested" in output.read_bytes(), "the request to be met", timeout_s=DEADLINE_S
            )
            assert tool is not None
            assert not tool.stopped
        agentlog.checkpoint()
    assert not seen.is_set()
    assert task.state is agentlog.State.CANCELLED


def test_a_cancel_of_a_task_ends_tools_of_its_sub_tasks(tasks_root: Path) -> None:
    """And a stop that raises costs nothing."""
    called = threading.Event()

    def stop() -> None:
        called.set()
        raise ValueError("cannot stop")

    with contextlib.suppress(agentlog.TaskCancelled), agentlog.task("job") as task:
        assert task.folder is not None
        with agentlog.task("part"), stoppable(stop):
            cancel(task.folder, terminate_tools=True)
            assert called.wait(DEADLINE_S)
            agentlog.checkpoint()


def test_outside_of_every_task_nothing_is_watched(tasks_root: Path) -> None:
    """The block runs as if it were not there."""
    before = threading.active_count()
    with stoppable(lambda: None) as tool:
        assert tool is None
        assert threading.active_count() == before
