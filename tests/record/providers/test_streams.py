"""Streams: joined to what the whole answer says, and watched without the user's code noticing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import anthropic
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog._interrupts import end_abandoned
from otel_agentlog.record.providers.pricing import Billing
from otel_agentlog.record.providers.read import read_response
from otel_agentlog.record.providers.stream import StreamReader, is_stream, wrap_stream
from otel_agentlog.vocabulary.usage import Failure, Response, Usage
from tests.support.providers import readings as read
from tests.support.providers.replies import (
    ANTHROPIC_MESSAGE,
    API_RESPONSE,
    CHAT_COMPLETION,
    Event,
    Json,
    anthropic_events,
    chat_events,
    response_events,
)
from tests.support.providers.server import Break, Cut, Hang, ProviderServer, Reply

ASK: Any = [{"role": "user", "content": "Read a.py"}]
# A model that no client can call deprecated.
MESSAGE: Any = {"model": "claude-test", "max_tokens": 99, "messages": ASK}
CHAT: Any = {"model": "gpt-5", "messages": ASK, "stream_options": {"include_usage": True}}
INPUT: Any = {"model": "gpt-5", "input": "Read a.py"}


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def claude(server: ProviderServer) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.anthropic_url, api_key="test", max_retries=0) as client:
        yield client


@pytest.fixture
def gpt(server: ProviderServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.openai_url, api_key="test", max_retries=0) as client:
        yield client


class Watched:
    """A stream wrapped with a reader; ``ends`` are the calls of ``on_end``."""

    def __init__(self, stream: Any) -> None:
        self.reader = StreamReader()
        self.ends: list[BaseException | None] = []
        self.stream = wrap_stream(stream, self.reader.add, self.ends.append)

    @property
    def how(self) -> list[str]:
        return [f"{type(end).__name__}: {end}" if isinstance(end, GeneratorExit) else type(end).__name__ for end in self.ends]


def joined(chunks: list[Any]) -> Response:
    reader = StreamReader()
    for chunk in chunks:
        reader.add(chunk)
    return reader.response()


class TestRealClients:
    """What the clients' streams give, over HTTP, is joined to exactly what the whole answer says."""

    def test_joins_anthropic_events(self, claude: anthropic.Anthropic) -> None:
        """Raw events of ``messages.create(stream=True)``."""
        watched = Watched(claude.messages.create(**MESSAGE, stream=True))

        types = [event.type for event in watched.stream]

        assert watched.reader.response() == read.ANTHROPIC
        assert (watched.reader.chunks, watched.ends) == (len(types), [None])

    def test_joins_chat_chunks(self, gpt: openai.OpenAI) -> None:
        """Chunks of ``chat.completions.create(stream=True)`` with usage in the last one."""
        watched = Watched(gpt.chat.completions.create(**CHAT, stream=True))

        assert len(list(watched.stream)) == watched.reader.chunks
        assert (watched.reader.response(), watched.ends) == (read.CHAT, [None])

    def test_joins_responses_events(self, gpt: openai.OpenAI) -> None:
        """Events of ``responses.create(stream=True)``."""
        watched = Watched(gpt.responses.create(**INPUT, stream=True))

        assert len(list(watched.stream)) == watched.reader.chunks
        assert (watched.reader.response(), watched.ends) == (read.RESPONSES, [None])

    async def test_joins_async_streams(self, server: ProviderServer) -> None:
        """The same three with the async clients."""
        async with (
            anthropic.AsyncAnthropic(base_url=server.anthropic_url, api_key="test") as claude,
            openai.AsyncOpenAI(base_url=server.openai_url, api_key="test") as gpt,
        ):
            streams = [
                await claude.messages.create(**MESSAGE, stream=True),
                await gpt.chat.completions.create(**CHAT, stream=True),
                await gpt.responses.create(**INPUT, stream=True),
            ]
            watched = [Watched(stream) for stream in streams]
            for one in watched:
                async for _ in one.stream:
                    pass

        assert [one.reader.response() for one in watched] == [read.ANTHROPIC, read.CHAT, read.RESPONSES]
        assert [one.ends for one in watched] == [[None]] * 3

    def test_reads_events_without_stream_usage(self, gpt: openai.OpenAI) -> None:
        """A chat stream without ``include_usage`` has no token counts: unknown, not 0."""
        watched = Watched(gpt.chat.completions.create(**{**CHAT, "stream_options": openai.omit}, stream=True))
        list(watched.stream)

        assert watched.reader.response() == replace(read.CHAT, usage=Usage())

    def test_keeps_what_changes_the_price(self, claude: anthropic.Anthropic) -> None:
        """Service tier, cache lifetime and searches survive the joining."""
        watched = Watched(claude.messages.create(**MESSAGE, stream=True))
        list(watched.stream)

        assert watched.reader.billing() == Billing("standard", None, 100, 1)


