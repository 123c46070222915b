"""Writes items of a folder as OTLP JSON lines, the format of the collector's file exporter and OTLP JSON file receiver.

Each line is one ``ExportTraceServiceRequest`` or ``ExportLogsServiceRequest`` by the JSON encoding of the OTLP specification
(https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): keys in lowerCamelCase, 64-bit integers as text, enums as
integers, trace and span ids in hex where plain protobuf JSON would have base64.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.export.pipeline.items import Item
from otel_agentlog.export.pipeline.signal_queue import BATCH_BYTES
from otel_agentlog.export.shipping import item_of
from otel_agentlog.vocabulary.records import UnsentItem
from otel_agentlog.vocabulary.terminal_text import safe_json

BATCH_ITEMS = 512
"""Most spans or log records of one line."""

_IDS = frozenset({"traceId", "spanId", "parentSpanId"})


@dataclass
class Exported:
    """How many items were written."""

    spans: int = 0
    log_records: int = 0
    left_out: int = 0
    """Items that OTLP has no form for."""


def otlp_json_lines(found: Iterable[UnsentItem], counts: Exported) -> Iterator[bytes]:
    """Yield one line (with its newline) per batch of one signal; ``counts`` is brought up to date before each."""
    batches: dict[str, list[Item]] = {"traces": [], "logs": []}
    sizes = {"traces": 0, "logs": 0}
    for each in found:
        item = _item(each)
        if item is None:
            counts.left_out += 1
            continue
        batches[item.signal].append(item)
        sizes[item.signal] += item.size_bytes
        if len(batches[item.signal]) >= BATCH_ITEMS or sizes[item.signal] >= BATCH_BYTES:
            yield from _lines(item.signal, batches[item.signal], counts)
            batches[item.signal], sizes[item.signal] = [], 0
    for signal, items in batches.items():
        if items:
            yield from _lines(signal, items, counts)


def _item(unsent: UnsentItem) -> Item | None:
    try:
        return item_of(unsent)
    except Exception:  # noqa: BLE001 - a damaged line may raise anything, and must not keep the others from being written
        raise_interrupt()
        return None


def _lines(signal: str, items: Sequence[Item], counts: Exported) -> Iterator[bytes]:
    try:
        line = _line(signal, items)
    except Exception:  # noqa: BLE001 - an item that cannot be encoded is found and left out
        raise_interrupt()
        if len(items) == 1:
            counts.left_out += 1
            return
        for item in items:
            yield from _lines(signal, [item], counts)
        return
    if signal == "traces":
        counts.spans += len(items)
    else:
        counts.log_records += len(items)
    yield line


def _line(signal: str, items: Sequence[Item]) -> bytes:
    # Here, because protobuf takes longer to import than all the rest.
    from google.protobuf.json_format import MessageToDict

    from otel_agentlog.export.transport.otlp import encode

    request = encode(signal, [item.data for item in items])
    encoded = orjson.dumps(_with_hex_ids(MessageToDict(request, use_integers_for_enums=True)))
    # It may be printed on a terminal.
    return safe_json(encoded.decode()).encode() + b"\n"


def _with_hex_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: base64.b64decode(each).hex() if key in _IDS and isinstance(each, str) else _with_hex_ids(each)
            for key, each in value.items()
        }
    return [_with_hex_ids(each) for each in value] if isinstance(value, list) else value
