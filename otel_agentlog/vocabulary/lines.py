"""Lines of a ``.jsonl`` file: their types, which OTLP items they give, and how a time is written."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, TypeAlias, TypedDict

import orjson

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import lazy_pattern

FORMAT_VERSION = 1
"""Version of the task folder's format, written into ``metadata.json`` and every process line."""

Line: TypeAlias = dict[str, Any]
"""One record of a ``.jsonl`` file; ``timestamp`` is its first key.

The classes below define the keys of each type of line (`LINE_TYPES`). They describe what is written. A line
read back may hold anything under any key, so readers take a `Line` and coerce what they need (`otel_agentlog.vocabulary.coerce`).
"""


class LineKeys(TypedDict, total=False):
    """Keys that any line may have. Absent where they do not apply, never ``None``."""

    timestamp: str
    """RFC 3339 UTC with nanoseconds, as `timestamp` writes it."""
    type: str
    level: str
    """``DEBUG`` ``INFO`` ``WARNING`` ``ERROR`` ``CRITICAL``."""
    component: str
    action: str
    message: str
    task_id: str
    step_id: str
    """The nearest enclosing step."""
    correlation_id: str
    session_id: str
    instance_id: str
    event_id: str
    """``<writer tag>-<n>``; ``n`` counts without a gap per process and folder."""
    trace_id: str
    """32 hex digits."""
    span_id: str
    """16 hex digits."""


class ExceptionKeys(TypedDict, total=False):
    """An exception on a line."""

    type: str
    message: str
    error_id: str
    category: str
    traceback: list[str]
    """One string per printed line; only where the error was first seen, like the keys below."""
    suggestions: list[str]
    context: dict[str, Any]


class SpanStartLine(LineKeys, total=False):
    """A task, step, webhook, queue push, queue pickup, segment or foreign span begins."""

    phase: str
    name: str
    """Span name."""
    kind: str
    """``INTERNAL`` ``CLIENT`` ``SERVER`` ``PRODUCER`` ``CONSUMER``."""
    parent_span_id: str
    parent_remote: bool
    parent_elsewhere: bool
    trace_flags: int
    trace_state: str
    links: list[dict[str, Any]]
    scope: dict[str, Any]
    attributes: dict[str, Any]
    state_before: str
    state_after: str
    details: dict[str, Any]


class SpanEndLine(LineKeys, total=False):
    """It ends."""

    phase: str
    name: str
    """Only if it changed."""
    attributes: dict[str, Any]
    """Update those of the start line."""
    events: list[dict[str, Any]]
    links: list[dict[str, Any]]
    """Those added since the start."""
    status: dict[str, str]
    duration_ms: float
    outcome: str
    reason: str
    state_before: str
    state_after: str
    exception: ExceptionKeys
    details: dict[str, Any]


RESOURCES, RESOURCE_ID = "resources", "resource_id"
"""Keys: of a process line the resources of other programs by their ids, of lines the one that their span or record is of."""
SAME_CALL_AS = "same_call_as"
"""In ``details`` of an end line: the span that counts the request to a model which this span saw, too. The line is no further
call; as an ``ai_response`` it has only those tokens, and that part of the cost, which the other one did not have."""

INSIDE_CALL = "inside_call"
"""In ``details`` of an AI call's lines: the AI span directly around it, which does not count if this one does."""


class AiRequestDetails(TypedDict, total=False):
    """``details`` of an ``ai_request`` line."""

    provider: str
    model: str
    operation: str
    messages: list[Any]
    system: Any
    tools: list[Any]
    parameters: dict[str, Any]
    stream: bool


class AiRequestLine(SpanStartLine, total=False):
    """A request to a model is sent."""

    details: AiRequestDetails  # type: ignore[misc]


class AiResponseDetails(TypedDict, total=False):
    """``details`` of an ``ai_response`` line; token counts by the sum rules of `otel_agentlog.vocabulary.usage.Usage`."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    reasoning_output_tokens: int
    cost_usd: float | None
    """``None`` if the price is unknown, never 0."""
    price: dict[str, Any]
    """``{source, version}``."""
    finish_reasons: list[str]
    response_id: str
    response_model: str
    provider: str
    model: str
    time_to_first_chunk_ms: float
    chunks: int
    attempts: int
    output: list[dict[str, Any]]
    """Message parts in the shapes of the GenAI convention."""


class AiResponseLine(SpanEndLine, total=False):
    """The model answered, or the call ended otherwise."""

    details: AiResponseDetails  # type: ignore[misc]


class ToolCallLine(SpanStartLine, total=False):
    """A tool run begins; ``details`` has ``arguments``, ``call_id``, ``tool_type``, ``specialist``."""

    content: str
    """The tool's name."""


