"""How much of the package one event passes through: its own Python calls and files, counted in a process that is warm.

A reader who wants to know what a log line or the end of a tool run does opens these files. The ceilings only ever go down.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
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


@pytest.mark.usefixtures("tasks_root")
def test_a_log_line() -> None:
    """From ``log.info`` into the folder of the task around it."""
    log = agentlog.get_logger("app")

    def event() -> None:
        log.info("files read", n=1)

    with agentlog.task("count"):
        seen = usual(lambda: passed(event))

    assert len(seen.files) <= 14, str(seen)
    assert len(seen.calls) <= 45, str(seen)


@pytest.mark.usefixtures("tasks_root")
def test_the_end_of_a_tool_run() -> None:
    """A tool run that succeeds, from its end into the folder."""

    def begun() -> agentlog.ToolRun:
        run = agentlog.tool("read_file", arguments={"path": "a.py"}).start()
        run.result = "text"
        return run

    with agentlog.task("count"):
        seen = usual(lambda: passed(begun().end))

    assert len(seen.files) <= 21, str(seen)


@pytest.mark.usefixtures("tasks_root")
def test_a_step_that_fails() -> None:
    """Start and end of a step that an exception leaves."""

    def event() -> None:
        with pytest.raises(ValueError, match="boom"), agentlog.step("plan"):
            raise ValueError("boom")

    with agentlog.task("count"):
        seen = usual(lambda: passed(event))

    assert len(seen.files) <= 32, str(seen)
