"""Reading responses: real clients' objects, their dicts, their JSON, and everything else there is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import anthropic
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.record.providers.pricing import Billing
from otel_agentlog.record.providers.read import read_billing, read_response
from otel_agentlog.vocabulary.usage import Response, Usage
from tests.support.providers import readings as read
from tests.support.providers.replies import ANTHROPIC_MESSAGE, API_RESPONSE, CHAT_COMPLETION, EMBEDDINGS, Json
from tests.support.providers.server import Cut, Hang, ProviderServer, Refuse, Reply

ASK: Any = [{"role": "user", "content": "Read a.py"}]
# A model that no client can call deprecated.
MESSAGE: Any = {"model": "claude-test", "max_tokens": 99, "messages": ASK}
CHAT: Any = {"model": "gpt-5", "messages": ASK}
INPUT: Any = {"model": "gpt-5", "input": "Read a.py"}


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def claude(server: ProviderServer) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.anthropic_url, api_key="test") as client:
        yield client


@pytest.fixture
def gpt(server: ProviderServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.openai_url, api_key="test") as client:
        yield client


def every_form(response: Any) -> list[object]:
    """A client's object, its dict with and without nulls, and its JSON as text and bytes."""
    dumped = response.model_dump()
    text = response.model_dump_json(exclude_unset=True)
    return [response, dumped, response.model_dump(exclude_none=True), json.loads(text), text, text.encode()]


class TestRealClients:
    """What the clients of the providers give back, over HTTP."""

    def test_reads_an_anthropic_message_in_every_form(self, claude: anthropic.Anthropic) -> None:
        """A Message reads the same as an object, as a dict and as JSON, and input tokens include the cached ones."""
        message = claude.messages.create(**MESSAGE)

        assert [read_response(form, "anthropic") for form in every_form(message)] == [read.ANTHROPIC] * 6

    def test_reads_a_beta_message(self, claude: anthropic.Anthropic) -> None:
        """The beta API's Message is read like the other."""
        message = claude.beta.messages.create(**MESSAGE)

        assert read_response(message) == read.ANTHROPIC

    def test_reads_a_chat_completion_in_every_form(self, gpt: openai.OpenAI) -> None:
        """A ChatCompletion reads the same as an object, as a dict and as JSON."""
        completion = gpt.chat.completions.create(**CHAT)

        assert [read_response(form, "openai") for form in every_form(completion)] == [read.CHAT] * 6

    def test_reads_a_responses_api_response_in_every_form(self, gpt: openai.OpenAI) -> None:
        """A Response of the Responses API reads the same as an object, as a dict and as JSON."""
        response = gpt.responses.create(**INPUT)

        assert [read_response(form) for form in every_form(response)] == [read.RESPONSES] * 6

    def test_reads_embeddings(self, gpt: openai.OpenAI) -> None:
        """Embeddings have input tokens and a model, and no output."""
        embeddings = gpt.embeddings.create(model="text-embedding-3-small", input="x", encoding_format="float")

        assert [read_response(form) for form in every_form(embeddings)] == [read.EMBEDDED] * 6

    async def test_reads_what_async_clients_give(self, server: ProviderServer) -> None:
        """Async clients give the same objects."""
        async with anthropic.AsyncAnthropic(base_url=server.anthropic_url, api_key="test") as claude:
            message = await claude.messages.create(**MESSAGE)
        async with openai.AsyncOpenAI(base_url=server.openai_url, api_key="test") as gpt:
            completion = await gpt.chat.completions.create(**CHAT)
            response = await gpt.responses.create(**INPUT)

        assert [read_response(r) for r in (message, completion, response)] == [read.ANTHROPIC, read.CHAT, read.RESPONSES]

    def test_reads_raw_response_wrappers(self, claude: anthropic.Anthropic, gpt: openai.OpenAI) -> None:
        """A raw-response wrapper reads like the response in it, whether the user parsed it or not."""
        wrappers = [
            claude.messages.with_raw_response.create(**MESSAGE),
            gpt.chat.completions.with_raw_response.create(**CHAT),
            gpt.responses.with_raw_response.create(**INPUT),
        ]
        expected = [read.ANTHROPIC, read.CHAT, read.RESPONSES]

        assert [read_response(wrapper) for wrapper in wrappers] == expected
        assert [read_response(wrapper.parse()) for wrapper in wrappers] == expected

    def test_leaves_an_unread_raw_stream_alone(self, claude: anthropic.Anthropic) -> None:
        """A wrapper around a stream says nothing yet, and the stream can still be read afterwards."""
        with claude.messages.with_streaming_response.create(**MESSAGE, stream=True) as wrapper:
            assert read_response(wrapper) == Response()
            assert any("message_stop" in line for line in wrapper.iter_lines())

    def test_reads_parsed_output(self, gpt: openai.OpenAI) -> None:
        """What ``parse()`` of the client adds changes nothing."""
        assert read_response(gpt.chat.completions.parse(**CHAT)) == read.CHAT
        assert read_response(gpt.responses.parse(**INPUT)) == read.RESPONSES

    def test_clients_retry_against_the_server(self, server: ProviderServer, claude: anthropic.Anthropic) -> None:
        """The server refuses as scripted, the client retries, and every request was kept with its headers."""
        server.script(Refuse(429), Refuse(529), Reply())

        assert read_response(claude.messages.create(**MESSAGE)) == read.ANTHROPIC
        assert [request.path for request in server.requests] == ["/v1/messages"] * 3
        assert server.requests[2].headers["x-stainless-retry-count"] == "2"
        assert server.requests[2].body["messages"] == ASK

    def test_clients_see_failures_of_the_server(self, server: ProviderServer, gpt: openai.OpenAI) -> None:
        """Errors, timeouts and cut answers reach the client as its own exceptions."""
        quick = gpt.with_options(max_retries=0, timeout=0.2)
        for answer, error in (
            (Refuse(500), openai.InternalServerError),
            (Refuse(429), openai.RateLimitError),
            (Hang(), openai.APITimeoutError),
            (Cut(), openai.APIConnectionError),
        ):
            server.script(answer)
            with pytest.raises(error):
                quick.chat.completions.create(**CHAT)


