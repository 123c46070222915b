"""Whether a request asks what was asked before, and how it differs.

What the record has was redacted and bounded, a request was not: a placeholder of the record matches any text in its place.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from otel_agentlog._startup import dataclass
from otel_agentlog.record.providers.messages import input_messages, system_instructions, tool_definitions
from otel_agentlog.tools.replay.recorded import RecordedCall, messages_of
from otel_agentlog.vocabulary.coerce import text

_PLACEHOLDER = re.compile(r"\[redacted:[\w.-]+\]|…?\[truncated: [^\]\n]*\]")
_TAGS = frozenset({"$artifact", "$truncated", "$parts", "$bytes"})
MAX_TEXT_CHARACTERS = 200_000
"""How much of a prompt is compared line by line."""
_MAX_PATTERN = 400_000


@dataclass(frozen=True)
class ProgramRequest:
    """A request of a program, as the record would have it."""

    model: str
    messages: list[dict[str, Any]]
    tools: list[str]


def read_request(body: Mapping[str, Any]) -> ProgramRequest:
    """Read the body of a request to any of the three APIs; what is not there is empty."""
    given = body["messages"] if "messages" in body else body.get("input")
    system = body["system"] if "system" in body else body.get("instructions")
    found: dict[str, Any] = {"messages": input_messages(given)}
    if system is not None:
        found["system"] = system_instructions(system)
    tools = [str(each.get("name") or "") for each in tool_definitions(body.get("tools"))]
    return ProgramRequest(text(body, "model") or "", messages_of(found) or [], tools)


def asks_the_same(call: RecordedCall, request: ProgramRequest) -> bool:
    """Whether the messages are those of the record; false where it has none."""
    return call.messages is not None and same(_flat(call.messages), _flat(request.messages))


def has_same_tools(call: RecordedCall, request: ProgramRequest) -> bool:
    """Whether the same tools are offered, or the record does not say which."""
    return call.tools is None or sorted(call.tools) == sorted(request.tools)


def similarity(call: RecordedCall, request: ProgramRequest) -> float:
    """From 0 to 1; how alike the messages are, cheaply."""
    if call.messages is None:
        return 0.0
    one, other = written(call.messages)[-5000:], written(request.messages)[-5000:]
    return difflib.SequenceMatcher(None, one.split(), other.split(), autojunk=False).ratio()


def same(recorded: Any, given: Any) -> bool:
    """Whether a value is the one on record, for all that the record shows of it. Lines are at most 200 deep."""
    if isinstance(recorded, str):
        return recorded == given or _fits(recorded, given)
    if isinstance(recorded, Mapping):
        if len(recorded) == 1 and next(iter(recorded)) in _TAGS:
            return True
        if not isinstance(given, Mapping) or (recorded.keys() != given.keys() and "$truncated" not in recorded):
            return False
        return all(key in given and same(value, given[key]) for key, value in recorded.items() if key != "$truncated")
    if isinstance(recorded, Sequence):
        listed = isinstance(given, Sequence) and not isinstance(given, str)
        return listed and len(recorded) == len(given) and all(map(same, recorded, given))
    return bool(recorded == given)


def _fits(recorded: str, given: Any) -> bool:
    pieces = _PLACEHOLDER.split(recorded)
    if len(pieces) == 1:
        return False
    if not any(pieces):
        return True  # nothing but a placeholder
    if not isinstance(given, str) or len(recorded) > _MAX_PATTERN:
        return False
    return _in_order(pieces, given)


def _in_order(pieces: list[str], given: str) -> bool:
    """Whether a text consists of these pieces, with anything between them: no regular expression, as that may take for ever."""
    first, *middle, last = pieces
    if len(given) < len(first) + len(last) or not given.startswith(first) or not given.endswith(last):
        return False
    at, end = len(first), len(given) - len(last)
    for piece in middle:
        found = given.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _flat(messages: Sequence[Mapping[str, Any]]) -> list[tuple[Any, Any]]:
    """One entry a part: clients divide parts among messages of one role as they like."""
    return [(each.get("role"), part) for each in messages for part in each.get("parts") or ()]


def written(messages: Sequence[Mapping[str, Any]]) -> str:
    """Messages as text, each part behind the role that it is by."""
    return "\n".join(f"{role}: {_said(part)}" for role, part in _flat(messages))


def _said(part: Any) -> str:
    if isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("content"), str):
        return str(part["content"])
    return orjson.dumps(part, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str).decode()


def changed_lines(recorded: Any, given: Any) -> list[str]:
    """A unified diff of two values, of texts line by line."""
    one, other = (_lines(value) for value in (recorded, given))
    return list(difflib.unified_diff(one, other, "recorded", "replayed", lineterm="", n=1))


def _lines(value: Any) -> list[str]:
    if not isinstance(value, str):
        value = orjson.dumps(
            value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str
        ).decode()
    return str(value)[:MAX_TEXT_CHARACTERS].split("\n")
