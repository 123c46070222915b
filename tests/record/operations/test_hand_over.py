"""A task that ends in the job it was handed over to, and what becomes of it if that job is late, lost, killed, or comes twice."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from opentelemetry.context import Context

import otel_agentlog as agentlog
from otel_agentlog.record.carrier import read_carrier
from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.store.recovery.recover import recover
from otel_agentlog.store.spans.rebuild import records
from otel_agentlog.store.spans.tree import tree
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.testing import MemorySink
from otel_agentlog.vocabulary.records import SpanRecord
from otel_agentlog.vocabulary.states import FAILED

OUTCOMES = ["completed", "failed", "cancelled", "timed_out", "interrupted"]
ENDED = frozenset(OUTCOMES) - {"interrupted"}


def here() -> agentlog.Operation:
    operation = agentlog.current_operation()
    assert operation is not None
    return operation


def status(root: Path, task_id: str = "t") -> str:
    return str((TaskReader(root / task_id).metadata() or {})["status"])


def final(root: Path, task_id: str = "t") -> dict[str, Any]:
    return TaskReader(root / task_id).final_result() or {}


def problems(root: Path, task_id: str = "t") -> list[str]:
    return [str(problem) for problem in validate(root / task_id).problems]


def run(root: Path, work: str, carrier: dict[str, str] | None = None) -> tuple[int, str]:
    """A process that records below this root: its exit code and what it printed."""
    program = (
        "import os, sys, json, otel_agentlog as agentlog\n"
        "agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + '-l', console='off', recover_on_start=False)\n"
        "carrier = json.loads(sys.argv[2])\n"
    )
    arguments = [sys.executable, "-c", program + work, str(root), json.dumps(carrier)]
    ran = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert ran.returncode in (0, -9), ran.stderr
    return ran.returncode, ran.stdout


# -- one process --------------------------------------------------------------------------------------------------------------


def test_the_job_ends_the_task(tasks_root: Path) -> None:
    """The request's block ends its part; in between the task waits; the result, the figures and the time are of both."""
    with agentlog.task("Answer", task_id="t", input={"q": 1}, agent="brain") as request:
        with agentlog.step("receive"), agentlog.tool("Look"):
            carrier = here().carrier(hand_over=True, queue="jobs")
        assert status(tasks_root) == "pending"
        request.output("accepted")
    assert status(tasks_root) == "pending"
    assert final(tasks_root) == {}

    with agentlog.task(resume=carrier) as job:
        assert status(tasks_root) == "running"
        assert (job.task_id, job.name, job.input) == ("t", "Answer", {"q": 1})
        with agentlog.tool("Write"):
            job.result = "42"

    assert status(tasks_root) == "completed"
    found = final(tasks_root)
    assert (found["outcome"], found["result"], found["metrics"]["tool_runs"]) == ("completed", "42", 2)
    spans = {item.span_id: item for item in records(TaskReader(tasks_root / "t")) if isinstance(item, SpanRecord)}
    assert len(spans) == 6
    first = min(span.start_ns for span in spans.values())
    assert found["metrics"]["duration_seconds"] * 1e9 >= max(span.start_ns for span in spans.values()) - first
    assert {span.trace_id for span in spans.values()} == {request.trace_id}
    assert problems(tasks_root) == []


def test_a_job_that_is_faster_than_its_request_ends_the_task(tasks_root: Path) -> None:
    """As in an eager queue, inside the call that queues it; what the request does afterwards is in the folder, too."""
    with agentlog.task("Answer", task_id="t") as request:
        carrier = request.carrier(hand_over=True)
        with agentlog.task(resume=carrier) as job:
            job.result = "42"
        assert status(tasks_root) == "completed"
        request.output("answered")
        request.result = "not this one"

    assert (status(tasks_root), final(tasks_root)["result"]) == ("completed", "42")
    assert problems(tasks_root) == []


def test_an_error_before_the_job_has_begun_ends_the_task(tasks_root: Path) -> None:
    """The queue was not to be reached: nobody will come."""
    with contextlib.suppress(OSError), agentlog.task("Answer", task_id="t") as request:
        request.carrier(hand_over=True)
        raise OSError("broker down")

    assert (status(tasks_root), final(tasks_root)["error"]["message"]) == ("failed", "broker down")
    assert problems(tasks_root) == []