class TestUsage:
    """Who counts how."""

    @pytest.mark.parametrize(
        ("usage", "expected"),
        [
            pytest.param({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}, Usage(5, 2), id="openai"),
            pytest.param({"input_tokens": 5, "output_tokens": 2}, Usage(5, 2), id="bare"),
            pytest.param(
                {"input_tokens": 5, "output_tokens": 2, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 4},
                Usage(12, 2, 4, 3),
                id="anthropic",
            ),
            pytest.param(
                {"input_tokens": 12, "output_tokens": 2, "cache_read_input_tokens": 4, "cache_write_input_tokens": 3},
                Usage(12, 2, 4, 3),
                id="our own names are sums already",
            ),
            pytest.param(
                {"prompt_tokens": 9, "completion_tokens": 2, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 4},
                Usage(9, 2, 4, 3),
                id="litellm counts Anthropic's cache in prompt_tokens",
            ),
            pytest.param(
                {"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5},
                Usage(9, 2, 4),
                id="deepseek",
            ),
            pytest.param(
                {
                    "prompt_tokens": 9,
                    "completion_tokens": 2,
                    "total_tokens": 41,
                    "completion_tokens_details": {"reasoning_tokens": 30},
                },
                Usage(9, 32, reasoning_output_tokens=30),
                id="xai leaves reasoning out of completion_tokens",
            ),
            pytest.param({"prompt_tokens": 5.0, "completion_tokens": True}, Usage(5), id="floats count, booleans do not"),
            pytest.param({"prompt_tokens": -1, "completion_tokens": 2**63}, Usage(), id="impossible numbers"),
            pytest.param({"prompt_tokens": "5", "completion_tokens": None}, Usage(), id="other types"),
            pytest.param({}, Usage(), id="nothing"),
        ],
    )
    def test_sums_as_the_convention_has_it(self, usage: Json, expected: Usage) -> None:
        """A bare mapping with ``usage`` is read by the keys it has, details always inside their totals."""
        assert read_response({"usage": usage}) == Response(usage=expected)

    def test_takes_the_provider_as_a_hint(self) -> None:
        """Where only ``cache_read_input_tokens`` is there, Anthropic's are outside ``input_tokens``, others' inside."""
        response = {"usage": {"input_tokens": 5, "cache_read_input_tokens": 4}}

        assert read_response(response, "anthropic").usage == Usage(9, None, 4)
        assert read_response(response, "deepseek").usage == Usage(5, None, 4)

    def test_adds_the_tokens_of_compactions(self) -> None:
        """A compaction is billed but not in Anthropic's top-level counts, so its tokens are added."""
        compaction = {"type": "compaction", "input_tokens": 1000, "output_tokens": 100, "cache_read_input_tokens": 10}
        iterations = [compaction, {"type": "message", "input_tokens": 100, "output_tokens": 50}]
        message = {**ANTHROPIC_MESSAGE, "usage": {**ANTHROPIC_MESSAGE["usage"], "iterations": iterations}}

        assert read_response(message).usage == Usage(3410, 150, 2010, 300, 20)

    @pytest.mark.parametrize(
        ("usage", "cost_usd"),
        [
            pytest.param(
                {"cost": 0.95, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.95}}, 0.95, id="openrouter"
            ),
            pytest.param({"cost": 0.05, "is_byok": True, "cost_details": {"upstream_inference_cost": 1}}, 1.05, id="own key"),
            pytest.param({"cost": 0, "is_byok": True}, None, id="own key, the other bill is not known"),
            pytest.param({"cost": {"input_tokens_cost": 0.1, "total_cost": 0.3}}, 0.3, id="perplexity"),
            pytest.param({"cost_in_usd_ticks": 37_756_000}, 0.0037756, id="xai"),
            pytest.param({"cost": 0}, 0.0, id="free"),
            pytest.param({"cost": "0.1"}, None, id="not a number"),
            pytest.param({"cost": float("nan")}, None, id="nan"),
            pytest.param({"cost": -1}, None, id="negative"),
        ],
    )
    def test_takes_the_cost_a_provider_reports(self, usage: Json, cost_usd: float | None) -> None:
        """The provider's own bill is taken, and an unknown one stays unknown."""
        completion = {**CHAT_COMPLETION, "usage": {**CHAT_COMPLETION["usage"], **usage}}

        assert read_response(completion) == replace(read.CHAT, cost_usd=cost_usd)

    def test_reads_what_else_changes_the_price(self, claude: anthropic.Anthropic, gpt: openai.OpenAI) -> None:
        """Service tier, cache lifetime and searches are read for the price table, from objects and wrappers."""
        expected = Billing(service_tier="standard", cache_write_1h_input_tokens=100, web_searches=1)

        assert read_billing(claude.messages.create(**MESSAGE)) == expected
        assert read_billing(claude.messages.with_raw_response.create(**MESSAGE)) == expected
        assert read_billing(gpt.chat.completions.create(**CHAT)) == Billing(service_tier="default")
        assert read_billing(None) == Billing()


