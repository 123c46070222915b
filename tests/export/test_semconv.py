"""Lines become spans: names, kinds, attributes, status, content."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_agentlog.export.semconv.content import PREVIEW_BYTES, answer, encode, preview, preview_text
from otel_agentlog.export.semconv.conventions import USER_ATTRIBUTES_AT_END, USER_ATTRIBUTES_AT_START, Conventions
from otel_agentlog.export.semconv.names import Profile
from tests.support.conformance.content import content_problem
from tests.support.conformance.wire import Wire, end_line, failed, start_line

CONVENTIONS = Conventions()
CHAT = {"provider": "anthropic", "model": "claude-opus-4-5"}
_REMOTE = {"agent": "caller", "parameters": {"agent_name": "far", "agent_id": "asst_1", "agent_version": "2"}}


# -- names and kinds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "name", "kind"),
    [
        (start_line("task", {"agent": "brain"}, message="Review PR 42"), "invoke_agent brain", "INTERNAL"),
        (start_line("task", {"workflow": "review", "agent_type": "x"}, message="PR 42"), "invoke_workflow review", "INTERNAL"),
        (start_line("task", {"agent_type": "reviewer"}), "invoke_workflow reviewer", "INTERNAL"),
        (start_line("task", message="Review PR 42"), "invoke_workflow", "INTERNAL"),
        (start_line("step", {"index": 1}, message="read files"), "read files", "INTERNAL"),
        (start_line("step", step_id="read-2"), "read-2", "INTERNAL"),
        (start_line("step", {"plan": True, "agent": "brain"}, message="think"), "plan brain", "INTERNAL"),
        (start_line("step", {"plan": True}, message="think"), "plan", "INTERNAL"),
        (start_line("ai_request", CHAT), "chat claude-opus-4-5", "CLIENT"),
        (start_line("ai_request", {"provider": "openai"}), "chat", "CLIENT"),
        (start_line("ai_request", {"operation": "embeddings", "model": "e5"}), "embeddings e5", "CLIENT"),
        (start_line("ai_request", {"operation": "retrieval", "parameters": {"data_source_id": "kb"}}), "retrieval", "INTERNAL"),
        (start_line("ai_request", {"operation": "search_memory", "model": "m"}), "search_memory", "CLIENT"),
        (start_line("ai_request", {**_REMOTE, "operation": "invoke_agent"}), "invoke_agent far", "CLIENT"),
        (start_line("ai_request", {**_REMOTE, "operation": "create_agent"}), "create_agent far", "CLIENT"),
        (start_line("ai_request", {"operation": "invoke_agent", "agent": "caller"}), "invoke_agent", "CLIENT"),
        (start_line("tool_call", content="Read"), "execute_tool Read", "INTERNAL"),
        (start_line("tool_call", {"command": {"executable_name": "git"}}, content="Bash"), "execute_tool Bash git", "INTERNAL"),
        (start_line("tool_call", {"command": {"executable_name": "echo"}}, content="echo"), "execute_tool echo", "INTERNAL"),
        (start_line("tool_call", {"skill": "pdf"}, content="Skill"), "execute_tool Skill pdf", "INTERNAL"),
        (
            start_line("tool_call", {"skill": {"name": "pdf", "resource_name": "fill.py"}}, content="Bash"),
            "execute_tool Bash pdf fill.py",
            "INTERNAL",
        ),
        (start_line("webhook", {"provider": "github"}), "webhook github", "SERVER"),
        (start_line("queue_push", {"queue": "tasks"}), "push tasks", "PRODUCER"),
        (start_line("queue_pickup", {"queue": "tasks"}), "pickup tasks", "CONSUMER"),
        (start_line("segment"), "segment", "INTERNAL"),
        ({"type": "span", "name": "GET", "kind": "CLIENT"}, "GET", "CLIENT"),
    ],
)
def test_a_span_is_named_after_its_kind_of_work(line: dict[str, Any], name: str, kind: str) -> None:
    """Names are of low cardinality: never a task's title or an id."""
    assert CONVENTIONS.started(line)[:2] == (name, kind)


# -- attributes -------------------------------------------------------------------------------------------------------------


