"""What operations record: ids, nesting, states, carriers, webhooks."""

from __future__ import annotations

import asyncio
import itertools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import otel_agentlog as agentlog
from otel_agentlog.errors import StateError
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.testing import FixedClock, MemorySink, recording
from otel_agentlog.vocabulary.states import LEGAL_MOVES, State


def test_a_task_in_lines(recorded: MemorySink) -> None:
    """Start and end of everything, in order, with the words of the format."""
    with agentlog.task("job", agent="brain") as task:
        with agentlog.step("plan"), agentlog.ai_call("m", provider="openai") as call:
            call.usage(input_tokens=3, output_tokens=2)
        task.thinking("hm")
        with agentlog.tool("Read", arguments={"path": "a"}) as run:
            run.result = "text"

    assert recorded.actions == [
        "task_started",
        "step_execution_started",
        "api_request_sent",
        "api_response_received",
        "step_execution_succeeded",
        "content_recorded",
        "tool_run_started",
        "tool_run_completed",
        "task_completed",
    ]


def test_ids_stand_on_every_line_below_a_task(recorded: MemorySink) -> None:
    """Task id, trace id and the ids bound around it are on every line, the step id on those within the step."""
    with (
        agentlog.bind(correlation_id="c-1", tenant="acme"),
        agentlog.task("job", task_id="t-1", session_id="s-1"),
        agentlog.step("plan"),
        agentlog.tool("Read"),
    ):
        pass

    assert {line["task_id"] for line in recorded.lines} == {"t-1"}
    assert {line["correlation_id"] for line in recorded.lines} == {"c-1"}
    assert {line["session_id"] for line in recorded.lines} == {"s-1"}
    assert len({line["trace_id"] for line in recorded.lines}) == 1
    assert [line.get("step_id") for line in recorded.of(phase="start")] == [None, "plan", "plan"]
    assert {line["attributes"]["tenant"] for line in recorded.of(phase="start")} == {"acme"}


def test_step_ids_stay_unique_within_a_task(recorded: MemorySink) -> None:
    """A step of the same name again gets a number; a step id of the user's stays as it is."""
    with agentlog.task("job"):
        for _ in range(3):
            with agentlog.step("Look at it"):
                pass
        with agentlog.step("x", step_id="mine"):
            pass

    assert [line["step_id"] for line in recorded.of(type="step", phase="start")] == [
        "look-at-it",
        "look-at-it-2",
        "look-at-it-3",
        "mine",
    ]


def test_a_task_inside_a_task_is_a_sub_task(recorded: MemorySink) -> None:
    """It has its own id in the same trace, knows its parent, and the parent's lines point at it."""
    with agentlog.task("outer") as outer, agentlog.step("delegate"), agentlog.task("inner") as inner:
        pass

    assert outer.task_id != inner.task_id
    assert outer.trace_id == inner.trace_id
    envelope = next(e for e in recorded.envelopes if e.line["message"] == "inner" and e.line["type"] == "task")
    assert envelope.task is not None
    assert envelope.task.header["parent_task_id"] == outer.task_id
    pointers = recorded.of(type="subtask")
    assert [line["action"] for line in pointers] == ["subtask_started", "subtask_ended"]
    assert {line["task_id"] for line in pointers} == {outer.task_id}
    assert {line["details"]["task_id"] for line in pointers} == {inner.task_id}
    assert recorded.parents() == {"outer": None, "delegate": "outer", "inner": "delegate"}


def test_manual_start_and_end_do_not_become_current(recorded: MemorySink) -> None:
    """start() makes nothing current, end() takes an outcome."""
    step = agentlog.step("s").start()
    assert agentlog.current_operation() is None

    step.end("cancelled", reason="not needed")

    (end,) = recorded.ends()
    assert (end["outcome"], end["reason"], end["action"]) == ("cancelled", "not needed", "step_execution_cancelled")


