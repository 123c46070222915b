"""What spans of other libraries say of the content of AI calls and tool runs, by the names of several families.

``gen_ai.input.messages`` and the like (the conventions), ``gen_ai.prompt.0.content`` and ``traceloop.entity.input`` (Traceloop),
``llm.input_messages.0.message.content`` and ``input.value`` (OpenInference), ``langfuse.observation.input``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.record.providers.messages import input_messages
from otel_agentlog.vocabulary.coerce import python_literal

MAX_READ = 1_000_000
"""Characters of a JSON text that is read; a longer one stays a text."""

MAX_MESSAGES = 500
"""Messages with a number in their names that are read."""

_WHOLE_INPUT = ("input.value", "traceloop.entity.input", "langfuse.observation.input")
_WHOLE_OUTPUT = ("output.value", "traceloop.entity.output", "langfuse.observation.output")
_ARGUMENTS = ("gen_ai.tool.call.arguments", "tool_call.function.arguments", "tool.parameters", *_WHOLE_INPUT)
_RESULT = ("gen_ai.tool.call.result", *_WHOLE_OUTPUT)
_REQUEST = ("gen_ai.input.messages", ("gen_ai.prompt", "llm.input_messages"), _WHOLE_INPUT, "user")
_ANSWERED = ("gen_ai.output.messages", ("gen_ai.completion", "llm.output_messages"), _WHOLE_OUTPUT, "assistant")
_NUMBERED = re.compile(
    r"(?P<family>gen_ai\.prompt|gen_ai\.completion|llm\.(?:in|out)put_messages)\.(?P<at>\d{1,4})\.(?P<rest>.+)", re.DOTALL
)
_TOOL_CALL = re.compile(r"(?:message\.)?tool_calls\.(?P<at>\d{1,4})\.(?:tool_call\.)?(?:function\.)?(?P<what>id|name|arguments)")
_PIECE = re.compile(r"message\.contents\.(?P<at>\d{1,4})\.message_content\.text")


def tool_content(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """``arguments`` and ``result`` of a tool run, as far as they are known."""
    found = {"arguments": _first(attributes, _ARGUMENTS), "result": _first(attributes, _RESULT)}
    return {key: value for key, value in found.items() if value is not None}


def call_content(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """``messages`` of a request and ``output`` of its answer, as far as they are known."""
    request, answered = _messages(attributes, *_REQUEST), _messages(attributes, *_ANSWERED)
    found: dict[str, Any] = {}
    if request:
        found["messages"] = request
    if output := [part for message in answered for part in message["parts"]]:
        found["output"] = output
    return found


def whole_input(attributes: Mapping[str, Any]) -> Any:
    """What a span got, of whatever kind it is; ``None`` if that is not known."""
    return _first(attributes, ("gen_ai.input.messages", *_ARGUMENTS))


def whole_output(attributes: Mapping[str, Any]) -> Any:
    """What it gave."""
    return _first(attributes, ("gen_ai.output.messages", *_RESULT))


def _first(attributes: Mapping[str, Any], names: Iterable[str]) -> Any:
    value = next((attributes[name] for name in names if attributes.get(name) not in (None, "")), None)
    return _read(value)


def _read(value: Any) -> Any:
    """What a JSON text holds; anything else as it is."""
    if not isinstance(value, str) or len(value) > MAX_READ or value.lstrip()[:1] not in ("{", "[", '"'):
        return value
    try:
        return orjson.loads(value)
    except ValueError:
        raise_interrupt()
        return value


def _messages(
    attributes: Mapping[str, Any], name: str, families: tuple[str, ...], whole: tuple[str, ...], role: str
) -> list[dict[str, Any]]:
    found = _read(attributes.get(name))
    if isinstance(found, (list, tuple)) and found:
        as_recorded = all(isinstance(each, dict) and isinstance(each.get("parts"), list) for each in found)
        return list(found) if as_recorded else input_messages(list(found))
    if numbered := _numbered(attributes, families, role):
        return input_messages(numbered)
    value = _first(attributes, whole)
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        return input_messages(value["messages"])
    if isinstance(value, list) and value and all(isinstance(each, dict) and "role" in each for each in value):
        return input_messages(value)
    return [{"role": role, "parts": [{"type": "text", "content": value}]}] if isinstance(value, str) else []


def _numbered(attributes: Mapping[str, Any], families: tuple[str, ...], role: str) -> list[dict[str, Any]]:
    """Messages whose fields are attributes of their own, with a number in the name."""
    found: dict[int, dict[str, Any]] = {}
    for name, value in attributes.items():
        match = _NUMBERED.fullmatch(name)
        if match is None or match["family"] not in families or len(found) > MAX_MESSAGES:
            continue
        message, rest = found.setdefault(int(match["at"]), {"role": role, "pieces": {}, "calls": {}}), match["rest"]
        if rest in ("role", "message.role"):
            message["role"] = value
        elif rest in ("content", "message.content"):
            message["content"] = _read(value)
        elif piece := _PIECE.fullmatch(rest):
            message["pieces"][int(piece["at"])] = value
        elif call := _TOOL_CALL.fullmatch(rest):
            message["calls"].setdefault(int(call["at"]), {})[call["what"]] = value
    return [_message(found[at]) for at in sorted(found)]


def _message(read: dict[str, Any]) -> dict[str, Any]:
    pieces, calls = read.pop("pieces"), read.pop("calls")
    if pieces and "content" not in read:
        read["content"] = [{"type": "text", "text": pieces[at]} for at in sorted(pieces)]
    if calls:
        read["tool_calls"] = [
            {"id": call.get("id"), "type": "function", "function": {"name": call.get("name"), "arguments": call.get("arguments")}}
            for _, call in sorted(calls.items())
        ]
    return read


# -- what LiteLLM writes on the span around it --------------------------------------------------------------------------------

_RAW = "raw_gen_ai_request"
"""The usual name of a span of a request."""

MAX_LITERAL = 10_000
"""Characters of the usage, a Python literal, that are read."""

_COUNTS = {"prompt_tokens": "input_tokens", "input_tokens": "input_tokens", "completion_tokens": "output_tokens"}
_COUNTS["output_tokens"] = "output_tokens"


def litellm_request(name: str, own: Mapping[str, Any], around: Mapping[str, Any]) -> dict[str, Any]:
    """A request that LiteLLM's callback ``otel`` (1.110) tells of, by the names of the conventions; empty where it is none.

    Where a span is current, such as that of our task, the callback writes what it knows of a request on it (``around``), over
    what it wrote of the one before, and begins a child span at once. That one (``own``) has the provider's answer as
    ``llm.<provider>.<field>``, or nothing if it was a stream. Both together are the request.
    """
    answer = {key.split(".", 2)[2]: value for key, value in own.items() if key.startswith("llm.") and key.count(".") >= 2}
    if name != _RAW and not answer:
        return {}
    provider = next((key.split(".")[1] for key in own if key.startswith("llm.")), None)
    found = {key: value for key, value in around.items() if key.startswith("gen_ai.")}
    if "id" in answer:
        # Another request, whose callback runs in another thread, may have written over it meanwhile.
        if found.get("gen_ai.response.id") != answer["id"]:
            found = {"gen_ai.system": provider, "gen_ai.request.model": answer.get("model")}
        found |= {"gen_ai.response.id": answer["id"], **_litellm_usage(answer.get("usage"))}
    elif "litellm.call_id" not in around:
        return {}
    return {**found, "gen_ai.operation.name": found.get("gen_ai.operation.name") or "chat"}


def _litellm_usage(text: Any) -> dict[str, int]:
    if not isinstance(text, str) or len(text) > MAX_LITERAL:
        return {}
    counts = python_literal(text, None)
    given = counts if isinstance(counts, dict) else {}
    return {f"gen_ai.usage.{name}": given[key] for key, name in _COUNTS.items() if type(given.get(key)) is int}
