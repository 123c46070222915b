"""Names in JSON objects: any key as text, names that do not clash, and objects that must not be mistaken for tags of ours."""

from __future__ import annotations

import base64
import operator
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.record.exceptions.class_info import bases, big_int, placeholder
from otel_agentlog.record.sanitize.arrays import Columns, Head, NoArray, simpler_array
from otel_agentlog.record.sanitize.objects import SIMPLER, library_text

MAX_NAME_PARTS = 8
MAX_TEXTS = 1000
"""Longest list of texts that is read."""
LEAST_BYTES = 8
"""Of how many bytes, at least, a text is guessed."""

TAGS = frozenset({"bytes", "float", "artifact", "parts", "truncated"})
"""Words that follow a ``$`` in objects of ours with one key."""

_SCHEMA_TYPES = frozenset({"string", "object", "array", "number", "integer", "boolean", "null"})
_SCHEMA_WORDS = frozenset({"$ref", "anyOf", "oneOf", "allOf"})
_NAME_SLOTS = ("name", "key", "header", "Name", "Key")


def name_of(key: Any) -> str:
    """A dict's key as text: ``None`` as ``null``, ``True`` as ``true``, a tuple as ``(a, b)``, foreign objects by their class."""
    if key is None or type(key) is bool:
        return {None: "null", True: "true", False: "false"}[key]
    if type(key) is int:
        return big_int(key)
    if type(key) is float:
        return repr(key)
    if type(key) is bytes:
        return key.decode("utf-8", "replace")
    if type(key) is tuple:
        parts = [
            part if type(part) is str else placeholder(part) if type(part) is tuple else name_of(part)
            for part in key[:MAX_NAME_PARTS]
        ]
        return f"({', '.join(parts)}{', …' if len(key) > MAX_NAME_PARTS else ''})"
    simpler = next((SIMPLER[base] for base in bases(key) if base in SIMPLER), _name_of_other)
    simple = simpler(key)
    return simple if type(simple) is str else name_of(simple)


def _name_of_other(key: object) -> Any:
    """An address as text, a number of an array library as number; a placeholder for any other object."""
    if (text := library_text(key)) is not None:
        return text
    try:
        simple = simpler_array(key, 0, 1)
    except NoArray:
        return placeholder(key)
    return placeholder(key) if isinstance(simple, (Head, Columns, list, dict)) else simple


def plain_text(value: object) -> str:
    """Any value as a text, without running its code: what is no text, number, date or the like is ``<package.Class>``."""
    if type(value) is str:
        return value
    try:
        return name_of(value)
    except Exception:  # noqa: BLE001 - an object may be broken in any way
        raise_interrupt()
        return placeholder(value)


def optional_text(value: object) -> str | None:
    """`plain_text`, of ``None`` nothing."""
    return value if value is None or type(value) is str else plain_text(value)


def texts_of(values: object) -> list[str]:
    """The texts of a list that a user gave; a single value is a list of one, what cannot be read is left out."""
    if values is None:
        return []
    try:
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
            return [plain_text(values)]
        return [plain_text(value) for value in islice(values, MAX_TEXTS)]
    except Exception:  # noqa: BLE001 - an iterable of the user's own may raise anything
        raise_interrupt()
        return []


def is_true(value: object) -> bool:
    """``bool(value)``; false where that raises."""
    if type(value) is bool:
        return value
    try:
        return bool(value)
    except Exception:  # noqa: BLE001 - it runs the value's own code
        raise_interrupt()
        return False


def text_or_object(value: object) -> Any:
    """A value as ``content`` of a line, which is a text or an object: other values become a text or ``{"value": …}``."""
    if type(value) is str or issubclass(type(value), dict):
        return value
    return plain_text(value) if value is None or any(base in SIMPLER for base in bases(value)) else {"value": value}


def checked(name: str, read: Callable[[Any], object]) -> Any:
    """An attribute that users may set to anything: ``read`` makes a usable value of it when it is set.

    Reading it costs no call of Python code. The value is kept under ``name``, which is another one than the attribute's.
    """

    def keep(self: object, value: object) -> None:
        setattr(self, name, read(value))

    return property(operator.attrgetter(name), keep)


def own_dict(given: object, name: str) -> dict[Any, Any]:
    """A copy of a mapping that a user gave; anything else becomes ``{name: given}``."""
    if given is None:
        return {}
    if type(given) is dict:
        return given.copy()
    try:
        return dict(given)  # type: ignore[call-overload, no-any-return]  # that is the question
    except Exception:  # noqa: BLE001 - a mapping of the user's own may be broken in any way
        raise_interrupt()
        return {name: given}


def free_name(name: str, taken: Mapping[str, Any]) -> str:
    """The name, with ``#2``, ``#3`` … behind it if it is taken."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}#{number}"
    return free


def escaped(value: dict[str, Any]) -> dict[str, Any]:
    """A user's object of one key that begins with ``$``: one more dollar sign, if it has the form of our tags."""
    key = next(iter(value))
    return {f"${key}": value[key]} if key.lstrip("$") in TAGS else value


def is_tag(value: dict[str, Any]) -> bool:
    """Whether a cleaned object is the tag of bytes or a float."""
    return "$bytes" in value or "$float" in value


def text_of_tag(value: dict[str, Any]) -> str | None:
    """The text that tagged bytes are, by whichever encoding reads them; ``None`` for any other object."""
    tagged = value.get("$bytes")
    return text_of_raw(base64.b64decode(tagged)) if type(tagged) is str else None


def text_of_bytes(items: list[Any]) -> str | None:
    """The text that a list of numbers from 0 to 255 is; ``None`` for any other list."""
    if len(items) < LEAST_BYTES or not all(type(item) is int and 0 <= item < 256 for item in items):
        return None
    return text_of_raw(bytes(items))


def text_of_raw(raw: bytes) -> str:
    """Bytes as the text that they most likely are: UTF-8, UTF-16 where every second byte is zero, else Latin-1."""
    raw = raw.removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    for odd, encoding in ((raw[1::2], "utf-16-le"), (raw[::2], "utf-16-be")):
        if len(raw) >= LEAST_BYTES and len(raw) % 2 == 0 and not any(odd):
            return raw.decode(encoding, "replace")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def is_text(raw: bytes) -> bool:
    """Whether bytes are UTF-8."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_schema(value: Mapping[Any, Any]) -> bool:
    """Whether an object is a JSON Schema, as the parameters of tools are, and no value itself."""
    kind = value.get("type")
    return (type(kind) is str and kind in _SCHEMA_TYPES) or not _SCHEMA_WORDS.isdisjoint(value)


def named_value(value: dict[str, Any]) -> tuple[str, str] | None:
    """Name and slot of an object like ``{"name": "PASSWORD", "value": "…"}``; ``None`` for any other."""
    slot = "value" if "value" in value else "Value" if "Value" in value else None
    if slot is None:
        return None
    names = (value.get(key) for key in _NAME_SLOTS)
    texts = (text_of_tag(name) if type(name) is dict else name for name in names)
    found = next((text for text in texts if type(text) is str), None)
    return None if found is None else (found, slot)
