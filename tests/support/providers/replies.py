"""What model providers say over HTTP, as plain JSON and as events of a stream; no server here.

Shapes: Anthropic's Messages API, OpenAI's chat completions, responses and embeddings APIs, as the packages ``anthropic`` 2.11
and ``openai`` 3.52 read them. Every event list is made from the whole answer, cut into pieces of ``size`` characters.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
Event = tuple[str | None, Json | str]
"""Name (Anthropic and responses) and data of one server-sent event."""

ANTHROPIC_MESSAGE: Json = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [
        {"type": "thinking", "thinking": "The file is small, so read it whole.", "signature": "c2lnbmVk"},
        {"type": "text", "text": "I will read the file — «naïve» 🙂."},
        {"type": "tool_use", "id": "toolu_01", "name": "Read", "input": {"path": "a.py", "limit": None, "lines": [1, 2]}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 100,
        "output_tokens": 50,
        "cache_read_input_tokens": 2000,
        "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 100},
        "output_tokens_details": {"thinking_tokens": 20},
        "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
        "service_tier": "standard",
    },
}

CHAT_COMPLETION: Json = {
    "id": "chatcmpl-01",
    "object": "chat.completion",
    "created": 1_760_000_000,
    "model": "gpt-5-2025-08-07",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "I will read the file — «naïve» 🙂.",
                "refusal": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "Read", "arguments": '{"path": "a.py", "limit": null}'},
                    },
                    {"id": "call_2", "type": "function", "function": {"name": "List", "arguments": '{"path": "."}'}},
                ],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {
        "prompt_tokens": 2400,
        "completion_tokens": 50,
        "total_tokens": 2450,
        "prompt_tokens_details": {"cached_tokens": 2000, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 20},
    },
    "service_tier": "default",
}

API_RESPONSE: Json = {
    "id": "resp_01",
    "object": "response",
    "created_at": 1_760_000_000,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "model": "gpt-5-2025-08-07",
    "output": [
        {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "The file is small."}]},
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "I will read the file — «naïve» 🙂.", "annotations": []}],
        },
        {
            "id": "fc_1",
            "type": "function_call",
            "call_id": "call_1",
            "name": "Read",
            "arguments": '{"path": "a.py"}',
            "status": "completed",
        },
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 2400,
        "input_tokens_details": {"cached_tokens": 2000, "cache_write_tokens": 300},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 20},
        "total_tokens": 2450,
    },
}

EMBEDDINGS: Json = {
    "object": "list",
    "model": "text-embedding-3-small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}],
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}


def pieces(text: str, size: int) -> list[str]:
    """A text cut into pieces; at least one, which may be empty."""
    return [text[i : i + size] for i in range(0, len(text), size)] or [""]


def anthropic_events(message: Json, size: int = 7) -> list[Event]:
    """The events of a Message: what it starts with are placeholders, as on the real wire."""
    usage = message["usage"]
    early = {**usage, "output_tokens": 1}
    started = {**message, "content": [], "stop_reason": None, "usage": early}
    events: list[Json] = [{"type": "message_start", "message": started}, {"type": "ping"}]
    for index, block in enumerate(message["content"]):
        events.extend(_block_events(index, block, size))
    late = {key: usage[key] for key in ("output_tokens", "output_tokens_details") if key in usage}
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    events += [{"type": "message_delta", "delta": delta, "usage": late}, {"type": "message_stop"}]
    return [(event["type"], event) for event in events]


def _block_events(index: int, block: Json, size: int) -> Iterator[Json]:
    deltas: list[Json] = []
    start = dict(block)
    if block["type"] == "text":
        start["text"] = ""
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"], size)]
    elif block["type"] == "thinking":
        start |= {"thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"], size)]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif block["type"] in ("tool_use", "server_tool_use"):
        start["input"] = {}
        written = json.dumps(block["input"]) if block["input"] else ""
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *pieces(written, size)]]
    yield {"type": "content_block_start", "index": index, "content_block": start}
    yield from ({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
    yield {"type": "content_block_stop", "index": index}


def chat_events(completion: Json, size: int = 7, *, include_usage: bool = True) -> list[Event]:
    """The chunks of a chat completion, with ``[DONE]`` at the end."""
    head = {key: completion[key] for key in ("id", "created", "model") if key in completion}
    head |= {"object": "chat.completion.chunk", "usage": None}
    chunks: list[Json] = []
    for choice in completion["choices"]:
        for delta in _chat_deltas(choice["message"], size):
            chunks.append({**head, "choices": [{"index": choice["index"], "delta": delta, "finish_reason": None}]})
        last = {"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]}
        chunks.append({**head, "choices": [last]})
    if include_usage:
        chunks.append({**head, "choices": [], "usage": completion["usage"]})
    return [*((None, chunk) for chunk in chunks), (None, "[DONE]")]


def _chat_deltas(message: Json, size: int) -> Iterator[Json]:
    yield {"role": "assistant", "content": "" if message.get("content") else None}
    for name in ("reasoning_content", "content", "refusal"):
        if message.get(name):
            yield from ({name: piece} for piece in pieces(message[name], size))
    for index, call in enumerate(message.get("tool_calls") or []):
        function = call["function"]
        yield {"tool_calls": [{"index": index, **call, "function": {"name": function["name"], "arguments": ""}}]}
        for piece in pieces(function["arguments"], size):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def response_events(response: Json, size: int = 7) -> list[Event]:
    """The events of a Responses API response; the last one has all of it."""
    started = {**response, "status": "in_progress", "output": [], "usage": None}
    events: list[Json] = [{"type": "response.created", "response": started}]
    events.append({"type": "response.in_progress", "response": started})
    for index, item in enumerate(response["output"]):
        events.extend({"item_id": item["id"], "output_index": index, **event} for event in _item_events(item, size))
    events.append({"type": f"response.{response['status']}", "response": response})
    return [(event["type"], {**event, "sequence_number": number}) for number, event in enumerate(events)]


def _item_events(item: Json, size: int) -> Iterator[Json]:
    if item["type"] == "message":
        yield {"type": "response.output_item.added", "item": {**item, "status": "in_progress", "content": []}}
        for index, part in enumerate(item["content"]):
            yield {"type": "response.content_part.added", "content_index": index, "part": {**part, "text": ""}}
            for piece in pieces(part["text"], size):
                yield {"type": "response.output_text.delta", "content_index": index, "delta": piece, "logprobs": []}
            yield {"type": "response.output_text.done", "content_index": index, "text": part["text"], "logprobs": []}
            yield {"type": "response.content_part.done", "content_index": index, "part": part}
    elif item["type"] == "function_call":
        yield {"type": "response.output_item.added", "item": {**item, "arguments": "", "status": "in_progress"}}
        for piece in pieces(item["arguments"], size):
            yield {"type": "response.function_call_arguments.delta", "delta": piece}
        yield {"type": "response.function_call_arguments.done", "arguments": item["arguments"]}
    elif item["type"] == "reasoning":
        yield {"type": "response.output_item.added", "item": {**item, "summary": []}}
        for index, part in enumerate(item["summary"]):
            for piece in pieces(part["text"], size):
                yield {"type": "response.reasoning_summary_text.delta", "summary_index": index, "delta": piece}
    else:
        yield {"type": "response.output_item.added", "item": item}
    yield {"type": "response.output_item.done", "item": item}


def error_body(path: str, status: int, message: str) -> Json:
    """A failure in the provider's own words."""
    if path == "/v1/messages":
        kind = {429: "rate_limit_error", 529: "overloaded_error"}.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_01"}
    kind = "rate_limit_exceeded" if status == 429 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": kind}}
