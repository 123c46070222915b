"""Answers of a bounded size: as many items as fit, and a cursor where there are more."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import orjson

from otel_agentlog._startup import dataclass
from otel_agentlog.view.mcp.context import RefusedQuestion
from otel_agentlog.view.mcp.quoted import NOTICE, Tree, rendered

MIN_BYTES, DEFAULT_BYTES, MAX_BYTES = 8_000, 16_000, 64_000
"""Of the JSON of one answer in UTF-8: about a quarter as many tokens."""

_SHORTER = (4_000, 1_500, 500, 150, 40, 12)
"""Characters to which texts are cut, one after the other, until what must be in an answer fits into it."""

_HEAD_SHARE = 0.6
"""How much of an answer may be what comes before its items."""

_FOR_CURSOR = 120


@dataclass(frozen=True, slots=True)
class Question:
    """What a page answers."""

    tool: str
    arguments: dict[str, Any]
    """Those that choose what is answered, not how much of it."""
    cursor: str | None
    max_bytes: int
    limit: int
    """Most items."""

    @property
    def offset(self) -> int:
        """How many items the pages before this one had.

        Raises:
            RefusedQuestion: the cursor is none of this question.
        """
        if not self.cursor:
            return 0
        position, _, _ = self.cursor.partition("-")
        if len(position) > 15 or not position.isascii() or not position.isdigit() or self.cursor != self.at(int(position)):
            raise RefusedQuestion("cursor: expected next_cursor of an answer to the same question, found another text")
        return int(position)

    def at(self, offset: int) -> str:
        """The cursor of the page from an item on."""
        asked = orjson.dumps([self.tool, self.arguments], option=orjson.OPT_SORT_KEYS)
        return f"{offset}-{zlib.crc32(asked):08x}"


def answer(question: Question, head: Tree, key: str, items: Iterable[Tree]) -> dict[str, Any]:
    """Return an answer with the `items` under `key` that fit; they begin with the one at `question.offset`."""
    whole = _fitted({"notice": NOTICE, **head}, int(question.max_bytes * _HEAD_SHARE))
    room = question.max_bytes - _size(whole) - len(key) - _FOR_CURSOR
    found: list[Any] = []
    for item in items:
        plain = rendered(item, _SHORTER[0])
        if len(found) == question.limit or (found and _size(plain) >= room):
            whole["next_cursor"] = question.at(question.offset + len(found))
            break
        plain = _fitted(item, room) if _size(plain) >= room else plain
        room -= _size(plain) + 1
        found.append(plain)
    return {**whole, key: found}


def encoded(value: Any) -> str:
    """The JSON text of an answer."""
    return orjson.dumps(value).decode()


def _fitted(tree: Tree, room: int) -> dict[str, Any]:
    """The tree with texts as long as the room allows; with the shortest ones where nothing else fits."""
    found: dict[str, Any] = {}
    for most in _SHORTER:
        found = rendered(tree, most)
        if _size(found) < room:
            break
    return found


def _size(value: Any) -> int:
    return len(orjson.dumps(value))
