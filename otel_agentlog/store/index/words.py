"""The words of a task that can be searched for: cut here and not by SQLite, so that index, search and excerpts agree on them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain, islice

import orjson

from otel_agentlog._interrupts import raise_interrupt

MAX_WORDS = 4000
"""How many different words of one task can be searched for."""

MAX_WORD_LENGTH = 64

_WORD = re.compile(r"\w+")
# Languages written without spaces: each character is a word.
_ALONE = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")


def words_of(text: str) -> list[str]:
    """The words of a text in their order: letters, digits and ``_``, upper and lower case alike."""
    if not text.isascii():
        text = _ALONE.sub(r" \1 ", text)
    return [word[:MAX_WORD_LENGTH] for word in _WORD.findall(text.casefold())]


def distinct_words(texts: Iterable[object], more: Iterable[str] = ()) -> frozenset[str]:
    """The first `MAX_WORDS` different words of several texts, and of words behind these; what is no text has none."""
    first = words_of("\n".join(text for text in texts if isinstance(text, str)))
    return frozenset(islice(dict.fromkeys(chain(first, more)), MAX_WORDS))


def as_text(value: object) -> str:
    """A value from a file as the text in which words are searched for: JSON, but for a text itself."""
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:
        raise_interrupt()
        return str(value)


def storable(text: str) -> str:
    """A text without lone surrogates, which come from file names and which SQLite does not take."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
