"""Answers of providers, recorded and rebuilt: a client sees the same, whole and streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from openai.types.responses import Response as ApiResponse

import otel_agentlog as agentlog
from otel_agentlog.record.providers.read import read_response
from otel_agentlog.record.providers.stream import StreamReader
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.testing import Recorded, record_in
from otel_agentlog.tools.replay.answers import CHAT, MESSAGES, RESPONSES, answer
from otel_agentlog.tools.replay.recorded import RecordedCall, read_record
from otel_agentlog.tools.replay.server import ReplayServer
from otel_agentlog.tools.replay.streams import events
from tests.support.providers.replies import ANTHROPIC_MESSAGE, API_RESPONSE, CHAT_COMPLETION, Json

# What is printable, by its categories: a filter would throw nearly all of it away.
PRINTABLE = st.characters(exclude_categories=["C", "Z"], include_characters=" ")
TEXT = st.text(PRINTABLE, min_size=1, max_size=60).filter(lambda text: "[redacted" not in text)
WORD = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,11}", fullmatch=True)
COUNT = st.integers(1, 2**40)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(WORD.map(lambda word: f"a{word}"), VALUES, max_size=3)


@st.composite
def messages(draw: st.DrawFn) -> Json:
    """A Message of Anthropic's."""
    blocks = st.one_of(
        TEXT.map(lambda text: {"type": "text", "text": text}),
        TEXT.map(lambda text: {"type": "thinking", "thinking": text, "signature": "c2ln"}),
        st.builds(lambda name, given: {"type": "tool_use", "id": "toolu_1", "name": name, "input": given}, WORD, ARGUMENTS),
    )
    usage = {"input_tokens": draw(COUNT), "output_tokens": draw(COUNT)}
    for name in ("cache_read_input_tokens", "cache_creation_input_tokens"):
        if (count := draw(st.none() | COUNT)) is not None:
            usage[name] = count
    reason = draw(st.sampled_from(["end_turn", "tool_use", "max_tokens", "refusal", "pause_turn"]))
    content = draw(st.lists(blocks, min_size=1, max_size=4))
    return {**ANTHROPIC_MESSAGE, "content": content, "stop_reason": reason, "usage": usage}


