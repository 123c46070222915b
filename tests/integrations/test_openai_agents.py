"""openai-agents, the real one, in a program of its own against a local server: what its traces become."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace

import otel_agentlog as agentlog
from otel_agentlog.integrations import openai_agents
from otel_agentlog.integrations.openai_agents import AgentlogTracingProcessor
from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.store.spans.tree import Node, tree
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.testing import MemorySink
from tests.support.packages import ROOT, environment

# Packages may have to be installed first.
pytestmark = pytest.mark.timeout(900)

PROGRAM = Path(__file__).with_name("openai_agents_program.py")


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TaskReader]:
    """The folders of the program's situations, by the task's name."""
    root = tmp_path_factory.mktemp("agents")
    command = [sys.executable, str(PROGRAM), str(root)]
    subprocess.run(command, env=environment("openai-agents>=0.24,<0.25", "mcp>=2.3,<3"), cwd=ROOT, check=True, timeout=300)
    return {str((task.metadata() or {})["name"]): task for task in list_tasks(root)}


def figures(task: TaskReader) -> dict[str, Any]:
    return dict((task.final_result() or {})["metrics"])


def shape(node: Node) -> Any:
    """Type and name of a node, with those of its children."""
    return (
        (f"{node.type} {node.name}", [shape(child) for child in node.children]) if node.children else f"{node.type} {node.name}"
    )


def nodes(task: TaskReader) -> Iterator[Node]:
    return (node for _, node in tree(task).walk())


def ends(task: TaskReader, line_type: str) -> list[Any]:
    return [line for line in task.events() if line["type"] == line_type and line.get("phase") == "end"]


@pytest.mark.slow
def test_every_folder_is_valid(tasks: dict[str, TaskReader]) -> None:
    """None of the situations leaves anything open, or a wrong number."""
    assert [str(problem) for task in tasks.values() for problem in validate(task.folder).problems] == []


GPT = "ai_request gpt-5-2025-08-07"


@pytest.mark.slow
def test_a_trace_is_a_task(tasks: dict[str, TaskReader]) -> None:
    """Agent, requests and tool nest as they did; the group is the session, the last answer the result."""
    task = tasks["plain"]

    (root,) = tree(task).roots
    assert shape(root) == ("task plain", [("step planner", [GPT, "tool_call get_weather", GPT])])
    metadata, final = task.metadata() or {}, task.final_result() or {}
    assert (metadata["session_id"], metadata["source"], final["result"]) == ("chat-7", "openai-agents", "Sunny in Rome")
    counted = ("ai_calls", "tool_runs", "input_tokens", "output_tokens", "cache_read_input_tokens", "reasoning_output_tokens")
    assert [figures(task)[name] for name in counted] == [2, 1, 2100, 50, 400, 14]


@pytest.mark.slow
def test_what_was_asked_and_answered(tasks: dict[str, TaskReader]) -> None:
    """Messages, instructions, tools, finish reasons and arguments, although a span has them only at its end."""
    first, second = ends(tasks["plain"], "ai_response")
    (run,) = ends(tasks["plain"], "tool_result")

    assert first["details"]["messages"][0]["parts"][0]["content"] == "weather?"
    assert (first["details"]["response_id"], second["details"]["response_id"]) == ("p1", "p2")
    assert first["details"]["finish_reasons"] == ["completed"]
    assert (run["details"]["arguments"], run["details"]["result"]) == ({"city": "Rome"}, "sunny in Rome")
    logs = [line for line in tasks["plain"].events() if line["type"] == "log"]
    assert [line["span_id"] for line in logs] == [run["span_id"]]


@pytest.mark.slow
def test_inside_a_task_a_trace_is_a_step(tasks: dict[str, TaskReader]) -> None:
    """Streamed, with a tool that fails and a handoff."""
    (root,) = tree(tasks["streamed"]).roots

    planner = ("step planner", [GPT, "tool_call get_weather", GPT, "step handoff to helper"])
    assert shape(root) == ("task streamed", [("step Agent workflow", [planner, ("step helper", [GPT])])])
    assert [node.outcome for node in nodes(tasks["streamed"]) if node.name == "get_weather"] == ["failed"]
    assert (root.outcome, figures(tasks["streamed"])["errors"]) == ("completed", 1)


@pytest.mark.slow
def test_an_error_is_the_exception_that_passed(tasks: dict[str, TaskReader]) -> None:
    """With class and category, and one id all the way up."""
    refused = tasks["refused"]

    (call,) = ends(refused, "ai_response")
    assert (call["exception"]["type"], call["exception"]["category"]) == ("openai.BadRequestError", "VALIDATION")
    assert {line["exception"]["error_id"] for line in refused.events() if "exception" in line} == {call["exception"]["error_id"]}


@pytest.mark.slow
def test_parallel_runs_do_not_mix(tasks: dict[str, TaskReader]) -> None:
    """Four at once: each task has its own request and answer."""
    answers = {name: (task.final_result() or {})["result"] for name, task in tasks.items() if name.startswith("parallel")}

    assert len(answers) == 4
    assert set(answers.values()) == {f"answer {number}" for number in range(4)}
    for name in answers:
        (call,) = ends(tasks[name], "ai_response")
        assert call["details"]["messages"][0]["parts"][0]["content"] == name.replace("parallel", "number")


@pytest.mark.slow
def test_a_guardrail_that_trips_has_failed(tasks: dict[str, TaskReader]) -> None:
    """So has the run that it stopped; the model was not asked."""
    outcomes = {node.name: node.outcome for node in nodes(tasks["guarded"])}

    assert outcomes == dict.fromkeys(("guarded", "planner", "guardrail no_secrets"), "failed")


@pytest.mark.slow
def test_chat_completions(tasks: dict[str, TaskReader]) -> None:
    """Their spans have messages and counts, and no response."""
    (call,) = ends(tasks["chat"], "ai_response")

    assert (call["details"]["model"], call["details"]["input_tokens"], call["details"]["output_tokens"]) == ("gpt-4o", 2400, 50)
    assert call["details"]["output"] == [{"type": "text", "content": "hello"}]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["instrumented", "wrapped"])
def test_each_request_counts_once(name: str, tasks: dict[str, TaskReader]) -> None:
    """Beside an instrumentation of the client, and inside an `ai_call` that records the run's result."""
    counted = figures(tasks[name])

    assert [counted[key] for key in ("ai_calls", "tool_runs", "input_tokens", "output_tokens")] == [2, 1, 2100, 50]
    total = tree(tasks[name]).roots[0].total
    assert (total.ai_calls, total.tokens["input_tokens"], total.tokens["output_tokens"]) == (2, 2100, 50)


