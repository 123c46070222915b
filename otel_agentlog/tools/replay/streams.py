"""An answer as the server-sent events of its API. What arrives together is what `answers.answer` gives.

Names and order of the events are those of the APIs as the packages ``anthropic`` 2.14 and ``openai`` 3.57 read them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from otel_agentlog.tools.replay.answers import CHAT, MESSAGES, RESPONSES, Json
from otel_agentlog.vocabulary.coerce import mapping, objects, text

PIECE_CHARACTERS = 24
"""Of a text in one event."""

_Event = tuple[str | None, Any]
"""Its name, where it has one, and its data."""


def events(api: str, body: Json, request: Mapping[str, Any]) -> Iterator[bytes]:
    """The events of an answer, each as it is written."""
    for name, data in _EVENTS[api](body, request):
        head = f"event: {name}\n" if name else ""
        yield head.encode() + b"data: " + (data if isinstance(data, bytes) else orjson.dumps(data)) + b"\n\n"


def _pieces(whole: str) -> list[str]:
    return [whole[at : at + PIECE_CHARACTERS] for at in range(0, len(whole), PIECE_CHARACTERS)]


# -- Anthropic's messages ------------------------------------------------------------------------------------------------------


def _message(body: Json, request: Mapping[str, Any]) -> Iterator[_Event]:
    usage = body["usage"]
    early = {**usage, "output_tokens": 0}
    early.pop("output_tokens_details", None)
    yield _named({"type": "message_start", "message": {**body, "content": [], "stop_reason": None, "usage": early}})
    for index, block in enumerate(body["content"]):
        yield from map(_named, _block(index, block))
    late = {key: usage[key] for key in ("output_tokens", "output_tokens_details") if key in usage}
    ended = {"stop_reason": body["stop_reason"], "stop_sequence": body["stop_sequence"]}
    yield _named({"type": "message_delta", "delta": ended, "usage": late})
    yield _named({"type": "message_stop"})


def _named(event: Json) -> _Event:
    return event["type"], event


def _block(index: int, block: Json) -> Iterator[Json]:
    start, deltas = dict(block), list[Json]()
    if block["type"] == "text":
        start["text"] = ""
        if start.pop("citations", None):
            start["citations"] = []
        deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
        deltas += [{"type": "citations_delta", "citation": each} for each in block.get("citations") or ()]
    elif block["type"] == "thinking":
        start |= {"thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif block["type"] in ("tool_use", "server_tool_use", "mcp_tool_use"):
        start["input"] = {}
        whole = block["input"] if isinstance(block["input"], str) else orjson.dumps(block["input"]).decode()
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *_pieces(whole)]]
    yield {"type": "content_block_start", "index": index, "content_block": start}
    yield from ({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
    yield {"type": "content_block_stop", "index": index}


# -- OpenAI's chat completions -------------------------------------------------------------------------------------------------


def _completion(body: Json, request: Mapping[str, Any]) -> Iterator[_Event]:
    head = {**{key: body[key] for key in ("id", "created", "model")}, "object": "chat.completion.chunk"}
    wants_usage = mapping(request, "stream_options").get("include_usage") is True
    if wants_usage:
        head["usage"] = None
    for choice in body["choices"]:
        for delta in _deltas(choice["message"]):
            yield None, {**head, "choices": [{"index": choice["index"], "delta": delta, "finish_reason": None}]}
        ended = {"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]}
        yield None, {**head, "choices": [ended]}
    # OpenAI sends it to those who ask for it, others to all: where it is on record, it came.
    if "usage" in body:
        yield None, {**head, "choices": [], "usage": body["usage"]}
    yield None, b"[DONE]"


def _deltas(message: Json) -> Iterator[Json]:
    yield {"role": "assistant", "content": None if message["content"] is None else ""}
    for name in ("reasoning_content", "content", "refusal"):
        yield from ({name: piece} for piece in _pieces(message.get(name) or ""))
    for index, call in enumerate(message.get("tool_calls") or ()):
        kind = call["type"]
        key = "arguments" if kind == "function" else "input"
        yield {"tool_calls": [{"index": index, **call, kind: {"name": call[kind]["name"], key: ""}}]}
        for piece in _pieces(call[kind][key]):
            yield {"tool_calls": [{"index": index, kind: {key: piece}}]}
    if "function_call" in message:
        yield {"function_call": message["function_call"]}
    if "audio" in message:
        yield {"audio": message["audio"]}


# -- OpenAI's responses --------------------------------------------------------------------------------------------------------


def _api_response(body: Json, request: Mapping[str, Any]) -> Iterator[_Event]:
    started = {**body, "status": "in_progress", "output": [], "usage": None, "error": None, "incomplete_details": None}
    found: list[Json] = [{"type": f"response.{state}", "response": started} for state in ("created", "in_progress")]
    for index, item in enumerate(body["output"]):
        found += ({"output_index": index, "item_id": item.get("id"), **event} for event in _item(item))
    found.append({"type": f"response.{body['status']}", "response": body})
    for number, event in enumerate(found):
        yield _named({**event, "sequence_number": number})


_GROWING = {"function_call": ("arguments", "function_call_arguments"), "custom_tool_call": ("input", "custom_tool_call_input")}
_PARTS = {"output_text": ("text", "output_text"), "refusal": ("refusal", "refusal")}


def _item(item: Json) -> Iterator[Json]:
    kind = text(item, "type") or ""
    if kind == "message":
        yield {"type": "response.output_item.added", "item": {**item, "status": "in_progress", "content": []}}
        for index, part in enumerate(objects(item, "content")):
            yield from ({"content_index": index, **event} for event in _part(dict(part)))
    elif kind == "reasoning":
        yield {"type": "response.output_item.added", "item": {**item, "summary": []}}
        for index, part in enumerate(objects(item, "summary")):
            yield from ({"summary_index": index, **event} for event in _thought(dict(part)))
    elif kind in _GROWING:
        key, name = _GROWING[kind]
        yield {"type": "response.output_item.added", "item": {**item, key: "", "status": "in_progress"}}
        yield from ({"type": f"response.{name}.delta", "delta": piece} for piece in _pieces(item[key]))
        yield {"type": f"response.{name}.done", key: item[key], "name": item.get("name")}
    else:
        yield {"type": "response.output_item.added", "item": item}
    yield {"type": "response.output_item.done", "item": item}


def _part(part: Json) -> Iterator[Json]:
    key, name = _PARTS[part["type"]]
    logged: Json = {"logprobs": []} if key == "text" else {}
    yield {"type": "response.content_part.added", "part": {**part, key: ""}}
    yield from ({"type": f"response.{name}.delta", "delta": piece, **logged} for piece in _pieces(part[key]))
    yield {"type": f"response.{name}.done", key: part[key], **logged}
    yield {"type": "response.content_part.done", "part": part}


def _thought(part: Json) -> Iterator[Json]:
    yield {"type": "response.reasoning_summary_part.added", "part": {**part, "text": ""}}
    for piece in _pieces(part["text"]):
        yield {"type": "response.reasoning_summary_text.delta", "delta": piece}
    yield {"type": "response.reasoning_summary_text.done", "text": part["text"]}
    yield {"type": "response.reasoning_summary_part.done", "part": part}


_EVENTS: Mapping[str, Callable[[Json, Mapping[str, Any]], Iterator[_Event]]] = {
    MESSAGES: _message,
    CHAT: _completion,
    RESPONSES: _api_response,
}