class TestHelpers:
    """The clients' stream helpers: managers, ``text_stream``, ``get_final_message()`` and their like."""

    def test_message_stream_events(self, claude: anthropic.Anthropic) -> None:
        """Events that the helper derives are given to the user but neither counted nor joined twice."""
        watched = Watched(claude.messages.stream(**MESSAGE))
        with watched.stream as stream:
            events = [event.type for event in stream]
            final = stream.get_final_message()

        assert {"text", "thinking", "input_json", "signature"} <= set(events)
        assert watched.reader.chunks == len([e for e in events if e not in ("text", "thinking", "input_json", "signature")])
        assert (watched.reader.response(), read_response(final)) == (read.ANTHROPIC, read.ANTHROPIC)
        assert watched.ends == [None]

    def test_text_stream(self, claude: anthropic.Anthropic) -> None:
        """``text_stream`` gives the text as ever and the whole message is seen."""
        watched = Watched(claude.messages.stream(**MESSAGE))
        with watched.stream as stream:
            text = "".join(stream.text_stream)

        assert text == ANTHROPIC_MESSAGE["content"][1]["text"]
        assert (watched.reader.response(), watched.ends) == (read.ANTHROPIC, [None])

    @pytest.mark.parametrize("finish", ["get_final_message", "get_final_text", "until_done"])
    def test_final_message_alone(self, claude: anthropic.Anthropic, finish: str) -> None:
        """A stream read only through its final message is recorded as well."""
        watched = Watched(claude.messages.stream(**MESSAGE))
        with watched.stream as stream:
            getattr(stream, finish)()

        assert (watched.reader.response(), watched.ends) == (read.ANTHROPIC, [None])

    def test_openai_helpers(self, gpt: openai.OpenAI) -> None:
        """``chat.completions.stream()`` and ``responses.stream()``, read to the end by their own methods."""
        chat = Watched(gpt.chat.completions.stream(**CHAT))
        with chat.stream as stream:
            derived = {event.type for event in stream}
            completion = stream.get_final_completion()
        responses = Watched(gpt.responses.stream(**INPUT))
        with responses.stream as stream:
            assert stream.until_done() is stream
            response = stream.get_final_response()

        assert {"chunk", "content.delta", "content.done"} <= derived
        assert chat.reader.chunks == len(chat_events(CHAT_COMPLETION)) - 1
        assert [chat.reader.response(), read_response(completion), chat.ends] == [read.CHAT, read.CHAT, [None]]
        assert [responses.reader.response(), read_response(response), responses.ends] == [read.RESPONSES, read.RESPONSES, [None]]

    async def test_async_helpers(self, server: ProviderServer) -> None:
        """The async managers: ``text_stream``, final messages, both providers."""
        async with (
            anthropic.AsyncAnthropic(base_url=server.anthropic_url, api_key="test") as claude,
            openai.AsyncOpenAI(base_url=server.openai_url, api_key="test") as gpt,
        ):
            texts, final = Watched(claude.messages.stream(**MESSAGE)), Watched(gpt.responses.stream(**INPUT))
            async with texts.stream as stream:
                text = "".join([piece async for piece in stream.text_stream])
            async with final.stream as stream:
                response = await stream.get_final_response()

        assert text == ANTHROPIC_MESSAGE["content"][1]["text"]
        assert (texts.reader.response(), texts.ends) == (read.ANTHROPIC, [None])
        assert (final.reader.response(), final.ends) == (read.RESPONSES, [None])
        assert read_response(response) == read.RESPONSES


