"""Interrupts programs that do nothing but record, at random moments: every interrupt must arrive.

Each way of interrupting, in each kind of work, 300 times, one after the other: Ctrl-C; timeouts by SIGALRM whose handler raises
an exception of its own class or a `TimeoutError`; Celery's soft time limit, which raises in a handler of SIGUSR1;
``PyThreadState_SetAsyncExc`` from another thread. An interrupt is lost if the work goes on for `PATIENCE_S` after it. Nothing may
fail where objects go, as the next interrupt is lost in what Python prints of it. Afterwards the program must still record,
without a hang, and `validate` must accept every folder.

    python benchmarks/interrupts.py                       300 of each
    python benchmarks/interrupts.py --count 30 --works "log lines" tasks --ways SIGALRM
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import logging
import os
import queue
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import otel_agentlog as agentlog
from otel_agentlog.store.validation.report import Severity
from otel_agentlog.store.validation.validate import validate

LONGEST_DELAY_S = 0.004
PATIENCE_S = 5.0
CELL_S = 600.0

Work = Callable[[], object]


class Timeout(Exception):
    """What an application raises in its own handler."""


class SoftTimeLimitExceeded(Exception):
    """As billiard, Celery's multiprocessing, has it."""

    def __str__(self) -> str:
        return f"SoftTimeLimitExceeded{self.args}"


# -- ways of interrupting --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """One way of interrupting a thread after a delay."""

    kind: type[BaseException]
    signum: signal.Signals | None = None
    """``None``: asked for by another thread."""
    in_thread: bool = False
    """Whether the work runs in another thread than the main one."""

    def install(self) -> None:
        if self.signum is not None and self.kind is not KeyboardInterrupt:
            signal.signal(self.signum, self._raise)

    def _raise(self, signum: int, frame: object) -> None:
        raise self.kind

    def arm(self, delay_s: float, asked: queue.SimpleQueue[Callable[[], object]]) -> None:
        """Interrupt this thread once, after a delay."""
        if self.signum is signal.SIGALRM:
            signal.setitimer(signal.ITIMER_REAL, delay_s)
            return
        thread, signum = threading.get_ident(), self.signum

        def interrupt() -> None:
            time.sleep(delay_s)
            if signum is not None:
                os.kill(os.getpid(), signum)
            else:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(self.kind))

        asked.put(interrupt)


WAYS = {
    "KeyboardInterrupt": Way(KeyboardInterrupt, signal.SIGINT),
    "SIGALRM, own class": Way(Timeout, signal.SIGALRM),
    "SIGALRM, TimeoutError": Way(TimeoutError, signal.SIGALRM),
    "SoftTimeLimitExceeded": Way(SoftTimeLimitExceeded, signal.SIGUSR1),
    "async, own class": Way(Timeout),
    "async, TimeoutError": Way(TimeoutError),
    "async, own class, in a thread": Way(Timeout, in_thread=True),
    "async, ValueError, in a thread": Way(ValueError, in_thread=True),
}

# -- kinds of work ---------------------------------------------------------------------------------------------------------


class Value:
    """A value whose text is code of the application."""

    def __repr__(self) -> str:
        return "".join(str(n) for n in range(3))


