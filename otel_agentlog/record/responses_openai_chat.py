"""Understands chat completions: OpenAI's (``openai`` 3.52), text completions, and the many APIs made in their image.

Keys that only others have: ``reasoning_content`` (DeepSeek, vLLM, Moonshot), ``reasoning`` (OpenRouter, Groq).
"""

from __future__ import annotations

from collections.abc import Sequence

from otel_agentlog.model import Response
from otel_agentlog.record.responses_fields import count, field, has, items, name_of, readable, text
from otel_agentlog.record.responses_parts import (
    CHOICE,
    Part,
    blob_part,
    file_part,
    generic_part,
    reasoning_parts,
    refusal_part,
    text_part,
    tool_call_part,
    uri_part,
)
from otel_agentlog.record.responses_usage import openai_usage, reported_cost


def is_completion(value: object) -> bool:
    """Whether this is a chat or text completion: it has choices that are a list."""
    return isinstance(field(value, "choices"), (list, tuple))


def read_completion(completion: object) -> Response:
    """Tokens, one finish reason a choice, id, model and content of a completion."""
    usage = field(completion, "usage")
    choices = in_order(items(completion, "choices"))
    return Response(
        usage=openai_usage(usage),
        finish_reasons=_finish_reasons(choices),
        response_id=name_of(completion, "id"),
        model=name_of(completion, "model"),
        output=tuple(part for position, choice in enumerate(choices) for part in _choice_parts(choice, position)),
        cost_usd=reported_cost(usage),
    )


def in_order(choices: Sequence[object]) -> list[object]:
    """Choices by their ``index``; without one they stay where they are."""
    places = [count(choice, "index") for choice in choices]
    return [choice for _, choice in sorted(zip(places, choices, strict=True), key=lambda pair: pair[0] or 0)]


def _finish_reasons(choices: Sequence[object]) -> tuple[str, ...]:
    if not any(has(choice, "finish_reason") for choice in choices):
        return ()
    return tuple(name_of(choice, "finish_reason") or "error" for choice in choices)


def _choice_parts(choice: object, position: int) -> list[Part]:
    message = field(choice, "message")
    found = message_parts(message) if message is not None else content_parts(field(choice, "text"))
    return [{**part, CHOICE: position} for part in found] if position else found


def message_parts(message: object, said: list[Part] | None = None) -> list[Part]:
    """Parts of a message of an assistant: reasoning, text, refusal, sound, tool calls.

    ``said`` replaces the parts of its ``content``, for who has read that already.
    """
    thoughts = text(message, "reasoning_content") or text(message, "reasoning")
    parts = [*reasoning_parts(thoughts), *(content_parts(field(message, "content")) if said is None else said)]
    if refusal := text(message, "refusal"):
        parts.append(refusal_part(refusal))
    if (audio := field(message, "audio")) is not None and has(audio, "id"):
        parts.append(_audio(audio))
    parts.extend(_tool_call(call) for call in items(message, "tool_calls"))
    function = field(message, "function_call")
    if function is not None and name_of(function, "name"):
        parts.append(tool_call_part(name_of(function, "name"), None, field(function, "arguments")))
    return parts


def content_parts(content: object) -> list[Part]:
    """Parts of a ``content``: text, or a list of content parts as they stand in requests."""
    if isinstance(content, str):
        return [text_part(content)] if content else []
    if isinstance(content, (list, tuple)):
        return [part for item in content for part in content_part(item)]
    return []


def content_part(item: object) -> list[Part]:
    """Parts of one content part; one of an unknown type is kept as a generic part."""
    if isinstance(item, str):
        return [text_part(item)]
    kind = text(item, "type") or ""
    if kind == "text":
        return [text_part(text(item, "text") or "")]
    if kind == "refusal":
        return [refusal_part(text(item, "refusal") or "")]
    return [_media(item, kind) or generic_part(item)]


def _media(item: object, kind: str) -> Part | None:
    if kind == "image_url":
        address = field(item, "image_url")
        return uri_part("image", (address if isinstance(address, str) else text(address, "url")) or "")
    if kind == "input_audio":
        sound = field(item, "input_audio")
        return blob_part("audio", f"audio/{text(sound, 'format') or 'wav'}", field(sound, "data"))
    if kind == "file":
        file = field(item, "file")
        if file_id := name_of(file, "file_id"):
            return file_part("document", file_id)
        return uri_part("document", text(file, "file_data") or "")
    return None


def _audio(audio: object) -> Part:
    part = blob_part("audio", None, text(audio, "data"), transcript=text(audio, "transcript"))
    return part | {"id": text(audio, "id")}


def _tool_call(call: object) -> Part:
    custom = field(call, "custom")
    if custom is not None:
        return tool_call_part(name_of(custom, "name"), name_of(call, "id"), readable(field(custom, "input")))
    function = field(call, "function")
    return tool_call_part(name_of(function, "name"), name_of(call, "id"), field(function, "arguments"))
