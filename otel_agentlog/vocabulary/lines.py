"""Lines of a ``.jsonl`` file: their types, which OTLP items they give, and how a time is written."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

FORMAT_VERSION = 1
"""Version of the task folder's format, written into ``metadata.json`` and every process line."""

Line: TypeAlias = dict[str, Any]
"""One record as it stands in a ``.jsonl`` file; ``timestamp`` is its first key."""

SPAN_TYPES = frozenset(
    {"task", "step", "ai_request", "ai_response", "tool_call", "tool_result"}
    | {"webhook", "queue_push", "queue_pickup", "segment", "span"}
)
"""Types of lines that start or end a span."""

LOG_TYPES = frozenset({"log", "state", "attempt", "event"})
"""Types of lines that are always a log record."""

CONTENT_TYPES = frozenset({"output", "thinking", "system", "user"})
"""Types of lines that are a log record only where content may leave."""

STAGES = ("received", "validation", "command_matching", "immediate_response", "task_created", "queue_push")
"""The stages of a webhook flow, in order."""


def is_log_record(line: Mapping[str, Any], content_policy: str) -> bool:
    """Whether a line is sent as an OTLP log record of its own (``docs/format.md``, table of types)."""
    kind = line.get("type")
    if kind in LOG_TYPES:
        return True
    return kind in CONTENT_TYPES and content_policy != "off"


NOT_INFERENCE = frozenset(
    {"embeddings", "retrieval", "fetch_response", "create_agent", "invoke_agent", "create_memory_store", "search_memory"}
    | {"create_memory", "update_memory", "upsert_memory", "delete_memory", "delete_memory_store"}
)
"""GenAI operations that are no request for an answer; every other one is an inference, as the set is open."""


def is_details_record(line: Mapping[str, Any], content_policy: str, content_on: Collection[str]) -> bool:
    """Whether the end of an AI call is also sent as a log record with all that was said (``content_on`` has ``event``)."""
    if content_policy == "off" or "event" not in content_on or line.get("type") != "ai_response":
        return False
    details = line.get("details")
    operation = details.get("operation") if isinstance(details, Mapping) else None
    return not isinstance(operation, str) or operation not in NOT_INFERENCE


def is_exception_record(line: Mapping[str, Any]) -> bool:
    """Whether an end line also carries an exception that is sent as a log record."""
    exception = line.get("exception")
    return line.get("phase") == "end" and isinstance(exception, Mapping) and bool(exception.get("traceback"))


SPAN, LOG, DETAILS, EXCEPTION = "span", "log", "details", "exception"
"""The kinds of OTLP items a line can give, at most one of each: its span, or the log record it is, and records about an end."""


def items_of(line: Mapping[str, Any], content_policy: str, content_on: Collection[str] = ("span",)) -> tuple[str, ...]:
    """The kinds of the OTLP items that a line completes, in the order they are sent; none for most lines."""
    if line.get("phase") != "end":
        return (LOG,) if is_log_record(line, content_policy) else ()
    details = (DETAILS,) if is_details_record(line, content_policy, content_on) else ()
    return (SPAN, *details, EXCEPTION) if is_exception_record(line) else (SPAN, *details)


def count_items(line: Mapping[str, Any], content_policy: str, content_on: Collection[str] = ("span",)) -> int:
    """How many OTLP items a line completes."""
    return len(items_of(line, content_policy, content_on))


_second = (-1, "")


_LAST_NS = 253_402_300_800 * 1_000_000_000 - 1
"""The last nanosecond of the year 9999, beyond which RFC 3339 has no words."""


def timestamp(time_ns: int) -> str:
    """Unix nanoseconds as RFC 3339 UTC with nine decimals, e.g. ``2026-11-21T05:22:01.123456789Z``.

    A time before 1970 or after 9999, which a broken clock may give, is the nearest that can be written.
    """
    global _second
    second, rest = divmod(min(max(time_ns, 0), _LAST_NS), 1_000_000_000)
    known, text = _second
    if known != second:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _second = (second, text)
    return f"{text}.{rest:09d}Z"
