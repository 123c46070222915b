"""Spans of other libraries: what they say of errors, arguments, results and messages, whatever they call it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace import StatusCode

import otel_agentlog as agentlog
from otel_agentlog.query.errors import find_errors
from otel_agentlog.record.foreign_spans import reading_of
from otel_agentlog.record.providers.span_content import call_content, tool_content
from otel_agentlog.store.folder.reader import find_task
from otel_agentlog.store.validation.validate import validate

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "lookup"}


def _ends(root: Path) -> dict[str, dict[str, Any]]:
    task = find_task(root, "t")
    assert validate(task.folder).problems == []
    return {line["message"]: line for line in task.events() if line.get("phase") == "end"}


def test_an_error_of_a_foreign_span_is_found_by_its_id(tasks_root: Path) -> None:
    """With type, message, category, advice and traceback; through foreign spans and ours it is one error."""
    tracer = trace.get_tracer("lib")
    with agentlog.task("t", task_id="t"):
        with pytest.raises(ValueError, match="no such"), agentlog.step("s"), tracer.start_as_current_span("outer"):
            with tracer.start_as_current_span("chat gpt-4o", attributes=CHAT):
                raise ValueError("no such thing")
        with pytest.raises(ConnectionResetError), tracer.start_as_current_span("execute_tool lookup", attributes=TOOL):
            raise ConnectionResetError(104, "reset by peer")
    lines = _ends(tasks_root)
    exceptions = [lines[name]["exception"] for name in ("chat gpt-4o", "outer", "s")]
    assert {each["error_id"] for each in exceptions} == {exceptions[0]["error_id"]}
    assert (exceptions[0]["type"], exceptions[0]["message"]) == ("ValueError", "no such thing")
    assert "raise ValueError" in "\n".join(exceptions[0]["traceback"])
    assert [each.get("traceback") for each in exceptions[1:]] == [None, None]
    assert {each["category"] for each in exceptions} == {"VALIDATION"}
    errors = find_errors(tasks_root, ())
    assert sorted((each.exception["type"], each.exception["category"]) for each in errors) == [
        ("ConnectionResetError", "DEPENDENCY"),
        ("ValueError", "VALIDATION"),
    ]


def test_two_errors_with_the_same_words_are_two(tasks_root: Path) -> None:
    """A second call that fails like the first."""
    tracer = trace.get_tracer("lib")
    with agentlog.task("t", task_id="t"), tracer.start_as_current_span("around"):
        for _ in range(2):
            with pytest.raises(TimeoutError), tracer.start_as_current_span("one"):
                raise TimeoutError("too slow")
    assert len(find_errors(tasks_root, ())) == 2


def test_an_error_that_is_only_a_status_is_one(tasks_root: Path) -> None:
    """Of many languages' libraries there is no exception event; and of some not even a description."""
    tracer = trace.get_tracer("lib")
    with agentlog.task("t", task_id="t"):
        for name, attributes, description in (
            ("one", {"error.type": "openai.RateLimitError"}, "slow down"),
            ("two", {}, None),
        ):
            span = tracer.start_span(name, attributes=attributes)
            span.set_status(StatusCode.ERROR, description)
            span.end()
    lines = _ends(tasks_root)
    assert (lines["one"]["exception"]["type"], lines["one"]["exception"]["message"]) == ("openai.RateLimitError", "slow down")
    assert lines["one"]["exception"]["category"] == "RESOURCE"
    assert lines["two"]["exception"]["type"] == "error"


SAID = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
ANSWER = [{"type": "text", "content": "hello"}]
FAMILIES: dict[str, dict[str, Any]] = {
    "conventions": {
        "gen_ai.input.messages": json.dumps(SAID),
        "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": ANSWER, "finish_reason": "stop"}]),
    },
    "traceloop": {
        "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": "hi",
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": "hello",
    },
    "openinference": {
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": "hi",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.contents.0.message_content.text": "hello",
        "input.value": '{"whole": "request"}',
    },
    "openinference, request": {
        "input.value": json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
        "output.value": "hello",
    },
    "langfuse": {
        "langfuse.observation.input": json.dumps([{"role": "user", "content": "hi"}]),
        "langfuse.observation.output": "hello",
    },
}


@pytest.mark.parametrize("family", FAMILIES)
def test_messages_and_answers(family: str) -> None:
    """The same, in whatever form."""
    assert call_content(FAMILIES[family]) == {"messages": SAID, "output": ANSWER}


