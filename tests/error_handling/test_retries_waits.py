"""Waits between attempts: how long they are, and that a task can be paused and cancelled in them."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.error_handling.retries import backoff_s
from otel_agentlog.store.control import ask
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.testing import MemorySink
from tests.support.waiting import wait_until

DEADLINE_S = 60.0
FOR_EVER: dict[str, Any] = {"first_wait_s": 3600.0, "max_wait_s": 3600.0}


class HostileError(Exception):
    """Raises at every question but its class."""

    @property
    def __class__(self) -> type:  # type: ignore[override]
        raise RuntimeError("asked for its class")

    def __bool__(self) -> bool:
        raise RuntimeError("asked for its truth")

    __hash__ = None  # type: ignore[assignment]


@contextlib.contextmanager
def cancelled_after_a_failure(task: agentlog.Task) -> Iterator[None]:
    """Cancels the task as soon as an attempt has failed."""
    folder = task.folder
    assert folder is not None

    def work() -> None:
        wait_until(lambda: said(folder, "attempt_failed"), "an attempt to fail", timeout_s=DEADLINE_S)
        ask(folder, "cancel")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join(DEADLINE_S)


def said(folder: Path, action: str) -> bool:
    """Whether a line of this action stands in the folder."""
    return any(line.get("action") == action for line in TaskReader(folder).events())


def test_a_cancel_ends_a_wait(tasks_root: Path) -> None:
    """`TaskCancelled` is raised out of the wait, and no further attempt is made."""
    calls = []

    @agentlog.retrying(**FOR_EVER)
    def work() -> None:
        calls.append(1)
        raise TimeoutError("busy")

    task = agentlog.task("t")
    with pytest.raises(agentlog.TaskCancelled), task, cancelled_after_a_failure(task), agentlog.tool("x"):
        work()

    assert (len(calls), task.state.value) == (1, "cancelled")


async def test_a_cancel_ends_an_awaited_wait(tasks_root: Path) -> None:
    """The same in a coroutine."""

    @agentlog.retrying(**FOR_EVER)
    async def work() -> None:
        raise TimeoutError("busy")

    task = agentlog.task("t")
    with pytest.raises(agentlog.TaskCancelled), task, cancelled_after_a_failure(task):
        await work()

    assert task.state.value == "cancelled"


def test_no_attempt_begins_while_the_task_is_paused(tasks_root: Path) -> None:
    """It is paused in the wait, and the next attempt comes after the resume."""
    with agentlog.task("t") as task:
        folder = task.folder
        assert folder is not None
        for attempt in agentlog.retrying(first_wait_s=0.4):
            with attempt:
                if attempt.number == 1:
                    ask(folder, "pause")
                    thread = threading.Thread(target=_resume, args=(folder,))
                    thread.start()
                    raise TimeoutError("busy")
                agentlog.log_event("agent", "second_attempt")
        thread.join(DEADLINE_S)

    actions = [line.get("action") for line in TaskReader(folder).events()]
    assert actions.index("task_paused") < actions.index("task_resumed") < actions.index("second_attempt")


def _resume(folder: Path) -> None:
    wait_until(lambda: said(folder, "task_paused"), "the task to pause", timeout_s=DEADLINE_S)
    ask(folder, "resume")


def test_exceptions_that_raise_at_any_question_are_tried_again(recorded: MemorySink) -> None:
    """The exception comes out as it is, after as many attempts as were allowed."""
    with pytest.raises(BaseException) as caught, agentlog.tool("x"):
        agentlog.retrying(attempts=3, first_wait_s=0)(_fail)()

    assert type(caught.value) is HostileError
    assert [line["details"]["number"] for line in recorded.of(type="attempt")] == [1, 2, 3]


def _fail() -> None:
    raise HostileError("x")


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 2000),
    st.just(0.0) | st.floats(0.001, 1e5),
    st.floats(0, 1e5),
    st.booleans(),
)
def test_waits_are_the_same_with_and_without_tenacity(number: int, first_s: float, most_s: float, installed: bool) -> None:
    """Between half of the doubled wait and all of it, never above the limit."""
    with pytest.MonkeyPatch.context() as patch:
        if not installed:
            patch.setitem(sys.modules, "tenacity", None)
        wait_s = backoff_s(number, first_wait_s=first_s, max_wait_s=most_s)

    whole_s = min(most_s, first_s * 2.0 ** min(number - 1, 64))
    assert whole_s / 2 * 0.999 <= wait_s <= whole_s * 1.001