class TestFinishReasons:
    """Positional for each choice, in the provider's own words."""

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"stop_reason": "refusal"}, ("refusal",)),
            ({"stop_reason": "model_context_window_exceeded"}, ("model_context_window_exceeded",)),
            ({"stop_reason": None}, ("error",)),
        ],
    )
    def test_of_anthropic(self, change: Json, expected: tuple[str, ...]) -> None:
        """A Message has one; a missing one means that it was cut."""
        assert read_response({**ANTHROPIC_MESSAGE, **change}).finish_reasons == expected

    def test_of_several_choices(self) -> None:
        """Each choice has its place, whatever the order they come in, and one without a reason is an error."""
        choices = [
            {"index": 2, "message": {"content": "c"}, "finish_reason": "length"},
            {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"},
            {"index": 1, "message": {"content": "b"}, "finish_reason": None},
        ]
        response = read_response({**CHAT_COMPLETION, "choices": choices})

        assert response.finish_reasons == ("stop", "error", "length")
        assert response.output == (
            {"type": "text", "content": "a"},
            {"type": "text", "content": "b", "choice": 1},
            {"type": "text", "content": "c", "choice": 2},
        )

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, ("max_output_tokens",)),
            ({"status": "incomplete"}, ("incomplete",)),
            ({"status": "failed", "error": {"code": "server_error", "message": "x"}}, ("error",)),
            ({"status": "cancelled"}, ("error",)),
            ({"status": "in_progress"}, ()),
            ({"status": None}, ()),
        ],
    )
    def test_of_the_responses_api(self, change: Json, expected: tuple[str, ...]) -> None:
        """The status, or why the answer is incomplete; none while it still runs."""
        assert read_response({**API_RESPONSE, **change}).finish_reasons == expected


