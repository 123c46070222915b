"""Writes items of a folder as OTLP JSON lines, the format of the collector's file exporter and OTLP JSON file receiver.

Each line is one ``ExportTraceServiceRequest`` or ``ExportLogsServiceRequest`` (`otel_agentlog.export.transport.otlp.json_line`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.export.encoding import Encoder
from otel_agentlog.export.pipeline.items import Item
from otel_agentlog.export.shipping import batches, item_of
from otel_agentlog.vocabulary.records import UnsentItem


@dataclass
class Exported:
    """How many items were written."""

    spans: int = 0
    log_records: int = 0
    left_out: int = 0
    """Items that OTLP has no form for."""


def otlp_json_lines(found: Iterable[UnsentItem], counts: Exported) -> Iterator[bytes]:
    """Yield one line (with its newline) per batch of one signal; ``counts`` is brought up to date before each."""
    for signal, batch in batches(_items(found, counts)):
        yield from _lines(signal, batch, counts)


def _items(found: Iterable[UnsentItem], counts: Exported) -> Iterator[Item]:
    encoder = Encoder()
    for each in found:
        if (item := _item(each, encoder)) is None:
            counts.left_out += 1
        else:
            yield item


def _item(unsent: UnsentItem, encoder: Encoder) -> Item | None:
    try:
        return item_of(unsent, encoder)
    except Exception:  # noqa: BLE001 - a damaged line may raise anything, and must not keep the others from being written
        raise_interrupt()
        return None


def _lines(signal: str, items: Sequence[Item], counts: Exported) -> Iterator[bytes]:
    # Here, because protobuf takes longer to import than all the rest.
    from otel_agentlog.export.transport.otlp import json_line

    try:
        line = json_line(signal, [item.data for item in items])
    except Exception:  # noqa: BLE001 - an item that no message can hold is found and left out
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
