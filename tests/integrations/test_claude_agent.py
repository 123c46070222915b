"""claude-agent-sdk and ``stream-json``: each message once, tools and sub-agents where they belong, totals as the result says."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.integrations import claude_agent
from otel_agentlog.integrations.claude_agent import MessageReader, record_lines, record_messages
from otel_agentlog.store.folder.reader import TaskReader, find_task, list_tasks
from otel_agentlog.store.spans.tree import tree
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.testing import MemorySink
from tests.support.packages import ROOT, environment

# Packages may have to be installed first.
pytestmark = pytest.mark.timeout(900)

Json = dict[str, Any]
PROGRAM = Path(__file__).with_name("claude_program.py")
CLI = ROOT / "tests" / "support" / "fake_claude.py"

INIT: Json = {"type": "system", "subtype": "init", "session_id": "s1", "model": "claude-sonnet-4-5", "tools": ["Bash"]}


def usage(input_tokens: int, output_tokens: int, cached: int = 0) -> Json:
    counts = {"input_tokens": input_tokens, "output_tokens": output_tokens}
    return {**counts, "cache_read_input_tokens": cached, "cache_creation_input_tokens": 0}


def said(message_id: str, block: Json, used: Json, parent: str | None = None, **more: Any) -> Json:
    message = {"id": message_id, "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "stop_reason": None}
    common = {"parent_tool_use_id": parent, "session_id": "s1", "uuid": f"u-{message_id}", **more}
    return {"type": "assistant", "message": {**message, "content": [block], "usage": used}, **common}


def text(written: str) -> Json:
    return {"type": "text", "text": written}


def use(tool_id: str, name: str, **arguments: Any) -> Json:
    return {"type": "tool_use", "id": tool_id, "name": name, "input": arguments}


def answered(tool_id: str, content: Any, parent: str | None = None, is_error: bool | None = None) -> Json:
    block = {"type": "tool_result", "tool_use_id": tool_id, "content": content, "is_error": is_error}
    return {"type": "user", "message": {"role": "user", "content": [block]}, "parent_tool_use_id": parent, "session_id": "s1"}


def result(used: Json, cost: float | None, **more: Any) -> Json:
    took = {"duration_ms": 10, "duration_api_ms": 5, "num_turns": 2}
    common = {"type": "result", "subtype": "success", "is_error": False, "session_id": "s1", "result": "done", **took}
    return {**common, "usage": used, "total_cost_usd": cost, **more}


# Claude Code tells with every block what was used when the answer began: the output is too small.
FIRST = usage(1000, 1, 200)
RUN: list[Json] = [
    INIT,
    said("m1", {"type": "thinking", "thinking": "hm", "signature": "s"}, FIRST),
    said("m1", text("I look"), FIRST),
    said("m1", use("t1", "Bash", command="ls"), FIRST),
    said("m1", use("t2", "Task", prompt="look deeper"), FIRST),
    answered("t1", "a.py"),
    said("m2", use("t3", "Read", path="x"), usage(500, 1), "t2"),
    answered("t3", [text("no such file")], "t2", is_error=True),
    said("m3", text("found it"), usage(600, 2), "t2"),
    answered("t2", [text("found it")]),
    said("m4", text("done"), usage(1100, 3)),
    result(usage(3200, 60, 200), 0.02),
]
TOTALS = {"ai_calls": 4, "tool_runs": 3, "input_tokens": 3400, "output_tokens": 60, "cache_read_input_tokens": 200}


def totals(task: TaskReader) -> Json:
    metrics = (task.final_result() or {})["metrics"]
    assert [str(problem) for problem in validate(task.folder).problems] == []
    counted = tree(task).roots[0].total
    assert (counted.ai_calls, counted.tokens["input_tokens"]) == (metrics["ai_calls"], metrics["input_tokens"])
    assert counted.cost_usd == (None if metrics["cost_usd"] is None else pytest.approx(metrics["cost_usd"]))
    return dict(metrics)


def names(task: TaskReader) -> dict[str, str | None]:
    """The tool runs and requests by what they are, with what they lie in."""
    found = {node.span_id: node for _, node in tree(task).walk()}
    asked = ("tool_call", "ai_request")
    return {
        f"{node.name} {place}": found[node.parent_span_id].name if node.parent_span_id in found else None
        for place, node in enumerate(node for node in found.values() if node.type in asked)
    }


# -- the SDK ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of the program."""
    place = tmp_path_factory.mktemp("claude")
    second = [{"fake": "wait"}, INIT, said("m9", text("more"), usage(2000, 4)), result(usage(2000, 40), 0.05)]
    (place / "script.jsonl").write_text("\n".join(json.dumps(line) for line in [*RUN, *second]))
    # Without the binary: its source distribution has none.
    given = environment("claude-agent-sdk>=0.2.189,<0.3", options=("--no-binary", "claude-agent-sdk"))
    command = [sys.executable, str(PROGRAM), str(place / "tasks"), str(CLI)]
    subprocess.run(command, env={**given, "FAKE_CLAUDE": str(place / "script.jsonl")}, cwd=ROOT, check=True, timeout=200)
    return place / "tasks"


