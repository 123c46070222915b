"""Records the events of a reader by the operations that record everything else, with the clock and the ids of the source.

So imported lines pass the same cleaning, numbering and counting as any others. Span and trace ids are made of the ids in the
source: a file that is imported again has the same ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from otel_agentlog._startup import dataclass
from otel_agentlog.errors import AgentlogError
from otel_agentlog.record.operations.ai_call import AiCall
from otel_agentlog.record.operations.context import RunningTask, inside
from otel_agentlog.record.operations.operation import Operation
from otel_agentlog.record.operations.span import LightSpan
from otel_agentlog.record.operations.task import UNSET, Task
from otel_agentlog.record.operations.tool_run import ToolRun
from otel_agentlog.tools.causes import ToolError
from otel_agentlog.tools.imports.readers.events import Answer, Begin, End, Event, Remark, Text, ToolEnd, ToolStart
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.vocabulary.states import IMPORT, Component, Outcome

MAX_OPEN_TOOLS = 10_000
"""Tool runs of one task that are open at a time; past it the oldest ends, as interrupted."""


class FailedInSourceError(AgentlogError):
    """What failed, as far as the source tells."""

    __module__ = "otel_agentlog.tools"


@dataclass
class Clock:
    """The time of the source, in Unix nanoseconds, for all that is recorded."""

    now_ns: int = 0

    def __call__(self) -> int:
        return self.now_ns


def number_of(text: str, bits: int) -> int:
    """A number of so many bits that is made of a text; never 0."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[: bits // 8], "big") or 1


class FromSource(Operation):
    """An operation whose ids are made of those in the source."""

    _optional_hooks = frozenset()  # `_started` below is for every one
    seed: str = ""
    trace_seed: str | None = None
    """Of one that begins a trace."""

    def _started(self, envelope: Envelope) -> None:
        span, line, ids = self.span, envelope.line, self.own_ids
        if isinstance(span, LightSpan) and ids is not None:
            span.span_id = number_of(self.seed, 64)
            span.hex = ids["span_id"] = line["span_id"] = f"{span.span_id:016x}"
            if self.trace_seed is not None:
                number = number_of(self.trace_seed, 128)
                span.trace = span.trace._replace(trace_id=number, hex=f"{number:032x}")
                ids["trace_id"] = line["trace_id"] = span.trace.hex
        super()._started(envelope)


class ImportedToolRun(FromSource, ToolRun):
    """A tool run of the source."""


class ImportedAnswer(FromSource, AiCall):
    """An AI call of the source."""


class ImportedTask(FromSource, Task):
    """A task of the source."""

    parent_id: str | None = None
    """The id of the task that it is a sub-task of, where that is not open here."""

    def _header(self, task_id: str, around: Mapping[str, Any], parent_task_id: str | None) -> dict[str, Any]:
        return super()._header(task_id, around, parent_task_id or self.parent_id)


def begin_in(context: Context, operation: Operation) -> None:
    """Begin an operation as a child of what is in a context."""
    token = otel_context.attach(context)
    try:
        operation.start()
    finally:
        otel_context.detach(token)


@dataclass
class Open:
    """A task that is being imported."""

    key: str
    task: Task
    tools: dict[str, ImportedToolRun] = field(default_factory=dict)
    tool_numbers: dict[str, int] = field(default_factory=dict)
    failed: FailedInSourceError | None = None
    """Why the last AI call failed."""

    @property
    def ref(self) -> RunningTask:
        """What lines of it are recorded with."""
        assert self.task.task is not None
        return self.task.task


