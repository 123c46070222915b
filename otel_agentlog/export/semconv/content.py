"""Content attributes: prompts, answers, arguments and results in the convention's shapes, under the content policy.

Policy ``off``: nothing. ``full``:
everything. ``preview``: valid JSON below `PREVIEW_BYTES`, with ``agentlog.content.<what>.sha256`` and ``.size_bytes`` of the
whole beside it; long texts end in ``…``, long lists keep their first item and their last ones, because the end of a
conversation is what a call is about.

On spans content is a JSON string, which is what today's backends read; on events it is structured, as the convention demands.
The digest is that of the compact JSON of the whole value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import orjson
from opentelemetry.util.types import AttributeValue

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.export.semconv import names

ContentPolicy = Literal["off", "preview", "full"]

PREVIEW_BYTES = 2_000
"""A preview is shorter than this, in bytes; Tempo cuts attributes at 2,048 by default."""

_STEPS = ((1700, 24), (1000, 16), (600, 12), (240, 8), (100, 6), (48, 4), (24, 3), (12, 2), (6, 1))
"""Characters of a text and items of a list or object that a preview keeps, tried in this order."""

_SCHEMA_KEYS = frozenset(
    {"type", "role", "parts", "content", "name", "id", "response", "arguments", "modality", "uri", "file_id"}
    | {"server_tool_call", "server_tool_call_response"}
)
"""Keys without which a shortened message or part would no longer have the convention's shape."""

_DEEPEST = 12
_DEEPEST_WHOLE = 100
_INT64 = 1 << 63

Attributes = dict[str, AttributeValue]


def encode(value: Any) -> bytes:
    """Compact JSON; what JSON has no form for is written as text."""
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError, RecursionError):
        raise_interrupt()
        return orjson.dumps(_sayable(value, 0))


def _sayable(value: Any, depth: int) -> Any:
    """A copy within what JSON and OTLP can hold: integers beyond 64 bits as text, lone surrogates escaped, bounded depth."""
    if isinstance(value, (bool, float)) or value is None:
        return value
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return int(value)
    if depth < _DEEPEST_WHOLE and isinstance(value, Mapping):
        return {_sayable(str(key), 0) or "_": _sayable(item, depth + 1) for key, item in value.items()}
    if depth < _DEEPEST_WHOLE and isinstance(value, (list, tuple)):
        return [_sayable(item, depth + 1) for item in value]
    text = value if isinstance(value, str) else "…" if isinstance(value, (Mapping, list, tuple)) else str(value)
    return text.encode("utf-8", "backslashreplace").decode()


def preview(value: Any) -> tuple[Any, bytes, bytes]:
    """A shortened value, its JSON (below `PREVIEW_BYTES`), and the JSON of the whole."""
    whole = encode(value)
    if len(whole) < PREVIEW_BYTES:
        return value, whole, whole
    for characters, items in _STEPS:
        short = _shortened(value, characters, items, 0)
        encoded = encode(short)
        if len(encoded) < PREVIEW_BYTES:
            return short, encoded, whole
    empty: Any = [] if isinstance(value, list) else {} if isinstance(value, Mapping) else ""
    return empty, encode(empty), whole


