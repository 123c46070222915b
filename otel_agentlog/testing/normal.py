"""Hides what differs from run to run: ids, times, durations, measurements, places on the disk.

An id is replaced by what it is and a number in the order of appearance (``<error-1>``), the same everywhere: a golden file shows
that an id that was printed is the one that was recorded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from typing import Any

LEFT_OUT_TYPES = {"process"}
"""Types of lines that say something about the machine and the process only."""
LEFT_OUT_ACTIONS = {"resource_usage_sampled"}
"""Actions of lines that come as often as time allows."""
LEFT_OUT_KEYS = {"line", "pid", "host", "trace_flags", "scope", "resources", "left_behind"}
"""Keys that say something about the machine, the process or where the code stands only."""
MEASURED = re.compile(
    r"(duration|elapsed|latency|cpu|memory|rss|disk|wall|wait|time_to_first|user_time|system_time|max_rss|peak)\w*|\w*_duration_ms"
)
"""Keys whose value is measured, or drawn by lot."""

_RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("time", re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")),
    ("port", re.compile(r"(?<=127\.0\.0\.1:)\d{4,5}\b")),
    ("uuid", re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")),
    ("event", re.compile(r"\b[0-9a-f]{8}-\d+\b")),
    ("sha256", re.compile(r"\b[0-9a-f]{64}\b")),
    ("trace", re.compile(r"\b[0-9a-f]{32}\b")),
    ("span", re.compile(r"\b[0-9a-f]{16}\b")),
    ("task", re.compile(r"\btask-[0-9a-z]{10,40}\b")),
    ("duration", re.compile(r"(?<![\w<-])\d+(?:\.\d+)? ?(?:ns|µs|ms|s|MB|MiB)\b")),
)
_UNNUMBERED = {"time", "port", "duration", "event"}


def normal_json(value: Any) -> Any:
    """One line or document with measurements replaced; ``None`` for a line that is left out."""
    if value.get("type") in LEFT_OUT_TYPES or value.get("action") in LEFT_OUT_ACTIONS:
        return None
    return _normal(value)


def _normal(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _of_key(key, item) for key, item in value.items() if key not in LEFT_OUT_KEYS}
        return {key: item for key, item in kept.items() if key not in ("attributes", "metrics") or item}
    return [_normal(item) for item in value] if isinstance(value, list) else value


def _of_key(key: str, value: Any) -> Any:
    if key == "traceback":
        return "<traceback>"
    if key == "attributes" and isinstance(value, dict):
        # What the conventions make of a line is tested elsewhere; the user's own is left.
        return _normal({name: item for name, item in value.items() if not name.startswith(("gen_ai.", "agentlog."))})
    if key == "price" and isinstance(value, dict):
        return {name: item for name, item in value.items() if name != "version"}
    if key == "metrics":
        return {name: item for name, item in _normal(value).items() if not name.startswith(("memory", "cpu", "disk"))}
    if not isinstance(value, (dict, list)) and MEASURED.fullmatch(key.rpartition(".")[2]):
        return "<measured>"
    return _normal(value)


def normal_text(text: str, *, places: Mapping[str, str], errors: Set[str]) -> str:
    """The text with everything replaced that is another one in each run."""
    for place, word in sorted(places.items(), key=lambda item: -len(item[0])):
        text = text.replace(place, word)
    if errors:
        text = re.sub(rf"\b(?:{'|'.join(sorted(map(re.escape, errors)))})\b", _numbered("error"), text)
    for word, pattern in _RULES:
        text = pattern.sub(f"<{word}>" if word in _UNNUMBERED else _numbered(word), text)
    return text


def _numbered(word: str) -> Callable[[re.Match[str]], str]:
    seen: dict[str, int] = {}
    return lambda match: f"<{word}-{seen.setdefault(match[0], len(seen) + 1)}>"
