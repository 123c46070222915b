"""Checkpoints: how a task is paused, resumed, cancelled and told more, in threads, coroutines, sub-tasks and children."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import copy
import gc
import logging
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.record.operations import checkpoints
from otel_agentlog.store.control import ask
from otel_agentlog.store.folder.reader import TaskReader, follow
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.testing import MemorySink
from tests.support.waiting import wait_until

DEADLINE_S = 60


def request(task: agentlog.Task, what: str, **more: Any) -> str:
    """Ask something of a task; the request's id."""
    assert task.folder is not None
    return ask(task.folder, what, source="test", requested_by="ann", **more).request.request_id


def lines_of(root: Path, task_id: str) -> list[dict[str, Any]]:
    return list(TaskReader(root / task_id).events())


def told(root: Path, task_id: str) -> list[tuple[str, Any]]:
    """Requests and effects, by action and request id."""
    lines = [line for line in lines_of(root, task_id) if line.get("component") == "user_interaction"]
    return [(line["action"], line.get("details", {}).get("request_id")) for line in lines]


def problems(root: Path, task_id: str) -> list[str]:
    return [str(problem) for problem in validate(root / task_id).problems]


@contextlib.contextmanager
def at_checkpoint(task: agentlog.Task) -> Iterator[threading.Thread]:
    """A thread that waits at a checkpoint of the task, which is paused."""
    thread = threading.Thread(target=task.checkpoint)
    thread.start()
    wait_until(lambda: task.state is agentlog.State.PAUSED, "the task to pause", timeout_s=DEADLINE_S)
    yield thread
    thread.join(DEADLINE_S)
    assert not thread.is_alive()


# -- one task -----------------------------------------------------------------------------------------------------------------


def test_pause_and_resume(tasks_root: Path) -> None:
    """The checkpoint waits from one to the other; requests and effects stand in the folder with their ids."""
    with agentlog.task("job", task_id="t") as task:
        paused = request(task, "pause", reason="lunch")
        with at_checkpoint(task):
            # The state moves first, and is then written down.
            reader = TaskReader(tasks_root / "t")
            wait_until(lambda: (reader.metadata() or {})["status"] == "paused", "the folder to say so", timeout_s=DEADLINE_S)
            resumed = request(task, "resume")
        assert task.state is agentlog.State.RUNNING

    assert told(tasks_root, "t") == [
        ("execution_pause_requested", paused),
        ("task_paused", paused),
        ("execution_resume_requested", resumed),
        ("task_resumed", resumed),
    ]
    event, state = (line for line in lines_of(tasks_root, "t") if line.get("details", {}).get("request_id") == paused)
    assert (event["type"], event["message"], event["reason"]) == ("event", "pause requested by ann (test)", "lunch")
    assert (state["type"], state["state_before"], state["state_after"]) == ("state", "running", "paused")
    assert problems(tasks_root, "t") == []


def test_cancel_ends_the_task_as_cancelled(tasks_root: Path) -> None:
    """`TaskCancelled` passes every ``except Exception``; the reason stands at the task's end, and everything in it is closed."""
    asked = ""

    def work() -> None:
        nonlocal asked
        with agentlog.task("job", task_id="t") as task, agentlog.step("work"):
            asked = request(task, "cancel", reason="not needed")
            try:
                agentlog.checkpoint()
            except Exception:
                pytest.fail("a cancel must not be taken for an error")

    with pytest.raises(agentlog.TaskCancelled, match="not needed") as caught:
        work()

    assert (caught.value.task_id, caught.value.request_id, caught.value.reason) == ("t", asked, "not needed")
    end = lines_of(tasks_root, "t")[-1]
    assert (end["action"], end["outcome"], end["reason"]) == ("task_cancelled", "cancelled", "not needed")
    final = TaskReader(tasks_root / "t").final_result() or {}
    assert (final["success"], final["outcome"], final["metrics"]["errors"]) == (False, "cancelled", 0)
    assert problems(tasks_root, "t") == []


def test_a_cancelled_task_is_cancelled_at_every_checkpoint(tasks_root: Path) -> None:
    """Whoever catches it meets it again; a second request changes nothing."""
    with contextlib.suppress(agentlog.TaskCancelled), agentlog.task("job", task_id="t") as task:
        request(task, "cancel")
        for _ in range(3):
            with pytest.raises(agentlog.TaskCancelled):
                task.checkpoint()
        request(task, "cancel", reason="really")
        task.checkpoint()

    assert lines_of(tasks_root, "t")[-1]["reason"] == "cancelled by ann (test)"
    first, second, effect = told(tasks_root, "t")
    assert [action for action, _ in (first, second, effect)] == ["execution_cancel_requested"] * 2 + ["execution_cancelled"]
    assert effect[1] == first[1]


