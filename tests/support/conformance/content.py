"""Shapes of the convention's content attributes: messages, parts, tool definitions, tool arguments and results."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

_REQUIRED_IN_PART: dict[str, dict[str, type]] = {
    "text": {"content": str},
    "reasoning": {"content": str},
    "tool_call": {"name": str},
    "tool_call_response": {"response": object},
    "server_tool_call": {"name": str, "server_tool_call": Mapping},
    "server_tool_call_response": {"server_tool_call_response": Mapping},
    "blob": {"modality": str, "content": str},
    "file": {"modality": str, "file_id": str},
    "uri": {"modality": str, "uri": str},
}


def _part(part: Any) -> str | None:
    if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
        return f"a part is an object with a type, found {part!r}"
    for key, kind in _REQUIRED_IN_PART.get(part["type"], {}).items():
        if key not in part or not isinstance(part[key], kind):
            return f"a part of type {part['type']} needs {key}, found {part!r}"
    return None


def _parts(value: Any) -> str | None:
    if not isinstance(value, (list, tuple)):
        return f"expected an array of parts, found {value!r}"
    return next((problem for part in value if (problem := _part(part))), None)


def _messages(value: Any) -> str | None:
    if not isinstance(value, (list, tuple)):
        return f"expected an array of messages, found {value!r}"
    for message in value:
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str) or "parts" not in message:
            return f"a message is an object with role and parts, found {message!r}"
        if problem := _parts(message["parts"]):
            return problem
    return None


def _definitions(value: Any) -> str | None:
    if not isinstance(value, (list, tuple)):
        return f"expected an array of tools, found {value!r}"
    for tool in value:
        if not isinstance(tool, Mapping) or not all(isinstance(tool.get(key), str) for key in ("type", "name")):
            return f"a tool is an object with type and name, found {tool!r}"
    return None


def _object(value: Any) -> str | None:
    return None if isinstance(value, Mapping) else f"expected an object, found {value!r}"


CONTENT: dict[str, Callable[[Any], str | None]] = {
    "gen_ai.input.messages": _messages,
    "gen_ai.output.messages": _messages,
    "gen_ai.system_instructions": _parts,
    "gen_ai.tool.definitions": _definitions,
    "gen_ai.tool.call.arguments": _object,
    "gen_ai.tool.call.result": _object,
}


def content_problem(key: str, value: Any, *, structured: bool) -> str | None:
    """What is wrong with the value of a content attribute; on spans it may be a JSON string."""
    if isinstance(value, str):
        if structured:
            return "content on events is structured, found a string"
        try:
            value = json.loads(value)
        except ValueError as error:
            return f"not JSON: {error}"
    return CONTENT[key](value)
