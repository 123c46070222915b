"""Calls whose function returns what its work is still to be done in, and streams that are read after their block."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import gc
import types
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import otel_agentlog as agentlog
from otel_agentlog.store.folder.reader import find_task
from otel_agentlog.store.spans.tree import tree
from otel_agentlog.store.validation.validate import validate

Line = dict[str, Any]

CHUNKS: list[Any] = [
    {"choices": [{"index": 0, "delta": {"content": "a"}}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}},
]


def lines_of(root: Path) -> list[Line]:
    """All lines of the one task, whose folder is right and whose counters agree."""
    task = find_task(root, "t")
    assert [str(problem) for problem in validate(task.folder).problems] == []
    metrics, total = (task.final_result() or {})["metrics"], tree(task).roots[0].total
    assert (metrics["ai_calls"], metrics["input_tokens"]) == (total.ai_calls, total.tokens["input_tokens"])
    return list(task.events())


def end_of(root: Path, kind: str) -> Line:
    (end,) = [line for line in lines_of(root) if line["type"] == kind and line.get("phase") == "end"]
    return end


async def work(fails: bool = False) -> str:
    await asyncio.sleep(0.01)
    with agentlog.tool("inside"):
        pass
    if fails:
        raise ValueError("no")
    return "done"


class Callable_:
    async def __call__(self, fails: bool) -> str:
        return await work(fails)

    def method(self, fails: bool) -> Any:
        return work(fails)


class Awaitable_:
    def __init__(self, fails: bool) -> None:
        self.fails = fails

    def __await__(self) -> Any:
        return work(self.fails).__await__()


@types.coroutine
def old_coroutine(fails: bool) -> Any:
    return (yield from work(fails).__await__())


@functools.wraps(work)
def wrapper(*args: Any) -> Any:
    return work(*args)


def in_a_future(fails: bool) -> Any:
    return asyncio.ensure_future(work(fails))


FUNCTIONS: dict[str, Callable[[bool], Any]] = {
    "coroutine function": work,
    "lambda": lambda fails: work(fails),
    "partial": functools.partial(work),
    "partial of a lambda": functools.partial(lambda fails: work(fails)),
    "wrapper": wrapper,
    "object": Callable_(),
    "method": Callable_().method,
    "future": in_a_future,
    "gathered": lambda fails: asyncio.gather(work(fails)),
    "shielded": lambda fails: asyncio.shield(work(fails)),
    "awaitable": Awaitable_,
    "old coroutine": lambda fails: old_coroutine(fails),
    "old coroutine itself": old_coroutine,
}


@pytest.mark.parametrize("operation", ["step", "tool", "ai_call"])
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("function", FUNCTIONS)
async def test_the_operation_ends_when_the_awaitable_does(function: str, fails: bool, operation: str, tasks_root: Path) -> None:
    """With its outcome, its time, and what was recorded meanwhile inside; the caller gets what it would without us."""
    decorated = getattr(agentlog, operation)("op")(FUNCTIONS[function])
    with agentlog.task("t", task_id="t"):
        awaitable = decorated(fails)
        assert agentlog.current_operation().name == "t"  # type: ignore[union-attr]  # there is one
        try:
            found = await awaitable
        except ValueError:
            found = "failed"
        await asyncio.sleep(0)  # a future tells when the loop comes round

    assert found in (["failed"] if fails else ["done", ["done"]])
    lines = lines_of(tasks_root)
    end = next(line for line in lines if line.get("phase") == "end" and line["message"] == "op")
    start = next(line for line in lines if line.get("phase") == "start" and line["message"] == "op")
    inside = next(line for line in lines if line["type"] == "tool_call" and line["message"] == "inside")
    assert end["outcome"] == ("failed" if fails else "completed")
    assert end["duration_ms"] >= 9
    assert inside["parent_span_id"] == start["span_id"]


def test_a_thread_pool_s_future(tasks_root: Path) -> None:
    """It stays the future it is, and the step ends with it."""
    with agentlog.task("t", task_id="t"), concurrent.futures.ThreadPoolExecutor() as pool:
        future = agentlog.step("s")(lambda: pool.submit(int, "x"))()
        assert type(future) is concurrent.futures.Future
        assert isinstance(future.exception(), ValueError)

    assert end_of(tasks_root, "step")["outcome"] == "failed"


async def test_a_cancelled_task_is_cancelled(tasks_root: Path) -> None:
    """Whoever holds the future cancels it."""
    with agentlog.task("t", task_id="t"):
        future = agentlog.step("s")(lambda: asyncio.ensure_future(asyncio.sleep(30)))()
        await asyncio.sleep(0)
        future.cancel()
        await asyncio.gather(future, return_exceptions=True)

    assert end_of(tasks_root, "step")["outcome"] == "cancelled"


async def test_generators_take_turns_with_their_consumers(tasks_root: Path) -> None:
    """Made by a lambda or a partial, of both kinds: inside the step while their code runs, outside while the consumer's does."""
    here: list[str] = []

    def numbers() -> Iterator[int]:
        here.append(agentlog.current_operation().name)  # type: ignore[union-attr]
        yield 1

    async def async_numbers() -> AsyncIterator[int]:
        here.append(agentlog.current_operation().name)  # type: ignore[union-attr]
        yield 1

    with agentlog.task("t", task_id="t"):
        for _ in agentlog.step("sync")(lambda: numbers())():
            here.append(agentlog.current_operation().name)  # type: ignore[union-attr]
        async for _ in agentlog.step("async")(functools.partial(lambda: async_numbers()))():
            here.append(agentlog.current_operation().name)  # type: ignore[union-attr]

    assert here == ["sync", "t", "async", "t"]
    assert {line["outcome"] for line in lines_of(tasks_root) if line["type"] == "step" and line["phase"] == "end"} == {
        "completed"
    }


