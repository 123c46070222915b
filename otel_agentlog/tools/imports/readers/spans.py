"""What readers of traces give: spans as ``record.foreign_spans.adopt`` takes them, log records, scores, facts of a trace."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

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
    """What is told of a trace as a whole."""

    trace_id: str
    name: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    tags: tuple[str, ...] = ()
    input: Any = None
    output: Any = None
    at_ns: int = 0


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part of a row that cannot be used, and why."""

    reason: str


Traced: TypeAlias = TracedSpan | TracedLog | TracedScore | TraceFacts | LeftOut


def hex_id(value: object, digits: int) -> str | None:
    """An id of so many hex digits: as it is if it is one, else made of the text; ``None`` for what is no id, or 0."""
    if not isinstance(value, str) or not value:
        return None
    plain = value.lower().replace("-", "") if digits == 32 else value.lower()
    if len(plain) == digits and _HEX.issuperset(plain):
        return plain if plain.strip("0") else None
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
