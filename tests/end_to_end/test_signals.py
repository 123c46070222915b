"""What leaves as OTLP says the right thing: tasks with what they used, agents by their own names, errors as span events."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import otel_agentlog as agentlog
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.spans.rebuild import records
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from otel_agentlog.testing.otlp.values import Item
from otel_agentlog.vocabulary.records import SpanRecord
from tests.support.conformance.spans import Checker

START = """
import os, sys, time
import otel_agentlog as agentlog
from opentelemetry import trace
log = agentlog.get_logger("program")
def configure(**more):
    agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + "-l", console="off", service_name="signals", **more)
def answer(call, input_tokens, output_tokens, cost_usd, reason="stop"):
    call.usage(input_tokens=input_tokens, output_tokens=output_tokens, cost_usd=cost_usd, finish_reasons=[reason])
"""

PROGRAM = """
configure(content="full")
with agentlog.webhook("github", "push", {}) as hook:
    with agentlog.task(
        "Review PR 42", task_id="a", agent="brain", agent_version="2", agent_description="reviews", conversation_id="c-1"
    ):
        with agentlog.ai_call("gpt-5", provider="openai") as call:
            answer(call, 100, 20, 0.25)
            call.score("quality", 0.8, by="judge")
        with agentlog.ai_call("gpt-5", provider="openai", conversation_id="c-2") as call:
            call.attempt_failed(TimeoutError("slow"), wait_seconds=0.01, maximum=3)
            answer(call, 10, 2, 0.5, "length")
        for operation in ("create_agent", "invoke_agent"):
            who = dict(agent_id="asst_1", agent_name="helper", agent_version="3", agent_description="helps")
            with agentlog.ai_call("gpt-5", provider="openai", operation=operation, **who):
                pass
        with agentlog.ai_call("e5", operation="retrieval", data_source_id="kb", query="how?") as found:
            found.documents = [{"id": "1", "score": 0.5}, "a text"]
        with agentlog.ai_call("mem", provider="mem0", operation="search_memory", query="who?") as found:
            found.records = [{"content": "x"}, {"content": "y"}]
        with agentlog.tool("Read", conversation_id="c-3", skill={"name": "pdf", "resource_name": "fill.py"}):
            log.warning("careful")
        try:
            with agentlog.step("fails"), agentlog.tool("Boom"):
                raise ValueError("boom")
        except ValueError:
            pass
        with agentlog.task("Sub", workflow="sub", task_id="b"):
            with agentlog.ai_call("gpt-5", provider="openai") as call:
                answer(call, 7, 3, 0.125)
with agentlog.task("No calls", task_id="c"):
    @agentlog.retrying(attempts=2, first_wait_s=0.001)
    def flaky(tries=[]):
        tries.append(1)
        if len(tries) < 2:
            raise ConnectionError("no")
    with agentlog.step("retry"):
        flaky()
    try:
        raise KeyError("k")
    except KeyError:
        log.exception("logged")
