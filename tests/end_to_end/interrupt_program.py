"""Interrupts a small piece of work behind each call that our code makes: a program of ``test_interrupts_everywhere.py``.

    python -m tests.end_to_end.interrupt_program ROOT CLASS STEP FIRST

A trace function counts the calls; behind call k a signal handler raises, as for a timeout, and the work is done anew for the
next k. Prints, as one JSON object, where each task was interrupted, and where the interrupt did not arrive.
"""

from __future__ import annotations

import builtins
import json
import signal
import sys
from collections.abc import Callable
from opcode import opname
from pathlib import Path
from types import FrameType
from typing import Any

import otel_agentlog as agentlog
from tests.support.opcodes import every_instruction, set_trace

PACKAGE = f"{Path(agentlog.__file__).parent}/"
log = agentlog.get_logger("app")


class Interrupt(Exception):
    """What a timeout of other code raises."""


def work(number: int) -> None:
    """Every kind of operation, and lines in between."""
    with agentlog.task("T", task_id=f"task-{number:05}"):
        log.info("begun", number=number)
        with agentlog.step("s"), agentlog.tool("read", arguments={"path": "a.py"}) as run:
            run.result = {"lines": 3}
        with agentlog.ai_call("claude-opus-4", provider="anthropic", messages=[{"role": "user", "content": "hi"}]) as call:
            call.usage(input_tokens=1, output_tokens=2)


class At:
    """A trace function that raises a signal at one of the places at which the interpreter handles them: behind a call."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.where = ""

    def __call__(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
        """For each frame: only ours are traced."""
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        called = False

        def traced(frame: FrameType, event: str, arg: object) -> Callable[..., Any]:
            nonlocal called
            if event == "opcode":
                if called:
                    self._behind_a_call(frame)
                called = opname[frame.f_code.co_code[frame.f_lasti]].startswith("CALL")
            return traced

        return every_instruction(frame, traced)

    def _behind_a_call(self, frame: FrameType) -> None:
        self.left -= 1
        if self.left == 0:
            self.where = f"{frame.f_code.co_filename.removeprefix(PACKAGE)}:{frame.f_lineno}"
            signal.raise_signal(signal.SIGUSR1)


def interrupted(number: int, kind: type[Exception]) -> tuple[str, bool]:
    """Where the work was interrupted, empty if it is over before that line, and whether the interrupt arrived."""
    at = At(number)
    set_trace(at)
    try:
        work(number)
    except kind:
        return at.where, True
    finally:
        sys.settrace(None)
    return at.where, False


def main(root: str, kind_name: str, step: int, first: int) -> None:
    """Interrupt behind one call after the other until the work makes no more of them."""
    kind: type[Exception] = getattr(builtins, kind_name, Interrupt)

    def handler(number: int, frame: FrameType | None) -> None:
        raise kind

    agentlog.configure(directory=root, log_directory=root, console="off", capture_logging=False, recover_on_start=False)
    work(0)  # what happens once in a process is not looked for here
    signal.signal(signal.SIGUSR1, handler)
    places, lost, number = dict[str, str](), list[str](), first
    while True:
        where, arrived = interrupted(number, kind)
        if not where:
            break
        places[f"task-{number:05}"] = where
        lost += [] if arrived else [where]
        number += step
    agentlog.shutdown()
    print(json.dumps({"places": places, "lost": lost}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
