"""Payloads too large for a line: they go whole to ``artifacts/<sha256>``, the line keeps a preview, the size and the hash."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from otel_agentlog.model import Line

MAX_LINE_BYTES = 256 * 1024
"""Longest line, in bytes; a longer one has its largest values moved to artifacts."""

MAX_VALUE_BYTES = 16 * 1024
"""Values up to this size stay in a long line, if that is enough."""

PREVIEW_CHARACTERS = 512

KEEP = frozenset(
    {"timestamp", "type", "event_id", "trace_id", "span_id", "parent_span_id", "task_id", "name", "phase", "kind", "stage"}
)
"""Keys that never move: without them the line cannot be found or placed."""

Keep = Callable[[bytes], str]
"""Stores bytes and returns their sha256 in hex."""


def spill(line: Line, keep: Keep) -> Line:
    """A copy of the line in which large values are references to artifacts."""
    short = {key: value if key in KEEP else _moved(value, keep) for key, value in line.items()}
    if len(orjson.dumps(short)) <= MAX_LINE_BYTES:
        return short
    # Many small values: whole containers go, the largest first.
    sizes = {
        key: len(orjson.dumps(value)) for key, value in short.items() if key not in KEEP and not isinstance(value, (int, float))
    }
    excess = sum(sizes.values()) - MAX_LINE_BYTES // 2
    for key in sorted(sizes, key=lambda name: -sizes[name]):
        if excess <= 0:
            break
        short[key] = _artifact(orjson.dumps(short[key]), "application/json", keep)
        excess -= sizes[key]
    return short


def _moved(value: Any, keep: Keep) -> Any:
    if isinstance(value, str):
        data = value.encode() if len(value) * 4 > MAX_VALUE_BYTES else b""
        return _artifact(data, "text/plain", keep) if len(data) > MAX_VALUE_BYTES else value
    if isinstance(value, dict):
        return {key: _moved(item, keep) for key, item in value.items()}
    if isinstance(value, list):
        return [_moved(item, keep) for item in value]
    return value


def _artifact(data: bytes, media_type: str, keep: Keep) -> dict[str, Any]:
    preview = data[: PREVIEW_CHARACTERS * 4].decode("utf-8", "ignore")[:PREVIEW_CHARACTERS]
    return {"$artifact": {"sha256": keep(data), "size_bytes": len(data), "media_type": media_type, "preview": preview}}