print(agentlog.flush().pending)
agentlog.shutdown()
"""


def _start(program: str, root: Path, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", START + program, str(root)]
    return subprocess.Popen(
        command,
        env={**os.environ, "AGENTLOG_SHUTDOWN_TIMEOUT": "30", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _run(program: str, root: Path, receiver: OtlpReceiver, **env: str) -> str:
    with _start(program, root, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_endpoint, **env) as running:
        said, problems = running.communicate(timeout=90)
    assert running.returncode == 0, problems
    return said


class Seen(NamedTuple):
    """What a receiver got of a program, and its folders."""

    root: Path
    spans: Mapping[str, list[Item]]
    """By name."""
    records: list[Item]
    exports: list[list[Item]]
    """The metrics of each request."""

    def one(self, name: str) -> Item:
        (span,) = self.spans[name]
        return span


def _seen(root: Path, receiver: OtlpReceiver) -> Seen:
    spans: dict[str, list[Item]] = {}
    for span in receiver.spans():
        spans.setdefault(span["name"], []).append(span)
    return Seen(root, spans, receiver.log_records(), [[*request.items] for request in receiver.requests("metrics")])


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """What was received of `PROGRAM`."""
    root = tmp_path_factory.mktemp("signals") / "tasks"
    with OtlpReceiver() as receiver:
        assert _run(PROGRAM, root, receiver) == "0\n"
        yield _seen(root, receiver)


def _totals(span: Item) -> dict[str, Any]:
    names = ("input_tokens", "output_tokens", "cost_usd")
    return {name: span["attributes"].get(f"agentlog.task.{name}") for name in names}


def _final(root: Path, task_id: str) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((root / task_id / "04-final-result.json").read_text())["metrics"]
    return {name: metrics[name] for name in ("input_tokens", "output_tokens", "cost_usd")}


# -- what a task used ---------------------------------------------------------------------------------------------------------


def test_the_span_of_a_task_has_what_its_result_says(seen: Seen) -> None:
    """Tokens and cost of its own calls, without those of its sub-tasks; why the last answer ended."""
    task, sub = seen.one("invoke_agent brain"), seen.one("invoke_workflow sub")

    assert _totals(task) == _final(seen.root, "a") == {"input_tokens": 110, "output_tokens": 22, "cost_usd": 0.75}
    assert _totals(sub) == _final(seen.root, "b") == {"input_tokens": 7, "output_tokens": 3, "cost_usd": 0.125}
    for span, usage in ((task, (110, 22)), (sub, (7, 3))):
        found = span["attributes"]
        assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == usage
    assert task["attributes"]["gen_ai.response.finish_reasons"] == ["length"]
    (without,) = seen.spans["invoke_workflow"]
    assert not {key for key in without["attributes"] if "tokens" in key or "cost" in key}


def test_all_of_it_is_by_the_conventions(seen: Seen) -> None:
    """The rules of the newest release have nothing to say of any span, metric or record."""
    metrics = seen.exports[-1]
    spans = [{**span, "attributes": {**span["attributes"]}} for named in seen.spans.values() for span in named]
    for span in spans:
        if span["attributes"].get("gen_ai.operation.name") in ("create_agent", "retrieval", "search_memory"):
            # Bound to all below, it is also on operations for which the convention does not name it.
            assert span["attributes"].pop("gen_ai.conversation.id") == "c-1"

    assert Checker().check(spans, metrics, seen.records) == []


def test_a_task_that_several_processes_worked_on_has_what_all_used(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A creator, a process that dies and is recovered, and one that goes on: each end has the figures of the folder then."""
    creator = """
configure()
with agentlog.webhook("github", "push", {}) as hook:
    hook.create_task("Job", task_id="w", agent="brain", conversation_id="c-9")
    print(__import__("json").dumps(hook.push()))
agentlog.shutdown()
"""
    worker = """
import json
configure(recover_on_start=False)
with agentlog.task(resume=json.loads(os.environ["CARRIER"])):
    with agentlog.ai_call("gpt-5", provider="openai") as call:
        answer(call, int(os.environ["USED"]), 1, 0.5)
    with agentlog.tool("Read"):
        pass
    print("worked", flush=True)
    if os.environ["USED"] == "5":
        time.sleep(60)
agentlog.shutdown()
"""
    root = tmp_path / "tasks"
    carrier = _run(creator, root, otlp_receiver)
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp_receiver.http_endpoint, "CARRIER": carrier}
    with _start(worker, root, **env, USED="5") as dying:
        assert dying.stdout is not None
        assert dying.stdout.readline() == "worked\n"
        dying.send_signal(signal.SIGKILL)
    subprocess.run(
        [sys.executable, "-m", "otel_agentlog", "recover", "--root", str(root)],
        env={**os.environ, "AGENTLOG_CONSOLE": "off"},
        check=True,
        capture_output=True,
    )
    _run(worker, root, otlp_receiver, CARRIER=carrier, USED="7")
    _run("configure()\nagentlog.flush()\nagentlog.shutdown()\n", root, otlp_receiver)

    spans = [span for span in otlp_receiver.spans() if span["name"] == "invoke_agent brain"]
    found = {span["attributes"]["agentlog.outcome"]: _totals(span) for span in spans}
    assert found["interrupted"] == {"input_tokens": 5, "output_tokens": 1, "cost_usd": 0.5}
    assert found["completed"] == _final(root, "w") == {"input_tokens": 12, "output_tokens": 2, "cost_usd": 1.0}


