"""Metrics from lines: one call a line, whatever the profile.

Hides which metrics a line feeds. `Metrics.on_line` takes every line that was delivered to the folder, in any order, on the
background thread; starts matter only for the number of tasks at work, everything else is counted on end lines, which repeat
what their labels need. Nothing raises for a line of an odd shape: what is missing is not measured.

The rules of the convention that are easy to get wrong: usage counters count every inference, 0 where the provider said
nothing; cache and reasoning tokens are parts of the totals and never added to them; token histograms are for completed calls
only; chunk times only for streams.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from opentelemetry.context import Context
from opentelemetry.metrics import Counter, Histogram, Meter

from otel_agentlog.export import semconv_names as names
from otel_agentlog.export.metrics_labels import Labels, LabelSet, extended
from otel_agentlog.export.metrics_table import Instruments
from otel_agentlog.export.semconv import Profile
from otel_agentlog.export.semconv_fields import integer, mapping_in, number, provider_name, text
from otel_agentlog.export.semconv_operations import is_inference
from otel_agentlog.export.semconv_outcome import error_type
from otel_agentlog.export.semconv_spans import operation_name, server_port, tool_name, workflow_name
from otel_agentlog.model import Line, Outcome

Delivery = Literal["recorded", "delivered", "dropped"]
"""What became of items; see `Metrics.on_delivery`."""

_Handle = Callable[[Line, Mapping[str, Any], "Context | None"], None]

_USAGE = (
    ("input_tokens", names.M_USAGE_INPUT),
    ("output_tokens", names.M_USAGE_OUTPUT),
    ("cache_read_input_tokens", names.M_USAGE_CACHE_READ),
    ("cache_write_input_tokens", names.M_USAGE_CACHE_WRITE),
    ("reasoning_output_tokens", names.M_USAGE_REASONING),
)
_DELIVERY: dict[Delivery, str] = {
    "recorded": names.M_ITEMS_RECORDED,
    "delivered": names.M_ITEMS_DELIVERED,
    "dropped": names.M_ITEMS_DROPPED,
}


class Metrics:
    """All instruments of a process. `on_line` is for one thread, `on_delivery` for any."""

    def __init__(self, meter: Meter, profile: Profile = "latest") -> None:
        made = Instruments(meter, profile)
        self._labels = Labels()
        self._active: dict[str, LabelSet] = {}
        self._tasks_active = made.up_down_counter(names.M_TASKS_ACTIVE)
        self._tasks = made.counters(names.M_TASKS)
        self._task_duration = made.histograms(names.M_TASK_DURATION)
        self._agent_duration = made.histograms(names.M_INVOKE_AGENT_DURATION)
        self._agent_inferences = made.histograms(names.M_INVOKE_AGENT_INFERENCE_CALLS)
        self._agent_tools = made.histograms(names.M_INVOKE_AGENT_TOOL_CALLS)
        self._workflow_duration = made.histograms(names.M_INVOKE_WORKFLOW_DURATION)
        self._tool_duration = made.histograms(names.M_EXECUTE_TOOL_DURATION)
        self._operation_duration = made.histograms(names.M_OPERATION_DURATION)
        # In the newest convention the operation metric is for everything but inference.
        old = () if profile == "latest" else (names.M_OPERATION_DURATION,)
        self._inference_duration = made.histograms(names.M_INFERENCE_DURATION, *old)
        self._first_chunk = made.histograms(names.M_INFERENCE_FIRST_CHUNK, names.M_LEGACY_FIRST_CHUNK)
        self._next_chunk = made.histograms(names.M_INFERENCE_NEXT_CHUNK, names.M_LEGACY_NEXT_CHUNK)
        self._usage = [(key, made.counters(name)) for key, name in _USAGE]
        self._input_tokens = made.histograms(names.M_INPUT_TOKENS)
        self._output_tokens = made.histograms(names.M_OUTPUT_TOKENS)
        self._legacy_tokens = made.histograms(names.M_LEGACY_TOKEN_USAGE)
        self._cost = made.counters(names.M_COST)
        self._cost_unknown = made.counters(names.M_COST_UNKNOWN)
        self._errors = made.counters(names.M_ERRORS)
        self._retries = made.counters(names.M_RETRIES)
        self._items = {event: made.counters(name) for event, name in _DELIVERY.items()}
        self._ends: dict[str, _Handle] = {
            "task": self._task_ended,
            "ai_response": self._ai_call_ended,
            "tool_result": self._tool_ended,
        }

    def on_line(self, line: Line, context: Context | None = None, chunk_intervals_ms: Sequence[float] = ()) -> None:
        """Count one line.

        ``context`` is the one it was recorded in, for exemplars. ``chunk_intervals_ms`` are the milliseconds between the
        chunks of a streamed answer, which the folder does not keep.
        """
        kind, phase = line.get("type"), line.get("phase")
        details = mapping_in(line, "details")
        if phase == "end" and (handle := self._ends.get(str(kind))) is not None:
            handle(line, details, context)
            if chunk_intervals_ms and kind == "ai_response" and is_inference(operation_name(details)):
                self._record_chunks(details, chunk_intervals_ms, context)
        elif phase == "start" and kind == "task":
            self._task_started(line, details, context)
        elif kind == "attempt":
            self._attempted(line, details, context)
        self._count_error(line, context)

    def on_delivery(self, signal: str | None, event: Delivery, count: int = 1, reason: str | None = None) -> None:
        """Count items of a signal (``span``, ``log``, or ``None`` where it is not known).

        ``reason``, for dropped ones, is one of a few words such as ``queue_full``.
        """
        _add(self._items[event], count, self._labels.of((names.SIGNAL, signal), (names.REASON, reason)), None)

    def _task_started(self, line: Line, details: Mapping[str, Any], context: Context | None) -> None:
        labels = self._labels.of(*_task_labels(details))
        self._active[str(line.get("task_id"))] = labels
        self._tasks_active.add(1, labels, context)

    def _task_ended(self, line: Line, details: Mapping[str, Any], context: Context | None) -> None:
        # A task that another process began (recovery) was never counted as at work here.
        begun = self._active.pop(str(line.get("task_id")), None)
        if begun is not None:
            self._tasks_active.add(-1, begun, context)
        duration_ms, failure = line.get("duration_ms"), error_type(line)
        kind, outcome, error = _task_labels(details), (names.OUTCOME, line.get("outcome")), (names.ERROR_TYPE, failure)
        _add(self._tasks, 1, self._labels.of(*kind, outcome), context)
        _record(self._task_duration, duration_ms, self._labels.of(*kind, outcome), context, 0.001)
        agent = text(details.get("agent"))
        if agent is None:
            _record(self._workflow_duration, duration_ms, self._labels.of(*kind, error), context, 0.001)
            return
        name, model = (names.AGENT_NAME, agent), (names.REQUEST_MODEL, text(details.get("model")))
        _record(self._agent_duration, duration_ms, self._labels.of(name, model, error), context, 0.001)
        _record(self._agent_inferences, details.get("ai_calls"), self._labels.of(name), context)
        _record(self._agent_tools, details.get("tool_runs"), self._labels.of(name), context)

    def _tool_ended(self, line: Line, details: Mapping[str, Any], context: Context | None) -> None:
        labels = self._labels.of(
            (names.TOOL_NAME, tool_name(line)),
            (names.TOOL_TYPE, text(details.get("tool_type"))),
            (names.AGENT_NAME, text(details.get("agent"))),
            (names.ERROR_TYPE, error_type(line)),
        )
        _record(self._tool_duration, line.get("duration_ms"), labels, context, 0.001)

    def _ai_call_ended(self, line: Line, details: Mapping[str, Any], context: Context | None) -> None:
        labels, failure = self._ai_labels(details), error_type(line)
        with_error = self._ai_labels(details, failure) if failure else labels
        inference = is_inference(operation_name(details))
        duration = self._inference_duration if inference else self._operation_duration
        _record(duration, line.get("duration_ms"), with_error, context, 0.001)
        if inference:
            self._count_usage(details, labels, context)
            _record(self._first_chunk, details.get("time_to_first_chunk_ms"), labels, context, 0.001)
        if line.get("outcome") == Outcome.COMPLETED.value:
            self._record_tokens(details, labels, inference, context)
        self._count_cost(details, context)

    def _record_chunks(self, details: Mapping[str, Any], intervals_ms: Sequence[float], context: Context | None) -> None:
        labels = self._ai_labels(details)
        for interval_ms in intervals_ms:
            _record(self._next_chunk, interval_ms, labels, context, 0.001)

    def _count_usage(self, details: Mapping[str, Any], labels: LabelSet, context: Context | None) -> None:
        # No provider splits its counts by modality in a way that lines keep.
        counted = extended(labels, ((names.TOKEN_MODALITY, "unknown"),))
        for key, counters in self._usage:
            _add(counters, integer(details.get(key)) or 0, counted, context)

    def _record_tokens(self, details: Mapping[str, Any], labels: LabelSet, inference: bool, context: Context | None) -> None:
        for key, histograms, kind in (
            ("input_tokens", self._input_tokens, "input"),
            ("output_tokens", self._output_tokens, "output"),
        ):
            count = details.get(key)
            if inference:
                _record(histograms, count, labels, context)
            if self._legacy_tokens:
                _record(self._legacy_tokens, count, extended(labels, ((names.LEGACY_TOKEN_TYPE, kind),)), context)

    def _count_cost(self, details: Mapping[str, Any], context: Context | None) -> None:
        labels = self._labels.of(
            (names.OPERATION, operation_name(details)),
            (names.PROVIDER, provider_name(details.get("provider"))),
            (names.REQUEST_MODEL, text(details.get("model"))),
            (names.AGENT_NAME, text(details.get("agent"))),
        )
        amount = number(details.get("cost_usd"))
        if amount is not None:
            _add(self._cost, amount, labels, context)
        elif any(details.get(key) for key, _ in _USAGE):
            _add(self._cost_unknown, 1, labels, context)

    def _attempted(self, line: Line, details: Mapping[str, Any], context: Context | None) -> None:
        attempt, maximum = integer(details.get("number")), integer(details.get("maximum"))
        last = attempt is not None and maximum is not None and attempt >= maximum
        if line.get("action") == "attempt_failed" and not last:
            labels = self._labels.of(
                (names.COMPONENT, text(line.get("component"))), (names.ERROR_TYPE, text(details.get("error_type")))
            )
            _add(self._retries, 1, labels, context)

    def _count_error(self, line: Line, context: Context | None) -> None:
        exception = line.get("exception")
        failure = error_type(line)
        if isinstance(exception, Mapping):
            # The traceback stands only where the error was first seen; on its way out it passes further lines.
            if not exception.get("traceback"):
                return
            failure = failure or text(exception.get("type"))
        if failure is None:
            return
        category = text(exception.get("category")) if isinstance(exception, Mapping) else None
        labels = self._labels.of(
            (names.ERROR_TYPE, failure), (names.COMPONENT, text(line.get("component"))), (names.ERROR_CATEGORY, category)
        )
        _add(self._errors, 1, labels, context)

    def _ai_labels(self, details: Mapping[str, Any], error: str | None = None) -> LabelSet:
        address = text(details.get("server_address"))
        return self._labels.of(
            (names.OPERATION, operation_name(details)),
            (names.PROVIDER, provider_name(details.get("provider"))),
            (names.REQUEST_MODEL, text(details.get("model"))),
            (names.RESPONSE_MODEL, text(details.get("response_model"))),
            (names.SERVER_ADDRESS, address),
            (names.SERVER_PORT, server_port(details) if address else None),
            (names.ERROR_TYPE, error),
        )


def _task_labels(details: Mapping[str, Any]) -> tuple[tuple[str, str | None], ...]:
    agent = text(details.get("agent"))
    # The workflow's name stands on the workflow's metric as it does on its span: only where no agent is named.
    return ((names.AGENT_NAME, agent), (names.WORKFLOW_NAME, None if agent else workflow_name(details)))


def _record(histograms: tuple[Histogram, ...], value: Any, labels: LabelSet, context: Context | None, scale: float = 1) -> None:
    amount = number(value) if scale != 1 else integer(value)
    if amount is None or amount < 0:
        return
    for histogram in histograms:
        histogram.record(amount * scale, labels, context)


def _add(counters: tuple[Counter, ...], amount: float, labels: LabelSet, context: Context | None) -> None:
    if amount >= 0:
        for counter in counters:
            counter.add(amount, labels, context)
