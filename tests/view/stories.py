"""Tasks of every kind, recorded by the real SDK: ``python -m tests.view.stories ROOT`` makes them all.

`STORIES` end by themselves; a `Worker` is a process of its own with a task that stays open.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier

import otel_agentlog as agentlog

HOSTILE = "evil \x1b[31mred\x1b[0m \x1b]0;title\x07\x9b2J\u202egpj.exe\u2066 \x08\x7f end"
"""A name that would colour, retitle, clear and reorder a terminal."""

WIDE = "検証する: 日本語の長い名前 ✨ 한국어 🦀"


def configure(root: Path) -> None:
    """Record below this root and nowhere else."""
    agentlog.configure(
        service_name="stories", directory=root, log_directory=root.parent / "logs", console="off", capture_logging=False
    )


def review() -> None:
    """Comes in by webhook, has a retried tool, a sub-task and a step that fails."""
    with agentlog.webhook("github", "issue_comment.created", payload={"number": 42}) as hook:
        hook.stage("validation", status="passed")
        hook.stage("command_matching", command="review", matched=True)
        hook.stage("immediate_response", reaction="eyes")
        hook.create_task(
            "Review PR 42", input={"message": "please review"}, agent="brain", task_id="task-review42", tags=["demo"]
        )
        carrier = hook.push("tasks")
    with suppress(ValueError), agentlog.task(resume=carrier) as task:
        with agentlog.step("plan"):
            with agentlog.ai_call("claude-opus-4-5", provider="anthropic", messages=[{"role": "user", "content": "hi"}]) as call:
                call.usage(input_tokens=1200, output_tokens=850, cache_read_input_tokens=300, cost_usd=0.0234)
            task.thinking("The diff touches …")
            with agentlog.tool("Read", arguments={"path": "src/a.py"}) as run:
                run.attempt_failed(OSError("disk is busy"), wait_seconds=0.1)
                run.result = "content"
        with agentlog.task("Check style", task_id="task-style"), agentlog.step("lint"):
            pass
        task.output("Analyzing the code...\n")
        with agentlog.step("judge"):
            raise ValueError("boom: the verdict is missing")


def parallel() -> None:
    """Twenty tools at the same time, all below one step."""
    barrier = Barrier(20)

    def work(number: int) -> None:
        with agentlog.tool("Grep", arguments={"pattern": "TODO", "part": number}) as run:
            barrier.wait(20)
            time.sleep(0.002 * number)
            run.result = number

    with agentlog.task("Search in parallel", task_id="task-parallel", agent="searcher"), agentlog.step("search"):
        with ThreadPoolExecutor(20) as pool:
            list(pool.map(work, range(20)))


def odd_names() -> None:
    """Long, wide and hostile texts wherever a text can stand."""
    long = "a very long name that goes on and on " * 6
    with agentlog.task(WIDE, task_id="task-wide", agent="日本のエージェント", input={"q": HOSTILE}) as task:
        with agentlog.step(long), agentlog.tool(HOSTILE, arguments={HOSTILE: HOSTILE, "text": "línea\n" * 50}) as run:
            run.result = HOSTILE
        task.output(HOSTILE)
        task.output("one\ntwo\tthree\r\nfour")
    with suppress(RuntimeError), agentlog.task(HOSTILE, task_id="task-hostile", agent=HOSTILE):
        raise RuntimeError(HOSTILE)


def endings() -> None:
    """One task for each way to end, and one that is paused."""

    async def cancelled() -> None:
        async with agentlog.task("Cancelled on the way", task_id="task-cancelled"), agentlog.step("wait"):
            raise asyncio.CancelledError

    with suppress(asyncio.CancelledError):
        asyncio.run(cancelled())
    with suppress(TimeoutError), agentlog.task("Too slow", task_id="task-slow"):
        with agentlog.ai_call("gpt-unknown", provider="openai") as call:
            call.attempt_failed(ConnectionError("reset by peer"), wait_seconds=1, maximum=2)
            call.usage(input_tokens=10, output_tokens=1)
            raise TimeoutError("no answer within 30 s")
    agentlog.task("Waits for approval", task_id="task-paused").start().pause("approval")
    with agentlog.task("All is well", task_id="task-well", agent="brain") as task:
        task.result = "fine"


def stays_open() -> None:
    """Runs until it is told to stop: prints a line when it is at work."""
    with agentlog.task("Still at work", task_id=f"task-open{os.getpid()}", agent="worker") as task, agentlog.step("long step"):
        with agentlog.ai_call("claude-opus-4-5", provider="anthropic") as call:
            call.usage(input_tokens=100, output_tokens=20)
        task.output("working\n")
        run = agentlog.tool("Bash", arguments={"command": "sleep 1000"})
        with run:
            print(task.task_id, flush=True)
            sys.stdin.readline()
            run.result = "told to stop"
        task.output("done\n")


STORIES: tuple[Callable[[], None], ...] = (review, parallel, odd_names, endings)


def tell_all(root: Path) -> None:
    """Record every story that ends by itself."""
    configure(root)
    for story in STORIES:
        story()
    agentlog.shutdown()


class Worker:
    """A process at work on a task that stays open until `finish` or `kill`."""

    def __init__(self, root: Path) -> None:
        command = [sys.executable, "-m", "tests.view.stories", str(root), "open"]
        here = Path(__file__).parents[2]
        self._process = subprocess.Popen(command, cwd=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.task_id = self._process.stdout.readline().strip()

    def finish(self) -> None:
        """Let the task complete."""
        self._process.communicate("\n", timeout=30)

    def kill(self) -> None:
        """End the process without a chance to say anything."""
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate(timeout=30)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()


def main() -> None:
    """Record everything, or the one task that stays open, below the root named first."""
    root = Path(sys.argv[1])
    if sys.argv[2:] == ["open"]:
        configure(root)
        stays_open()
        return
    tell_all(root)
    with Worker(root) as worker:
        worker.kill()


if __name__ == "__main__":
    main()
