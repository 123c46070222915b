"""Hides how people write a moment in the past: ``2h``, ``3d``, ``today``, ``yesterday``, ``2026-11-20``, ``2026-11-20T09:30``."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_AGO = re.compile(r"(\d{1,6})\s*(s|m|min|h|d|w)", re.ASCII | re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment_s(text: str, now: datetime | None = None) -> float:
    """Unix seconds of a moment; without a time zone it is local time, without a time the beginning of the day.

    Raises:
        ValueError: it is no such moment; the message says what is understood.
    """
    now = now or datetime.now().astimezone()
    word = text.strip().lower()
    if (match := _AGO.fullmatch(word)) is not None:
        return now.timestamp() - int(match[1]) * _SECONDS[match[2]]
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if word in ("today", "yesterday"):
        return (midnight - timedelta(days=word == "yesterday")).timestamp()
    try:
        # Python 3.10 knows no Z.
        found = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text.strip()))
    except ValueError:
        raise ValueError(f"expected a moment such as 2h, 3d, yesterday or 2026-11-20T09:30, found {text!r}") from None
    return found.timestamp()