def test_a_request_tells_everything_that_was_asked() -> None:
    """Parameters arrive under the convention's names and types; ids stand last."""
    line = start_line(
        "ai_request",
        {
            **CHAT,
            "conversation_id": "c-1",
            "server_address": "api.anthropic.com",
            "stream": True,
            "agent": "brain",
            "parameters": {
                "temperature": 0,
                "top_p": 1,
                "top_k": 40,
                "max_tokens": 100,
                "seed": 7,
                "stop": "END",
                "n": 1,
                "frequency_penalty": 0.5,
                "presence_penalty": 0,
                "reasoning_effort": "high",
                "output_type": "json",
                "response_format": {"type": "json_object"},
            },
        },
        step_id="plan",
        session_id="s",
        instance_id="i",
        correlation_id="k",
    )

    attributes = CONVENTIONS.started(line)[2]

    assert list(attributes.items()) == [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "anthropic"),
        ("gen_ai.request.model", "claude-opus-4-5"),
        ("gen_ai.conversation.id", "c-1"),
        ("server.address", "api.anthropic.com"),
        ("server.port", 443),
        ("gen_ai.request.temperature", 0.0),
        ("gen_ai.request.top_p", 1.0),
        ("gen_ai.request.top_k", 40),
        ("gen_ai.request.max_tokens", 100),
        ("gen_ai.request.seed", 7),
        ("gen_ai.request.stop_sequences", ["END"]),
        ("gen_ai.request.frequency_penalty", 0.5),
        ("gen_ai.request.presence_penalty", 0.0),
        ("gen_ai.request.reasoning.level", "high"),
        ("gen_ai.output.type", "json"),
        ("gen_ai.request.stream", True),
        ("agentlog.agent.name", "brain"),
        ("agentlog.task.id", "task-abc123"),
        ("agentlog.step.id", "plan"),
        ("agentlog.correlation_id", "k"),
        ("session.id", "s"),
        ("agentlog.instance.id", "i"),
        ("agentlog.component", "agent"),
    ]
    assert all(type(attributes[key]) is float for key in ("gen_ai.request.temperature", "gen_ai.request.top_p"))


def test_an_answer_tells_what_it_was_and_cost() -> None:
    """Usage, finish reasons, time to first chunk in seconds, and cost in our own namespace."""
    line = end_line(
        "ai_request",
        {
            **CHAT,
            "response_model": "claude-opus-4-5-1",
            "response_id": "msg_1",
            "finish_reasons": ["tool_use", None],
            "input_tokens": 120,
            "output_tokens": 50,
            "cache_read_input_tokens": 100,
            "cache_write_input_tokens": 10,
            "reasoning_output_tokens": 20,
            "time_to_first_chunk_ms": 250,
            "cost_usd": 0.02,
            "price": {"source": "genai-prices", "version": "0.0.30"},
            "attempts": 2,
        },
    )

    assert CONVENTIONS.end_attributes(line) == {
        "gen_ai.response.finish_reasons": ["tool_use", "error"],
        "gen_ai.response.model": "claude-opus-4-5-1",
        "gen_ai.response.id": "msg_1",
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.request.stream": True,
        "agentlog.attempts": 2,
        "gen_ai.usage.input_tokens": 120,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.cache_read.input_tokens": 100,
        "gen_ai.usage.cache_write.input_tokens": 10,
        "gen_ai.usage.reasoning.output_tokens": 20,
        "agentlog.usage.cost.amount": 0.02,
        "agentlog.usage.cost.currency": "USD",
        "agentlog.usage.cost.source": "local",
        "agentlog.usage.cost.price_source": "genai-prices",
        "agentlog.usage.cost.price_version": "0.0.30",
        "agentlog.outcome": "completed",
    }


def test_an_unknown_price_is_told_by_silence() -> None:
    """A cost of null is no attribute, never zero."""
    attributes = CONVENTIONS.end_attributes(end_line("ai_request", {**CHAT, "cost_usd": None}))

    assert not [key for key in attributes if "cost" in key]


def test_an_answer_that_was_cut_off_ended_in_error() -> None:
    """A stream that broke has the finish reason `error`; a call that got no answer has none."""
    broken = end_line("ai_request", {"time_to_first_chunk_ms": 1.0}, outcome="cancelled")
    refused = end_line("ai_request", {}, **failed())

    assert CONVENTIONS.end_attributes(broken)["gen_ai.response.finish_reasons"] == ["error"]
    assert "gen_ai.response.finish_reasons" not in CONVENTIONS.end_attributes(refused)