@pytest.mark.parametrize(
    "illegal",
    [
        lambda: agentlog.step("s").end(),
        lambda: _ended().end(),
        lambda: _ended().start(),
        lambda: agentlog.step("s").start().start(),
        lambda: agentlog.task("t").pause(),
        lambda: agentlog.task("t").start().resume(),
        lambda: agentlog.step("s").start().end("splendid"),
    ],
)
def test_illegal_moves_are_refused_and_not_recorded(illegal: Any, recorded: MemorySink) -> None:
    """The caller of an illegal move gets a StateError that says what was tried."""
    with pytest.raises(StateError) as refused:
        illegal()

    assert re.search("cannot (move|end)|unknown outcome", str(refused.value))
    assert all(line["action"] != "task_paused" for line in recorded.lines)


def _ended() -> agentlog.Step:
    step = agentlog.step("s").start()
    step.end()
    return step


@given(moves=st.lists(st.sampled_from(["start", "pause", "resume", "end"]), max_size=8))
def test_a_task_moves_only_as_the_table_says(moves: list[str]) -> None:
    """Whatever is called in whatever order: legal moves are recorded as a continuous chain, the others raise."""
    to = {"start": State.RUNNING, "pause": State.PAUSED, "resume": State.RUNNING, "end": State.COMPLETED}
    needs = {"start": State.PENDING, "resume": State.PAUSED, "pause": State.RUNNING}
    with recording() as recorded:
        task, state = agentlog.task("t"), State.PENDING
        for move in moves:
            legal = to[move] in LEGAL_MOVES[state] and needs.get(move, state) is state
            legal = legal and not (move == "end" and state is State.PENDING)
            try:
                getattr(task, move)()
            except StateError:
                assert not legal
            else:
                assert legal
                state = to[move]
        chain = [(line["state_before"], line["state_after"]) for line in recorded.lines]
    assert all(one[1] == next_[0] for one, next_ in itertools.pairwise(chain))


def test_a_dropped_operation_ends_as_abandoned(recorded: MemorySink) -> None:
    """An operation started by hand and forgotten is closed with the next thing that happens, a flush at the latest."""
    agentlog.step("lost").start()
    agentlog.flush()

    (end,) = recorded.ends()
    assert (end["outcome"], end["reason"]) == ("cancelled", "abandoned")


def test_an_exception_is_recorded_in_full_once(recorded: MemorySink) -> None:
    """The innermost operation has the traceback; those around it the same error id."""
    with pytest.raises(ValueError, match="boom"), agentlog.task("t"), agentlog.step("s"), agentlog.tool("x"):
        raise ValueError("boom")

    tool, step, task = (line["exception"] for line in recorded.ends())
    assert tool["error_id"] == step["error_id"] == task["error_id"]
    assert re.fullmatch("[0-9a-z]{8}", tool["error_id"])
    assert tool["traceback"][-1] == "ValueError: boom"
    assert "traceback" not in step
    assert "traceback" not in task


