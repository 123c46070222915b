"""Token counts of every provider's shape, as an answer and as a stream, and the checks that every count passes."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import anthropic.types.messages
import httpx
import numpy as np
import pydantic
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.record.providers import usage as names
from otel_agentlog.record.providers.failures import failure_of
from otel_agentlog.record.providers.fields import LARGEST_COUNT, as_amount, as_count
from otel_agentlog.record.providers.read import read_billing, read_response
from otel_agentlog.record.providers.stream import StreamReader
from otel_agentlog.record.providers.usage import checked, merged, usage_in
from otel_agentlog.vocabulary.usage import Response, Usage
from tests.support.providers.samples import FAILED, SAMPLES, FailedSample, Sample


def as_object(value: Any) -> Any:
    """A JSON object as an object with attributes, at every depth."""
    if isinstance(value, dict):
        return SimpleNamespace(**{key: as_object(inner) for key, inner in value.items()})
    return [as_object(inner) for inner in value] if isinstance(value, list) else value


class Model(pydantic.BaseModel, extra="allow"):
    """A client's model that knows none of its fields."""


def as_model(value: Any) -> Any:
    """A JSON object as a pydantic model, at every depth."""
    if isinstance(value, dict):
        return Model(**{key: as_model(inner) for key, inner in value.items()})
    return [as_model(inner) for inner in value] if isinstance(value, list) else value


def read_stream(chunks: Iterable[object]) -> Response:
    reader = StreamReader()
    for chunk in chunks:
        reader.add(chunk)
    return reader.response()


STREAMED = [sample for sample in SAMPLES if sample.chunks]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
class TestAnswers:
    """Every sample, in every form."""

    def test_as_dict_object_and_model(self, sample: Sample) -> None:
        """Tokens, reasons, model and cost are the same from a dict, from attributes and from a pydantic model."""
        for form in (sample.answer, as_object(sample.answer), as_model(sample.answer)):
            response = read_response(form, sample.provider)

            assert response.usage == sample.usage
            assert (response.finish_reasons, response.model) == (sample.finish_reasons, sample.model)
            assert response.cost_usd == sample.cost_usd
            assert response.failure is None
            assert not response.cancelled

    def test_as_json_and_in_http(self, sample: Sample) -> None:
        """JSON as text and bytes, and HTTP responses that were read, say the same."""
        text = json.dumps(sample.answer, default=str)
        body = requests.Response()
        body._content, body.status_code = text.encode(), 200
        for form in (text, text.encode(), bytearray(text.encode()), httpx.Response(200, text=text), body):
            assert read_response(form, sample.provider).usage == sample.usage

    def test_is_not_changed(self, sample: Sample) -> None:
        """Reading leaves the user's object as it was."""
        before = copy.copy(repr(sample.answer))
        read_response(sample.answer)
        read_billing(sample.answer)

        assert repr(sample.answer) == before


_NAMED = {
    "OpenAI": (
        "openai chat",
        "openai responses",
        "openai embeddings",
        "openai images",
        "openai transcription",
        "openai realtime",
    ),
    "Azure": ("azure",),
    "Together": ("together",),
    "Fireworks": ("fireworks",),
    "vLLM": ("vllm",),
    "xAI": ("xai",),
    "Perplexity": ("perplexity, the total with every chunk",),
    "Groq": ("groq",),
    "Moonshot": ("moonshot",),
    "Mistral": ("mistral", "mistral's event"),
    "DeepSeek": ("deepseek",),
    "OpenRouter": ("openrouter",),
    "LiteLLM": ("litellm",),
    "Anthropic": ("anthropic",),
    "Gemini": ("gemini", "google-genai", "gemini by openai's api"),
    "Vertex AI": ("gemini on vertex",),
    "Bedrock": ("bedrock converse", "bedrock's headers", "bedrock titan", "bedrock llama"),
    "Cohere": ("cohere 1", "cohere 2", "cohere without billed units"),
    "Ollama": ("ollama",),
    "llama.cpp": ("llama.cpp", "llama.cpp's own"),
    "Text Generation Inference": ("text generation inference",),
    "Replicate": ("replicate",),
    "watsonx.ai": ("watsonx",),
    "Voyage": ("voyage",),
    "Cloudflare": ("cloudflare",),
    "LangChain": ("langchain", "langchain of old"),
    "LlamaIndex": ("llamaindex",),
    "pydantic-ai": ("pydantic-ai's usage",),
    "openai-agents": ("openai-agents' usage",),
    "claude-agent-sdk": ("claude-agent-sdk", "claude-agent-sdk with partial messages"),
}
"""The names of the table in ``docs/ai-calls.md``, and the samples that are theirs."""


