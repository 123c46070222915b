"""OTLP's protobuf encoding: attributes, values and the frame of a request, in the bytes that ``opentelemetry-proto`` gives.

A span or log record is encoded once, when it is queued (`Encoded`). A request joins what was encoded before, and a batch that is
sent in halves is not encoded again. Names of attributes are nearly always the same few, so their bytes are kept. Messages and
field numbers are those of OTLP 1.9; ``tests/export/test_encoding.py`` compares every field with the official encoder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from struct import Struct
from typing import Any, NamedTuple, TypeAlias

from otel_agentlog._interrupts import raise_interrupt

MAX_LEVELS = 32
"""How deep arrays and objects of a span's attribute may lie in each other; protobuf reads no message of a hundred levels."""

MAX_KEPT = 2_048
"""Names of attributes whose bytes are kept; then they are begun anew."""

MAX_TEXTS, MAX_TEXT_BYTES = 16, 64
"""Texts of one attribute whose bytes are kept, the first ones, and how long they may be: most attributes have few values."""

_double = Struct("<d").pack
_fixed64 = Struct("<BQ").pack
_INT64 = 1 << 63
_MASK = (1 << 64) - 1


def varint(number: int) -> bytes:
    """A number from 0 on, in groups of 7 bits."""
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_LENGTHS = (*(bytes((size,)) for size in range(128)), *(bytes((size & 127 | 128, size >> 7)) for size in range(128, 2_048)))


def with_length(data: bytes) -> bytes:
    """Bytes behind their length, as a field of text, bytes or a message holds them."""
    size = len(data)
    return (_LENGTHS[size] if size < 2_048 else varint(size)) + data


def text_field(tag: bytes, text: str | None) -> bytes:
    """A field of text; nothing where it is empty."""
    return tag + with_length(text.encode()) if text else b""


def fixed64_field(tag: int, number: int) -> bytes:
    """A field of 64 bits; nothing where it is 0."""
    return _fixed64(tag, number) if number else b""


def count_field(tag: bytes, number: int) -> bytes:
    """A field of a small number; nothing where it is 0."""
    return tag + varint(number) if number else b""


# -- attributes -----------------------------------------------------------------------------------------------------------

_Name: TypeAlias = "tuple[bytes, bytes, dict[str, bytes]]"
"""Of an attribute: the field of its name, with the tag of the value behind it; what stands before a value that is a float, from
the length of the pair on; pairs whose value is a text, by that text."""

_names: dict[str, _Name] = {}
_NO_TEXTS: dict[str, bytes] = {}
"""Stands for the kept pairs of an attribute whose value is nearly always another one: it stays empty."""

_TEXTS = tuple(bytes((size + 2, 0x0A, size)) for size in range(126))
"""What stands before a text of so many bytes: the length of its value, its tag and its own length."""
_NUMBERS = tuple(bytes((len(number) + 1, 0x18)) + number for number in _LENGTHS)
"""The values of small numbers, each behind its length."""


def attributes_field(tag: bytes, attributes: Mapping[str, Any], levels: int | None = MAX_LEVELS) -> bytes:
    """Attributes, each as a field with this tag; one that OTLP has no form for is left out.

    ``levels`` is how deep arrays and objects may lie in each other.
    """
    try:
        pairs = pairs_of(attributes, levels)
    except Exception:  # noqa: BLE001 - a value may be of any kind and depth; the record goes without it
        raise_interrupt()
        pairs = [pair for key, value in attributes.items() for pair in _pair_or_nothing(key, value, levels)]
    return tag + tag.join(pairs) if pairs else b""


def pairs_of(attributes: Mapping[str, Any], levels: int | None = MAX_LEVELS) -> list[bytes]:
    """The messages ``KeyValue``, each behind its length.

    Raises:
        Exception: OTLP has no form for a value, or it is deeper than ``levels``.
    """
    pairs: list[bytes] = []
    for key, value in attributes.items():
        prefix, before_float, texts = _names.get(key) or _name(key)
        kind = type(value)
        if kind is str:
            pair = texts.get(value) or _text_pair(prefix, texts, value)
        elif kind is float:
            pair = before_float + _double(value)
        else:
            small = kind is int and 0 <= value < 2_048
            encoded = _NUMBERS[value] if small else with_length(value_of(value, levels))
            size = len(prefix) + len(encoded)
            pair = (_LENGTHS[size] if size < 2_048 else varint(size)) + prefix + encoded
        pairs.append(pair)
    return pairs