class Stream:
    """A stream of a provider's client."""

    def __init__(self) -> None:
        self._chunks = iter(
            [
                {"choices": [{"delta": {"content": "Hello"}}]},
                {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
            ]
        )

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> object:
        return next(self._chunks)


ANSWER = {
    "model": "gpt-4o",
    "choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
_log = agentlog.get_logger("app")
_stdlib = logging.getLogger("library")
# Else the handler of last resort writes to stderr, and stdlib keeps what is raised while a handler of its own writes.
_stdlib.addHandler(logging.NullHandler())


def steps() -> None:
    with agentlog.step("plan"):
        pass


def failing_steps() -> None:
    with contextlib.suppress(KeyError), agentlog.step("plan"):
        raise KeyError("missing")


def tools() -> None:
    with agentlog.tool("read_file", arguments={"path": "a.py", "value": Value()}) as run:
        run.result = {"text": "x"}


def ai_calls() -> None:
    with agentlog.ai_call(provider="openai", model="gpt-4o") as call:
        call.record(ANSWER)


def streams() -> None:
    with agentlog.ai_call(provider="openai", model="gpt-4o") as call:
        for _ in call.stream(Stream()):
            pass


def tasks() -> None:
    with agentlog.task("job", input={"a": 1}) as task:
        task.output("done")


@agentlog.tool
def _function(value: object) -> object:
    return value


@agentlog.tool
def _generator(value: object) -> Iterator[object]:
    yield value


@agentlog.tool
async def _coroutine(value: object) -> object:
    return value


def decorators() -> None:
    _function(1)
    list(_generator(1))
    with contextlib.suppress(StopIteration):
        _coroutine(1).send(None)


def webhooks() -> None:
    with agentlog.webhook("github", "push", payload={"a": 1}) as hook:
        hook.stage("validation")
        hook.create_task("job", input={"a": 1})


def dropped() -> None:
    agentlog.step("left open").start()


def commands() -> None:
    agentlog.command([sys.executable, "-S", "-E", "-c", ""])


WORKS: dict[str, Work] = {
    "log lines": lambda: _log.info("files read", files=3, value=Value()),
    "stdlib logging": lambda: _stdlib.warning("took %s", Value()),
    "steps": steps,
    "failing steps": failing_steps,
    "tools": tools,
    "AI calls": ai_calls,
    "streams": streams,
    "tasks": tasks,
    "decorators": decorators,
    "webhooks": webhooks,
    "dropped steps": dropped,
    "commands": commands,
    "flush": lambda: agentlog.flush(0.1),
}

# -- one cell of the table -------------------------------------------------------------------------------------------------


def arrives(way: Way, work: Work, asked: queue.SimpleQueue[Callable[[], object]]) -> bool:
    """Interrupt the work once; whether that arrived."""
    try:
        go_on(way, work, asked)
    except way.kind:
        return True
    return False


def go_on(way: Way, work: Work, asked: queue.SimpleQueue[Callable[[], object]]) -> None:
    """Work until it is interrupted."""
    way.arm(random.uniform(0.0001, LONGEST_DELAY_S), asked)
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        work()


def interrupt_often(way: Way, work: Work, count: int) -> int:
    """How many of so many interrupts arrived."""
    asked: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()

    def interrupter() -> None:
        while True:
            asked.get()()

    threading.Thread(target=interrupter, daemon=True).start()
    return sum(arrives(way, work, asked) for _ in range(count))


def child(way: Way, work: Work, count: int, root: Path) -> None:
    """Interrupt this program, and print what arrived and what was left wrong."""
    unraisable: set[str] = set()
    sys.unraisablehook = lambda found: unraisable.add(f"{found.exc_type.__name__} in {found.object!r}")
    agentlog.configure(directory=root, log_directory=root, console="off")
    work()
    way.install()
    arrived = [0]

    def run() -> None:
        with agentlog.task("interrupted"):
            arrived[0] = interrupt_often(way, work, count)
            _log.info("still here")

    thread = threading.Thread(target=run)
    if way.in_thread:
        thread.start()
        thread.join()
    else:
        run()
    agentlog.shutdown()
    reports = [validate(folder) for folder in root.iterdir() if (folder / "metadata.json").exists()]
    wrong = sorted(
        {
            f"{problem.expected} / {problem.found}"
            for report in reports
            for problem in report.problems
            if problem.severity is Severity.ERROR
        }
    )
    print(json.dumps({"arrived": arrived[0], "wrong": [*wrong, *sorted(unraisable)]}))


def cell(way: str, work: str, count: int) -> tuple[int, list[str]]:
    """Run one cell in a process of its own."""
    with tempfile.TemporaryDirectory() as root:
        command = [sys.executable, __file__, "--child", way, work, root, "--count", str(count)]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=CELL_S)
        except subprocess.TimeoutExpired:
            return 0, ["hangs"]
    if ran.returncode:
        return 0, [f"exit code {ran.returncode}: {ran.stderr[-300:]}"]
    found = json.loads(ran.stdout.splitlines()[-1])
    return found["arrived"], found["wrong"]


def main() -> int:
    """Print the table; 1 if an interrupt was lost or a folder is not valid."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300, help="interrupts of each way in each work (300)")
    parser.add_argument("--ways", nargs="+", default=[""], help="only ways whose names begin so")
    parser.add_argument("--works", nargs="+", default=[""], help="only works whose names begin so")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        way, work, root = options.child
        child(WAYS[way], WORKS[work], options.count, Path(root))
        return 0
    lost = 0
    print(f"Python {sys.version.split()[0]}: arrived of {options.count}")
    for way in (name for name in WAYS if name.startswith(tuple(options.ways))):
        for work in (name for name in WORKS if name.startswith(tuple(options.works))):
            arrived, wrong = cell(way, work, options.count)
            lost += options.count - arrived + len(wrong)
            print(f"{way:32} {work:16} {arrived}  {'; '.join(wrong)}", flush=True)
    print("all arrived" if not lost else f"{lost} lost or wrong")
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