class TestCutStreams:
    """Streams that do not reach their end."""

    def test_cut_connection_of_anthropic(self, server: ProviderServer, claude: anthropic.Anthropic) -> None:
        """What arrived is kept, the output tokens are unknown, and the client's error reaches the user unchanged."""
        server.script(Cut(events=13))
        watched = Watched(claude.messages.create(**MESSAGE, stream=True))
        with pytest.raises(Exception, match="peer closed connection") as error:
            list(watched.stream)

        assert watched.ends == [error.value]
        assert watched.reader.response() == replace(
            read.ANTHROPIC,
            usage=Usage(2400, None, 2000, 300),
            finish_reasons=("error",),
            output=(read.ANTHROPIC.output[0], {"type": "text", "content": "I will "}),
        )

    @pytest.mark.parametrize(
        ("whole", "events"),
        [
            (read.ANTHROPIC, anthropic_events(ANTHROPIC_MESSAGE)[:-2]),
            (read.CHAT, chat_events(CHAT_COMPLETION)[:-3]),
            (read.RESPONSES, response_events(API_RESPONSE)[:-1]),
        ],
        ids=["anthropic", "chat", "responses"],
    )
    def test_cut_anywhere(self, whole: Response, events: list[Event]) -> None:
        """Cut after any event before its last, a stream has ``error`` as its reason and what arrived as its output."""
        for length in range(1, len(events) + 1):
            response = joined([data for _, data in events[:length]])

            assert (response.finish_reasons, response.model) == (("error",), whole.model)
            for part, full in zip(response.output, whole.output, strict=False):
                assert part["type"] == full["type"]
                assert str(full.get("content")).startswith(str(part.get("content")))
        assert response.output == whole.output

    def test_error_event_in_mid_stream(self, server: ProviderServer, claude: anthropic.Anthropic) -> None:
        """An ``error`` event raises the client's error, and the call ends with ``error``."""
        server.script(Break(events=5))
        watched = Watched(claude.messages.create(**MESSAGE, stream=True))
        with pytest.raises(anthropic.APIStatusError, match="overloaded in mid-stream") as error:
            list(watched.stream)

        assert watched.ends == [error.value]
        assert watched.reader.response().finish_reasons == ("error",)

    def test_cut_tool_call_keeps_what_was_written(self) -> None:
        """Half the arguments of a tool call are kept as the text they are."""
        response = joined([data for _, data in anthropic_events(ANTHROPIC_MESSAGE, 8)][:-4])

        assert response.output[-1] == {
            "type": "tool_call",
            "name": "Read",
            "id": "toolu_01",
            "arguments": '{"path": "a.py", "limit": null, "lines":',
        }

    def test_failed_and_incomplete_responses(self) -> None:
        """The Responses API tells in its last event that it failed or why it stopped."""
        for change, reasons, failure in (
            ({"status": "failed", "error": {"code": "server_error", "message": "x"}}, ("error",), Failure("server_error", "x")),
            ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, ("content_filter",), None),
        ):
            response = joined([data for _, data in response_events({**API_RESPONSE, **change})])

            assert response == replace(read.RESPONSES, finish_reasons=reasons, failure=failure)

    def test_last_event_without_output(self) -> None:
        """Where the last event has no output, the items that came before it count."""
        events = [data for _, data in response_events(API_RESPONSE)]
        events[-1] = {**events[-1], "response": {**API_RESPONSE, "output": []}}

        assert joined(events) == read.RESPONSES


