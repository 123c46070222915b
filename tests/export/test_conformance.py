"""What we send agrees with the GenAI conventions, and the checker that says so can say no."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from otel_agentlog.export.semconv.operations import OPERATIONS
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.states import Outcome
from tests.support.conformance.spans import Checker, Violation
from tests.support.conformance.wire import Wire, end_line, failed, start_line

PROFILES = ("latest", "2026-10", "legacy", "both")

# -- lines of every shape ---------------------------------------------------------------------------------------------------

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_WORD = st.text("abcdefgh-_.", min_size=1, max_size=8)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)
_PARTS = st.lists(
    st.one_of(
        st.fixed_dictionaries({"type": st.just("text"), "content": _TEXT | st.text("x", min_size=3000, max_size=3001)}),
        st.fixed_dictionaries({"type": st.just("reasoning"), "content": _TEXT}),
        st.fixed_dictionaries({"type": st.just("tool_call"), "name": _WORD, "id": _WORD, "arguments": _JSON}),
        st.fixed_dictionaries({"type": st.just("tool_call_response"), "id": _WORD, "response": _JSON}),
    ),
    max_size=5,
)
_MESSAGES = st.lists(st.fixed_dictionaries({"role": _WORD, "parts": _PARTS}), max_size=4)
_TOOLS = st.lists(st.fixed_dictionaries({"type": st.just("function"), "name": _WORD, "parameters": _JSON}), max_size=3)

_PARAMETER = st.sampled_from(
    (
        *("temperature", "top_p", "top_k", "max_tokens", "seed", "stop_sequences", "stop", "frequency_penalty", "choice_count"),
        *("n", "presence_penalty", "reasoning_level", "output_type", "encoding_formats", "data_source_id", "response_id"),
        "made_up",
    )
)
_PARAMETERS = st.dictionaries(_PARAMETER, st.integers(0, 9) | st.floats() | _JSON, max_size=6)
_REQUEST = st.fixed_dictionaries(
    {"operation": st.sampled_from(["chat", "text_completion", "transcribe"]) | st.sampled_from([*OPERATIONS])},
    optional={
        "provider": _WORD,
        "model": _WORD,
        "server_address": _WORD,
        "server_port": st.integers(1, 65535),
        "agent": _WORD,
        "conversation_id": _WORD,
        "parameters": _PARAMETERS,
        "stream": st.booleans(),
        "messages": _MESSAGES,
        "system": _PARTS,
        "tools": _TOOLS,
    },
)


@st.composite
def _answers(draw: st.DrawFn) -> dict[str, Any]:
    answer: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "response_model": _WORD,
                "response_id": _WORD,
                "finish_reasons": st.lists(_WORD | st.none(), max_size=2),
                "cost_usd": st.none() | st.floats(0, 100),
                "price": st.fixed_dictionaries({"source": _WORD, "version": _WORD}),
                "time_to_first_chunk_ms": st.floats(0, 1e6),
                "attempts": st.integers(1, 3),
                "output": _PARTS,
            },
        )
    )
    if draw(st.booleans()):
        read, write, reasoning = (draw(st.integers(0, 10_000)) for _ in range(3))
        answer |= {"cache_read_input_tokens": read, "cache_write_input_tokens": write, "reasoning_output_tokens": reasoning}
        answer |= {"input_tokens": read + write + draw(st.integers(0, 99)), "output_tokens": reasoning + draw(st.integers(0, 99))}
    return answer


@st.composite
def _endings(draw: st.DrawFn) -> dict[str, Any]:
    outcome = draw(st.sampled_from([outcome.value for outcome in Outcome]))
    keys: dict[str, Any] = {"outcome": outcome, "duration_ms": draw(st.floats(0, 1e7))}
    if outcome in ("failed", "timed_out") and draw(st.booleans()):
        exception = failed(draw(_WORD), draw(_TEXT), first_seen=draw(st.booleans()))["exception"]
        keys["exception"] = exception
    if draw(st.booleans()):
        keys["reason"] = draw(_WORD)
    return keys


Pair = tuple[Line, Line]


@st.composite
def _operations(draw: st.DrawFn) -> Pair:
    kind, details, answer = draw(
        st.one_of(
            st.tuples(st.just("ai_request"), _REQUEST, _answers()),
            st.tuples(
                st.just("task"),
                st.fixed_dictionaries(
                    {}, optional={"agent": _WORD, "agent_type": _WORD, "model": _WORD, "tags": st.lists(_WORD)}
                ),
                st.fixed_dictionaries({}, optional={"ai_calls": st.integers(0, 9), "tool_runs": st.integers(0, 9)}),
            ),
            st.tuples(st.just("step"), st.fixed_dictionaries({}, optional={"plan": st.booleans(), "agent": _WORD}), st.just({})),
            st.tuples(
                st.just("tool_call"),
                st.fixed_dictionaries(
                    {},
                    optional={
                        "arguments": _JSON,
                        "agent": _WORD,
                        "tool_type": _WORD,
                        "call_id": _WORD,
                        "skill": _WORD | st.fixed_dictionaries({}, optional={"name": _WORD, "resource_name": _WORD}),
                        "command": st.fixed_dictionaries({}, optional={"executable_name": _WORD, "executable_path": _WORD}),
                    },
                ),
                st.fixed_dictionaries({}, optional={"result": _JSON, "exit_code": st.integers(0, 255)}),
            ),
            st.tuples(st.just("webhook"), st.fixed_dictionaries({}, optional={"provider": _WORD}), st.just({})),
            st.tuples(st.sampled_from(["queue_push", "queue_pickup"]), st.just({"queue": "tasks"}), st.just({"latency_ms": 1.5})),
            st.tuples(st.just("segment"), st.just({}), st.just({})),
        )
    )
    if details.get("operation") == "fetch_response":
        # The one id that the convention requires and only the caller knows.
        details = {**details, "parameters": {"response_id": draw(_WORD)}}
    keys = {"message": draw(_WORD), "content": draw(_WORD), "attributes": {"user.key": draw(_TEXT), "http.route": "/x"}}
    return start_line(kind, details, **keys), end_line(kind, {**details, **answer}, **keys, **draw(_endings()))


@given(
    pairs=st.lists(_operations(), min_size=1, max_size=3),
    profile=st.sampled_from(PROFILES),
    policy=st.sampled_from(["off", "preview", "full"]),
    intervals=st.lists(st.floats(0, 1e4), max_size=3),
)
@settings(
    max_examples=150,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_whatever_happened_is_told_by_the_conventions(
    pairs: list[Pair], profile: Any, policy: Any, intervals: list[float]
) -> None:
    """Spans, metrics and events of any operations, through the real SDK and encoder, break no rule in any profile or policy."""
    wire = Wire(profile, policy, frozenset({"span", "event"}))

    for start, end in pairs:
        wire.operation(start, end, intervals)

    spans = wire.spans()
    assert Checker(profile).check(spans, wire.measured(), wire.records()) == []
    assert len(spans) == len(pairs)
    assert all(span["attributes"]["agentlog.task.id"] == "task-abc123" for span in spans)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_metric_of_the_table_that_applies_is_measured(profile: Any) -> None:
    """One of each operation feeds every metric that a client can feed, under the names of the profile."""
    wire = Wire(profile)
    chat = {"provider": "openai", "model": "gpt-5", "stream": True, "parameters": {"temperature": 0, "top_p": 1, "max_tokens": 9}}
    usage = {"input_tokens": 10, "output_tokens": 5, "cost_usd": 0.1, "time_to_first_chunk_ms": 9.0}

    wire.operation(start_line("ai_request", chat), end_line("ai_request", {**chat, **usage}), [1.0])
    wire.operation(
        start_line("ai_request", {"operation": "embeddings"}),
        end_line("ai_request", {"operation": "embeddings", "input_tokens": 3}),
    )
    wire.operation(start_line("tool_call", content="Read"), end_line("tool_call", content="Read", **failed()))
    wire.operation(start_line("task", {"agent": "brain"}), end_line("task", {"agent": "brain", "ai_calls": 1, "tool_runs": 1}))
    wire.operation(start_line("task", {"agent_type": "review"}), end_line("task", {"agent_type": "review"}))
    wire.line({**start_line("attempt", {"number": 1}), "phase": None, "action": "attempt_failed"})
    wire.metrics.on_delivery("span", "recorded", 3)
    wire.metrics.on_delivery("span", "delivered", 2)
    wire.metrics.on_delivery("log", "dropped", 1, "queue_full")

    measured = {metric["name"] for metric in wire.measured()}
    latest = {
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.client.inference.time_per_output_chunk",
        "gen_ai.client.inference.usage.input_tokens",
        "gen_ai.client.inference.usage.output_tokens",
        "gen_ai.client.inference.usage.cache_read.input_tokens",
        "gen_ai.client.inference.usage.cache_write.input_tokens",
        "gen_ai.client.inference.usage.reasoning.output_tokens",
        "gen_ai.client.inference.operation.input_tokens",
        "gen_ai.client.inference.operation.output_tokens",
    }
    legacy = {
        "gen_ai.client.token.usage",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.operation.time_per_output_chunk",
    }
    newest = {"gen_ai.client.embeddings.duration", "gen_ai.client.embeddings.operation.input_tokens"}
    before = {"gen_ai.client.operation.duration", "gen_ai.invoke_workflow.duration"}
    always = {
        "gen_ai.invoke_agent.duration",
        "gen_ai.invoke_agent.inference_calls",
        "gen_ai.invoke_agent.tool_calls",
        "gen_ai.execute_tool.duration",
        "agentlog.task.duration",
        "agentlog.tasks.active",
        "agentlog.tasks",
        "agentlog.cost",
        "agentlog.cost.unknown",
        "agentlog.errors",
        "agentlog.retries",
        "agentlog.sdk.items.recorded",
        "agentlog.sdk.items.delivered",
        "agentlog.sdk.items.dropped",
    }
    expected = {
        "latest": always | latest | newest,
        "2026-10": always | latest | before,
        "legacy": always | legacy | before,
        "both": always | latest | newest | legacy | before,
    }[profile]
    assert measured == expected
    assert Checker(profile).check(wire.spans(), wire.measured(), wire.records()) == []


# -- the checker can say no -------------------------------------------------------------------------------------------------


def _span(**changes: Any) -> dict[str, Any]:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5",
        **changes.pop("attributes", {}),
    }
    span = {"name": "chat gpt-5", "kind": "CLIENT", "status": {"code": "UNSET", "description": ""}, **changes}
    return {**span, "attributes": {key: value for key, value in attributes.items() if value is not None}}


def _agent(**attributes: Any) -> dict[str, Any]:
    own = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "brain", **attributes}
    return {"name": "invoke_agent brain", "kind": "INTERNAL", "status": {"code": "UNSET"}, "attributes": own}


def _tool(name: str, **attributes: Any) -> dict[str, Any]:
    own = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "Bash", **attributes}
    return {"name": name, "kind": "INTERNAL", "status": {"code": "UNSET"}, "attributes": own}


_EXECUTABLE = {"process.executable.name": "git"}

_WRONG_SPANS: list[tuple[str, dict[str, Any]]] = [
    ("missing", _span(attributes={"gen_ai.provider.name": None})),
    ("type", _span(attributes={"gen_ai.request.temperature": 1})),
    ("type", _span(attributes={"gen_ai.request.max_tokens": 1.0})),
    ("type", _span(attributes={"gen_ai.request.seed": True})),
    ("type", _span(attributes={"gen_ai.response.finish_reasons": "stop"})),
    ("type", _span(attributes={"server.address": "a", "server.port": "443"})),
    ("unknown_attribute", _span(attributes={"gen_ai.step.name": "plan"})),
    ("unknown_attribute", _span(attributes={"gen_ai.system": "openai"})),
    ("not_on_span", _span(attributes={"gen_ai.tool.name": "Read"})),
    ("not_on_span", _agent(**{"gen_ai.provider.name": "openai"})),
    ("not_on_span", _agent(**{"gen_ai.usage.cache_read.input_tokens": 1})),
    ("not_on_span", _agent(**{"server.address": "a"})),
    ("kind", _span(kind="SERVER")),
    ("kind", {**_tool("execute_tool Bash"), "kind": "PRODUCER"}),
    ("name", _span(name="chat")),
    ("name", _span(name="gpt-5 chat")),
    ("name", {**_agent(), "name": "invoke_agent brain 42"}),
    ("name", _tool("execute_tool Bash", **_EXECUTABLE)),
    ("status", _span(status={"code": "OK"})),
    ("error_type", _span(status={"code": "ERROR"})),
    ("error_type", _span(attributes={"error.type": "ValueError"})),
    ("condition", _span(attributes={"server.address": "a"})),
    ("condition", _span(attributes={"gen_ai.request.stream": False})),
    ("condition", _span(attributes={"gen_ai.request.choice.count": 1})),
    ("condition", _span(attributes={"gen_ai.response.time_to_first_chunk": 0.1})),
    ("condition", _span(attributes={"gen_ai.usage.input_tokens": 1, "gen_ai.usage.cache_read.input_tokens": 2})),
    ("content", _span(attributes={"gen_ai.input.messages": "hello"})),
    ("content", _span(attributes={"gen_ai.input.messages": '{"role":"user"}'})),
    ("content", _span(attributes={"gen_ai.output.messages": '[{"role":"assistant"}]'})),
    ("content", _span(attributes={"gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text"}]}]'})),
    ("content", _span(attributes={"gen_ai.system_instructions": '[{"content":"x"}]'})),
    ("content", _span(attributes={"gen_ai.tool.definitions": '[{"type":"function"}]'})),
    ("content", _tool("execute_tool Bash", **{"gen_ai.tool.call.arguments": "[1]"})),
]


@pytest.mark.parametrize(("rule", "span"), _WRONG_SPANS)
def test_the_checker_finds_what_is_wrong_with_a_span(rule: str, span: dict[str, Any]) -> None:
    """Each kind of mistake on a span is found, and nothing else is."""
    assert [violation.rule for violation in Checker().span(span)] == [rule]


@pytest.mark.parametrize(
    "span",
    [
        _span(),
        _agent(),
        _tool("execute_tool Bash"),
        _tool("execute_tool Bash git", **_EXECUTABLE),
        _tool(
            "execute_tool Bash pdf fill.py",
            **_EXECUTABLE,
            **{"gen_ai.skill.name": "pdf", "gen_ai.skill.resource.name": "fill.py"},
        ),
        _tool("execute_tool Bash pdf", **{"gen_ai.skill.name": "pdf"}),
        _span(attributes={"gen_ai.prompt.variable.name": "x", "gen_ai.prompt.name": "p"}),
        {"name": "GET", "kind": "CLIENT", "status": {"code": "OK"}, "attributes": {"http.method": "GET"}},
    ],
)
def test_the_checker_accepts_what_is_right(span: dict[str, Any]) -> None:
    """Conforming spans, and spans that are none of our business, give no violation."""
    assert Checker().span(span) == []


def _metric(name: str = "gen_ai.client.inference.duration", **changes: Any) -> dict[str, Any]:
    labels = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", **changes.pop("labels", {})}
    bounds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
    point = {"attributes": {key: value for key, value in labels.items() if value is not None}, "boundaries": bounds}
    point.update(changes.pop("point", {}))
    return {"name": name, "instrument": "histogram", "unit": "s", "points": [point], **changes}


_COUNTER = {"instrument": "counter", "unit": "{token}"}
_NO_LABELS = {"gen_ai.operation.name": None, "gen_ai.provider.name": None}

_WRONG_METRICS: list[tuple[str, dict[str, Any]]] = [
    ("unit", _metric(unit="ms")),
    ("instrument", _metric(instrument="gauge")),
    ("instrument", _metric("agentlog.tasks.active", unit="{task}", instrument="counter", labels=_NO_LABELS)),
    ("boundaries", _metric(point={"boundaries": [0.1, 1.0]})),
    ("boundaries", _metric(point={"boundaries": None})),
    ("missing", _metric(labels={"gen_ai.provider.name": None})),
    ("missing", _metric("gen_ai.client.inference.usage.input_tokens", **_COUNTER)),
    ("label", _metric("agentlog.cost", unit="{USD}", instrument="counter", labels={"agentlog.task.id": "task-1"})),
    ("type", _metric(labels={"server.address": "a", "server.port": "443"})),
    ("condition", _metric(labels={"server.address": "a"})),
    ("condition", _metric("gen_ai.client.operation.duration")),
    ("unknown_metric", _metric("gen_ai.client.token.usage")),
    ("unknown_metric", _metric("agentlog.made.up")),
]


@pytest.mark.parametrize(("rule", "metric"), _WRONG_METRICS)
def test_the_checker_finds_what_is_wrong_with_a_metric(rule: str, metric: dict[str, Any]) -> None:
    """Each kind of mistake on a metric is found, and nothing else is."""
    assert [violation.rule for violation in Checker().metric(metric)] == [rule]


def test_exponential_histograms_have_no_boundaries_to_check() -> None:
    """Users may choose the aggregation by environment; that is no violation."""
    assert Checker().metric(_metric(point={"boundaries": None, "scale": 3})) == []


def test_the_checker_finds_a_failed_call_in_a_token_histogram() -> None:
    """Token histograms are for calls that succeeded."""
    bounds = [4.0**power for power in range(14)]
    metric = _metric(
        "gen_ai.client.inference.operation.input_tokens",
        unit="{token}",
        labels={"error.type": "E"},
        point={"boundaries": bounds},
    )

    assert [violation.rule for violation in Checker().metric(metric)] == ["condition"]


def _event(name: str, **changes: Any) -> dict[str, Any]:
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", **changes.pop("attributes", {})}
    record = {"event_name": name, "severity_number": 5, "body": None, **changes}
    return {**record, "attributes": {key: value for key, value in attributes.items() if value is not None}}


_DETAILS = "gen_ai.client.inference.operation.details"
_EXCEPTION = "gen_ai.client.operation.exception"

_WRONG_EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("severity", _event(_DETAILS, severity_number=9)),
    ("severity", _event(_EXCEPTION, severity_number=17, attributes={"exception.type": "E"})),
    ("missing", _event(_EXCEPTION, severity_number=13)),
    ("missing", _event(_DETAILS, attributes={"gen_ai.provider.name": None})),
    ("body", _event(_DETAILS, body="text")),
    ("content", _event(_DETAILS, attributes={"gen_ai.input.messages": "[]"})),
    ("unknown_event", _event("gen_ai.made.up")),
    ("unknown_attribute", _event("", attributes={"gen_ai.made.up": 1})),
    ("type", _event("", attributes={"exception.type": 1})),
]


@pytest.mark.parametrize(("rule", "record"), _WRONG_EVENTS)
def test_the_checker_finds_what_is_wrong_with_an_event(rule: str, record: dict[str, Any]) -> None:
    """Each kind of mistake on a log record is found, and nothing else is."""
    assert [violation.rule for violation in Checker().record(record)] == [rule]


@pytest.mark.parametrize("check", [Checker("legacy").span, Checker("both").span])
def test_names_of_the_past_are_for_the_legacy_profiles(check: Callable[[dict[str, Any]], list[Violation]]) -> None:
    """What `latest` refuses, the other profiles allow."""
    assert check(_span(attributes={"gen_ai.system": "openai", "gen_ai.usage.cache_creation.input_tokens": 1})) == []


def test_a_violation_says_where_and_what() -> None:
    """A violation reads as a sentence for whoever has to mend it."""
    found = Checker().check([_span(name="chat")], [_metric(unit="ms")], [_event("gen_ai.made.up")])

    assert [str(violation) for violation in found] == [
        "span 'chat': expected 'chat gpt-5' [name]",
        "metric gen_ai.client.inference.duration: expected 's', found 'ms' [unit]",
        "event gen_ai.made.up: no such event [unknown_event]",
    ]
