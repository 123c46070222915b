"""What was asked before a checkpoint began is met by it, however shortly after the last look it was asked."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import otel_agentlog as agentlog
from otel_agentlog.store.control import MAX_TEXT_BYTES
from tests.record.operations.test_control import DEADLINE_S, at_checkpoint, request, told

APPENDER = """
import sys
for line in sys.stdin.buffer:
    with open(sys.argv[1], "ab") as file:
        file.write(line)
    print("written", flush=True)
"""


@contextlib.contextmanager
def appender(path: Path) -> Iterator[Callable[[str, str], None]]:
    """Another process that appends requests to a file; the call returns when one stands there."""
    path.touch(mode=0o600)
    with subprocess.Popen([sys.executable, "-c", APPENDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def append(what: str, request_id: str) -> None:
            line = {"timestamp": "2999-01-01T00:00:00Z", "request": what, "request_id": request_id, "text": request_id}
            stdin.write(json.dumps(line).encode() + b"\n")
            stdin.flush()
            assert stdout.readline() == b"written\n"

        yield append
        stdin.close()


def test_texts_are_met_at_once(tasks_root: Path) -> None:
    """However shortly after the last look another process adds a text, the next one brings it; also the second of one tick."""
    with agentlog.task("job", task_id="t") as task, appender(tasks_root / "t" / "control.jsonl") as append:
        for number in range(200):
            task.checkpoint()
            append("context", f"a{number}")
            assert task.new_context() == [f"a{number}"]
            append("context", f"b{number}")
            assert task.context[-1] == f"b{number}"
            assert task.new_context() == [f"b{number}"]


def test_all_that_was_asked_is_met_at_once(tasks_root: Path) -> None:
    """A checkpoint meets a cancel also behind more texts than are read at a time."""
    with contextlib.suppress(agentlog.TaskCancelled), agentlog.task("job", task_id="t") as task:
        task.checkpoint()
        for number in range(20):
            request(task, "context", text=str(number).zfill(MAX_TEXT_BYTES))
        request(task, "cancel")
        with pytest.raises(agentlog.TaskCancelled):
            task.checkpoint()


def test_pauses_and_resumes_are_met_at_once(tasks_root: Path) -> None:
    """A pause holds the very next checkpoint, and one that was taken back before does not."""
    with agentlog.task("job", task_id="t") as task, appender(tasks_root / "t" / "control.jsonl") as append:
        for number in range(20):
            task.checkpoint()
            append("pause", f"p{number}")
            with at_checkpoint(task):
                append("resume", f"r{number}")
            task.checkpoint()
            append("pause", f"q{number}")
            append("resume", f"s{number}")
            task.checkpoint()
            assert task.state is agentlog.State.RUNNING

    met = [request_id for action, request_id in told(tasks_root, "t") if action.endswith("_requested")]
    assert met == [f"{which}{number}" for number in range(20) for which in "prqs"]


@pytest.mark.parametrize("above", [False, True])
def test_a_cancel_is_met_by_the_only_checkpoint_that_follows(tasks_root: Path, above: bool) -> None:
    """Asked of the task itself or of the one above, right after a checkpoint that found nothing."""
    for number in range(40):
        with contextlib.suppress(agentlog.TaskCancelled), agentlog.task("job", task_id=f"t{number}") as task:
            with agentlog.task("part") as part:
                part.checkpoint()
                request(task if above else part, "cancel")
                with pytest.raises(agentlog.TaskCancelled):
                    part.checkpoint()


def test_a_cancel_that_another_thread_takes_is_met(tasks_root: Path) -> None:
    """Threads that look at the same time hide nothing from each other."""
    stop = threading.Event()

    def look(task: agentlog.Task) -> None:
        while not stop.is_set():
            task.context

    for number in range(40):
        stop.clear()
        with contextlib.suppress(agentlog.TaskCancelled), agentlog.task("job", task_id=f"t{number}") as task:
            threads = [threading.Thread(target=look, args=[task]) for _ in range(2)]
            for thread in threads:
                thread.start()
            try:
                request(task, "cancel")
                with pytest.raises(agentlog.TaskCancelled):
                    task.checkpoint()
            finally:
                stop.set()
                for thread in threads:
                    thread.join(DEADLINE_S)


async def test_coroutines_meet_at_once_too(tasks_root: Path) -> None:
    """The same where a checkpoint is awaited."""
    for number in range(40):
        with contextlib.suppress(agentlog.TaskCancelled), agentlog.task("job", task_id=f"t{number}") as task:
            await task.checkpoint()
            request(task, "cancel")
            with pytest.raises(agentlog.TaskCancelled):
                await task.checkpoint()
