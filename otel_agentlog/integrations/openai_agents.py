"""openai-agents: its traces as tasks, its agents as steps, its requests to models as AI calls, its functions as tool runs.

    import agents
    from otel_agentlog.integrations.openai_agents import AgentlogTracingProcessor

    agents.add_trace_processor(AgentlogTracingProcessor())

OpenAI's own processor stays. Inside a task of ours a trace is a step of it. Written for openai-agents 0.24; spans are read by
the names of their fields, so one of another version loses at most what has another name there.
"""

from __future__ import annotations

import sys
from contextvars import Context, ContextVar, copy_context
from dataclasses import field
from typing import Any

import orjson

import otel_agentlog as agentlog
from otel_agentlog._interrupts import first_of, raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.integrations.frameworks import begin_inside, end, items, quietly, text
from otel_agentlog.integrations.frameworks import field as field_of
from otel_agentlog.record.foreign_spans import no_tasks_for
from otel_agentlog.record.operations.tool_run import ReportedRun

MAX_OPEN = 10_000
"""Traces and spans that may be open at once; past it the oldest are ended, so that what never ends is no leak of memory."""

_here: ContextVar[str] = ContextVar("agentlog.openai_agents", default="")
"""The id of the trace or span that is innermost here."""

_TRANSPARENT = frozenset({"task", "turn"})
"""Spans that group what the operation around them holds already."""
_OTHERS = frozenset({"openinference.instrumentation.openai_agents", "opentelemetry.instrumentation.openai_agents"})
"""Processors that make spans of the same traces, and do not make them current: with ``implicit_tasks`` such a trace would be a
second task, empty, where they get it first."""
_FAKE_ID = "__fake_id__"
"""What openai-agents gives a response whose API has no ids."""


@dataclass(eq=False)
class _Open:
    """A trace or span that has begun."""

    operation: agentlog.Operation
    inside: Context
    """A context in which it is current."""
    around: _Open | None = None
    handled: int = 0
    """The ``id`` of the exception that was being handled when it began."""
    own: bool = True
    """Whether the operation is its own; a transparent span has that of the span around it."""
    failure: str | None = None
    """Why the last part directly inside it failed."""
    answer: list[str] = field(default_factory=list)
    """Of a trace: the last text that a model wrote in it."""