@st.composite
def completions(draw: st.DrawFn) -> Json:
    """A completion of OpenAI's, of one or more choices."""
    choices = []
    for index in range(draw(st.integers(1, 3))):
        calls = draw(st.lists(st.tuples(WORD, ARGUMENTS), max_size=3))
        message: Json = {"role": "assistant", "content": draw(TEXT if not calls else st.none() | TEXT), "refusal": None}
        if calls:
            message["tool_calls"] = [
                {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
                for n, (name, given) in enumerate(calls)
            ]
        elif draw(st.booleans()):
            message |= {"content": None, "refusal": draw(TEXT)}
        reason = "tool_calls" if calls else draw(st.sampled_from(["stop", "length", "content_filter"]))
        choices.append({"index": index, "message": message, "finish_reason": reason, "logprobs": None})
    given, made = draw(COUNT), draw(COUNT)
    usage: Json = {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}
    if draw(st.booleans()):
        usage["prompt_tokens_details"] = {"cached_tokens": draw(st.integers(0, given))}
        usage["completion_tokens_details"] = {"reasoning_tokens": draw(st.integers(0, made))}
    return {**CHAT_COMPLETION, "choices": choices, "usage": usage}


@st.composite
def api_responses(draw: st.DrawFn) -> Json:
    """A Response of OpenAI's; of neighbours in it none are of one kind that would be joined."""
    pieces = st.one_of(
        TEXT.map(lambda text: {"type": "output_text", "text": text, "annotations": []}),
        TEXT.map(lambda text: {"type": "refusal", "refusal": text}),
    )
    items = st.one_of(
        st.lists(pieces, min_size=1, max_size=3).map(lambda found: {"type": "message", "role": "assistant", "content": found}),
        st.lists(TEXT, min_size=1, max_size=2).map(
            lambda found: {"type": "reasoning", "summary": [{"type": "summary_text", "text": text} for text in found]}
        ),
        st.builds(
            lambda name, given: {"type": "function_call", "call_id": "call_1", "name": name, "arguments": json.dumps(given)},
            WORD,
            ARGUMENTS,
        ),
    )
    output: list[Json] = []
    for number, item in enumerate(draw(st.lists(items, min_size=1, max_size=4))):
        if item["type"] == "function_call" or not output or output[-1]["type"] != item["type"]:
            output.append({"id": f"item_{number}", "status": "completed", **item})
    given, made = draw(COUNT), draw(COUNT)
    usage = {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}
    details = {"input_tokens_details": {"cached_tokens": draw(st.integers(0, given)), "cache_write_tokens": 0}}
    details |= {"output_tokens_details": {"reasoning_tokens": draw(st.integers(0, made))}}
    ended = draw(st.sampled_from([("completed", None), ("incomplete", {"reason": "max_output_tokens"})]))
    return {**API_RESPONSE, "output": output, "usage": usage | details, "status": ended[0], "incomplete_details": ended[1]}


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """Records for all examples of this module."""
    with record_in(tmp_path_factory.mktemp("answers")) as recorded:
        yield recorded


def recorded_call(recording: Recorded, body: Json) -> RecordedCall:
    """The call that an answer was recorded of, as it is read from the task's folder."""
    with agentlog.task("Ask") as task, agentlog.ai_call("a-model") as call:
        call.record(body)
    assert task.folder is not None
    (found,) = read_record(TaskReader(task.folder)).calls
    assert found.missing == []
    return found


def seen(api: str, body: Json) -> Any:
    """What a program sees of an answer by the client's own types; what the record does not have is the same everywhere."""
    kinds: dict[str, Any] = {MESSAGES: Message, CHAT: ChatCompletion, RESPONSES: ApiResponse}
    found = json.loads(kinds[api].model_validate(body).model_dump_json(exclude_none=True))
    for name in ("created", "created_at", "service_tier", "cache_creation", "server_tool_use"):
        found.pop(name, None)
    return _comparable(found)


def _comparable(value: Any) -> Any:
    if isinstance(value, dict):
        made_up = ("signature", "annotations", "input_tokens_details", "output_tokens_details")
        kept = {key: item for key, item in value.items() if key not in made_up or key.endswith("details")}
        if value.get("type") in ("message", "reasoning", "function_call") and "stop_reason" not in value:
            kept.pop("id", None)
            kept.pop("status", None)
        if isinstance(value.get("arguments"), str):
            kept["arguments"] = json.loads(value["arguments"])
        return {key: _comparable(item) for key, item in kept.items()}
    return [_comparable(item) for item in value] if isinstance(value, list) else value


ANY = st.one_of(
    messages().map(lambda body: (MESSAGES, body)),
    completions().map(lambda body: (CHAT, body)),
    api_responses().map(lambda body: (RESPONSES, body)),
)


# The thread that sends draws how long it waits, which hypothesis takes for a strategy's doing.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
@given(found=ANY)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_an_answer_comes_back_as_it_was(recording: Recorded, found: tuple[str, Json]) -> None:
    """Answer → lines → answer: what the client's types have is equal; and so is what is recorded of both, also of the stream."""
    api, body = found
    call = recorded_call(recording, deepcopy(body))
    request: Json = {"tools": [], "stream_options": {"include_usage": True}}
    rebuilt = answer(api, call, request)

    assert seen(api, rebuilt) == seen(api, body)
    read = read_response(rebuilt)
    assert read == read_response(body)
    reader = StreamReader()
    for event in events(api, rebuilt, request):
        data = event.rpartition(b"data: ")[2].strip()
        if data != b"[DONE]":
            reader.add(json.loads(data))
    assert reader.response() == read


def test_the_samples_come_back_by_the_real_clients(recording: Recorded) -> None:
    """Whole and streamed, each by its official client from the local server."""
    with agentlog.task("Ask") as task:
        for body in (ANTHROPIC_MESSAGE, ANTHROPIC_MESSAGE, CHAT_COMPLETION, CHAT_COMPLETION, API_RESPONSE, API_RESPONSE):
            with agentlog.ai_call("a-model") as call:
                call.record(body)
    assert task.folder is not None
    ask: Any = {"model": "a-model", "messages": [{"role": "user", "content": "Hm?"}]}
    with ReplayServer(read_record(TaskReader(task.folder))) as server:
        claude = anthropic.Anthropic(base_url=f"{server.url}/anthropic", api_key="-")
        gpt = openai.OpenAI(base_url=f"{server.url}/openai/v1", api_key="-")
        whole: list[Any] = [claude.messages.create(max_tokens=9, **ask)]
        with claude.messages.stream(max_tokens=9, **ask) as stream:
            whole.append(stream.get_final_message())
        whole.append(gpt.chat.completions.create(**ask))
        with gpt.chat.completions.stream(stream_options={"include_usage": True}, **ask) as chunks:
            whole.append(chunks.get_final_completion())
        whole.append(gpt.responses.create(model="a-model", input="Hm?"))
        with gpt.responses.stream(model="a-model", input="Hm?") as pieces:
            whole.append(pieces.get_final_response())
        with pytest.raises(anthropic.APIStatusError) as nothing_left:
            claude.messages.create(max_tokens=9, **ask)
        claude.close()
        gpt.close()

    bodies = (ANTHROPIC_MESSAGE, ANTHROPIC_MESSAGE, CHAT_COMPLETION, CHAT_COMPLETION, API_RESPONSE, API_RESPONSE)
    for body, client_s in zip(bodies, whole, strict=True):
        read = read_response(client_s)
        assert (read.usage, read.output) == (read_response(body).usage, read_response(body).output)
        assert (read.finish_reasons, read.response_id, read.model) == read_response_head(body)
        assert read.cost_usd == 0
    assert "the record has no answer to this request" in str(nothing_left.value)


def read_response_head(body: Json) -> tuple[tuple[str, ...], str | None, str | None]:
    """Reasons, id and model."""
    read = read_response(body)
    return read.finish_reasons, read.response_id, read.model
