"""How many system calls the calling thread makes for a line, a span and a whole task; counted by strace in a process of its own.

The ceilings only ever go down. The program is this file: it hands the folder's sink the envelopes that a recorder would.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otel_agentlog.store.folder.sink import FolderSink
from otel_agentlog.vocabulary.envelope import Envelope, TaskRef
from otel_agentlog.vocabulary.lines import timestamp

ROUNDS = 100
NOT_OURS = frozenset(
    {
        "futex",
        "brk",
        "mmap",
        "munmap",
        "mremap",
        "madvise",
        "mprotect",
        "clone3",
        "clone",
        "gettid",
        "rt_sigprocmask",
        "sched_yield",
    }
)
"""Calls for locks, memory and the start of the syncer's thread: they come and go with the load of the machine."""

CEILINGS = {"line": 1.1, "span": 2.2, "task": 36.0}
"""Most calls of each on average; a task has two lines and its five files."""


class Program:
    """What strace looks at."""

    def __init__(self, root: Path) -> None:
        self.sink = FolderSink(root, lambda: {"type": "process", "pid": 1})
        self.task = self.new_task("long")
        self.record(self.task, type="task", phase="start", span_id="a" * 16)

    def new_task(self, task_id: str) -> TaskRef:
        """A task that was not begun."""
        return TaskRef(task_id, {"task_id": task_id, "name": task_id})

    def record(self, task: TaskRef, payload: dict[str, Any] | None = None, **line: Any) -> None:
        """As the recorder does it."""
        complete = {"timestamp": timestamp(time.time_ns()), "level": "INFO", **line, "event_id": task.event_ids.next()}
        self.sink(Envelope(complete, task, 0, payload=payload, items=int(line.get("phase") != "start")))

    def line(self, number: int) -> None:
        """A log line."""
        self.record(self.task, type="log", message="files read", details={"files": number})

    def span(self, number: int) -> None:
        """A tool run, from its start to its end."""
        self.record(self.task, type="tool_call", phase="start", span_id=f"{number:016x}")
        self.record(self.task, type="tool_result", phase="end", span_id=f"{number:016x}", outcome="completed")

    def whole_task(self, number: int) -> None:
        """A task with input and result."""
        task = self.new_task(f"task-{number}")
        self.record(task, {"input": {"n": number}}, type="task", phase="start", span_id="b" * 16)
        self.record(task, {"result": "done"}, type="task", phase="end", span_id="b" * 16, outcome="completed", duration_ms=1.0)


def main(root: str) -> None:
    """Do each thing often, between two marks in the trace."""
    program = Program(Path(root))
    work: dict[str, Callable[[int], None]] = {"line": program.line, "span": program.span, "task": program.whole_task}
    for name, once in work.items():
        once(ROUNDS)
        _mark(f"begin-{name}")
        for number in range(ROUNDS):
            once(number)
        _mark(f"end-{name}")


def _mark(name: str) -> None:
    with contextlib.suppress(OSError):
        os.readlink(f"/mark-{name}")


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Counter[str]]:
    """The calls of the calling thread during all rounds of each thing, by their names."""
    if shutil.which("strace") is None:
        message = "strace is needed: apt-get install strace (.ci/run does it)"
        assert os.environ.get("CI") != "true", message
        pytest.skip(message)
    place = tmp_path_factory.mktemp("calls")
    command = ["strace", "-f", "-q", "-o", str(place / "trace"), sys.executable, __file__, str(place / "tasks")]
    subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True, timeout=100)
    return _by_thing((place / "trace").read_text(errors="replace"))


def _by_thing(trace: str) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    thing = ""
    calls = re.findall(r"^(\d+) +(\w+)\((.*)$", trace, re.MULTILINE)
    main_thread = next(thread for thread, _, rest in calls if "/mark-begin-" in rest)
    for thread, call, rest in calls:
        if marked := re.search(r'"/mark-(begin|end)-(\w+)"', rest):
            thing = marked[2] if marked[1] == "begin" else ""
        elif thing and thread == main_thread and call not in NOT_OURS:
            found.setdefault(thing, Counter())[call] += 1
    return found


@pytest.mark.parametrize("thing", CEILINGS)
def test_the_calling_thread_makes_few_system_calls(thing: str, counted: dict[str, Counter[str]]) -> None:
    """One ``write()`` a line and a look at the file now and then; a task's folder with its five files in few calls."""
    assert counted[thing].total() / ROUNDS <= CEILINGS[thing], counted[thing].most_common()


if __name__ == "__main__":
    main(sys.argv[1])
