"""Lines become measurements."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.resources import Resource

from otel_agentlog.export.histograms import Histograms, OwnMeterProvider
from otel_agentlog.export.metrics import ALLOWED, MAX_CHARACTERS, METRICS, Labels, Metrics
from otel_agentlog.export.semconv.names import Profile
from otel_agentlog.testing.otlp.decode import decode_request
from tests.support.conformance.wire import Wire, end_line, failed, start_line

CHAT = {"provider": "openai", "model": "gpt-5"}
CHAT_LABELS = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5"}
USAGE = "gen_ai.client.inference.usage."


def _ai_call(wire: Wire, answer: dict[str, Any], intervals: tuple[float, ...] = (), **keys: Any) -> None:
    wire.operation(start_line("ai_request", CHAT), end_line("ai_request", {**CHAT, **answer}, **keys), intervals)


def _value(wire: Wire, name: str) -> Any:
    (point,) = wire.points(name)
    return point["value"]


def test_an_inference_is_measured_in_seconds_with_its_labels() -> None:
    """Duration of the span, response model and server among the labels, an exemplar of the trace."""
    wire = Wire()
    details = {**CHAT, "response_model": "gpt-5-1", "server_address": "api.openai.com", "server_port": 443}

    wire.operation(start_line("ai_request", details), end_line("ai_request", details))

    (point,) = wire.points("gen_ai.client.inference.duration")
    (span,) = wire.spans()
    assert point["sum"] == 1.5
    server = {"gen_ai.response.model": "gpt-5-1", "server.address": "api.openai.com", "server.port": 443}
    assert point["attributes"] == {**CHAT_LABELS, **server}
    assert [exemplar["span_id"] for exemplar in point["exemplars"]] == [span["span_id"]]


def test_tokens_are_counted_and_parts_never_added() -> None:
    """Each counter has what the provider said; cached tokens are not added to the input again."""
    wire = Wire()

    _ai_call(wire, {"input_tokens": 100, "output_tokens": 50, "cache_read_input_tokens": 80, "reasoning_output_tokens": 20})

    counted = {kind: _value(wire, f"{USAGE}{kind}") for kind in ("input_tokens", "output_tokens", "cache_read.input_tokens")}
    assert counted == {"input_tokens": 100, "output_tokens": 50, "cache_read.input_tokens": 80}
    assert _value(wire, f"{USAGE}reasoning.output_tokens") == 20
    assert _value(wire, f"{USAGE}cache_write.input_tokens") == 0
    assert wire.points(f"{USAGE}input_tokens")[0]["attributes"] == {**CHAT_LABELS, "gen_ai.token.modality": "unknown"}
    assert wire.points("gen_ai.client.inference.operation.input_tokens")[0]["sum"] == 100


def test_a_failed_inference_counts_zero_tokens_and_no_histogram() -> None:
    """Usage counters count every inference; token histograms only those that succeeded; the error is a label of the duration."""
    wire = Wire()

    _ai_call(wire, {}, **failed("RateLimitError"))

    assert _value(wire, f"{USAGE}input_tokens") == 0
    assert _value(wire, f"{USAGE}output_tokens") == 0
    assert wire.points("gen_ai.client.inference.operation.input_tokens") == []
    assert wire.points("gen_ai.client.inference.duration")[0]["attributes"] == {**CHAT_LABELS, "error.type": "RateLimitError"}


def test_a_success_of_zero_tokens_is_recorded_and_one_of_unknown_tokens_is_not() -> None:
    """Zero is a measurement, silence is none."""
    zero, silent = Wire(), Wire()

    _ai_call(zero, {"input_tokens": 0, "output_tokens": 0})
    _ai_call(silent, {})

    assert zero.points("gen_ai.client.inference.operation.output_tokens")[0]["count"] == 1
    assert silent.points("gen_ai.client.inference.operation.output_tokens") == []


def test_chunks_are_measured_only_for_streams() -> None:
    """Time to the first chunk, and the time per chunk after it."""
    stream, whole = Wire(), Wire()

    _ai_call(stream, {"stream": True, "time_to_first_chunk_ms": 250.0}, (10.0, 30.0))
    _ai_call(whole, {})

    assert stream.points("gen_ai.client.inference.time_to_first_chunk")[0]["sum"] == 0.25
    (chunks,) = stream.points("gen_ai.client.inference.time_per_output_chunk")
    assert (chunks["count"], chunks["sum"]) == (2, pytest.approx(0.04))
    assert whole.points("gen_ai.client.inference.time_to_first_chunk") == []


def test_legacy_names_measure_the_same() -> None:
    """`legacy` has the old names only, `both` has both."""
    legacy, both = Wire("legacy"), Wire("both")

    for wire in (legacy, both):
        _ai_call(wire, {"input_tokens": 3, "output_tokens": 2, "time_to_first_chunk_ms": 1.0})

    tokens = {point["attributes"]["gen_ai.token.type"]: point["sum"] for point in legacy.points("gen_ai.client.token.usage")}
    assert tokens == {"input": 3, "output": 2}
    assert legacy.points("gen_ai.client.operation.duration")[0]["sum"] == 1.5
    assert legacy.points("gen_ai.client.inference.duration") == []
    assert both.points("gen_ai.client.operation.duration")[0]["sum"] == 1.5
    assert both.points("gen_ai.client.inference.duration")[0]["sum"] == 1.5


def test_an_embedding_is_an_operation_and_no_inference() -> None:
    """It has metrics of its own and a cost, and counts in no inference metric."""
    wire, before = Wire(), Wire("2026-10")
    details = {**CHAT, "operation": "embeddings"}

    for each in (wire, before):
        each.operation(start_line("ai_request", details), end_line("ai_request", {**details, "input_tokens": 5, "cost_usd": 0.5}))

    own = {"gen_ai.client.embeddings.duration", "gen_ai.client.embeddings.operation.input_tokens"}
    assert {metric["name"] for metric in wire.measured()} == {*own, "agentlog.cost"}
    assert wire.points("gen_ai.client.embeddings.operation.input_tokens")[0]["sum"] == 5
    assert {metric["name"] for metric in before.measured()} == {"gen_ai.client.operation.duration", "agentlog.cost"}


def test_cost_adds_up_and_unknown_prices_are_counted_apart() -> None:
    """An unknown price is never zero; how many there were is known."""
    wire = Wire()

    _ai_call(wire, {"cost_usd": 0.25, "input_tokens": 1})
    _ai_call(wire, {"cost_usd": 0.5, "input_tokens": 1})
    _ai_call(wire, {"cost_usd": None, "input_tokens": 1})
    _ai_call(wire, {"cost_usd": None})

    assert _value(wire, "agentlog.cost") == 0.75
    assert _value(wire, "agentlog.cost.unknown") == 1


def test_a_task_is_active_until_it_ends() -> None:
    """Up on start, down on end with the same labels; then it is counted by outcome, with its duration."""
    wire = Wire()
    wire.metrics.on_line(start_line("task", {"agent": "brain"}))
    (active,) = wire.points("agentlog.tasks.active")

    wire.metrics.on_line(end_line("task", {"agent": "brain", "ai_calls": 2, "tool_runs": 0, "model": "m"}, outcome="cancelled"))

    assert (active["value"], active["attributes"]) == (1, {"gen_ai.agent.name": "brain"})
    assert _value(wire, "agentlog.tasks.active") == 0
    labels = {"gen_ai.agent.name": "brain", "agentlog.outcome": "cancelled"}
    assert [(p["value"], p["attributes"]) for p in wire.points("agentlog.tasks")] == [(1, labels)]
    assert [(p["sum"], p["attributes"]) for p in wire.points("agentlog.task.duration")] == [(1.5, labels)]
    assert wire.points("gen_ai.invoke_agent.duration")[0]["attributes"] == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "brain",
        "gen_ai.request.model": "m",
    }
    assert wire.points("gen_ai.invoke_agent.inference_calls")[0]["sum"] == 2
    assert wire.points("gen_ai.invoke_agent.tool_calls")[0]["count"] == 1
    assert wire.points("gen_ai.invoke_workflow.duration") == []


def test_a_task_that_another_process_began_does_not_go_below_zero() -> None:
    """Recovery closes tasks of the dead; they count as ended, not as one less at work."""
    wire = Wire("2026-10")

    wire.metrics.on_line(end_line("task", {"workflow": "review"}, outcome="interrupted"))

    assert wire.points("agentlog.tasks.active") == []
    assert _value(wire, "agentlog.tasks") == 1
    assert wire.points("gen_ai.invoke_workflow.duration")[0]["attributes"] == {"gen_ai.workflow.name": "review"}


@pytest.mark.parametrize(
    ("profile", "metrics", "labels"),
    [
        ("latest", {"gen_ai.invoke_agent.duration"}, {"gen_ai.agent.name": "review"}),
        ("2026-10", {"gen_ai.invoke_workflow.duration"}, {"gen_ai.workflow.name": "review"}),
        ("legacy", {"gen_ai.invoke_workflow.duration"}, {"gen_ai.workflow.name": "review"}),
        (
            "both",
            {"gen_ai.invoke_agent.duration", "gen_ai.invoke_workflow.duration"},
            {"gen_ai.agent.name": "review", "gen_ai.workflow.name": "review"},
        ),
    ],
)
def test_a_workflow_is_measured_by_the_names_of_the_profile(profile: Profile, metrics: set[str], labels: dict[str, str]) -> None:
    """In the newest release as a run of an agent, told apart by its operation; before it by a metric of its own."""
    wire = Wire(profile)

    wire.metrics.on_line(end_line("task", {"workflow": "review", "ai_calls": 1}))

    assert {each["name"] for each in wire.measured() if each["name"].startswith("gen_ai.")} == metrics
    assert [point["attributes"] for point in wire.points("agentlog.tasks")] == [{**labels, "agentlog.outcome": "completed"}]
    as_agent = [point["attributes"] for point in wire.points("gen_ai.invoke_agent.duration")]
    assert as_agent in ([], [{"gen_ai.agent.name": "review", "gen_ai.operation.name": "invoke_workflow"}])


def test_a_tool_run_is_measured() -> None:
    """Tool, type, agent, and the error if it failed."""
    wire = Wire()

    wire.metrics.on_line(end_line("tool_call", {"tool_type": "function", "agent": "brain"}, content="Read", **failed()))

    (point,) = wire.points("gen_ai.execute_tool.duration")
    assert point["attributes"] == {
        "gen_ai.tool.name": "Read",
        "gen_ai.tool.type": "function",
        "gen_ai.agent.name": "brain",
        "error.type": "ValueError",
    }


def test_one_error_is_counted_once_on_its_way_out() -> None:
    """The line with the traceback counts; those it passes on its way out do not; an error without an exception does."""
    wire = Wire()

    wire.metrics.on_line(end_line("tool_call", content="Read", **failed()))
    wire.metrics.on_line(end_line("step", **failed(first_seen=False)))
    wire.metrics.on_line(end_line("task", **failed(first_seen=False)))
    wire.metrics.on_line({"type": "log", "level": "ERROR", "component": "web", "exception": failed("KeyError")["exception"]})
    wire.metrics.on_line(end_line("step", outcome="timed_out"))
    wire.metrics.on_line(end_line("step", outcome="cancelled"))

    counted = {point["attributes"]["error.type"]: point["value"] for point in wire.points("agentlog.errors")}
    assert counted == {"ValueError": 1, "KeyError": 1, "timeout": 1}


def test_a_retry_is_a_failed_attempt_that_another_follows() -> None:
    """The last of all attempts is no retry."""
    wire = Wire()
    attempt = {"type": "attempt", "action": "attempt_failed", "component": "tool"}

    wire.metrics.on_line({**attempt, "details": {"number": 1, "maximum": 2, "error_type": "OSError"}})
    wire.metrics.on_line({**attempt, "details": {"number": 2, "maximum": 2, "error_type": "OSError"}})
    wire.metrics.on_line({**attempt, "action": "attempt_started", "details": {"number": 2, "maximum": 2}})

    (point,) = wire.points("agentlog.retries")
    assert (point["value"], point["attributes"]) == (1, {"agentlog.component": "tool", "error.type": "OSError"})


def test_the_sdk_counts_its_own_items() -> None:
    """Recorded, delivered and dropped, by signal and reason."""
    wire = Wire()

    wire.metrics.on_delivery("span", "recorded", 3)
    wire.metrics.on_delivery("span", "delivered", 2)
    wire.metrics.on_delivery("span", "dropped", reason="queue_full")

    assert _value(wire, "agentlog.sdk.items.recorded") == 3
    assert _value(wire, "agentlog.sdk.items.delivered") == 2
    (dropped,) = wire.points("agentlog.sdk.items.dropped")
    assert (dropped["value"], dropped["attributes"]) == (1, {"agentlog.signal": "span", "agentlog.reason": "queue_full"})


def test_made_up_names_end_in_one_series() -> None:
    """An agent that invents tool names cannot flood the metrics: past the limit they are one series."""
    wire = Wire()

    for number in range(300):
        wire.metrics.on_line(end_line("tool_call", content=f"tool-{number}"))

    points = wire.points("gen_ai.execute_tool.duration")
    assert len(points) == 101
    assert {point["attributes"]["gen_ai.tool.name"]: point["count"] for point in points}["_OTHER"] == 200


def test_labels_come_from_a_list_and_are_short() -> None:
    """No id is ever a label; a long value is `_OTHER`; absent ones leave no trace; sets are made once."""
    labels = Labels()

    with pytest.raises(KeyError):
        labels.of(("agentlog.task.id", "task-1"))

    assert labels.of(("gen_ai.tool.name", "x" * (MAX_CHARACTERS + 1)), ("error.type", None)) == {"gen_ai.tool.name": "_OTHER"}
    assert labels.of(("gen_ai.tool.name", "Read")) is labels.of(("gen_ai.tool.name", "Read"))
    assert not [name for name in ALLOWED if name.endswith(".id")]


@pytest.mark.parametrize(
    "line",
    [
        {"type": "ai_response", "phase": "end"},
        {"type": "ai_response", "phase": "end", "duration_ms": "long", "details": {"input_tokens": "many", "cost_usd": "much"}},
        {"type": "ai_response", "phase": "end", "duration_ms": -1.0, "details": {"input_tokens": -5, "cost_usd": -1.0}},
        {"type": "task", "phase": "end", "details": {"ai_calls": True}},
        {"type": "tool_result", "phase": "end", "content": None},
        {"type": "step", "phase": "end", "exception": "boom", "outcome": "failed"},
        {"type": "log", "exception": {"traceback": ["x"]}},
        {"type": "attempt", "action": "attempt_failed"},
        {"type": "process"},
        {},
    ],
)
def test_an_odd_line_is_not_measured_and_does_no_harm(line: dict[str, Any]) -> None:
    """What is missing or of another type is left out, never negative, never raised."""
    wire = Wire()

    wire.metrics.on_line(line)

    values = [point.get("value", point.get("sum")) for metric in wire.measured() for point in metric["points"]]
    assert all(value >= 0 for value in values)


def test_every_metric_says_what_it_is() -> None:
    """Names are unique; every metric has a unit and a sentence; histograms have boundaries."""
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert all(metric.unit and metric.description.endswith(".") for metric in METRICS)
    assert all((metric.boundaries is not None) == (metric.kind == "histogram") for metric in METRICS)


_SPAN_IDS = st.sampled_from(["", "0a" * 8, "0b" * 8])
_DETAILS = {
    "agent": st.sampled_from(["brain", "hand"]),
    "model": st.sampled_from(["m", "n"]),
    "input_tokens": st.integers(0, 10**9) | st.just(4),
    "output_tokens": st.integers(0, 300),
    "ai_calls": st.integers(0, 300),
}
_ENDS = st.builds(
    end_line,
    st.sampled_from(["ai_request", "tool_call", "task"]),
    st.fixed_dictionaries({}, optional=_DETAILS),
    trace_id=st.just("ab" * 16),
    span_id=_SPAN_IDS,
    duration_ms=st.floats(0, 1e9) | st.sampled_from([10, 10.0, 20.0, 0.0]),
)
_LINES = st.lists(st.tuples(_ENDS, st.booleans()), max_size=6)


def _points(data: MetricsData | None) -> list[Any]:
    """All points without their times, by metric."""
    found = [] if data is None else decode_request(encode_metrics(data))
    for metric in found:
        for point in metric["points"]:
            for key in [key for key in point if "time" in key]:
                del point[key]
            for exemplar in point.get("exemplars", ()):
                for key in [key for key in exemplar if "time" in key]:
                    del exemplar[key]
        metric["points"].sort(key=lambda point: str(point["attributes"]))
    return sorted(found, key=lambda metric: str(metric["name"]))


@settings(max_examples=25, deadline=None)
@given(st.lists(_LINES, min_size=1, max_size=3))
def test_histograms_that_are_added_up_here_are_those_of_the_sdk(rounds: list[list[Any]]) -> None:
    """Buckets, sums, extremes and exemplars of each series, at each of several collections; in batches as by the worker."""
    reader, own_reader, histograms = InMemoryMetricReader(), InMemoryMetricReader(), Histograms("test")
    theirs = Metrics(OwnMeterProvider(reader, Resource({}), None).get_meter("test"))
    ours = Metrics(OwnMeterProvider(own_reader, Resource({}), histograms).get_meter("test"), own=histograms)
    ours.gather()
    for lines in rounds:
        for line, sampled in lines:
            theirs.on_line(line, sampled=sampled)
            ours.on_line(line, sampled=sampled)
        ours.settle()
        for each in (theirs, ours):
            each.on_delivery("span", "recorded", 1)
        data = own_reader.get_metrics_data()
        found = _points(None if data is None else histograms.added_to(data))
        wanted = _points(reader.get_metrics_data())
        # Of counters, those of a batch are added in two steps, so that exemplars are fewer.
        for metric in (*found, *wanted):
            for point in metric["points"]:
                if "value" in point:
                    point.pop("exemplars", None)
                # The SDK adds up what it added up between two collections.
                total = "value" if "value" in point else "sum"
                point[total] = pytest.approx(point[total])
        assert found == wanted


def test_a_reader_of_others_sees_histograms_too() -> None:
    """From when it joins; what we send has each of them once."""
    reader, joined, histograms = InMemoryMetricReader(), InMemoryMetricReader(), Histograms("test")
    provider = OwnMeterProvider(reader, Resource({}), histograms)
    metrics = Metrics(provider.get_meter("test"), own=histograms)
    metrics.gather()

    for number in range(2):
        metrics.on_line(end_line("ai_request", {"input_tokens": 1}))
        metrics.settle()
        metrics.on_delivery("span", "recorded")
        if not number:
            provider.add_metric_reader(joined)

    name = "gen_ai.client.inference.duration"
    data = reader.get_metrics_data()
    assert data is not None
    ours = [metric for metric in _points(histograms.added_to(data)) if metric["name"] == name]
    others = [metric for metric in _points(joined.get_metrics_data()) if metric["name"] == name]
    assert [[point["count"] for point in metric["points"]] for metric in (*ours, *others)] == [[2], [1]]
