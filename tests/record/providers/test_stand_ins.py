"""A stream's stand-in never offers less than the stream: same results, same errors, whatever is done with it."""

from __future__ import annotations

import asyncio
import collections.abc
import contextlib
import copy
import gc
import inspect
import re
import types
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest
import wrapt

from otel_agentlog._interrupts import end_abandoned
from otel_agentlog.record.providers.stream import wrap_stream
from tests.support.providers.server import ProviderServer

CHUNKS = [{"n": 1}, {"n": 2}, {"n": 3}]


class Both:
    """Sync and async at once, like litellm's CustomStreamWrapper and the proxies of instrumentations."""

    def __init__(self) -> None:
        self.left = iter(CHUNKS)
        self.response = "raw"

    def __iter__(self) -> Both:
        return self

    def __next__(self) -> Any:
        return next(self.left)

    def __aiter__(self) -> Both:
        return self

    async def __anext__(self) -> Any:
        try:
            return next(self.left)
        except StopIteration:
            raise StopAsyncIteration from None


class Stream(Both):
    """A client's stream: also a context manager of both kinds, with methods."""

    closed = 0

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *how: object) -> None:
        self.close()

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(self, *how: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed += 1


class AsyncOnly:
    """Iterates asynchronously by an async generator, as ``openai.AsyncStream`` does; closing is a coroutine."""

    async def __aiter__(self) -> AsyncIterator[Any]:
        for chunk in CHUNKS:
            yield chunk

    async def close(self) -> str:
        return "closed"


class EventStream:
    """Iterable only, and goes on where it was left, as botocore's."""

    def __init__(self) -> None:
        self._left = iter(CHUNKS)

    def __iter__(self) -> Iterator[Any]:
        yield from self._left


class Manager:
    """A context manager that returns another object."""

    def __enter__(self) -> Both:
        return Both()

    def __exit__(self, *how: object) -> None: ...

    async def __aenter__(self) -> Both:
        return Both()

    async def __aexit__(self, *how: object) -> None: ...


class Proxy(wrapt.ObjectProxy):  # type: ignore[misc]  # untyped
    """As instrumentations wrap streams: both protocols, whatever is inside has."""

    def __iter__(self) -> Iterator[Any]:
        yield from self.__wrapped__

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for chunk in self.__wrapped__:
            yield chunk


class Odd:
    """Length, truth, items, equality, calls, text and order of its own."""

    def __init__(self) -> None:
        self.value = 7

    def __len__(self) -> int:
        return 3

    def __bool__(self) -> bool:
        return False

    def __getitem__(self, index: int) -> Any:
        return CHUNKS[index]

    def __contains__(self, item: object) -> bool:
        return item == "x"

    def __eq__(self, other: object) -> bool:
        return other == "odd"

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, *args: Any) -> Any:
        return args

    def __str__(self) -> str:
        return "odd"

    def __format__(self, how: str) -> str:
        return f"odd {how}"

    def __lt__(self, other: object) -> bool:
        return True

    def __add__(self, other: Any) -> Any:
        return ("added", other)


def generator() -> Iterator[Any]:
    got = []
    for chunk in CHUNKS:
        try:
            got.append((yield chunk))
        except KeyError:
            yield "caught"
    return got


async def async_generator() -> AsyncIterator[Any]:
    for chunk in CHUNKS:
        with contextlib.suppress(KeyError):
            yield chunk


async def coroutine() -> Both:
    return Both()


STREAMS: dict[str, Callable[[], Any]] = {
    **{kind.__name__: kind for kind in (Both, Stream, AsyncOnly, EventStream, Manager, Odd)},
    **{function.__name__: function for function in (generator, async_generator, coroutine)},
    "proxy of both": lambda: Proxy(Both()),
    "proxy of sync": lambda: Proxy(generator()),
    "proxy of async": lambda: Proxy(async_generator()),
    "proxy of proxy": lambda: Proxy(Proxy(Stream())),
    "list": lambda: list(CHUNKS),
    "iterator": lambda: iter(CHUNKS),
    "text": lambda: "text",
}


async def _drain(stream: Any) -> list[Any]:
    return [chunk async for chunk in stream]