# -- agents, conversations, content -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["create_agent", "invoke_agent"])
def test_an_agent_that_is_created_or_invoked_has_its_own_name(seen: Seen, operation: str) -> None:
    """Name, id, version and description are those of that agent, in the span's name, too; the caller is told beside it."""
    attributes = seen.one(f"{operation} helper")["attributes"]

    assert {key: value for key, value in attributes.items() if ".agent." in key} == {
        "gen_ai.agent.id": "asst_1",
        "gen_ai.agent.name": "helper",
        "gen_ai.agent.version": "3",
        "gen_ai.agent.description": "helps",
        "agentlog.agent.name": "brain",
    }


def test_a_conversation_is_that_of_everything_below(seen: Seen) -> None:
    """What an operation is given itself goes first; steps, sub-tasks and log records have the task's."""
    ids = {name: [span["attributes"].get("gen_ai.conversation.id") for span in spans] for name, spans in seen.spans.items()}

    assert sorted(ids["chat gpt-5"]) == ["c-1", "c-1", "c-2"]
    assert ids["execute_tool Read pdf fill.py"] == ["c-3"]
    assert ids["invoke_agent brain"] == ids["invoke_workflow sub"] == ids["fails"] == ids["create_agent helper"] == ["c-1"]
    assert ids["invoke_workflow"] == [None]
    (careful,) = [record for record in seen.records if record["body"] == "careful"]
    assert careful["attributes"]["gen_ai.conversation.id"] == "c-1"


def test_a_bound_conversation_goes_on_in_another_process(tmp_path: Path) -> None:
    """`bind(conversation_id=…)` is the convention's attribute, and part of the carrier; `None` unbinds."""
    agentlog.configure(directory=tmp_path, console="off", log_directory=tmp_path / "l", capture_logging=False)
    try:
        with agentlog.bind(conversation_id="c-5"):
            with agentlog.task("here", task_id="here") as task:
                carrier = task.carrier()
            with agentlog.bind(conversation_id=None), agentlog.task("unbound", task_id="unbound"):
                pass
        with agentlog.task("there", task_id="there", resume={**carrier, "baggage": carrier["baggage"].replace("here", "x")}):
            with agentlog.tool("Read"):
                pass
    finally:
        agentlog.shutdown()

    def conversations(task_id: str) -> set[Any]:
        spans = [record for record in records(TaskReader(tmp_path / task_id)) if isinstance(record, SpanRecord)]
        return {span.attributes.get("gen_ai.conversation.id") for span in spans}

    assert conversations("here") == conversations("x") == {"c-5"}
    assert conversations("unbound") == {None}


def test_what_was_looked_for_and_found_leaves_under_the_content_policy(seen: Seen) -> None:
    """Query and documents of a retrieval, records of a memory with their number; a bare text is an object's content."""
    retrieval, memory = seen.one("retrieval"), seen.one("search_memory")

    assert (retrieval["kind"], retrieval["attributes"]["gen_ai.data_source.id"]) == ("INTERNAL", "kb")
    assert retrieval["attributes"]["gen_ai.retrieval.query.text"] == "how?"
    documents = json.loads(retrieval["attributes"]["gen_ai.retrieval.documents"])
    assert documents == [{"id": "1", "score": 0.5}, {"content": "a text"}]
    assert memory["attributes"]["gen_ai.memory.query.text"] == "who?"
    assert memory["attributes"]["gen_ai.memory.record.count"] == 2
    assert json.loads(memory["attributes"]["gen_ai.memory.records"]) == [{"content": "x"}, {"content": "y"}]


@pytest.mark.parametrize(("settings", "sent", "kept"), [({}, False, True), ({"content": "full", "privacy": True}, False, False)])
def test_without_a_policy_none_of_it_leaves_and_with_privacy_it_is_nowhere(
    otlp_receiver: OtlpReceiver, tmp_path: Path, settings: dict[str, Any], sent: bool, kept: bool
) -> None:
    """A canary in query, documents and records, in spans, logs and folder."""
    program = f"""
configure(**{settings!r})
with agentlog.task("t", task_id="t"):
    for operation in ("retrieval", "search_memory"):
        with agentlog.ai_call("m", operation=operation, query="canary?") as call:
            call.documents = call.records = [{{"content": "canary!", "id": "1"}}]
    @agentlog.ai_call("m", operation="retrieval")
    def find():
        return ["canary."]
    find()
agentlog.shutdown()
"""
    _run(program, tmp_path / "tasks", otlp_receiver)

    assert ("canary" in str(otlp_receiver.spans()) + str(otlp_receiver.log_records())) is sent
    lines = (tmp_path / "tasks" / "t" / "03-agent-output.jsonl").read_text()
    assert {mark: mark in lines for mark in ("canary?", "canary!", "canary.")} == dict.fromkeys(
        ("canary?", "canary!", "canary."), kept
    )