@pytest.mark.slow
def test_a_tool_of_an_mcp_server_counts_once(tasks: dict[str, TaskReader]) -> None:
    """The function, the session's call and mcp's own span are one run; the server's part lies in it, in the same folder."""
    task = tasks["with mcp"]

    assert figures(task)["tool_runs"] == 1
    assert [node.name for node in nodes(task) if node.type == "segment"] == ["tools/call get_weather"]
    assert {line["resource"]["service.name"] for line in task.events() if line["type"] == "process"} == {"agents", "server"}
    assert "list tools of" in " ".join(node.name for node in nodes(task))


@pytest.mark.slow
def test_a_cancellation_passes(tasks: dict[str, TaskReader]) -> None:
    """The program asserts that it arrives; here it is the outcome of everything."""
    assert {node.outcome for node in nodes(tasks["cancelled"])} == {"cancelled"}


@pytest.mark.slow
def test_spans_with_parents_of_their_own(tasks: dict[str, TaskReader]) -> None:
    """One that ends after its parent, or never, hangs where it was begun; one whose parent has ended, below the trace."""
    (root,) = tree(tasks["custom"]).roots

    assert shape(root) == ("task custom", [("step outer", ["step detached"]), "step after", "step beside", "step never"])
    assert [node.outcome for node in nodes(tasks["custom"]) if node.name == "never"] == ["interrupted"]


# -- spans of other versions -----------------------------------------------------------------------------------------------


def span(number: int, data: Any, parent: str | None = None, **more: Any) -> Any:
    return SimpleNamespace(span_id=f"span_{number}", trace_id="trace_1", parent_id=parent, span_data=data, error=None, **more)