def _with(stream: Any) -> list[Any]:
    with stream as entered:
        return list(entered)


async def _async_with(stream: Any) -> list[Any]:
    async with stream as entered:
        return await _drain(entered)


def _yield_from(stream: Any) -> list[Any]:
    def outer() -> Iterator[Any]:
        yield from stream

    return list(outer())


def _sent(stream: Any) -> list[Any]:
    return [next(stream), stream.send("a"), stream.throw(KeyError()), stream.close()]


async def _asent(stream: Any) -> list[Any]:
    return [await anext(stream), await stream.asend(None), await stream.athrow(KeyError()), await stream.aclose()]


async def _closed(stream: Any) -> Any:
    return await stream.close()


async def _awaited(stream: Any) -> list[Any]:
    return list(await stream)


async def _as_task(stream: Any) -> list[Any]:
    return list(await asyncio.create_task(stream))


def _twice(stream: Any) -> list[Any]:
    return [list(stream), list(stream)]


def _in_two_parts(stream: Any) -> list[Any]:
    for chunk in stream:
        return [chunk, list(stream)]
    return []


def _kinds(stream: Any) -> list[bool]:
    abstract = [collections.abc.Iterator, collections.abc.AsyncIterator, collections.abc.Iterable, collections.abc.AsyncIterable]
    abstract += [collections.abc.Generator, collections.abc.Coroutine, collections.abc.Awaitable, collections.abc.Sized]
    return [isinstance(stream, kind) for kind in (*abstract, Both, list, types.GeneratorType, collections.abc.Callable)]


USES: dict[str, Callable[[Any], Any]] = {
    **{use.__name__: use for use in (list, next, iter, len, bool, str, hash, dir, repr, _drain, _with, _async_with)},
    **{use.__name__: use for use in (_yield_from, _sent, _asent, _closed, _awaited, _as_task, _twice, _in_two_parts, _kinds)},
    "attributes": lambda stream: (stream.response, stream.closed, stream.value),
    "missing attribute": lambda stream: stream.nothing,
    "item": lambda stream: stream[1],
    "contains": lambda stream: "x" in stream,
    "equal": lambda stream: (stream == "odd", stream == CHUNKS),
    "call": lambda stream: stream(1, 2),
    "format": lambda stream: f"{stream:>3}"[:8],
    "order": lambda stream: stream < 1,
    "sum": lambda stream: stream + 1,
    "aiter": lambda stream: type(aiter(stream)).__name__,
    "inspected": lambda stream: (inspect.isgenerator(stream), inspect.isasyncgen(stream), inspect.isawaitable(stream)),
    "closing": lambda stream: contextlib.closing(stream).__exit__(None, None, None),
}
_ADDRESSED = ("iter", "repr", "str", "hash", "format")


def outcome(use: Callable[[Any], Any], make: Callable[[], Any], stand_in: bool) -> Any:
    """What a use gives, or the type and text of its error."""
    stream = make()
    used = wrap_stream(stream, lambda chunk: None, lambda error: None) if stand_in else stream
    try:
        found = use(used)
        return asyncio.run(found) if use in (_drain, _async_with, _asent, _closed, _awaited, _as_task) else found
    except Exception as error:
        return type(error), re.sub("0x[0-9a-f]+", "0x", str(error))
    finally:
        if inspect.iscoroutine(stream):
            stream.close()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("use", USES)
def test_every_use_is_as_without_us(stream: str, use: str) -> None:
    """For each kind of stream and each thing one can do with it: the same result, or the same error."""
    plain, through = (outcome(USES[use], STREAMS[stream], stand_in) for stand_in in (False, True))

    if use in _ADDRESSED and not (isinstance(plain, tuple) and plain and isinstance(plain[0], type)):
        assert type(plain) is type(through) or use == "iter"
        return
    if (use, stream) == ("_yield_from", "coroutine"):
        assert through[0] is plain[0]  # Python has a text of its own for these
        return
    assert repr(through) == repr(plain) if use != "dir" else through == plain