def test_tool_calls_in_numbered_messages() -> None:
    """Of both families that number them."""
    for names in (
        ("gen_ai.completion.0.tool_calls.0.name", "gen_ai.completion.0.tool_calls.0.arguments"),
        (
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments",
        ),
    ):
        (part,) = call_content(dict(zip(names, ("lookup", '{"q": 1}'), strict=True)))["output"]
        assert (part["type"], part["name"], part["arguments"]) == ("tool_call", "lookup", {"q": 1})


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.tool.call.arguments": '{"q": 1}', "gen_ai.tool.call.result": '["r"]'},
        {"input.value": '{"q": 1}', "output.value": '["r"]'},
        {"traceloop.entity.input": '{"q": 1}', "traceloop.entity.output": '["r"]'},
        {"langfuse.observation.input": '{"q": 1}', "langfuse.observation.output": '["r"]'},
    ],
)
def test_arguments_and_results(attributes: dict[str, str]) -> None:
    """JSON is read; what is none stays a text."""
    assert tool_content(attributes) == {"arguments": {"q": 1}, "result": ["r"]}
    assert tool_content({"input.value": "{no json", "output.value": ""}) == {"arguments": "{no json"}


def test_a_foreign_tool_run_is_shown_with_what_it_got_and_gave(tasks_root: Path) -> None:
    """Each of them once: at the start what is known there, at the end what came later; a secret in neither."""
    secret = "sk-" + "ant-api03-" + "a1B2c3D4" * 12
    tracer = trace.get_tracer("lib")
    with agentlog.task("t", task_id="t"):
        given = {**TOOL, "gen_ai.tool.call.arguments": json.dumps({"q": secret})}
        with tracer.start_as_current_span("execute_tool lookup", attributes=given) as span:
            span.set_attribute("gen_ai.tool.call.result", '{"found": 3}')
        with tracer.start_as_current_span("chat", attributes={**CHAT, **FAMILIES["traceloop"]}) as span:
            span.set_attribute("llm.finish_reason", "stop")
    task = find_task(tasks_root, "t")
    assert secret not in "".join(path.read_text() for path in task.folder.iterdir())
    start, end = (line["details"] for line in task.events() if line["message"] == "execute_tool lookup")
    assert set(start) == {"arguments"}
    assert set(end) == {"result"}
    assert end["result"] == {"found": 3}
    asked, answered = (line["details"] for line in task.events() if line["message"] == "chat")
    assert asked["messages"] == SAID
    assert asked["output"] == ANSWER
    assert answered["finish_reasons"] == ["stop"]


READINGS = [
    ({"openinference.span.kind": "EMBEDDING", "embedding.model_name": "e3"}, "ai_response", "embeddings", "e3", (None, None)),
    (
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "gpt-4o",
            "langfuse.observation.usage_details": '{"input": 10, "output": 5, "total": 15}',
        },
        "ai_response",
        "chat",
        "gpt-4o",
        (10, 5),
    ),
    ({"langfuse.observation.type": "tool"}, "tool_result", None, None, (None, None)),
    (
        {"gen_ai.request.type": "chat", "gen_ai.request.model": "m", "gen_ai.usage.prompt_tokens": 3},
        "ai_response",
        "chat",
        "m",
        (3, None),
    ),
    ({"mcp.method.name": "tools/call"}, "tool_result", None, None, (None, None)),
    ({"gen_ai.operation.name": "acompletion", "gen_ai.request.model": "m"}, "ai_response", "chat", "m", (None, None)),
    ({"gen_ai.operation.name": "aembedding"}, "ai_response", "embeddings", None, (None, None)),
    (
        {"openinference.span.kind": "LLM", "llm.invocation_parameters": '{"model": "m", "n": 1}'},
        "ai_response",
        "chat",
        "m",
        (None, None),
    ),
    ({"openinference.span.kind": "LLM", "input.value": '{"model": {"no": "name"}}'}, "ai_response", "chat", None, (None, None)),
]


@pytest.mark.parametrize(("attributes", "kind", "operation", "model", "tokens"), READINGS)
def test_kinds_models_and_tokens_of_further_libraries(
    attributes: dict[str, Any],
    kind: str,
    operation: str | None,
    model: str | None,
    tokens: tuple[int | None, int | None],
    tasks_root: Path,
) -> None:
    """Embeddings and refused requests of OpenInference, Langfuse, AgentOps, MCP, LiteLLM's names of operations."""
    tracer = trace.get_tracer("lib")
    with agentlog.task("t", task_id="t"), tracer.start_as_current_span("MCP send tools/call get_weather") as span:
        span.set_attributes(attributes)
    line = _ends(tasks_root)["MCP send tools/call get_weather"]
    assert line["type"] == kind
    details = line.get("details", {})
    assert (details.get("operation"), details.get("model")) == (operation, model)
    assert (details.get("input_tokens"), details.get("output_tokens")) == tokens
    if kind == "tool_result":
        assert line["content"] == "get_weather"


