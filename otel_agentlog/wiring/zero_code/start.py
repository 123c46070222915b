"""Begins to record in a program that does not ask for it itself. Nothing here raises into that program."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from opentelemetry import context as otel_context

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog._startup import tell
from otel_agentlog.errors import AgentlogError, shown
from otel_agentlog.record.carrier import read_carrier
from otel_agentlog.record.operations.context import OF_PROCESS, OperationScope
from otel_agentlog.record.operations.task import Task
from otel_agentlog.settings.fields import SIGNALS, inherited, read_config_file
from otel_agentlog.wiring import configure, is_configured

RUN = "AGENTLOG_RUN"
"""Variable by which a program knows that ``agentlog run`` began it, or what began it."""


def begin() -> bool:
    """Configure, if that was not done; whether this process records. Says on stderr, in one line, why not."""
    if is_configured():
        return True
    given = inherited()
    try:
        configure(**_settings(given))
    except Exception as error:  # noqa: BLE001 - a program that asked for nothing must run as without us
        raise_interrupt()
        why = str(error) if isinstance(error, AgentlogError) else shown(error)
        tell(f"agentlog: nothing is recorded: {why[:500]}\n")
        return False
    if given.get(RUN):
        go_on(given)
    return True


def _settings(given: Mapping[str, str]) -> dict[str, Any]:
    """What is usual here, and said neither by these variables nor in our configuration file."""
    usual = {"AGENTLOG_IMPLICIT_TASKS": ("implicit_tasks", True), "AGENTLOG_CONSOLE": ("console", "off")}
    settings = dict(setting for variable, setting in usual.items() if variable not in given)
    if given.get("OTEL_CONFIG_FILE"):
        # That file says what is sent where; OTEL_TRACES_EXPORTER, which a distribution sets, does not count beside it.
        settings |= {f"{signal}_exporter": "none" for signal in SIGNALS}
    in_file = read_config_file()
    return {name: value for name, value in settings.items() if name not in in_file}


def go_on(carrier: Mapping[str, str]) -> None:
    """Make a task that another process has begun current in this one, wherever nothing else is."""
    task = ProcessTask(carrier)
    OF_PROCESS[:] = [task.current]
    # Spans that are begun here belong to its trace; other threads have no context, and find the task by the process alone.
    otel_context.attach(read_carrier(carrier, otel_context.get_current()).context)
    sys.excepthook = task.hook(sys.excepthook)
    atexit.register(task.end)


class ProcessTask:
    """This process's part of a task. It begins with the first thing that is recorded: many programs record nothing."""

    def __init__(self, carrier: Mapping[str, str]) -> None:
        self._carrier = carrier
        self.renew_after_fork()
        after_fork_in_child(self.renew_after_fork)

    def renew_after_fork(self) -> None:
        """In the child of a fork: the part of the parent is the parent's."""
        self._task: Task | None = None
        self._startable = [None]
        """Popped by the caller that starts it; popping a list is atomic."""

    def current(self) -> OperationScope | None:
        """The task; ``None`` while it begins, and where it has ended already."""
        if self._task is None and self._startable:
            try:
                self._startable.pop()
            except IndexError:
                raise_interrupt()
                return None
            try:
                self._task = Task(resume=self._carrier, strict=True).start()
            except AgentlogError:
                raise_interrupt()  # the task has ended: what is recorded from now on gets tasks of its own
        return self._task

    def hook(self, before: Callable[..., Any]) -> Callable[..., Any]:
        """A ``sys.excepthook`` that ends it with the exception of which the program dies."""

        def ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            before(kind, error, trace)
            self.end(error)

        return ended

    def end(self, error: BaseException | None = None) -> None:
        """End it, if it has begun."""
        task, self._task = self._task, None
        self._startable.clear()
        if task is not None and not task.ended:
            task.end(error=error)