def cancel_when_paused(task: agentlog.Task) -> None:
    wait_until(lambda: task.state is agentlog.State.PAUSED, "the task to pause", timeout_s=DEADLINE_S)
    request(task, "cancel")


def test_a_paused_task_can_be_cancelled(tasks_root: Path) -> None:
    """From paused to cancelled, without running in between."""
    with contextlib.suppress(agentlog.TaskCancelled), agentlog.task("job", task_id="t") as task:
        request(task, "pause")
        threading.Thread(target=cancel_when_paused, args=[task]).start()
        task.checkpoint()

    end = lines_of(tasks_root, "t")[-1]
    assert (end["state_before"], end["state_after"]) == ("paused", "cancelled")
    assert problems(tasks_root, "t") == []


def test_context_is_delivered_in_order_and_once(tasks_root: Path) -> None:
    """``context`` has all of it, ``new_context()`` what was not handed out; the text is what the user said, redacted."""
    with agentlog.task("job", task_id="t") as task:
        assert (task.context, task.new_context()) == ([], [])
        request(task, "context", text="first")
        assert task.context == ["first"]
        request(task, "context", text="second\nAKIAIOSFODNN7EXAMPLE")
        assert task.new_context()[0] == "first"
        request(task, "context", text="third")
        assert task.new_context() == ["third"]
        assert (task.context[0], task.context[2], task.new_context()) == ("first", "third", [])

    said = [line["content"] for line in lines_of(tasks_root, "t") if line["type"] == "user"]
    assert said == ["first", "second\n[redacted:aws-access-key]", "third"]
    taken = [line["details"]["request_ids"] for line in lines_of(tasks_root, "t") if line.get("action") == "context_taken_up"]
    assert [len(ids) for ids in taken] == [2, 1]


def test_what_changes_nothing_is_told_all_the_same(tasks_root: Path) -> None:
    """Resuming what runs, and a pause that is taken back before it began."""
    with agentlog.task("job", task_id="t") as task:
        request(task, "resume")
        request(task, "pause")
        request(task, "resume")
        task.checkpoint()

    effects = [line["details"]["effect"] for line in lines_of(tasks_root, "t") if line.get("action", "").endswith("_requested")]
    assert effects == ["none", "paused at the next checkpoint", "the pause had not begun"]
    assert "task_paused" not in dict(told(tasks_root, "t"))


def test_a_line_that_is_no_request_is_refused_in_the_open(tasks_root: Path) -> None:
    """The folder says so, as a warning; the task goes on."""
    with agentlog.task("job", task_id="t") as task:
        path = tasks_root / "t" / "control.jsonl"
        path.write_text('{"timestamp":"2026-11-21T05:22:03.699325974Z","request":"explode","request_id":"1"}\n')
        path.chmod(0o600)
        task.checkpoint()

    (line,) = [line for line in lines_of(tasks_root, "t") if line.get("action") == "control_request_refused"]
    assert (line["level"], "explode" in line["message"]) == ("WARNING", True)


# -- own calls ----------------------------------------------------------------------------------------------------------------


def test_a_task_that_paused_itself_waits_for_the_user(tasks_root: Path) -> None:
    """``pause()`` and a checkpoint ask for approval: ``agentlog resume`` gives it."""
    with agentlog.task("job", task_id="t") as task:
        task.pause("may I?")
        with at_checkpoint(task):
            request(task, "resume", reason="go on")
        assert task.state is agentlog.State.RUNNING
        task.resume()  # too late, and no error: somebody else was faster
        with pytest.raises(agentlog.StateError):
            task.resume()

    assert problems(tasks_root, "t") == []


def test_own_resume_ends_a_requested_pause(tasks_root: Path) -> None:
    """The agent's other threads may decide to go on."""
    with agentlog.task("job", task_id="t") as task:
        request(task, "pause")
        with at_checkpoint(task):
            task.pause("me too")  # it is paused already
            task.resume()
        task.checkpoint()

    assert problems(tasks_root, "t") == []


# -- below a task -------------------------------------------------------------------------------------------------------------


