"""Makes any value short, harmless terminal text: no escape sequences, no control or bidi characters, of known width."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

MAX_VALUE_CHARACTERS = 120
"""Longest value shown; of a longer one the beginning and how much is missing."""

MAX_MESSAGE_CHARACTERS = 2_000
"""Longest message shown."""

# CSI, then OSC/DCS/APC/PM/SOS up to their terminator, then two-character escapes; as ESC + letter and as the one-byte C1 form.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
# C0, DEL, C1; bidi marks, embeddings, overrides and isolates; separators that break lines; invisible letters; tags; surrogates.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
_BARE = re.compile(r"[^\s\"'=\[\]{},]+")


def harmless(text: str) -> str:
    """Text without escape sequences and hidden characters; newlines stay, tabs become spaces."""
    if text.isascii() and text.isprintable():
        return text
    text = _SEQUENCES.sub("", text.replace("\r\n", "\n"))
    return _HIDDEN.sub("", text).replace("\t", "    ")


def one_line(text: str) -> str:
    """`harmless`, with newlines shown as ``\\n``."""
    return harmless(text).replace("\n", "\\n")


def shortened(text: str, longest: int) -> str:
    """The text, or its beginning and how many characters are missing."""
    if len(text) <= longest:
        return text
    return f"{text[: longest - 1]}…(+{len(text) - longest + 1})"


def value_text(value: object) -> str:
    """A value of ``details`` as it stands behind ``key=``: quoted where it would not be one word, JSON for containers."""
    # Cut before anything else looks at it: a value may be megabytes.
    if isinstance(value, str):
        cut = shortened(value, MAX_VALUE_CHARACTERS)
        return _quoted(one_line(cut))
    if value is None or isinstance(value, (bool, int)):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return shortened(one_line(_json(value)), MAX_VALUE_CHARACTERS)


def _quoted(text: str) -> str:
    if _BARE.fullmatch(text):
        return text
    return '"' + text.replace('"', "'") + '"'


def _json(value: object) -> str:
    try:
        return orjson.dumps(_head(value, 4), default=_name_of, option=orjson.OPT_NON_STR_KEYS).decode()
    except Exception:  # noqa: BLE001 - what is no JSON, or somebody's __len__ or __iter__
        return _name_of(value)


def _name_of(value: object) -> str:
    return f"<{type(value).__name__}>"


def _head(value: Any, depth: int) -> Any:
    """The beginning of a container: as much of it as a short text can show."""
    if isinstance(value, str):
        return value[:MAX_VALUE_CHARACTERS]
    if isinstance(value, Mapping):
        if depth == 0:
            return "{…}" if value else {}
        return {shortened(str(key), 60): _head(item, depth - 1) for key, item in _first(value.items())}
    if isinstance(value, (list, tuple)):
        if depth == 0:
            return "[…]" if value else []
        return [_head(item, depth - 1) for item in _first(value)]
    return value


def _first(items: Iterable[Any]) -> Iterable[Any]:
    return (item for _, item in zip(range(24), items, strict=False))


def width_of(text: str) -> int:
    """Columns the text takes on a terminal: two for wide East Asian characters and emoji, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(_column_count(character) for character in text)


def _column_count(character: str) -> int:
    if character < "\x7f":
        return 1
    if unicodedata.combining(character) or character in "\u200c\u200d\ufe0e\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut_to_width(text: str, columns: int) -> str:
    """The text, or as much of it as fits with an ellipsis."""
    if width_of(text) <= columns:
        return text
    used, kept = 1, 0
    for character in text:
        used += _column_count(character)
        if used > columns:
            break
        kept += 1
    return text[:kept] + "…"