def test_every_name_of_the_table_has_its_sample() -> None:
    """What the page says is read is read above: a name without a sample, or one that is gone, is found here."""
    page = (Path(__file__).parents[3] / "docs" / "ai-calls.md").read_text()
    table = page.partition("| from |")[2].partition("\n\n")[0]
    cells = [row.split("|")[1] for row in table.splitlines() if row.startswith("| ") and "---" not in row]
    named = {name.strip() for cell in cells for name in re.split(r"[·,]", re.sub(r"\(.*?\)", "", cell)) if name.strip()}

    assert named == {*_NAMED, *_ALSO}
    assert {sample for samples in _NAMED.values() for sample in samples} <= {sample.name for sample in SAMPLES}


_ALSO = {"on Bedrock and Vertex AI too", "Claude Code's JSON"}
"""Of Anthropic's and claude-agent-sdk's shape."""

REPEATABLE = [sample for sample in STREAMED if sample.name != "langchain"]
"""Those whose chunks tell sums; LangChain's are made to be added up."""


@pytest.mark.parametrize("sample", STREAMED, ids=lambda sample: sample.name)
class TestStreams:
    """Every sample that has chunks."""

    def test_counts_once(self, sample: Sample) -> None:
        """Counts at the end, with every chunk or in pieces make the same sum as the whole answer."""
        for form in (lambda chunk: chunk, as_object, as_model):
            response = read_stream(
                [form(chunk) if isinstance(chunk, dict) and "chunk" not in chunk else chunk for chunk in sample.chunks]
            )

            assert response.usage == sample.usage
            assert response.cost_usd == sample.cost_usd
            assert response.failure is None
            assert response.finish_reasons == sample.finish_reasons

    def test_has_what_was_written(self, sample: Sample) -> None:
        """The text of the chunks is the output."""
        written = "".join(part.get("content") or "" for part in read_stream(sample.chunks).output)

        assert (
            "h" in written
            or "part" in written
            or sample.name in ("text generation inference", "perplexity, the total with every chunk")
        )


@pytest.mark.parametrize("sample", FAILED, ids=lambda sample: sample.name)
class TestFailures:
    """What the provider says of its own error."""

    def test_in_an_answer(self, sample: FailedSample) -> None:
        """Code and message of an error in an answer, whatever its form."""
        if sample.answer is not None:
            for form in (sample.answer, as_object(sample.answer), as_model(sample.answer), json.dumps(sample.answer)):
                assert read_response(form).failure == sample.failure

    def test_in_a_stream(self, sample: FailedSample) -> None:
        """Code and message of an error in the middle of a stream."""
        chunks = sample.chunks or [sample.answer]
        for form in (lambda chunk: chunk, as_object, as_model):
            assert read_stream(form(chunk) for chunk in chunks).failure == sample.failure


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [{"index": 0, "message": {"refusal": "No."}, "finish_reason": "content_filter"}]},
        {"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}], "error": None},
        {"object": "response", "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": []},
        {"object": "response", "status": "completed", "error": None, "output": []},
        {"type": "message", "stop_reason": "refusal", "content": []},
        {"candidates": [{"finishReason": "SAFETY"}]},
        {"finish_reason": "ERROR_TOXIC"},
        {"stopReason": "guardrail_intervened", "output": {"message": {"content": []}}},
        {"error": ""},
        {"error": {}},
        {"error": False},
        {"errors": []},
        {"object": "thread.run", "status": "completed", "last_error": None},
        {"custom_id": "x", "result": {"type": "succeeded", "message": {"type": "message", "content": []}}},
        {"custom_id": "x", "response": {"status_code": 200, "body": {"choices": []}}, "error": None},
        MagicMock(),
        Mock(),
    ],
)
def test_refusals_and_filters_are_answers(answer: object) -> None:
    """A refusal, a content filter and an answer that is too long have finish reasons and no failure; neither have mocks."""
    assert failure_of(answer) is None
    assert read_response(answer).failure is None