async def test_context_managers(tasks_root: Path) -> None:
    """A step around a context manager's function lasts as long as its block, and fails with it."""

    @agentlog.step
    @contextlib.contextmanager
    def block() -> Iterator[str]:
        yield agentlog.current_operation().name  # type: ignore[union-attr]

    @agentlog.step
    @contextlib.asynccontextmanager
    async def async_block() -> AsyncIterator[str]:
        yield agentlog.current_operation().name  # type: ignore[union-attr]

    with agentlog.task("t", task_id="t"):
        with block() as inner:
            assert "block" in inner
        with pytest.raises(ValueError, match="no"), block():
            raise ValueError("no")
        async with async_block() as inner:
            assert "block" in inner

    ends = [line["outcome"] for line in lines_of(tasks_root) if line["type"] == "step" and line["phase"] == "end"]
    assert ends == ["completed", "failed", "completed"]


async def test_methods_of_classes(tasks_root: Path) -> None:
    """The bare decorator above ``@classmethod`` and ``@staticmethod`` whose functions return coroutines."""

    class Agent:
        @agentlog.step
        @classmethod
        def of_class(cls) -> Any:
            return work()

        @agentlog.step
        @staticmethod
        def static() -> Any:
            return work()

    with agentlog.task("t", task_id="t"):
        assert [await Agent.of_class(), await Agent().static()] == ["done", "done"]

    steps = [line for line in lines_of(tasks_root) if line["type"] == "step" and line["phase"] == "end"]
    assert [line["message"].rpartition(".")[2] for line in steps] == ["of_class", "static"]
    assert all(line["duration_ms"] >= 9 for line in steps)


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_nobody_awaits_is_abandoned(tasks_root: Path) -> None:
    """A coroutine that is dropped; an awaitable object that is used otherwise is what the function was for."""
    with agentlog.task("t", task_id="t"):
        agentlog.step("dropped")(lambda: work())()
        agentlog.step("object")(lambda: Awaitable_(False))()
        gc.collect()

    ends = {
        line["message"]: line["outcome"] for line in lines_of(tasks_root) if line["type"] == "step" and line["phase"] == "end"
    }
    assert ends == {"dropped": "cancelled", "object": "completed"}


async def test_handlers_and_retries_see_what_is_awaited() -> None:
    """The other decorators, too, act on the error of the coroutine that a function returned."""
    left = [ConnectionError("first")]

    async def fails_once() -> str:
        if left:
            raise left.pop()
        return "done"

    async def fails() -> str:
        raise KeyError("x")

    assert await agentlog.retrying(attempts=2, first_wait_s=0.001)(lambda: fails_once())() == "done"
    assert await agentlog.handle_errors(fallback=lambda *_: "instead", reraise=False)(lambda: fails())() == "instead"


# -- streams that are read after their block ------------------------------------------------------------------------------------


class Client:
    """A stream as clients have them, sync and async."""

    def __init__(self) -> None:
        self._left = iter(CHUNKS)

    def __iter__(self) -> Client:
        return self

    def __next__(self) -> Any:
        return next(self._left)

    def __aiter__(self) -> Client:
        return self

    async def __anext__(self) -> Any:
        try:
            return next(self._left)
        except StopIteration:
            raise StopAsyncIteration from None