class TestOtherShapes:
    """Providers in OpenAI's image, other kinds of answers, and what is none."""

    def test_reads_reasoning_and_refusals_of_chat(self) -> None:
        """Reasoning text that others add, a refusal, sound and a call in the old form become parts."""
        message = {
            "content": None,
            "reasoning_content": "Hm.",
            "refusal": "No.",
            "audio": {"id": "audio_1", "data": "UklGRg==", "transcript": "No."},
            "function_call": {"name": "f", "arguments": "not json"},
            "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}],
        }
        response = read_response({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

        assert response.output == (
            {"type": "reasoning", "content": "Hm."},
            {"type": "refusal", "content": "No."},
            {"type": "blob", "modality": "audio", "content": "UklGRg==", "transcript": "No.", "id": "audio_1"},
            {"type": "tool_call", "name": "sql", "id": "c", "arguments": "select 1"},
            {"type": "tool_call", "name": "f", "arguments": "not json"},
        )

    def test_reads_text_completions(self) -> None:
        """The old completions API has text in its choices."""
        completion = {"id": "cmpl", "model": "m", "choices": [{"index": 0, "text": "hi", "finish_reason": "length"}]}

        assert read_response(completion) == Response(
            finish_reasons=("length",), response_id="cmpl", model="m", output=({"type": "text", "content": "hi"},)
        )

    def test_reads_tools_of_the_provider(self) -> None:
        """Server tools, MCP, compaction and unknown blocks keep what can be read, without what is opaque."""
        blocks = [
            {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
            {
                "type": "web_search_tool_result",
                "tool_use_id": "s1",
                "content": [{"type": "web_search_result", "url": "https://a", "title": "A", "encrypted_content": "x" * 99}],
            },
            {"type": "mcp_tool_use", "id": "m1", "name": "ask", "server_name": "wiki", "input": {}},
            {"type": "redacted_thinking", "data": "opaque"},
            {"type": "compaction", "content": "So far: nothing."},
            {"type": "text", "text": "A.", "citations": [{"url": "https://a", "encrypted_index": "x"}]},
            {"type": "from_the_future", "level": 9},
        ]
        found = [{"type": "web_search_result", "url": "https://a", "title": "A"}]

        assert read_response({**ANTHROPIC_MESSAGE, "content": blocks}).output == (
            {
                "type": "server_tool_call",
                "name": "web_search",
                "id": "s1",
                "server_tool_call": {"type": "web_search", "input": {"query": "q"}},
            },
            {
                "type": "server_tool_call_response",
                "id": "s1",
                "server_tool_call_response": {"type": "web_search_tool_result", "content": found},
            },
            {
                "type": "server_tool_call",
                "name": "ask",
                "id": "m1",
                "server_tool_call": {"type": "mcp", "input": {}, "server_name": "wiki"},
            },
            {"type": "redacted_thinking"},
            {"type": "compaction", "content": "So far: nothing."},
            {"type": "text", "content": "A.", "citations": [{"url": "https://a"}]},
            {"type": "from_the_future", "level": 9},
        )

    def test_reads_items_of_the_responses_api(self) -> None:
        """Tools of ours, tools of theirs, pictures, refusals, compaction and unknown items."""
        items = [
            {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search", "query": "q"}},
            {"type": "shell_call", "id": "i", "call_id": "sh", "action": {"commands": ["ls"]}, "status": "completed"},
            {"type": "computer_call", "id": "i", "call_id": "cc", "actions": [{"type": "click", "x": 1, "y": 2}], "status": "x"},
            {"type": "custom_tool_call", "call_id": "cu", "name": "sql", "input": "select 1"},
            {"type": "image_generation_call", "id": "ig", "status": "completed", "result": "iVBORw==", "output_format": "webp"},
            {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            {"type": "compaction", "id": "cmp", "encrypted_content": "opaque"},
            {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "opaque"},
            {"type": "from_the_future", "id": "f", "level": 9},
        ]

        assert read_response({**API_RESPONSE, "output": items}).output == (
            {
                "type": "server_tool_call",
                "name": "web_search",
                "id": "ws",
                "server_tool_call": {
                    "type": "web_search_call",
                    "status": "completed",
                    "action": {"type": "search", "query": "q"},
                },
            },
            {"type": "tool_call", "name": "shell", "id": "sh", "arguments": {"commands": ["ls"]}},
            {"type": "tool_call", "name": "computer", "id": "cc", "arguments": {"actions": [{"type": "click", "x": 1, "y": 2}]}},
            {"type": "tool_call", "name": "sql", "id": "cu", "arguments": "select 1"},
            {
                "type": "server_tool_call",
                "name": "image_generation",
                "id": "ig",
                "server_tool_call": {"type": "image_generation_call", "status": "completed", "output_format": "webp"},
            },
            {"type": "blob", "modality": "image", "mime_type": "image/webp", "content": "iVBORw=="},
            {"type": "refusal", "content": "No."},
            {"type": "compaction", "id": "cmp"},
            {"type": "from_the_future", "id": "f", "level": 9},
        )

    def test_reads_stand_ins_by_shape(self) -> None:
        """An object of any class with the fields of a Message is one: fakes of tests, wrappers of frameworks."""
        usage = SimpleNamespace(input_tokens=1, output_tokens=2)
        fake = SimpleNamespace(content=[SimpleNamespace(type="text", text="hi")], usage=usage, stop_reason="end_turn")

        assert read_response(fake) == Response(
            usage=Usage(1, 2), finish_reasons=("end_turn",), output=({"type": "text", "content": "hi"},)
        )

    def test_takes_text_for_what_the_model_wrote(self) -> None:
        """A string is an answer, also one that is JSON but no response."""
        assert read_response("hi").output == ({"type": "text", "content": "hi"},)
        assert read_response("[1]").output == ({"type": "text", "content": "[1]"},)

    def test_gives_back_a_response_of_ours(self) -> None:
        """What is a `Response` already stays one."""
        assert read_response(read.CHAT) is read.CHAT

    @pytest.mark.parametrize(
        "value", [None, 1, b"\xff", [], object(), {"id": "x", "model": "y"}, MagicMock(), Response, iter([1])]
    )
    def test_knows_nothing_of_other_things(self, value: object) -> None:
        """What is no response of a model is empty, not an error."""
        assert read_response(value) == Response()

    def test_survives_hostile_objects(self) -> None:
        """Properties that raise, cycles and endless sharing cost their data and nothing else."""

        class Hostile:
            def __getattr__(self, name: str) -> object:
                raise RuntimeError(name)

        cyclic: Json = {}
        cyclic["a"] = cyclic["b"] = cyclic
        shared: list[Any] = [0]
        for _ in range(60):
            shared = [shared, shared]
        blocks = [{"type": "tool_use", "name": "f", "id": "1", "input": {"c": cyclic, "s": shared}}, Hostile()]

        assert read_response(Hostile()) == Response()
        assert [part["type"] for part in read_response({**ANTHROPIC_MESSAGE, "content": blocks}).output] == [
            "tool_call",
            "unknown",
        ]

    def test_lets_an_interrupt_through(self) -> None:
        """Ctrl-C while an object is read is not swallowed."""

        class Interrupts:
            @property
            def choices(self) -> object:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            read_response(Interrupts())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = ("type", "object", "choices", "output", "content", "usage", "status", "stop_reason", "message", "id", "model", "summary")
WORDS = ("message", "response", "list", "chat.completion", "text", "tool_use", "function_call", "reasoning", "image", "document")


@st.composite
def near_responses(draw: st.DrawFn) -> object:
    """A real response with some of its values, at any depth, replaced by any JSON."""
    whole = draw(st.sampled_from([ANTHROPIC_MESSAGE, CHAT_COMPLETION, API_RESPONSE, EMBEDDINGS]))
    return _spoilt(draw, whole)


def _spoilt(draw: st.DrawFn, value: Any) -> Any:
    if draw(st.integers(0, 11)) == 0:
        return draw(JSON | st.sampled_from(WORDS))
    if isinstance(value, dict):
        return {draw(st.sampled_from(KEYS)) if draw(st.integers(0, 19)) == 0 else k: _spoilt(draw, v) for k, v in value.items()}
    return [_spoilt(draw, item) for item in value] if isinstance(value, list) else value


@settings(deadline=None)
@given(JSON | near_responses(), st.sampled_from([None, "anthropic", "openai"]))
def test_reads_any_json_without_raising(value: object, provider: str | None) -> None:
    """Any JSON, and real responses with anything in any place, give a `Response` of the right types."""
    response = read_response(value, provider)

    assert all(0 <= tokens < 2**63 for tokens in response.usage.known().values())
    assert all(isinstance(reason, str) for reason in response.finish_reasons)
    assert all(isinstance(part["type"], str) for part in response.output)
    assert all(name is None or (isinstance(name, str) and name) for name in (response.response_id, response.model))
    assert isinstance(read_billing(value), Billing)