@pytest.mark.parametrize("body", ["<html>", '{"detail": "slow down"}', '{"usage": {"prompt_tokens": 3}}', ""])
def test_the_status_of_an_http_response(body: str) -> None:
    """An HTTP response with an error's status is an error, whatever its body; with another status it is none."""
    assert read_response(httpx.Response(200, text=body)).failure is None
    assert read_response(httpx.Response(429, text=body)).failure is not None


def test_several_messages_of_one_stream_add_up() -> None:
    """An agent's stream has several answers, one after the other; one that is begun again is the same."""
    first, second = (
        [
            {"type": "message_start", "message": {"type": "message", "id": name, "content": [], "usage": {"input_tokens": 10}}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
        ]
        for name in ("m1", "m2")
    )
    assert read_stream([*first, *second]).usage == Usage(20, 10)
    assert read_stream([*first, first[0], first[1]]).usage == Usage(10, 5)


def _completion(name: str) -> list[dict[str, Any]]:
    head = {"object": "chat.completion.chunk", "model": "m-1"}
    return [
        {**head, "id": name, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "h"}, "finish_reason": None}]},
        {**head, "id": name, "choices": [{"index": 0, "delta": {"content": name}, "finish_reason": None}]},
        {**head, "id": name, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**head, "id": name, "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}},
    ]


def _realtime(name: str) -> dict[str, Any]:
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    response = {"object": "realtime.response", "id": name, "status": "completed", "output": [], "usage": usage}
    return {"type": "response.done", "response": response}


def test_several_completions_or_responses_of_one_stream_add_up() -> None:
    """As those of a session do; ids that a server makes for every chunk do not make several."""
    assert read_stream([*_completion("a"), *_completion("b")]).usage == Usage(20, 10)
    assert "".join(part["content"] for part in read_stream([*_completion("a"), *_completion("b")]).output) == "hahb"
    assert read_stream([{**chunk, "id": f"c{n}"} for n, chunk in enumerate(_completion("a"))]).usage == Usage(10, 5)
    assert read_stream([_realtime("r1"), _realtime("r2")]).usage == Usage(20, 10)
    assert read_stream([_realtime("r1"), _realtime("r1")]).usage == Usage(10, 5)
    # A proxy gives the end another id than the beginning.
    begun = {"type": "response.created", "response": {"object": "response", "id": "x", "status": "in_progress", "output": []}}
    assert read_stream([begun, _realtime("r1")]).usage == Usage(10, 5)


def _body(sample: Sample, form: str) -> str | None:
    """The sample's chunks as the text of a body; ``None`` for one that nobody sends so."""
    if not all(isinstance(chunk, dict) and "chunk" not in chunk for chunk in sample.chunks):
        return None
    lines = [json.dumps(chunk, default=str) for chunk in sample.chunks]
    if form == "lines of json":
        return "".join(f"{line}\n" for line in lines) if sample.name == "openai's batch" else None
    named = [f"event: {chunk.get('type', 'message')}\n" if form == "named events" else "" for chunk in sample.chunks]
    events = "".join(f"{name}data: {line}\n\n" for name, line in zip(named, lines, strict=True))
    return (": begins\n\n" if form == "with comments" else "") + events + "data: [DONE]\n\n"


OF_OBJECTS = ("claude-agent-sdk", "claude-agent-sdk with partial messages", "langchain", "pydantic-ai", "mistral's event")
SENT = [sample for sample in STREAMED if sample.name not in OF_OBJECTS]


