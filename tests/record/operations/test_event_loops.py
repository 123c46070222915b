"""What cancellation and time limits of event loops and worker pools are; what is current follows trio's and anyio's tasks."""

from __future__ import annotations

import asyncio
import builtins
import concurrent.futures
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio

import otel_agentlog as agentlog
from otel_agentlog.errors import TaskCancelled
from otel_agentlog.record.operations.outcome import judge
from otel_agentlog.store.folder.reader import find_task


def made(module: str, name: str, *bases: type) -> BaseException:
    """An exception of a package that is not installed here, or need not be."""
    error: BaseException = type(name, bases or (BaseException,), {"__module__": module})()
    return error


def cancelled() -> BaseException:
    """One of trio's own, which only trio can make."""

    async def caught() -> BaseException:
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.sleep(0)
            except trio.Cancelled as error:
                return error
        raise AssertionError

    async def keep() -> None:
        found.append(await caught())

    found: list[BaseException] = []
    trio.run(keep)
    return found[0]


ERRORS: list[tuple[BaseException, str]] = [
    (asyncio.CancelledError(), "cancelled"),
    (concurrent.futures.CancelledError(), "cancelled"),
    (cancelled(), "cancelled"),
    (made("curio.errors", "CancelledError"), "cancelled"),
    (type("TaskCancelled", (type(made("curio.errors", "CancelledError")),), {"__module__": "curio.errors"})(), "cancelled"),
    (made("greenlet", "GreenletExit"), "cancelled"),
    (made("twisted.internet.defer", "CancelledError", Exception), "cancelled"),
    (trio.TooSlowError(), "timed_out"),
    (TimeoutError(), "timed_out"),
    (asyncio.TimeoutError(), "timed_out"),
    (concurrent.futures.TimeoutError(), "timed_out"),
    (made("curio.errors", "TaskTimeout", type(made("curio.errors", "CancelledError"))), "timed_out"),
    (made("gevent.timeout", "Timeout"), "timed_out"),
    (made("billiard.exceptions", "SoftTimeLimitExceeded", Exception), "timed_out"),
    (made("mine", "Cancelled", Exception), "failed"),
    (ValueError(), "failed"),
]


@pytest.mark.parametrize(
    ("error", "outcome"), ERRORS, ids=lambda each: type(each).__name__ if not isinstance(each, str) else each
)
def test_what_an_exception_means(error: BaseException, outcome: str) -> None:
    """By its class, whatever package that is of."""
    assert judge(error)[0].value == outcome


@pytest.mark.skipif(not hasattr(builtins, "BaseExceptionGroup"), reason="Python 3.10 has no groups")
@pytest.mark.parametrize(
    ("errors", "outcome"),
    [
        ([asyncio.CancelledError(), cancelled()], "cancelled"),
        ([TaskCancelled("stop"), asyncio.CancelledError()], "cancelled"),
        ([asyncio.CancelledError(), ValueError()], "failed"),
        ([asyncio.CancelledError(), trio.TooSlowError()], "timed_out"),
        ([TimeoutError(), ValueError()], "failed"),
        ([KeyboardInterrupt(), asyncio.CancelledError()], "interrupted"),
        ([TimeoutError(), TimeoutError()], "timed_out"),
    ],
)
def test_what_a_group_means(errors: list[BaseException], outcome: str) -> None:
    """What its exceptions agree in, however nested; cancellations beside an error are what the error led to."""
    group: Any = builtins.BaseExceptionGroup  # type: ignore[attr-defined]  # 3.11
    assert judge(group("x", errors))[0].value == outcome
    assert judge(group("x", [group("y", errors[:1]), *errors[1:]]))[0].value == outcome


def test_a_group_whose_attribute_raises() -> None:
    """Its own exceptions are asked, not what its class has put in their place."""
    if not hasattr(builtins, "BaseExceptionGroup"):
        pytest.skip("Python 3.10 has no groups")

    class Hostile(builtins.BaseExceptionGroup):  # type: ignore[misc, name-defined]  # 3.11
        @property
        def exceptions(self) -> Any:
            raise RuntimeError("not for you")

    assert judge(Hostile("x", [asyncio.CancelledError()]))[0].value == "cancelled"