class Writer:
    """Records events; those of several tasks may alternate."""

    def __init__(
        self, clock: Clock, prefix: str, origin: Mapping[str, Any], *, source: str = IMPORT, parent: str | None = None
    ) -> None:
        """``prefix``: of task ids, by format; ``origin``: what each task has of its source; ``parent``: the id of the task
        that those are sub-tasks of which name none."""
        self._clock, self._prefix, self._origin, self._source, self._parent = clock, prefix, origin, source, parent
        self.open: dict[str, Open] = {}
        self.ended: list[Open] = []
        """Those whose folders are still to be moved to their place."""
        self.last: str | None = None
        """The key of the task that was written to last."""
        self._do: Mapping[type, Callable[[Any], None]] = {
            Text: self._text,
            Answer: self._answer,
            ToolStart: self._tool_start,
            ToolEnd: self._tool_end,
            Remark: self._remark,
            End: self._end,
        }

    def write(self, event: Event) -> None:
        """Record one."""
        self._clock.now_ns = event.at_ns
        if isinstance(event, Begin):
            self._begin(event)
        elif event.task in self.open:
            self.last = event.task
            self._do[type(event)](event)

    def task_id(self, key: str) -> str:
        """The id of a task, made of that in the source."""
        return f"{self._prefix}-{key}"

    def _span_seed(self, key: str) -> str:
        return f"{self._prefix} {key} task"

    def _begin(self, event: Begin) -> None:
        if event.task in self.open or any(each.key == event.task for each in self.ended):
            return
        task = ImportedTask(
            event.name,
            task_id=self.task_id(event.task),
            input=UNSET if event.input is None else event.input,
            agent=event.agent,
            agent_type=self._prefix,
            model=event.model,
            source=self._source,
            session_id=event.session_id,
            attributes={f"import.{key}": value for key, value in {**self._origin, **event.details}.items()},
        )
        task.seed = self._span_seed(event.task)
        context = Context()
        if event.parent is None:
            task.trace_seed = f"{self._prefix} {event.session_id or event.task}"
            task.parent_id = self._parent
        else:
            context = self._context_of(event, event.parent)
            task.parent_id = self.task_id(event.parent)
        self.open[event.task] = Open(event.task, task)
        self.last = event.task
        begin_in(context, task)

    def _context_of(self, event: Begin, parent: str) -> Context:
        """The context of a sub-task: the tool run that it is the work of, its parent, or that parent in another file."""
        above = self.open.get(parent)
        if above is not None:
            return inside(above.tools.get(event.call_id or "") or above.task)
        trace_id, span_id = number_of(f"{self._prefix} {parent}", 128), number_of(self._span_seed(parent), 64)
        return set_span_in_context(
            NonRecordingSpan(SpanContext(trace_id, span_id, True, TraceFlags(TraceFlags.SAMPLED))), Context()
        )

    def _text(self, event: Text) -> None:
        task = self.open[event.task].task
        {"output": task.output, "thinking": task.thinking, "system": task.system, "user": task.user}[event.kind](event.text)

    def _answer(self, event: Answer) -> None:
        into = self.open[event.task]
        call = ImportedAnswer(event.model, provider=event.provider, conversation_id=into.ref.header.get("session_id"))
        call.seed = f"{self._prefix} {event.task} answer {event.key}"
        begin_in(inside(into.task), call)
        self._clock.now_ns = event.end_ns
        if event.response is not None:
            call.record(event.response)
        call.cost(event.cost_usd)
        into.failed = None if event.error is None else FailedInSourceError(event.error)
        call.end(error=into.failed)

    def _tool_start(self, event: ToolStart) -> None:
        into = self.open[event.task]
        number = into.tool_numbers.get(event.call_id, 0)
        if event.call_id in into.tools:
            return
        given = event.arguments
        arguments = given if given is None or isinstance(given, Mapping) else {"input": given}
        run = ImportedToolRun(event.name, arguments=arguments, call_id=event.call_id)
        run.seed = f"{self._prefix} {event.task} tool {event.call_id} {number}"
        if len(into.tools) >= MAX_OPEN_TOOLS:
            into.tools.pop(next(iter(into.tools))).end(Outcome.INTERRUPTED, reason="no result among the next ones")
        if number or len(into.tool_numbers) < MAX_OPEN_TOOLS:
            into.tool_numbers[event.call_id] = number + 1
        into.tools[event.call_id] = run
        begin_in(inside(into.task), run)

    def _tool_end(self, event: ToolEnd) -> None:
        into = self.open[event.task]
        run = into.tools.pop(event.call_id, None)
        if run is None:
            details = {"call_id": event.call_id, "result": event.result}
            message = "a tool's result without its call"
            self._remark(Remark(event.task, event.at_ns, "import_result_without_call", message, "WARNING", details))
            return
        run.result, run.exit_code = event.result, event.exit_code
        run.end(error=None if event.error is None else ToolError(event.error))

    def _remark(self, event: Remark) -> None:
        line = {"type": "event", "level": event.level, "component": Component.INTEGRATION.value, "action": event.action}
        details = {"details": dict(event.details)} if event.details else {}
        self.open[event.task].task.point({**line, "message": event.message, **details})

    def _end(self, event: End) -> None:
        into = self.open.pop(event.task)
        for run in into.tools.values():
            run.end(Outcome.INTERRUPTED, reason="no result in the file")
        into.task.result = event.result
        # One error has one id.
        error = into.failed if into.failed is not None and str(into.failed) == event.error else None
        into.task.end(event.outcome, error=error or (None if event.error is None else FailedInSourceError(event.error)))
        self.ended.append(into)