class AgentlogTracingProcessor:
    """A ``TracingProcessor`` that records what agents do. Safe from any thread; never raises into the framework."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        no_tasks_for(self, _OTHERS)

    @quietly
    def on_trace_start(self, trace: Any) -> None:
        """Begin a task, or a step of the one that is running here."""
        trace_id, name = text(trace, "trace_id"), text(trace, "name") or "Agent workflow"
        if trace_id is None or trace_id in self._open:
            return
        metadata = field_of(trace, "metadata")
        common: dict[str, Any] = {"attributes": metadata if isinstance(metadata, dict) else None}
        operation: agentlog.Operation
        if agentlog.current_task() is not None:
            operation = agentlog.step(name, **common)
        else:
            group = text(trace, "group_id")
            operation = agentlog.task(name, workflow=name, session_id=group, source="openai-agents", **common)
        self._begin(trace_id, operation, None)

    @quietly
    def on_trace_end(self, trace: Any) -> None:
        """End what `on_trace_start` began."""
        found = self._take(text(trace, "trace_id"))
        if found is None:
            return
        if isinstance(found.operation, agentlog.Task) and found.answer:
            found.operation.result = found.answer[-1]
        self._end(found, found.failure)

    @quietly
    def on_span_start(self, span: Any) -> None:
        """Begin the operation that a span is."""
        data, span_id = field_of(span, "span_data"), text(span, "span_id")
        if span_id is None or span_id in self._open:
            return
        parent = text(span, "parent_id") or text(span, "trace_id") or ""
        around = self._open.get(parent) or self._open.get(text(span, "trace_id") or "")
        kind = text(data, "type") or type(data).__name__
        if kind in _TRANSPARENT and around is not None:
            self._keep(span_id, _Open(around.operation, around.inside, around, own=False, answer=around.answer))
            if _here.get() == parent:
                _here.set(span_id)
            return
        self._begin(span_id, _operation(kind, data), around, _here.get() == parent)

    @quietly
    def on_span_end(self, span: Any) -> None:
        """End the operation that a span is, with what is known of it now."""
        found = self._take(text(span, "span_id"))
        if found is None:
            return
        if _here.get() == field_of(span, "span_id"):
            _here.set(text(span, "parent_id") or text(span, "trace_id") or "")
        if not found.own:
            return
        data = field_of(span, "span_data")
        _fill(found, text(data, "type"), data)
        self._end(found, _failure(span))

    @quietly
    def shutdown(self, *_: Any, **__: Any) -> None:
        """End what is still open, as interrupted."""
        for key in reversed([*self._open]):
            self._drop(key)

    @quietly
    def force_flush(self) -> None:
        """Send what is recorded."""
        agentlog.flush()

    # -- inside -----------------------------------------------------------------------------------------------------------

    def _begin(self, key: str, operation: agentlog.Operation, around: _Open | None, here: bool = True) -> None:
        """Begin an operation here if this is where its parent is current, else inside the parent."""
        handled = id(sys.exc_info()[1])
        if here or around is None:
            operation.__enter__()
            _here.set(key)
            inside = copy_context()
        else:
            inside = begin_inside(around.inside, operation)
            inside.run(_here.set, key)
        self._keep(key, _Open(operation, inside, around, handled, answer=[] if around is None else around.answer))

    def _keep(self, key: str, opened: _Open) -> None:
        self._open[key] = opened
        if len(self._open) > MAX_OPEN and (oldest := first_of(self._open)) is not None:
            self._drop(oldest)

    def _take(self, key: str | None) -> _Open | None:
        return None if key is None else self._open.pop(key, None)

    def _drop(self, key: str) -> None:
        if (found := self._take(key)) is not None and found.own:
            end(found.operation, outcome="interrupted")

    @staticmethod
    def _end(found: _Open, failure: str | None) -> None:
        """End as the exception that passes says, if there is one, else as the span does."""
        raised = sys.exc_info()[1]
        if raised is not None and id(raised) == found.handled:
            raised = None  # that of the code around
        if isinstance(raised, GeneratorExit) and isinstance(found.operation, agentlog.AiCall) and failure is None:
            raised = None  # a stream of which the last event was read
        end(found.operation, raised or failure)
        above = found.around
        while above is not None and not above.own:
            above = above.around
        if above is not None:
            above.failure = failure if raised is None else str(raised)


def _operation(kind: str, data: Any) -> agentlog.Operation:
    """The operation that a span of this kind is; one of a kind that is not known is a step."""
    name, model = text(data, "name"), text(data, "model") or ""
    if kind in ("response", "generation"):
        config = field_of(data, "model_config")
        litellm = isinstance(config, dict) and config.get("model_impl") == "litellm"
        return _reported(agentlog.ai_call(model, provider="litellm" if litellm else "openai"))
    if kind in ("transcription", "speech"):
        return _reported(agentlog.ai_call(model, provider="openai", operation=kind))
    if kind == "function":
        return ReportedRun(name or "function", attributes=_of_mcp(data))
    if kind == "agent":
        return agentlog.step(name or "agent", attributes={"gen_ai.agent.name": name or "agent"})
    if kind == "mcp_tools":
        return agentlog.step(f"list tools of {text(data, 'server') or 'MCP server'}")
    if kind == "guardrail":
        return agentlog.step(f"guardrail {name or ''}".strip())
    return agentlog.step(name or kind)


def _reported(call: agentlog.AiCall) -> agentlog.AiCall:
    call.is_reported = True
    return call


def _of_mcp(data: Any) -> dict[str, Any] | None:
    server = text(field_of(data, "mcp_data"), "server")
    return {"agentlog.mcp.server": server} if server else None


@quietly
def _failure(span: Any) -> str | None:
    """What the span says of its error."""
    if (error := field_of(span, "error")) is not None:
        said = field_of(error, "data")
        parts = [text(error, "message"), text(said, "error") or (str(said) if said else None)]
        return ": ".join(part for part in parts if part) or "failed"
    data = field_of(span, "span_data")
    return "guardrail tripped" if field_of(data, "triggered") is True else None


@quietly
def _fill(found: _Open, kind: str | None, data: Any) -> None:
    """Give the operation what its span has learned since it began."""
    operation = found.operation
    if isinstance(operation, agentlog.AiCall):
        _fill_call(found, operation, kind, data)
    elif isinstance(operation, agentlog.ToolRun):
        operation.arguments, operation.result = _arguments(field_of(data, "input")), field_of(data, "output")
    else:
        if kind == "handoff" and (target := text(data, "to_agent")) is not None:
            operation.name = f"handoff to {target}"
        for key in ("from_agent", "to_agent", "tools", "handoffs", "output_type", "result", "data"):
            if (value := field_of(data, key)) is not None:
                operation.set_attribute(f"agentlog.openai_agents.{key}", value)


def _arguments(given: Any) -> Any:
    """The arguments of a function, which are the JSON that the model wrote, or that text where it is none."""
    try:
        return orjson.loads(given) if isinstance(given, str) else given
    except ValueError:
        raise_interrupt()
        return {"arguments": given}


def _fill_call(found: _Open, call: agentlog.AiCall, kind: str | None, data: Any) -> None:
    answer: Any = field_of(data, "response") if kind == "response" else _answer_of(data)
    if answer is None:
        answer = {"id": text(data, "_response_id"), "usage": field_of(data, "usage")}
    if kind in ("response", "generation"):
        call.asked(
            model=text(answer, "model"),
            messages=field_of(data, "input"),
            system=field_of(answer, "instructions"),
            tools=field_of(answer, "tools"),
        )
    call.record(answer)
    if written := _written(answer):
        found.answer[:] = [written]


def _answer_of(data: Any) -> Any:
    """The answer of a chat completion, of which a span has the messages, or the Response that was made of a stream."""
    output, usage, model = items(data, "output"), field_of(data, "usage"), text(data, "model")
    if output and text(output[0], "object") == "response":
        made = dict(output[0])
        return {**made, "id": None if made.get("id") == _FAKE_ID else made.get("id"), "model": model or made.get("model")}
    if output:
        choices = [{"index": place, "message": message} for place, message in enumerate(output)]
        return {"object": "chat.completion", "model": model, "choices": choices, "usage": usage}
    written = text(data, "output")
    return None if written is None else {"model": model, "text": written, "usage": usage}


def _written(answer: Any) -> str:
    """The text of a Response, or of the messages of a chat completion."""
    parts = [part for item in items(answer, "output") for part in items(item, "content")]
    messages = [field_of(choice, "message") for choice in items(answer, "choices")]
    return "".join(found for part in parts if (found := text(part, "text"))) or "".join(
        found for message in messages if (found := text(message, "content"))
    )