@pytest.mark.parametrize("form", ["events", "named events", "with comments", "lines of json"])
@pytest.mark.parametrize("sample", SENT, ids=lambda sample: sample.name)
def test_texts_of_a_body_are_read_as_its_bytes_are(sample: Sample, form: str) -> None:
    """As ``iter_text()`` of httpx gives them: several events in a piece, cut anywhere, and ended anywhere in a line's end."""
    body = _body(sample, form)
    if body is None:
        return
    expected = read_stream([body.encode()])
    if not expected.usage.known():
        return  # it is nothing that is read from bytes either
    for size in (1, 2, 3, 7, 16, 100, 1000, len(body)):
        for whole in (body, body.rstrip("\n"), body.replace("\n", "\r\n")):
            pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
            assert read_stream(pieces) == expected, (size, pieces[:3])
    lines = read_stream(body.split("\n"))
    assert (lines.usage, lines.output) == (expected.usage, expected.output)


TEXTS = (
    'data: {"a": 1} is an event.\n\nIt has',
    'data: {"a": 1}\n\ndata: {"a": 2}\n',
    "data: of 2024\ndata: more",
    '{"answer": "yes", "choices": ["a", "b"]}',
    '{"model": "T", "error": "none"}\n{"model": "U"}\n',
    '{\n  "a": 1\n}',
    ":-) hello\nthere",
    "event: the party\nplace: here\n",
    "id: 5\n",
    "d",
    "dat",
    "idea: none",
    "{",
    "\n\n{ok}\n",
)


@pytest.mark.parametrize("written", TEXTS)
def test_texts_that_look_like_a_body_stay_the_models(written: str) -> None:
    """However they are cut, except where a piece of its own is one event; also while there is more to come."""
    for size in (1, 2, 3, 5, len(written)):
        pieces = [written[at : at + size] for at in range(0, len(written), size)]
        if any(piece.startswith("data:") and piece.rstrip().endswith("}") for piece in pieces):
            continue
        assert read_stream(pieces).output == ({"type": "text", "content": written},)
        reader = StreamReader()
        for piece in pieces:
            reader.add(piece)
            assert "".join(part["content"] for part in reader.response().output) == "".join(pieces[: reader.chunks])


@settings(deadline=None)
@given(st.lists(st.sampled_from(["data:", "event: a", ": x", "{", "}", "\n", " ", '"a": 1', "id:", "hi", "", "[DONE]"])))
def test_texts_without_an_event_are_never_lost(pieces: list[str]) -> None:
    """Whatever they look like."""
    assert "".join(part["content"] for part in read_stream(pieces).output) == "".join(pieces)


_ASKED = {"x": 1, "y": ["a"]}


def _called(*ids: str | None) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"type": "tool_call", "name": name, **({"id": call_id} if call_id else {}), "arguments": _ASKED}
        for name, call_id in zip("fg", ids, strict=True)
    )


def _gemini_calls(call: str, arguments: str, *, ids: bool) -> dict[str, Any]:
    parts = [{call: {"name": name, arguments: _ASKED, **({"id": f"c{name}"} if ids else {})}} for name in "fg"]
    return {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5},
    }