class Broken:
    """Every attribute raises."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.binary(max_size=5), st.builds(Broken), st.builds(object),
    st.lists(st.one_of(st.none(), st.dictionaries(st.text(max_size=3), st.integers())), max_size=3),
)  # fmt: skip
KINDS = (
    "agent",
    "response",
    "generation",
    "function",
    "handoff",
    "guardrail",
    "mcp_tools",
    "custom",
    "turn",
    "task",
    "speech",
    "?",
)
FIELDS = (
    "name",
    "model",
    "input",
    "output",
    "usage",
    "response",
    "model_config",
    "error",
    "data",
    "triggered",
    "to_agent",
    "server",
)
DATA = st.builds(
    lambda kind, fields: SimpleNamespace(type=kind, **fields),
    st.one_of(st.sampled_from(KINDS), ANYTHING),
    st.dictionaries(st.sampled_from(FIELDS), ANYTHING),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.lists(DATA, max_size=4), order=st.permutations(range(4)), strange=ANYTHING)
def test_nothing_that_a_span_holds_is_raised(recorded: MemorySink, data: list[Any], order: list[int], strange: Any) -> None:
    """Fields that are missing or of any type, ends in any order: what begins is recorded, and ends."""
    processor = AgentlogTracingProcessor()
    processor.on_trace_start(SimpleNamespace(trace_id="trace_1", name=strange, metadata=strange))
    spans = [span(number, each, f"span_{number - 1}" if number else None) for number, each in enumerate(data)]
    for each in spans:
        processor.on_span_start(each)
    for place in order[:3]:  # one never ends
        if place < len(spans):
            processor.on_span_end(spans[place])
    for odd in (strange, Broken()):
        processor.on_span_start(odd)
        processor.on_span_end(odd)
    processor.on_trace_end(SimpleNamespace(trace_id="trace_1"))
    processor.shutdown()

    assert agentlog.current_operation() is None
    starts, finished = recorded.of(phase="start"), recorded.of(phase="end")
    assert sorted(line["span_id"] for line in starts) == sorted(line["span_id"] for line in finished)


@pytest.mark.parametrize("scope", ["openinference.instrumentation.openai_agents", "opentelemetry.instrumentation.openai_agents"])
def test_a_trace_that_others_see_first_is_one_task(scope: str, tmp_path: Path) -> None:
    """Their processor is told before ours, and its span is not made current; where ours is not, it gets its task."""
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path / "logs", console="off", implicit_tasks=True)
    tracer, nowhere = trace.get_tracer(scope), trace.set_span_in_context(trace.INVALID_SPAN)
    processor = AgentlogTracingProcessor()
    workflow = SimpleNamespace(trace_id="trace_1", name="Agent workflow", metadata=None)
    theirs = tracer.start_span("Agent workflow", context=nowhere)
    below = tracer.start_span("agent", context=trace.set_span_in_context(theirs, nowhere))
    processor.on_trace_start(workflow)
    with trace.get_tracer("of another library").start_as_current_span("inside"):
        pass
    for each in (below, theirs):
        each.end()
    processor.on_trace_end(workflow)
    del processor
    tracer.start_span("without ours", context=nowhere).end()
    agentlog.shutdown()

    about = [(task.metadata() or {}) for task in list_tasks(tmp_path / "tasks")]
    assert sorted((each["name"], each["source"]) for each in about) == [
        ("Agent workflow", "openai-agents"),
        ("without ours", "opentelemetry"),
    ]


def test_spans_that_never_end_are_no_leak(recorded: MemorySink, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit the oldest are ended."""
    monkeypatch.setattr(openai_agents, "MAX_OPEN", 10)
    processor = AgentlogTracingProcessor()
    for number in range(50):
        processor.on_span_start(span(number, SimpleNamespace(type="custom", name=f"s{number}")))

    assert len(recorded.of(phase="start")) - len(recorded.ends()) == 10
    processor.shutdown()
    assert {line["outcome"] for line in recorded.ends()} == {"interrupted"}
    assert agentlog.current_operation() is None
