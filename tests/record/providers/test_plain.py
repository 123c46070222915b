"""The short way to read an answer, a chunk and a message gives what the careful way gives, or leaves them to that."""

from __future__ import annotations

import contextlib
import copy
import json
import sys
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import anthropic.types
import openai.types.chat
import openai.types.responses
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.record.providers import usage as names
from otel_agentlog.record.providers.messages import input_messages
from otel_agentlog.record.providers.plain import read_plain
from otel_agentlog.record.providers.pricing import Billing
from otel_agentlog.record.providers.read import read_answer, read_billing, read_response
from otel_agentlog.record.providers.stream import StreamReader, unpacked
from otel_agentlog.vocabulary.usage import Failure, Response, Usage
from tests.record.hostile_values import HOSTILE
from tests.support.providers.replies import (
    ANTHROPIC_MESSAGE,
    API_RESPONSE,
    CHAT_COMPLETION,
    EMBEDDINGS,
    anthropic_events,
    chat_events,
    response_events,
)
from tests.support.providers.samples import FAILED, SAMPLES


class Model(pydantic.BaseModel, extra="allow"):
    """A client's model that knows none of its fields."""


def as_model(value: Any, depth: int = 10) -> Any:
    """A JSON object as a pydantic model, at every depth that answers have."""
    if type(value) is dict and depth and all(type(key) is str and key.isidentifier() for key in value):
        return Model.model_construct(**{key: as_model(inner, depth - 1) for key, inner in value.items()})
    return [as_model(inner, depth - 1) for inner in value] if type(value) is list and depth else value


def _plain_message(**usage: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": "hi"}, {"type": "tool_use", "id": "t", "name": "read", "input": {"path": "a.py"}}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "output_tokens": 5, **usage},
    }


CACHED = _plain_message(
    cache_read_input_tokens=7,
    cache_creation_input_tokens=3,
    cache_creation={"ephemeral_1h_input_tokens": 2, "ephemeral_5m_input_tokens": 1},
    server_tool_use={"web_search_requests": 1},
    service_tier="batch",
)
ORDINARY = {
    "message": _plain_message(),
    "cached message": CACHED,
    "anthropic": ANTHROPIC_MESSAGE,
    "chat": CHAT_COMPLETION,
    "responses": API_RESPONSE,
}
_ANTHROPIC_EVENT: Any = pydantic.TypeAdapter(anthropic.types.RawMessageStreamEvent)
_OPENAI_EVENT: Any = pydantic.TypeAdapter(openai.types.responses.ResponseStreamEvent)
CLASSES: dict[str, Any] = {
    **dict.fromkeys(("message", "cached message", "anthropic"), anthropic.types.Message),
    "chat": openai.types.chat.ChatCompletion,
    "responses": openai.types.responses.Response,
}
STREAMS: dict[str, list[Any]] = {
    "anthropic": [event for _, event in anthropic_events(ANTHROPIC_MESSAGE)],
    "chat": [event for _, event in chat_events(CHAT_COMPLETION) if event != "[DONE]"],
    "responses": [event for _, event in response_events(API_RESPONSE)],
    "texts": ["Hel", "lo", "{", ""],
}
OTHERS = [sample.answer for sample in SAMPLES] + [failed.answer for failed in FAILED] + [EMBEDDINGS]


def shown(value: object, left: list[int] | None = None) -> object:
    """A value so that equal ones are alike in type and in the order of keys; foreign objects only equal themselves.

    No more than 20,000 values of it: one may contain itself.
    """
    kind, left = type(value), [20_000] if left is None else left
    left[0] -= 1
    if left[0] < 0:
        return None
    # By identity: a class of classes may compare as it likes, and raise.
    name = type.__dict__["__name__"].__get__(kind)
    if kind is dict:
        return [(shown(key, left), shown(inner, left)) for key, inner in value.items()]  # type: ignore[attr-defined]
    if any(kind is each for each in (list, tuple, Usage)):
        return name, [shown(inner, left) for inner in value]  # type: ignore[attr-defined]
    if any(kind is each for each in (Response, Billing)):
        return [(name, shown(inner, left)) for name, inner in vars(value).items()]
    plain = any(kind is each for each in (str, int, bool, bytes, type(None), Failure))
    return (name, value if plain else repr(value) if kind is float else id(value))


def same(answer: object) -> bool:
    """Assert that both ways agree on an answer; whether the short one took it."""
    try:
        found = read_plain(answer)
    except Exception:
        found = None
    for provider in ("anthropic", "openai", None):
        careful = read_response(answer, provider), read_billing(answer)
        assert found is None or shown(found) == shown(careful)
        assert shown(read_answer(answer, provider)) == shown(careful)
    return found is not None