class ToolResultLine(SpanEndLine, total=False):
    """A tool run ends; ``details`` has ``result``, ``attempts``, ``exit_code``, ``resources``."""

    content: str
    """The tool's name."""


REPAIRED_BY, NOTED_BY = "repaired_by", "noted_by"
"""Keys of a process line of a process that does no work of the task: it closed what another one left open, or added a note."""


def is_worker(process: Mapping[str, Any]) -> bool:
    """Whether a process line is of a process that works, or worked, on the task."""
    return REPAIRED_BY not in process and NOTED_BY not in process


class ProcessLine(LineKeys, total=False):
    """A process begins to write into the folder: resource and scope of all that it writes."""

    pid: int
    host: str
    resource: dict[str, Any]
    scope: dict[str, Any]
    content_policy: str
    content_on: list[str]
    profile: str
    format_version: int
    courier: str
    """Name of the lock ``<root>/.courier-<courier>`` that the process holds as long as it delivers."""
    sends: list[str]
    """Signals that the process delivers."""
    elsewhere: list[str]
    """Signals that go out through exporters of others."""
    missing: list[list[int]]
    """Numbers of lines of this writer that were lost, as first and last of each run: not written, or deleted."""


class LogLine(LineKeys, total=False):
    """A log call."""

    logger: str
    module: str
    function: str
    line: int
    details: dict[str, Any]
    """What was given to the call, by its names."""
    exception: ExceptionKeys


class StateLine(LineKeys, total=False):
    """A task moved from one state to another."""

    state_before: str
    state_after: str
    reason: str
    details: dict[str, Any]


class AttemptDetails(TypedDict, total=False):
    """``details`` of an ``attempt`` line."""

    number: int
    maximum: int
    wait_ms: float
    reason: str
    error_type: str


class AttemptLine(LineKeys, total=False):
    """An attempt of a tool run, AI call or retried function failed, started or succeeded."""

    content: str
    details: AttemptDetails
    exception: ExceptionKeys


class EventLine(LineKeys, total=False):
    """Anything else that happened."""

    caller_event_id: str
    """The id that the caller gave the event."""
    state_before: str
    """The caller's own, any word."""
    state_after: str
    duration_ms: float
    details: dict[str, Any]
    exception: ExceptionKeys


class ContentLine(LineKeys, total=False):
    """``output`` ``thinking`` ``system`` ``user``: a text of the conversation."""

    content: str
    chunk: int
    """Of a text that was recorded in chunks: which one this is, from 1 (`otel_agentlog.vocabulary.chunks`)."""
    details: dict[str, Any]


class SubtaskLine(LineKeys, total=False):
    """A pointer to a sub-task's own folder; ``details`` has ``task_id``, ``name``, ``outcome``."""

    details: dict[str, Any]


LINE_TYPES: Mapping[tuple[str, str | None], type] = {
    **{(kind, "start"): SpanStartLine for kind in ("task", "step", "webhook", "queue_push", "queue_pickup", "segment", "span")},
    **{(kind, "end"): SpanEndLine for kind in ("task", "step", "webhook", "queue_push", "queue_pickup", "segment", "span")},
    ("ai_request", "start"): AiRequestLine,
    ("ai_response", "end"): AiResponseLine,
    ("tool_call", "start"): ToolCallLine,
    ("tool_result", "end"): ToolResultLine,
    ("process", None): ProcessLine,
    ("log", None): LogLine,
    ("state", None): StateLine,
    ("attempt", None): AttemptLine,
    ("event", None): EventLine,
    **{(kind, None): ContentLine for kind in ("output", "thinking", "system", "user")},
    ("subtask", None): SubtaskLine,
}
"""By ``type`` and ``phase`` of a line of ``03-agent-output.jsonl``, the keys it is written with."""

SPAN_TYPES = frozenset(
    {"task", "step", "ai_request", "ai_response", "tool_call", "tool_result"}
    | {"webhook", "queue_push", "queue_pickup", "segment", "span"}
)
"""Types of lines that start or end a span."""

LOG_TYPES = frozenset({"log", "state", "attempt", "event"})
"""Types of lines that are always a log record."""

GIVEN_BY_CALLERS = frozenset({"log", "event"})
"""Types of lines whose states are those of a thing of the caller's: they move neither task nor step."""

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
    """Whether the end of an AI call is also sent as a log record with the whole conversation (``content_on`` has ``event``)."""
    if content_policy == "off" or "event" not in content_on or line.get("type") != "ai_response":
        return False
    details = line.get("details")
    operation = details.get("operation") if isinstance(details, Mapping) else None
    return not isinstance(operation, str) or operation not in NOT_INFERENCE