def test_a_task_of_an_agent_is_an_invocation_and_any_other_is_a_workflow() -> None:
    """The title is an attribute; what the convention does not want on internal spans stands in our namespace."""
    details = {
        "agent": "brain",
        "agent_type": "reviewer",
        "agent_version": "2",
        "model": "m",
        "source": "webhook",
        "tags": ["a", "b"],
    }
    agent = start_line("task", details, message="Review PR 42")
    workflow = start_line("task", {"workflow": "review"}, message="Review PR 42")

    assert CONVENTIONS.started(agent)[2] == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "brain",
        "gen_ai.request.model": "m",
        "agentlog.task.source": "webhook",
        "agentlog.task.tags": ["a", "b"],
        "agentlog.agent.type": "reviewer",
        "agentlog.agent.version": "2",
        "agentlog.task.name": "Review PR 42",
        "agentlog.task.id": "task-abc123",
        "agentlog.component": "agent",
    }
    assert CONVENTIONS.started(workflow)[2] == {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.agent.name": "review",
        "agentlog.task.workflow": "review",
        "agentlog.task.name": "Review PR 42",
        "agentlog.task.id": "task-abc123",
        "agentlog.component": "agent",
    }


@pytest.mark.parametrize(
    ("profile", "named"),
    [
        ("latest", {"gen_ai.agent.name": "review"}),
        ("2026-10", {"gen_ai.workflow.name": "review"}),
        ("legacy", {"gen_ai.workflow.name": "review"}),
        ("both", {"gen_ai.agent.name": "review", "gen_ai.workflow.name": "review"}),
    ],
)
def test_the_name_of_a_workflow_is_that_of_an_agent_in_the_newest_release_only(profile: Profile, named: dict[str, str]) -> None:
    """The span's name and operation are the same in each."""
    line = start_line("task", {"workflow": "review", "conversation_id": "c"}, message="PR 42")

    name, kind, attributes = Conventions(profile).started(line)

    assert (name, kind) == ("invoke_workflow review", "INTERNAL")
    of_the_convention = {key: value for key, value in attributes.items() if key.startswith("gen_ai.")}
    assert of_the_convention == {"gen_ai.operation.name": "invoke_workflow", "gen_ai.conversation.id": "c", **named}


@pytest.mark.parametrize("operation", ["create_agent", "invoke_agent"])
def test_the_agent_of_a_call_is_the_one_that_is_created_or_invoked(operation: str) -> None:
    """The agent that calls is told under a name of our own."""
    attributes = CONVENTIONS.started(start_line("ai_request", {**_REMOTE, "operation": operation}))[2]

    assert {key: value for key, value in attributes.items() if "agent." in key} == {
        "gen_ai.agent.name": "far",
        "gen_ai.agent.id": "asst_1",
        "gen_ai.agent.version": "2",
        "agentlog.agent.name": "caller",
    }


def test_totals_of_a_task_have_names_of_our_own() -> None:
    """What the convention recommends on a run of an agent is there as well, and in its newest release on one of a workflow."""
    before = Conventions("2026-10")
    details = {"ai_calls": 2, "tool_runs": 3, "input_tokens": 9, "output_tokens": 5, "cost_usd": 1, "finish_reasons": ["stop"]}
    own = {
        "agentlog.task.ai_calls": 2,
        "agentlog.task.tool_runs": 3,
        "agentlog.task.input_tokens": 9,
        "agentlog.task.output_tokens": 5,
        "agentlog.task.cost_usd": 1.0,
        "agentlog.outcome": "completed",
    }

    of_a_run = {"gen_ai.usage.input_tokens": 9, "gen_ai.usage.output_tokens": 5, "gen_ai.response.finish_reasons": ["stop"]}

    assert before.end_attributes(end_line("task", details)) == own
    for conventions, more in ((CONVENTIONS, {}), (CONVENTIONS, {"agent": "brain"}), (before, {"agent": "brain"})):
        assert conventions.end_attributes(end_line("task", {**details, **more})) == {**of_a_run, **own}


