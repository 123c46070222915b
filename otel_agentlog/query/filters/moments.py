"""Moments and spans of time as people write them.

parse_moment("2h")      # two hours ago, in Unix seconds
parse_seconds("1m30s")  # 90.0
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta

from otel_agentlog._interrupts import raise_interrupt

_UNIT = r"(\d{1,6})\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)"
_AGO = re.compile(rf"(?:{_UNIT}\s*)+(?:ago)?", re.ASCII)
_PART = re.compile(_UNIT, re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)


def parse_moment(text: str, now: datetime | None = None) -> float:
    """The Unix seconds of ``2h``, ``1h30m``, ``3 days ago``, ``today``, ``yesterday``, ``09:30`` or an ISO 8601 date.

    Without a time zone it is local time, without a time the beginning of the day.

    Raises:
        ValueError: it is no such moment; the message has what is accepted.
    """
    now = now or datetime.now().astimezone()
    word = text.strip().lower()
    if word == "now":
        return now.timestamp()
    if _AGO.fullmatch(word) is not None:
        return now.timestamp() - sum(int(count) * _SECONDS[unit[0]] for count, unit in _PART.findall(word))
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if word in ("today", "yesterday"):
        return (midnight - timedelta(days=word == "yesterday")).timestamp()
    if (clock := _CLOCK.fullmatch(word)) is not None:
        return midnight.replace(hour=int(clock[1]), minute=int(clock[2])).timestamp()
    return _by_calendar(text)


def _by_calendar(text: str) -> float:
    try:
        # Python 3.10 does not parse a Z.
        return datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text.strip())).timestamp()
    except (ValueError, OverflowError, OSError):
        raise_interrupt()
        raise ValueError(f"expected a moment such as 2h, 3d, yesterday or 2026-11-20T09:30, found {text!r}") from None


_SPAN = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(us|µs|ms|s|m|h|d|w)?", re.ASCII)
_SPAN_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, **_SECONDS}


def parse_seconds(text: str) -> float:
    """The seconds of ``500ms``, ``30s``, ``1m30s``, ``2h``; a number without a unit is seconds.

    Raises:
        ValueError: it is no span of time; the message has what is accepted.
    """
    word, at, total = text.strip().lower(), 0, 0.0
    while (part := _SPAN.match(word, at)) is not None:
        unit = part[2] or ("s" if part.end() == len(word) else "")
        if not unit:
            break
        total, at = total + float(part[1]) * _SPAN_SECONDS[unit], part.end()
    if not word or at != len(word) or not math.isfinite(total):
        raise ValueError(f"expected a span of time such as 500ms, 30s, 1m30s or 2h, found {text!r}")
    return total
