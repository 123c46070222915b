"""Metrics from lines: the table of all metrics, the labels they may have, and which line feeds which metric.

`Metrics.on_line` takes every line that was delivered to the folder, in any order, on the delivery worker's thread. Starts
matter only for the number of tasks at work; everything else is counted on end lines, which repeat what their labels need.
Nothing raises for a line of an odd shape: what is missing is not measured.

Rules of the convention that are easy to get wrong: usage counters count every inference, 0 where the provider reported nothing;
cache and reasoning tokens are parts of the totals and never added to them; token histograms are for completed calls only; chunk
times only for streams.

Labels are made by `Labels` and nowhere else, only from the low-cardinality keys of `ALLOWED`, never from ids, so that no series
per task comes into being. Names that users choose (tools, models, agents) are open sets, so each label keeps the first
`MAX_VALUES` values and calls all later ones ``_OTHER``; a value longer than `MAX_CHARACTERS` is ``_OTHER`` at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from opentelemetry.context import Context
from opentelemetry.metrics import Counter, Histogram, Meter, UpDownCounter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context
from opentelemetry.util.types import AttributeValue

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.export.semconv import names
from otel_agentlog.export.semconv.fields import provider_name
from otel_agentlog.export.semconv.names import ALWAYS, BEFORE, INFERENCE, LEGACY, NEWEST, Profile
from otel_agentlog.export.semconv.operations import is_inference
from otel_agentlog.export.semconv.spans import (
    error_type,
    operation_name,
    server_port,
    tool_name,
    workflow_labels,
    workflow_name,
)
from otel_agentlog.vocabulary.actions import HANDED_OVER
from otel_agentlog.vocabulary.coerce import as_integer, as_number, as_text, mapping
from otel_agentlog.vocabulary.lines import SAME_CALL_AS, Line
from otel_agentlog.vocabulary.states import FAILED, Outcome

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_AGENT_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6)
_WORKFLOW_SECONDS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_TASK_SECONDS = (0.1, 0.5, *_WORKFLOW_SECONDS)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
_CALLS = (1, 2, 4, 8, 16, 32, 64, 128)

Kind: TypeAlias = Literal["histogram", "counter", "updowncounter"]


class Metric(NamedTuple):
    """One row of the table."""

    name: str
    kind: Kind
    unit: str
    description: str
    boundaries: tuple[float, ...] | None = None
    profiles: frozenset[Profile] = ALWAYS


METRICS: tuple[Metric, ...] = (
    Metric(names.M_INFERENCE_DURATION, "histogram", "s", "Duration of an inference, with all its attempts.", _SECONDS, INFERENCE),
    Metric(names.M_INFERENCE_FIRST_CHUNK, "histogram", "s", "Time to the first chunk of a streamed answer.", _SECONDS, INFERENCE),
    Metric(names.M_INFERENCE_NEXT_CHUNK, "histogram", "s", "Time per chunk after the first.", _SECONDS, INFERENCE),
    Metric(names.M_USAGE_INPUT, "counter", "{token}", "Input tokens, cached ones included.", None, INFERENCE),
    Metric(names.M_USAGE_OUTPUT, "counter", "{token}", "Output tokens, reasoning included.", None, INFERENCE),
    Metric(names.M_USAGE_CACHE_READ, "counter", "{token}", "Input tokens read from the provider's cache.", None, INFERENCE),
    Metric(names.M_USAGE_CACHE_WRITE, "counter", "{token}", "Input tokens written to the provider's cache.", None, INFERENCE),
    Metric(names.M_USAGE_REASONING, "counter", "{token}", "Output tokens used for reasoning.", None, INFERENCE),
    Metric(names.M_INPUT_TOKENS, "histogram", "{token}", "Input tokens per inference.", _TOKENS, INFERENCE),
    Metric(names.M_OUTPUT_TOKENS, "histogram", "{token}", "Output tokens per inference.", _TOKENS, INFERENCE),
    Metric(names.M_EMBEDDINGS_DURATION, "histogram", "s", "Duration of an embeddings call.", _SECONDS, NEWEST),
    Metric(names.M_EMBEDDINGS_INPUT_TOKENS, "histogram", "{token}", "Input tokens per embeddings call.", _TOKENS, NEWEST),
    Metric(names.M_RETRIEVAL_DURATION, "histogram", "s", "Duration of a retrieval.", _SECONDS, NEWEST),
    Metric(names.M_OPERATION_DURATION, "histogram", "s", "Duration of a GenAI operation.", _SECONDS),
    Metric(names.M_LEGACY_TOKEN_USAGE, "histogram", "{token}", "Tokens per operation, by type.", _TOKENS, LEGACY),
    Metric(names.M_LEGACY_FIRST_CHUNK, "histogram", "s", "Time to the first chunk of a streamed answer.", _SECONDS, LEGACY),
    Metric(names.M_LEGACY_NEXT_CHUNK, "histogram", "s", "Time per chunk after the first.", _SECONDS, LEGACY),
    Metric(names.M_INVOKE_AGENT_DURATION, "histogram", "s", "Duration of a run of an agent or workflow.", _AGENT_SECONDS),
    Metric(names.M_INVOKE_AGENT_INFERENCE_CALLS, "histogram", "{inference_call}", "Inferences per agent's run.", _CALLS),
    Metric(names.M_INVOKE_AGENT_TOOL_CALLS, "histogram", "{tool_call}", "Tool runs per agent's run.", _CALLS),
    Metric(names.M_INVOKE_WORKFLOW_DURATION, "histogram", "s", "Duration of a workflow.", _WORKFLOW_SECONDS, BEFORE),
    Metric(names.M_EXECUTE_TOOL_DURATION, "histogram", "s", "Duration of a tool run.", _SECONDS),
    Metric(names.M_TASK_DURATION, "histogram", "s", "Duration of a task, by outcome.", _TASK_SECONDS),
    Metric(names.M_TASKS_ACTIVE, "updowncounter", "{task}", "Tasks that this process has begun and not ended."),
    Metric(names.M_TASKS, "counter", "{task}", "Tasks that ended, by outcome."),
    Metric(names.M_COST, "counter", "{USD}", "Known cost of AI calls in US dollars."),
    Metric(names.M_COST_UNKNOWN, "counter", "{call}", "AI calls that used tokens whose price is unknown."),
    Metric(names.M_ERRORS, "counter", "{error}", "Errors, each counted where it was first seen."),
    Metric(names.M_RETRIES, "counter", "{attempt}", "Attempts that failed and were followed by another."),
    Metric(names.M_ITEMS_RECORDED, "counter", "{item}", "Spans and log records that were recorded to be sent."),
    Metric(names.M_ITEMS_DELIVERED, "counter", "{item}", "Spans and log records that a receiver acknowledged."),
    Metric(names.M_ITEMS_DROPPED, "counter", "{item}", "Spans and log records that will not be sent, by reason."),
)


MAX_VALUES = 100
"""Distinct values of one label."""
MAX_CHARACTERS = 128
"""Longest value of a label."""
MAX_COMBINATIONS = 4_096
"""Label sets that are kept ready; more are made each time."""

ALLOWED = frozenset(
    {names.OPERATION, names.PROVIDER, names.REQUEST_MODEL, names.RESPONSE_MODEL, names.SERVER_ADDRESS, names.SERVER_PORT}
    | {names.ERROR_TYPE, names.TOKEN_MODALITY, names.LEGACY_TOKEN_TYPE}
    | {names.AGENT_NAME, names.WORKFLOW_NAME, names.TOOL_NAME, names.TOOL_TYPE}
    | {names.OUTCOME, names.COMPONENT, names.ERROR_CATEGORY, names.SIGNAL, names.REASON}
)
"""Every label of every metric."""

Label: TypeAlias = tuple[str, Any]
"""Name and value; a label whose value is ``None`` or empty is left out."""
LabelSet: TypeAlias = dict[str, AttributeValue]


MAX_ACTIVE = 10_000
"""Tasks that are counted as at work at once."""


class Labels:
    """Makes label sets. One per process, so that all metrics agree on what is ``_OTHER``.

    One dict is made per combination and used again, so that a measurement costs a look-up. Threads may race: the worst case is
    a label with a few values more than its limit.
    """

    def __init__(self) -> None:
        self._seen: dict[str, set[str | int]] = {name: set() for name in ALLOWED}
        self._sets: dict[tuple[Label, ...], LabelSet] = {}
        self._raw: dict[tuple[Any, ...], LabelSet] = {}
        self._extended: dict[tuple[int, Label], tuple[LabelSet, LabelSet]] = {}

    def of(self, *labels: Label) -> LabelSet:
        """The label set of these pairs, without those that have no value.

        Raises:
            KeyError: a label that is not allowed.
        """
        known = self._sets.get(labels)
        if known is not None:
            return known
        guarded = tuple((name, self._value(name, value)) for name, value in labels if value is not None and value != "")
        made = self._sets.get(guarded)
        if made is None:
            made = dict(guarded)
            self._keep(guarded, made)
        if guarded != labels and all(pair in labels for pair in guarded):
            # Not what is called `_OTHER`: of that there is no end.
            self._keep(labels, made)
        return made

    def _keep(self, labels: tuple[Label, ...], made: LabelSet) -> None:
        if len(self._sets) < MAX_COMBINATIONS:
            self._sets[labels] = made

    def known(self, raw: tuple[Any, ...], make: Callable[[], LabelSet]) -> LabelSet:
        """The label set that ``make`` gives for these values of a line; made once."""
        try:
            known = self._raw.get(raw)
        except TypeError:
            raise_interrupt()
            return make()  # of a damaged line
        if known is None:
            known = make()
            if len(self._raw) < MAX_COMBINATIONS:
                self._raw[raw] = known
        return known

    def extended(self, labels: LabelSet, more: Label) -> LabelSet:
        """A label set with one label more, of a closed set such as a token type."""
        known = self._extended.get((id(labels), more))
        if known is not None and known[0] is labels:
            return known[1]
        made = {**labels, more[0]: more[1]}
        if len(self._extended) < MAX_COMBINATIONS:
            # With the original, so that its id stays its own.
            self._extended[id(labels), more] = labels, made
        return made

    def _value(self, name: str, value: Any) -> str | int:
        seen = self._seen[name]
        plain: str | int = value if type(value) in (str, int) else str(value)
        if plain in seen:
            return plain
        if len(seen) >= MAX_VALUES or (isinstance(plain, str) and len(plain) > MAX_CHARACTERS):
            # An int label (a port) has no `_OTHER`; 0 is no port.
            return names.OTHER if isinstance(plain, str) else 0
        seen.add(plain)
        return plain


class MetricInstruments:
    """The instruments of one profile; a metric that the profile does not have takes no measurements."""

    def __init__(self, meter: Meter, profile: Profile) -> None:
        self.rows: dict[int, Metric] = {}
        """The rows of the histograms, by the id of the instrument."""
        self._histograms: dict[str, Histogram] = {}
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, UpDownCounter] = {}
        for metric in METRICS:
            if profile in metric.profiles:
                self._create(meter, metric)

    def _create(self, meter: Meter, metric: Metric) -> None:
        name, unit, description = metric.name, metric.unit, metric.description
        if metric.kind == "histogram":
            made = meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=metric.boundaries)
            self._histograms[name] = made
            self.rows[id(made)] = metric
        elif metric.kind == "counter":
            self._counters[name] = meter.create_counter(name, unit, description)
        else:
            self._gauges[name] = meter.create_up_down_counter(name, unit, description)

    def histograms(self, *wanted: str) -> tuple[Histogram, ...]:
        """Those of the named histograms that the profile has."""
        return tuple(self._histograms[name] for name in wanted if name in self._histograms)

    def counters(self, *wanted: str) -> tuple[Counter, ...]:
        """Those of the named counters that the profile has."""
        return tuple(self._counters[name] for name in wanted if name in self._counters)

    def up_down_counter(self, name: str) -> UpDownCounter:
        """A counter that also goes down."""
        return self._gauges[name]


Delivery: TypeAlias = Literal["recorded", "delivered", "dropped"]
"""What happened to items; see `Metrics.on_delivery`."""

_Handle: TypeAlias = Callable[[Line, Mapping[str, Any], "SpanIds | None"], None]

_USAGE = (
    ("input_tokens", names.M_USAGE_INPUT),
    ("output_tokens", names.M_USAGE_OUTPUT),
    ("cache_read_input_tokens", names.M_USAGE_CACHE_READ),
    ("cache_write_input_tokens", names.M_USAGE_CACHE_WRITE),
    ("reasoning_output_tokens", names.M_USAGE_REASONING),
)
_AI_KEYS = ("operation", "provider", "model", "response_model", "server_address", "server_port")
"""Keys of an AI call's details that its labels are made of."""
_DELIVERY: dict[Delivery, str] = {
    "recorded": names.M_ITEMS_RECORDED,
    "delivered": names.M_ITEMS_DELIVERED,
    "dropped": names.M_ITEMS_DROPPED,
}


