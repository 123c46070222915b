"""Spans of other libraries that run inside a task: filed into its folder, and understood where they are AI calls or tool runs.

Takes plain data, because this room does not know the SDK whose processors see such spans. A library's own AI span inside our
`ai_call` is filed as a plain span and lends its tokens to the call that has none, so that nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context

from otel_agentlog.model import Envelope, Line, Outcome, Response, timestamp
from otel_agentlog.record.adopted_names import AI, TOOL, Reading, kind_of, reading_of
from otel_agentlog.record.ai import AiCall, any_known
from otel_agentlog.record.attempts import Attempted
from otel_agentlog.record.context import live, operation_in
from otel_agentlog.record.ending import LEVELS
from otel_agentlog.record.kinds import AI_CALL, Kind
from otel_agentlog.record.kinds import TOOL as TOOL_RUN
from otel_agentlog.record.operation import Operation
from otel_agentlog.record.recorder import Recorder, recorder
from otel_agentlog.record.tools import ToolRun

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