def _text_pair(prefix: bytes, texts: dict[str, bytes], value: str) -> bytes:
    text = value.encode()
    size = len(text)
    if size >= 126 or len(prefix) >= 1_024:
        return with_length(prefix + with_length(b"\x0a" + with_length(text)))
    pair = _LENGTHS[len(prefix) + size + 3] + prefix + _TEXTS[size] + text
    if size <= MAX_TEXT_BYTES and texts is not _NO_TEXTS and len(texts) < MAX_TEXTS:
        texts[value] = pair
    return pair


def text_attribute(tag: bytes, key: str, text: str) -> bytes:
    """One attribute that is a text, nearly always another one."""
    return tag + _text_pair((_names.get(key) or _name(key))[0], _NO_TEXTS, text)


def _pair_or_nothing(key: str, value: Any, levels: int | None) -> list[bytes]:
    try:
        return pairs_of({key: value}, levels)
    except Exception:  # noqa: BLE001 - as above
        raise_interrupt()
        return []


def _name(key: str) -> _Name:
    if len(_names) >= MAX_KEPT:
        _names.clear()
    prefix = text_field(b"\x0a", str(key)) + b"\x12"
    made = _names[key] = prefix, varint(len(prefix) + 10) + prefix + b"\x09\x21", {}
    return made


def value_of(value: Any, levels: int | None = None) -> bytes:
    """The message ``AnyValue``.

    Raises:
        TypeError, ValueError: OTLP has no form for the value, or it is deeper than ``levels``.
    """
    kind = type(value)
    if kind is str:
        return b"\x0a" + with_length(value.encode())
    if kind is int:
        if not -_INT64 <= value < _INT64:
            raise ValueError("an integer of more than 64 bits")
        return b"\x18" + varint(value & _MASK)
    if kind is float:
        return b"\x21" + _double(value)
    if kind is bool:
        return b"\x10\x01" if value else b"\x10\x00"
    if value is None:
        return b""
    if kind is dict:
        return _mapping(value, levels)
    return _other(value, levels)


def _mapping(value: Mapping[str, Any], levels: int | None) -> bytes:
    if "" in value:
        value = {key: item for key, item in value.items() if key}
    pairs = pairs_of(value, _below(levels))
    return b"\x32" + with_length(b"\x0a" + b"\x0a".join(pairs)) if pairs else b"\x32\x00"


def _below(levels: int | None) -> int | None:
    if levels is not None and levels <= 0:
        raise ValueError("too deep")
    return None if levels is None else levels - 1


def _other(value: Any, levels: int | None) -> bytes:
    if isinstance(value, bytes):
        return b"\x3a" + with_length(value)
    for plain in (str, int, float):
        if isinstance(value, plain):
            return value_of(plain(value))
    if isinstance(value, Mapping):
        return _mapping(value, levels)
    if isinstance(value, Sequence):
        below = _below(levels)
        return b"\x2a" + with_length(b"".join([b"\x0a" + with_length(value_of(item, below)) for item in value]))
    raise TypeError(f"no OTLP value: {type(value)}")


# -- requests -------------------------------------------------------------------------------------------------------------


class Source(NamedTuple):
    """Resource and scope of spans and log records: the bytes before and behind those of the items."""

    resource: tuple[bytes, bytes]
    scope: tuple[bytes, bytes]


class Encoded(NamedTuple):
    """One span or log record as bytes, with tag and length."""

    source: Source
    data: bytes


def source_of(
    resource: Mapping[str, Any],
    resource_url: str,
    name: str,
    version: str | None,
    scope_url: str | None,
    scope_attributes: Mapping[str, Any],
) -> Source:
    """Resource and scope, encoded."""
    described = b"\x0a" + with_length(attributes_field(b"\x0a", resource))
    scope = text_field(b"\x0a", name) + text_field(b"\x12", version) + attributes_field(b"\x1a", scope_attributes)
    return Source((described, text_field(b"\x1a", resource_url)), (b"\x0a" + with_length(scope), text_field(b"\x1a", scope_url)))


def request_of(items: Iterable[Encoded]) -> bytes:
    """The request for items of one signal, by resource and scope in the order in which they first come."""
    found: dict[tuple[bytes, bytes], dict[tuple[bytes, bytes], list[bytes]]] = {}
    for source, data in items:
        found.setdefault(source.resource, {}).setdefault(source.scope, []).append(data)
    request: list[bytes] = []
    for (before, behind), scopes in found.items():
        parts = [before]
        for (scope, url), encoded in scopes.items():
            size = len(scope) + sum(map(len, encoded)) + len(url)
            parts += (b"\x12", varint(size), scope, *encoded, url)
        parts.append(behind)
        request += (b"\x0a", varint(sum(map(len, parts))), *parts)
    # All at once: a request may be megabytes.
    return b"".join(request)