def test_a_request_for_a_task_reaches_its_sub_tasks(tasks_root: Path) -> None:
    """Both are paused and resumed at the sub-task's checkpoint, each in its own folder; a cancel ends both."""
    with contextlib.suppress(agentlog.TaskCancelled), agentlog.task("job", task_id="t") as task:
        with agentlog.task("part", task_id="part") as part:
            request(task, "pause")
            with at_checkpoint(part):
                assert task.state is agentlog.State.PAUSED
                request(task, "resume")
            assert (task.state, part.state) == (agentlog.State.RUNNING,) * 2
            request(task, "cancel", reason="enough")
            agentlog.checkpoint()

    for task_id in ("t", "part"):
        assert (TaskReader(tasks_root / task_id).final_result() or {})["outcome"] == "cancelled"
        assert lines_of(tasks_root, task_id)[-1]["reason"] == "enough"
        assert [action for action, _ in told(tasks_root, task_id) if action.startswith("task_")] == [
            "task_paused",
            "task_resumed",
        ]
        assert problems(tasks_root, task_id) == []


def test_a_request_for_a_sub_task_leaves_its_parent_running(tasks_root: Path) -> None:
    """The parent is neither paused nor, where it catches the cancel, cancelled."""
    with agentlog.task("job", task_id="t") as task:
        with contextlib.suppress(agentlog.TaskCancelled), agentlog.task("part", task_id="part") as part:
            request(part, "pause")
            with at_checkpoint(part):
                assert task.state is agentlog.State.RUNNING
                request(part, "resume")
            request(part, "cancel")
            agentlog.checkpoint()
        agentlog.checkpoint()

    outcomes = [(TaskReader(tasks_root / each).final_result() or {})["outcome"] for each in ("t", "part")]
    assert outcomes == ["completed", "cancelled"]


def test_every_thread_waits_and_one_tells(tasks_root: Path) -> None:
    """Ten threads at checkpoints of one task: one pause, one resume in the folder."""
    with agentlog.task("job", task_id="t") as task:
        request(task, "pause")
        threads = [threading.Thread(target=task.checkpoint) for _ in range(10)]
        for thread in threads:
            thread.start()
        wait_until(lambda: task.state is agentlog.State.PAUSED, "the task to pause", timeout_s=DEADLINE_S)
        assert all(thread.is_alive() for thread in threads)
        request(task, "resume")
        for thread in threads:
            thread.join(DEADLINE_S)
        assert not any(thread.is_alive() for thread in threads)

    actions = [action for action, _ in told(tasks_root, "t")]
    assert sorted(actions) == ["execution_pause_requested", "execution_resume_requested", "task_paused", "task_resumed"]
    assert problems(tasks_root, "t") == []


def test_the_child_of_a_fork_obeys_and_leaves_the_states_to_its_parent(tasks_root: Path) -> None:
    """It waits and is cancelled like its parent; the folder stays valid."""
    task = agentlog.task("job", task_id="t").start()
    request(task, "pause")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            task.checkpoint()
        except agentlog.TaskCancelled:
            code = 42
        finally:
            os._exit(code)
    output = tasks_root / "t" / "03-agent-output.jsonl"
    wait_until(lambda: b'"process_paused"' in output.read_bytes(), "the child to pause", timeout_s=DEADLINE_S)
    request(task, "cancel")
    _, status = os.waitpid(pid, 0)
    with pytest.raises(agentlog.TaskCancelled) as caught:
        task.checkpoint()
    task.end(error=caught.value)

    assert os.waitstatus_to_exitcode(status) == 42
    assert problems(tasks_root, "t") == []


# -- async --------------------------------------------------------------------------------------------------------------------


def test_awaiting_waits_and_the_loop_goes_on(tasks_root: Path) -> None:
    """While one coroutine waits at its checkpoint, others run."""

    async def others(task: agentlog.Task) -> None:
        while task.state is not agentlog.State.PAUSED:
            await asyncio.sleep(0.01)
        request(task, "context", text="meanwhile")
        request(task, "resume")

    async def work() -> list[str]:
        async with agentlog.task("job", task_id="t") as task:
            request(task, "pause")
            helper = asyncio.create_task(others(task))
            await task.checkpoint()
            await helper
            await agentlog.checkpoint()
            return task.context

    assert asyncio.run(asyncio.wait_for(work(), DEADLINE_S)) == ["meanwhile"]
    assert [action for action, _ in told(tasks_root, "t")].count("task_resumed") == 1
    assert problems(tasks_root, "t") == []


