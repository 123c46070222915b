"""Values of a task folder (arguments, results, messages) as text: on one line, or as many lines as they need.

What is returned is safe for terminals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from otel_agentlog.view.render import formats
from otel_agentlog.vocabulary.terminal_text import safe, safe_lines

MAX_LINES = 200
MAX_CHARACTERS = 20_000
"""Most of one text that is shown; the folder has all of it."""
_LINE = 100
"""Columns that a JSON value may take before it is spread over several lines."""


def inline(value: Any, limit: int) -> str:
    """A value on one line of at most `limit` characters: text as it is, artifacts by preview, objects as ``key=value``."""
    return safe(_plain(value)[: limit * 2])[:limit]


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        artifact = value.get("$artifact")
        if len(value) == 1 and isinstance(artifact, Mapping):
            size = formats.size(artifact.get("size_bytes"))
            return f"{artifact.get('preview') or ''} ({size}, artifacts/{artifact.get('sha256')})"
        if len(value) == 1 and isinstance(parts := value.get("$parts"), list):
            return "".join(map(_plain, parts))
        return " ".join(f"{safe(str(key))}={_quoted(item)}" for key, item in value.items())
    return _json(value)


def _quoted(value: Any) -> str:
    if isinstance(value, str):
        value = safe(value)
        return value if value and " " not in value else f'"{value}"'
    return _json(value)


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:
        return repr(value)


def text_lines(value: Any) -> list[str]:
    """A value as lines, at most `MAX_LINES` of them: text as it is, everything else as JSON."""
    text = value if isinstance(value, str) else _spread(value)
    lines = safe_lines(text[:MAX_CHARACTERS])
    left_out = max(0, len(text) - MAX_CHARACTERS) + sum(len(line) + 1 for line in lines[MAX_LINES:])
    return lines[:MAX_LINES] + ([f"[{left_out:,} more characters in the folder]"] if left_out else [])


def _spread(value: Any, margin: str = "") -> str:
    """JSON with each array and object on one line where it fits."""
    flat = _json(value)
    # What is much too long is cut anyway.
    if len(flat) <= _LINE - len(margin) or len(flat) > 4 * MAX_CHARACTERS or not isinstance(value, (dict, list)):
        return flat
    inner = margin + "  "
    if isinstance(value, dict):
        items = [f"{_json(key)}: {_spread(item, inner)}" for key, item in value.items()]
    else:
        items = [_spread(item, inner) for item in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return opening + "\n" + ",\n".join(inner + item for item in items) + "\n" + margin + closing


def message_text(parts: Any) -> str:
    """The text in message parts of the GenAI convention (``{"type":"text","content":…}``), tool calls by name."""
    found = []
    for part in parts if isinstance(parts, list) else []:
        if not isinstance(part, Mapping):
            continue
        content = part.get("content")
        if isinstance(content, str):
            found.append(content)
        elif part.get("type") == "tool_call":
            found.append(f"[calls {part.get('name')}: {_json(part.get('arguments'))}]")
        else:
            found.append(f"[{part.get('type')}: {_json(part.get('response', part.get('result', content)))}]")
    return "\n".join(found)