def from_a_block() -> Any:
    with agentlog.ai_call("gpt-4o", provider="openai") as call:
        return call.stream(Client())


def from_a_generator_in_a_block() -> Any:
    with agentlog.ai_call("gpt-4o", provider="openai") as call:
        return call.stream(iter(CHUNKS))


def after_the_block() -> Any:
    with agentlog.ai_call("gpt-4o", provider="openai") as call:
        stream = Client()
    return call.stream(stream)


def begun_in_the_block() -> Any:
    with agentlog.ai_call("gpt-4o", provider="openai") as call:
        stream = call.stream(Client())
        next(stream)
    return stream


@agentlog.ai_call("gpt-4o", provider="openai")
def decorated() -> Any:
    return Client()


@agentlog.ai_call("gpt-4o", provider="openai")
def decorated_generator() -> Any:
    return (chunk for chunk in CHUNKS)


def from_a_coroutine() -> Any:
    @agentlog.ai_call("gpt-4o", provider="openai")
    async def ask() -> Any:
        return Client()

    return asyncio.run(ask())


SOURCES = (
    from_a_block,
    from_a_generator_in_a_block,
    after_the_block,
    begun_in_the_block,
    decorated,
    decorated_generator,
    from_a_coroutine,
)


@pytest.mark.parametrize("when", ["within the task", "after the task"])
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
def test_a_stream_read_later_is_recorded_when_it_is_read(source: Callable[[], Any], when: str, tasks_root: Path) -> None:
    """One call with its tokens, also where the task has ended; nothing waits for it."""
    with agentlog.task("t", task_id="t"):
        stream = source()
        if when == "within the task":
            list(stream)
    list(stream)

    metrics = (find_task(tasks_root, "t").final_result() or {})["metrics"]
    assert (metrics["ai_calls"], metrics["input_tokens"], metrics["output_tokens"]) == (1, 9, 2)
    last = [line for line in lines_of(tasks_root) if line["type"] == "ai_response"][-1]
    assert last["outcome"] == "completed"
    if source is not decorated_generator:
        assert last["reason"] == "stream read after the block"


@pytest.mark.parametrize("source", [from_a_block, decorated, from_a_coroutine], ids=lambda source: source.__name__)
def test_a_stream_that_nobody_reads_ends_when_it_is_dropped(source: Callable[[], Any], tasks_root: Path) -> None:
    """It is said, and nothing is left open."""
    with agentlog.task("t", task_id="t"):
        source()
        gc.collect()

    end = end_of(tasks_root, "ai_response")
    assert (end["outcome"], end["reason"]) == ("completed", "stream abandoned")


def test_an_error_of_a_stream_read_later_is_the_call_s(tasks_root: Path) -> None:
    """It passes to who reads, and the call has failed."""

    def cut() -> Iterator[Any]:
        yield CHUNKS[0]
        raise ConnectionError("cut")

    def ask() -> Any:
        with agentlog.ai_call("gpt-4o") as call:
            return call.stream(cut())

    with agentlog.task("t", task_id="t"):
        stream = ask()
        with pytest.raises(ConnectionError):
            list(stream)

    assert end_of(tasks_root, "ai_response")["outcome"] == "failed"


def test_a_streaming_response(tasks_root: Path) -> None:
    """The shape of FastAPI: the route has returned, and its task ended, when the stream is read."""

    async def route(request: object) -> StreamingResponse:
        async with agentlog.task("t", task_id="t"), agentlog.ai_call("gpt-4o", provider="openai") as call:
            stream = call.stream(Client())
            return StreamingResponse(str(chunk) async for chunk in stream)

    with TestClient(Starlette(routes=[Route("/", route)])) as client:
        assert "prompt_tokens" in client.get("/").text

    assert end_of(tasks_root, "ai_response")["details"]["input_tokens"] == 9
    assert (find_task(tasks_root, "t").final_result() or {})["metrics"]["input_tokens"] == 9


def test_chunks_are_taken_once(tasks_root: Path) -> None:
    """A stream that is wrapped twice, or yielded on by a decorated generator, is read once."""

    @agentlog.ai_call("gpt-4o", provider="openai")
    def ask() -> Iterator[Any]:
        call: Any = agentlog.current_operation()
        yield from call.stream(call.stream(Client()))

    with agentlog.task("t", task_id="t"):
        list(ask())

    details = end_of(tasks_root, "ai_response")["details"]
    assert (details["input_tokens"], details["chunks"]) == (9, 3)
    assert details["output"] == [{"type": "text", "content": "a"}]