def test_an_exception_whose_text_raises_is_recorded(recorded: MemorySink) -> None:
    """Neither __str__ nor __repr__ of an exception can hurt."""

    class Hostile(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

        __repr__ = __str__

    with pytest.raises(Hostile), agentlog.step("s"):
        raise Hostile

    assert recorded.ends()[0]["exception"]["message"] == "<Hostile whose __str__ raises>"


def test_durations_come_from_the_monotonic_clock() -> None:
    """A wall clock that jumps back makes no negative duration and no end before the start."""
    clock, monotonic = FixedClock(), FixedClock(0)
    with recording(clock=clock, monotonic=monotonic) as recorded:
        with agentlog.step("s"):
            clock.forward(-3600)
            monotonic.forward(1.5)

    start, end = recorded.lines
    assert end["duration_ms"] == 1500.0
    assert end["timestamp"] > start["timestamp"]


def test_span_and_line_have_the_same_ids_and_times(recorded: MemorySink) -> None:
    """The span's context, start and end are those of the lines."""
    with agentlog.step("s") as step:
        span: Any = trace.get_current_span()

    start, end = recorded.lines
    context = span.get_span_context()
    assert (step.trace_id, step.span_id) == (f"{context.trace_id:032x}", f"{context.span_id:016x}")
    assert (start["trace_id"], start["span_id"]) == (end["trace_id"], end["span_id"]) == (step.trace_id, step.span_id)
    assert span.end_time - span.start_time == pytest.approx(end["duration_ms"] * 1e6, abs=1000)


def test_what_others_put_on_our_span_is_in_the_line(recorded: MemorySink) -> None:
    """Attributes and events set through OpenTelemetry's own API are not lost for the folder."""
    with agentlog.step("s"):
        trace.get_current_span().set_attribute("vendor.key", "v")
        trace.get_current_span().add_event("vendor event", {"n": 1})

    (end,) = recorded.ends()
    assert end["attributes"]["vendor.key"] == "v"
    assert [(event["name"], event["attributes"]) for event in end["events"]] == [("vendor event", {"n": 1})]


def test_context_follows_asyncio(recorded: MemorySink) -> None:
    """Tasks, to_thread and gather keep the step they were started in."""

    async def child(name: str) -> None:
        with agentlog.tool(name):
            await asyncio.sleep(0)

    def in_thread() -> None:
        with agentlog.tool("thread"):
            pass

    async def main() -> None:
        with agentlog.task("t"), agentlog.step("s"):
            await asyncio.gather(child("a"), child("b"), asyncio.to_thread(in_thread), asyncio.create_task(child("c")))

    asyncio.run(main())

    assert recorded.parents() == {"t": None, "s": "t", "a": "s", "b": "s", "c": "s", "thread": "s"}


def test_a_child_that_outlives_its_parent_is_not_its_child(recorded: MemorySink) -> None:
    """After the step has ended, what still runs in its context belongs to the task around it."""

    async def main() -> None:
        late = asyncio.Event()

        async def straggler() -> None:
            await late.wait()
            with agentlog.tool("late"):
                pass

        with agentlog.task("t"):
            with agentlog.step("s"):
                running = asyncio.create_task(straggler())
            late.set()
            await running

    asyncio.run(main())

    assert recorded.parents()["late"] == "t"


def test_blocks_left_out_of_order_leave_nothing_current(recorded: MemorySink) -> None:
    """Leaving the outer block first does not make it current again when the inner one is left."""
    outer, inner = agentlog.step("outer"), agentlog.step("inner")
    outer.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)
    assert agentlog.current_operation() is inner

    inner.__exit__(None, None, None)

    assert agentlog.current_operation() is None
    assert not trace.get_current_span().get_span_context().is_valid


def test_interleaved_generators_keep_apart(recorded: MemorySink) -> None:
    """Two decorated generators taken in turns: what happens in each is its own child."""

    @agentlog.tool("gen a")
    def a() -> Any:
        for number in range(2):
            with agentlog.step(f"a{number}"):
                yield number

    @agentlog.tool("gen b")
    def b() -> Any:
        for number in range(2):
            with agentlog.step(f"b{number}"):
                yield number

    with agentlog.task("t"):
        for one, two in zip(a(), b(), strict=True):
            with agentlog.step(f"both {one}{two}"):
                pass

    parents = recorded.parents()
    assert {name: parents[name] for name in ("a0", "a1", "b0", "b1")} == {
        "a0": "gen a",
        "a1": "gen a",
        "b0": "gen b",
        "b1": "gen b",
    }
    assert parents["both 00"] == parents["both 11"] == "t"


def test_a_generator_is_sent_to_and_thrown_into() -> None:
    """send(), throw() and the return value go through a decorated generator unchanged."""

    @agentlog.step("g")
    def echo() -> Any:
        got = []
        while len(got) < 2:
            try:
                got.append((yield len(got)))
            except KeyError as error:
                got.append(repr(error))
        return got

    generator = echo()
    assert next(generator) == 0
    assert generator.send("a") == 1
    with pytest.raises(StopIteration) as stop:
        generator.throw(KeyError("k"))
    assert stop.value.value == ["a", "KeyError('k')"]


