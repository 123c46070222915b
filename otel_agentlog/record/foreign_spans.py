"""Records spans of other libraries that run inside a task as lines of it: AI calls and tool runs as such, others as plain spans.

`adopt` takes a span's start as plain data, because this sub-package does not import the SDK; `AdoptedSpan.end` takes its end. A
span that saw a request which another one counts is a plain span at its end, with a note of that one (`seen_calls.py`); inside our
`ai_call` it gives its tokens to the call, if that has none.

Attributes are read by the names of the GenAI conventions of several years and of two other families: ``gen_ai.*``
(``opentelemetry-instrumentation-genai-*`` 1.3b0, native ``anthropic`` 2.x), ``gen_ai.*`` of 2024, ``llm.*`` and ``traceloop.*``
(Traceloop 0.62), ``openinference.span.kind`` and ``llm.token_count.*`` (OpenInference 0.1.72), ``langfuse.observation.*``
(Langfuse 5.0), ``gen_ai.request.type`` (AgentOps 0.4), ``mcp.method.name`` (MCP 2.3). Content: `span_content.py`.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags, get_current_span, set_span_in_context

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass, lazy_pattern
from otel_agentlog.record.exceptions.error_id import new_error_id
from otel_agentlog.record.operations.ai_call import AiCall
from otel_agentlog.record.operations.attempts import Attempted
from otel_agentlog.record.operations.context import (
    CONVERSATION,
    OPERATION,
    OperationScope,
    RunningTask,
    flow,
    foreign_span,
    in_trace,
    is_recorded,
    live,
    operation_in,
    seen_around,
)
from otel_agentlog.record.operations.outcome import LEVELS, classified, cut_traceback, failure_key
from otel_agentlog.record.operations.seen_calls import MAX_FAILURES, Added, Call, Purpose, Run, Seen, SeenCalls
from otel_agentlog.record.operations.tool_run import ToolRun
from otel_agentlog.record.providers.fields import as_amount, as_count
from otel_agentlog.record.providers.usage import checked
from otel_agentlog.record.recorder import Recorder, recorder
from otel_agentlog.vocabulary import coerce
from otel_agentlog.vocabulary.actions import AI_CALL, PLAIN, TOOL, Kind
from otel_agentlog.vocabulary.coerce import mapping, text
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.vocabulary.lines import INSIDE_CALL, SAME_CALL_AS, Line, timestamp
from otel_agentlog.vocabulary.states import Outcome
from otel_agentlog.vocabulary.usage import Cost, Response, Usage

if TYPE_CHECKING:
    from otel_agentlog.record.operations.task import ImplicitTask

_OPERATION_NAMES = {
    **dict.fromkeys(("completion", "acompletion", "responses", "aresponses", "anthropic_messages"), "chat"),
    **dict.fromkeys(("embedding", "aembedding"), "embeddings"),
    "atext_completion": "text_completion",
}
"""Names of functions of LiteLLM, which it gives for the name of the operation."""
_INFERENCE = frozenset({"chat", "generate_content", "text_completion", "embeddings", *_OPERATION_NAMES})
_OPERATION = ("gen_ai.operation.name", "llm.request.type", "gen_ai.request.type")
_PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
_MODEL = (
    "gen_ai.request.model",
    "llm.model_name",
    "llm.request.model",
    "embedding.model_name",
    "langfuse.observation.model.name",
)
_MCP_CALL = lazy_pattern(r"\btools/call\s+(.+)", re.DOTALL)
"""In the name of a span of MCP: the tool."""
_RESPONSE_MODEL = ("gen_ai.response.model",)
_RESPONSE_ID = ("gen_ai.response.id",)
_FINISH_REASONS = (
    "gen_ai.response.finish_reasons",
    "llm.finish_reason",
    "llm.response.finish_reason",
    "gen_ai.completion.0.finish_reason",
)
_RESPONSE_IDS = lazy_pattern(r'"id"\s*:\s*"((?:chatcmpl|cmpl|resp|msg|gen)[-_][A-Za-z0-9_-]{6,128})"')
MAX_OUTPUT_READ = 100_000
"""Characters of a span's recorded output in which ids are looked for."""
MAX_JSON_READ = 100_000
"""Characters of a JSON text that is read for a name or a count; a longer one is not."""
_TOOL_NAME = ("gen_ai.tool.name", "tool.name", "traceloop.entity.name")
_INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt", "llm.usage.prompt_tokens")
_OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "llm.usage.completion_tokens",
)
_CACHE_READ = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
)
_CACHE_WRITE = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
)
_TOTAL = ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total")
_COST = ("agentlog.usage.cost.amount", "gen_ai.usage.cost", "llm.cost.total", "operation.cost")
"""In US dollars: of exports of ours, of OpenLIT and others, of OpenInference, of logfire and Pydantic AI."""
_REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
)