def test_an_error_after_the_job_has_begun_is_of_the_request_only(tasks_root: Path) -> None:
    """The job decides."""
    job: agentlog.Task | None = None
    with contextlib.suppress(OSError), agentlog.task("Answer", task_id="t") as request:
        job = agentlog.task(resume=request.carrier(hand_over=True)).start()
        raise OSError("client gone")
    assert status(tasks_root) == "running"
    job.end()

    assert status(tasks_root) == "completed"
    assert problems(tasks_root) == []


def test_only_who_ends_a_task_hands_it_over(tasks_root: Path) -> None:
    """A further process at work on it, a task that has ended, and one that has not begun give carriers like any other."""
    with agentlog.task("Answer", task_id="t") as request:
        with agentlog.task(resume=request.carrier()) as segment:
            assert segment.carrier(hand_over=True)["traceparent"]
        assert status(tasks_root) == "running"
    assert request.carrier(hand_over=True)["traceparent"]
    assert status(tasks_root) == "completed"
    assert agentlog.task("other").carrier(hand_over=True) == {}


def test_a_sub_task_is_handed_over(tasks_root: Path) -> None:
    """The task above goes on without it, and ends; the sub-task's part stands at the top of its own tree."""
    with agentlog.task("Plan", task_id="above"), agentlog.step("delegate"), agentlog.task("Answer", task_id="t") as request:
        carrier = request.carrier(hand_over=True)
    assert (status(tasks_root, "above"), status(tasks_root)) == ("completed", "pending")
    with agentlog.task(resume=carrier):
        pass
    spans = tree(TaskReader(tasks_root / "t"))
    assert [(depth, node.type, node.is_orphan) for depth, node in spans.walk()] == [(0, "segment", False), (1, "task", False)]
    assert (TaskReader(tasks_root / "t").metadata() or {})["parent_task_id"] == "above"
    assert problems(tasks_root) == problems(tasks_root, "above") == []


@pytest.mark.parametrize("within_s", [float("nan"), float("inf"), -1, "soon", None, object(), 1e300])
def test_any_time_is_taken(within_s: Any, tasks_root: Path) -> None:
    """What is no number of seconds is as nothing given; the carrier is whole."""
    with agentlog.task("Answer", task_id="t") as request:
        carrier = request.carrier(hand_over=True, within_s=within_s)
    assert set(carrier) == {"traceparent", "baggage"}
    assert status(tasks_root) == "pending"
    assert problems(tasks_root) == []


def test_carrier_of_what_is_current(tasks_root: Path) -> None:
    """It has the task, below the step; outside of every task the trace of what is current."""
    with agentlog.webhook("github", "push") as hook:
        assert hook.span_id in here().carrier()["traceparent"]
        hook.create_task("job", task_id="w")
        assert "agentlog.task_id=w" in here().carrier()["baggage"]
    with agentlog.step("outside of every task") as step:
        assert step.span_id in here().carrier(hand_over=True)["traceparent"]
    with agentlog.task("Answer", task_id="t"), agentlog.step("plan") as step:
        found = here().carrier()
    assert step.span_id in found["traceparent"]
    assert "agentlog.task_id=t" in found["baggage"]