@pytest.mark.slow
def test_a_query_is_a_task(root: Path) -> None:
    """Each message once, each tool run with its result, the sub-agent in the run that began it, totals as the result has them."""
    (task,) = (task for task in list_tasks(root) if (task.metadata() or {})["name"] == "claude")

    metrics = totals(task)
    assert {name: metrics[name] for name in TOTALS} == TOTALS
    assert metrics["cost_usd"] == pytest.approx(0.02)
    metadata, final = task.metadata() or {}, task.final_result() or {}
    assert (metadata["session_id"], metadata["model"], metadata["assigned_agent"]) == ("s1", "claude-sonnet-4-5", "claude")
    assert (final["result"], (task.input() or {})["input"] if "input" in (task.input() or {}) else task.input()) in (
        ("done", "do it"),
        ("done", {"message": "do it"}),
    )
    found = names(task)
    assert [inside for name, inside in found.items() if name.startswith("Read")] == ["Task"]
    assert sorted(str(inside) for name, inside in found.items() if "claude" in name) == ["Task", "Task", "claude", "claude"]


@pytest.mark.slow
def test_what_was_said(root: Path) -> None:
    """Thinking, text and tool use of one message are the answer of one call, which was not cut."""
    (task,) = (task for task in list_tasks(root) if (task.metadata() or {})["name"] == "claude")
    ends = [line for line in task.events() if line["type"] == "ai_response"]
    runs = {line["message"]: line for line in task.events() if line["type"] == "tool_result"}

    assert [part["type"] for part in ends[0]["details"]["output"]] == ["reasoning", "text", "tool_call"]
    assert "finish_reasons" not in ends[0]["details"]
    assert runs["Bash"]["details"]["result"] == "a.py"
    assert (runs["Read"]["outcome"], runs["Read"]["exception"]["message"]) == ("failed", "no such file")


@pytest.mark.slow
def test_a_client_of_several_turns(root: Path) -> None:
    """A step for each; the cost that a result tells is that of the session so far."""
    metrics = totals(find_task(root, "client"))

    assert (metrics["ai_calls"], metrics["steps"]) == (5, 2)
    assert (metrics["input_tokens"], metrics["output_tokens"]) == (5400, 100)
    assert metrics["cost_usd"] == pytest.approx(0.05)


@pytest.mark.slow
def test_messages_recorded_by_hand(root: Path) -> None:
    """``call.record(message)`` of every message is one call: the result is no addition, and says what it cost."""
    metrics = totals(find_task(root, "by-hand"))

    assert (metrics["ai_calls"], metrics["input_tokens"], metrics["output_tokens"]) == (1, 3400, 60)
    assert metrics["cost_usd"] == pytest.approx(0.02)


@pytest.mark.slow
def test_a_query_that_is_left(root: Path) -> None:
    """Its run is cancelled; what was answered until then counts."""
    task = find_task(root, "left")

    metrics = totals(task)
    assert (metrics["ai_calls"], metrics["input_tokens"]) == (1, 1200)
    assert {node.name: node.outcome for _, node in tree(task).walk() if node.name in ("claude", "Task")} == {
        "claude": "cancelled",
        "Task": "cancelled",
    }


OTHERS: list[Json] = [
    INIT,
    {"type": "system", "subtype": "task_progress", "usage": {"total_tokens": 900, "tool_uses": 3, "duration_ms": 5}},
    {"type": "user", "message": {"content": []}, "tool_use_result": {"totalTokens": 50, "usage": usage(40, 10)}},
    {"type": "stream_event", "event": {"type": "message_start", "message": {"id": "m1", "content": [], "usage": usage(40, 1)}}},
    {"type": "rate_limit_event", "rate_limit_info": {"status": "allowed"}},
]


@pytest.mark.parametrize("message", OTHERS, ids=lambda each: str(each.get("subtype", each["type"])))
def test_messages_that_tell_no_call(message: Json, recorded: MemorySink) -> None:
    """By hand, too: what a sub-agent has used so far, or a tool, is told by the messages of those."""
    with agentlog.task("t"), agentlog.ai_call("claude-sonnet-4-5", provider="anthropic") as call:
        call.record(message)

    assert call.tokens == {}
    assert "finish_reasons" not in recorded.of(type="ai_response")[0]["details"]