def test_a_tool_decorator_records_arguments_and_result(recorded: MemorySink) -> None:
    """Arguments by name, without self; the result."""

    class Files:
        @agentlog.tool("Read")
        def read(self, path: str, *, limit: int = 3) -> str:
            return path * limit

    assert Files().read("ab", limit=2) == "abab"

    assert recorded.of(type="tool_call")[0]["details"]["arguments"] == {"path": "ab", "limit": 2}
    assert recorded.of(type="tool_result")[0]["details"]["result"] == "abab"


def test_a_task_decorator_records_input_and_result(recorded: MemorySink) -> None:
    """The call's arguments are the input, what it returns is the result; each call is a task of its own."""

    @agentlog.task("review", agent="brain")
    def review(number: int) -> str:
        return f"looked at {number}"

    review(1)
    review(2)

    starts = [e for e in recorded.envelopes if e.line["action"] == "task_started"]
    assert [e.payload["input"] for e in starts if e.payload] == [{"number": 1}, {"number": 2}]
    assert len({e.line["task_id"] for e in starts}) == 2
    ends = [e for e in recorded.envelopes if e.line["action"] == "task_completed"]
    assert [e.payload["result"] for e in ends if e.payload] == ["looked at 1", "looked at 2"]


def test_attempts_are_events_of_one_run(recorded: MemorySink) -> None:
    """Each failed attempt is a line with number, wait and reason in the run's span; the end says how many there were."""
    with agentlog.tool("flaky") as run:
        run.attempt_failed(OSError("busy"), wait_seconds=0.5, maximum=3)
        run.attempt_failed(reason="still busy", wait_seconds=1)

    first, second = recorded.of(type="attempt")
    assert re.fullmatch("[0-9a-z]{8}", first["details"].pop("error_id"))
    assert first["details"] == {"number": 1, "maximum": 3, "wait_ms": 500.0, "error_type": "OSError", "reason": "busy"}
    assert second["details"] == {"number": 2, "wait_ms": 1000, "reason": "still busy"}
    assert {first["span_id"], second["span_id"]} == {run.span_id}
    assert recorded.ends()[0]["details"]["attempts"] == 3


def test_tokens_of_failed_attempts_count(recorded: MemorySink) -> None:
    """An attempt that got a response was paid for."""
    failed = {"usage": {"prompt_tokens": 10, "completion_tokens": 1}, "choices": [], "object": "chat.completion"}
    with agentlog.ai_call("m", provider="openai") as call:
        call.attempt_failed(ValueError("bad json"), response=failed)
        call.usage(input_tokens=10, output_tokens=5)

    details = recorded.ends()[0]["details"]
    assert (details["input_tokens"], details["output_tokens"], details["attempts"]) == (20, 6, 2)
    assert details["cost_usd"] is None


def test_a_carrier_continues_the_trace_in_another_process(recorded: MemorySink) -> None:
    """The child process sees the parent's ids through environment variables."""
    child = (
        "import os\n"
        "from opentelemetry.context import Context\n"
        "from opentelemetry import trace\n"
        "from otel_agentlog.record.carrier import read_carrier as read\n"
        "got = read(os.environ, Context())\n"
        "context = trace.get_current_span(got.context).get_span_context()\n"
        "print(f'{context.trace_id:032x} {context.span_id:016x} {context.is_remote}', end=' ')\n"
        "print(got.ids['task_id'], got.ids['correlation_id'])\n"
    )
    with agentlog.bind(correlation_id="c-9"), agentlog.task("t", task_id="näme, with;odd=chars") as task:
        environ = task.environ()
        said = subprocess.run(
            [sys.executable, "-c", child], env={"PATH": "", **environ}, capture_output=True, text=True, check=True
        )

    assert said.stdout.split(" ", 3)[:3] == [task.trace_id, task.span_id, "True"]
    assert said.stdout.strip().endswith("näme, with;odd=chars c-9")
    assert set(environ) <= {"TRACEPARENT", "TRACESTATE", "BAGGAGE"}