# -- a carrier of a task that has ended ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["completed", "failed", "cancelled", "timed_out"])
def test_what_comes_after_the_end_is_a_task_that_follows(outcome: str, tasks_root: Path) -> None:
    """Below the first, in its trace, with its name, input and ids; the first stays as it is."""
    with agentlog.bind(correlation_id="c-1"):
        request = agentlog.task("Answer", task_id="t", input={"q": 1}, agent="brain", session_id="s-1").start()
    carrier = request.carrier(queue="jobs")
    request.end(outcome)
    before = (tasks_root / "t" / "03-agent-output.jsonl").read_bytes()

    with agentlog.task(resume=carrier) as late:
        assert late.input == {"q": 1}

    metadata = TaskReader(tasks_root / late.task_id).metadata() or {}
    wanted = {"parent_task_id": "t", "name": "Answer", "assigned_agent": "brain", "session_id": "s-1", "correlation_id": "c-1"}
    assert {key: metadata[key] for key in wanted} == wanted
    assert (late.task_id != "t", late.trace_id, metadata["status"]) == (True, request.trace_id, "completed")
    start = next(line for line in TaskReader(tasks_root / late.task_id).events() if line["type"] == "task")
    assert start["details"]["continues"] == "t"
    assert start["attributes"]["agentlog.task.continues"] == "t"
    assert (tasks_root / "t" / "03-agent-output.jsonl").read_bytes() == before
    assert problems(tasks_root) == problems(tasks_root, late.task_id) == []


# -- several processes --------------------------------------------------------------------------------------------------------

REQUEST = """
with agentlog.task("Answer", task_id="t", input={"q": 1}) as task:
    print(json.dumps(task.carrier(hand_over=True, queue="jobs")), flush=True)
    KILL
"""
JOB = """
with agentlog.task(resume=carrier) as task, agentlog.step("work"):
    KILL
    task.result = task.input
"""
DIE = "os.kill(os.getpid(), 9)"


@pytest.mark.parametrize("request_dies", [False, True])
@pytest.mark.parametrize("recovered", [False, True])
def test_two_processes(request_dies: bool, recovered: bool, tmp_path: Path) -> None:
    """The job ends the task, whatever becomes of the request; recovery in between leaves it to the job."""
    root = tmp_path / "tasks"
    _, printed = run(root, REQUEST.replace("KILL", DIE if request_dies else ""))
    assert status(root) == "pending"
    if recovered:
        assert len(recover(root).repaired) == int(request_dies)
        assert recover(root, everything=True).repaired == []
        assert (status(root), problems(root)) == ("pending", [])
    run(root, JOB.replace("KILL", ""), json.loads(printed))
    recover(root)

    assert (status(root), final(root)["result"]) == ("completed", {"q": 1})
    assert problems(root) == []


def test_a_job_that_is_killed_is_interrupted_and_goes_on(tmp_path: Path) -> None:
    """The next one takes it up again, as many queues deliver a job again."""
    root = tmp_path / "tasks"
    _, printed = run(root, REQUEST.replace("KILL", ""))
    assert run(root, JOB.replace("KILL", DIE), json.loads(printed))[0] == -9
    recover(root)
    assert (status(root), final(root)["outcome"], problems(root)) == ("interrupted", "interrupted", [])
    run(root, JOB.replace("KILL", ""), json.loads(printed))

    assert (status(root), final(root)["outcome"], problems(root)) == ("completed", "completed", [])


@pytest.mark.parametrize("request_dies", [False, True])
def test_a_job_that_never_comes_is_interrupted_when_its_time_is_over(request_dies: bool, tmp_path: Path) -> None:
    """Recovery says so once; a job that comes after all takes it up."""
    root = tmp_path / "tasks"
    _, printed = run(root, REQUEST.replace("KILL", DIE if request_dies else "").replace('queue="jobs"', "within_s=0"))
    assert [repair.status for repair in recover(root).repaired] == ["interrupted"]
    assert recover(root, everything=True).repaired == []

    assert (status(root), final(root)["outcome"], problems(root)) == ("interrupted", "interrupted", [])
    last = list(TaskReader(root / "t").events())[-1]
    assert (last["action"], last["reason"]) == ("task_interrupted", "handed over to a job that did not come")
    run(root, JOB.replace("KILL", ""), json.loads(printed))
    assert (status(root), final(root)["outcome"], problems(root)) == ("completed", "completed", [])


def test_the_parts_of_all_processes_are_counted_once(recorded: MemorySink) -> None:
    """What was handed over is no end of a task: one end line, one segment."""
    with agentlog.task("Answer") as request:
        request.carrier(hand_over=True)
    kinds = [(line["type"], line.get("phase")) for line in recorded.lines if line["type"] in ("task", "segment")]
    assert kinds == [("task", "start"), ("segment", "end")]


