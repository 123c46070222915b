"""Errors are recovered, replaced by a fallback or let through, in every kind of code; each move is recorded."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.errors import AgentlogError, ConfigurationError
from otel_agentlog.testing import MemorySink, recording
from otel_agentlog.vocabulary.states import Outcome

TRAIL = {"error_caught", "recovery_attempted", "recovery_succeeded", "recovery_failed", "fallback_used", "error_reraised"}


def trail(recorded: MemorySink) -> list[tuple[str, str]]:
    return [(line["level"], line["action"]) for line in recorded.lines if line.get("action") in TRAIL]


def fail(*args: Any, **kwargs: Any) -> Any:
    raise ValueError("boom")


def test_a_recovery_gives_the_result(recorded: MemorySink) -> None:
    """It gets the error and the call's arguments; its trail has one id, and the traceback is recorded."""
    seen: list[Any] = []

    def recover(error: BaseException, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        seen.append((type(error), args, kwargs))
        return "recovered"

    @agentlog.handle_errors(recovery_strategy=recover, component="web")
    def work(number: int, *, name: str) -> str:
        raise ValueError("boom")

    with agentlog.task("t"):
        assert work(1, name="a") == "recovered"

    assert seen == [(ValueError, (1,), {"name": "a"})]
    assert trail(recorded) == [("WARNING", "error_caught"), ("INFO", "recovery_attempted"), ("INFO", "recovery_succeeded")]
    caught, *others = (line for line in recorded.lines if line.get("action") in TRAIL)
    assert caught["exception"]["traceback"][-1] == "ValueError: boom"
    assert {line["details"]["error_id"] for line in (caught, *others)} == {caught["exception"]["error_id"]}
    assert caught["details"]["category"] == "VALIDATION"
    assert {line["component"] for line in (caught, *others)} == {"web"}
    assert {line["task_id"] for line in (caught, *others)} == {recorded.lines[0]["task_id"]}


@pytest.mark.parametrize(
    "recover",
    [
        lambda error: (type(error),),
        lambda error, *args, **kwargs: (type(error), *args, *kwargs.values()),
        lambda error, args, kwargs: (type(error), *args, *kwargs.values()),
        lambda: (),
    ],
)
def test_a_recovery_is_called_as_its_parameters_ask(recover: Any) -> None:
    """With the error alone, with the arguments spread out, with both as they are, with nothing."""
    got = agentlog.handle_errors(recovery_strategy=recover)(fail)(1, a=2)

    assert got in [(), (ValueError,), (ValueError, 1, 2)]


def test_without_a_fallback_the_error_goes_on(recorded: MemorySink) -> None:
    """Also after a recovery that failed, whose own error is recorded under an id of its own."""
    with pytest.raises(ValueError, match="boom"):
        agentlog.handle_errors(recovery_strategy=lambda error: 1 // 0)(fail)()

    assert [action for _, action in trail(recorded)] == [
        "error_caught",
        "recovery_attempted",
        "recovery_failed",
        "error_reraised",
    ]
    caught, failed = recorded.of(action="error_caught")[0], recorded.of(action="recovery_failed")[0]
    assert failed["exception"]["type"] == "ZeroDivisionError"
    assert failed["exception"]["error_id"] != caught["exception"]["error_id"] == failed["details"]["error_id"]


@pytest.mark.parametrize(("fallback", "expected"), [([], []), (None, None), (lambda *args: args, (1, 2)), (list, None)])
def test_a_fallback_is_said_aloud(recorded: MemorySink, fallback: Any, expected: Any) -> None:
    """A value, or a function of the call's arguments; a WARNING either way. One that fails lets the error go on."""
    work = agentlog.handle_errors(fallback=fallback)(fail)
    if fallback is list:
        with pytest.raises(ValueError):
            work(1, 2)
        assert [action for _, action in trail(recorded)][-2:] == ["recovery_failed", "error_reraised"]
    else:
        assert work(1, 2) == expected
        assert trail(recorded) == [("WARNING", "error_caught"), ("WARNING", "fallback_used")]


def test_reraise_false_without_fallback_gives_none_and_says_so(recorded: MemorySink) -> None:
    """Nothing is swallowed in silence."""
    assert agentlog.handle_errors(reraise=False)(fail)() is None
    assert trail(recorded)[-1] == ("WARNING", "fallback_used")


def test_bare_it_records_and_lets_go_on(recorded: MemorySink) -> None:
    """``@handle_errors`` without parentheses."""
    with pytest.raises(ValueError):
        agentlog.handle_errors(fail)()

    assert trail(recorded) == [("WARNING", "error_caught"), ("ERROR", "error_reraised")]


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        SystemExit(1),
        GeneratorExit(),
        asyncio.CancelledError(),
        concurrent.futures.CancelledError(),
        StopIteration(),
        type("Stopped", (Exception,), {"agentlog_outcome": Outcome.CANCELLED})(),
    ],
)
def test_interruptions_and_cancellations_are_never_swallowed(recorded: MemorySink, error: BaseException) -> None:
    """Not even where every `BaseException` was asked for."""

    @agentlog.handle_errors(fallback=0, errors=BaseException)
    def work() -> None:
        raise error

    with pytest.raises(type(error)):
        work()
    with pytest.raises(type(error)), agentlog.handle_errors(fallback=0, errors=BaseException):
        raise error
    assert trail(recorded) == []