@pytest.mark.parametrize("carrier", [{}, {"traceparent": "junk", "baggage": ";;;"}, {"TRACEPARENT": ""}, {"x": "y"}])
def test_a_broken_carrier_starts_a_new_task(carrier: dict[str, str], recorded: MemorySink) -> None:
    """What cannot be read is no parent; the task is recorded all the same."""
    with agentlog.task("t", resume=carrier):
        pass

    assert recorded.actions == ["task_started", "task_completed"]
    assert "parent_span_id" not in recorded.lines[0]


def test_unsampled_and_unconfigured_spans_still_have_ids() -> None:
    """Without any SDK the lines have ids of their own, and children know their parents."""
    with recording() as recorded, agentlog.task("t"), agentlog.step("s"):
        pass

    task, step = recorded.of(phase="start")
    assert task["trace_id"] == step["trace_id"]
    assert int(task["trace_id"], 16)
    assert step["parent_span_id"] == task["span_id"] != step["span_id"]


def test_a_processor_that_raises_costs_the_data_not_the_line(recorded: MemorySink) -> None:
    """Fail closed: nothing that was not cleaned leaves, but that something happened is recorded."""

    def broken(line: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("bug")

    warnings: list[str] = []
    with recording(processors=[broken], warn=warnings.append) as sink, agentlog.tool("x", arguments={"k": "top secret"}) as run:
        run.result = "top secret"

    assert [line["action"] for line in sink.lines] == ["tool_run_started", "tool_run_completed"]
    assert "top secret" not in repr(sink.lines)
    assert len(warnings) == 1


def test_a_sink_that_raises_costs_only_itself() -> None:
    """The next sink gets the line, the user's code notices nothing, one warning is given."""
    from otel_agentlog.record.collaborators import Failures
    from otel_agentlog.record.recorder import Recorder, use

    def broken(envelope: Any) -> None:
        raise OSError("disk full")

    good, warnings = MemorySink(), list[str]()
    before = use(Recorder([broken, good], failures=Failures(warnings.append)))
    try:
        for _ in range(50):
            with agentlog.step("s"):
                pass
    finally:
        use(before)

    assert len(good.lines) == 100
    assert len(warnings) == 1


def test_a_span_processor_that_raises_does_not_reach_the_user() -> None:
    """Processors of others run inside start and end of a span."""
    from opentelemetry.sdk.trace import SpanProcessor

    class Broken(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            raise RuntimeError("start")

        def on_end(self, span: Any) -> None:
            raise RuntimeError("end")

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Broken())
    with recording(tracer=provider.get_tracer("t")) as recorded, agentlog.task("t"), agentlog.step("s"):
        pass

    assert recorded.actions == ["task_started", "step_execution_started", "step_execution_succeeded", "task_completed"]


def test_what_is_said_inside_a_step_belongs_to_the_step(recorded: MemorySink) -> None:
    """thinking() and the like carry the step and the span they were said in."""
    with agentlog.task("t") as task, agentlog.step("one") as step:
        task.thinking("hm")

    (line,) = recorded.of(type="thinking")
    assert (line["step_id"], line["span_id"]) == ("one", step.span_id)


def test_a_sub_task_has_its_parents_correlation_ids(recorded: MemorySink) -> None:
    """Ids given to the outer task stand on the inner one too."""
    with agentlog.task("outer", correlation_id="c-1"), agentlog.task("inner", session_id="s-2"):
        pass

    inner = next(e.task for e in recorded.envelopes if e.line["message"] == "inner" and e.line["type"] == "task")
    assert inner is not None
    assert (inner.header["correlation_id"], inner.header["session_id"]) == ("c-1", "s-2")


def test_a_picked_up_task_starts_after_its_pickup(tasks_root: Path) -> None:
    """The CONSUMER span encloses the task; the worker finds the input that the webhook gave."""
    with agentlog.webhook("github", "push") as hook:
        hook.create_task("job", input={"n": 1}, task_id="t")
        carrier = hook.push()
    with agentlog.task(resume=agentlog.environ(carrier)) as task:
        assert task.input == {"n": 1}
        assert task.folder == tasks_root / "t"

    lines = list(TaskReader(tasks_root / "t").events())
    starts = {line["type"]: line["timestamp"] for line in lines if line.get("phase") == "start"}
    assert starts["webhook"] <= starts["queue_push"] <= starts["queue_pickup"] <= starts["task"]


def test_an_exception_tells_its_error_id(recorded: MemorySink) -> None:
    """error_id() gives what a user may be shown; None for an exception that was never recorded."""
    with pytest.raises(ValueError, match="boom") as caught, agentlog.step("s"):
        raise ValueError("boom")

    assert agentlog.error_id(caught.value) == recorded.ends()[0]["exception"]["error_id"]
    assert agentlog.error_id(ValueError()) is None


def test_after_a_resumed_task_nothing_of_it_stays_current(tasks_root: Path) -> None:
    """A worker that takes several tasks from a queue does not put the later ones into the trace of the first."""
    carriers = []
    for number in range(2):
        with agentlog.webhook("github", "push") as hook:
            hook.create_task(f"job {number}")
            carriers.append(hook.push())
    traces = []
    for carrier in carriers:
        with agentlog.task(resume=carrier) as task:
            traces.append(task.trace_id)
        assert not trace.get_current_span().get_span_context().is_valid
    with agentlog.task("of its own") as own:
        assert own.trace_id not in traces

    assert traces[0] != traces[1]
    (start,) = [
        line for line in TaskReader(tasks_root / own.task_id).events() if line["type"] == "task" and line["phase"] == "start"
    ]
    assert "parent_span_id" not in start


def test_what_began_before_it_was_known(recorded: MemorySink) -> None:
    """Its start line has the time since which it runs, its end line how long; what is around it began when it did."""
    with agentlog.task("t").began(2.0) as task:
        agentlog.tool("f").began(1.5).start().end()

    outer, inner = recorded.of(phase="start")
    assert "created_at" in (task.task.header if task.task is not None else {})
    assert (task.task.header["created_at"] if task.task is not None else "") <= outer["timestamp"] < inner["timestamp"]
    assert [line["duration_ms"] for line in recorded.ends()] == [pytest.approx(1500, abs=900), pytest.approx(2000, abs=900)]
    assert recorded.ends()[0]["duration_ms"] >= 1500


@pytest.mark.parametrize("odd", [None, "2", -1, 0, float("nan"), float("inf"), 1e300, object()])
def test_what_is_no_time_changes_nothing(odd: Any, recorded: MemorySink) -> None:
    """Nothing is raised, and it began now."""
    agentlog.tool("f").began(odd).start().end()

    assert recorded.ends()[0]["duration_ms"] < 60_000


def test_arguments_that_are_known_only_at_the_end(recorded: MemorySink) -> None:
    """They are on the end line, and only there; those of the start line are not told again."""
    with agentlog.tool("late") as run:
        run.arguments = {"a": 1}
    with agentlog.tool("early", arguments={"a": 1}):
        pass

    ends = {line["message"]: line.get("details", {}) for line in recorded.ends()}
    assert ends["late"]["arguments"] == {"a": 1}
    assert "arguments" not in ends["early"]


def test_every_operation_has_a_carrier(recorded: MemorySink) -> None:
    """The task goes on elsewhere as a part of what handed it on."""
    with agentlog.task("t", task_id="t", session_id="s-1"), agentlog.step("s"), agentlog.tool("f") as run:
        carrier = run.carrier()

    assert carrier["traceparent"].split("-")[1:3] == [run.trace_id, run.span_id]
    assert {"agentlog.task_id=t", "agentlog.session_id=s-1"} <= set(carrier["baggage"].split(","))
    assert run.environ()["TRACEPARENT"] == carrier["traceparent"]
    assert "baggage" not in agentlog.tool("outside").start().carrier()