def typed(name: str, answer: Any) -> Any:
    """The object of the client that has this answer, whatever is wrong with it."""
    return CLASSES[name].construct(**answer)


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_answers_take_the_short_way(name: str) -> None:
    """As dicts, as the clients' objects, as their dicts with all fields, and as models of no known class."""
    answer = copy.deepcopy(ORDINARY[name])

    for form in (answer, typed(name, answer), typed(name, answer).model_dump(), as_model(answer), json.loads(json.dumps(answer))):
        assert same(form), form


@pytest.mark.parametrize("answer", OTHERS)
def test_answers_of_all_providers(answer: Any) -> None:
    """Whichever way they take."""
    same(answer)
    same(as_model(answer))


NAMES = st.sampled_from(
    sorted(
        {name for path in names.PLACES for name in path}
        | {*names.COUNTS, *names.INPUT_DETAILS, *names.OUTPUT_DETAILS}
        | {
            "error",
            "Error",
            "errors",
            "error_msg",
            "error_code",
            "base_resp",
            "throttlingException",
            "is_error",
            "num_turns",
            "result",
            "last_error",
        }
        | {"subtype", "status", "status_details", "status_code", "headers", "finish_reason", "delta", "object", "type", "choices"}
        | {"content", "stop_reason", "id", "model", "message_id", "output", "total_cost_usd", "_hidden_params", "http_response"}
        | {"service_tier", "speed", "cache_creation", "cacheDetails", "server_tool_use", "tool_usage", "cost", "is_byok"}
        | {"cost_in_usd_ticks", "cost_details", "billed_units", "tokens", "iterations", "prefill", "citations", "annotations"}
        | {"reasoning_content", "refusal", "audio", "tool_calls", "function_call", "function", "custom", "index", "text", "name"}
        | {
            "arguments",
            "input",
            "toolset_name",
            "call_id",
            "summary",
            "incomplete_details",
            "results",
            "candidates",
            "data",
            "code",
        }
    )
)


class Text(str):
    """A string of a class of its own, as the values of enums are."""


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 60),
    st.sampled_from([2**63 - 1, 2**63, 10**30, 1.0, 2.5, float("nan"), Decimal(3), "", "error", "failed", "cancelled", "7"]),
    st.sampled_from(
        [Text("error"), Text("hi"), "message", "response", "completed", "tool_use", "Network_Error", "text", "tokens"]
    ),
    st.sampled_from(
        [[], {}, (), [None], [{}], {"message": "no", "code": 500}, [{"text": "a"}], {"total_cost": 0.5}, {"a": {"b": 1}}]
    ),
    st.sampled_from([{"cached_tokens": 4}, {"cached_tokens": 4000}, {"reasoning_tokens": 3}, {"usage": {"input_tokens": 3}}]),
    st.sampled_from([{"status_code": 1, "status_msg": "no"}, {"web_search": {"num_requests": 3}}, {"web_search_requests": -1}]),
    st.builds(object),
    st.builds(MagicMock),
    st.builds(SimpleNamespace, type=st.just("text"), text=st.just("hi")),
    st.builds(Text, st.sampled_from(sorted(HOSTILE))),  # made when it is put in: hypothesis would look at it
)


def odd(draw: Any) -> Any:
    """A value that is not what it should be."""
    value = draw(_VALUES)
    return HOSTILE[value]() if type(value) is Text and value in HOSTILE else value


def _places(value: Any, depth: int = 8) -> list[Any]:
    """All dicts and lists in a value, as deep as those of answers are."""
    inside = (value.values() if type(value) is dict else value if type(value) is list else ()) if depth else ()
    own = [value] if type(value) in (dict, list) else []
    return own + [place for inner in inside for place in _places(inner, depth - 1)]


def _copied(value: Any, depth: int = 9) -> Any:
    """A value with dicts and lists of its own at all its `_places`; odd values that were put in before cannot all be copied."""
    if depth and type(value) is dict:
        return {key: _copied(inner, depth - 1) for key, inner in value.items()}
    return [_copied(inner, depth - 1) for inner in value] if depth and type(value) is list else value


class Made:
    """What was drawn: hypothesis looks at what it draws, which hostile values do not like."""

    def __init__(self, value: Any) -> None:
        self.value = value


