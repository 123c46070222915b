"""The keys of a line that are ours, which are never cleaned like the user's values.

A line is cleaned as a whole, which is fast. Where that changed something, or failed for want of memory or stack, what is ours is
put back: times, states and ids stay right whatever the rules find in them, and what is an object stays one, so that every line
can be read, placed and validated. Only values that users gave become marks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from otel_agentlog._startup import lazy_pattern
from otel_agentlog.record.exceptions.fresh_stack import on_fresh_stack
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.scores import is_score

OWN_KEYS = (
    *("timestamp", "type", "level", "phase", "state_before", "state_after", "outcome", "duration_ms", "line"),
    *("kind", "parent_span_id", "parent_remote", "parent_elsewhere", "trace_flags", "pid", "format_version"),
)
"""Keys whose values are made here, whatever a user gives."""
STAGE_KEYS = ("timestamp",)
"""The same of a webhook's stage, whose other keys users may choose."""
_STAGE_NAMES = frozenset({"timestamp", "stage", "status", "event_type", "provider"})
_WORDS = lazy_pattern("[a-z_]{1,32}")
_OWN_WITHIN = {"links": ("trace_id", "span_id"), "events": ("timestamp",), "exception": ("error_id",)}
"""Keys that are ours within an object, or a list of objects, that is not."""


class Cleaned(Protocol):
    """A value made safe, with counts."""

    value: Any
    redacted: int
    truncated: int
    failed: int


Clean = Callable[..., Cleaned]
"""``clean(value)``, or ``clean(value, key)`` by the rules for its name; never raises."""


def keep_own(line: Line, cleaned: Cleaned, clean: Clean) -> Cleaned:
    """The cleaned line with what is ours in it as it was."""
    own = STAGE_KEYS if "stage" in line else OWN_KEYS
    if _lost(line, cleaned.value, own):
        cleaned = on_fresh_stack(_apart, line, cleaned, clean, own)
    value = cleaned.value
    for key in own:
        if key in line and value[key] != line[key]:
            value[key] = line[key]
            cleaned.redacted = max(0, cleaned.redacted - 1)
    for key, names in _OWN_WITHIN.items():
        if key in line and key in value:
            _put_back(line[key], value[key], names)
    if is_score(line):
        _put_number_back(line, cleaned)
    return cleaned


def _put_number_back(line: Line, cleaned: Cleaned) -> None:
    """The number of a score is one whatever the score is called; elsewhere the ``value`` beside such a ``name`` is a secret."""
    before, after = line.get("details"), cleaned.value.get("details")
    number = before.get("value") if type(before) is dict else None
    if type(number) in (int, float) and type(after) is dict and after.get("value") != number:
        after["value"] = number
        cleaned.redacted = max(0, cleaned.redacted - 1)


def _lost(line: Line, value: Any, own: tuple[str, ...]) -> bool:
    """Whether keys, or what is an object, did not survive."""
    if type(value) is not dict:
        return True
    names = (key for key in line if _is_ours(key, own))
    return any(key not in value or _has_lost_its_form(line[key], value[key]) for key in names)


def _is_ours(key: str, own: tuple[str, ...]) -> bool:
    """Whether a name at the top of a line was chosen here: lower-case words; of a stage only those that all stages have."""
    return key in _STAGE_NAMES if own is STAGE_KEYS else _WORDS.fullmatch(key) is not None


def _has_lost_its_form(before: object, after: object) -> bool:
    return type(before) in (dict, list) and type(after) is not type(before)


def _apart(line: Line, cleaned: Cleaned, clean: Clean, own: tuple[str, ...]) -> Cleaned:
    """Each value cleaned alone, so that one that fails costs only itself."""
    out: Line = {}
    counts = dict.fromkeys(("redacted", "truncated", "failed"), 0)
    for key, value in list(line.items()):
        if key in own:
            out[key] = value
            continue
        if _is_ours(key, own):
            part = clean(value, key)
            out[key] = _in_form(value, part.value)
        else:
            part = clean({key: value})
            out.update(part.value if type(part.value) is dict else {"unreadable": part.value})
        for name in counts:
            counts[name] += getattr(part, name)
    cleaned.value = out
    cleaned.redacted, cleaned.truncated, cleaned.failed = counts["redacted"], counts["truncated"], counts["failed"]
    return cleaned


def _in_form(before: Any, after: Any) -> Any:
    """A mark in the form of what it stands for."""
    if not _has_lost_its_form(before, after):
        return after
    return [] if type(before) is list else {"message": after}


def _put_back(before: Any, after: Any, names: tuple[str, ...]) -> None:
    if type(before) is dict and type(after) is dict:
        after.update({name: before[name] for name in names if name in before})
    elif type(before) is list and type(after) is list:
        for one, other in zip(before, after, strict=False):
            _put_back(one, other, names)
