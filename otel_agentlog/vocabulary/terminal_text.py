r"""Text that may be shown on a terminal: without anything that a terminal acts on, of a known width in columns.

    safe("\x1b[31mred\x1b[0m\ttext")     # "red text"
    cut("日本語", 5)                      # "日本…"

Texts of a task folder come from models, tools and the web. Escape sequences could colour, retitle or clear the terminal, fake a
prompt or a status; bidirectional and invisible characters could make a text read as another one. Used by the console, the command
line and the monitor.

What was typed there is read by `given_text` and `given_path`: in a locale without UTF-8 Python keeps its bytes as surrogates.
"""

from __future__ import annotations

import os
import re
import unicodedata

from otel_agentlog._startup import lazy_pattern

ELLIPSIS = "…"
"""Marks where text was cut off."""

# Sequences first, with what belongs to them, so that no "[31m" is left behind; an OSC without its end costs its first two
# characters only, or a text could make all that follows it disappear.
_SEQUENCES = lazy_pattern(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[\]PX^_]"
    r"|\x1b[ -/]*[0-Z\\^-~]"
)
_SPACES = lazy_pattern(r"[\t\n\r\v\f\x85\u2028\u2029]+")
_UNSAFE = lazy_pattern(
    "[\x00-\x1f\x7f-\x9f]"  # C0, DEL and C1 controls
    "|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # bidirectional controls
    "|[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]"  # invisible
    "|[\U000e0000-\U000e0fff]"  # tags
)
_SURROGATES = lazy_pattern("[\ud800-\udfff]")
_JSON_UNSAFE = lazy_pattern(f"{_UNSAFE.pattern}|{_SURROGATES.pattern}|[\u2028\u2029]")
_LINE_BREAK = lazy_pattern(r"\r\n|\r|\n")


def safe(text: str) -> str:
    """The text on one line; line breaks and tabs become a space, lone surrogates U+FFFD."""
    if text.isascii() and text.isprintable():
        return text
    text = _SPACES.sub(" ", _SEQUENCES.sub("", text))
    return _SURROGATES.sub("\ufffd", _UNSAFE.sub("", text))


def safe_lines(text: str) -> list[str]:
    """The lines of a text, at least one, each made safe; tabs become four spaces."""
    return [safe(line.replace("\t", "    ")) for line in _LINE_BREAK.split(text.rstrip("\r\n"))]


def one_line(text: str) -> str:
    r"""The text on one line, with its line breaks shown as ``\n``; tabs become four spaces."""
    if text.isascii() and text.isprintable():
        return text
    return "\\n".join(safe_lines(text))


def safe_json(encoded: str) -> str:
    """JSON with everything escaped that a terminal would act on: the same value, every byte harmless."""
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
    """How many columns a safe text takes: wide East Asian characters and emoji two, combining ones none."""
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
    """As much of a safe text as fits into that many columns, with an ellipsis where some is missing; ``None`` is no limit."""
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
    """A safe text with spaces after it (or before it, to put it on the right) up to that many columns."""
    space = " " * max(0, columns - width(text))
    return space + text if right else text + space


def given_text(word: str) -> str:
    """A word of the command line as the UTF-8 it was typed in, whatever encoding the locale has; as it is if it is none."""
    try:
        return os.fsencode(word).decode()
    except UnicodeError:  # typed in another encoding, or never encoded at all
        return word


def given_path(word: str) -> str:
    """The path that a text of `given_text` names: as the file system functions of Python take it in this locale."""
    try:
        os.fsencode(word)
    except UnicodeEncodeError:
        return os.fsdecode(word.encode("utf-8", "surrogateescape"))
    return word