class SpanIds(NamedTuple):
    """The span that something measured belongs to, for exemplars."""

    trace_id: int
    span_id: int
    sampled: bool


Measured: TypeAlias = "Sequence[tuple[float, SpanIds | None]]"
"""Values, none below 0, with the spans that they belong to."""


class OwnHistograms(Protocol):
    """Histograms that are not added up by the SDK."""

    @property
    def has_others(self) -> bool:
        """Whether the provider has metric readers that are not ours."""

    def add(self, metric: Metric, labels: LabelSet, measured: Measured) -> None:
        """Add to one label set of a histogram."""


class _Values(NamedTuple):
    """What was measured of one label set of a histogram since it was recorded."""

    histogram: Histogram
    labels: LabelSet
    measured: list[tuple[float, SpanIds | None]]


@dataclass(slots=True)
class _Sum:
    """What was added to one series since it was counted."""

    counter: Counter | UpDownCounter
    labels: LabelSet
    last: float
    ids: SpanIds | None
    before: float = 0
    """The sum without the last of them."""


class Metrics:
    """All instruments of a process. `on_line` is for one thread, `on_delivery` for any."""

    def __init__(self, meter: Meter, profile: Profile = "latest", own: OwnHistograms | None = None) -> None:
        """``own`` takes what histograms measure; without it, or where there are others, the meter does."""
        made = MetricInstruments(meter, profile)
        self._own, self._rows = own, made.rows
        self._labels = Labels()
        self._active: dict[str, LabelSet] = {}
        self._sums: dict[tuple[int, int], _Sum] | None = None
        self._values: dict[tuple[int, int], _Values] = {}
        self._tasks_active = made.up_down_counter(names.M_TASKS_ACTIVE)
        self._tasks = made.counters(names.M_TASKS)
        self._task_duration = made.histograms(names.M_TASK_DURATION)
        self._agent_duration = made.histograms(names.M_INVOKE_AGENT_DURATION)
        self._agent_inferences = made.histograms(names.M_INVOKE_AGENT_INFERENCE_CALLS)
        self._agent_tools = made.histograms(names.M_INVOKE_AGENT_TOOL_CALLS)
        self._workflow_duration = made.histograms(names.M_INVOKE_WORKFLOW_DURATION)
        self._tool_duration = made.histograms(names.M_EXECUTE_TOOL_DURATION)
        self._operation_duration = made.histograms(names.M_OPERATION_DURATION)
        self._is_newest = profile in NEWEST
        # What has a metric of its own is counted in that of all operations only where the past is wanted, too.
        old = (names.M_OPERATION_DURATION,) if profile in LEGACY else ()
        self._inference_duration = made.histograms(names.M_INFERENCE_DURATION, *old)
        self._own_durations = {
            operation: made.histograms(name, *old)
            for operation, name in (("embeddings", names.M_EMBEDDINGS_DURATION), ("retrieval", names.M_RETRIEVAL_DURATION))
            if self._is_newest
        }
        """Of operations that are not inferences."""
        self._embedded_tokens = made.histograms(names.M_EMBEDDINGS_INPUT_TOKENS)
        self._task_labels = partial(_task_labels, profile)
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

    def on_line(self, line: Line, chunk_intervals_ms: Sequence[float] = (), *, sampled: bool = True) -> None:
        """Count one line; one of a ``sampled`` span gives exemplars with its ids.

        ``chunk_intervals_ms`` are the milliseconds between the chunks of a streamed answer, which the folder does not keep.
        """
        kind, phase = line.get("type"), line.get("phase")
        handle = self._ends.get(str(kind)) if phase == "end" else None
        starts = phase == "start" and kind == "task"
        fails = "exception" in line or as_text(line.get("outcome")) in FAILED
        handed_over = kind == "state" and line.get("action") == HANDED_OVER
        if not (handle or starts or fails or handed_over or kind == "attempt"):
            return
        details, ids = mapping(line, "details"), _ids_of(line, sampled)
        if handle is not None:
            handle(line, details, ids)
            if chunk_intervals_ms and kind == "ai_response" and is_inference(operation_name(details)):
                self._record_chunks(details, chunk_intervals_ms, ids)
        elif starts:
            self._task_started(line, details, ids)
        elif kind == "attempt":
            self._attempted(line, details, ids)
        elif handed_over:
            self._no_longer_active(line, ids)
        if fails:
            self._count_error(line, ids)

    def on_delivery(self, signal: str | None, event: Delivery, count: int = 1, reason: str | None = None) -> None:
        """Count items of a signal (``span``, ``log``, or ``None`` where it is not known).

        ``reason``, for dropped ones, is one of a few words such as ``queue_full``.
        """
        for counter in self._items[event]:
            counter.add(count, self._labels.of((names.SIGNAL, signal), (names.REASON, reason)))

    def _task_started(self, line: Line, details: Mapping[str, Any], ids: SpanIds | None) -> None:
        labels = self._labels.of(*self._task_labels(details))
        self._active[str(line.get("task_id"))] = labels
        self._sum(self._tasks_active, 1, labels, ids)
        if len(self._active) > MAX_ACTIVE:
            # A task that never ended.
            self._sum(self._tasks_active, -1, self._active.pop(next(iter(self._active))), ids)

    def _task_ended(self, line: Line, details: Mapping[str, Any], ids: SpanIds | None) -> None:
        self._no_longer_active(line, ids)
        duration_ms, failure = line.get("duration_ms"), error_type(line)
        kind, outcome, error = (
            self._task_labels(details),
            (names.OUTCOME, as_text(line.get("outcome"))),
            (names.ERROR_TYPE, failure),
        )
        self._add(self._tasks, 1, self._labels.of(*kind, outcome), ids)
        self._record(self._task_duration, duration_ms, self._labels.of(*kind, outcome), ids, 0.001)
        agent = as_text(details.get("agent"))
        operation = (names.OPERATION, ("invoke_workflow" if agent is None else "invoke_agent") if self._is_newest else None)
        if agent is None:
            old = (names.WORKFLOW_NAME, workflow_name(details))
            self._record(self._workflow_duration, duration_ms, self._labels.of(old, error), ids, 0.001)
            if self._is_newest:
                name = (names.AGENT_NAME, workflow_name(details))
                self._record(self._agent_duration, duration_ms, self._labels.of(operation, name, error), ids, 0.001)
            return
        name, model = (names.AGENT_NAME, agent), (names.REQUEST_MODEL, as_text(details.get("model")))
        self._record(self._agent_duration, duration_ms, self._labels.of(operation, name, model, error), ids, 0.001)
        self._record(self._agent_inferences, details.get("ai_calls"), self._labels.of(name), ids)
        self._record(self._agent_tools, details.get("tool_runs"), self._labels.of(name), ids)

    def _no_longer_active(self, line: Line, ids: SpanIds | None) -> None:
        # A task that another process began (recovery) was never counted as at work here.
        begun = self._active.pop(str(line.get("task_id")), None)
        if begun is not None:
            self._sum(self._tasks_active, -1, begun, ids)

    def _tool_ended(self, line: Line, details: Mapping[str, Any], ids: SpanIds | None) -> None:
        raw = ("tool", line.get("content"), details.get("tool_type"), details.get("agent"), error := error_type(line))
        labels = self._labels.known(
            raw,
            lambda: self._labels.of(
                (names.TOOL_NAME, tool_name(line)),
                (names.TOOL_TYPE, as_text(details.get("tool_type"))),
                (names.AGENT_NAME, as_text(details.get("agent"))),
                (names.ERROR_TYPE, error),
            ),
        )
        self._record(self._tool_duration, line.get("duration_ms"), labels, ids, 0.001)

    def _ai_call_ended(self, line: Line, details: Mapping[str, Any], ids: SpanIds | None) -> None:
        labels, failure = self._ai_labels(details), error_type(line)
        with_error = self._ai_labels(details, failure) if failure else labels
        inference = is_inference(operation_name(details))
        if SAME_CALL_AS in details:
            # A further view of a call that was counted: only what that one did not know.
            if inference:
                self._count_usage(details, labels, ids)
            self._count_cost(details, ids)
            return
        duration = self._inference_duration if inference else self._duration_of(operation_name(details))
        self._record(duration, line.get("duration_ms"), with_error, ids, 0.001)
        if inference:
            self._count_usage(details, labels, ids)
            self._record(self._first_chunk, details.get("time_to_first_chunk_ms"), labels, ids, 0.001)
        if line.get("outcome") == Outcome.COMPLETED.value:
            self._record_tokens(details, labels, inference, ids)
        self._count_cost(details, ids)

    def _duration_of(self, operation: str) -> tuple[Histogram, ...]:
        return self._own_durations.get(operation, self._operation_duration)

    def _record_chunks(self, details: Mapping[str, Any], intervals_ms: Sequence[float], ids: SpanIds | None) -> None:
        labels = self._ai_labels(details)
        for interval_ms in intervals_ms:
            self._record(self._next_chunk, interval_ms, labels, ids, 0.001)

    def _count_usage(self, details: Mapping[str, Any], labels: LabelSet, ids: SpanIds | None) -> None:
        # No provider splits its counts by modality in a way that lines keep.
        counted = self._labels.extended(labels, (names.TOKEN_MODALITY, "unknown"))
        for key, counters in self._usage:
            self._add(counters, as_integer(details.get(key)) or 0, counted, ids)

    def _record_tokens(self, details: Mapping[str, Any], labels: LabelSet, inference: bool, ids: SpanIds | None) -> None:
        for key, histograms, kind in (
            ("input_tokens", self._input_tokens, "input"),
            ("output_tokens", self._output_tokens, "output"),
        ):
            count = details.get(key)
            if inference:
                self._record(histograms, count, labels, ids)
            elif kind == "input" and operation_name(details) == "embeddings":
                self._record(self._embedded_tokens, count, labels, ids)
            if self._legacy_tokens:
                self._record(self._legacy_tokens, count, self._labels.extended(labels, (names.LEGACY_TOKEN_TYPE, kind)), ids)

    def _count_cost(self, details: Mapping[str, Any], ids: SpanIds | None) -> None:
        labels = self._labels.known(
            ("cost", *map(details.get, ("operation", "provider", "model", "agent"))),
            lambda: self._labels.of(
                (names.OPERATION, operation_name(details)),
                (names.PROVIDER, provider_name(details.get("provider"))),
                (names.REQUEST_MODEL, as_text(details.get("model"))),
                (names.AGENT_NAME, as_text(details.get("agent"))),
            ),
        )
        amount = as_number(details.get("cost_usd"))
        if amount is not None:
            self._add(self._cost, amount, labels, ids)
        elif any(details.get(key) for key, _ in _USAGE):
            self._add(self._cost_unknown, 1, labels, ids)

    def _attempted(self, line: Line, details: Mapping[str, Any], ids: SpanIds | None) -> None:
        attempt, maximum = as_integer(details.get("number")), as_integer(details.get("maximum"))
        last = attempt is not None and maximum is not None and attempt >= maximum
        if line.get("action") == "attempt_failed" and not last:
            labels = self._labels.of(
                (names.COMPONENT, as_text(line.get("component"))), (names.ERROR_TYPE, as_text(details.get("error_type")))
            )
            self._add(self._retries, 1, labels, ids)

    def _count_error(self, line: Line, ids: SpanIds | None) -> None:
        if SAME_CALL_AS in mapping(line, "details"):
            return
        exception = line.get("exception")
        failure = error_type(line)
        if isinstance(exception, Mapping):
            # Only the line of the operation that first saw the error has the traceback; those of the operations around it do not.
            if not exception.get("traceback"):
                return
            failure = failure or as_text(exception.get("type"))
        if failure is None:
            return
        category = as_text(exception.get("category")) if isinstance(exception, Mapping) else None
        labels = self._labels.of(
            (names.ERROR_TYPE, failure), (names.COMPONENT, as_text(line.get("component"))), (names.ERROR_CATEGORY, category)
        )
        self._add(self._errors, 1, labels, ids)

    def _add(self, counters: tuple[Counter, ...], amount: float, labels: LabelSet, ids: SpanIds | None) -> None:
        if amount >= 0:
            for counter in counters:
                self._sum(counter, amount, labels, ids)

    def _sum(self, counter: Counter | UpDownCounter, amount: float, labels: LabelSet, ids: SpanIds | None) -> None:
        if self._sums is None:
            counter.add(amount, labels, _context_of(ids))
            return
        added = self._sums.get((id(counter), id(labels)))
        if added is None:
            self._sums[id(counter), id(labels)] = _Sum(counter, labels, amount, ids)
        else:
            added.before += added.last
            added.last, added.ids = amount, ids

    def _record(
        self, histograms: tuple[Histogram, ...], value: Any, labels: LabelSet, ids: SpanIds | None, scale: float = 1
    ) -> None:
        amount = as_number(value) if scale != 1 else as_integer(value)
        if amount is None or amount < 0:
            return
        for histogram in histograms:
            key = id(histogram), id(labels)
            values = self._values.get(key)
            if values is None:
                values = self._values[key] = _Values(histogram, labels, [])
            values.measured.append((amount * scale, ids))
        if self._sums is None:
            self._settle_values()

    def gather(self) -> None:
        """From here on, add up what lines count until `settle`: a measurement costs more than all the rest of a line."""
        self._sums = {}

    def settle(self) -> None:
        """Count what was added up; the last of each is counted by itself, with its ids as exemplar."""
        if self._values:
            self._settle_values()
        if not self._sums:
            return
        sums, self._sums = self._sums, {}
        for added in sums.values():
            if added.before:
                added.counter.add(added.before, added.labels, Context())
            added.counter.add(added.last, added.labels, _context_of(added.ids))

    def _settle_values(self) -> None:
        gathered, self._values = self._values, {}
        for histogram, labels, measured in gathered.values():
            if self._own is not None:
                self._own.add(self._rows[id(histogram)], labels, measured)
            if self._own is None or self._own.has_others:
                for value, ids in measured:
                    histogram.record(value, labels, _context_of(ids))

    def _ai_labels(self, details: Mapping[str, Any], error: str | None = None) -> LabelSet:
        return self._labels.known((error, *map(details.get, _AI_KEYS)), lambda: self._made_ai_labels(details, error))

    def _made_ai_labels(self, details: Mapping[str, Any], error: str | None) -> LabelSet:
        address = as_text(details.get("server_address"))
        return self._labels.of(
            (names.OPERATION, operation_name(details)),
            (names.PROVIDER, provider_name(details.get("provider"))),
            (names.REQUEST_MODEL, as_text(details.get("model"))),
            (names.RESPONSE_MODEL, as_text(details.get("response_model"))),
            (names.SERVER_ADDRESS, address),
            (names.SERVER_PORT, server_port(details) if address else None),
            (names.ERROR_TYPE, error),
        )


def _ids_of(line: Line, sampled: bool) -> SpanIds | None:
    """The ids of a line; ``None`` where it has none. Raises `ValueError` for ids that are not in hex."""
    trace_id, span_id = line.get("trace_id"), line.get("span_id")
    if type(trace_id) is not str or type(span_id) is not str or not (trace_id and span_id):
        return None
    return SpanIds(int(trace_id, 16), int(span_id, 16), sampled)


def _context_of(ids: SpanIds | None) -> Context:
    """A context whose span has these ids."""
    if ids is None:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED if ids.sampled else TraceFlags.DEFAULT)
    return set_span_in_context(NonRecordingSpan(SpanContext(ids.trace_id, ids.span_id, False, flags)), Context())


def _task_labels(profile: Profile, details: Mapping[str, Any]) -> tuple[tuple[str, str | None], ...]:
    agent = as_text(details.get("agent"))
    # As on the span: the workflow is named only where no agent is.
    return ((names.AGENT_NAME, agent),) if agent else tuple(workflow_labels(workflow_name(details), profile))
