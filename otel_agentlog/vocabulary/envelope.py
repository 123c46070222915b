"""A line on its way to the sinks, the task it belongs to, and what may be asked of that task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from otel_agentlog.vocabulary.lines import Line

Processor: TypeAlias = Callable[[Line], Line]
"""Takes a line without ids and returns the line to record. One that raises costs the line its data, never its secrecy."""


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
