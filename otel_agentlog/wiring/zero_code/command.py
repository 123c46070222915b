"""``agentlog run``: a task around any command, in whose folder is what the command's Python processes record.

The command's processes get the task in the variables ``TRACEPARENT`` and ``BAGGAGE``, so programs in other languages can go on
with its trace, and a directory of ours first on ``PYTHONPATH`` (`site/sitecustomize.py`).
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from urllib.parse import quote

from opentelemetry.trace import SpanContext

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import tell
from otel_agentlog.export.semconv.names import REPLAY_OF, REPLAY_TASK
from otel_agentlog.record.operations.task import Task
from otel_agentlog.settings.fields import inherited
from otel_agentlog.wiring import configure, shutdown
from otel_agentlog.wiring.zero_code.start import RUN

SITE = Path(__file__).with_name("site")
NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""Exit codes as a shell has them."""

MAX_NAME = 120


def run(
    argv: Sequence[str],
    root: Path,
    *,
    name: str | None = None,
    agent: str | None = None,
    tags: Sequence[str] = (),
    instrument: bool = False,
) -> int:
    """Run a command in a task below a root, and return its exit code; 128 and the number of the signal that killed it.

    With ``instrument`` its Python processes switch on the instrumentors of AI libraries that are installed there.
    """
    configure(directory=root, console="off", instrument=())
    task = Task(name or shlex.join(argv)[:MAX_NAME], input={"command": list(argv)}, agent=agent, tags=tags, source="run").start()
    return run_in(task, argv, root, {"AGENTLOG_INSTRUMENT": "all"} if instrument else {})


def run_again(
    argv: Sequence[str],
    root: Path,
    variables: Mapping[str, str],
    *,
    of: str,
    name: str,
    link: SpanContext | None,
    by_itself: bool,
) -> tuple[int, Path]:
    """Run a command that replays a task, with these variables, beside a task of its own; returns its code and that task's folder.

    ``of`` is the id of the task, ``name`` that of the new one, ``link`` the span that it is linked with. A command that records
    ``by_itself`` does so as it would without us, into tasks whose resource says what they replay, and in which task; any other
    records into the new one, with sub-tasks whose resource says what they replay. Nothing is sent.
    """
    exporters = {f"{signal}_exporter": "none" for signal in ("traces", "logs", "metrics")}
    configure(directory=root, console="off", instrument=(), **exporters)
    replays = {REPLAY_OF: of}
    task = Task(name[:MAX_NAME], input={"command": list(argv)}, source="replay", tags=["replay"], attributes=replays).start()
    if link is not None:
        task.span.add_link(link, replays)
    folder = task.folder or root / task.task_id
    replay_task = f"{REPLAY_TASK}={quote(task.task_id)}" if by_itself else None
    named = inherited().get("OTEL_RESOURCE_ATTRIBUTES")
    resource = {"OTEL_RESOURCE_ATTRIBUTES": ",".join(filter(None, (named, f"{REPLAY_OF}={quote(of)}", replay_task)))}
    if not by_itself:
        return run_in(task, argv, root, {**variables, **resource}), folder
    env = {**inherited(), **variables, **resource, "TASK_LOGS_DIR": str(root.absolute())}
    return _run_in(task, argv, {key: value for key, value in env.items() if value or key not in variables}), folder


def run_in(task: Task, argv: Sequence[str], root: Path, variables: Mapping[str, str]) -> int:
    """Run a command in a task that has begun, with these variables (an empty one goes away); ends the task and the recording."""
    return _run_in(task, argv, environment(task, root, variables))


def _run_in(task: Task, argv: Sequence[str], env: Mapping[str, str]) -> int:
    try:
        code = _run(argv, env)
        if code:
            task.result = {"exit_code": code}
        task.end("failed" if code else None, reason=f"exit code {code}" if code else None)
    except BaseException as error:
        if not task.ended:
            task.end(error=error)
        raise
    finally:
        shutdown()
    return code


def _run(argv: Sequence[str], env: Mapping[str, str]) -> int:
    with _passing_on() as to:
        try:
            process = subprocess.Popen(argv, env=env)  # noqa: S603 - what the user typed
        except OSError as error:
            raise_interrupt()
            tell(f"agentlog: {argv[0]}: {error.strerror}\n")
            return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        to(process)
        code = process.wait()
    return 128 - code if code < 0 else code


_PASSED_ON = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))


def environment(task: Task, root: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """What the command gets: the folder is found from any working directory."""
    given = {name: value for name, value in {**inherited(), **variables}.items() if value or name not in variables}
    paths = dict.fromkeys([str(SITE), *filter(None, given.get("PYTHONPATH", "").split(os.pathsep))])
    ours = {RUN: task.task_id, "TASK_LOGS_DIR": str(root.absolute()), "PYTHONPATH": os.pathsep.join(paths)}
    return {**given, **task.environ(), **ours}


def _has_terminal() -> bool:
    """Whether Ctrl-C in a terminal is for this process and those that it starts."""
    if sys.platform == "win32":
        return True
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        raise_interrupt()
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)


@contextmanager
def _passing_on() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """The command gets the signals that would end this process, and decides. Ctrl-C reaches it from the terminal.

    Gives what is to be called with the command's process; what came before is passed on then.
    """
    came: list[int] = []
    running: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and _has_terminal():
            return
        came.append(number)
        for process in running:
            process.send_signal(number)

    def begin(process: subprocess.Popen[bytes]) -> None:
        running.append(process)
        for number in came:
            process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
    try:
        yield begin
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