# -- lines -----------------------------------------------------------------------------------------------------------------


def recorded_lines(tasks_root: Path, lines: Any) -> TaskReader:
    record_lines(lines, name="run", input="go")
    (task,) = list_tasks(tasks_root)
    return task


@pytest.mark.parametrize("form", ["dict", "str", "bytes", "file"])
def test_lines_of_every_form(form: str, tasks_root: Path, tmp_path: Path) -> None:
    """Decoded, text, bytes, and a file that is open."""
    encoded = [json.dumps(line) for line in RUN]
    (tmp_path / "run.jsonl").write_text("\n".join(encoded))
    forms: Json = {"dict": RUN, "str": "\n".join(encoded), "bytes": [line.encode() + b"\r\n" for line in encoded]}

    with (tmp_path / "run.jsonl").open("rb") as file:
        task = recorded_lines(tasks_root, forms.get(form, file))

    metrics = totals(task)
    assert {name: metrics[name] for name in TOTALS} == TOTALS
    assert metrics["cost_usd"] == pytest.approx(0.02)


def test_lines_that_are_no_messages(tasks_root: Path) -> None:
    """They are kept, and said in the run; the others are read."""
    bad = ["{", b"\xff\xfe", '{"type": 7}', "null", json.dumps(RUN[5])[:30], "[" * 5000]
    lines: list[Any] = [item for pair in zip(map(json.dumps, RUN), bad, strict=False) for item in pair]
    report = record_lines([*lines, "", "  \n", *map(json.dumps, RUN[len(bad) :])])

    assert (report.messages, report.unread_count, len(report.unread)) == (len(RUN), len(bad), len(bad))
    assert report.unread[0] == (2, "{")
    (task,) = list_tasks(tasks_root)
    metrics = totals(task)
    assert {name: metrics[name] for name in TOTALS} == TOTALS
    said_so = [line for line in task.events() if line["type"] == "log"]
    assert [line["level"] for line in said_so] == ["WARNING"] * len(bad)


def test_lines_that_are_anything(recorded: MemorySink) -> None:
    """Nothing is raised, and of many only the first are warnings."""
    lines: Any = [Broken(), object(), 7, None, bytearray(b"{"), {}, {"type": Broken()}, *["x"] * 2_000, RUN[1]]
    report = record_lines(lines)

    assert (report.messages, report.unread_count, len(report.unread)) == (1, 2_007, claude_agent.MAX_UNREAD)
    assert len(recorded.of(type="log")) == claude_agent.MAX_WARNINGS


def test_a_stream_that_breaks_off(tasks_root: Path) -> None:
    """The run was interrupted, and what was not answered; what was, counts."""
    task = recorded_lines(tasks_root, RUN[:7])

    assert totals(task)["input_tokens"] == 1700
    outcomes = {node.name: node.outcome for _, node in tree(task).walk()}
    assert outcomes == {
        "run": "interrupted",
        "claude-sonnet-4-5": "completed",
        "Bash": "completed",
        "Task": "interrupted",
        "Read": "interrupted",
    }


def test_partial_messages(tasks_root: Path) -> None:
    """With the events of the model's stream the counts are exact, and the call is not told twice."""
    events: list[Json] = [
        {"type": "message_start", "message": {"id": "m1", "model": "claude-sonnet-4-5", "content": [], "usage": usage(1000, 1)}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "do"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 25}},
        {"type": "message_stop"},
    ]
    wrapped = [{"type": "stream_event", "event": event, "session_id": "s1", "parent_tool_use_id": None} for event in events]
    lines = [INIT, *wrapped[:2], said("m1", text("done"), usage(1000, 1)), *wrapped[2:], result(usage(1000, 25), 0.01)]

    task = recorded_lines(tasks_root, lines)

    metrics = totals(task)
    assert (metrics["ai_calls"], metrics["input_tokens"], metrics["output_tokens"]) == (1, 1000, 25)
    call, cost = (line for line in task.events() if line["type"] == "ai_response")
    assert call["details"]["finish_reasons"] == ["end_turn"]
    assert call["details"]["output"] == [{"type": "text", "content": "done"}]
    assert cost["details"]["same_call_as"] == call["span_id"]  # the call was over when its cost was told


