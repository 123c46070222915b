"""Hides what it takes to put any text on a terminal: nothing in it acts, and it takes exactly the columns it is given.

Texts of a task folder were written by models, tools and strangers. Escape sequences could colour, retitle or clear the terminal,
fake a prompt or a status; bidirectional and invisible characters could make a text read as another one.
"""

from __future__ import annotations

import re
import unicodedata

ELLIPSIS = "…"

# Sequences first, with what belongs to them, so that no "[31m" is left behind; an OSC without its end costs its first two
# characters only, or a text could make all that follows it disappear.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[\]PX^_]"
    r"|\x1b[ -/]*[0-Z\\^-~]"
)
_SPACES = re.compile(r"[\t\n\r\v\f\x85\u2028\u2029]+")
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f]"  # C0, DEL and C1 controls
    "|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # bidirectional controls
    "|[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]"  # invisible
    "|[\U000e0000-\U000e0fff]"  # tags
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_JSON_UNSAFE = re.compile(f"{_UNSAFE.pattern}|{_SURROGATES.pattern}|[\u2028\u2029]")


def safe(text: str) -> str:
    """Return one line of text without anything that a terminal would act on; line breaks and tabs become spaces."""
    if text.isascii() and text.isprintable():
        return text
    text = _SPACES.sub(" ", _SEQUENCES.sub("", text))
    return _SURROGATES.sub("\ufffd", _UNSAFE.sub("", text))


def safe_lines(text: str) -> list[str]:
    """Return the lines of a text, each made safe; tabs become four spaces."""
    return [safe(line.replace("\t", "    ")) for line in re.split(r"\r\n|\r|\n", text.rstrip("\r\n"))]


def safe_json(encoded: str) -> str:
    """Return JSON with everything escaped that a terminal would act on: the same value, every byte harmless."""
    return _JSON_UNSAFE.sub(_escaped, encoded)


def _escaped(match: re.Match[str]) -> str:
    character = match.group()
    if character == "\n":
        return character  # ends a line of JSON; within a string it is escaped already
    point = ord(character)
    if point <= 0xFFFF:
        return f"\\u{point:04x}"
    point -= 0x10000
    return f"\\u{0xD800 + (point >> 10):04x}\\u{0xDC00 + (point & 0x3FF):04x}"


def width(text: str) -> int:
    """Return how many columns a safe text takes: wide characters two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if character.isascii():
        return 1
    if (
        unicodedata.combining(character)
        or unicodedata.category(character) in ("Mn", "Me", "Cf")
        or "\u1160" <= character <= "\u11ff"
    ):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, columns: int | None, ellipsis: str = ELLIPSIS) -> str:
    """Return as much of a safe text as fits, with an ellipsis where something is missing. ``None`` is no limit."""
    if columns is None or width(text) <= columns:
        return text
    room = columns - width(ellipsis)
    if room < 0:
        return ""
    used = 0
    for end, character in enumerate(text):
        used += _columns(character)
        if used > room:
            return text[:end].rstrip() + ellipsis
    return text


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Return a safe text with spaces after it (or before it, to stand on the right) up to the given width."""
    space = " " * max(0, columns - width(text))
    return space + text if right else text + space