def test_a_command_tells_its_program_and_exit_code() -> None:
    """The command refinement of the tool span; a nonzero exit names the error where no exception does."""
    start = start_line("tool_call", {"command": {"executable_name": "git", "executable_path": "/usr/bin/git"}}, content="Bash")
    end = end_line("tool_call", {"exit_code": 128}, outcome="failed")

    attributes = {**CONVENTIONS.started(start)[2], **CONVENTIONS.end_attributes(end)}

    assert attributes["process.executable.name"] == "git"
    assert attributes["process.executable.path"] == "/usr/bin/git"
    assert attributes["process.exit.code"] == 128
    assert attributes["error.type"] == "nonzero_exit"


def test_a_queue_speaks_the_messaging_convention() -> None:
    """Push is a send, pickup a process; the waiting time is ours."""
    push = CONVENTIONS.started(start_line("queue_push", {"queue": "tasks", "message_id": "7"}))[2]
    pickup = CONVENTIONS.started(start_line("queue_pickup", {"queue": "tasks", "latency_ms": 12}))[2]

    common = {"messaging.system": "_OTHER", "messaging.destination.name": "tasks"}
    ids = {"agentlog.task.id": "task-abc123", "agentlog.component": "agent"}
    send = {"messaging.operation.name": "push", "messaging.operation.type": "send", "messaging.message.id": "7"}
    process = {"messaging.operation.name": "pickup", "messaging.operation.type": "process", "agentlog.queue.latency_ms": 12.0}
    assert push == {**common, **send, **ids}
    assert pickup == {**common, **process, **ids}


@pytest.mark.parametrize(
    ("given_name", "known"),
    [("anthropic", "anthropic"), ("Bedrock", "aws.bedrock"), ("gemini", "gcp.gemini"), ("acme", "acme"), (None, "_OTHER")],
)
def test_a_provider_has_the_conventions_name(given_name: str | None, known: str) -> None:
    """Where the convention has a word it is used, else the caller's own; it is never missing."""
    assert CONVENTIONS.started(start_line("ai_request", {"provider": given_name}))[2]["gen_ai.provider.name"] == known


def test_a_stage_is_an_event_of_scalars() -> None:
    """Stage lines become span events; ids and payloads stay out."""
    line = {
        "timestamp": "t",
        "stage": "command_matching",
        "command": "review",
        "matched": True,
        "payload": {"a": 1},
        "provider": "github",
        "event_type": "issue_comment.created",
        "task_id": "t",
        "event_id": "e",
        "trace_id": "x",
        "span_id": "y",
    }

    assert CONVENTIONS.stage_event(line) == (
        "webhook.command_matching",
        {
            "agentlog.webhook.command": "review",
            "agentlog.webhook.matched": True,
            "agentlog.webhook.provider": "github",
            "agentlog.webhook.event_type": "issue_comment.created",
        },
    )


# -- failure ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "status", "error_type"),
    [
        ({"outcome": "completed"}, ("UNSET", None), None),
        ({"outcome": "cancelled", "reason": "abandoned"}, ("UNSET", None), None),
        ({"outcome": "interrupted", "reason": "process died"}, ("UNSET", None), None),
        (failed(), ("ERROR", "boom"), "ValueError"),
        (failed(first_seen=False), ("ERROR", "boom"), "ValueError"),
        ({"outcome": "failed", "reason": "refused"}, ("ERROR", "refused"), "_OTHER"),
        ({"outcome": "failed", "details": {"error_type": "overloaded"}}, ("ERROR", None), "overloaded"),
        ({"outcome": "timed_out", "reason": "deadline"}, ("ERROR", "deadline"), "timeout"),
    ],
)
def test_only_failures_are_errors(keys: dict[str, Any], status: tuple[str, str | None], error_type: str | None) -> None:
    """`error.type` stands exactly on failed spans; cancelled and interrupted show in the outcome."""
    line = {**end_line("step"), **keys}

    attributes = CONVENTIONS.end_attributes(line)

    assert CONVENTIONS.ended(line)[1:] == status
    assert attributes.get("error.type") == error_type
    assert attributes["agentlog.outcome"] == keys["outcome"]
    assert attributes.get("agentlog.reason") == keys.get("reason")


# -- the user's own attributes ----------------------------------------------------------------------------------------------


