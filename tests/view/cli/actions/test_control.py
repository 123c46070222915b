"""``agentlog pause``, ``resume``, ``cancel`` and ``context``: what they ask, what they say, and when they refuse."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import otel_agentlog as agentlog
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.cli import main as cli
from tests.support.waiting import wait_until
from tests.view.cli.terminal import Output

Run = Callable[..., Output]
WAIT = ("--wait", "60")


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tasks_root: Path) -> Run:
    """Runs the command in this process, on the tasks of this test."""

    def run(*arguments: object) -> Output:
        try:
            code = cli.main([*(str(argument) for argument in arguments), "--root", str(tasks_root)])
        except SystemExit as end:
            code = int(str(end.code))
        return Output(code, *capsys.readouterr())

    return run


@contextlib.contextmanager
def working(task_id: str) -> Iterator[agentlog.Task]:
    """A task whose agent comes to checkpoints all the time, until it is cancelled or the block ends."""
    done = threading.Event()
    task = agentlog.task("job", task_id=task_id).start()

    def work() -> None:
        try:
            while not done.wait(0.01):
                task.checkpoint()
            task.end()
        except agentlog.TaskCancelled as error:
            task.end(error=error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield task
    finally:
        done.set()
        if task.state is agentlog.State.PAUSED:
            task.resume()
        thread.join(60)
        assert not thread.is_alive()


def test_a_conversation(command: Run, tasks_root: Path) -> None:
    """Pause, context, resume, cancel: each says what it asked and what came of it, and ``tail`` shows all of it."""
    with working("task-42"):
        said = [
            command("pause", "task-42", "--reason", "coffee", *WAIT),
            command("context", "42", "mind the tests", *WAIT),
            command("resume", "last", *WAIT),
            command("resume", "task-42", *WAIT),
            command("cancel", tasks_root / "task-42", "--reason", "seen enough", *WAIT),
        ]
    tail = command("tail", "task-42")

    assert [(each.code, each.out, each.err) for each in said] == [
        (0, "Asked task-42 (job) to pause.\nIt is paused.\n", ""),
        (0, "Told task-42 (job).\nThe agent has it.\n", ""),
        (0, "Asked task-42 (job) to go on.\nIt goes on.\n", ""),
        (0, "Asked task-42 (job) to go on.\nThere was nothing to do: it was so already.\n", ""),
        (0, "Asked task-42 (job) to stop.\nIt was cancelled.\n", ""),
    ]
    for words in (
        "(cli)  coffee",
        "job: running → paused  coffee",
        "context added by",
        "mind the tests",
        "resume requested by",
        "job: paused → running",
        ": nothing to do",
        "(cli)  seen enough",
        "job cancelled in",
    ):
        assert words in tail.out, words
    assert (TaskReader(tasks_root / "task-42").final_result() or {})["outcome"] == "cancelled"


def test_json(command: Run, tasks_root: Path) -> None:
    """One object: the request, and what came of it if that was waited for."""
    with working("t"):
        waited = json.loads(command("pause", "t", "--json", *WAIT).out)
        wait_until(lambda: (TaskReader(tasks_root / "t").metadata() or {})["status"] == "paused", "the status, after the line")
        sent = json.loads(command("cancel", "t", "--terminate-tools", "--json").out)

    keys = ["task_id", "folder", "request", "request_id", "status", "at_work", "effect"]
    assert list(waited) == list(sent) == keys
    assert (waited["request"], waited["effect"], waited["at_work"]) == ("pause", "paused", True)
    assert (sent["request"], sent["effect"], sent["status"]) == ("cancel", None, "paused")


def test_text_from_standard_input(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash reads what is piped in."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("line one\nline two\n"))
    with agentlog.task("job", task_id="t") as task:
        assert command("context", "t", "-").code == 0
        assert task.context == ["line one\nline two\n"]


def test_an_agent_that_does_not_come_to_a_checkpoint(command: Run) -> None:
    """Waiting in vain is exit code 1 and says that the request stands."""
    with agentlog.task("job", task_id="t"):
        said = command("pause", "t", "--wait", "0.1")

    assert (said.code, said.out.splitlines()[1]) == (
        1,
        "Nothing seen of it within 0.1 s: the agent has not come to a checkpoint. It stands.",
    )


def test_a_task_that_nobody_has_taken_up(command: Run) -> None:
    """It is said that the request waits."""
    with agentlog.webhook("slack", "message") as hook:
        hook.create_task("job", task_id="t")

    assert command("context", "t", "hello").out == (
        "Told t (job). No process has taken it up yet: the one that does will meet this.\n"
    )


def test_what_is_refused(command: Run) -> None:
    """Ended and unknown tasks, empty and too long texts, numbers that are none: one line and an exit code."""
    with agentlog.task("job", task_id="task-done"):
        pass
    with agentlog.task("job", task_id="t"):
        refused = [
            command("pause", "task-done"),
            command("pause", "task-dome"),
            command("pause"),
            command("context", "t"),
            command("context", "t", " "),
            command("context", "t", "x" * 70_000),
            command("pause", "t", "--wait", "soon"),
            command("pause", "t", "--terminate-tools"),
        ]

    assert [each.code for each in refused] == [1, 1, 2, 2, 2, 2, 2, 2]
    assert [len(each.err.splitlines()) for each in refused] == [1] * 8
    assert refused[0].err == "agentlog pause: task task-done has ended (completed): it takes no requests\n"
    assert "did you mean task-done" in refused[1].err
    assert "at most 65,536 bytes, found 70,000" in refused[5].err
