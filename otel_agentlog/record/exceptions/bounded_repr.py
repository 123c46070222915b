"""Texts of bounded size without foreign code: what stands where the ordinary text cannot be had.

Hides where texts may be cut so that no half of a secret is left, and how Python would have written the values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from typing import Any

from otel_agentlog.record.exceptions.inspect import MOST_CHARACTERS, args_of, parts_of
from otel_agentlog.record.sanitize.class_info import big_int, placeholder

MOST_DEPTH = 8
MOST_WRITTEN = 8_192
"""About how many characters are written of a value that is not asked for its text."""
_MARGIN = 4_096
_KEY_BLOCK = "-----BEGIN "
_BETWEEN_WORDS = re.compile(r"[\s\"',;&<>(){}\[\]]")
_ENDS: dict[Any, tuple[str, str]] = {
    tuple: ("(", ")"),
    list: ("[", "]"),
    dict: ("{", "}"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
}


def cut(text: str, most: int = MOST_CHARACTERS) -> str:
    """The text, or its first ``most`` characters at most, cut between two words, and how many are missing."""
    if len(text) <= most:
        return text
    head = text[:most]
    found = [match.start() for match in _BETWEEN_WORDS.finditer(head, max(0, most - _MARGIN))]
    head = head[: found[-1]] if found else head
    block = head.rfind(_KEY_BLOCK)
    if block >= max(0, most - _MARGIN) and "-----END " not in head[block:]:
        head = head[:block]
    return f"{head}…[truncated: {len(text) - len(head)} of {len(text)} characters left out]"


def text_of_args(error: BaseException) -> str:
    """What an exception was raised with, much as ``str(error)`` has it; objects of foreign classes by their class alone."""
    args = args_of(error)
    if issubclass(type(error), OSError) and 2 <= len(args) <= 5:
        return _os_text(error)
    if len(args) == 1 and type(args[0]) is str and not issubclass(type(error), KeyError):
        return cut(args[0])
    written = _Written()
    if len(args) == 1:
        written.value(args[0])
    elif args:
        written.value(args)
    return cut(written.text())


def _os_text(error: BaseException) -> str:
    number, reason, *names = parts_of(error)[-4:]
    said = f"[Errno {written(number)}] {reason if type(reason) is str else written(reason)}"
    told = " -> ".join(written(name) for name in names if name is not None)
    return cut(f"{said}: {told}" if told else said)


def written(value: object) -> str:
    """A value as ``repr`` writes it, bounded."""
    whole = _Written()
    whole.value(value)
    return cut(whole.text())


class _Written:
    """A text that grows until it is long enough."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._room = MOST_WRITTEN
        self._path: set[int] = set()

    def text(self) -> str:
        """All that was written."""
        return "".join(self._parts)

    def value(self, value: Any) -> None:
        """Write one value."""
        kind = type(value)
        if kind in _ENDS:
            self._container(value)
        elif kind is str or kind is bytes:
            self._put(repr(value[: self._room + 1]), len(value) - self._room - 1)
        elif kind is int:
            self._put(big_int(value))
        else:
            self._put(repr(value) if kind in (float, bool, complex, type(None)) else placeholder(value))

    def _put(self, text: str, left_out: int = 0) -> None:
        self._parts.append(f"{text}…[truncated: {left_out} left out]" if left_out > 0 else text)
        self._room = max(0, self._room - len(text))

    def _container(self, value: Any) -> None:
        begin, end = _ENDS[type(value)]
        if id(value) in self._path or len(self._path) >= MOST_DEPTH:
            self._put(f"{begin}...{end}")
            return
        self._path.add(id(value))
        self._put(begin)
        for number, item in enumerate(self._items(value)):
            self._put(", " if number else "")
            if not self._room:
                self._put(f"…[truncated: {len(value) - number} of {len(value)} items left out]")
                break
            self._item(value, item)
        self._put(",)" if type(value) is tuple and len(value) == 1 else end)
        self._path.discard(id(value))

    def _items(self, value: Any) -> Iterable[Any]:
        try:
            return list(islice(value.items() if type(value) is dict else value, MOST_WRITTEN))
        except RuntimeError:
            # Another thread is changing it.
            return []

    def _item(self, value: Any, item: Any) -> None:
        if type(value) is dict:
            self.value(item[0])
            self._put(": ")
            self.value(item[1])
        else:
            self.value(item)
