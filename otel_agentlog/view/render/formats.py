"""Numbers and times as people write and read them: short, with units, in local time.

duration(1850)          # "1.85s"
usd(0.0002)             # "$0.0002"
moment(time.time_ns())  # "09:29:02"
parse_moment("2h")      # two hours ago, in Unix seconds
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from typing import Any

UNKNOWN = "?"
"""Shown for what could be known and is not, a price above all."""


def duration(milliseconds: float | None) -> str:
    """``0.4ms`` ``12ms`` ``1.85s`` ``42.0s`` ``3m05s`` ``2h03m`` ``4d05h``; empty for ``None``."""
    if milliseconds is None or not math.isfinite(milliseconds):
        return ""
    if milliseconds < 9.95:
        return f"{milliseconds:.1f}ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f}ms"
    if milliseconds < 9_995:
        return f"{milliseconds / 1000:.2f}s"
    if milliseconds < 59_950:
        return f"{milliseconds / 1000:.1f}s"
    whole = round(milliseconds / 1000)
    for unit, below, of, name in ((60, 3600, 1, "m"), (3600, 86400, 60, "h"), (86400, math.inf, 3600, "d")):
        if whole < below:
            return f"{whole // unit}{name}{whole % unit // of:02}{'smh'['mhd'.index(name)]}"
    raise AssertionError("the last unit has no end")


def seconds(value: float | None) -> str:
    """`duration` of seconds."""
    return "" if value is None else duration(value * 1000)


def tokens(count: Any) -> str:
    """``850`` ``12.4k`` ``1.2M``; empty for what is no number."""
    if not _is_number(count):
        return ""
    for unit, name in ((1, ""), (1000, "k"), (1_000_000, "M")):
        value = count / unit
        if value < 999.95 or name == "M":
            return f"{value:.0f}{name}" if name == "" or value >= 99.95 else f"{value:.1f}{name}"
    raise AssertionError("the last unit has no end")


def usd(amount: Any) -> str:
    """``$0`` ``$0.0002`` ``$0.023`` ``$1.85`` ``$1,204.10``; `UNKNOWN` for ``None``."""
    if not _is_number(amount):
        return UNKNOWN
    if amount == 0:
        return "$0"
    if 0 < amount < 0.00005:
        return "<$0.0001"
    return f"${amount:.4f}" if abs(amount) < 0.01 else f"${amount:.3f}" if abs(amount) < 1 else f"${amount:,.2f}"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """``1 step`` ``2 steps``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def size(number_of_bytes: Any) -> str:
    """``512 B`` ``1.5 kB`` ``20.0 MB`` ``79.7 GB``."""
    if not _is_number(number_of_bytes):
        return f"{UNKNOWN} B"
    if number_of_bytes < 1000:
        return f"{number_of_bytes:.0f} B"
    for unit, factor in (("kB", 1e3), ("MB", 1e6)):
        if number_of_bytes < factor * 1000:
            return f"{number_of_bytes / factor:.1f} {unit}"
    return f"{number_of_bytes / 1e9:.1f} GB"


def moment(time_ns: int | None, now: datetime | None = None) -> str:
    """A local time, shorter the nearer: ``09:29:02``, ``yesterday 09:29``, ``Nov 14 09:29``, ``2025-11-14 09:29``."""
    local = _local(time_ns)
    if local is None:
        return ""
    now = now or datetime.now().astimezone()
    if local.date() == now.date():
        return f"{local:%H:%M:%S}"
    if local.date() == now.date() - timedelta(days=1):
        return f"yesterday {local:%H:%M}"
    return f"{local:%b} {local.day} {local:%H:%M}" if local.year == now.year else f"{local:%Y-%m-%d %H:%M}"


def full_moment(time_ns: int | None) -> str:
    """``2026-11-21 09:29:02 UTC``, in local time."""
    local = _local(time_ns)
    return "" if local is None else f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"


def clock(time_ns: int | None) -> str:
    """``09:29:02.123``, in local time."""
    local = _local(time_ns)
    return "" if local is None else f"{local:%H:%M:%S}.{local.microsecond // 1000:03}"


def ago(time_ns: int | None, now: datetime | None = None) -> str:
    """``12 seconds ago`` ``3 minutes ago`` ``2 hours ago`` ``4 days ago``; empty for the future and the unknown."""
    local = _local(time_ns)
    if local is None:
        return ""
    seconds = int(((now or datetime.now().astimezone()) - local).total_seconds())
    if seconds < 0:
        return ""
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit:
            return f"{count(seconds // unit, name)} ago"
    return f"{count(seconds, 'second')} ago"


def _local(time_ns: int | None) -> datetime | None:
    if time_ns is None:
        return None
    try:
        # Whole microseconds by integer arithmetic: a float has too few digits for today's nanoseconds.
        return datetime.fromtimestamp(time_ns // 1_000_000_000).astimezone() + timedelta(microseconds=time_ns // 1000 % 1_000_000)
    except (OverflowError, ValueError, OSError):
        return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


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
        raise ValueError(f"expected a moment such as 2h, 3d, yesterday or 2026-11-20T09:30, found {text!r}") from None
