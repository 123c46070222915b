"""What readers of traces give: spans as ``record.foreign_spans.adopt`` takes them, log records, scores, facts of a trace, and
the resources of spans and log records."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, NamedTuple, TypeAlias

import orjson

from otel_agentlog._startup import dataclass
from otel_agentlog.vocabulary.coerce import text

_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class TracedSpan:
    """A span that has ended."""

    start: Mapping[str, Any]
    """As `adopt` takes it."""
    end: Mapping[str, Any]
    """As `AdoptedSpan.end` takes it."""
    service: str | None = None


@dataclass(frozen=True, slots=True)
class TracedLog:
    """A log record of a trace."""

    trace_id: str
    span_id: str | None
    at_ns: int
    level: str
    logger: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)
    resource: str | None = None
    """The id of its resource, where that is known."""


@dataclass(frozen=True, slots=True)
class TracedScore:
    """A score of a trace, or of a span of it."""

    trace_id: str
    span_id: str | None
    at_ns: int
    name: str
    value: float | None
    label: str | None = None
    explanation: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class TraceFacts:
    """What is known of a trace as a whole."""

    trace_id: str
    name: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    tags: tuple[str, ...] = ()
    input: Any = None
    output: Any = None
    at_ns: int = 0


@dataclass(frozen=True, slots=True)
class TracedResource:
    """The resource of the spans and log records that follow, up to the next one of these."""

    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part of a row that cannot be used, and why."""

    reason: str


Traced: TypeAlias = TracedSpan | TracedLog | TracedScore | TraceFacts | TracedResource | LeftOut


class Resource(NamedTuple):
    """Who sent something, clean."""

    service: str
    data: bytes
    """Its attributes, as JSON."""
    hash: str
    """Of them: what two instances of a service send is not the same, however equal it is."""

    @property
    def id(self) -> str | None:
        """What spans and log records name it by; ``None`` if it says nothing."""
        return None if self.data == b"{}" else self.hash[:16]


def resource_of(attributes: Mapping[str, Any], clean: Callable[[dict[str, Any]], Any]) -> Resource:
    """The resource with these attributes; ``clean`` is the cleaning step."""
    kept = clean(dict(attributes))
    data = orjson.dumps(kept if isinstance(kept, dict) else {}, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS)
    return Resource(text(attributes, "service.name") or "unknown_service", data, hashlib.sha256(data).hexdigest())


def hex_id(value: object, digits: int) -> str | None:
    """An id of so many hex digits: as it is if it is one, else made of the text; ``None`` for what is no id, or 0."""
    if not isinstance(value, str) or not value:
        return None
    plain = value.lower().replace("-", "") if digits == 32 else value.lower()
    if len(plain) == digits and _HEX.issuperset(plain):
        return plain if plain.strip("0") else None
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:digits]


def exported_span(
    scope: str,
    ids: tuple[str, str, str | None],
    times: tuple[int, int | None],
    name: str,
    attributes: Mapping[str, Any],
    status: tuple[str, str | None],
    events: Sequence[Mapping[str, Any]] = (),
) -> TracedSpan:
    """A span of an export that has no kinds of spans.

    Args:
        scope: who exported it.
        ids: of trace, span and parent; a span that names itself as its parent has none.
        times: start and end in Unix nanoseconds; an end that is not known, or before the start, is the start.
        status: code (``OK``, ``ERROR``, ``UNSET``) and description.
    """
    (trace_id, span_id, parent), (start_ns, end_ns), (code, description) = ids, times, status
    start: dict[str, Any] = {
        "name": name,
        "kind": "INTERNAL",
        "trace_id": trace_id,
        "span_id": span_id,
        "trace_flags": 1,
        "start_ns": start_ns,
        "attributes": attributes,
        "scope": {"name": scope},
    }
    if parent is not None and parent != span_id:
        start["parent_span_id"] = parent
    end = {
        "end_ns": max(start_ns, end_ns or start_ns),
        "name": name,
        "attributes": attributes,
        "events": list(events),
        "status_code": code,
        "status_description": description,
    }
    return TracedSpan(start, end)
