"""Records as a writer makes them, for tests of reading."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from otel_agentlog.store.folder import layout
from otel_agentlog.store.folder.lines import LineReader
from otel_agentlog.vocabulary.lines import encode

TASK = "task-7f3a1c9e2b40"
"""The golden task that has everything."""


def record(number: int, **keys: Any) -> dict[str, Any]:
    """A record as a writer makes it."""
    time = layout.timestamp(1_795_238_521_000_000_000 + number)
    return {"timestamp": time, "type": "log", "level": "INFO", "message": f"message {number}", **keys, "event_id": f"a1-{number}"}


def reader_of(data: bytes, chunk: int = 1 << 18, **options: Any) -> LineReader:
    """A reader of bytes in memory, given in chunks of one size."""
    return LineReader(lambda complain: (data[i : i + chunk] for i in range(0, len(data), chunk)), file="x.jsonl", **options)


def numbers(lines: Iterable[dict[str, Any]]) -> list[int]:
    """The event numbers of lines."""
    return [int(line["event_id"].split("-")[1]) for line in lines]


ONE, TWO, THREE = (encode(record(number)) for number in (1, 2, 3))