class TestEnds:
    """``on_end`` is called once, whatever the user does."""

    def test_break_and_drop(self, claude: anthropic.Anthropic) -> None:
        """A stream that the user drops half-way was abandoned."""
        watched = Watched(claude.messages.create(**MESSAGE, stream=True))
        for _ in watched.stream:
            break
        del watched.stream
        gc.collect()
        end_abandoned()

        assert watched.how == ["GeneratorExit: abandoned"]
        assert watched.reader.response().finish_reasons == ("error",)

    def test_close(self, claude: anthropic.Anthropic) -> None:
        """``close()`` closes the connection and ends the stream, once."""
        watched = Watched(claude.messages.create(**MESSAGE, stream=True))
        next(watched.stream)
        watched.stream.close()
        watched.stream.close()

        assert watched.stream.response.is_closed
        assert watched.how == ["GeneratorExit: closed"]

    def test_leaving_the_with_block(self, gpt: openai.OpenAI) -> None:
        """Leaving early is a close; an error that leaves the block is passed to ``on_end``."""
        early, failed = (Watched(gpt.chat.completions.create(**CHAT, stream=True)) for _ in range(2))
        with early.stream as stream:
            next(stream)
        next(failed.stream)
        with pytest.raises(ZeroDivisionError), failed.stream:
            _ = 1 / 0

        assert (early.how, failed.how) == (["GeneratorExit: closed"], ["ZeroDivisionError"])
        assert early.stream.response.is_closed

    def test_a_manager_that_cannot_connect(self, server: ProviderServer) -> None:
        """An error on the way into a manager ends the stream and reaches the user."""
        with anthropic.Anthropic(base_url="http://127.0.0.1:1", api_key="test", max_retries=0) as claude:
            watched = Watched(claude.messages.stream(**MESSAGE))
            with pytest.raises(anthropic.APIConnectionError), watched.stream:
                pass

        assert watched.how == ["APIConnectionError"]

    async def test_cancelled_while_waiting(self, server: ProviderServer) -> None:
        """Cancelling the task that waits for a chunk ends the stream with that, and is not swallowed."""
        server.script(Hang(events=2))
        async with anthropic.AsyncAnthropic(base_url=server.anthropic_url, api_key="test") as claude:
            watched = Watched(await claude.messages.create(**MESSAGE, stream=True))
            seen = asyncio.Event()

            async def consume() -> None:
                async for _ in watched.stream:
                    seen.set()

            consumer = asyncio.create_task(consume())
            await seen.wait()
            consumer.cancel()
            with pytest.raises(asyncio.CancelledError):
                await consumer

        assert watched.how == ["CancelledError"]

    async def test_async_close_and_drop(self, server: ProviderServer) -> None:
        """``await stream.close()``, ``async with`` and dropping end async streams."""
        async with openai.AsyncOpenAI(base_url=server.openai_url, api_key="test") as gpt:
            closed, left, dropped = [Watched(await gpt.chat.completions.create(**CHAT, stream=True)) for _ in range(3)]
            await anext(closed.stream)
            await closed.stream.close()
            async with left.stream as stream:
                await anext(stream)
            inner = dropped.stream.response
            del dropped.stream
            gc.collect()
            end_abandoned()
            await inner.aclose()

        assert [w.how for w in (closed, left, dropped)] == [
            ["GeneratorExit: closed"],
            ["GeneratorExit: closed"],
            ["GeneratorExit: abandoned"],
        ]

    def test_entered_stream_outlives_its_manager(self, claude: anthropic.Anthropic) -> None:
        """Dropping the manager does not end the stream it gave."""
        watched = Watched(claude.messages.stream(**MESSAGE))
        stream = watched.stream.__enter__()
        del watched.stream
        gc.collect()

        assert watched.ends == []
        assert list(stream)
        assert watched.ends == [None]


