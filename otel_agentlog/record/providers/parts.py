"""Builds the message parts of the GenAI convention, for any provider.

A part is a dict with a ``type``: ``text`` ``{content}``, ``reasoning`` ``{content}``, ``tool_call`` ``{name, id, arguments}``,
``tool_call_response`` ``{id, response}``, ``server_tool_call`` ``{name, id, server_tool_call{type, …}}``,
``server_tool_call_response`` ``{id, server_tool_call_response{type, …}}``, ``blob`` ``{modality, mime_type, content}`` (base64),
``uri`` ``{modality, uri, mime_type}``, ``file`` ``{modality, file_id, mime_type}``, ``compaction`` ``{id, content}``; any other
``type`` is a generic part. Keys that are not known are left out; further keys are allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from otel_agentlog.record.providers.fields import decoded, name_of, readable

Part: TypeAlias = dict[str, Any]
"""One part of a message, as in ``gen_ai.output.messages`` and in ``details.output``."""

CHOICE = "choice"
"""Key on parts of a second and further choice: its position. Each choice is a message of its own where output is sent."""


def content_parts(content: object, read: Callable[[object], list[Part]]) -> list[Part]:
    """Parts of a ``content``: one of a text, or those that ``read`` returns for each item of a list."""
    if isinstance(content, str):
        return [text_part(content)] if content else []
    if isinstance(content, (list, tuple)):
        return [part for item in content for part in read(item)]
    return []


def text_part(content: str, **more: Any) -> Part:
    """Text of any author."""
    return _part("text", content=content, **more)


def reasoning_parts(*contents: str | None) -> list[Part]:
    """Reasoning of the model; no part for reasoning without a text (encrypted by the provider)."""
    return [_part("reasoning", content=content) for content in contents if content]


def tool_call_part(name: str | None, call_id: str | None, arguments: object, **more: Any) -> Part:
    """A tool run that the model requests from the client."""
    return _part("tool_call", name=name or "", id=call_id, arguments=arguments_of(arguments), **more)


def tool_response_part(call_id: str | None, response: object, **more: Any) -> Part:
    """The result of a tool, given to the model."""
    return {**_part("tool_call_response", id=call_id, **more), "response": response}


def server_tool_part(name: str, call_id: str | None, call: Part) -> Part:
    """A tool that the provider ran; ``call`` has a ``type`` of its own."""
    return _part("server_tool_call", name=name, id=call_id, server_tool_call=call)


def server_response_part(call_id: str | None, response: Part) -> Part:
    """The result of a tool that the provider ran; ``response`` has a ``type`` of its own."""
    return _part("server_tool_call_response", id=call_id, server_tool_call_response=response)


def blob_part(modality: str, mime_type: str | None, content: object, **more: Any) -> Part:
    """Bytes in the message, as base64 text."""
    return _part("blob", modality=modality, mime_type=mime_type, content=content, **more)


def uri_part(modality: str, uri: str, mime_type: str | None = None) -> Part:
    """A reference to content elsewhere; a ``data:`` address with base64 is a `blob_part`."""
    head, comma, content = uri.partition(";base64,")
    if comma and head.startswith("data:"):
        return blob_part(modality, head.removeprefix("data:") or mime_type, content)
    return _part("uri", modality=modality, uri=uri, mime_type=mime_type)


def file_part(modality: str, file_id: str | None, mime_type: str | None = None) -> Part:
    """A file stored at the provider."""
    return _part("file", modality=modality, file_id=file_id, mime_type=mime_type)


def compaction_part(item_id: str | None, content: str | None) -> Part:
    """The provider replaced the conversation so far by a summary, with or without its text."""
    return _part("compaction", id=item_id, content=content)


def refusal_part(content: str) -> Part:
    """The model's reason for not answering (a generic part)."""
    return _part("refusal", content=content)


def generic_part(value: object, kind: str | None = None) -> Part:
    """A part of a type that the convention does not have, with all of its readable fields."""
    copied = readable(value)
    if not isinstance(copied, dict):
        return _part(kind or "unknown", content=copied)
    return {"type": kind or name_of(value, "type") or "unknown", **{k: v for k, v in copied.items() if k != "type"}}


def arguments_of(value: object) -> Any:
    """Arguments of a tool call: a JSON object where they are one, else the text of the model; none are ``{}``."""
    if isinstance(value, str):
        parsed = decoded(value) if value.strip() else {}
        return parsed if isinstance(parsed, dict) else value
    return {} if value is None else readable(value)


def _part(kind: str, **fields: Any) -> Part:
    return {"type": kind, **{key: value for key, value in fields.items() if value is not None}}
