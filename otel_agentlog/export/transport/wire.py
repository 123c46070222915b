"""OTLP's protobuf encoding: attributes, values and the frame of a request, in the bytes that ``opentelemetry-proto`` gives.

A span or log record is encoded once, when it is queued (`Encoded`). A request joins what was encoded before, and a batch that is
sent in halves is not encoded again. Names of attributes, and short texts under them, are nearly always the same few, so their
bytes are kept (bounded). Messages and field numbers are those of OTLP 1.9; ``tests/export/test_encoding.py`` compares every field
with the official encoder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from struct import Struct
from typing import Any, NamedTuple

from otel_agentlog._interrupts import raise_interrupt

MAX_LEVELS = 32
"""How deep arrays and objects of a span's attribute may lie in each other; protobuf reads no message of a hundred levels."""

MAX_KEPT = 2_048
"""Names, and pairs of name and text, whose bytes are kept; then they are begun anew."""
MAX_KEPT_CHARACTERS = 64
"""Longest text whose bytes are kept."""

_double = Struct("<d").pack
_FIXED64 = Struct("<BQ").pack
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


_LENGTHS = tuple(map(varint, range(2_048)))


def with_length(data: bytes) -> bytes:
    """Bytes behind their length, as a field of text, bytes or a message holds them."""
    size = len(data)
    return (_LENGTHS[size] if size < 2_048 else varint(size)) + data


def text_field(tag: bytes, text: str | None) -> bytes:
    """A field of text; nothing where it is empty."""
    return tag + with_length(text.encode()) if text else b""


def fixed64_field(tag: int, number: int) -> bytes:
    """A field of 64 bits; nothing where it is 0."""
    return _FIXED64(tag, number) if number else b""


def count_field(tag: bytes, number: int) -> bytes:
    """A field of a small number; nothing where it is 0."""
    return tag + varint(number) if number else b""


# -- attributes -----------------------------------------------------------------------------------------------------------

_keys: dict[str, bytes] = {}
_pairs: dict[tuple[str, str], bytes] = {}


def attributes_field(tag: bytes, attributes: Mapping[str, Any], levels: int | None = MAX_LEVELS) -> bytes:
    """Attributes, each as a field with this tag; one that OTLP has no form for is left out.

    ``levels`` is how deep arrays and objects may lie in each other.
    """
    pairs = []
    for key, value in attributes.items():
        try:
            if type(value) is str and len(value) <= MAX_KEPT_CHARACTERS:
                pair = _pairs.get((key, value)) or _keep_pair(key, value)
            else:
                pair = _pair(key, value, levels)
        except Exception:  # noqa: BLE001 - a value may be of any kind and depth; the record goes without it
            raise_interrupt()
            continue
        pairs.append(pair)
    return tag + tag.join(pairs) if pairs else b""


def _keep_pair(key: str, value: str) -> bytes:
    if len(_pairs) >= MAX_KEPT:
        _pairs.clear()
    pair = _pairs[key, value] = _pair(key, value, None)
    return pair


def _pair(key: str, value: Any, levels: int | None) -> bytes:
    return with_length((_keys.get(key) or _keep_key(key)) + b"\x12" + with_length(value_of(value, levels)))


def _keep_key(key: str) -> bytes:
    if len(_keys) >= MAX_KEPT:
        _keys.clear()
    encoded = _keys[key] = text_field(b"\x0a", key)
    return encoded


def value_of(value: Any, levels: int | None = None) -> bytes:
    """The message ``AnyValue``.

    Raises:
        TypeError, ValueError: OTLP has no form for the value, or it is deeper than ``levels``.
    """
    kind = type(value)
    if kind is str:
        return b"\x0a" + with_length(value.encode())
    if kind is int:
        return _integer(value)
    if kind is float:
        return b"\x21" + _double(value)
    if kind is bool:
        return b"\x10\x01" if value else b"\x10\x00"
    return b"" if value is None else _other(value, levels)


def _integer(value: int) -> bytes:
    if not -_INT64 <= value < _INT64:
        raise ValueError("an integer of more than 64 bits")
    return b"\x18" + varint(value & _MASK)


def _other(value: Any, levels: int | None) -> bytes:
    if isinstance(value, bytes):
        return b"\x3a" + with_length(value)
    for plain in (str, int, float):
        if isinstance(value, plain):
            return value_of(plain(value))
    if levels is not None and levels <= 0:
        raise ValueError("too deep")
    below = None if levels is None else levels - 1
    if isinstance(value, Sequence):
        return b"\x2a" + with_length(b"".join([b"\x0a" + with_length(value_of(item, below)) for item in value]))
    if isinstance(value, Mapping):
        return b"\x32" + with_length(b"".join([b"\x0a" + _pair(str(key), item, below) for key, item in value.items() if key]))
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
    request = []
    for (before, behind), scopes in found.items():
        parts = [before]
        for (scope, url), encoded in scopes.items():
            parts.append(b"\x12" + with_length(b"".join((scope, *encoded, url))))
        request.append(b"\x0a" + with_length(b"".join((*parts, behind))))
    return b"".join(request)