def test_a_user_wins_for_core_names_and_loses_for_ours() -> None:
    """`server.address` may be corrected; identity, outcome and content cannot be forged."""
    start = start_line(
        "ai_request",
        {**CHAT, "server_address": "api"},
        attributes={
            "server.address": "proxy",
            "team": "red",
            "nothing": None,
            "gen_ai.request.model": "other",
            "gen_ai.request.seed": 7,
            "gen_ai.input.messages": "leak",
            "agentlog.task.id": "forged",
            "agentlog.step.id": "forged",
            "agentlog.mine": 1,
        },
    )
    end = end_line("ai_request", CHAT, attributes={"error.type": "E", "agentlog.outcome": "failed", "gen_ai.operation.name": "x"})

    assert CONVENTIONS.started(start)[2] == {
        "server.address": "proxy",
        "team": "red",
        "gen_ai.request.seed": 7,
        "agentlog.mine": 1,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-opus-4-5",
        "server.port": 443,
        "agentlog.task.id": "task-abc123",
        "agentlog.component": "agent",
    }
    assert CONVENTIONS.end_attributes(end) == {"agentlog.outcome": "completed"}


def test_no_number_of_attributes_costs_an_id() -> None:
    """The fullest AI call with hundreds of the user's attributes stays below the SDK's limit: nothing is dropped by it."""
    many = {f"user.{number}": number for number in range(300)}
    ones = ("temperature", "top_p", "top_k", "max_tokens", "seed", "frequency_penalty", "presence_penalty")
    words = ("stop", "reasoning_level", "output_type", "previous_response_id", "prompt_name", "prompt_version")
    parameters = {**dict.fromkeys(ones, 1), **dict.fromkeys(words, "x"), "choice_count": 2}
    request = {
        **CHAT,
        "server_address": "a",
        "conversation_id": "c",
        "agent": "b",
        "stream": True,
        "conversation_compacted": True,
    }
    content = {"messages": "hi", "system": "be", "tools": [{"type": "function", "name": "Read"}], "parameters": parameters}
    counts = [f"{kind}_tokens" for kind in ("input", "output", "cache_read_input", "cache_write_input", "reasoning_output")]
    answer = {
        **dict.fromkeys([*counts, "attempts", "time_to_first_chunk_ms", "cost_usd"], 1),
        **dict.fromkeys(("response_model", "response_id", "output"), "x"),
        "finish_reasons": ["stop"],
        "price": {"source": "s", "version": "1"},
    }
    ids = dict.fromkeys(("step_id", "correlation_id", "session_id", "instance_id"), "x")
    wire = Wire("both", "preview")

    wire.operation(
        start_line("ai_request", {**request, **content}, attributes=many, **ids),
        end_line(
            "ai_request", {**request, **answer}, attributes={f"end.{key}": 1 for key in many}, reason="r", **failed(), **ids
        ),
    )

    (span,) = wire.spans()
    assert span["dropped_attributes_count"] == 0
    assert span["attributes"]["agentlog.task.id"] == "task-abc123"
    assert len([key for key in span["attributes"] if key.startswith("user.")]) == USER_ATTRIBUTES_AT_START
    assert len([key for key in span["attributes"] if key.startswith("end.")]) == USER_ATTRIBUTES_AT_END
    assert span["attributes"]["agentlog.attributes.dropped"] == 300 - USER_ATTRIBUTES_AT_END


def test_sampling_decides_on_the_names_of_the_convention() -> None:
    """What a sampler wants to know stands on the span when it starts."""
    chat = CONVENTIONS.started(start_line("ai_request", {**CHAT, "server_address": "a", "server_port": 1}))[2]
    tool = CONVENTIONS.started(start_line("tool_call", {"tool_type": "function", "agent": "b"}, content="Read"))[2]

    server = {"server.address", "server.port"}
    assert {"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"} | server <= chat.keys()
    assert {"gen_ai.operation.name", "gen_ai.tool.name", "gen_ai.tool.type", "gen_ai.agent.name"} <= tool.keys()


# -- profiles ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("latest", {"gen_ai.provider.name", "gen_ai.usage.cache_write.input_tokens"}),
        ("legacy", {"gen_ai.provider.name", "gen_ai.system", "gen_ai.usage.cache_creation.input_tokens"}),
        (
            "both",
            {
                *("gen_ai.provider.name", "gen_ai.system"),
                *("gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens"),
            },
        ),
    ],
)
def test_a_profile_chooses_the_generation_of_names(profile: Any, expected: set[str]) -> None:
    """`legacy` has the names that dashboards of the past query, `both` has both."""
    conventions = Conventions(profile)
    start = conventions.started(start_line("ai_request", CHAT))[2]
    end = conventions.end_attributes(end_line("ai_request", {"cache_write_input_tokens": 1}))

    changing = {"gen_ai.provider.name", "gen_ai.system"} | {key for key in end if "cache" in key}
    assert changing & {**start, **end}.keys() == expected


