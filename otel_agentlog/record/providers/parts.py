"""The GenAI convention's message parts: their shapes, and nothing about any provider.

A part is a dict with a ``type``: ``text`` ``{content}``, ``reasoning`` ``{content}``, ``tool_call`` ``{name, id, arguments}``,
``tool_call_response`` ``{id, response}``, ``server_tool_call`` ``{name, id, server_tool_call{type, …}}``,
``server_tool_call_response`` ``{id, server_tool_call_response{type, …}}``, ``blob`` ``{modality, mime_type, content}`` (base64),
``uri`` ``{modality, uri, mime_type}``, ``file`` ``{modality, file_id, mime_type}``, ``compaction`` ``{id, content}``; any other
``type`` is a generic part. Keys that are not known are left out; further keys are allowed.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from otel_agentlog.record.providers.fields import decoded, name_of, readable

Part: TypeAlias = dict[str, Any]
"""One part of a message, as it stands in ``gen_ai.output.messages`` and in ``details.output``."""

CHOICE = "choice"
"""Key on parts of a second and further choice: its position. `messages.output_messages` makes messages of it."""


def text_part(content: str, **more: Any) -> Part:
    """Text of any author."""
    return _part("text", content=content, **more)


def reasoning_parts(*contents: str | None) -> list[Part]:
    """What the model thought aloud; nothing for thoughts whose text the provider keeps to itself."""
    return [_part("reasoning", content=content) for content in contents if content]


def tool_call_part(name: str | None, call_id: str | None, arguments: object, **more: Any) -> Part:
    """A tool the model wants run by us."""
    return _part("tool_call", name=name or "", id=call_id, arguments=arguments_of(arguments), **more)


def tool_response_part(call_id: str | None, response: object, **more: Any) -> Part:
    """What a tool gave back to the model."""
    return {**_part("tool_call_response", id=call_id, **more), "response": response}


def server_tool_part(name: str, call_id: str | None, call: Part) -> Part:
    """A tool that the provider ran; ``call`` has a ``type`` of its own."""
    return _part("server_tool_call", name=name, id=call_id, server_tool_call=call)


def server_response_part(call_id: str | None, response: Part) -> Part:
    """What a tool of the provider gave; ``response`` has a ``type`` of its own."""
    return _part("server_tool_call_response", id=call_id, server_tool_call_response=response)


def blob_part(modality: str, mime_type: str | None, content: object, **more: Any) -> Part:
    """Bytes in the message, as base64 text."""
    return _part("blob", modality=modality, mime_type=mime_type, content=content, **more)


def uri_part(modality: str, uri: str, mime_type: str | None = None) -> Part:
    """Something the message points to; a ``data:`` address with base64 is a `blob_part`."""
    head, comma, content = uri.partition(";base64,")
    if comma and head.startswith("data:"):
        return blob_part(modality, head.removeprefix("data:") or mime_type, content)
    return _part("uri", modality=modality, uri=uri, mime_type=mime_type)


def file_part(modality: str, file_id: str | None, mime_type: str | None = None) -> Part:
    """A file the provider keeps."""
    return _part("file", modality=modality, file_id=file_id, mime_type=mime_type)


def compaction_part(item_id: str | None, content: str | None) -> Part:
    """The provider replaced the conversation so far by a summary, which it shows or not."""
    return _part("compaction", id=item_id, content=content)


def refusal_part(content: str) -> Part:
    """The model's words on why it will not answer (a generic part)."""
    return _part("refusal", content=content)


def generic_part(value: object, kind: str | None = None) -> Part:
    """Anything that has no shape of its own in the convention, with all that can be read of it."""
    copied = readable(value)
    if not isinstance(copied, dict):
        return _part(kind or "unknown", content=copied)
    return {"type": kind or name_of(value, "type") or "unknown", **{k: v for k, v in copied.items() if k != "type"}}


def arguments_of(value: object) -> Any:
    """Arguments of a tool call: a JSON object where they are one, else what the model wrote; none are ``{}``."""
    if isinstance(value, str):
        parsed = decoded(value) if value.strip() else {}
        return parsed if isinstance(parsed, dict) else value
    return {} if value is None else readable(value)


def _part(kind: str, **fields: Any) -> Part:
    return {"type": kind, **{key: value for key, value in fields.items() if value is not None}}
