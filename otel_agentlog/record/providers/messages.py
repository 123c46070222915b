"""Converts a request's messages, system instructions and tools to the GenAI convention's shapes.

In come the shapes of Anthropic, OpenAI chat and the Responses API. Out come messages ``{"role", "parts": [...]}``, with ``name``
if there is one (parts: ``parts.py``). Nothing here raises or consumes an iterator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.record.providers import anthropic
from otel_agentlog.record.providers import openai_chat as chat
from otel_agentlog.record.providers import openai_responses as openai
from otel_agentlog.record.providers.fields import field, has, listed, name_of, readable, text
from otel_agentlog.record.providers.parts import Part, generic_part, text_part, tool_response_part
from otel_agentlog.record.sanitize.cleaner import ValueLimits

Message: TypeAlias = dict[str, Any]
"""``{"role": str, "parts": [part, …]}``; extra keys allowed."""

_ANTHROPIC_BLOCKS = frozenset(
    {"thinking", "redacted_thinking", "tool_use", "server_tool_use", "mcp_tool_use", "tool_result", "image", "document"}
    | {"container_upload", "compaction", "search_result"}
)
_RESPONSES_PARTS = frozenset({"output_text", "input_text", "reasoning_text", "input_image", "input_file"})


def input_messages(messages: object) -> list[Message]:
    """Messages of a request: ``messages`` or ``input`` of any of the three APIs, a string, or a single message."""
    try:
        return _messages(messages)
    except Exception:  # noqa: BLE001 - as in `_guarded`, without its calls
        raise_interrupt()
        return []


def system_instructions(system: object) -> list[Part]:
    """Parts of ``system`` (Anthropic) or ``instructions`` (Responses API): a string, blocks, or messages."""
    return _guarded(lambda: [part for item in _as_list(system) for part in _instruction(item)])


def tool_definitions(tools: object) -> list[dict[str, Any]]:
    """Tools of a request as ``{"type", "name"}``, functions with ``description`` and ``parameters`` (JSON schema).

    Of tools that the provider runs only these two are kept: an MCP server's entry may hold its access token.
    """
    return _guarded(lambda: [_tool(tool) for tool in _as_list(tools)])


_MOST_MESSAGES = ValueLimits().max_items - 2
"""With the system message and a note they stay within the limit for values; so do the parts of one message."""

_OF_TOOLS = ("tool", "function")
"""Roles of messages that are the results of tools."""


def _messages(messages: object) -> list[Message]:
    items: list[Any] = messages if type(messages) is list else _as_list(messages)
    kept = items[:_MOST_MESSAGES]
    found: list[Message] = []
    for item in kept:
        if type(item) is dict and len(item) == 2:  # most of them are two texts
            role, content = item.get("role"), item.get("content")
            if type(role) is str and type(content) is str and role and role not in _OF_TOOLS:
                found.append({"role": role, "parts": [{"type": "text", "content": content}] if content else []})
                continue
        message = _message(item)
        # An item of the Responses API can be without anything to read, such as reasoning that is encrypted.
        if message["parts"] or has(item, "role"):
            found.append(message)
    if len(items) > len(kept):
        note = f"[truncated: {len(items) - len(kept)} of {len(items)} messages left out]"
        found.append({"role": "system", "parts": [text_part(note)]})
    return found


_PLAIN_ROLES = frozenset({"user", "system", "developer"})
_PLAIN_KEYS = frozenset({"role", "content"})


def _message(item: object) -> Message:
    if type(item) is dict and _PLAIN_KEYS.issuperset(item):
        role, content = item.get("role"), item.get("content")
        # What most messages are; as all below would give it.
        if type(role) is str and role in _PLAIN_ROLES and type(content) is str:
            return {"role": role, "parts": [text_part(content)] if content else []}
    if isinstance(item, str):
        return {"role": "user", "parts": [text_part(item)]}
    role = name_of(item, "role") or _role_of(text(item, "type") or "")
    message: Message = {"role": role, "parts": _parts(item, role)}
    name = name_of(item, "name") if has(item, "role") else None
    return message | ({"name": name} if name else {})


def _role_of(kind: str) -> str:
    """The role of an item of the Responses API that has none."""
    return "tool" if kind.endswith("_output") else "user" if kind in ("", "item_reference") else "assistant"


def _parts(item: object, role: str) -> list[Part]:
    kind = text(item, "type") or ""
    if not has(item, "role") and kind not in ("", "message"):
        return _block_parts(item)
    if role in _OF_TOOLS:
        return [tool_response_part(name_of(item, "tool_call_id"), readable(field(item, "content")))]
    content = field(item, "content")
    parts = _content_parts(_as_list(content)) if content else []
    return chat.message_parts(item, parts) if role == "assistant" else parts


def _content_parts(blocks: list[Any]) -> list[Part]:
    parts = [part for block in blocks[:_MOST_MESSAGES] for part in _block_parts(block)]
    if len(blocks) > _MOST_MESSAGES:
        parts.append(text_part(f"[truncated: {len(blocks) - _MOST_MESSAGES} of {len(blocks)} parts left out]"))
    return parts


def _block_parts(block: object) -> list[Part]:
    """Parts of a content block or an item of any of the three APIs: their types do not clash."""
    kind = text(block, "type") or ""
    if kind in _ANTHROPIC_BLOCKS or kind.endswith("_tool_result"):
        return anthropic.block_parts(block)
    if kind in _RESPONSES_PARTS:
        return openai.message_content(block)
    if kind == "text":
        return anthropic.block_parts(block)
    if isinstance(block, str) or kind in ("image_url", "input_audio", "file", "refusal"):
        return chat.content_part(block)
    return openai.item_parts(block) if kind else [generic_part(block)]


def _instruction(item: object) -> list[Part]:
    if isinstance(item, str):
        return [text_part(item)] if item else []
    return _message(item)["parts"] if has(item, "content") else _block_parts(item)


def _tool(tool: object) -> dict[str, Any]:
    inner = next((found for kind in ("function", "custom") if name_of(found := field(tool, kind), "name")), tool)
    kind = name_of(tool, "type") or "function"
    name = name_of(inner, "name") or name_of(inner, "server_label") or name_of(inner, "__name__") or kind
    if kind not in ("function", "custom"):
        return {"type": kind, "name": name}
    schema = next((s for key in ("parameters", "input_schema") if (s := field(inner, key)) is not None), None)
    found = {"description": text(inner, "description"), "parameters": readable(schema)}
    return {"type": kind, "name": name, **{key: value for key, value in found.items() if value is not None}}


def _as_list(value: object) -> list[Any]:
    """A list as it is, a single message in a list; nothing for iterators and for the clients' ``omit``."""
    if type(value) is list:
        return value
    if isinstance(value, (list, tuple)):
        return listed(value)
    alone = isinstance(value, str) or any(has(value, name) for name in ("role", "type", "content", "name"))
    return [value] if alone else []


def _guarded(read: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    try:
        return read()
    except Exception:  # noqa: BLE001 - the last guard: foreign objects may do anything, and recording must not raise
        raise_interrupt()
        return []