def test_cancelling_a_coroutine(tasks_root: Path) -> None:
    """Raised where it is awaited, out of a gather too; asyncio's own cancel of a waiting one passes as ever."""

    async def part(task: agentlog.Task) -> None:
        while True:
            await task.checkpoint()
            await asyncio.sleep(0.01)

    async def work() -> None:
        async with agentlog.task("job", task_id="t") as task:
            asyncio.get_running_loop().call_later(0.05, lambda: request(task, "cancel"))
            await asyncio.gather(part(task), part(task))

    async def waits() -> None:
        async with agentlog.task("job", task_id="u") as task:
            request(task, "pause")
            await task.checkpoint()

    with pytest.raises(agentlog.TaskCancelled):
        asyncio.run(asyncio.wait_for(work(), DEADLINE_S))
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(asyncio.wait_for(waits(), 0.3))
    assert [lines_of(tasks_root, each)[-1]["outcome"] for each in ("t", "u")] == ["cancelled", "cancelled"]
    assert problems(tasks_root, "u") == []


def test_a_checkpoint_that_is_not_awaited_is_told_once(
    tasks_root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A log line, no exception and no RuntimeWarning; a cancel is raised even so."""
    monkeypatch.setattr(checkpoints, "_warned", False)

    async def forgets() -> None:
        with agentlog.task("job", task_id="t") as task:
            for _ in range(3):
                task.checkpoint()
            request(task, "pause")
            task.checkpoint()
            request(task, "cancel")
            task.checkpoint()

    with caplog.at_level(logging.WARNING, "otel_agentlog"), pytest.raises(agentlog.TaskCancelled):
        asyncio.run(forgets())
    gc.collect()

    assert [record.getMessage().split()[0] for record in caplog.records if record.name == "otel_agentlog"] == ["checkpoint()"]


def test_a_group_of_cancellations_is_a_cancellation(tasks_root: Path) -> None:
    """As task groups raise them; with anything else in it the task has failed."""

    # Python 3.10 has no groups.
    Group = getattr(builtins, "BaseExceptionGroup", None)
    stop = agentlog.TaskCancelled("t", reason="enough")
    cases: list[tuple[BaseException, str]] = [(stop, "cancelled")]
    if Group is not None:
        cases += [(Group("", [stop, Group("", [stop])]), "cancelled"), (Group("", [stop, ValueError()]), "failed")]
    for error, outcome in cases:
        task = agentlog.task("job").start()
        task.end(error=error)
        assert task.state.value == outcome


# -- continuing ---------------------------------------------------------------------------------------------------------------

DIES_PAUSED = """
import os, sys, threading, otel_agentlog as agentlog
from otel_agentlog.store.control import ask
agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + "-l", console="off")
task = agentlog.task("job", task_id="t", input={"a": 1}).start()
print(task.carrier()["traceparent"], flush=True)
ask(task.folder, "context", text="taken")
task.new_context()
ask(task.folder, "pause")
def die():
    while task.state.value != "paused": pass
    ask(task.folder, "context", text="met while paused")
    while len(task.context) < 2: pass
    ask(task.folder, "context", text="not met")
    os._exit(9)
threading.Thread(target=die).start()
while True:
    task.checkpoint()