# -- any order ----------------------------------------------------------------------------------------------------------------


@dataclass
class Part:
    """What a request or a job has open."""

    task: agentlog.Task
    role: str
    """``owner``: it decides on the end; ``handed``: it did, and gave it away; ``segment``: another does; ``late``: it follows."""
    job: str | None = None
    """The job that it was given, until that is passed on."""
    has_handed_over: bool = False


class HandOver(RuleBasedStateMachine):
    """A request and its jobs in any order; ``status`` is what the folder has to say after each step."""

    @initialize()
    def begin(self) -> None:
        self.scratch = tempfile.TemporaryDirectory()
        self.root = Path(self.scratch.name) / "tasks"
        logs = Path(self.scratch.name) / "logs"
        agentlog.configure(directory=self.root, log_directory=logs, console="off", capture_logging=False, recover_on_start=False)
        self.open = [Part(agentlog.task("Answer", task_id="t").start(), "owner")]
        self.carrier = self.open[0].task.carrier()
        self.status = "running"
        self.given: set[str] = set()
        self.ended: dict[str, str] = {}

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 5))
    def hand_over(self, which: int) -> None:
        """By the request, or by a job that is tried again later; once more to a further job."""
        part = self.open[which % len(self.open)]
        if part.role == "late":
            return
        carrier = part.task.carrier(hand_over=True)
        job = job_of(carrier)
        if part.job is not None:
            assert job == part.job, "it passes on what it was given"
        elif part.role == "owner" or (part.has_handed_over and self.status not in ENDED):
            assert job is not None
            assert job not in self.given, "a further job"
            self.given.add(job)
        else:
            assert job is None
        if part.role == "owner" or part.job is not None:
            part.has_handed_over = True
        if part.role == "owner":
            self.status, part.role = "pending", "handed"
        self.carrier, part.job = carrier, None

    @rule()
    def job_begins(self) -> None:
        """It takes the task up, joins it, or follows it."""
        task = agentlog.task(resume=self.carrier).start()
        if self.status in ("pending", "interrupted"):
            role, self.status = "owner", "running"
        else:
            role = "segment" if self.status == "running" else "late"
        assert (task.task_id == "t") == (role != "late")
        self.open.append(Part(task, role, job_of(self.carrier) if role != "late" else None))

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 5), outcome=st.sampled_from(OUTCOMES))
    def one_ends(self, which: int, outcome: str) -> None:
        """Only who has the task in hand ends it, the last of its jobs, or who gave it away and failed, if nobody has it."""
        part = self.open.pop(which % len(self.open))
        part.task.end(outcome)
        if part.role == "handed" and self.status == "pending" and outcome in FAILED:
            self.status = outcome
        elif part.job is not None and part.job in self.given - self.ended.keys():
            self._last_or_not(part, outcome, part.job)
        elif part.role == "owner":
            self.status = outcome

    def _last_or_not(self, part: Part, outcome: str, job: str) -> None:
        one_failed = not FAILED.isdisjoint(self.ended.values())
        self.ended[job] = outcome
        if self.given - self.ended.keys():
            self.status = "pending" if part.role == "owner" else self.status
        elif part.role == "owner":
            self.status = "failed" if one_failed and outcome not in FAILED else outcome
        elif self.status == "pending":
            self.status = "failed" if one_failed else outcome

    @invariant()
    def the_folder_says_it(self) -> None:
        """At any time."""
        if hasattr(self, "status"):
            assert status(self.root) == self.status

    def teardown(self) -> None:
        """Everything has an end; nothing is left for recovery but a task that waits for a job which did not come."""
        if not hasattr(self, "open"):
            return
        while self.open:
            self.one_ends(0, "completed")
            self.the_folder_says_it()
        agentlog.shutdown()
        with self.scratch:
            assert recover(self.root, everything=True).repaired == []
            for task in list_tasks(self.root):
                assert [str(problem) for problem in validate(task.folder).problems] == []


def job_of(carrier: dict[str, str]) -> str | None:
    """The job that a carrier names."""
    return read_carrier(carrier, Context()).ids.get("job")


TestHandOver = HandOver.TestCase
TestHandOver.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