@pytest.mark.parametrize(
    ("ending", "outcome", "error"),
    [
        ({"is_error": True, "subtype": "error_max_turns", "result": None}, "failed", "error_max_turns"),
        ({"is_error": True, "subtype": "error_during_execution", "errors": ["it broke"]}, "failed", "it broke"),
        ({"is_error": True, "result": "API Error: 529 overloaded"}, "failed", "overloaded"),
        ({"terminal_reason": "aborted_streaming"}, "cancelled", None),
        ({"terminal_reason": "completed"}, "completed", None),
    ],
)
def test_results(ending: Json, outcome: str, error: str | None, tasks_root: Path) -> None:
    """What a run ended with; its cost and counts hold however it ended, also where the last call was over."""
    task = recorded_lines(tasks_root, [*RUN[:10], result(usage(3200, 60, 200), 0.02, **ending)])

    final = task.final_result() or {}
    assert final["outcome"] == outcome
    assert (error is None) or error in final["error"]["message"]
    metrics = totals(task)
    assert (metrics["ai_calls"], metrics["input_tokens"], metrics["output_tokens"]) == (3, 3400, 60)
    assert metrics["cost_usd"] == pytest.approx(0.02)


def test_only_a_result(tasks_root: Path) -> None:
    """What it says of tokens and cost is of a call that nobody saw."""
    metrics = totals(recorded_lines(tasks_root, [result(usage(10, 5), 0.001)]))

    assert (metrics["ai_calls"], metrics["input_tokens"], metrics["output_tokens"]) == (1, 10, 5)
    assert metrics["cost_usd"] == pytest.approx(0.001)


def test_what_is_said_after_a_tool_was_asked_for(tasks_root: Path) -> None:
    """It is of the call that has ended: a further view of it, which adds no tokens."""
    used = usage(100, 5)
    lines = [INIT, said("m1", use("t1", "Bash"), used), said("m1", use("t2", "Bash"), used), said("m1", text("both"), used)]

    task = recorded_lines(tasks_root, [*lines, answered("t1", "x"), answered("t2", "y"), result(used, None)])

    assert [totals(task)[name] for name in ("ai_calls", "tool_runs", "input_tokens", "output_tokens")] == [1, 2, 100, 5]
    call, further = (line for line in task.events() if line["type"] == "ai_response")
    assert further["details"]["same_call_as"] == call["span_id"]
    assert further["details"]["output"] == [{"type": "text", "content": "both"}]


def test_messages_without_ids(tasks_root: Path) -> None:
    """Each is a call; the result is no addition."""
    lines = [INIT, said("m1", use("t1", "Bash"), usage(100, 1)), answered("t1", "x"), said("m2", text("b"), usage(200, 1))]
    for line in lines[1::2]:
        del line["message"]["id"], line["uuid"]

    metrics = totals(recorded_lines(tasks_root, [*lines, result(usage(300, 30), 0.01)]))

    assert (metrics["ai_calls"], metrics["input_tokens"], metrics["output_tokens"]) == (2, 300, 30)


def test_an_error_of_the_model(tasks_root: Path) -> None:
    """A message that is an error is a call that failed; other messages that Claude Code wrote itself are no calls."""
    failed = said("m1", text("API Error: 429"), usage(0, 0), error="rate_limit")
    failed["message"]["model"] = "<synthetic>"
    notice = said("m2", text("No response requested."), usage(0, 0))
    notice["message"]["model"] = "<synthetic>"

    task = recorded_lines(tasks_root, [INIT, notice, failed, result(usage(0, 0), 0, is_error=True, result="API Error: 429")])

    assert (task.final_result() or {})["metrics"]["ai_calls"] == 1
    (call,) = (line for line in task.events() if line["type"] == "ai_response")
    assert (call["outcome"], call["exception"]["message"]) == ("failed", "rate_limit: API Error: 429")


def test_a_session_that_is_reset(tasks_root: Path) -> None:
    """The cost of a session is told as its sum; after a reset it begins at 0 again. Running totals of tokens are known, too."""
    one, two = said("m1", text("a"), usage(100, 10)), said("m2", text("b"), usage(200, 10))
    with agentlog.task("t", task_id="t"):
        record_lines(
            [one, result(usage(100, 10), 0.03), two, result(usage(300, 20), 0.05), {**one}, result(usage(100, 10), 0.01)]
        )

    metrics = totals(find_task(tasks_root, "t"))
    assert metrics["cost_usd"] == pytest.approx(0.06)
    assert (metrics["input_tokens"], metrics["output_tokens"]) == (400, 30)


# -- iterators -------------------------------------------------------------------------------------------------------------


