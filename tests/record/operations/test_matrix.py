"""Every face of an operation, on every kind of callable, ended in every way."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace

import otel_agentlog as agentlog
from otel_agentlog.testing import MemorySink

FACES = ("with", "async with", "decorator")
CALLABLES = ("function", "coroutine", "generator", "async generator", "method")
ENDINGS = ("return", "raise", "break", "abandon", "cancel", "interrupt", "timeout")
KINDS: dict[str, Callable[[], Any]] = {
    "task": lambda: agentlog.task("op"),
    "step": lambda: agentlog.step("op"),
    "ai_call": lambda: agentlog.ai_call("op", provider="openai"),
    "tool": lambda: agentlog.tool("op"),
}

OUTCOMES = {
    "return": ("completed", None),
    "raise": ("failed", None),
    "break": ("cancelled", "abandoned"),
    "abandon": ("cancelled", "abandoned"),
    "cancel": ("cancelled", "CancelledError"),
    "interrupt": ("interrupted", "KeyboardInterrupt"),
    "timeout": ("timed_out", "TimeoutError"),
}
ERRORS: dict[str, BaseException] = {
    "raise": ValueError("boom"),
    "interrupt": KeyboardInterrupt(),
    "cancel": asyncio.CancelledError(),
    "timeout": TimeoutError("too slow"),
}


def _possible(face: str, callable_: str, ending: str) -> bool:
    generates = "generator" in callable_
    if face == "async with" and callable_ not in ("coroutine", "async generator"):
        return False
    if ending in ("break", "abandon"):
        return generates
    return True


CASES = [case for case in itertools.product(FACES, CALLABLES, ENDINGS) if _possible(*case)]


def _body(ending: str) -> str:
    if (error := ERRORS.get(ending)) is not None:
        raise error
    return "done"


def _generating(ending: str) -> Iterator[int]:
    with agentlog.step("inside"):
        pass
    yield 1
    with agentlog.step("inside again"):
        pass
    yield 2
    _body(ending)


async def _generating_async(ending: str) -> AsyncIterator[int]:
    with agentlog.step("inside"):
        await asyncio.sleep(0)
    yield 1
    with agentlog.step("inside again"):
        await asyncio.sleep(0)
    yield 2
    _body(ending)


def _make(face: str, callable_: str, ending: str, kind: Callable[[], Any]) -> Callable[[], Any]:
    """The callable under test, with the operation around its body."""
    if face == "decorator":
        return _decorated(callable_, ending, kind)
    if callable_ in ("function", "method"):

        def function() -> str:
            with kind(), agentlog.step("inside"):
                return _body(ending)

        return function
    if callable_ == "generator":

        def generator() -> Iterator[int]:
            with kind():
                yield from _generating(ending)

        return generator
    if callable_ == "coroutine":

        async def coroutine() -> str:
            if face == "with":
                with kind(), agentlog.step("inside"):
                    await asyncio.sleep(0)
                    return _body(ending)
            async with kind():
                async with agentlog.step("inside"):
                    await asyncio.sleep(0)
                    return _body(ending)

        return coroutine

    async def async_generator() -> AsyncIterator[int]:
        if face == "with":
            with kind():
                async for item in _generating_async(ending):
                    yield item
        else:
            async with kind():
                async for item in _generating_async(ending):
                    yield item

    return async_generator


def _decorated(callable_: str, ending: str, kind: Callable[[], Any]) -> Callable[[], Any]:
    if callable_ == "function":

        @kind()
        def function() -> str:
            with agentlog.step("inside"):
                return _body(ending)

        return function
    if callable_ == "method":

        class Agent:
            @kind()
            def method(self) -> str:
                with agentlog.step("inside"):
                    return _body(ending)

        return Agent().method
    if callable_ == "coroutine":

        @kind()
        async def coroutine() -> str:
            with agentlog.step("inside"):
                await asyncio.sleep(0)
                return _body(ending)

        return coroutine
    if callable_ == "generator":

        @kind()
        def generator() -> Iterator[int]:
            yield from _generating(ending)

        return generator

    @kind()
    async def async_generator() -> AsyncIterator[int]:
        async for item in _generating_async(ending):
            yield item

    return async_generator


def _consume(iterator: Iterator[int], ending: str) -> None:
    for item in iterator:
        with agentlog.step(f"consumer {item}"):
            pass
        if ending == "break":
            break
    if ending == "abandon":
        iterator = iter(iterator)


async def _consume_async(iterator: AsyncIterator[int], ending: str) -> None:
    async for item in iterator:
        with agentlog.step(f"consumer {item}"):
            await asyncio.sleep(0)
        if ending == "break":
            break


async def _abandon_async(make: Callable[[], Any]) -> None:
    iterator = make()
    await iterator.__anext__()
    with agentlog.step("consumer 1"):
        pass
    del iterator
    gc.collect()
    for _ in range(20):
        await asyncio.sleep(0)


def _run(callable_: str, make: Callable[[], Any], ending: str) -> None:
    if callable_ in ("function", "method"):
        make()
    elif callable_ == "generator":
        if ending == "abandon":
            iterator = make()
            next(iterator)
            with agentlog.step("consumer 1"):
                pass
            del iterator
            gc.collect()
        else:
            _consume(make(), ending)
    elif callable_ == "coroutine":
        _drive(make())
    elif ending == "abandon":
        _drive(_abandon_async(make))
    else:
        _drive(_settled(_consume_async(make(), ending)))


async def _settled(coroutine: Any) -> None:
    await coroutine
    gc.collect()
    for _ in range(20):
        await asyncio.sleep(0)


def _drive(coroutine: Any) -> None:
    """Run a coroutine on a loop of its own; `asyncio.run` would turn KeyboardInterrupt into a cancellation first."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(coroutine)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("face", "callable_", "ending"), CASES)
def test_it_ends_once_in_the_right_way(
    face: str, callable_: str, ending: str, kind: str, recorded: MemorySink, caplog: pytest.LogCaptureFixture
) -> None:
    """One end with the right outcome, the error re-raised, nothing left current, consumers are nobody's children."""
    make = _make(face, callable_, ending, KINDS[kind])
    caplog.set_level(logging.DEBUG)
    before = otel_context.get_current()
    error = ERRORS.get(ending)

    raised: BaseException | None = None
    try:
        _run(callable_, make, ending)
    except BaseException as caught:
        raised = caught
    gc.collect()

    # asyncio of Python 3.10 raises a new CancelledError out of run_until_complete.
    assert raised is error or (ending == "cancel" and type(raised) is type(error))
    outcome, reason = OUTCOMES[ending]
    (end,) = [line for line in recorded.ends() if line["message"] == "op"]
    assert (outcome, reason) == (end["outcome"], end.get("reason"))
    assert ("exception" in end) == (outcome in ("failed", "timed_out"))
    assert len(recorded.of(phase="start")) == len(recorded.ends())
    assert not trace.get_current_span().get_span_context().is_valid
    assert otel_context.get_current() is before or agentlog.current_operation() is None
    parents = recorded.parents()
    assert parents["inside"] == "op"
    assert all(parent is None for name, parent in parents.items() if name.startswith("consumer"))
    assert [record.getMessage() for record in caplog.records if record.name != "asyncio"] == []