class TestStandIn:
    """The wrapped stream is used like the stream."""

    def test_looks_like_the_stream(self, claude: anthropic.Anthropic) -> None:
        """Class, attributes, repr and dir are the stream's own."""
        inner = claude.messages.create(**MESSAGE, stream=True)
        stream = Watched(inner).stream
        stream.note = "mine"

        assert isinstance(stream, anthropic.Stream)
        assert (stream.response, repr(stream), dir(stream)) == (inner.response, repr(inner), dir(inner))
        assert inner.note == "mine"
        del stream.note
        assert not hasattr(inner, "note")
        with pytest.raises(AttributeError, match="nothing"):
            _ = stream.nothing
        stream.close()

    def test_takes_nothing_ahead(self) -> None:
        """A chunk is taken when the user takes it, not earlier, and given on as the same object."""
        taken: list[object] = []

        def source() -> Iterator[object]:
            for _ in range(3):
                chunk = object()
                taken.append(chunk)
                yield chunk

        stream = Watched(source()).stream

        assert taken == []
        assert next(stream) is taken[0]
        assert len(taken) == 1
        assert list(stream) == taken[1:]

    def test_failing_callbacks_stay_hidden(self) -> None:
        """What recording raises does not reach the loop; the next chunk is still given to it."""
        seen: list[str] = []

        def on_chunk(chunk: str) -> None:
            seen.append(chunk)
            raise ValueError(chunk)

        def on_end(error: BaseException | None) -> None:
            raise ValueError

        assert list(wrap_stream(iter("abc"), on_chunk, on_end)) == ["a", "b", "c"]
        assert seen == ["a", "b", "c"]

    def test_interrupt_in_a_callback_passes(self) -> None:
        """Ctrl-C that hits while a chunk is recorded is not swallowed."""

        def on_chunk(chunk: str) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            next(wrap_stream(iter("abc"), on_chunk, lambda error: None))

    @pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt(), GeneratorExit()])
    def test_errors_of_the_stream_pass_unchanged(self, error: BaseException) -> None:
        """The very exception of the stream reaches the user and ``on_end``."""

        def source() -> Iterator[str]:
            yield "a"
            raise error

        watched = Watched(source())
        with pytest.raises(type(error)) as raised:
            list(watched.stream)

        assert raised.value is error
        assert watched.ends == [error]
        assert watched.reader.response().output == ({"type": "text", "content": "a"},)

    def test_wraps_any_iterable(self) -> None:
        """A list, a generator used with ``closing``, and a generator's own ``close``."""
        assert list(Watched(["a", "b"]).stream) == ["a", "b"]
        watched = Watched(letter for letter in "abc")
        with contextlib.closing(watched.stream) as stream:
            next(stream)
        assert watched.how == ["GeneratorExit: closed"]

    async def test_async_generators(self) -> None:
        """An async generator is watched and its ``aclose`` ends it."""

        async def source() -> AsyncIterator[str]:
            yield "a"
            yield "b"

        whole, part = Watched(source()), Watched(source())
        assert [piece async for piece in whole.stream] == ["a", "b"]
        async with contextlib.aclosing(part.stream) as stream:
            await anext(stream)

        assert (whole.ends, part.how) == ([None], ["GeneratorExit: closed"])
        assert whole.reader.response().output == ({"type": "text", "content": "ab"},)

    def test_knows_streams(self, claude: anthropic.Anthropic) -> None:
        """Streams, managers and generators are streams; messages, texts and lists are not."""
        stream, message = claude.messages.create(**MESSAGE, stream=True), claude.messages.create(**MESSAGE)

        assert all(map(is_stream, (stream, claude.messages.stream(**MESSAGE), iter("a"))))
        assert not any(map(is_stream, (message, "text", ["a"], {"a": 1}, None, claude)))
        stream.close()