# -- content ----------------------------------------------------------------------------------------------------------------

MESSAGES = [{"role": "user", "parts": [{"type": "text", "content": "hello"}]}]
TOOLS = [{"type": "function", "name": "Read", "description": "reads", "parameters": {"type": "object"}}]


def test_content_stays_at_home_unless_asked_for() -> None:
    """By default nothing that was said is on a span; nor where only events may carry it."""
    request = start_line("ai_request", {**CHAT, "messages": MESSAGES, "system": "be kind", "tools": TOOLS})
    events_only = Conventions("latest", "full", frozenset({"event"}))

    for conventions in (CONVENTIONS, events_only):
        assert "hello" not in str(conventions.started(request)[2])
        assert "kind" not in str(conventions.started(request)[2])


def test_full_content_stands_on_spans_as_json() -> None:
    """Everything that was said, each as one JSON string."""
    conventions = Conventions("latest", "full")
    request = conventions.started(start_line("ai_request", {"messages": MESSAGES, "system": "be kind", "tools": TOOLS}))[2]
    output = [{"type": "text", "content": "hi"}, {"type": "text", "content": "other", "choice": 1}]
    answer = conventions.end_attributes(end_line("ai_request", {"output": output}))
    tool = conventions.started(start_line("tool_call", {"arguments": '{"path":"a.py"}'}, content="Read"))[2]
    result = conventions.end_attributes(end_line("tool_call", {"result": "text"}))

    assert request["gen_ai.input.messages"] == encode(MESSAGES).decode()
    assert request["gen_ai.system_instructions"] == '[{"type":"text","content":"be kind"}]'
    assert request["gen_ai.tool.definitions"] == encode(TOOLS).decode()
    assert (
        answer["gen_ai.output.messages"]
        == encode([{"role": "assistant", "parts": output[:1]}, {"role": "assistant", "parts": output[1:]}]).decode()
    )
    assert tool["gen_ai.tool.call.arguments"] == '{"path":"a.py"}'
    assert result["gen_ai.tool.call.result"] == '{"result":"text"}'


@given(st.lists(st.dictionaries(st.sampled_from(["type", "choice", "content"]), st.integers() | st.text()), max_size=4))
def test_whatever_parts_say_of_their_choice_none_is_lost(parts: list[dict[str, Any]]) -> None:
    """One message a choice, with all of its parts; no output is a message without parts."""
    messages = answer(parts)

    assert sum(len(message["parts"]) for message in messages) == len(parts)
    assert answer([]) == [{"role": "assistant", "parts": []}]


def test_a_preview_is_short_json_with_digest_and_size() -> None:
    """What is cut is marked, the whole can be recognised by its hash, the last message survives."""
    conventions = Conventions("latest", "preview")
    messages = [{"role": "user", "parts": [{"type": "text", "content": f"{number} " + "x" * 900}]} for number in range(40)]

    attributes = conventions.started(start_line("ai_request", {"messages": messages, "tools": TOOLS}))[2]

    shown = attributes["gen_ai.input.messages"]
    assert isinstance(shown, str)
    assert len(shown.encode()) < PREVIEW_BYTES
    parsed = orjson.loads(shown)
    assert parsed[0]["parts"][0]["content"].startswith("0 x")
    assert parsed[-1]["parts"][0]["content"].startswith("39 x")
    assert parsed[-1]["parts"][0]["content"].endswith("…")
    assert attributes["agentlog.content.input_messages.sha256"] == hashlib.sha256(encode(messages)).hexdigest()
    assert attributes["agentlog.content.input_messages.size_bytes"] == len(encode(messages))
    assert attributes["gen_ai.tool.definitions"] == '[{"type":"function","name":"Read"}]'