def is_exception_record(line: Mapping[str, Any]) -> bool:
    """Whether an end line also carries an exception that is sent as a log record, as it is no event of its span."""
    exception = line.get("exception")
    if line.get("phase") != "end" or not isinstance(exception, Mapping) or not exception.get("traceback"):
        return False
    events = line.get("events")
    return not isinstance(events, list) or not any(isinstance(each, Mapping) and each.get("name") == EXCEPTION for each in events)


SPAN, LOG, DETAILS, EXCEPTION = "span", "log", "details", "exception"
"""The kinds of OTLP items a line can give, at most one of each: its span, or the log record it is, and records about an end."""


_ONLY_SPAN = (SPAN,)


def items_of(line: Mapping[str, Any], content_policy: str, content_on: Collection[str] = ("span",)) -> tuple[str, ...]:
    """The kinds of the OTLP items that a line completes, in the order they are sent; none for most lines."""
    phase = line.get("phase")
    if phase == "start":
        return ()
    if phase != "end":
        return (LOG,) if is_log_record(line, content_policy) else ()
    if "exception" not in line and content_policy == "off":
        return _ONLY_SPAN
    details = (DETAILS,) if is_details_record(line, content_policy, content_on) else ()
    return (SPAN, *details, EXCEPTION) if is_exception_record(line) else (SPAN, *details)


def count_items(
    line: Mapping[str, Any], content_policy: str, content_on: Collection[str] = ("span",), elsewhere: Collection[str] = ()
) -> int:
    """How many OTLP items a line completes, without those of the signals (``traces``, ``logs``) that leave ``elsewhere``."""
    if line.get("phase") == "start":
        return 0
    kinds = items_of(line, content_policy, content_on)
    if not elsewhere:
        return len(kinds)
    return sum(("traces" if kind == SPAN else "logs") not in elsewhere for kind in kinds)


_second = (0, -1, "")
"""The second that was written last: its first and last nanosecond, and its text."""

_LAST_NS = 253_402_300_800 * 1_000_000_000 - 1
"""The last nanosecond of the year 9999, the latest that RFC 3339 can express."""


def timestamp(time_ns: int) -> str:
    """Unix nanoseconds as RFC 3339 UTC with nine decimals, e.g. ``2026-11-21T05:22:01.123456789Z``.

    A time before 1970 or after 9999, which a broken clock may give, is the nearest that can be written.
    """
    global _second
    first, last, text = _second
    if not first <= time_ns <= last:
        time_ns = min(max(time_ns, 0), _LAST_NS)
        second = time_ns // 1_000_000_000
        text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
        first = second * 1_000_000_000
        _second = (first, first + 999_999_999, text)
    # The last nine digits are the nanoseconds; a third of what formatting them costs.
    return text + str(time_ns)[-9:].zfill(9) + "Z"


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_RFC3339 = lazy_pattern(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)", re.ASCII)


def parse_timestamp(text: str) -> int:
    """Return the Unix nanoseconds of an RFC 3339 UTC time; fewer than nine decimals and ``+00:00`` are accepted.

    Raises:
        ValueError: `text` is not such a time.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a time like 2026-11-21T05:22:01.123456789Z, found {text[:64]!r}")
    seconds, decimals = match.groups()
    return _seconds_value(seconds) * 1_000_000_000 + (int(decimals.ljust(9, "0")) if decimals else 0)


def time_of(line: Mapping[str, Any]) -> int | None:
    """A line's time in Unix nanoseconds; ``None`` if it cannot be read."""
    written = line.get("timestamp")
    try:
        return parse_timestamp(written) if isinstance(written, str) else None
    except ValueError:
        raise_interrupt()
        return None


@lru_cache(maxsize=256)
def _seconds_value(text: str) -> int:
    moment = datetime.fromisoformat(f"{text}+00:00") - _EPOCH
    return moment.days * 86_400 + moment.seconds


def encode(line: Line) -> bytes:
    """Return a line as it is in a file: compact JSON, ``timestamp`` first, ended by a newline.

    A line without ``timestamp`` is given the present time.

    Raises:
        TypeError: a value is not JSON (``record`` repairs values before they come here).
    """
    if next(iter(line), None) != "timestamp":
        now = line.get("timestamp") or timestamp(time.time_ns())
        line = {"timestamp": now, **{key: value for key, value in line.items() if key != "timestamp"}}
    # A copy: those that orjson gives keep the 8 kB that it wrote into.
    return orjson.dumps(line) + b"\n"