class TestOddStreams:
    """Providers in OpenAI's image that count their own way."""

    def test_tool_calls_without_index(self) -> None:
        """Calls without an index, or all with the same one, are distinguished by their ids."""

        def chunk(*calls: Json) -> Json:
            return {"choices": [{"index": 0, "delta": {"tool_calls": list(calls)}}]}

        calls = [{"index": 0, "id": call, "function": {"name": call, "arguments": "{}"}} for call in ("a", "b")]
        assert [part["name"] for part in joined([chunk(calls[0]), chunk(calls[1])]).output] == ["a", "b"]
        for call in calls:
            del call["index"]
        assert [part["name"] for part in joined([chunk(*calls)]).output] == ["a", "b"]

    def test_usage_in_every_chunk(self) -> None:
        """Running totals are not added up: the last one counts. So does the first model that has a name."""
        chunks = [
            {"model": "", "choices": [], "prompt_filter_results": []},
            {
                "model": "m",
                "choices": [{"index": 0, "delta": {"content": "a"}}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 1},
            },
            {
                "model": "m",
                "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 2},
            },
        ]

        assert joined(chunks) == Response(Usage(5, 2), ("stop",), None, "m", ({"type": "text", "content": "a"},))

    def test_choices_that_alternate(self) -> None:
        """Chunks of two choices are joined each on its own."""
        chunks = [
            {"choices": [{"index": i % 2, "delta": {"content": letter}, "finish_reason": "stop" if i > 3 else None}]}
            for i, letter in enumerate("aAbBcC")
        ]

        assert joined(chunks).output == (
            {"type": "text", "content": "abc"},
            {"type": "text", "content": "ABC", "choice": 1},
        )
        assert joined(chunks).finish_reasons == ("stop", "stop")

    def test_old_function_calls_and_text(self) -> None:
        """The old ``function_call`` deltas and text completions."""
        call = [
            {"choices": [{"delta": {"function_call": c}}]} for c in ({"name": "f", "arguments": ""}, {"arguments": '{"a":1}'})
        ]

        assert joined(call).output == ({"type": "tool_call", "name": "f", "arguments": {"a": 1}},)
        assert joined([{"choices": [{"text": t}]} for t in "ab"]).output == ({"type": "text", "content": "ab"},)

    def test_knows_nothing_of_other_chunks(self) -> None:
        """What is no chunk is counted and tells nothing."""
        reader = StreamReader()
        for chunk in (None, b"x", {}, {"type": "response.new", "item": 1}, {"type": 3}, object()):
            reader.add(chunk)

        assert reader.chunks == 6
        assert reader.response().output == ()


@st.composite
def messages(draw: st.DrawFn) -> Json:
    """An Anthropic Message with any texts, thoughts and calls."""
    text = st.text(max_size=30)
    block = st.one_of(
        st.builds(lambda t: {"type": "text", "text": t}, text),
        st.builds(lambda t: {"type": "thinking", "thinking": t, "signature": "s"}, text),
        st.builds(
            lambda t, k: {"type": "tool_use", "id": "t", "name": "f", "input": {k: t} if k else {}},
            text,
            st.sampled_from(["", "a"]),
        ),
    )
    return {**ANTHROPIC_MESSAGE, "content": draw(st.lists(block, max_size=4))}


def _as_chat(message: Json) -> Json:
    """The same content as a chat completion, which has each kind once."""
    texts = {kind: [b[kind] for b in message["content"] if b["type"] == kind and b[kind]] for kind in ("text", "thinking")}
    calls = [b["input"] for b in message["content"] if b["type"] == "tool_use"]
    said = {
        "content": "".join(texts["text"]) or None,
        "reasoning_content": "".join(texts["thinking"]) or None,
        "tool_calls": [
            {"id": f"c{i}", "type": "function", "function": {"name": "f", "arguments": json.dumps(call)}}
            for i, call in enumerate(calls)
        ],
    }
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    return {**CHAT_COMPLETION, "choices": [choice]}