def test_content_appears_only_where_the_convention_has_a_place_for_it() -> None:
    """Embeddings carry no messages, workflows no tool definitions."""
    conventions = Conventions("latest", "full")
    details = {"messages": MESSAGES, "system": "x", "tools": TOOLS}

    embeddings = conventions.started(start_line("ai_request", {"operation": "embeddings", **details}))[2]
    task = conventions.started(start_line("task", details))[2]

    assert not [key for key in embeddings if "messages" in key or "content" in key]
    assert [key for key in task if key.startswith("gen_ai.")] == ["gen_ai.operation.name", "gen_ai.input.messages"]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3000),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=40), inner, max_size=30),
    max_leaves=60,
)


@given(value=_VALUES)
@settings(deadline=None)
def test_any_value_has_a_preview(value: Any) -> None:
    """Whatever it is, its preview is valid JSON below the limit, and a short value is its own preview."""
    short, encoded, whole = preview(value)

    assert len(encoded) < PREVIEW_BYTES
    assert orjson.loads(encoded) == orjson.loads(encode(short))
    assert (encoded == whole) == (len(whole) < PREVIEW_BYTES)


_PART = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "content": st.text(max_size=4000)}),
    st.fixed_dictionaries(
        {"type": st.just("tool_call"), "id": st.text(max_size=50), "name": st.text(max_size=99), "arguments": _VALUES}
    ),
    st.fixed_dictionaries({"z": st.integers(), "type": st.just("blob"), "modality": st.just("image"), "content": st.text("ab")}),
)


@given(messages=st.lists(st.fixed_dictionaries({"role": st.just("user"), "parts": st.lists(_PART, max_size=9)}), max_size=30))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_a_preview_of_messages_is_made_of_messages(messages: list[Any]) -> None:
    """Shortening never loses a key that the convention's schema requires."""
    assert content_problem("gen_ai.input.messages", preview(messages)[1].decode("ascii", "replace"), structured=False) is None


@given(text=st.text(st.characters(), max_size=4000))
@settings(deadline=None)
def test_a_preview_of_a_text_is_short_text(text: str) -> None:
    """Cut at a character, below the limit in bytes, also for lone surrogates."""
    short, whole = preview_text(text)

    assert len(short.encode("utf-8", "backslashreplace")) < PREVIEW_BYTES
    assert short == text if len(whole) < PREVIEW_BYTES else short.endswith("…")


def test_a_preview_survives_what_json_cannot_say() -> None:
    """Huge integers, lone surrogates, odd keys, bytes and deep nesting become text."""
    deep: Any = "end"
    for _ in range(400):
        deep = [deep]

    for value in ({"n": 2**80}, {"s": "\ud800"}, {1: b"bytes"}, deep, {"f": float("nan")}, {2**70: 1}):
        assert isinstance(orjson.loads(preview([value])[1]), list)


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(sorted(CHAT)) | st.just("name"), inner, max_size=4)
    ),
    max_leaves=8,
)
_KEYS = st.sampled_from(
    (
        *(
            "agent",
            "operation",
            "provider",
            "model",
            "parameters",
            "messages",
            "system",
            "tools",
            "output",
            "arguments",
            "result",
        ),
        *("finish_reasons", "input_tokens", "cost_usd", "price", "skill", "command", "exit_code", "queue", "latency_ms", "plan"),
        *("index", "tags", "stream", "time_to_first_chunk_ms", "error_type", "server_address", "server_port", "traceback"),
    )
)
_TYPES = st.sampled_from(
    ("task", "step", "ai_request", "ai_response", "tool_call", "tool_result", "webhook", "queue_push", "queue_pickup", "segment")
)


@given(
    kind=_TYPES,
    details=_ANYTHING | st.dictionaries(_KEYS, _ANYTHING),
    keys=st.dictionaries(st.sampled_from(("message", "content", "outcome", "reason", "exception", "step_id")), _ANYTHING),
    profile=st.sampled_from(["latest", "both"]),
)
@settings(deadline=None)
def test_a_line_of_any_shape_has_a_span(kind: Any, details: Any, keys: dict[str, Any], profile: Any) -> None:
    """A processor of the user's may leave anything under any key: there is still a name, and attributes that can be sent."""
    wire = Wire(profile, "preview", frozenset({"span", "event"}))
    start = {**start_line(kind), **keys, "details": details}

    wire.operation(start, {**start, "phase": "end"})

    (span,) = wire.spans()
    assert span["name"]
    assert span["attributes"]["agentlog.task.id"] == "task-abc123"