@dataclass(frozen=True)
class SpanReading:
    """The attributes of an AI or tool span that lines have a place for."""

    operation: str
    """``chat`` where it is not said."""
    provider: str | None
    model: str | None
    response_model: str | None
    response_id: str | None
    response_ids: frozenset[str]
    """That id, and those of responses of known providers in the recorded output."""
    tool: str | None
    usage: Usage
    finish_reasons: tuple[str, ...]
    resends: int
    """How often an AI client repeated its request within this span; 0 on any other span, where the attribute means HTTP."""


def kind_of(attributes: Mapping[str, Any]) -> Kind:
    """`AI_CALL`, `TOOL`, or the kind of plain spans."""
    operation = attributes.get("gen_ai.operation.name")
    if operation in _INFERENCE:
        return AI_CALL
    if operation == "execute_tool":
        return TOOL
    inference_kind = str(attributes.get("openinference.span.kind") or "").upper()
    if inference_kind in ("LLM", "EMBEDDING"):
        return AI_CALL
    observed = attributes.get("langfuse.observation.type")
    if observed in ("generation", "embedding"):
        return AI_CALL
    if inference_kind == "TOOL" or "tool" in (observed, attributes.get("traceloop.span.kind")):
        return TOOL
    if attributes.get("mcp.method.name") == "tools/call":
        return TOOL
    if text(attributes, "llm.request.type") in _INFERENCE or text(attributes, "gen_ai.request.type") in _INFERENCE:
        return AI_CALL
    return AI_CALL if _is_call_of_old(attributes) else PLAIN


def _is_call_of_old(attributes: Mapping[str, Any]) -> bool:
    """By v1.26 of the conventions, which had no name of the operation: provider, model and tokens, and no other kind."""
    of_a_kind = any(attributes.get(name) for name in ("gen_ai.operation.name", "openinference.span.kind", "traceloop.span.kind"))
    if of_a_kind or not attributes.get("gen_ai.system") or not attributes.get("gen_ai.request.model"):
        return False
    return _count(attributes, (*_INPUT, *_OUTPUT)) is not None


def _is_run(attributes: Mapping[str, Any]) -> bool:
    """Whether it is a whole run of an agent that says what it used: OpenInference of frameworks without spans of requests."""
    is_agent = str(attributes.get("openinference.span.kind") or "").upper() == "AGENT"
    return is_agent and _count(attributes, (*_INPUT, *_OUTPUT, *_TOTAL)) is not None