@st.composite
def mutated(draw: Any, given_: Any) -> Made:
    """A value with some keys gone, others added, and values replaced by odd ones."""
    value = _copied(given_)
    places = _places(value)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(places))
        how = draw(st.sampled_from(["remove", "replace", "replace", "add"]))
        keys = list(place) if isinstance(place, dict) else range(len(place))
        if how == "add" and isinstance(place, dict):
            place[draw(NAMES)] = odd(draw)
        elif keys:
            key = draw(st.sampled_from(keys))
            if how == "remove":
                del place[key]
            else:
                place[key] = odd(draw)
    return Made(value)


FORMS: dict[str, Callable[[str, Any], Any]] = {
    "dict": lambda name, answer: answer,
    "object of the client": typed,
    "model": lambda name, answer: as_model(answer),
}


@pytest.mark.parametrize("name", ORDINARY)
@settings(max_examples=80, deadline=None)
@given(data=st.data(), form=st.sampled_from(sorted(FORMS)))
def test_both_ways_agree_on_an_answer(name: str, form: str, data: st.DataObject) -> None:
    """With whatever a copy of an API, a proxy or a test puts into it, or leaves out."""
    answer = data.draw(mutated(ORDINARY[name])).value
    # The clients' validator reports there, and only there, that a value cannot be shown in a message of its own.
    report, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        given_ = FORMS[form](name, answer)
    except Exception:
        return  # the client makes no object of that
    finally:
        sys.unraisablehook = report
    same(given_)


def careful_reader(chunks: list[Any]) -> StreamReader:
    """A reader that takes every chunk the careful way."""
    reader = StreamReader()
    for chunk in chunks:
        with contextlib.suppress(Exception):
            if isinstance(chunk, (bytes, bytearray)):
                reader._add_bytes(bytes(chunk))
            else:
                reader._add(unpacked(chunk))
    return reader


def same_stream(chunks: list[Any]) -> StreamReader:
    """Assert that both ways make the same of a stream."""
    reader, careful = StreamReader(), careful_reader(chunks)
    for chunk in chunks:
        reader.add(chunk)
    assert reader.chunks == careful.chunks
    assert shown(reader._joined()) == shown(careful._joined())
    assert shown((reader.response(), reader.billing())) == shown((careful.response(), careful.billing()))
    return reader


@pytest.mark.parametrize("stream", [sample.chunks for sample in SAMPLES if sample.chunks] + [one.chunks for one in FAILED])
def test_streams_of_all_providers(stream: list[Any]) -> None:
    """Whichever way their chunks take."""
    same_stream(stream)
    same_stream([as_model(chunk) for chunk in stream])


@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=60, deadline=None)
@given(data=st.data(), form=st.sampled_from(["dict", "model"]))
def test_both_ways_agree_on_a_stream(name: str, form: str, data: st.DataObject) -> None:
    """With odd values in some chunks, chunks left out, and chunks of other streams among them."""
    chunks: list[Any] = copy.deepcopy(STREAMS[name])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(chunks) - 1))
        how = data.draw(st.sampled_from(["mutate", "mutate", "remove", "other"]))
        if how == "mutate":
            chunks[place] = data.draw(mutated(chunks[place])).value if type(chunks[place]) is dict else odd(data.draw)
        elif how == "other":
            other = STREAMS[data.draw(st.sampled_from(sorted(STREAMS)))]
            chunks.insert(place, copy.deepcopy(data.draw(st.sampled_from(other))))
        elif len(chunks) > 1:
            del chunks[place]
    same_stream([as_model(chunk) for chunk in chunks] if form == "model" else chunks)


def test_both_ways_agree_on_streams_of_objects() -> None:
    """The classes of the clients."""
    same_stream([_ANTHROPIC_EVENT.validate_python(event) for event in STREAMS["anthropic"] if event["type"] != "ping"])
    same_stream([openai.types.chat.ChatCompletionChunk.construct(**chunk) for chunk in STREAMS["chat"]])
    same_stream([_OPENAI_EVENT.validate_python(event) for event in STREAMS["responses"]])


MESSAGES: st.SearchStrategy[list[Any]] = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "tool", "function", "", Text("user"), None, 1])},
        optional={
            "content": st.sampled_from(["hi", "", None, Text("hi"), [{"type": "text", "text": "a"}], ["a"], 3, {}]),
            "name": st.sampled_from(["a", "", None]),
        },
    ),
    max_size=4,
)


@settings(max_examples=200, deadline=None)
@given(MESSAGES)
def test_both_ways_agree_on_messages(messages: list[Any]) -> None:
    """A message in a class of its own, which is no plain dict, takes the careful way."""

    class Message(dict[str, Any]):
        pass

    assert shown(input_messages(messages)) == shown(input_messages([Message(message) for message in messages]))
