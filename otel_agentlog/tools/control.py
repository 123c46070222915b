"""Pausing, resuming, cancelling and informing a task of another process, and ending its tools when it is cancelled.

    asked = pause(folder, reason="look at this first")
    effect_of(asked, timeout_s=5)                        # "paused"

A request is redacted and written beside the task's folder; its effect is read from the task's lines. A tool that runs inside
`stoppable` is ended by a thread that reads cancel requests, because the agent waits for the tool and comes to no checkpoint.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from otel_agentlog._interrupts import OwnThread, raise_interrupt
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog.record.operations.checkpoints import control_here
from otel_agentlog.record.operations.control import Control
from otel_agentlog.record.recorder import recorder
from otel_agentlog.record.sanitize.cleaner import default_cleaner
from otel_agentlog.store.control import Requested, ask
from otel_agentlog.store.folder.layout import AGENT_OUTPUT
from otel_agentlog.store.folder.reader import TaskReader, read_lines
from otel_agentlog.vocabulary.coerce import mapping, text
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.states import ENDED

POLL_S = 0.1
"""Seconds between two checks whether a request has taken effect, or whether tools are to be ended."""

_LOOK_BACK_BYTES = 4 * 1024 * 1024


def pause(folder: Path, *, reason: str | None = None, source: str = "code", requested_by: str | None = None) -> Requested:
    """Ask a task to pause at its next checkpoint.

    Args:
        folder: the task's folder, e.g. ``query.resolve(root, "last").folder``.
        reason: shown wherever the request is shown; at most 1,000 characters.
        source: ``cli`` ``web`` ``monitor`` ``api`` ``alert`` ``code``.
        requested_by: who requests it; default: the user this process runs as.

    Raises:
        TaskNotFoundError: there is no such task.
        StateError: it has ended, or its process has died.
        LayoutError: its folder is not this user's alone.
        ConfigurationError: a reason or text that is too long.
        OSError: the request could not be written.
    """
    return _ask(folder, "pause", reason, source, requested_by)


def resume(folder: Path, *, reason: str | None = None, source: str = "code", requested_by: str | None = None) -> Requested:
    """Ask a paused task to go on; takes and raises what `pause` does."""
    return _ask(folder, "resume", reason, source, requested_by)


def cancel(
    folder: Path,
    *,
    reason: str | None = None,
    source: str = "code",
    requested_by: str | None = None,
    terminate_tools: bool = False,
) -> Requested:
    """Ask a task to end at its next checkpoint, with `TaskCancelled`; takes and raises what `pause` does.

    Args:
        terminate_tools: end the tools that are running, too; else the agent waits for them before it comes to a checkpoint.
    """
    return _ask(folder, "cancel", reason, source, requested_by, terminate_tools=terminate_tools)


def add_context(
    folder: Path, text: str, *, reason: str | None = None, source: str = "code", requested_by: str | None = None
) -> Requested:
    """Add ``text`` (at most 64 KiB, redacted) to the agent's context: ``task.context`` returns it. Raises what `pause` does."""
    return _ask(folder, "context", reason, source, requested_by, text=text)


def _ask(
    folder: Path, what: str, reason: str | None, source: str, by: str | None, *, text: str = "", terminate_tools: bool = False
) -> Requested:
    kept = None if reason is None else _clean(reason)
    made_by = None if by is None else _clean(by)
    return ask(
        folder, what, text=_clean(text), reason=kept, source=_clean(source), requested_by=made_by, terminate_tools=terminate_tools
    )


def _clean(text: str) -> str:
    """Redacted by the rules of this process's `configure`, else by those that always hold."""
    here = recorder()
    if not text:
        return text
    return here.clean_text(text) if here.active else default_cleaner().text(text)[0]


def effect_of(requested: Requested, *, timeout_s: float) -> str | None:
    """Wait until a request has taken effect.

    Returns:
        ``paused`` ``resumed`` ``added``, ``none`` where there was nothing to do, or the outcome if the task has ended;
        ``None`` if there was no effect in time.
    """
    task, deadline = TaskReader(requested.folder), time.monotonic() + timeout_s
    lines = _Tail(requested.folder)
    while True:
        for line in lines.new():
            effect = _effect_in(line, requested.request.request, requested.request.request_id)
            if effect is not None:
                return effect
        status = text(task.metadata() or {}, "status")
        if status in ENDED:
            return status
        if time.monotonic() >= deadline:
            return None
        time.sleep(POLL_S)


class _Tail:
    """The lines that a task's file has and gets, from somewhere near its end on."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / AGENT_OUTPUT
        try:
            self._offset = max(0, os.stat(self._path).st_size - _LOOK_BACK_BYTES)
        except OSError:
            raise_interrupt()
            self._offset = 0

    def new(self) -> Iterator[Line]:
        reader = read_lines(self._path, offset=self._offset, live=True)
        yield from reader
        self._offset = reader.offset


_SEEN_WITH_EVENT = {"resume": "resumed", "context": "added"}


def _effect_in(line: Line, request: str, request_id: str) -> str | None:
    details = mapping(line, "details")
    if details.get("request_id") != request_id:
        return None
    if line.get("action") in ("task_paused", "process_paused"):
        return "paused"
    effect = details.get("effect")
    return "none" if effect == "none" else _SEEN_WITH_EVENT.get(request) if effect else None


class Stoppable:
    """A running tool that a cancel with ``terminate_tools`` ends."""

    def __init__(self, stop: Callable[[], Any], control: Control) -> None:
        self._stop, self._control = stop, control
        self.stopped = False
        """Whether its ``stop`` was called."""

    def check(self) -> None:
        """Stop it if that was requested; never raises."""
        for each in self._control.chain():
            each.look()
        if self._control.must_stop_tools and not self.stopped:
            self.stopped = True
            self._control.tell_tool_stopped()
            try:
                self._stop()
            except Exception as error:  # noqa: BLE001 - ``stop`` is the caller's code
                raise_interrupt()
                recorder().failed("control", error)


@contextmanager
def stoppable(stop: Callable[[], Any]) -> Iterator[Stoppable | None]:
    """A block in which a tool runs for the current task: ``stop`` is called, once and from another thread, if it is to end.

    Gives `Stoppable`, whose ``stopped`` is afterwards whether that happened; ``None`` outside of tasks.
    """
    control = control_here()
    if control is None:
        yield None
        return
    tool = Stoppable(stop, control)
    _watch.add(tool)
    try:
        yield tool
    finally:
        _watch.remove(tool)


class _Watch:
    """One thread that checks the controls of running tools, as long as there are any."""

    def __init__(self) -> None:
        self._tools: list[Stoppable] = []
        self._turn = threading.Lock()
        self._running = False

    def add(self, tool: Stoppable) -> None:
        with self._turn:
            self._tools.append(tool)
            if self._running:
                return
            self._running = True
        thread = OwnThread(self._run, "agentlog-control")
        try:
            thread.start()
        except RuntimeError:
            raise_interrupt()
            self._running = False  # no new threads at the end of the interpreter

    def remove(self, tool: Stoppable) -> None:
        with self._turn:
            # In the child of a fork it is the parent's.
            self._tools = [each for each in self._tools if each is not tool]

    def _run(self) -> None:
        while True:
            with self._turn:
                tools = list(self._tools)
                if not tools:
                    self._running = False
                    return
            for tool in tools:
                tool.check()
            time.sleep(POLL_S)


_watch = _Watch()


def _renew_after_fork() -> None:
    global _watch
    _watch = _Watch()


after_fork_in_child(_renew_after_fork)