def _shortened(value: Any, characters: int, items: int, depth: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= characters else value[:characters] + "…"
    if isinstance(value, Mapping):
        return _short_object(value, characters, items, depth)
    if isinstance(value, (list, tuple)):
        kept = list(value) if len(value) <= items else [*value[:1], *value[len(value) - items + 1 :]]
        return [] if depth > _DEEPEST else [_shortened(item, characters, items, depth + 1) for item in kept]
    return value


def _short_object(value: Mapping[str, Any], characters: int, items: int, depth: int) -> dict[str, Any]:
    if depth > _DEEPEST:
        return {}
    short: dict[str, Any] = {}
    for key, item in value.items():
        if len(short) < items or key in _SCHEMA_KEYS:
            short[str(key)[:characters]] = _shortened(item, characters, items, depth + 1)
    return short


def preview_text(text: str) -> tuple[str, bytes]:
    """A text cut below `PREVIEW_BYTES` bytes of UTF-8, and the bytes of the whole."""
    whole = text.encode("utf-8", "backslashreplace")
    if len(whole) < PREVIEW_BYTES:
        return text, whole
    return whole[: PREVIEW_BYTES - 4].decode("utf-8", "ignore") + "…", whole


def digest(what: str, whole: bytes) -> Attributes:
    """The two attributes that go with a preview."""
    import hashlib  # loads OpenSSL, which costs as much as ten of our modules and is seldom needed

    return {
        f"agentlog.content.{what}.sha256": hashlib.sha256(whole).hexdigest(),
        f"agentlog.content.{what}.size_bytes": len(whole),
    }


def messages(value: Any) -> Any:
    """Input messages: a list of ``{role, parts}``."""
    if isinstance(value, list):
        return value
    part = {"type": "text", "content": value} if isinstance(value, str) else {"type": "artifact", "value": value}
    return [{"role": "user", "parts": [part]}]


def parts(value: Any) -> Any:
    """System instructions: a list of parts."""
    if isinstance(value, list):
        return value
    return [{"type": "text", "content": value} if isinstance(value, str) else {"type": "artifact", "value": value}]


def answer(value: Any) -> Any:
    """Output messages, from whole messages or from message parts; a part names its ``choice`` if that is not the first."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping) and "role" in value[0]:
        return value
    choices: dict[Any, list[Any]] = {}
    for part in parts(value):
        choice = part.get("choice", 0) if isinstance(part, Mapping) else 0
        choices.setdefault(choice if isinstance(choice, int) else 0, []).append(part)
    return [{"role": "assistant", "parts": choices[choice]} for choice in sorted(choices)] or [{"role": "assistant", "parts": []}]


def definitions(value: Any) -> Any:
    """Tool definitions: a list of ``{type, name, …}``."""
    return value if isinstance(value, list) else [value]


def arguments(value: Any) -> Any:
    """Arguments of a tool: an object."""
    return _as_object(value, "arguments")


def result(value: Any) -> Any:
    """Result of a tool: an object, a bare value under the key ``result``."""
    return _as_object(value, "result")


def _as_object(value: Any, key: str) -> Any:
    if isinstance(value, str) and value[:1] == "{":
        try:
            value = orjson.loads(value)
        except ValueError:
            raise_interrupt()
            return {key: value}
    return value if isinstance(value, Mapping) else {key: value}


def text(value: Any) -> Any:
    """What was asked for, as text."""
    return value if isinstance(value, str) else encode(value).decode()


def found(value: Any) -> Any:
    """Documents of a retrieval, or records of a memory: a list of objects, a bare value under the key ``content``."""
    return [_as_object(item, "content") for item in (value if isinstance(value, list) else [value])]


Shape = Callable[[Any], Any]

START: tuple[tuple[str, str, str, Shape], ...] = (
    ("system", names.SYSTEM_INSTRUCTIONS, "system_instructions", parts),
    ("messages", names.INPUT_MESSAGES, "input_messages", messages),
    ("tools", names.TOOL_DEFINITIONS, "tool_definitions", definitions),
    ("arguments", names.TOOL_CALL_ARGUMENTS, "tool_arguments", arguments),
    ("query", names.RETRIEVAL_QUERY_TEXT, "retrieval_query", text),
    ("query", names.MEMORY_QUERY_TEXT, "memory_query", text),
)
"""Keys of ``details`` on start lines that hold content: the attribute, what it is called beside a digest, and its shape."""

END: tuple[tuple[str, str, str, Shape], ...] = (
    ("output", names.OUTPUT_MESSAGES, "output_messages", answer),
    ("result", names.TOOL_CALL_RESULT, "tool_result", result),
    ("documents", names.RETRIEVAL_DOCUMENTS, "retrieval_documents", found),
    ("records", names.MEMORY_RECORDS, "memory_records", found),
    *START,
)
"""The same on end lines, which also have of the request what was given late."""

KEYS = frozenset(attribute for _, attribute, _, _ in END)


def capture(
    details: Mapping[str, Any],
    fields: tuple[tuple[str, str, str, Shape], ...],
    policy: ContentPolicy,
    allowed: frozenset[str],
    *,
    structured: bool,
) -> Attributes:
    """The content attributes of a line under a policy, of those that the convention allows on its span."""
    captured: Attributes = {}
    if policy == "off":
        return captured
    for key, attribute, what, shape in fields:
        value = details.get(key)
        if value is None or attribute not in allowed:
            continue
        shaped = shape(value)
        if policy == "full":
            captured[attribute] = _sayable(shaped, 0) if structured or isinstance(shaped, str) else encode(shaped).decode()
            continue
        if isinstance(shaped, str):
            captured[attribute], whole = preview_text(shaped)
            captured.update(digest(what, whole))
            continue
        short, encoded, whole = preview(_names_only(shaped) if attribute == names.TOOL_DEFINITIONS else shaped)
        captured[attribute] = _sayable(short, 0) if structured else encoded.decode()
        captured.update(digest(what, whole))
    return captured


def _names_only(tools: list[Any]) -> list[Any]:
    # The convention advises against descriptions and parameters unless everything is captured.
    return [_name_only(tool) if isinstance(tool, Mapping) else tool for tool in tools]


def _name_only(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tool[key] for key in ("type", "name") if key in tool}
