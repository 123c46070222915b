"""Spans that Phoenix gives: ``GET /v1/projects/…/spans`` (``{"data": […]}``), and the data frame of spans as JSON records.

A span has ``context.trace_id`` and ``context.span_id`` (an object, or names with a dot), ``span_kind``, ``parent_id``, ISO times,
and attributes of OpenInference: flat, nested, or with ``attributes.`` in front.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from otel_agentlog.tools.imports.readers.events import moment_ns
from otel_agentlog.tools.imports.readers.spans import LeftOut, Traced, exported_span, hex_id
from otel_agentlog.vocabulary.coerce import mapping, objects, text
from otel_agentlog.vocabulary.lines import timestamp

NAME = "phoenix"
MAX_ATTRIBUTES = 5_000
"""Of one span; nested ones may become more than these."""

MAX_DEPTH = 16


def recognises(row: Mapping[str, Any]) -> bool:
    """Whether a row is of such a file."""
    if isinstance(row.get("data"), list):
        return any(recognises(each) for each in row["data"] if isinstance(each, Mapping) and "data" not in each)
    context = mapping(row, "context")
    has_ids = {"trace_id", "span_id"} <= context.keys() or "context.span_id" in row
    return has_ids and ("span_kind" in row or "attributes" in row or "start_time" in row)


def read(row: Mapping[str, Any]) -> Iterator[Traced]:
    """The spans of a row."""
    if isinstance(row.get("data"), list):
        for each in objects(row, "data"):
            yield _span(each)
    else:
        yield _span(row)


def _span(row: Mapping[str, Any]) -> Traced:
    context = mapping(row, "context")
    trace_id = hex_id(context.get("trace_id", row.get("context.trace_id")), 32)
    span_id = hex_id(context.get("span_id", row.get("context.span_id")), 16)
    start_ns = moment_ns(row.get("start_time"))
    if trace_id is None or span_id is None or start_ns is None:
        return LeftOut("expected a span with context.trace_id, context.span_id and start_time")
    status = (text(row, "status_code") or "").upper()
    return exported_span(
        "phoenix",
        (trace_id, span_id, hex_id(row.get("parent_id"), 16)),
        (start_ns, moment_ns(row.get("end_time"))),
        text(row, "name") or "span",
        _attributes(row),
        (status if status in ("OK", "ERROR") else "UNSET", text(row, "status_message") or None),
        [_event(each, start_ns) for each in objects(row, "events")],
    )


def _attributes(row: Mapping[str, Any]) -> dict[str, Any]:
    prefix = "attributes."
    flat: dict[str, Any] = {}
    _flatten("", mapping(row, "attributes"), flat, 0)
    for key, value in row.items():
        if key.startswith(prefix) and value is not None:
            _flatten(key.removeprefix(prefix), value, flat, 0)
    if kind := text(row, "span_kind"):
        flat.setdefault("openinference.span.kind", kind)
    return flat


def _flatten(name: str, value: Any, flat: dict[str, Any], depth: int) -> None:
    """Objects, and arrays of objects, as attributes with dots in their names."""
    if len(flat) >= MAX_ATTRIBUTES:
        return
    if isinstance(value, Mapping) and depth < MAX_DEPTH:
        for key, each in value.items():
            _flatten(f"{name}.{key}" if name else str(key), each, flat, depth + 1)
    elif isinstance(value, list) and depth < MAX_DEPTH and value and all(isinstance(each, Mapping) for each in value):
        for number, each in enumerate(value):
            _flatten(f"{name}.{number}", each, flat, depth + 1)
    elif value is not None and name:
        flat[name] = value


def _event(event: Mapping[str, Any], otherwise_ns: int) -> dict[str, Any]:
    attributes = dict(mapping(event, "attributes"))
    if message := text(event, "message"):
        attributes.setdefault("exception.message", message)
    at_ns = moment_ns(event.get("timestamp")) or otherwise_ns
    return {"timestamp": timestamp(at_ns), "name": text(event, "name") or "event", "attributes": attributes}
