"""Privacy: leaves out of clean lines what people wrote or were answered, and what says who they are. Setting ``privacy``.

What it is, is known by its place (the text of an output, the arguments of a tool, a task's input) or by its name (``prompt``,
``message_content``, ``user_name``), on any level. Ids, durations, counts, error messages and tracebacks stay, and so do the
messages of log calls and the names of tasks and steps, which the program words itself. Personal data with a shape of its own
(addresses, telephone numbers) is found in all texts by the rules of ``pii.py``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import orjson

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.record.redaction.key_rules import word_set, words_of
from otel_agentlog.record.redaction.redactor import marker
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.states import Component

TOOL_TYPES = ("tool_call", "tool_result", "attempt")
"""Types of lines whose ``content`` is a name."""

PRIVATE = marker("private")
"""What stands for a text that was left out."""

LEAST_REPEATED, MOST_REPEATED, MOST_TEXTS = 3, 2_000, 20
"""Of how many characters texts are that are looked for in the message, and how many of them."""

_CONTENT = word_set("""
    answer answers args argument arguments argv body chat comment comments completion completions content contents conversation
    dialog dialogue feedback history input inputs instruction instructions message messages output outputs payload prompt prompts
    query question questions reply response responses result results stderr stdout text texts thought thoughts transcript
    utterance
    """)
"""Last words of names of what was written or said."""

_OPERATIONAL = word_set("commit error errors exception exit failure health log status warning")
"""Words before them that make it something else: ``error_message``."""

_PERSONAL = word_set("""
    author birthdate birthday dob email emails fax firstname fullname iban ip lastname mail mobile nick nickname passport
    phone phones recipient recipients sender surname telephone user username
    """)
"""Last words of names of what says who somebody is."""

_NAMED = word_set("account author contact customer display family first full given last maiden member middle nick real user")
"""Words before ``name``."""

_PEOPLE = word_set("author contact customer enduser member recipient sender user")
"""Words before ``id``."""

_PLACES = word_set("billing client contact email home invoice ip mail peer post postal remote shipping source street user")
"""Words before ``address``."""

_BY_OWNER = {"name": _NAMED, "names": _NAMED, "id": _PEOPLE, "ids": _PEOPLE, "address": _PLACES, "addresses": _PLACES}
_TERMS = frozenset(
    {
        "created by",
        "date birth",
        "of birth",
        "phone number",
        "postal code",
        "process owner",
        "requested by",
        "sent by",
        "zip code",
    }
)

_KEPT_OF_A_LINE = frozenset(
    {"timestamp", "type", "level", "component", "action", "message", "logger", "name", "phase", "outcome", "event_id", "function"}
)
"""Keys of a line that the program words itself, or that are made here."""
_KEPT_OF_A_STAGE = frozenset({"timestamp", "stage", "event_type", "provider"})
"""The same of a webhook's stage, whose other keys users may choose."""
_KEPT_OF_AN_ERROR = frozenset({"type", "message", "traceback", "suggestions", "category", "error_id"})


_FORMS = word_set(
    "assistant developer image reasoning system text thinking tool tool_call tool_call_response tool_result tool_use user"
)
"""What ``role`` and ``type`` of messages and their parts may say."""