_ARGUED = json.dumps(_ASKED)
_OLLAMA_CALLS: dict[str, Any] = {
    "model": "llama3",
    "message": {"content": "", "tool_calls": [{"function": {"name": name, "arguments": _ASKED}} for name in "fg"]},
    "done": False,
}
_ENDED = {"done": True, "done_reason": "stop", "prompt_eval_count": 10, "eval_count": 5}
_OF_BEDROCK = {"stopReason": "tool_use", "usage": {"inputTokens": 10, "outputTokens": 5}}
_COHERE_USAGE = {"usage": {"tokens": {"input_tokens": 10, "output_tokens": 5}}}
TOOL_CALLS: dict[str, tuple[Any, list[Any], tuple[dict[str, Any], ...]]] = {
    "gemini": (
        _gemini_calls("functionCall", "args", ids=True),
        [_gemini_calls("functionCall", "args", ids=True)],
        _called("cf", "cg"),
    ),
    "google-genai": (
        _gemini_calls("function_call", "args", ids=False),
        [_gemini_calls("function_call", "args", ids=False)],
        _called(None, None),
    ),
    "ollama": (
        {**_OLLAMA_CALLS, **_ENDED},
        [_OLLAMA_CALLS, {"model": "llama3", "message": {"content": ""}, **_ENDED}],
        _called(None, None),
    ),
    "bedrock": (
        {
            "output": {
                "message": {"content": [{"toolUse": {"toolUseId": f"c{name}", "name": name, "input": _ASKED}} for name in "fg"]}
            },
            **_OF_BEDROCK,
        },
        [
            {"messageStart": {"role": "assistant"}},
            *[
                event
                for number, name in enumerate("fg")
                for event in (
                    {
                        "contentBlockStart": {
                            "start": {"toolUse": {"toolUseId": f"c{name}", "name": name}},
                            "contentBlockIndex": number,
                        }
                    },
                    *(
                        {"contentBlockDelta": {"delta": {"toolUse": {"input": piece}}, "contentBlockIndex": number}}
                        for piece in (_ARGUED[:5], _ARGUED[5:])
                    ),
                    {"contentBlockStop": {"contentBlockIndex": number}},
                )
            ],
            {"messageStop": {"stopReason": "tool_use"}},
            {"metadata": {"usage": _OF_BEDROCK["usage"]}},
        ],
        _called("cf", "cg"),
    ),
    "cohere 1": (
        {"tool_calls": [{"name": name, "parameters": _ASKED} for name in "fg"], "finish_reason": "COMPLETE", **_COHERE_USAGE},
        [],
        _called(None, None),
    ),
    "cohere 2": (
        {
            "message": {
                "tool_calls": [{"id": f"c{n}", "type": "function", "function": {"name": n, "arguments": _ARGUED}} for n in "fg"]
            },
            "finish_reason": "TOOL_CALL",
            **_COHERE_USAGE,
        },
        [
            *[
                event
                for number, name in enumerate("fg")
                for event in (
                    {
                        "type": "tool-call-start",
                        "index": number,
                        "delta": {"message": {"tool_calls": {"id": f"c{name}", "function": {"name": name, "arguments": ""}}}},
                    },
                    *(
                        {
                            "type": "tool-call-delta",
                            "index": number,
                            "delta": {"message": {"tool_calls": {"function": {"arguments": piece}}}},
                        }
                        for piece in (_ARGUED[:5], _ARGUED[5:])
                    ),
                )
            ],
            {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", **_COHERE_USAGE}},
        ],
        _called("cf", "cg"),
    ),
    "langchain": (
        {
            "type": "ai",
            "content": "",
            "tool_calls": [{"name": name, "args": _ASKED, "id": f"c{name}", "type": "tool_call"} for name in "fg"],
            "usage_metadata": {"input_tokens": 10, "output_tokens": 5},
        },
        [
            *[
                {
                    "type": "AIMessageChunk",
                    "content": "",
                    "tool_calls": [{"name": name, "args": {}, "id": f"c{name}"}],
                    "tool_call_chunks": [{"name": first and name, "args": piece, "id": first and f"c{name}", "index": number}],
                }
                for number, name in enumerate("fg")
                for first, piece in ((True, _ARGUED[:5]), (None, _ARGUED[5:]))
            ],
            {"type": "AIMessageChunk", "content": "", "usage_metadata": {"input_tokens": 10, "output_tokens": 5}},
        ],
        _called("cf", "cg"),
    ),
}


@pytest.mark.parametrize("name", TOOL_CALLS)
def test_calls_of_tools(name: str) -> None:
    """They are parts of the output, as those of OpenAI and Anthropic are, in whole answers and in streams, of every form."""
    answer, chunks, expected = TOOL_CALLS[name]
    for form in (lambda value: value, as_object, as_model, lambda value: json.loads(json.dumps(value))):
        found = read_response(form(answer))
        assert (found.usage, found.output) == (Usage(10, 5), expected if form is not as_object else found.output)
        assert [(part["name"], part.get("id")) for part in found.output] == [(part["name"], part.get("id")) for part in expected]
        if chunks:
            streamed = read_stream([form(chunk) for chunk in chunks])
            assert [(part["name"], part.get("id")) for part in streamed.output] == [(p["name"], p.get("id")) for p in expected]
            assert streamed.usage == Usage(10, 5)
            assert form is as_object or streamed.output == expected
            cut_short = read_stream([form(chunk) for chunk in chunks[:-1]])
            assert len(chunks) == 1 or cut_short.output == streamed.output


@pytest.mark.parametrize("name", TOOL_CALLS)
def test_calls_beside_a_text(name: str) -> None:
    """The text is a part of its own, before them."""
    _, chunks, expected = TOOL_CALLS[name]
    said = {"type": "AIMessageChunk", "content": "hm"} if name == "langchain" else {"text": "hm"}
    if chunks:
        assert [part["type"] for part in read_stream([said, *chunks]).output] == ["text", *(part["type"] for part in expected)]
    if name == "langchain":
        chunks = [{**chunks[0], "content": "hm"}, *chunks[1:]]
        assert read_stream(chunks).output == ({"type": "text", "content": "hm"}, *expected)


@pytest.mark.parametrize("arguments", [[], [1], "x", 3, None, {"a": [object]}])
def test_arguments_that_are_no_object(arguments: Any) -> None:
    """They are kept as they are."""
    chunk = {"message": {"tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}, "done": True, "eval_count": 1}
    assert read_stream([chunk]).output == read_response(chunk).output
    assert read_response(chunk).output[0]["name"] == "f"


def test_a_usage_of_zeros_is_known() -> None:
    """Whoever's it is, in an answer and in a stream: nothing was used, which is another thing than not to know."""
    for sample in SAMPLES:
        if sample.usage.known():
            found = read_response(_zeros(sample.answer), sample.provider).usage.known()
            assert found, sample.name
            assert set(found.values()) == {0}, sample.name
        if sample.chunks and all(isinstance(chunk, dict) and "chunk" not in chunk for chunk in sample.chunks):
            streamed = read_stream([_zeros(chunk) for chunk in sample.chunks]).usage.known()
            assert streamed, sample.name
            assert set(streamed.values()) == {0}, sample.name


def _zeros(value: Any) -> Any:
    """The same with 0 for every count."""
    if isinstance(value, dict):
        return {
            key: 0 if type(inner) is int and key in names.COUNTS else "0" if key.startswith("x-amzn") else _zeros(inner)
            for key, inner in value.items()
            if key != "prefill"  # the tokens themselves
        }
    return [_zeros(inner) for inner in value] if isinstance(value, list) else value


BATCHES = [sample for sample in SAMPLES if "batch" in sample.name]


@pytest.mark.parametrize("sample", BATCHES, ids=lambda sample: sample.name)
def test_answers_of_a_batch(sample: Sample) -> None:
    """They cost what a batch costs, and have the text of the answer, one by one, as lines of JSON and as a stream of all."""
    typed = anthropic.types.messages.MessageBatchIndividualResponse.construct(**sample.answer)
    line = json.dumps(sample.answer)
    for form in (sample.answer, as_object(sample.answer), as_model(sample.answer), line, typed):
        assert read_billing(form).service_tier == "batch"
        assert "hi" in str(read_response(form).output) or "embeddings" in sample.name
    other = line.replace('"id": "', '"id": "2').replace('"responseId": "', '"responseId": "2')
    forms: list[Callable[[str], Any]] = [
        json.loads,
        lambda of: as_object(json.loads(of)),
        lambda of: as_model(json.loads(of)),
        lambda of: of.encode() + b"\n",
    ]
    for make in forms:
        reader = StreamReader()
        reader.add(make(line))
        reader.add(make(other))
        assert reader.response().usage == sample.usage + sample.usage
        assert reader.response().finish_reasons == sample.finish_reasons
        assert reader.billing().service_tier == "batch"


def test_chunks_that_a_proxy_puts_into_a_response() -> None:
    """Those of Gemini's stream are no lines of a batch: their counts are totals so far."""
    (sample,) = [sample for sample in SAMPLES if sample.name == "gemini"]
    assert read_stream({"response": chunk} for chunk in sample.chunks) == read_stream(sample.chunks)


def test_a_mock_that_was_given_its_fields() -> None:
    """A test's mock of a response has what it was given; what it would make up is not asked for."""
    usage = MagicMock(prompt_tokens=5, completion_tokens=2)
    response = MagicMock(choices=[MagicMock(finish_reason="stop")], usage=usage, model="m-1")
    before = len(response.mock_calls), set(response._mock_children)

    assert read_response(response).usage == Usage(5, 2)
    assert read_response(response).model == "m-1"
    assert read_response(MagicMock(spec=dict)) == Response()
    assert (len(response.mock_calls), set(response._mock_children)) == before


class Small(IntEnum):
    THREE = 3


class Raises:
    def __getattr__(self, name: str) -> object:
        raise AttributeError(name) if name.startswith("_") else RuntimeError(name)


class LyingInt(int):
    def __index__(self) -> int:
        raise RuntimeError

    def __lt__(self, other: object) -> bool:
        raise RuntimeError

    def __ge__(self, other: object) -> bool:
        raise RuntimeError

    def __le__(self, other: object) -> bool:
        raise RuntimeError


NOT_COUNTS: list[Any] = [
    *(None, True, False, -1, 3.5, -0.5, float("nan"), float("inf"), 2**63, 10**400, "12", b"12", "", [], [3], {}, 3 + 0j),
    *(Decimal("3.5"), Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Fraction(7, 2), np.bool_(True), np.float64("nan")),
    *(MagicMock(), Mock(), MagicMock(spec=int), object(), Raises(), np.array([3]), lambda: 3),
]
COUNTS: list[Any] = [3, 3.0, Decimal(3), Fraction(3), np.int64(3), np.uint8(3), np.float32(3), Small.THREE, LyingInt(3)]


@pytest.mark.parametrize("value", NOT_COUNTS, ids=lambda value: type(value).__name__)
def test_what_is_no_count_is_unknown(value: object) -> None:
    """Anything but a whole number from 0 is no count, and is no count of a response either."""
    assert as_count(value) is None
    assert read_response({"usage": {"prompt_tokens": value, "completion_tokens": 2}}).usage == Usage(None, 2)


@pytest.mark.parametrize("value", COUNTS, ids=lambda value: type(value).__name__)
def test_whole_numbers_are_counts(value: object) -> None:
    """Whole numbers of Python's and numpy's types become plain integers."""
    found = as_count(value)

    assert type(found) is int
    assert found == 3


def test_amounts() -> None:
    """An amount of money is finite and not negative; text is none."""
    assert [as_amount(value) for value in (0, 0.5, Decimal("0.5"), np.float32(0.5), Fraction(1, 2))] == [0, 0.5, 0.5, 0.5, 0.5]
    bad = [None, True, -1, "0.5", float("nan"), float("inf"), 10**400, MagicMock(), MagicMock(spec=float), Decimal("sNaN"), 1j]
    assert [as_amount(value) for value in bad] == [None] * len(bad)


@pytest.mark.parametrize(
    ("usage", "total", "expected"),
    [
        (Usage(20, 198), 623, Usage(20, 603)),
        (Usage(21), 1044, Usage(21, 1023)),
        (Usage(None, 21), 121, Usage(100, 21)),
        (Usage(9, 2, reasoning_output_tokens=30), 41, Usage(9, 32, reasoning_output_tokens=30)),
        (Usage(9, 2, reasoning_output_tokens=30), None, Usage(9, 32, reasoning_output_tokens=30)),
        (Usage(9, 2, reasoning_output_tokens=30), 11, Usage(9, 2)),
        (Usage(10, 5, 5000), None, Usage(5010, 5, 5000)),
        (Usage(100, 5, 50, 20), 175, Usage(170, 5, 50, 20)),
        (Usage(100, 5, 50, 20), 105, Usage(100, 5, 50, 20)),
        (Usage(8), 8, Usage(8)),
        (Usage(8, 5), 0, Usage(8, 5)),
        (Usage(8, 5), 7, Usage(8, 5)),
        (Usage(), 7, Usage()),
        (Usage(LARGEST_COUNT, 1, LARGEST_COUNT, 1), None, Usage(None, 1, LARGEST_COUNT, 1)),
    ],
)
def test_the_total_is_a_check(usage: Usage, total: int | None, expected: Usage) -> None:
    """The provider's total fills what is missing, and parts that are larger than their sums were left out of them."""
    assert checked(usage, total) == expected


SIZES = st.none() | st.integers(0, 200) | st.integers(0, LARGEST_COUNT)


@settings(deadline=None)
@given(st.builds(Usage, SIZES, SIZES, SIZES, SIZES, SIZES), SIZES)
def test_checked_counts_fit_together(usage: Usage, total: int | None) -> None:
    """Whatever the counts, after the check parts are within their sums; what was known and no contradiction stays."""
    _assert_sound(checked(usage, total))
    assert checked(usage).input_tokens is None or checked(usage).input_tokens >= (usage.input_tokens or 0)


def _assert_sound(usage: Usage) -> None:
    for number in usage.known().values():
        assert type(number) is int
        assert 0 <= number <= LARGEST_COUNT
    if usage.input_tokens is not None:
        assert (usage.cache_read_input_tokens or 0) + (usage.cache_write_input_tokens or 0) <= usage.input_tokens
    if usage.output_tokens is not None:
        assert (usage.reasoning_output_tokens or 0) <= usage.output_tokens


KEYS = sorted(
    {*names.COUNTS, *names.INPUT_DETAILS, *names.OUTPUT_DETAILS, *(name for path in names.PLACES for name in path)}
    | {
        "tokens",
        "billed_units",
        "iterations",
        "results",
        "choices",
        "candidates",
        "message",
        "data",
        "raw",
        "body",
        "chunk",
        "type",
    }
    | {
        "error",
        "errors",
        "status",
        "is_error",
        "num_turns",
        "total_cost_usd",
        "content",
        "stop_reason",
        "id",
        "output",
        "response",
    }
)
LEAVES = st.sampled_from([*NOT_COUNTS, *COUNTS, 0, 1, 50, 51.0, "error", "failed", "message", "assistant"])
MIXTURES = st.recursive(
    LEAVES | st.integers(-5, 500),
    lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, max_size=6) | st.lists(inner, max_size=3),
    max_leaves=25,
)


@settings(deadline=None, max_examples=300)
@given(
    st.dictionaries(st.sampled_from(KEYS), MIXTURES, max_size=8), st.sampled_from([None, "anthropic", "openai", "aws.bedrock"])
)
def test_any_mixture_of_known_names_is_sound(value: dict[str, Any], provider: str | None) -> None:
    """Known names at any depth with anything in them never raise and never give what is no count."""
    for response in (read_response(value, provider), read_response(as_object(value), provider)):
        _assert_sound(response.usage)
        assert response.cost_usd is None or response.cost_usd >= 0
    _assert_sound(usage_in(value, provider))
    read_billing(value)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.dictionaries(st.sampled_from(KEYS), MIXTURES, max_size=6), max_size=5))