def _as_response(message: Json) -> Json:
    """The same content as items of a Responses API response."""
    items: list[Json] = []
    for i, block in enumerate(message["content"]):
        if block["type"] == "text":
            part = {"type": "output_text", "text": block["text"], "annotations": []}
            items.append({"id": str(i), "type": "message", "role": "assistant", "content": [part]})
        elif block["type"] == "thinking":
            items.append({"id": str(i), "type": "reasoning", "summary": [{"type": "summary_text", "text": block["thinking"]}]})
        else:
            call = {"id": str(i), "type": "function_call", "call_id": "t", "name": "f"}
            items.append({**call, "arguments": json.dumps(block["input"])})
    return {**API_RESPONSE, "output": items}


@settings(deadline=None)
@given(messages(), st.integers(1, 12))
def test_boundaries_change_nothing(message: Json, size: int) -> None:
    """However the provider cuts its answer into chunks, the joined answer is what the whole one says."""
    completion, response = _as_chat(message), _as_response(message)
    last = {"type": "response.completed", "response": {**response, "output": []}}
    without_final_output = [*response_events(response, size)[:-1], ("", last)]

    assert joined([data for _, data in anthropic_events(message, size)]) == read_response(message)
    assert joined([data for _, data in chat_events(completion, size)]) == read_response(completion)
    assert joined([data for _, data in response_events(response, size)]) == read_response(response)
    assert joined([data for _, data in without_final_output]) == read_response(response)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
EVENTS: list[Any] = [
    data
    for _, data in anthropic_events(ANTHROPIC_MESSAGE, 50) + chat_events(CHAT_COMPLETION, 50) + response_events(API_RESPONSE, 50)
]


@st.composite
def near_events(draw: st.DrawFn) -> object:
    """A real event with some of its values replaced by any JSON."""
    return _spoilt(draw, draw(st.sampled_from(EVENTS)))


def _spoilt(draw: st.DrawFn, value: Any) -> Any:
    if draw(st.integers(0, 9)) == 0:
        return draw(JSON)
    if isinstance(value, dict):
        return {k: v if k == "type" else _spoilt(draw, v) for k, v in value.items()}
    return [_spoilt(draw, item) for item in value] if isinstance(value, list) else value


@settings(deadline=None)
@given(st.lists(JSON | near_events() | st.sampled_from(EVENTS), max_size=12))
def test_joins_anything_without_raising(chunks: list[object]) -> None:
    """Any JSON, and real events with anything in any place and order, are joined to a `Response`."""
    reader = StreamReader()
    for chunk in chunks:
        reader.add(chunk)
        assert isinstance(reader.response(), Response)

    assert isinstance(reader.billing(), Billing)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["next", "close", "drop", "error"]), max_size=6))
def test_ends_once_whatever_happens(steps: list[str]) -> None:
    """Any sequence of reading, closing, failing and dropping ends the stream exactly once."""

    class Source:
        def __init__(self) -> None:
            self.failing = False

        def __iter__(self) -> Source:
            return self

        def __next__(self) -> str:
            if self.failing:
                raise OSError
            return "a"

        def close(self) -> None:
            pass

    source = Source()
    watched = Watched(source)
    acts: dict[str, Callable[[], object]] = {
        "next": lambda: next(watched.stream),
        "close": lambda: watched.stream.close(),
        "error": lambda: setattr(source, "failing", True),
        "drop": lambda: None,
    }
    for step in steps:
        with contextlib.suppress(OSError):
            acts[step]()
    del watched.stream
    end_abandoned()

    assert len(watched.ends) == 1


def test_reply_may_be_scripted(server: ProviderServer, claude: anthropic.Anthropic) -> None:
    """The server streams the given body, in pieces of the given size."""
    server.script(Reply({**ANTHROPIC_MESSAGE, "content": [{"type": "text", "text": "abcd"}]}, size=2))
    with claude.messages.stream(**MESSAGE) as stream:
        assert list(stream.text_stream) == ["ab", "cd"]