def test_a_recovery_that_is_cancelled_does_not_fall_back(recorded: MemorySink) -> None:
    """What ends the recovery ends the work; nobody gets a fallback for it."""

    def recover(error: BaseException) -> None:
        raise concurrent.futures.CancelledError

    with pytest.raises(concurrent.futures.CancelledError):
        agentlog.handle_errors(recovery_strategy=recover, fallback=0)(fail)()

    assert [action for _, action in trail(recorded)] == ["error_caught", "recovery_attempted"]


def test_an_error_that_goes_on_counts_once(tasks_root: Path) -> None:
    """The trail, the step and the task tell of the same one."""
    with pytest.raises(ValueError, match="boom"), agentlog.task("t") as task, agentlog.step("s"):
        agentlog.handle_errors(fail)()

    assert task.folder is not None
    assert json.loads((task.folder / "04-final-result.json").read_text())["metrics"]["errors"] == 1


def test_other_errors_pass(recorded: MemorySink) -> None:
    """Only what is named by ``errors`` is handled."""
    with pytest.raises(ValueError):
        agentlog.handle_errors(fallback=0, errors=(KeyError, OSError))(fail)()

    assert trail(recorded) == []


async def test_coroutines_may_have_coroutines_to_recover(recorded: MemorySink) -> None:
    """Recovery and fallback are awaited."""

    async def recover(error: BaseException, *args: Any) -> Any:
        await asyncio.sleep(0)
        if args == (1,):
            return "recovered"
        raise OSError("no")

    async def fallback(number: int) -> str:
        return f"fallback {number}"

    @agentlog.handle_errors(recovery_strategy=recover, fallback=fallback)
    async def work(number: int) -> str:
        raise ValueError("boom")

    assert await work(1) == "recovered"
    assert await work(2) == "fallback 2"
    async with agentlog.handle_errors(recovery_strategy=recover, reraise=False) as handled:
        raise ValueError("boom")
    assert isinstance(handled.error, ValueError)


async def test_a_cancelled_coroutine_stays_cancelled(recorded: MemorySink) -> None:
    """Cancellation reaches the caller, also while the recovery runs."""
    began = asyncio.Event()

    async def recover(error: BaseException) -> None:
        began.set()
        await asyncio.sleep(3600)

    @agentlog.handle_errors(recovery_strategy=recover, fallback=0)
    async def work() -> None:
        raise ValueError("boom")

    running = asyncio.create_task(work())
    await began.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_a_block_tells_what_became_of_it(recorded: MemorySink) -> None:
    """``with handle_errors(…) as handled``: error, id and result."""
    with agentlog.handle_errors(fallback=[1]) as handled:
        raise ValueError("boom")

    assert isinstance(handled.error, ValueError)
    assert handled.result == [1]
    assert handled.error_id == recorded.of(action="error_caught")[0]["exception"]["error_id"]

    with agentlog.handle_errors(fallback=[1]) as fine:
        pass
    assert (fine.error, fine.result, fine.error_id) == (None, None, None)


def test_one_handler_serves_nested_blocks_and_threads() -> None:
    """Each block gets its own outcome."""
    handler = agentlog.handle_errors(fallback="f")
    wrong: list[Any] = []

    def many() -> None:
        for _ in range(50):
            with handler as outer:
                with handler as inner:
                    raise ValueError
                if inner.result != "f" or outer.error is not None:
                    wrong.append((inner, outer))

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert wrong == []


