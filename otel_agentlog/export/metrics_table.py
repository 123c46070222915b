"""Every metric: instrument, unit, description, bucket boundaries, and the profiles in which it exists."""

from __future__ import annotations

from typing import Literal, NamedTuple

from opentelemetry.metrics import Counter, Histogram, Meter, UpDownCounter

from otel_agentlog.export import semconv_names as names
from otel_agentlog.export.semconv import Profile

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_AGENT_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6)
_WORKFLOW_SECONDS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_TASK_SECONDS = (0.1, 0.5, *_WORKFLOW_SECONDS)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
_CALLS = (1, 2, 4, 8, 16, 32, 64, 128)

Kind = Literal["histogram", "counter", "updowncounter"]

LATEST: frozenset[Profile] = frozenset({"latest", "both"})
LEGACY: frozenset[Profile] = frozenset({"legacy", "both"})
ALWAYS: frozenset[Profile] = LATEST | LEGACY


class Metric(NamedTuple):
    """One row of the table."""

    name: str
    kind: Kind
    unit: str
    description: str
    boundaries: tuple[float, ...] | None = None
    profiles: frozenset[Profile] = ALWAYS


METRICS: tuple[Metric, ...] = (
    Metric(names.M_INFERENCE_DURATION, "histogram", "s", "Duration of an inference, with all its attempts.", _SECONDS, LATEST),
    Metric(names.M_INFERENCE_FIRST_CHUNK, "histogram", "s", "Time to the first chunk of a streamed answer.", _SECONDS, LATEST),
    Metric(names.M_INFERENCE_NEXT_CHUNK, "histogram", "s", "Time per chunk after the first.", _SECONDS, LATEST),
    Metric(names.M_USAGE_INPUT, "counter", "{token}", "Input tokens, cached ones included.", None, LATEST),
    Metric(names.M_USAGE_OUTPUT, "counter", "{token}", "Output tokens, reasoning included.", None, LATEST),
    Metric(names.M_USAGE_CACHE_READ, "counter", "{token}", "Input tokens read from the provider's cache.", None, LATEST),
    Metric(names.M_USAGE_CACHE_WRITE, "counter", "{token}", "Input tokens written to the provider's cache.", None, LATEST),
    Metric(names.M_USAGE_REASONING, "counter", "{token}", "Output tokens used for reasoning.", None, LATEST),
    Metric(names.M_INPUT_TOKENS, "histogram", "{token}", "Input tokens per inference.", _TOKENS, LATEST),
    Metric(names.M_OUTPUT_TOKENS, "histogram", "{token}", "Output tokens per inference.", _TOKENS, LATEST),
    Metric(names.M_OPERATION_DURATION, "histogram", "s", "Duration of a GenAI operation.", _SECONDS),
    Metric(names.M_LEGACY_TOKEN_USAGE, "histogram", "{token}", "Tokens per operation, by type.", _TOKENS, LEGACY),
    Metric(names.M_LEGACY_FIRST_CHUNK, "histogram", "s", "Time to the first chunk of a streamed answer.", _SECONDS, LEGACY),
    Metric(names.M_LEGACY_NEXT_CHUNK, "histogram", "s", "Time per chunk after the first.", _SECONDS, LEGACY),
    Metric(names.M_INVOKE_AGENT_DURATION, "histogram", "s", "Duration of an agent's run.", _AGENT_SECONDS),
    Metric(names.M_INVOKE_AGENT_INFERENCE_CALLS, "histogram", "{inference_call}", "Inferences per agent's run.", _CALLS),
    Metric(names.M_INVOKE_AGENT_TOOL_CALLS, "histogram", "{tool_call}", "Tool runs per agent's run.", _CALLS),
    Metric(names.M_INVOKE_WORKFLOW_DURATION, "histogram", "s", "Duration of a workflow.", _WORKFLOW_SECONDS),
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


class Instruments:
    """The instruments of one profile; a metric that the profile does not have takes no measurements."""

    def __init__(self, meter: Meter, profile: Profile) -> None:
        self._histograms: dict[str, Histogram] = {}
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, UpDownCounter] = {}
        for metric in METRICS:
            if profile in metric.profiles:
                self._create(meter, metric)

    def _create(self, meter: Meter, metric: Metric) -> None:
        name, unit, description = metric.name, metric.unit, metric.description
        if metric.kind == "histogram":
            self._histograms[name] = meter.create_histogram(
                name, unit, description, explicit_bucket_boundaries_advisory=metric.boundaries
            )
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
