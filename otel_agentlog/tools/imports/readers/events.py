"""What readers of transcripts give: what happened in a task, with the times and ids of the source.

Readers are pure: rows in, events out. ``task`` is the key of the task in its format, the same whenever the file is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta, timezone
from typing import Any, TypeAlias

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.record.providers.fields import decoded
from otel_agentlog.vocabulary.states import Outcome

MAX_TITLE = 80
"""Longest name of a task that is made of what it was asked, in characters."""


@dataclass(frozen=True, slots=True)
class Begin:
    """A task begins."""

    task: str
    at_ns: int
    name: str
    agent: str
    input: Any = None
    parent: str | None = None
    """The key of the task that it is a sub-task of, which need not be in the same file."""
    call_id: str | None = None
    """The tool run of the parent that it is the work of."""
    session_id: str | None = None
    model: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Text:
    """Something was said: ``kind`` is ``output``, ``thinking``, ``system`` or ``user``."""

    task: str
    at_ns: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A model was asked, and answered or failed."""

    task: str
    at_ns: int
    """When it was asked."""
    end_ns: int
    key: str
    """What no other call of the task has, and the same whenever the file is read."""
    model: str
    provider: str | None = None
    response: Any = None
    """The answer in the provider's form, as ``ai_call().record`` takes it."""
    cost_usd: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ToolStart:
    """A tool run begins."""

    task: str
    at_ns: int
    call_id: str
    name: str
    arguments: Any = None


@dataclass(frozen=True, slots=True)
class ToolEnd:
    """It ends; with an ``error`` it failed."""

    task: str
    at_ns: int
    call_id: str
    result: Any = None
    error: str | None = None
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """Anything else that happened: a line of type ``event``."""

    task: str
    at_ns: int
    action: str
    message: str
    level: str = "INFO"
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class End:
    """A task ends, as far as the file goes."""

    task: str
    at_ns: int
    outcome: Outcome = Outcome.COMPLETED
    result: Any = None
    error: str | None = None


Event: TypeAlias = Begin | Text | Answer | ToolStart | ToolEnd | Remark | End


def title(text: object, otherwise: str) -> str:
    """The first line of a text that has anything on it, cut: a name for a task."""
    lines = (line.strip() for line in text.split("\n", 50)) if isinstance(text, str) else iter(())
    return next((line[:MAX_TITLE] for line in lines if line), otherwise)


def read_json(value: Any) -> Any:
    """What the JSON text of an object or array holds; anything else as it is."""
    return decoded(value) if isinstance(value, str) and value.lstrip()[:1] in ("{", "[") else value


_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)?\s*(Z|[+-]\d\d:?\d\d)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LAST_NS = 2**63 - 1
"""In the year 2262: what fits into 64 bits."""
_UNITS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3))
"""Below which number a time is in seconds, milliseconds or microseconds, and what it is multiplied with; else nanoseconds."""


def moment_ns(value: object) -> int | None:
    """A time in Unix nanoseconds: an RFC 3339 text (UTC where it names no zone), or a number of seconds, ms, µs or ns since 1970.

    ``None`` for what is no time, or none between 1970 and 2262.
    """
    if isinstance(value, str):
        return _numeral_ns(value) if value.isascii() and value.isdigit() else _written_ns(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _LAST_NS:
        return None
    factor = next((factor for below, factor in _UNITS if value < below), 1)
    found = value * factor if isinstance(value, int) else round(value * factor)
    return found if found <= _LAST_NS else None


def _numeral_ns(text: str) -> int | None:
    return moment_ns(int(text)) if len(text) <= 21 else None


def _written_ns(text: str) -> int | None:
    match = _MOMENT.fullmatch(text.strip()[:64])
    if match is None:
        return None
    day, clock, decimals, zone = match.groups()
    sign, hours, minutes = (1, 0, 0) if zone in (None, "Z") else (-1 if zone[0] == "-" else 1, int(zone[1:3]), int(zone[-2:]))
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}+00:00") - sign * timedelta(hours=hours, minutes=minutes) - _EPOCH
    except (ValueError, OverflowError):
        raise_interrupt()
        return None
    found = (moment.days * 86_400 + moment.seconds) * 10**9 + int((decimals or "0").ljust(9, "0"))
    return found if 0 < found <= _LAST_NS else None