def test_a_score_is_the_conventions_event_of_what_was_scored(seen: Seen) -> None:
    """Name and value, in the span of the call; who gave it stands beside."""
    (score,) = [record for record in seen.records if record["event_name"] == "gen_ai.evaluation.result"]

    assert score["attributes"]["gen_ai.evaluation.name"] == "quality"
    assert score["attributes"]["gen_ai.evaluation.score.value"] == 0.8
    assert score["attributes"]["agentlog.details"] == {"by": "judge", "source": "code"}
    assert score["span_id"] in {span["span_id"] for span in seen.spans["chat gpt-5"]}


def test_the_first_span_of_a_trace_says_which_task_came_of_it(seen: Seen) -> None:
    """A webhook has the task's id and title as attributes; its name stays what it is for all."""
    root = seen.one("webhook github")

    assert not root["parent_span_id"]
    assert root["attributes"]["agentlog.task.id"] == "a"
    assert root["attributes"]["agentlog.task.name"] == "Review PR 42"


# -- span events --------------------------------------------------------------------------------------------------------------


def _events(span: Item) -> list[tuple[str, dict[str, Any]]]:
    return [(event["name"], event["attributes"]) for event in span["events"]]


def test_errors_are_events_of_their_spans(seen: Seen) -> None:
    """The exception on the span that it ended, with its stack where it was first seen; attempts; what was logged with one."""
    ((name, boom),) = _events(seen.one("execute_tool Boom"))
    ((_, passed),) = _events(seen.one("fails"))
    ((attempt, slow),) = [event for span in seen.spans["chat gpt-5"] for event in _events(span)]
    ((_, retried),) = _events(seen.one("retry"))
    ((_, logged),) = _events(seen.one("invoke_workflow"))

    assert (name, boom["exception.type"], boom["exception.message"]) == ("exception", "ValueError", "boom")
    assert boom["exception.stacktrace"].endswith("ValueError: boom")
    assert "exception.stacktrace" not in passed
    assert passed["agentlog.error.id"] == boom["agentlog.error.id"]
    assert (attempt, slow["error.type"], slow["agentlog.reason"]) == ("agentlog.attempt_failed", "TimeoutError", "slow")
    assert (slow["agentlog.attempt.number"], slow["agentlog.attempt.maximum"]) == (1, 3)
    assert (retried["error.type"], retried["agentlog.attempt.number"]) == ("ConnectionError", 1)
    assert (logged["exception.type"], logged["agentlog.message"]) == ("KeyError", "logged")
    failed = [record for record in seen.records if record["event_name"] == "agentlog.attempt_failed"]
    assert [record["attributes"]["error.type"] for record in failed] == ["TimeoutError", "ConnectionError"]