def test_a_generator_goes_on_with_what_the_fallback_gives(recorded: MemorySink) -> None:
    """Items that came before the error stay; sent values arrive; closing it early is no error."""

    @agentlog.handle_errors(fallback=["x", "y"])
    def work() -> Iterator[Any]:
        received = yield 1
        yield received
        raise ValueError("boom")

    running = work()
    assert [next(running), running.send("s"), *running] == [1, "s", "x", "y"]  # type: ignore[attr-defined]
    early = work()
    next(early)
    early.close()  # type: ignore[attr-defined]
    assert trail(recorded) == [("WARNING", "error_caught"), ("WARNING", "fallback_used")]


async def test_an_async_generator_goes_on_too(recorded: MemorySink) -> None:
    """With a list or another async generator; what the consumer throws in reaches the generator."""

    async def rest(*args: Any) -> AsyncIterator[Any]:
        yield "x"

    @agentlog.handle_errors(recovery_strategy=lambda error: rest())
    async def work() -> AsyncIterator[Any]:
        try:
            received = yield 1
        except KeyError:
            received = "thrown"
        yield received
        raise ValueError("boom")

    assert [item async for item in work()] == [1, None, "x"]
    running: Any = work()
    assert await running.__anext__() == 1
    assert await running.asend("s") == "s"
    await running.aclose()
    running = work()
    assert await running.__anext__() == 1
    assert await running.athrow(KeyError()) == "thrown"
    await running.aclose()


def test_methods_of_every_kind() -> None:
    """Also static and class methods, below or above their own decorator."""

    class Agent:
        @agentlog.handle_errors(recovery_strategy=lambda error, args, kwargs: type(args[0]).__name__)
        def one(self) -> str:
            return str(fail())

        @agentlog.handle_errors(fallback="two")
        @staticmethod
        def two() -> str:
            return str(fail())

        @classmethod
        @agentlog.handle_errors(fallback="three")
        def three(cls) -> str:
            return str(fail())

    assert (Agent().one(), Agent.two(), Agent.three()) == ("Agent", "two", "three")


async def _coroutine(*args: Any) -> None: ...


@pytest.mark.parametrize(
    "given",
    [
        {"reraise": True, "fallback": 1},
        {"recovery_strategy": 7},
        {"errors": ()},
        {"errors": "ValueError"},
        {"errors": (int,)},
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused_at_once(given: dict[str, Any]) -> None:
    """Where it is written, not when the first error comes."""
    with pytest.raises(ConfigurationError):
        agentlog.handle_errors(**given)


def test_a_coroutine_cannot_recover_a_function() -> None:
    """Nobody would await it."""
    with pytest.raises(ConfigurationError, match="no coroutine"):
        agentlog.handle_errors(recovery_strategy=_coroutine)(fail)
    with pytest.raises(ConfigurationError, match="async with"), agentlog.handle_errors(recovery_strategy=_coroutine):
        pass
    with pytest.raises(ValueError, match="boom"):
        agentlog.handle_errors(recovery_strategy=lambda error: _coroutine())(fail)()


def test_errors_of_errors_pass_through_the_folder(recorded: MemorySink) -> None:
    """An error that an inner step recorded keeps its id in the trail, without a second traceback."""

    @agentlog.handle_errors(fallback=None)
    def work() -> None:
        with agentlog.step("inner"):
            raise AgentlogError("no", context={"branch": "main"})

    with agentlog.task("t"):
        work()

    (inner,) = recorded.of(action="step_execution_failed")
    (caught,) = recorded.of(action="error_caught")
    assert caught["exception"]["error_id"] == inner["exception"]["error_id"]
    assert inner["exception"]["context"] == {"branch": "main"}
    assert "traceback" not in caught["exception"]
    assert recorded.of(action="task_completed")


@settings(deadline=None)
@given(st.booleans(), st.sampled_from(["none", "good", "bad"]), st.sampled_from(["none", "value", "good", "bad"]))
def test_the_trail_says_what_the_caller_gets(reraise: bool, recovery: str, fallback: str) -> None:
    """Whatever is combined: an error comes out iff the trail ends with ``error_reraised``, a fallback iff it is said."""
    given: dict[str, Any] = {}
    if recovery != "none":
        given["recovery_strategy"] = (lambda error: "recovered") if recovery == "good" else fail
    if fallback != "none":
        given["fallback"] = {"value": "fallback", "good": lambda: "fallback", "bad": fail}[fallback]
    elif reraise:
        given["reraise"] = True

    with recording() as recorded:
        try:
            got = agentlog.handle_errors(**given)(fail)()
        except ValueError:
            got = "error"

    last = trail(recorded)[-1][1]
    assert last == {"recovered": "recovery_succeeded", "fallback": "fallback_used", "error": "error_reraised"}[got]
    assert trail(recorded)[0][1] == "error_caught"
