"""How much of the package one event passes through: its own Python calls and files, counted in a process that is warm.

A reader who wants to know what a log line or the end of a tool run does opens these files. The ceilings only ever go down. The
counting is done by this file as a program: what other tests have configured in their process would be counted, too.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

import pytest

import otel_agentlog as agentlog

HOME = f"{Path(agentlog.__file__).parent}/"


@dataclass
class Passed:
    """The package's own calls during an event, in order."""

    calls: list[str] = field(default_factory=list)

    def __call__(self, frame: FrameType, event: str, _arg: object) -> None:
        """The profile function of `sys.setprofile`."""
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(HOME):
            self.calls.append(f"{code.co_filename.removeprefix(HOME)}:{getattr(code, 'co_qualname', code.co_name)}")

    @property
    def files(self) -> list[str]:
        """The files, in the order in which they are entered first."""
        return list(dict.fromkeys(call.partition(":")[0] for call in self.calls))

    def __str__(self) -> str:
        listed = "\n".join([*self.files, "", *self.calls])
        return f"{len(self.files)} files, {len(self.calls)} calls, in order:\n{listed}"


def passed(work: Callable[[], object]) -> Passed:
    """What one event passes."""
    seen = Passed()
    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(None)
    return seen


def usual(count: Callable[[], Passed]) -> Passed:
    """What an event passes each time, without what happens at the first one or once a second."""
    return min((count() for _ in range(20)), key=lambda seen: (len(seen.files), len(seen.calls)))


def log_line() -> Passed:
    """From ``log.info`` into the folder of the task around it."""
    log = agentlog.get_logger("app")
    return usual(lambda: passed(lambda: log.info("files read", n=1)))


def end_of_tool_run() -> Passed:
    """A tool run that succeeds, from its end into the folder."""

    def begun() -> agentlog.ToolRun:
        run = agentlog.tool("read_file", arguments={"path": "a.py"}).start()
        run.result = "text"
        return run

    return usual(lambda: passed(begun().end))


def tool_run() -> Passed:
    """Start and end of a tool run that succeeds."""

    def event() -> None:
        with agentlog.tool("read_file", arguments={"path": "a.py"}) as run:
            run.result = "text"

    return usual(lambda: passed(event))


def step() -> Passed:
    """Start and end of a step."""

    def event() -> None:
        with agentlog.step("plan"):
            pass

    return usual(lambda: passed(event))


def failing_step() -> Passed:
    """Start and end of a step that an exception leaves."""

    def event() -> None:
        with contextlib.suppress(ValueError), agentlog.step("plan"):
            raise ValueError("boom")

    return usual(lambda: passed(event))


ANSWER = {
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "stop_reason": "end_turn",
    "content": [{"type": "text", "text": "The file is short."}],
    "usage": {"input_tokens": 1200, "output_tokens": 80},
}


def ai_call() -> Passed:
    """Start and end of an AI call whose answer is a dict, with its cost."""
    asked = [{"role": "user", "content": "Read a.py"}]
    numbers = iter(range(1000))

    def event() -> None:
        with agentlog.ai_call("claude-sonnet-4-5", provider="anthropic", max_tokens=4096, messages=asked) as call:
            call.record({**ANSWER, "id": f"msg_{next(numbers)}"})

    return usual(lambda: passed(event))


def chunk() -> Passed:
    """One chunk of a stream that makes the text of the answer grow."""
    event = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "more "}}
    begin = {"type": "message_start", "message": {**ANSWER, "content": [], "id": "msg_s"}}
    with agentlog.ai_call("claude-sonnet-4-5", provider="anthropic") as call:
        stream = call.stream(iter([begin, *[event] * 100]))
        return usual(lambda: passed(lambda: next(stream)))


EVENTS = {
    "log line": log_line,
    "end of a tool run": end_of_tool_run,
    "tool run": tool_run,
    "AI call": ai_call,
    "chunk of a stream": chunk,
    "step": step,
    "failing step": failing_step,
}
CEILINGS = {
    "log line": (9, 17),
    "end of a tool run": (13, 23),
    "tool run": (17, 53),
    "AI call": (26, 129),
    "chunk of a stream": (3, 6),
    "step": (16, 53),
    "failing step": (25, 120),
}
"""Most files and calls of each event."""


def main(root: str) -> None:
    """Count all events in a process that does nothing else, and print the calls of each as JSON."""
    agentlog.configure(directory=root, log_directory=root, console="off", capture_logging=False)
    with agentlog.task("count"):
        print(json.dumps({name: asdict(count()) for name, count in EVENTS.items()}))


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Passed]:
    """What each event passes."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "AGENTLOG_", "TASK_LOGS_"))}
    root = tmp_path_factory.mktemp("tasks")
    ran = subprocess.run([sys.executable, __file__, str(root)], capture_output=True, text=True, check=True, timeout=90, env=plain)
    return {name: Passed(**found) for name, found in json.loads(ran.stdout).items()}


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_passes_few_files(event: str, counted: dict[str, Passed]) -> None:
    """No more files and calls than when they were last counted."""
    files, calls = CEILINGS[event]

    assert len(counted[event].files) <= files, str(counted[event])
    assert len(counted[event].calls) <= calls, str(counted[event])


if __name__ == "__main__":
    main(sys.argv[1])