async def stream(messages: list[Any], error: BaseException | None = None) -> AsyncIterator[Any]:
    for message in messages:
        yield message
    if error is not None:
        raise error


@pytest.mark.parametrize(("error", "outcome"), [(ValueError("broken"), "failed"), (asyncio.CancelledError(), "cancelled")])
async def test_what_the_stream_raises_passes(error: BaseException, outcome: str, recorded: MemorySink) -> None:
    """It is how the run ended."""
    with pytest.raises(type(error)):
        async for _ in record_messages(stream(RUN[:6], error)):
            pass

    assert recorded.of(type="task", phase="end")[0]["outcome"] == outcome
    assert agentlog.current_operation() is None


async def test_an_iterator_that_is_no_generator(recorded: MemorySink) -> None:
    """Has nothing to close; messages pass as they are, in their order, and nothing becomes current."""

    class Messages:
        def __init__(self) -> None:
            self.left = iter(RUN)

        def __aiter__(self) -> Messages:
            return self

        async def __anext__(self) -> Any:
            try:
                return next(self.left)
            except StopIteration:
                raise StopAsyncIteration from None

    passed = []
    async for message in record_messages(Messages()):
        passed.append(message)
        assert agentlog.current_operation() is None
    assert passed == RUN


class Broken:
    """Every attribute raises."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


ANYTHING: Any = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.builds(Broken), st.builds(object)
)
BLOCK = st.one_of(
    ANYTHING,
    st.fixed_dictionaries(
        {"type": st.sampled_from(["text", "tool_use", "tool_result", "thinking", "?"])},
        optional={
            "id": st.sampled_from(["t1", "t2", ""]),
            "name": st.one_of(st.just("Bash"), ANYTHING),
            "tool_use_id": st.sampled_from(["t1", "t2"]),
            "content": ANYTHING,
            "is_error": ANYTHING,
            "text": ANYTHING,
        },
    ),
)
FIELDS: Json = {
    "subtype": st.one_of(st.just("init"), ANYTHING),
    "session_id": st.one_of(st.just("s1"), ANYTHING),
    "parent_tool_use_id": st.sampled_from([None, "t1", "t2", 7]),
    "message": st.one_of(
        ANYTHING,
        st.fixed_dictionaries(
            {"content": st.one_of(ANYTHING, st.lists(BLOCK, max_size=3))},
            optional={"id": st.sampled_from(["m1", "m2", None]), "model": ANYTHING, "usage": ANYTHING},
        ),
    ),
    "event": st.one_of(
        ANYTHING, st.fixed_dictionaries({"type": st.sampled_from(["message_start", "message_delta", "message_stop"])})
    ),
    "usage": st.one_of(ANYTHING, st.just(usage(10, 5))),
    "total_cost_usd": ANYTHING,
    "is_error": ANYTHING,
    "errors": st.one_of(ANYTHING, st.lists(ANYTHING, max_size=2)),
    "terminal_reason": ANYTHING,
    "result": ANYTHING,
    "error": ANYTHING,
}
TYPES = st.sampled_from(["assistant", "user", "system", "result", "stream_event", "rate_limit_event", "?"])
MESSAGE = st.one_of(
    ANYTHING,
    st.fixed_dictionaries({"type": TYPES}, optional=FIELDS),
    st.dictionaries(st.sampled_from([*FIELDS, "content", "model", "num_turns"]), ANYTHING).map(lambda f: SimpleNamespace(**f)),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(MESSAGE, max_size=8))
def test_nothing_that_a_message_holds_is_raised(recorded: MemorySink, messages: list[Any]) -> None:
    """Fields that are missing or of any type, in any order: what begins is recorded, and ends."""
    reader = MessageReader()
    for message in messages:
        reader.take(message)
    reader.close()

    assert agentlog.current_operation() is None
    starts, ends = recorded.of(phase="start"), recorded.of(phase="end")
    assert sorted(line["span_id"] for line in starts) == sorted(line["span_id"] for line in ends)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 400), data=st.binary(max_size=40))
def test_any_bytes_are_lines(recorded: MemorySink, cut: int, data: bytes) -> None:
    """A line that was cut, or is none, is told; none is an error."""
    whole = json.dumps(RUN[1]).encode()
    report = record_lines([whole[:cut], data, whole])

    assert report.messages >= 1
    assert report.messages + report.unread_count <= 3


def test_the_module_needs_no_sdk() -> None:
    """``query`` imports it; the rest does without."""
    program = "import sys; sys.modules['claude_agent_sdk'] = None; from otel_agentlog.integrations.claude_agent import *"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert claude_agent.record_lines([]).messages == 0
