"""Hides how people write a moment in the past: ``2h``, ``1h30m``, ``3 days ago``, ``today``, ``yesterday``, ``09:30``,
``2026-11-20``, ``2026-11-20T09:30``."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_UNIT = r"(\d{1,6})\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)"
_AGO = re.compile(rf"(?:{_UNIT}\s*)+(?:ago)?", re.ASCII)
_PART = re.compile(_UNIT, re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)


def moment_s(text: str, now: datetime | None = None) -> float:
    """Unix seconds of a moment; without a time zone it is local time, without a time the beginning of the day.

    Raises:
        ValueError: it is no such moment; the message says what is understood.
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
        # Python 3.10 knows no Z.
        return datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text.strip())).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"expected a moment such as 2h, 3d, yesterday or 2026-11-20T09:30, found {text!r}") from None