def test_rebuilt_spans_have_the_same_events(seen: Seen) -> None:
    """What is exported of the folder is what was sent live."""
    command = [sys.executable, "-m", "otel_agentlog", "export", "a", "--no-subtasks", "--root", str(seen.root)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    exported = {
        span["spanId"]: [event["name"] for event in span.get("events", ())]
        for line in said.splitlines()
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    }

    live = [span for spans in seen.spans.values() for span in spans if span["attributes"].get("agentlog.task.id") == "a"]
    assert exported == {span["span_id"]: [event["name"] for event in span["events"]] for span in live}


@pytest.mark.parametrize(
    ("wanted", "events"),
    [
        ("none", []),
        ("errors", ["exception", "exception"]),
        ("all", ["agentlog.log", "exception", "agentlog.happened", "exception"]),
    ],
)
def test_the_setting_says_which_lines_are_events(
    otlp_receiver: OtlpReceiver, tmp_path: Path, wanted: str, events: list[str]
) -> None:
    """By environment, in the span where they were recorded; an exception that other code put there is not doubled."""
    program = """
from otel_agentlog.events import log_event
configure()
with agentlog.task("t", task_id="t"):
    try:
        with agentlog.step("s"):
            log.info("read", files=3)
            try:
                raise KeyError("k")
            except KeyError:
                log.exception("logged")
            log_event("agent", "happened")
            raise ValueError("boom")
    except ValueError:
        pass
    try:
        with agentlog.step("by others"):
            error = OSError("theirs")
            trace.get_current_span().record_exception(error)
            raise error
    except OSError:
        pass
agentlog.shutdown()
"""
    _run(program, tmp_path / "tasks", otlp_receiver, AGENTLOG_SPAN_EVENTS=wanted)

    spans = {span["name"]: span for span in otlp_receiver.spans()}
    assert [event["name"] for event in spans["s"]["events"]] == events
    assert [event["name"] for event in spans["by others"]["events"]] == ["exception"]
    if wanted == "all":
        assert _events(spans["s"])[0][1]["agentlog.detail.files"] == 3
    rebuilt = {each.name: each for each in records(TaskReader(tmp_path / "tasks" / "t")) if isinstance(each, SpanRecord)}
    assert len(rebuilt["s"].noted) == len(events)


def test_exporters_of_others_get_the_events_on_spans_of_the_sdk_and_the_folder_none_of_them_twice(
    otlp_receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """Exceptions that end a span, and failed attempts; what is sent by us has each once."""
    program = """
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
class Spans(SpanProcessor):
    def on_end(self, span):
        print(span.name, [event.name for event in span.events])
configure()
trace.get_tracer_provider().add_span_processor(Spans())
with agentlog.task("t", task_id="t"):
    try:
        with agentlog.tool("Boom") as run:
            run.attempt_failed(TimeoutError("slow"), maximum=2)
            raise ValueError("boom")
    except ValueError:
        pass
agentlog.shutdown()
"""
    said = _run(program, tmp_path / "tasks", otlp_receiver)

    assert said.splitlines()[0] == "execute_tool Boom ['agentlog.attempt_failed', 'exception']"
    (sent,) = [span for span in otlp_receiver.spans() if span["name"] == "execute_tool Boom"]
    assert [event["name"] for event in sent["events"]] == ["agentlog.attempt_failed", "exception"]
    assert '"events"' not in (tmp_path / "tasks" / "t" / "03-agent-output.jsonl").read_text()


def test_many_events_of_one_span_are_bounded(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """The newest of them are kept, in what is sent and in what is rebuilt."""
    program = """
configure(span_events="all")
with agentlog.task("t", task_id="t"):
    for number in range(500):
        log.info("line", number=number)
agentlog.shutdown()
"""
    _run(program, tmp_path / "tasks", otlp_receiver)

    (task,) = otlp_receiver.spans()
    numbers = [event["attributes"]["agentlog.detail.number"] for event in task["events"]]
    assert numbers == [*range(500 - len(numbers), 500)]
    assert 32 <= len(numbers) <= 128


def test_a_word_that_is_no_choice_of_events_is_refused(tmp_path: Path) -> None:
    """By name, value and what was expected."""
    with pytest.raises(agentlog.errors.ConfigurationError, match="span_events"):
        agentlog.configure(directory=tmp_path, span_events="some")


# -- exemplars ----------------------------------------------------------------------------------------------------------------


def _exemplars(export: list[Item]) -> set[tuple[str, str]]:
    return {
        (metric["name"], exemplar["trace_id"])
        for metric in export
        for point in metric["points"]
        for exemplar in point.get("exemplars") or ()
    }


def test_the_last_export_of_a_short_process_has_exemplars(seen: Seen) -> None:
    """Whoever keeps the last export only still finds the trace behind each metric, of counters as well as of histograms."""
    assert len(seen.exports) > 1
    assert _exemplars(seen.exports[0]) <= _exemplars(seen.exports[-1])
    traces = {trace_id for name, trace_id in _exemplars(seen.exports[-1]) if name in ("agentlog.task.duration", "agentlog.cost")}
    assert seen.one("invoke_agent brain")["trace_id"] in traces