_JSON_BEGINS = ("{", "[")
_QUOTED = re.compile(
    r"""(?P<before>["']?(?<![\w.-])(?P<name>[A-Za-z_][\w.-]{0,63})["']?\s?[:=]\s?)(?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
)
"""A quoted value behind its name, as in the text of an object."""


@lru_cache(maxsize=4096)
def is_personal(name: str) -> bool:
    """Whether a name is that of something that says who somebody is; its numbers are left out, too."""
    words = words_of(name)
    while len(words) > 1 and words[-1] == "value":
        words.pop()
    if not words:
        return False
    last, owner = words[-1], words[-2] if len(words) > 1 else ""
    if last == "user" and owner:
        return owner not in ("db", "database", "system")
    return last in _PERSONAL or owner in _BY_OWNER.get(last, ()) or f"{owner} {last}" in _TERMS


@lru_cache(maxsize=4096)
def is_content(name: str) -> bool:
    """Whether a name is that of something written or said; its numbers are counts, and stay."""
    words = words_of(name)
    while len(words) > 1 and words[-1] in ("value", "json", "raw"):
        words.pop()
    return bool(words) and words[-1] in _CONTENT and not _OPERATIONAL.intersection(words[:-1])


class Privacy:
    """Leaves out what is private of one line or value; counts it in ``left_out``."""

    def __init__(self) -> None:
        self.left_out = 0
        self._texts: set[str] = set()
        """Those left out, which the line's message may repeat."""
        self._content_too: frozenset[str] = frozenset()
        """Further names of content, in this line."""

    def line(self, line: Line) -> Line:
        """A clean line without what is private."""
        kind = line.get("type")
        kept = _KEPT_OF_A_STAGE if "stage" in line else _KEPT_OF_A_LINE
        if kind in TOOL_TYPES:
            kept |= {"content"}  # the tool's name
        if kind == "ai_request":
            self._content_too = frozenset({"system"})
        elif kind == "ai_response":
            self._content_too = frozenset({"documents", "records"})
        elif line.get("component") == Component.TERMINAL_INTERACTION:
            self._content_too = frozenset({"command"})  # a whole line, with its arguments
        out = {key: value if key in kept else self._of_line(key, value) for key, value in line.items()}
        if "message" in kept and type(message := out.get("message")) is str:
            out["message"] = self._message(message)
        return out

    def _of_line(self, key: str, value: Any) -> Any:
        if key == "exception" and type(value) is dict:
            return {name: item if name in _KEPT_OF_AN_ERROR else self.named(name, item) for name, item in value.items()}
        return self.named(key, value)

    def _message(self, message: str) -> str:
        """A message without what was left out of its line, and without what stands behind a private name in it."""
        for text in sorted(self._texts, key=len, reverse=True):
            message = message.replace(text, PRIVATE)
        return _QUOTED.sub(self._quoted, message)

    def _quoted(self, found: re.Match[str]) -> str:
        if not (is_personal(found["name"]) or is_content(found["name"])) or PRIVATE in found["value"]:
            return found[0]
        self.left_out += 1
        return found["before"] + PRIVATE

    def named(self, name: str, value: Any) -> Any:
        """A value under a name."""
        if is_personal(name):
            return self.hidden(value, numbers=True)
        return self.hidden(value) if is_content(name) or name in self._content_too else self.value(value)

    def value(self, value: Any) -> Any:
        """A value by the names in it: of objects, of pairs, of tags ``name:value``, and of JSON that is a text."""
        if type(value) is dict:
            return {name: self.named(name, item) for name, item in value.items()}
        if type(value) is list:
            if len(value) == 2 and type(value[0]) is str and (is_personal(value[0]) or is_content(value[0])):
                return [value[0], self.named(value[0], value[1])]
            return [self._tag(item) if type(item) is str else self.value(item) for item in value]
        return self._json(value) if type(value) is str and value[:1] in _JSON_BEGINS else value

    def _json(self, text: str) -> str:
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise_interrupt()
            return text
        before = self.left_out
        clean = self.value(found)
        return orjson.dumps(clean).decode() if self.left_out > before else text

    def _tag(self, text: str) -> str:
        name, colon, rest = text.partition(":")
        if not colon or not rest or len(name) > 64 or not (is_personal(name) or is_content(name)):
            return text
        self.left_out += 1
        return f"{name}:{PRIVATE}"

    def hidden(self, value: Any, *, numbers: bool = False) -> Any:
        """A value with its texts left out, its form kept; its numbers too if they are ``numbers`` of somebody."""
        if type(value) is dict:
            return {
                name: item
                if name in ("role", "type") and type(item) is str and item in _FORMS
                else self.hidden(item, numbers=numbers or is_personal(name))
                for name, item in value.items()
            }
        if type(value) is list:
            return [self.hidden(item, numbers=numbers) for item in value]
        if (type(value) is str and value) or (numbers and type(value) in (int, float)):
            self.left_out += 1
            if type(value) is str and LEAST_REPEATED <= len(value) <= MOST_REPEATED and len(self._texts) < MOST_TEXTS:
                self._texts.add(value)
            return PRIVATE
        return value
