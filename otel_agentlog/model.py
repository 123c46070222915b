"""The words that every room shares: states, outcomes, components, and the shape of a line.

No I/O, no imports from other rooms. The shape of a line is specified in ``docs/format.md``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

FORMAT_VERSION = 1
"""Version of the task folder's format, written into ``metadata.json`` and every process line."""

Line: TypeAlias = dict[str, Any]
"""One record as it stands in a ``.jsonl`` file; ``timestamp`` is its first key."""

Processor: TypeAlias = Callable[[Line], Line]
"""Takes a line without ids and returns the line to record. One that raises costs the line its data, never its secrecy."""


class _Word(str, Enum):
    """A string that is one of a fixed set; prints and serialises as the plain string."""

    def __str__(self) -> str:
        return str(self.value)


class State(_Word):
    """Where a task, step, AI call or tool run stands."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    TIMED_OUT = "timed_out"


class Outcome(_Word):
    """How something ended; every outcome is also a state."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    TIMED_OUT = "timed_out"


_ENDS = frozenset(State(outcome.value) for outcome in Outcome)

LEGAL_MOVES: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset({State.RUNNING}) | _ENDS,
    State.RUNNING: frozenset({State.PAUSED}) | _ENDS,
    State.PAUSED: frozenset({State.RUNNING}) | _ENDS,
    **{end: frozenset() for end in _ENDS},
}
"""From each state, the states it may move to."""


class Component(_Word):
    """Who speaks. The set is open: any other string is accepted where a component is expected."""

    RUNNER = "runner"
    EXECUTION_ENGINE = "execution_engine"
    AI_SERVICE = "ai_service"
    FILE_OPERATIONS = "file_operations"
    TERMINAL_INTERACTION = "terminal_interaction"
    STATE_MANAGEMENT = "state_management"
    USER_INTERACTION = "user_interaction"
    ORCHESTRATOR = "orchestrator"
    INSTANCE = "instance"
    TASK = "task"
    WORKTREE = "worktree"
    WEB = "web"
    CLI = "cli"
    TMUX = "tmux"
    INTEGRATION = "integration"
    DATABASE = "database"
    PROCESS = "process"
    AGENT = "agent"
    TOOL = "tool"


@dataclass(frozen=True)
class Usage:
    """Tokens of one AI call by the GenAI convention's sum rules; ``None`` where the provider said nothing.

    ``input_tokens`` contains the cached ones, ``output_tokens`` contains the reasoning ones.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(_sum(getattr(self, f), getattr(other, f)) for f in USAGE_FIELDS))

    def known(self) -> dict[str, int]:
        """The counts that are known, by field name."""
        return {f: v for f in USAGE_FIELDS if (v := getattr(self, f)) is not None}


USAGE_FIELDS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
)
"""The fields of `Usage`, in the order they stand in files."""


def _sum(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else a + b


@dataclass(frozen=True)
class Cost:
    """What an AI call cost, in US dollars, and where the price comes from."""

    amount_usd: float
    source: str
    """``provider`` if the response named it, ``user`` if given in code, else the price table's package name."""
    version: str | None = None
    """Version of the price table."""


@dataclass(frozen=True)
class Response:
    """What one response of a model says, whoever the provider is."""

    usage: Usage = Usage()
    finish_reasons: tuple[str, ...] = ()
    response_id: str | None = None
    model: str | None = None
    output: tuple[dict[str, Any], ...] = ()
    """Message parts in the shapes of the GenAI convention: ``{"type":"text","content":…}``, ``reasoning``, ``tool_call`` …"""
    cost_usd: float | None = None
    """Only if the provider itself reported a cost."""


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


@dataclass(slots=True)
class TaskRef:
    """One task as this process knows it; shared by everything recorded below it."""

    task_id: str
    header: dict[str, Any]
    """The keys of ``metadata.json`` that are known when the task begins; cleaned."""
    owner: bool = True
    """Whether this process decides how the task ends; a further process at work on the same task does not."""
    home: Any = None
    """Where `store` keeps its handle on the task's folder."""
    control: Any = None
    """What was asked of the task, as this process knows it; kept by `record`."""
    step_counts: dict[str, int] = field(default_factory=dict)
    """How often each step id was used, so that ids stay unique within this process."""
    ai_calls: int = 0
    """AI calls ended so far in this process."""
    tool_runs: int = 0
    """Tool runs ended so far in this process."""


@dataclass(slots=True)
class Envelope:
    """A cleaned line on its way to the sinks, with what is not part of the line."""

    line: Line
    task: TaskRef | None
    """The task it belongs to; ``None`` for a line outside every task."""
    time_ns: int
    """The line's timestamp as Unix nanoseconds."""
    webhook: bool = False
    """Whether it is a stage line, kept in ``02-webhook-flow.jsonl``."""
    payload: dict[str, Any] | None = None
    """Cleaned contents of whole files: ``input`` on a task's start, ``result`` on its end."""
    redacted: int = 0
    truncated: int = 0
    items: int = 0
    """How many OTLP items (spans, log records) the line completes; set by the recorder."""
    kept: bool = False
    """Whether it stands in its task's folder; set by the first sink."""
    context: Any = None
    """The OpenTelemetry context the line was recorded in (for exemplars and log records)."""


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


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """Something asked of a task from outside: one line of ``control.jsonl``."""

    request: str
    """``pause`` ``resume`` ``cancel`` ``context``."""
    request_id: str
    timestamp: str
    source: str
    """Where it was asked: ``cli`` ``web`` ``monitor`` ``api`` ``alert`` ``code``; open set."""
    requested_by: str
    text: str = ""
    """What a ``context`` request adds."""
    reason: str | None = None
    terminate_tools: bool = False
    """Whether a ``cancel`` also ends the tools that are running."""


Sink: TypeAlias = Callable[[Envelope], None]
"""Takes an envelope; may raise, the recorder isolates it. The first sink adds ``event_id`` to the line."""

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