def outcomes(root: Path) -> dict[str, str]:
    """Of everything that ended in the task."""
    return {line["message"]: line["outcome"] for line in find_task(root, "t").events() if line.get("phase") == "end"}


async def trio_move_on() -> None:
    with trio.move_on_after(0.01):
        async with agentlog.task("t", task_id="t"), agentlog.step("s"):
            await trio.sleep(60)


async def trio_nursery() -> None:
    async def child() -> None:
        async with agentlog.step("s"):
            await trio.sleep(60)

    with trio.move_on_after(0.01):
        async with agentlog.task("t", task_id="t"), trio.open_nursery() as nursery:
            nursery.start_soon(child)
            nursery.start_soon(child)


async def anyio_move_on() -> None:
    with anyio.move_on_after(0.01):
        async with agentlog.task("t", task_id="t"), agentlog.step("s"), anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 60)


@pytest.mark.parametrize(
    ("run", "body"),
    [
        (trio.run, trio_move_on),
        (trio.run, trio_nursery),
        (lambda body: anyio.run(body, backend="trio"), anyio_move_on),
        (lambda body: anyio.run(body, backend="asyncio"), anyio_move_on),
    ],
    ids=["trio", "trio nursery", "anyio on trio", "anyio on asyncio"],
)
def test_cancellation_is_cancelled(
    run: Callable[[Callable[[], Awaitable[None]]], Any], body: Callable[[], Awaitable[None]], tasks_root: Path
) -> None:
    """Everything that a cancel scope ends, in nurseries and task groups too."""
    run(body)

    assert set(outcomes(tasks_root).values()) == {"cancelled"}


def test_too_slow_is_timed_out(tasks_root: Path) -> None:
    """``trio.fail_after`` around a step inside a task: the step is cancelled, the task timed out."""

    async def body() -> None:
        async with agentlog.task("t", task_id="t"):
            with trio.fail_after(0.01):
                async with agentlog.step("s"):
                    await trio.sleep(60)

    with pytest.raises(trio.TooSlowError):
        trio.run(body)
    assert outcomes(tasks_root) == {"s": "cancelled", "t": "timed_out"}


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_what_is_current_follows_the_tasks(backend: str, tasks_root: Path) -> None:
    """Children that take turns are each in their own step, decorated functions and lambdas too."""
    seen: set[tuple[str, str]] = set()

    @agentlog.step("inner")
    async def inner(name: str) -> None:
        await anyio.sleep(0.001)
        seen.add((name, agentlog.current_operation().name))  # type: ignore[union-attr]  # there is one

    async def child(name: str) -> None:
        async with agentlog.step(name):
            await agentlog.step("around")(lambda: inner(name))()
            await anyio.sleep(0)
            seen.add((name, agentlog.current_operation().name))  # type: ignore[union-attr]

    async def body() -> None:
        async with agentlog.task("t", task_id="t"), anyio.create_task_group() as group:
            for name in "abc":
                group.start_soon(child, name)

    anyio.run(body, backend=backend)
    assert seen == {(name, where) for name in "abc" for where in (name, "inner")}
    starts = [line for line in find_task(tasks_root, "t").events() if line["type"] == "step" and line["phase"] == "start"]
    steps = {line["span_id"]: line for line in starts}
    above = [steps[line["parent_span_id"]]["message"] for line in starts if line["message"] == "inner"]
    assert above == ["around"] * 3


def test_no_event_loop_is_imported(tmp_path: Path) -> None:
    """Telling cancellations apart needs none of the packages they are of."""
    code = (
        "import sys, otel_agentlog as a\n"
        f"a.configure(directory={str(tmp_path)!r}, console='off')\n"
        "try:\n with a.task('t'): raise ValueError\nexcept ValueError: pass\n"
        "print(sorted({'trio', 'anyio', 'curio', 'gevent', 'greenlet', 'twisted'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "[]"