@pytest.mark.parametrize("stream", sorted(set(STREAMS) - {"Odd", "text", "Manager", "coroutine"}))
@pytest.mark.parametrize("reads", [[list], [_in_two_parts], [_twice], [_drain]], ids=lambda reads: reads[0].__name__)
def test_what_is_read_is_seen_once(stream: str, reads: list[Callable[[Any], Any]]) -> None:
    """Each chunk is reported when it is read, also by the second of two iterators, and none twice."""
    seen: list[Any] = []
    ends: list[BaseException | None] = []
    used = wrap_stream(STREAMS[stream](), seen.append, ends.append)
    try:
        found = reads[0](used)
        _ = asyncio.run(found) if reads[0] is _drain else found
    except TypeError:
        assert seen == []
        return

    assert seen == CHUNKS
    assert ends == [None]


def test_no_stand_in_keeps_its_stream_or_its_type_alive() -> None:
    """A dropped stream ends with the next line that is recorded, and is gone then."""

    class OneOfMany(Both):
        pass

    ends: list[Any] = []
    stream = OneOfMany()
    kind, gone = weakref.ref(OneOfMany), weakref.ref(stream)
    used = wrap_stream(stream, lambda chunk: None, ends.append)
    next(used)
    del used, stream, OneOfMany
    gc.collect()
    end_abandoned()
    gc.collect()

    assert (gone(), kind()) == (None, None)
    assert [repr(end) for end in ends] == ["GeneratorExit('abandoned')"]


def test_a_copy_is_of_the_stream() -> None:
    """Copying gives what copying the stream gives."""
    assert type(copy.copy(wrap_stream(Stream(), print, print))) is Stream


@pytest.fixture
def instrumented() -> Iterator[ProviderServer]:
    """A provider, and the real clients instrumented by OpenInference, whose streams are proxies of both kinds."""
    pytest.importorskip("openinference.instrumentation.openai")
    from openinference.instrumentation.openai import OpenAIInstrumentor

    instrumentors: list[Any] = [OpenAIInstrumentor()]
    with contextlib.suppress(ImportError):
        from openinference.instrumentation.anthropic import AnthropicInstrumentor

        instrumentors.append(AnthropicInstrumentor())
    for each in instrumentors:
        each.instrument()
    with ProviderServer() as server:
        yield server
    for each in instrumentors:
        each.uninstrument()


CHAT: Any = {"model": "gpt-test", "messages": [{"role": "user", "content": "hi"}], "stream": True}
MESSAGE: Any = {"model": "claude-test", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "stream": True}


def _watched(stream: Any) -> tuple[Any, list[Any], list[Any]]:
    seen: list[Any] = []
    ends: list[Any] = []
    return wrap_stream(stream, seen.append, ends.append), seen, ends


async def test_instrumented_async_clients(instrumented: ProviderServer) -> None:
    """Chat, responses and messages, read with `async for`."""
    async with openai.AsyncOpenAI(base_url=instrumented.openai_url, api_key="test") as client:
        responses = {"model": "gpt-test", "input": "hi", "stream": True}
        for stream in (await client.chat.completions.create(**CHAT), await client.responses.create(**responses)):  # type: ignore[call-overload]
            used, seen, ends = _watched(stream)
            assert seen == [chunk async for chunk in used] != []
            assert ends == [None]
    async with anthropic.AsyncAnthropic(base_url=instrumented.anthropic_url, api_key="test") as claude:
        used, seen, ends = _watched(await claude.messages.create(**MESSAGE))
        assert seen == [chunk async for chunk in used] != []
        async with _watched(claude.messages.stream(**{key: MESSAGE[key] for key in MESSAGE if key != "stream"}))[0] as entered:
            assert await entered.get_final_text()


def test_instrumented_clients(instrumented: ProviderServer) -> None:
    """The same with `for`, with and without a block around."""
    with openai.OpenAI(base_url=instrumented.openai_url, api_key="test") as client:
        used, seen, ends = _watched(client.chat.completions.create(**CHAT))
        assert seen == list(used) != []
        assert ends == [None]
        with _watched(client.chat.completions.create(**CHAT))[0] as entered:
            assert list(entered)
    with anthropic.Anthropic(base_url=instrumented.anthropic_url, api_key="test") as claude:
        used, seen, ends = _watched(claude.messages.create(**MESSAGE))
        assert seen == list(used) != []
        assert ends == [None]