@pytest.mark.parametrize(
    ("name", "counts", "is_call"),
    [
        ("OpenAI._prepare_chat_with_tools", {}, False),
        ("OpenAI._chat", {"llm.token_count.prompt": 3}, True),
        ("LM.__call__", {}, True),
    ],
)
def test_a_private_method_that_asked_for_nothing_is_no_call(
    name: str, counts: dict[str, int], is_call: bool, tasks_root: Path
) -> None:
    """OpenInference marks every method of LlamaIndex's models as a call."""
    with agentlog.task("t", task_id="t"), trace.get_tracer("lib").start_as_current_span(name) as span:
        span.set_attributes({"openinference.span.kind": "LLM", "llm.model_name": "m", **counts})
    assert (_ends(tasks_root)[name]["type"] == "ai_response") is is_call
    assert (find_task(tasks_root, "t").final_result() or {})["metrics"]["ai_calls"] == int(is_call)


NAMES = st.sampled_from(
    [
        *(name for family in FAMILIES.values() for name in family),
        *("gen_ai.prompt.x.role", "gen_ai.prompt.99999.role", "llm.input_messages.0.message.tool_calls.0.tool_call.id"),
        *("langfuse.observation.usage_details", "gen_ai.response.finish_reasons", "llm.finish_reason", "output.value"),
        *("llm.invocation_parameters", "input.value", "gen_ai.operation.name", "openinference.span.kind"),
    ]
)
VALUES = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["[", "{", '{"a":', "[1]", '{"messages": 3}', "[[]]", "null", '"x"', '{"input": "many"}', "[{}]", "\ud800"]),
    st.integers(),
    st.booleans(),
    st.floats(),
    st.lists(st.text(max_size=3), max_size=3).map(tuple),
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_whatever_stands_there_is_read_or_left(attributes: dict[str, Any]) -> None:
    """Attributes are of others; nothing raises."""
    call_content(attributes)
    tool_content(attributes)
    reading_of(attributes)


def test_what_the_start_could_not_tell_is_told_by_the_end(tasks_root: Path) -> None:
    """A span that says only at its end that it is an AI call was given its messages at its start."""
    attributes = {"input.value": "hi", "llm.model_name": "gpt-4o"}
    with agentlog.task("t", task_id="t"), trace.get_tracer("lib").start_as_current_span("late", attributes=attributes) as span:
        span.set_attributes({"openinference.span.kind": "LLM", "output.value": "hello"})
    start, end = (line for line in find_task(tasks_root, "t").events() if line["message"] == "late")
    assert (start["type"], end["type"]) == ("span", "ai_response")
    assert (end["details"]["messages"], end["details"]["output"]) == (SAID, ANSWER)


def test_lists_that_are_json_texts_are_read() -> None:
    """As logfire has them; what is no JSON stays what it is."""
    read = [
        reading_of({"gen_ai.response.finish_reasons": given}).finish_reasons for given in ('["stop","length"]', "[stop", ["stop"])
    ]
    assert read == [("stop", "length"), ("[stop",), ("stop",)]


def test_the_cost_that_logfire_tells_is_taken(tasks_root: Path) -> None:
    """``operation.cost``; of a model without a price, too."""
    told = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "nobody-has-it", "operation.cost": 0.25}
    with agentlog.task("t", task_id="t"), trace.get_tracer("logfire").start_as_current_span("chat", attributes=told):
        pass
    assert _ends(tasks_root)["chat"]["details"]["cost_usd"] == 0.25


def test_a_run_is_named_so(tasks_root: Path) -> None:
    """An agent's span that tells tokens, and in which nobody saw a request."""
    told = {"openinference.span.kind": "AGENT", "llm.model_name": "gpt-4o", "llm.token_count.prompt": 7}
    with agentlog.task("t", task_id="t"), trace.get_tracer("lib").start_as_current_span("run", attributes=told):
        pass
    line = _ends(tasks_root)["run"]
    assert (line["type"], line["details"]["operation"]) == ("ai_response", "invoke_agent")
