"""Spans of other libraries that run inside a task: filed into its folder, and understood where they are AI calls or tool runs.

Takes plain data, because this room does not know the SDK whose processors see such spans. A library's own AI span inside our
`ai_call` is filed as a plain span and lends its tokens to the call that has none, so that nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.context import Context

from otel_agentlog.record.operations.ai_call import AiCall, any_known
from otel_agentlog.record.operations.attempts import Attempted
from otel_agentlog.record.operations.context import live, operation_in
from otel_agentlog.record.operations.operation import Operation
from otel_agentlog.record.operations.outcome import LEVELS
from otel_agentlog.record.operations.tool_run import ToolRun
from otel_agentlog.record.recorder import Recorder, recorder
from otel_agentlog.vocabulary.actions import AI_CALL, Kind
from otel_agentlog.vocabulary.actions import TOOL as TOOL_RUN
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.vocabulary.lines import Line, timestamp
from otel_agentlog.vocabulary.states import Outcome
from otel_agentlog.vocabulary.usage import Response, Usage

# -- How other libraries name what we understand: the GenAI conventions of several years, OpenInference, OpenLLMetry.
# Sources: ``opentelemetry-instrumentation-genai-*`` 1.3b0 and native ``anthropic`` 2.x (``gen_ai.*``), Traceloop 0.62
# (``gen_ai.*`` of 2024, ``llm.*``, ``traceloop.*``), OpenInference 0.1.72 (``openinference.span.kind``, ``llm.token_count.*``).

AI = "ai"
TOOL = "tool"

_INFERENCE = frozenset({"chat", "generate_content", "text_completion", "embeddings", "completion"})
_TOOL_OPERATION = "execute_tool"

_PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
_MODEL = ("gen_ai.request.model", "llm.model_name", "llm.request.model", "embedding.model_name")
_RESPONSE_MODEL = ("gen_ai.response.model",)
_RESPONSE_ID = ("gen_ai.response.id",)
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
_REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
)


@dataclass(frozen=True)
class Reading:
    """What the attributes of an AI or tool span say."""

    operation: str | None
    provider: str | None
    model: str | None
    response_model: str | None
    response_id: str | None
    tool: str | None
    usage: Usage
    finish_reasons: tuple[str, ...]
    resends: int
    """How often an AI client sent its request again within this span; on a span of HTTP it is another number."""


def kind_of(attributes: Mapping[str, Any]) -> str | None:
    """`AI`, `TOOL` or ``None`` for a span with these attributes."""
    operation = attributes.get("gen_ai.operation.name")
    if operation in _INFERENCE:
        return AI
    if operation == _TOOL_OPERATION:
        return TOOL
    inference_kind = str(attributes.get("openinference.span.kind") or "").upper()
    if inference_kind in ("LLM", "EMBEDDING"):
        return AI
    if inference_kind == "TOOL" or attributes.get("traceloop.span.kind") == "tool":
        return TOOL
    if attributes.get("llm.request.type") in _INFERENCE:
        return AI
    return None


def reading_of(attributes: Mapping[str, Any]) -> Reading:
    """What the attributes say, whoever named them."""
    operation = attributes.get("gen_ai.operation.name") or attributes.get("llm.request.type")
    reasons = attributes.get("gen_ai.response.finish_reasons")
    return Reading(
        operation=operation if isinstance(operation, str) else None,
        provider=_text(attributes, _PROVIDER),
        model=_text(attributes, _MODEL),
        response_model=_text(attributes, _RESPONSE_MODEL),
        response_id=_text(attributes, _RESPONSE_ID),
        tool=_text(attributes, _TOOL_NAME),
        usage=Usage(
            _count(attributes, _INPUT),
            _count(attributes, _OUTPUT),
            _count(attributes, _CACHE_READ),
            _count(attributes, _CACHE_WRITE),
            _count(attributes, _REASONING),
        ),
        finish_reasons=tuple(str(reason) for reason in reasons) if isinstance(reasons, (list, tuple)) else (),
        resends=max(0, _count(attributes, ("http.request.resend_count",)) or 0) if kind_of(attributes) == AI else 0,
    )


def _text(attributes: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value:
            return value.lower() if name == "gen_ai.system" else value
    return None


def _count(attributes: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = attributes.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


_KINDS: dict[str, Kind] = {AI: AI_CALL, TOOL: TOOL_RUN}
_SPAN = Kind("span", "span", "span", "integration", "span_started", "span")


class AdoptedSpan:
    """One span of another library, from its start to its end."""

    def __init__(self, record: Recorder, around: Operation, start: Mapping[str, Any]) -> None:
        self._record, self._around = record, around
        self._ids = around.ids()
        self._start = start
        self._start_ns: int = start["start_ns"]
        self._sent: Mapping[str, Any] = start["attributes"]
        self._kind = self._kind_of(start["attributes"])
        self._deliver(self._start_line(), self._start_ns)

    @property
    def is_ai_call(self) -> bool:
        """Whether it stands for an AI call of its own."""
        return self._kind is AI_CALL

    def end(self, end: Mapping[str, Any]) -> None:
        """File its end; ``end`` has ``end_ns``, ``name``, ``attributes``, ``events``, ``status_code`` and
        ``status_description``."""
        try:
            attributes: Mapping[str, Any] = end["attributes"]
            if self._kind is _SPAN:
                # Some libraries say what a span is only when it ends.
                self._kind = self._kind_of(attributes)
            reading = reading_of(attributes)
            self._lend(reading)
            self._deliver(self._end_line(end, reading), end["end_ns"])
        except Exception as error:  # noqa: BLE001 - runs inside the other library's code
            self._record.failed("adopted span", error)

    def _kind_of(self, attributes: Mapping[str, Any]) -> Kind:
        kind = _KINDS.get(kind_of(attributes) or "", _SPAN)
        doubled = {AI_CALL: AiCall, TOOL_RUN: ToolRun}.get(kind)
        return _SPAN if doubled is not None and isinstance(self._around, doubled) else kind

    def _lend(self, reading: Reading) -> None:
        if not isinstance(self._around, AiCall):
            return
        # The client tried again by itself, within one span.
        self._around.attempts += reading.resends
        if any_known(reading.usage):
            self._around.lend(Response(reading.usage, reading.finish_reasons, reading.response_id, reading.response_model))

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

    def _start_line(self) -> Line:
        line = self._base("start", self._start_ns, "INFO", self._kind.started)
        reading = reading_of(self._sent)
        if self._kind is TOOL_RUN:
            line["content"] = reading.tool or self._start["name"]
        if details := self._details(reading):
            line["details"] = details
        line.update({key: value for key, value in self._start.items() if key not in ("start_ns", "trace_id", "span_id")})
        return line

    def _end_line(self, end: Mapping[str, Any], reading: Reading) -> Line:
        outcome = Outcome.FAILED if end["status_code"] == "ERROR" else Outcome.COMPLETED
        # Within a call that may be tried again it is the call that fails, or does not.
        level = "WARNING" if outcome is Outcome.FAILED and isinstance(self._around, Attempted) else LEVELS[outcome]
        line = self._base("end", end["end_ns"], level, self._kind.end_action(outcome))
        line["outcome"] = outcome.value
        line["duration_ms"] = round((end["end_ns"] - self._start_ns) / 1e6, 3)
        if self._kind is TOOL_RUN:
            line["content"] = reading.tool or self._start["name"]
        details = self._details(reading)
        if self._kind is AI_CALL:
            details.update(self._end_details(reading))
        if details:
            line["details"] = details
        if end["name"] != self._start["name"]:
            line["name"] = end["name"]
        sent = self._sent
        attributes: Mapping[str, Any] = end["attributes"]
        line["attributes"] = {key: value for key, value in attributes.items() if key not in sent or sent[key] != value}
        if end["events"]:
            line["events"] = end["events"]
        if end["status_code"] != "UNSET":
            line["status"] = {"code": end["status_code"]}
            if end["status_description"]:
                line["status"]["description"] = end["status_description"]
        return line

    def _details(self, reading: Reading) -> dict[str, Any]:
        if self._kind is not AI_CALL:
            return {}
        details = {"provider": reading.provider, "model": reading.model, "operation": reading.operation or "chat"}
        return {key: value for key, value in details.items() if value is not None}

    def _end_details(self, reading: Reading) -> dict[str, Any]:
        details: dict[str, Any] = {**reading.usage.known(), "cost_usd": None}
        price = self._record.price
        if price is not None and any_known(reading.usage):
            cost = price(reading.provider, reading.response_model or reading.model, reading.usage)
            if cost is not None:
                details["cost_usd"] = cost.amount_usd
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
        envelope.task, envelope.time_ns, envelope.context = self._around.task, time_ns, self._around.outer
        self._record.deliver(envelope)


def adopt(context: Context, start: Mapping[str, Any]) -> AdoptedSpan | None:
    """File the start of another library's span, if it begins inside a task.

    ``start`` has ``name``, ``kind``, ``trace_id``, ``span_id`` (hex), ``start_ns``, ``attributes``, ``scope`` and, where
    they apply, ``parent_span_id``, ``parent_remote``, ``trace_flags``, ``trace_state``, ``links``: as in ``docs/format.md``.
    Never raises.
    """
    record = recorder()
    try:
        around = operation_in(live(context))
        if around is None or around.task is None or not record.active:
            return None
        return AdoptedSpan(record, around, start)
    except Exception as error:  # noqa: BLE001 - runs inside the other library's code
        record.failed("adopted span", error)
        return None
