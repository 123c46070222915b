"""Hides how OTLP writes values, ids and scopes; used by ``decode.py`` and ``metrics.py``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue

Item = dict[str, Any]
"""A span, a log record, a metric or a part of one as a plain dict."""


def attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Key-value pairs as a dict.

    Raises:
        ValueError: a key stands twice, which the specification forbids.
    """
    decoded: dict[str, Any] = {}
    for pair in pairs:
        if pair.key in decoded:
            raise ValueError(f"attribute {pair.key!r} was sent twice")
        decoded[pair.key] = any_value(pair.value)
    return decoded


def any_value(value: AnyValue) -> Any:
    """The Python value of an OTLP value; an empty one is ``None``."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [any_value(v) for v in value.array_value.values]
    if kind == "kvlist_value":
        return attributes(value.kvlist_value.values)
    return getattr(value, kind)


def one_of(message: Message, group: str) -> Any:
    """The value of the field that is set in a ``oneof``, or ``None``."""
    chosen = message.WhichOneof(group)
    return None if chosen is None else getattr(message, chosen)


def origin(group: Any, scoped: Any) -> Item:
    """Resource and scope of an item, from its ``Resource…`` and ``Scope…`` messages."""
    scope: InstrumentationScope = scoped.scope
    return {
        "resource": attributes(group.resource.attributes),
        "scope": {
            "name": scope.name,
            "version": scope.version,
            "attributes": attributes(scope.attributes),
            "schema_url": scoped.schema_url,
        },
    }


def hex_id(raw: bytes) -> str | None:
    """A trace or span id in lower-case hex, ``None`` where it is empty."""
    return raw.hex() or None