"""


def test_nothing_is_lost_if_the_agent_dies_while_paused(tasks_root: Path) -> None:
    """Whoever resumes runs, has every text, and is handed those that the dead one was not; then the task ends as its own."""
    died = subprocess.run([sys.executable, "-c", DIES_PAUSED, str(tasks_root)], capture_output=True, text=True, timeout=60)
    assert died.returncode == 9, died.stderr
    carrier = {"traceparent": died.stdout.strip(), "baggage": "agentlog.task_id=t"}

    with agentlog.task(resume=carrier) as task:
        task.checkpoint()
        assert task.state is agentlog.State.RUNNING
        assert task.input == {"a": 1}
        handed = task.new_context()
        assert task.context == ["taken", "met while paused", "not met"]
        task.result = "done"

    assert handed in (["met while paused", "not met"], ["not met"])
    reader = TaskReader(tasks_root / "t")
    metadata, final = reader.metadata() or {}, reader.final_result() or {}
    assert (metadata["status"], final["outcome"], final["result"]) == ("completed", "completed", "done")
    assert metadata["started_at"] < metadata["completed_at"]
    ends = [line["outcome"] for line in reader.events() if line["type"] == "task" and line["phase"] == "end"]
    assert ends == ["interrupted", "completed"]
    assert problems(tasks_root, "t") == []


def test_a_task_that_goes_on_is_followed_to_its_new_end(tasks_root: Path) -> None:
    """The result it had when it was interrupted does not end what follows it."""
    left = agentlog.task("job", task_id="t").start()
    carrier = left.carrier()
    left.end("interrupted")
    found: list[str] = []

    def watch() -> None:
        lines = follow(TaskReader(tasks_root / "t"), poll_seconds=0.01, until_ended=True)
        found.extend(str(line.get("action")) for line in lines)

    with agentlog.task(resume=carrier) as task:
        follower = threading.Thread(target=watch)
        follower.start()
        wait_until(lambda: found.count("task_started") == 2, "the follower", timeout_s=DEADLINE_S)
        task.output("more")
        wait_until(lambda: found[-1] == "content_recorded", "the follower to go on", timeout_s=DEADLINE_S)
    follower.join(DEADLINE_S)

    assert found[-1] == "task_completed"
    assert problems(tasks_root, "t") == []


@pytest.mark.parametrize("outcome", ["completed", "failed", "cancelled", "timed_out"])
def test_a_task_that_has_ended_cannot_be_resumed_strictly(outcome: str, tasks_root: Path) -> None:
    """The caller is told so, and nothing is recorded. What follows it without that: ``test_hand_over``."""
    task = agentlog.task("job", task_id="t").start()
    carrier = task.carrier()
    task.end(outcome)
    before = (tasks_root / "t" / "03-agent-output.jsonl").read_bytes()

    again = agentlog.task(resume=carrier, strict=True)
    with pytest.raises(agentlog.StateError, match=f"it has ended \\({outcome}\\)"):
        again.start()
    with pytest.raises(agentlog.StateError), agentlog.task(resume=carrier, strict=True):
        pass
    assert again.state is agentlog.State.PENDING
    assert (tasks_root / "t" / "03-agent-output.jsonl").read_bytes() == before


def test_a_process_that_joins_a_paused_task_waits_too(tasks_root: Path) -> None:
    """What stands there already is its owner's; what comes is for both."""
    with agentlog.task("job", task_id="t") as task:
        request(task, "context", text="early")
        request(task, "pause")
        with at_checkpoint(task), agentlog.task(resume=task.carrier()) as segment:
            assert segment.context == ["early"]
            with at_checkpoint(segment):
                request(task, "resume")
            request(task, "context", text="late")
            assert segment.new_context() == ["early", "late"]
        assert task.new_context() == ["early", "late"]

    assert [line for line in lines_of(tasks_root, "t") if line.get("action") == "execution_pause_requested"] != []
    assert (TaskReader(tasks_root / "t").metadata() or {})["status"] == "completed"
    assert problems(tasks_root, "t") == []


def test_a_new_task_of_the_same_id_is_not_cancelled_by_old_requests(tasks_root: Path) -> None:
    """What was asked of the earlier one was for the earlier one."""
    with contextlib.suppress(agentlog.TaskCancelled), agentlog.task("job", task_id="t") as task:
        request(task, "cancel")
        task.checkpoint()
    with agentlog.task("job", task_id="t") as again:
        again.checkpoint()
        assert again.context == []

    assert (TaskReader(tasks_root / "t").metadata() or {})["status"] == "completed"


# -- without anything ---------------------------------------------------------------------------------------------------------


def test_where_nothing_is_kept_a_checkpoint_does_nothing(recorded: MemorySink) -> None:
    """Outside of every task, before the start, after the end, and without folders."""
    agentlog.checkpoint()
    task = agentlog.task("job")
    task.checkpoint()
    with task:
        task.checkpoint()
        assert (task.context, task.new_context()) == ([], [])
    task.checkpoint()
    asyncio.run(_awaits(task))


async def _awaits(task: agentlog.Task) -> None:
    await task.checkpoint()
    await agentlog.checkpoint()


def test_a_folder_that_goes_away_does_not_stop_the_agent(tasks_root: Path) -> None:
    """Deleted, or made unreadable, below a running task."""
    import shutil

    with agentlog.task("job", task_id="t") as task:
        request(task, "context", text="x")
        task.checkpoint()
        shutil.rmtree(tasks_root / "t")
        task.checkpoint()
        assert task.context == ["x"]


def test_a_cancellation_can_be_copied_and_pickled() -> None:
    """As multiprocessing and executors do with what was raised."""
    error = agentlog.TaskCancelled("t", request_id="r", reason="enough")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (str(again), again.request_id) == ("task t: enough", "r")
    assert not isinstance(error, Exception)
