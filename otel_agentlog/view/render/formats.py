"""Numbers and times as people read them: short, with units, in local time.

duration(1850)          # "1.85s"
usd(0.0002)             # "$0.0002"
moment(time.time_ns())  # "09:29:02"
"""

from __future__ import annotations

import math
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


def usd(amount: Any, partly: object = False) -> str:
    """``$0`` ``$0.0002`` ``$0.023`` ``$1.85`` ``$1,204.10``, with a ``+`` for a part of the whole; `UNKNOWN` for ``None``."""
    if not _is_number(amount):
        return UNKNOWN
    more = "+" if partly else ""
    if amount == 0:
        return f"$0{more}"
    if 0 < amount < 0.00005:
        return f"<$0.0001{more}"
    digits = f"{amount:.4f}" if abs(amount) < 0.01 else f"{amount:.3f}" if abs(amount) < 1 else f"{amount:,.2f}"
    return f"${digits}{more}"


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


def local_moment(time_ns: int | None) -> str:
    """``2026-11-21 09:29:02``, in local time."""
    local = _local(time_ns)
    return "" if local is None else f"{local:%Y-%m-%d %H:%M:%S}"


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