def reading_of(attributes: Mapping[str, Any]) -> SpanReading:
    """Read the attributes, by any of the names that libraries use for them."""
    reasons = _list(next((given for name in _FINISH_REASONS if (given := attributes.get(name))), None))
    response_id = _text(attributes, _RESPONSE_ID)
    counts = _counts_of_langfuse(attributes)
    counted = {**attributes, **counts} if counts else attributes
    is_embedding = str(attributes.get("openinference.span.kind") or "").upper() == "EMBEDDING"
    operation = _text(attributes, _OPERATION) or (
        "embeddings" if is_embedding else "invoke_agent" if _is_run(attributes) else "chat"
    )
    return SpanReading(
        operation=_OPERATION_NAMES.get(operation, operation),
        provider=_text(attributes, _PROVIDER),
        model=_text(attributes, _MODEL) or _model_in_request(attributes),
        response_model=_text(attributes, _RESPONSE_MODEL),
        response_id=response_id,
        response_ids=frozenset([response_id] if response_id else ()) | _ids_in_output(attributes),
        tool=_text(attributes, _TOOL_NAME),
        usage=checked(
            Usage(*(_count(counted, names) for names in (_INPUT, _OUTPUT, _CACHE_READ, _CACHE_WRITE, _REASONING))),
            _count(counted, _TOTAL),
        ),
        finish_reasons=tuple(map(str, reasons)) if isinstance(reasons, (list, tuple)) else (str(reasons),) if reasons else (),
        resends=max(0, _count(attributes, ("http.request.resend_count",)) or 0) if kind_of(attributes) is AI_CALL else 0,
    )