def test_any_chunks_are_sound(chunks: list[dict[str, Any]]) -> None:
    """The same for streams."""
    _assert_sound(read_stream(chunks).usage)


@pytest.mark.parametrize("sample", REPEATABLE, ids=lambda sample: sample.name)
def test_a_repeated_chunk_counts_once(sample: Sample) -> None:
    """A chunk that comes twice, as after a reconnect, adds no tokens."""
    assert read_stream([*sample.chunks, sample.chunks[-1]]).usage == read_stream(sample.chunks).usage


@settings(deadline=None)
@given(st.sampled_from([sample for sample in REPEATABLE if "cut anywhere" not in sample.name]), st.randoms())
def test_the_order_of_chunks_changes_no_count(sample: Sample, random: Any) -> None:
    """Counts are the same whichever chunk comes first, as each is a total so far."""
    chunks = list(sample.chunks)
    random.shuffle(chunks)

    assert read_stream(chunks).usage == sample.usage


@settings(deadline=None)
@given(MIXTURES, MIXTURES)
def test_merging_never_makes_a_count_smaller(before: object, after: object) -> None:
    """Of two reports of a number the larger one is kept, also where the other is no number."""
    known = [number for value in (before, after) if (number := as_count(value)) is not None]
    if len(known) == 2:
        assert as_count(merged(before, after)) == max(known)
    elif as_count(before) is not None:
        assert merged(before, after) is before
