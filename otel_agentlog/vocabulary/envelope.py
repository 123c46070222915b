"""What passes between the packages: a line on its way to the sinks, the task it belongs to, and requests to that task.

`record` makes envelopes and passes them to sinks, `store` gives a task its folder, `export` records there what was delivered.
None of them imports the others; these types are all that they share.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import field, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from otel_agentlog._startup import dataclass
from otel_agentlog.vocabulary.event_ids import EventIds
from otel_agentlog.vocabulary.lines import Line, encode

Processor: TypeAlias = Callable[[Line], Line]
"""Takes a line without ids and returns the line to record. One that raises costs the line its data, never its secrecy."""


class Home(Protocol):
    """The folder of a task; implemented by `store`, passed on by `record` and `export`."""

    @property
    def path(self) -> Path: ...
    @property
    def location(self) -> str:
        """The same as text. What outlives the task keeps this, never the folder itself."""

    def used(self, is_error: bool, error_id: str | None) -> dict[str, Any]:
        """What the task came to so far, in all its processes: ``ai_calls``, ``tool_runs``, ``steps``, ``retries``, ``errors``
        with the one that ends it, if that is one; where AI calls ended also ``input_tokens``, ``output_tokens``, ``cost_usd``
        (``None`` if it is not known), ``finish_reasons`` of the last answer. May raise."""


@dataclass(slots=True)
class TaskRef:
    """One task in this process; shared by everything recorded below it."""

    task_id: str
    header: dict[str, Any]
    """The keys of ``metadata.json`` that are known when the task begins; cleaned."""
    owner: bool = True
    """Whether this process decides how the task ends; a further process at work on the same task does not."""
    event_ids: EventIds = field(default_factory=EventIds, compare=False)
    """Numbers the task's lines of this process."""
    home: Home | None = None
    """Set by the sink that keeps the task's lines, with the first of them."""


@dataclass(eq=False, slots=True)
class Envelope:
    """A cleaned line on its way to the sinks, with what is not part of the line."""

    # With slots: every line has one, and what is read of a class by way of an object takes Python longest of all.
    line: Line
    task: TaskRef | None
    """The task it belongs to; ``None`` for a line outside every task."""
    time_ns: int
    """Its timestamp, Unix time in nanoseconds."""
    webhook: bool = False
    """Whether it is a stage line, kept in ``02-webhook-flow.jsonl``."""
    payload: dict[str, Any] | None = None
    """Cleaned contents of whole files: ``input`` on a task's start, ``result`` on its end."""
    redacted: int = 0
    truncated: int = 0
    items: int = 0
    """How many OTLP items (spans, log records) the line completes; set by the recorder."""
    again: bool = False
    """Whether the sinks that keep lines get it once more, as a signal handler raised when they had it first."""
    counted: int = 0
    """Of two places that count what is kept, how many have counted it."""
    kept: bool = False
    """Whether a sink that keeps lines has it; set by the recorder before any other sink gets the envelope."""
    sampled: bool = True
    """Whether the span that it was recorded in is sampled; a line outside of every span is sent."""
    data: bytes = b""
    """The complete line as it is in a file; empty until it is encoded. It never changes: other threads read this."""

    def with_line(self, line: Line, **changes: Any) -> Envelope:
        """The same with another line, not encoded yet."""
        return replace(self, line=line, data=b"", **changes)

    def encoded(self) -> bytes:
        """``data``, encoded now if it was not."""
        data = self.data
        if not data:
            data = self.data = encode(self.line)
        return data


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """A request to a task from outside: one line of ``control.jsonl``."""

    request: str
    """``pause`` ``resume`` ``cancel`` ``context``."""
    request_id: str
    timestamp: str
    source: str
    """Where it was made: ``cli`` ``web`` ``monitor`` ``api`` ``alert`` ``code``; open set."""
    requested_by: str
    text: str = ""
    """What a ``context`` request adds."""
    reason: str | None = None
    terminate_tools: bool = False
    """Whether a ``cancel`` also ends the tools that are running."""


class Requests(Protocol):
    """Requests to one task that were read at once."""

    @property
    def requests(self) -> Sequence[ControlRequest]: ...
    @property
    def refused(self) -> Sequence[str]:
        """Why each of the others was not taken."""


class RequestSource(Protocol):
    """The requests to one task; implemented by `store`, read by `record`."""

    def changed(self) -> bool:
        """Whether there may be something new; costs one system call."""

    def new(self) -> Requests:
        """What came since the last call."""

    def history(self) -> tuple[Collection[str], Collection[str], Collection[str]]:
        """Ids of the requests that were handled, of the context texts that were handed out, and of the pauses that have ended."""


@dataclass(frozen=True, slots=True)
class JobsLeft:
    """What is known of the other jobs of a task when one of them ends."""

    open: int
    """How many have not ended."""
    failed: bool
    """Whether one that has ended failed."""


class Jobs(Protocol):
    """The jobs that a task was handed over to; implemented by `store`, used by `record`. Its methods may raise."""

    def add(self, job: str) -> bool:
        """Note that a job was given the end of the task; whether it can be known when it ends."""

    def ending(self, job: str, outcome: str) -> AbstractContextManager[JobsLeft | None]:
        """Note how a job ended; ``None`` where it is not known what is left, or it had ended before. No other ends meanwhile."""


Sink: TypeAlias = Callable[[Envelope], None]
"""Takes an envelope whose line is complete, with all its ids. What it raises is counted; the other sinks still get the envelope.

Sinks are independent of each other and of their order. An attribute ``name`` is what errors of the sink are counted under. A sink
that stores lines on this machine has ``keeps_lines = True``: wherever it is in the list, it gets an envelope before those
that only pass it on, which read from `Envelope.kept` whether the line can be sent again later.
"""