def _object(attributes: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The JSON object that an attribute is the text of; of anything else an empty one."""
    if name not in attributes:
        return {}
    text = attributes[name]
    try:
        found = orjson.loads(text) if isinstance(text, str) and len(text) <= MAX_JSON_READ else None
    except ValueError:
        raise_interrupt()
        return {}
    return found if isinstance(found, dict) else {}


def _list(given: Any) -> Any:
    """The list that a JSON text is; anything else as it is. Lists of logfire are such texts."""
    if not isinstance(given, str) or not given.startswith("[") or len(given) > MAX_JSON_READ:
        return given
    try:
        return orjson.loads(given)
    except ValueError:
        raise_interrupt()
        return given


def _model_in_request(attributes: Mapping[str, Any]) -> str | None:
    """OpenInference has the model of a request that was refused only in the request."""
    requests = (_object(attributes, name) for name in ("llm.invocation_parameters", "input.value"))
    return next((model for request in requests if (model := coerce.text(request, "model"))), None)


def _counts_of_langfuse(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Its counts of tokens, which are one JSON text, by the names of the conventions."""
    given = _object(attributes, "langfuse.observation.usage_details")
    if not given:
        return given
    names = {"input": _INPUT[0], "output": _OUTPUT[0], "total": _TOTAL[0], "input_cached_tokens": _CACHE_READ[0]}
    return {name: given[key] for key, name in names.items() if key in given}


def _ids_in_output(attributes: Mapping[str, Any]) -> frozenset[str]:
    """OpenInference has the id of a response only in the response itself, as JSON."""
    output = attributes.get("output.value")
    return frozenset(_RESPONSE_IDS.findall(output[:MAX_OUTPUT_READ])) if isinstance(output, str) else frozenset()


def _text(attributes: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        if name in attributes and (value := coerce.text(attributes, name)):
            return value.lower() if name == "gen_ai.system" else value
    return None


def _count(attributes: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        if name in attributes and (number := as_count(attributes[name])) is not None:
            return number
    return None


def looks_like(name: str, attributes: Mapping[str, Any]) -> Kind:
    """As `kind_of`, of a span with this name."""
    kind = kind_of(attributes)
    return PLAIN if kind is AI_CALL and _only_prepares(name, attributes) else kind


def tool_of(name: str, reading: SpanReading) -> str:
    """The tool that ran in a span with this name."""
    called = _MCP_CALL.search(name)
    return reading.tool or (called[1] if called else name)


def billed_cost(attributes: Mapping[str, Any]) -> float | None:
    """What the library says that the call cost, in US dollars."""
    return next((amount for name in _COST if (amount := as_amount(attributes.get(name))) is not None), None)


def _only_prepares(name: str, attributes: Mapping[str, Any]) -> bool:
    """Whether it is a private method of a model's class (``OpenAI._prepare_chat_with_tools``), which OpenInference's
    instrumentation of LlamaIndex marks as a call like any other, and that asked for nothing."""
    method = name.rpartition(".")[2]
    return method.startswith("_") and not method.startswith("__") and _count(attributes, (*_INPUT, *_OUTPUT, *_TOTAL)) is None


LATE_NS = 100_000_000
"""A start that is longer ago was not told by what began: a callback at the end, an import."""
_NOTHING_READ = reading_of({})
"""That of a plain span, whose lines have none of it."""


def purpose_of(reading: SpanReading) -> Purpose:
    """What tells requests that lie in each other apart."""
    return reading.operation == "embeddings", reading.model


def _raised(end: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the end of a span says of the last exception that passed."""
    events = [event["attributes"] for event in end["events"] if event["name"] == "exception"]
    return events[-1] if events else {}


def _is_stopped(end: Mapping[str, Any]) -> bool:
    """Whether its caller wanted no more: a stream that was left or closed, a cancellation."""
    name = _text(_raised(end), ("exception.type",)) or _text(end["attributes"], ("error.type",)) or ""
    return name.rpartition(".")[2] in ("GeneratorExit", "CancelledError")


class AdoptedSpan:
    """One span of another library, from its start to its end."""

    def __init__(
        self,
        record: Recorder,
        parent: OperationScope,
        task: RunningTask,
        context: Context,
        start: Mapping[str, Any],
        implicit: ImplicitTask | None = None,
    ) -> None:
        self._record, self._parent, self._task = record, parent, task
        self._ids = parent.ids()
        self._start = start
        self._start_ns: int = start["start_ns"]
        self._sent: Mapping[str, Any] = start["attributes"]
        self._seen = self._place(context)
        parent_id = start.get("parent_span_id")
        self._parent_elsewhere = bool(parent_id and not start.get("parent_remote") and not is_recorded(parent_id, context))
        self._same_as: str | None = None
        """The span that counts what this one saw, too."""
        self._added: Added | None = None
        self._call: Call | None = None
        """The request that it saw, once it has ended."""
        self._cost: Cost | None = None
        self._stopped = False
        self.implicit = implicit
        """The task that was begun for this span, and ends with it."""
        self._sent_content: Mapping[str, Any] = {}
        """The content that the start line has; the end line has what is new."""
        looks_like = self._looks_like(start["attributes"])
        reading = _NOTHING_READ if looks_like is PLAIN else reading_of(start["attributes"])
        self._seen.purpose = purpose_of(reading)
        self._kind = self._kind_among_ours(looks_like)
        self._seen.is_ai_call = self._kind is AI_CALL
        if self._kind is PLAIN:
            reading = _NOTHING_READ
        if self._kind is TOOL:
            self._seen.tool = self._tool_name(reading)
        if self._kind is AI_CALL:
            task.seen_calls().begin_call(self._seen, (start.get("parent_span_id"), reading.provider, reading.model))
            record.lookups.load_prices()
        self._deliver(self._start_line(reading), self._start_ns)

    @property
    def is_ai_call(self) -> bool:
        """Whether it is recorded as an AI call of its own."""
        return self._kind is AI_CALL

    def end(self, end: Mapping[str, Any]) -> None:
        """Record its end; ``end`` has ``end_ns``, ``name``, ``attributes``, ``events``, ``status_code`` and
        ``status_description``."""
        try:
            self._task.seen_calls().end_span(self._seen, end["end_ns"])
            # Some libraries set the attributes that decide the kind only at the end.
            attributes = self._attributes_of(end["attributes"])
            looks_like = self._looks_like(attributes)
            reading = _NOTHING_READ if looks_like is PLAIN else reading_of(attributes)
            self._seen.purpose = purpose_of(reading)
            self._kind = self._kind_among_ours(looks_like)
            if looks_like is AI_CALL:
                self._count_call(reading, end)
            elif self._kind is TOOL:
                self._count_tool(reading, end)
            line = self._end_line(end, reading)
            self._deliver(line, end["end_ns"])
            if self.implicit is not None:
                self._end_implicit(self.implicit, end, line)
        except Exception as error:  # noqa: BLE001 - runs inside the other library's code
            raise_interrupt()
            self._record.failed("adopted span", error)
            if self.implicit is not None:
                self.implicit.interrupt("the end of its span could not be recorded")

    def _end_implicit(self, task: ImplicitTask, end: Mapping[str, Any], line: Line) -> None:
        from otel_agentlog.record.providers.span_content import whole_output

        task.returned(whole_output(end["attributes"]))
        task.finish(Outcome(line["outcome"]), line.get("exception"))

    def _place(self, context: Context) -> Seen:
        scope = mapping(self._start, "scope").get("name")
        above, around = foreign_span(context), seen_around(context, self._start_ns)
        seen = Seen(self._start["span_id"], str(scope or "unnamed"), self._start_ns, around, above, weakref.ref(self._parent))
        is_nested = above is not None and above.scope == seen.scope
        seen.flow = flow() if self._record.clock() - self._start_ns < LATE_NS else None
        seen.below = above.below if above is not None and is_nested else self._start.get("parent_span_id")
        self._task.seen_calls().add(seen)
        return seen

    def _attributes_of(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Its attributes, with what its library wrote on our span around it instead."""
        parent = self._parent
        if self._seen.scope != "litellm" or self._start.get("parent_span_id") != self._ids.get("span_id"):
            return attributes
        from otel_agentlog.record.providers.span_content import litellm_request

        around = getattr(parent.span, "attributes", None)
        return {**attributes, **litellm_request(self._start["name"], attributes, around or {})}

    def _looks_like(self, attributes: Mapping[str, Any]) -> Kind:
        kind = looks_like(str(self._start["name"]), attributes)
        is_run = kind is PLAIN and _is_run(attributes) and self._seen.end_ns is not None and not self._seen.calls
        return AI_CALL if is_run else kind

    def _kind_among_ours(self, kind: Kind) -> Kind:
        if kind is TOOL and isinstance(self._parent, ToolRun):
            return PLAIN
        # In an open call of ours it is a view of that one, which the user describes.
        return PLAIN if kind is AI_CALL and self._own_open() is not None else kind

    def _own_open(self) -> Seen | None:
        own = self._seen.own_call()
        return own if own is not None and own.call is None else None

    def _tool_name(self, reading: SpanReading) -> str:
        return tool_of(str(self._start["name"]), reading)

    def _count_call(self, reading: SpanReading, end: Mapping[str, Any]) -> None:
        """Find out whether another view of the request counts, or will."""
        own, seen, self._cost = self._own_open(), self._seen, self._price(reading, end["attributes"])
        seen.is_ai_call = True
        # So logfire marks what is no span: it tells a stream's answer when that has been read.
        seen.completes = end["attributes"].get("logfire.span_type") == "log"
        seen.request = (self._start.get("parent_span_id"), reading.provider, reading.model)
        seen.models |= {name for name in (reading.model, reading.response_model) if name}
        self._stopped = end["status_code"] == "ERROR" and _is_stopped(end)
        report = Call(
            seen.span_id,
            self._start_ns,
            end["end_ns"],
            {seen.scope},
            Response(reading.usage, reading.finish_reasons, reading.response_id, reading.response_model),
            None if self._cost is None else self._cost.amount_usd,
            reading.response_ids,
            failed=end["status_code"] == "ERROR",
            stopped=self._stopped,
            lent_to=own,
            purpose=seen.purpose,
        )
        self._added = self._task.seen_calls().count(seen, report)
        self._call = report if self._added is None else self._added.other
        if own is not None:
            self._same_as = own.span_id
            if self._added is None and isinstance(self._parent, AiCall):
                # Retries that the client made by itself, within one span.
                self._parent.attempts += reading.resends
        elif self._added is not None:
            lent_to = self._added.other.lent_to
            is_open = lent_to is not None and lent_to.call is None
            # One of ours that is open will count it, as the user describes it.
            self._same_as = lent_to.span_id if lent_to is not None and is_open else self._added.other.span_id
            self._kind = AI_CALL if self._added.anything and not is_open else PLAIN
        else:
            self._task.ai_calls += 1

    def _count_tool(self, reading: SpanReading, end: Mapping[str, Any]) -> None:
        seen, name = self._seen, self._tool_name(reading)
        seen.became_tool(name)
        arguments = self._arguments(end)
        beside = self._task.seen_calls().run_beside(seen, arguments)
        self._same_as = seen.same_tool() or (None if beside is None else beside.span_id)
        if self._same_as is not None:
            self._kind = PLAIN
        else:
            self._task.tool_runs += 1
            place, ids = weakref.ref(self._parent), (seen.span_id, {seen.scope})
            run = Run(name, *ids, self._start_ns, end["end_ns"], place, seen.flow, arguments, seen.below)
            self._task.seen_calls().add_run(run)
        SeenCalls.count_tool(seen.above, name, seen.scope, self._same_as or seen.span_id)

    def _arguments(self, end: Mapping[str, Any]) -> Any:
        """The arguments of a tool run, as its line has them."""
        given = self._content({**self._sent, **self._attributes_of(end["attributes"])}).get("arguments")
        return mapping(self._record.clean({"details": {"arguments": given}}).line, "details").get("arguments")

    def _base(self, phase: str, time_ns: int, level: str, action: str) -> Line:
        line: Line = {
            "timestamp": timestamp(time_ns),
            "type": self._kind.start_type if phase == "start" else self._kind.end_type,
            "level": level,
            "phase": phase,
            "component": self._kind.component,
            "action": action,
            "message": self._start["name"],
        }
        return line

    def _start_line(self, reading: SpanReading) -> Line:
        line = self._base("start", self._start_ns, "INFO", self._kind.started)
        if self._kind is TOOL:
            line["content"] = self._tool_name(reading)
        self._sent_content = self._content(self._sent)
        if details := {**self._details(reading), **self._sent_content}:
            line["details"] = details
        line.update({key: value for key, value in self._start.items() if key not in ("start_ns", "trace_id", "span_id")})
        # All of these have names of ours; an imported span may have some from the task that it was first recorded in.
        header = self._task.header if self.implicit is not None else {}
        line["attributes"] = {**self._sent, **self._record.conventions.adopted(line, self._task.task_id, header)}
        if self._parent_elsewhere:
            line["parent_elsewhere"] = True
        return line

    def _end_line(self, end: Mapping[str, Any], reading: SpanReading) -> Line:
        outcome = Outcome.FAILED if end["status_code"] == "ERROR" else Outcome.COMPLETED
        level = "WARNING" if outcome is Outcome.FAILED and self._failure_counts_elsewhere() else LEVELS[outcome]
        line = self._base("end", end["end_ns"], level, self._kind.end_actions[outcome.value])
        line["outcome"] = outcome.value
        line["duration_ms"] = round((end["end_ns"] - self._start_ns) / 1e6, 3)
        if self._kind is TOOL:
            line["content"] = self._tool_name(reading)
        if outcome is Outcome.FAILED:
            line["exception"] = self._exception(end)
        details = self._details(reading)
        if self._kind is AI_CALL:
            details.update(self._end_details(reading))
        content = self._content(self._attributes_of(end["attributes"]))
        details.update({key: value for key, value in content.items() if self._sent_content.get(key) != value})
        if details:
            line["details"] = details
        if end["name"] != self._start["name"]:
            line["name"] = end["name"]
        sent = self._sent
        attributes: Mapping[str, Any] = end["attributes"]
        line["attributes"] = {key: value for key, value in attributes.items() if key not in sent or sent[key] != value}
        # Last, as the SDK's limit leaves out the oldest.
        line["attributes"].update(self._record.conventions.adopted(line, self._task.task_id, {}))
        if end["events"]:
            line["events"] = end["events"]
        if end["status_code"] != "UNSET":
            line["status"] = {"code": end["status_code"]}
            if end["status_description"]:
                line["status"]["description"] = end["status_description"]
        return line

    def _exception(self, end: Mapping[str, Any]) -> dict[str, Any]:
        """What the span says of the error: one error has one id, however many spans it passes through."""
        event = _raised(end)
        name = _text(event, ("exception.type",)) or _text(end["attributes"], ("error.type",)) or "error"
        message = _text(event, ("exception.message",)) or end["status_description"] or ""
        key = failure_key(name, message)
        call = self._call if self._call is not None and self._call.failed else None
        passed = (self._seen.failures or {}).get(key)
        known = passed or (call.error if call is not None else None)
        if known is None:
            found = {"type": name, "message": message, "error_id": new_error_id(), **classified(name, message, self._record)}
            known = found["error_id"], found.get("category")
        else:
            found = {"type": name, "message": message, "error_id": known[0], **({"category": known[1]} if known[1] else {})}
        if call is not None:
            call.error = known
        if passed is None and (trace := _text(event, ("exception.stacktrace",))):
            found["traceback"] = cut_traceback(self._record.clean_text(trace))
        around = self._seen.above if self._seen.above is not None and self._seen.above.end_ns is None else self._parent
        around.failures = {**dict(islice((around.failures or {}).items(), MAX_FAILURES)), key: known}
        return found

    def _failure_counts_elsewhere(self) -> bool:
        # Within an operation that may be retried, the operation's outcome counts.
        if self._same_as is not None and self._added is None:
            return True
        other = self._added.other if self._added is not None else None
        return isinstance(self._parent, Attempted) or (other is not None and (other.failed or self._stopped))

    def _details(self, reading: SpanReading) -> dict[str, Any]:
        details: dict[str, str | None] = {}
        if self._kind is AI_CALL:
            details.update(provider=reading.provider, model=reading.model, operation=reading.operation)
            details[INSIDE_CALL] = None if self._same_as else self._seen.inside_call()
        details[SAME_CALL_AS] = self._same_as
        return {key: value for key, value in details.items() if value is not None}

    def _content(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        if self._kind is PLAIN:
            return {}
        # Not at the top: a program without such spans does not need it.
        from otel_agentlog.record.providers.span_content import call_content, tool_content

        try:
            return call_content(attributes) if self._kind is AI_CALL else tool_content(attributes)
        except Exception as error:  # noqa: BLE001 - attributes of others may hold anything, and must not cost the line
            raise_interrupt()
            self._record.failed("adopted span", error)
            return {}

    def _price(self, reading: SpanReading, attributes: Mapping[str, Any]) -> Cost | None:
        billed = billed_cost(attributes)
        if billed is not None:
            return Cost(billed, "provider")
        prices = self._record.lookups.prices
        if prices is None or not reading.usage.known():
            return None
        return prices.cost(reading.provider, reading.response_model, reading.usage, requested=reading.model)

    def _end_details(self, reading: SpanReading) -> dict[str, Any]:
        added, cost = self._added, self._cost
        usage, amount = reading.usage, None if cost is None else cost.amount_usd
        if added is not None:
            usage, amount = added.usage, added.cost_usd
        details: dict[str, Any] = {**usage.known(), "cost_usd": None if amount is None else round(amount, 10)}
        if cost is not None and amount is not None:
            details["price"] = {"source": cost.source, **({"version": cost.version} if cost.version else {})}
        if reading.finish_reasons:
            details["finish_reasons"] = list(reading.finish_reasons)
        if reading.response_id:
            details["response_id"] = reading.response_id
        if reading.response_model:
            details["response_model"] = reading.response_model
        return details

    def _deliver(self, line: Line, time_ns: int) -> None:
        envelope: Envelope = self._record.clean(line)
        envelope.line.update({key: value for key, value in self._ids.items() if key not in ("trace_id", "span_id")})
        envelope.line["trace_id"], envelope.line["span_id"] = self._start["trace_id"], self._start["span_id"]
        envelope.task, envelope.time_ns = self._parent.task, time_ns
        envelope.sampled = bool(self._start.get("trace_flags", 1) & 1)  # as in W3C Trace Context
        self._record.deliver(envelope)


_covered_scopes: list[tuple[weakref.ref[object], frozenset[str]]] = []


def no_tasks_for(connection: object, scopes: frozenset[str]) -> None:
    """Begin no implicit task for spans of these scopes, as long as this object is alive: it records what they tell, in a task."""
    _covered_scopes[:] = [each for each in _covered_scopes if each[0]() is not None] + [(weakref.ref(connection), scopes)]


def _begins_none(start: Mapping[str, Any]) -> bool:
    scope = mapping(start, "scope").get("name")
    return any(scope in scopes and connection() is not None for connection, scopes in [*_covered_scopes])


_AGENT = ("gen_ai.agent.name", "agent.name", "langfuse.trace.name")
_SESSION = (CONVERSATION, "session.id", "langfuse.session.id", "traceloop.association.properties.session_id")


def session_named(attributes: Mapping[str, Any]) -> str | None:
    """The session or conversation that a span names."""
    return _text(attributes, _SESSION)


def _begin_implicit(start: Mapping[str, Any]) -> ImplicitTask:
    from otel_agentlog.record.operations.task import ImplicitTask
    from otel_agentlog.record.providers.span_content import whole_input

    attributes: Mapping[str, Any] = start["attributes"]
    agent, session = _text(attributes, _AGENT), session_named(attributes)
    task = ImplicitTask(start, agent=agent, session_id=session, input=whole_input(attributes))
    task.begin()
    return task


def _by_ids(span: SpanContext, record: Recorder) -> OperationScope | None:
    """Where a span belongs of whose context only these ids are known."""
    found = in_trace(span, with_headers=True)
    if found is not None or not record.tasks.implicit:
        return found
    from otel_agentlog.record.operations.task import ImplicitTask

    return ImplicitTask.ended_around(span)


def _span_of(start: Mapping[str, Any]) -> Span:
    flags = TraceFlags(int(start.get("trace_flags", 1)))
    return NonRecordingSpan(SpanContext(int(start["trace_id"], 16), int(start["span_id"], 16), False, flags))


class RecordedAlready:
    """A span whose start another of our processors has recorded: two may be on one provider."""

    def end(self, end: Mapping[str, Any]) -> None:
        """Nothing: that one records it."""


def adopt(context: Context, start: Mapping[str, Any]) -> AdoptedSpan | RecordedAlready | None:
    """Record the start of another library's span; ``None`` if it does not begin inside a task, nor gets one (`ImplicitTask`).

    ``start`` has ``name``, ``kind``, ``trace_id``, ``span_id`` (hex), ``start_ns``, ``attributes``, ``scope`` and, where
    they apply, ``parent_span_id``, ``parent_remote``, ``trace_flags``, ``trace_state``, ``links``: as in ``docs/format.md``.
    Never raises.
    """
    record, implicit = recorder(), None
    try:
        found = live(context)
        parent = operation_in(found)
        if parent is None and (parent := _by_ids(get_current_span(context).get_span_context(), record)) is not None:
            found = Context({**context, OPERATION: parent})
        if parent is None and record.active and record.tasks.implicit and not _begins_none(start):
            parent = implicit = _begin_implicit(start)
            # From here on it is current where this span is.
            found = live(set_span_in_context(_span_of(start), context))
        if parent is None or parent.task is None or not record.active:
            return None
        if parent.task.seen is not None and start["span_id"] in parent.task.seen.spans:
            return RecordedAlready()
        here = context if operation_in(context) is not None else found
        return AdoptedSpan(record, parent, parent.task, here, start, implicit)
    except Exception as error:  # noqa: BLE001 - runs inside the other library's code
        raise_interrupt()
        record.failed("adopted span", error)
        if implicit is not None:
            implicit.interrupt("the start of its span could not be recorded")
        return None
