"""What a model answered, from the record back into a provider's own shape, as its client reads it.

The reverse of ``anthropic.py``, ``openai_chat.py`` and ``openai_responses.py`` in ``record.providers``, which make parts of it.
What the record does not have is made up where a client needs it: ids of items, signatures of thinking, the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from otel_agentlog.record.providers.parts import CHOICE
from otel_agentlog.tools.replay.recorded import RecordedCall
from otel_agentlog.vocabulary.coerce import mapping, objects, text

Json = dict[str, Any]
Part = Mapping[str, Any]

SIGNATURE = "YWdlbnRsb2ctcmVwbGF5"
"""Of thinking that is given again: ``agentlog-replay`` in base64. The record has no signatures."""

MESSAGES, CHAT, RESPONSES = "messages", "chat", "responses"
"""The three APIs."""


def answer(api: str, call: RecordedCall, request: Mapping[str, Any]) -> Json:
    """The body that answers a request to one of the APIs."""
    return _BUILDERS[api](call, request)


# -- Anthropic's messages ------------------------------------------------------------------------------------------------------


def _message(call: RecordedCall, request: Mapping[str, Any]) -> Json:
    has_tools = any(part.get("type") == "tool_call" for part in call.parts)
    reason = call.finish_reasons[0] if call.finish_reasons else "tool_use" if has_tools else "end_turn"
    return {
        "id": call.response_id or f"msg_replay{call.number}",
        "type": "message",
        "role": "assistant",
        "model": call.response_model or call.model,
        "content": [_block(part) for part in call.parts],
        "stop_reason": None if reason == "error" else reason,
        "stop_sequence": None,
        "usage": _message_usage(call.usage),
    }


def _message_usage(known: Mapping[str, int]) -> Json:
    read, written = known.get("cache_read_input_tokens"), known.get("cache_write_input_tokens")
    # The record's input contains what was cached, this API's does not.
    usage: Json = {"input_tokens": max(0, known.get("input_tokens", 0) - (read or 0) - (written or 0))}
    usage["output_tokens"] = known.get("output_tokens", 0)
    if read is not None:
        usage["cache_read_input_tokens"] = read
    if written is not None:
        usage["cache_creation_input_tokens"] = written
    if (thought := known.get("reasoning_output_tokens")) is not None:
        usage["output_tokens_details"] = {"thinking_tokens": thought}
    return usage


def _block(part: Part) -> Json:
    kind = part.get("type")
    if kind == "text":
        cited = {"citations": part["citations"]} if part.get("citations") else {}
        return {"type": "text", "text": _text(part), **cited}
    if kind == "reasoning":
        return {"type": "thinking", "thinking": _text(part), "signature": SIGNATURE}
    if kind == "redacted_thinking":
        return {"type": kind, "data": SIGNATURE}
    if kind == "tool_call":
        more = {"toolset_name": part["toolset_name"]} if "toolset_name" in part else {}
        return {"type": "tool_use", "id": part.get("id"), "name": part.get("name"), "input": part.get("arguments", {}), **more}
    if kind == "server_tool_call":
        call = mapping(part, "server_tool_call")
        is_mcp = call.get("type") == "mcp"
        server = {"server_name": call["server_name"]} if "server_name" in call else {}
        named = {"id": part.get("id"), "name": part.get("name"), "input": call.get("input") or {}}
        return {"type": "mcp_tool_use" if is_mcp else "server_tool_use", **named, **server}
    if kind == "server_tool_call_response":
        result = mapping(part, "server_tool_call_response")
        return {"type": result.get("type"), "tool_use_id": part.get("id"), "content": result.get("content")}
    return dict(part)


# -- OpenAI's chat completions -------------------------------------------------------------------------------------------------


def _completion(call: RecordedCall, request: Mapping[str, Any]) -> Json:
    count = max([len(call.finish_reasons), 1, *(_choice(part) + 1 for part in call.parts)])
    custom = _custom_tools(request)
    body: Json = {
        "id": call.response_id or f"chatcmpl-replay{call.number}",
        "object": "chat.completion",
        "created": call.start_ns // 1_000_000_000,
        "model": call.response_model or call.model,
        "choices": [_choice_of(call, index, custom) for index in range(min(count, _MOST_CHOICES))],
    }
    if call.usage:
        body["usage"] = _chat_usage(call.usage)
    return body


_MOST_CHOICES = 1000


def _choice_of(call: RecordedCall, index: int, custom: Sequence[str]) -> Json:
    parts = [part for part in call.parts if _choice(part) == index]
    message = _chat_message(parts, custom)
    given = call.finish_reasons[index] if index < len(call.finish_reasons) else None
    reason = given or ("tool_calls" if message.get("tool_calls") else "stop")
    return {"index": index, "message": message, "finish_reason": None if reason == "error" else reason, "logprobs": None}


def _choice(part: Part) -> int:
    found = part.get(CHOICE, 0)
    return found if type(found) is int and 0 <= found < _MOST_CHOICES else 0


def _chat_message(parts: Sequence[Part], custom: Sequence[str]) -> Json:
    by_kind: dict[str, list[str]] = {}
    message: Json = {"role": "assistant", "content": None, "refusal": None}
    calls: list[Json] = []
    for part in parts:
        kind = text(part, "type") or ""
        if kind in ("text", "reasoning", "refusal"):
            by_kind.setdefault(kind, []).append(_text(part))
        elif kind == "tool_call" and not part.get("id"):
            message["function_call"] = {"name": part.get("name"), "arguments": written(part.get("arguments", {}))}
        elif kind == "tool_call":
            calls.append(_chat_call(part, custom))
        elif kind == "blob" and part.get("id"):
            sound = {"id": part["id"], "data": part.get("content"), "transcript": part.get("transcript") or "", "expires_at": 0}
            message["audio"] = sound
    for kind, name in (("text", "content"), ("refusal", "refusal"), ("reasoning", "reasoning_content")):
        if kind in by_kind:
            message[name] = "".join(by_kind[kind])
    if calls:
        message["tool_calls"] = calls
    elif (
        message["content"] is None
        and not any(name in message for name in ("audio", "function_call"))
        and "refusal" not in by_kind
    ):
        message["content"] = ""
    return message


def _chat_call(part: Part, custom: Sequence[str]) -> Json:
    name, given = part.get("name"), written(part.get("arguments", {}))
    if name in custom:
        return {"id": part["id"], "type": "custom", "custom": {"name": name, "input": given}}
    return {"id": part["id"], "type": "function", "function": {"name": name, "arguments": given}}


def _custom_tools(request: Mapping[str, Any]) -> list[str]:
    """Names of the tools that take a text in the place of JSON."""
    custom = [each for each in objects(request, "tools") if each.get("type") == "custom"]
    return [text(mapping(each, "custom"), "name") or text(each, "name") or "" for each in custom]


def _chat_usage(known: Mapping[str, int]) -> Json:
    given, made = known.get("input_tokens", 0), known.get("output_tokens", 0)
    usage: Json = {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}
    read, written = known.get("cache_read_input_tokens"), known.get("cache_write_input_tokens")
    if read is not None or written is not None:
        cached = {"cached_tokens": read, "cache_write_tokens": written}
        usage["prompt_tokens_details"] = {key: value for key, value in cached.items() if value is not None}
    if (thought := known.get("reasoning_output_tokens")) is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": thought}
    return usage


# -- OpenAI's responses --------------------------------------------------------------------------------------------------------

_ECHOED = ("instructions", "tools", "tool_choice", "parallel_tool_calls", "temperature", "top_p", "text", "metadata")
_CLIENT_ITEMS = {
    "computer": ("computer_call", None),
    "local_shell": ("local_shell_call", "action"),
    "shell": ("shell_call", "action"),
    "apply_patch": ("apply_patch_call", "operation"),
}


def _api_response(call: RecordedCall, request: Mapping[str, Any]) -> Json:
    status, incomplete, error = _status(call)
    body: Json = {
        "id": call.response_id or f"resp_replay{call.number}",
        "object": "response",
        "created_at": call.start_ns // 1_000_000_000,
        "status": status,
        "error": error,
        "incomplete_details": incomplete,
        "model": call.response_model or call.model,
        "instructions": None,
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        **{key: request[key] for key in _ECHOED if key in request},
        "output": list(_items(call, request)),
        "usage": _responses_usage(call.usage) if call.usage else None,
    }
    return body


def _status(call: RecordedCall) -> tuple[str, Json | None, Json | None]:
    reason = call.finish_reasons[0] if call.finish_reasons else "completed"
    if reason == "completed":
        return reason, None, None
    if reason == "error":
        code, said = text(call.exception, "type") or "server_error", text(call.exception, "message") or ""
        return "failed", None, {"code": code, "message": said}
    return "incomplete", {"reason": reason}, None


def _items(call: RecordedCall, request: Mapping[str, Any]) -> Iterator[Json]:
    """Texts that follow each other are one message, thoughts one reasoning item."""
    tools = {text(each, "name"): text(each, "type") for each in objects(request, "tools")}
    last: Json = {}
    for place, part in enumerate(call.parts):
        name, piece = _in_list(part)
        item_id = f"{call.number}_{place}"
        if name and last.get("type") == name:
            last["summary" if name == "reasoning" else "content"].append(piece)
            continue
        if last:
            yield last
        if name == "reasoning":
            last = {"id": f"rs_{item_id}", "type": name, "summary": [piece]}
        elif name == "message":
            last = {"id": f"msg_{item_id}", "type": name, "role": "assistant", "status": "completed", "content": [piece]}
        else:
            last = _item(part, f"fc_{item_id}", tools, call.parts[place + 1 : place + 2])
            if not last:
                continue
    if last:
        yield last


def _in_list(part: Part) -> tuple[str | None, Json]:
    """Which item a part belongs into, and as what; ``None`` for one that is an item itself."""
    kind = part.get("type")
    if kind == "text":
        return "message", {"type": "output_text", "text": _text(part), "annotations": part.get("annotations") or []}
    if kind == "refusal":
        return "message", {"type": "refusal", "refusal": _text(part)}
    if kind == "reasoning":
        return "reasoning", {"type": "summary_text", "text": _text(part)}
    return None, {}


def _item(part: Part, item_id: str, tools: Mapping[str | None, str | None], following: Sequence[Part]) -> Json:
    kind, name = part.get("type"), text(part, "name") or ""
    if kind == "tool_call":
        return _tool_item(part, name, item_id, tools)
    if kind == "server_tool_call":
        call = mapping(part, "server_tool_call")
        item = {**call, "id": part.get("id")}
        if call.get("type") == "mcp_call":
            item["name"] = name
        if call.get("type") == "image_generation_call":
            item["result"] = next((text(each, "content") for each in following if each.get("type") == "blob"), None)
        return item
    if kind == "server_tool_call_response":
        return {**mapping(part, "server_tool_call_response"), "call_id": part.get("id"), "id": item_id}
    return {} if kind == "blob" else {**part, "id": part.get("id") or item_id}


def _tool_item(part: Part, name: str, item_id: str, tools: Mapping[str | None, str | None]) -> Json:
    given = part.get("arguments", {})
    item: Json = {"id": item_id, "call_id": part.get("id"), "status": "completed"}
    if tools.get(name) == "custom":
        return {**item, "type": "custom_tool_call", "name": name, "input": written(given)}
    if name in _CLIENT_ITEMS and name not in tools:
        kind, key = _CLIENT_ITEMS[name]
        return {**item, "type": kind, **({key: given} if key else given if isinstance(given, Mapping) else {})}
    return {**item, "type": "function_call", "name": name, "arguments": written(given)}


def _responses_usage(known: Mapping[str, int]) -> Json:
    given, made = known.get("input_tokens", 0), known.get("output_tokens", 0)
    usage: Json = {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}
    # This API always has all of them, and its client asks for them.
    read, cached = known.get("cache_read_input_tokens", 0), known.get("cache_write_input_tokens", 0)
    usage["input_tokens_details"] = {"cached_tokens": read, "cache_write_tokens": cached}
    usage["output_tokens_details"] = {"reasoning_tokens": known.get("reasoning_output_tokens", 0)}
    return usage


def _text(part: Part) -> str:
    found = part.get("content")
    return found if isinstance(found, str) else "" if found is None else written(found)


def written(arguments: Any) -> str:
    """Arguments as the text of a model: JSON, or what is no JSON as it is."""
    return arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()


_BUILDERS: Mapping[str, Callable[[RecordedCall, Mapping[str, Any]], Json]] = {
    MESSAGES: _message,
    CHAT: _completion,
    RESPONSES: _api_response,
}
