"""What a span of another library is of its task.

Its recording says so, by attributes of ours (`otel_agentlog.export.semconv.spans.adopted`). Where they are not there, as of what
an earlier version sent, or other code's exporter, the library's own are read as they would have been when it was recorded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from otel_agentlog.export.semconv import names
from otel_agentlog.record.foreign_spans import SpanReading, billed_cost, looks_like, reading_of, session_named, tool_of
from otel_agentlog.record.providers.span_content import call_content, tool_content
from otel_agentlog.vocabulary.actions import AI_CALL, PLAIN, TOOL, Kind

Attributes = Mapping[str, str]

_KINDS = {kind.end_type: kind for kind in (AI_CALL, TOOL, PLAIN)}
_NUMBERS = re.compile(r"(?:^|[._])(?:usage|token_count|cost|resend_count)(?:[._]|$)", re.ASCII)
"""In the names of attributes that are counts or amounts."""
_LISTS = re.compile(r"finish_reasons?$", re.ASCII)


def says_itself(given: Attributes) -> bool:
    """Whether attributes of ours say what the span is."""
    return given.get(names.LINE_TYPE) in _KINDS


def kind_of(name: str, given: Attributes) -> Kind:
    """An AI call, a tool run, or a plain span."""
    return _KINDS.get(given.get(names.LINE_TYPE, "")) or looks_like(name, _values(given))


def session_of(given: Attributes) -> str | None:
    """The session or conversation that a span is of."""
    return session_named(given)


def tool_name(name: str, given: Attributes) -> str:
    """The tool that ran."""
    return tool_of(name, _reading(given))


def details_at_start(kind: Kind, given: Attributes) -> dict[str, Any]:
    """``details`` of the start line."""
    found: dict[str, Any] = {}
    if kind is AI_CALL:
        reading = _reading(given)
        known = {"provider": reading.provider, "model": reading.model, "operation": reading.operation}
        found = {key: value for key, value in known.items() if value is not None}
    return {**found, **{key: value for key, value in _content(kind, given).items() if key not in _ANSWERED}}


def details_at_end(kind: Kind, given: Attributes) -> dict[str, Any]:
    """What the end line has beside that, without what is counted where the span says it itself."""
    found = {key: value for key, value in _content(kind, given).items() if key in _ANSWERED}
    if kind is not AI_CALL:
        return found
    reading = _reading(given)
    if not says_itself(given):
        found |= {**reading.usage.known(), "cost_usd": billed_cost(_values(given))}
    answer = {
        "finish_reasons": list(reading.finish_reasons),
        "response_id": reading.response_id,
        "response_model": reading.response_model,
    }
    return {**found, **{key: value for key, value in answer.items() if value}}


_ANSWERED = ("output", "result")


def _content(kind: Kind, given: Attributes) -> dict[str, Any]:
    try:
        return call_content(given) if kind is AI_CALL else tool_content(given) if kind is TOOL else {}
    except Exception:  # noqa: BLE001 - attributes of others may hold anything, and must not cost the line
        return {}


def _reading(given: Attributes) -> SpanReading:
    return reading_of(_values(given))


def _values(given: Attributes) -> dict[str, Any]:
    """The attributes with numbers and lists in place of their texts, where the names stand for such."""
    return {key: _value(text) if _NUMBERS.search(key) or _LISTS.search(key) else text for key, text in given.items()}


def _value(text: str) -> Any:
    try:
        found = orjson.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, (int, float, list)) else text
