"""The pytest plugin, in real runs of pytest."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest

from tests.support.pytest_run import run_pytest

AGENT = """
import logging
import otel_agentlog as agentlog
from opentelemetry import trace

def agent(secret="hunter2hunter2"):
    with agentlog.task("Review", input={"text": "please"}) as task:
        with agentlog.step("plan"), agentlog.ai_call("gpt-4o", provider="openai") as call:
            call.usage(input_tokens=100, output_tokens=20)
        with trace.get_tracer("lib").start_as_current_span("http"):
            logging.getLogger("app").warning("half way")
        with agentlog.tool("Read", arguments={"path": "a.py", "password": secret}) as run:
            run.result = "text"
        task.result = "ok"
"""


run = partial(run_pytest, all_plugins=False)
"""Beside all plugins that are installed one test of everything runs, and those of other plugins."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with an agent in it."""
    (tmp_path / "agent.py").write_text(AGENT)
    (tmp_path / "conftest.py").write_text("import sys, pathlib\nsys.path.insert(0, str(pathlib.Path(__file__).parent))\n")
    return tmp_path


def test_a_test_sees_everything_its_agent_records(project: Path) -> None:
    """Tree, lines, logs, spans, adopted spans, folders, OTLP, metrics, and that no secret is left."""
    (project / "test_it.py").write_text(
        """
from agent import agent
from otel_agentlog.testing import a_span, a_step, a_tool, an_ai_call, assert_shape

def test_it(agentlog_recording):
    agent()

    task = agentlog_recording.task("Review")
    assert_shape(task, [a_step("plan", [an_ai_call("gpt-*")]), a_span("http"), a_tool("Read")], cost_below_usd=0.01)
    assert_shape(task.calls, [an_ai_call(), a_tool("Read")])
    assert task.outcome == "completed" and task.result == "ok" and task.input["text"] == "please"
    assert [line["message"] for line in task.logs] == ["half way"] == [line["message"] for line in agentlog_recording.logs]
    assert sorted(span.name for span in task.spans) == ["chat gpt-4o", "execute_tool Read", "http", "invoke_workflow", "plan"]
    assert sorted(span["name"] for span in agentlog_recording.sent_spans) == sorted(span.name for span in task.spans)
    assert [record["body"] for record in agentlog_recording.sent_logs] == ["half way"]
    assert agentlog_recording.metric("agentlog.tasks.active")
    assert "half way" in agentlog_recording.console
    assert (task.folder / "metadata.json").exists()
    assert next(part for _, part in task.root.walk() if part.name == "http").is_adopted
    agentlog_recording.assert_not_left("hunter2hunter2")
    agentlog_recording.assert_not_left("please", in_=("otlp",))
"""
    )

    assert "1 passed" in run_pytest(project)


def test_nothing_is_left_behind_by_a_test(project: Path) -> None:
    """Two tests do not see each other's tasks, and outside them nothing is recorded, whatever they configure."""
    (project / "test_it.py").write_text(
        """
import pytest
import otel_agentlog as agentlog
from agent import agent
from otel_agentlog.record.recorder import recorder

@pytest.mark.parametrize("number", [1, 2])
def test_it(agentlog_recording, number, tmp_path):
    agentlog.configure(service_name="x", directory=tmp_path / "elsewhere", endpoint="http://10.255.255.1:1", console="human")
    agent()
    assert len(agentlog_recording.tasks) == 1
    assert not (tmp_path / "elsewhere").exists()

def test_after():
    assert not recorder().active

class TestTogether:
    def test_a(self, agentlog_recording):
        agentlog.shutdown()
        agent()
        assert agentlog_recording.tasks == []

    def test_b(self, agentlog_recording):
        agent()
        assert len(agentlog_recording.tasks) == 1
"""
    )

    printed = run(project)
    assert "5 passed" in printed
    assert "10.255" not in printed


def test_an_application_that_was_configured_goes_on_as_it_was(project: Path) -> None:
    """With its settings a test records elsewhere; before and after it the application's own folder is written to."""
    (project / "test_it.py").write_text(
        """
import pytest
import otel_agentlog as agentlog
from agent import agent

@pytest.fixture(scope="session", autouse=True)
def app(tmp_path_factory):
    root = tmp_path_factory.mktemp("app")
    agentlog.configure(service_name="app", directory=root, log_directory=root / "logs", redaction_keys=["colour"], console="off")
    agent()
    yield root
    agent()
    assert len([each for each in root.glob("task-*")]) == 3
    agentlog.shutdown()

def test_it(agentlog_recording):
    with agentlog.task("t"), agentlog.tool("paint", arguments={"colour": "ultramarine"}):
        pass
    agentlog_recording.assert_not_left("ultramarine")
    assert agentlog_recording.sent_spans[0]["resource"]["service.name"] == "app"

def test_without(app):
    agent()
    assert len([each for each in app.glob("task-*")]) == 2
"""
    )

    assert "2 passed" in run(project)


@pytest.mark.parametrize(
    "options", [("-n", "2"), ("--import-mode=importlib",), ("-p", "no:randomly", "-p", "no:xdist")], ids=lambda o: " ".join(o)
)
def test_it_works_beside_other_plugins(project: Path, options: tuple[str, ...]) -> None:
    """In workers of xdist, with asyncio, for classes and parametrised tests."""
    (project / "test_it.py").write_text(
        """
import asyncio
import pytest
import otel_agentlog as agentlog
from agent import agent
from otel_agentlog.testing import record_in

@pytest.fixture(scope="class")
def recorded(tmp_path_factory):
    with record_in(tmp_path_factory.mktemp("class")) as recorded:
        yield recorded

class TestOfAClass:
    def test_one(self, recorded):
        agent()

    def test_two(self, recorded):
        assert len(recorded.tasks) == 1

    def test_inner(self, recorded, agentlog_recording):
        agent()
        assert len(recorded.tasks) == 1 == len(agentlog_recording.tasks)

    def test_three(self, recorded):
        agent()
        assert len(recorded.tasks) == 2

@pytest.mark.parametrize("count", [1, 3])
async def test_async(agentlog_recording, count):
    async def one(number):
        async with agentlog.task(f"t{number}"):
            await asyncio.sleep(0)
    await asyncio.gather(*(one(number) for number in range(count)))
    assert sorted(task.name for task in agentlog_recording.tasks) == [f"t{number}" for number in range(count)]
"""
    )
    options = (*options, "--dist", "loadfile") if "-n" in options else options

    assert "6 passed" in run_pytest(project, *options)


def test_a_test_that_fails_shows_what_was_recorded(project: Path) -> None:
    """A section of its report has the trees; one that passes or is skipped has none."""
    (project / "test_it.py").write_text(
        """
import pytest
import otel_agentlog as agentlog

def test_fails(agentlog_recording):
    with agentlog.task("Review"):
        with pytest.raises(ValueError), agentlog.tool("Read"):
            raise ValueError("no such file")
        assert 1 == 2

def test_is_skipped(agentlog_recording):
    with agentlog.task("Other"):
        pytest.skip("no")
"""
    )

    printed = run(project, "-rs", check=False)

    assert re.search(r"-+ Captured agentlog call -+\n.*/tasks/task-\w+\ntask Review · failed · AssertionError", printed)
    assert "  tool Read · failed · ValueError: no such file" in printed
    assert "task Other" not in printed


def test_time_and_ids_are_those_of_the_test(project: Path) -> None:
    """With a clock that is moved and fixed ids two runs are the same, byte for byte."""
    (project / "test_it.py").write_text(
        """
import pathlib
import otel_agentlog as agentlog
from agent import agent

def test_it(agentlog_clock, agentlog_ids, agentlog_recording):
    with agentlog.task("t"):
        with agentlog.tool("slow"):
            agentlog_clock.forward(1.5)
        try:
            with agentlog.step("s"):
                raise ValueError("x")
        except ValueError:
            pass
    task = agentlog_recording.task()
    assert task.calls[0].duration_ms == 1500
    text = (task.folder / "03-agent-output.jsonl").read_text().split("\\n", 1)[1]
    known = pathlib.Path(__file__).with_name("known.txt")
    assert not known.exists() or known.read_text() == text
    known.write_text(text)
"""
    )

    run(project)
    assert "1 passed" in run(project)


def test_golden_files_are_compared_and_written(project: Path) -> None:
    """A missing one fails and says how it is written; then it is equal; a change is told by its key."""
    test = project / "test_it.py"
    test.write_text(
        "from agent import agent\n"
        "def test_it(agentlog_recording, agentlog_golden):\n"
        "    agent()\n    agentlog_golden(agentlog_recording)\n"
    )

    assert "write it with pytest --agentlog-update-golden" in run(project, check=False)
    assert f"agentlog: wrote {project / 'golden' / 'test_it.txt'}" in run(project, "--agentlog-update-golden")
    assert "1 passed" in run(project)
    (project / "agent.py").write_text(AGENT.replace('"a.py"', '"b.py"'))
    printed = run(project, check=False)

    assert 'details.arguments.path: expected "a.py", found "b.py"' in printed
    assert "in task Review: completed, 03-agent-output.jsonl" in printed


def test_faults_of_the_collector_and_the_disk(project: Path) -> None:
    """Refused, gone, silent; then all is delivered; a full disk costs the agent nothing."""
    (project / "test_it.py").write_text(
        """
import otel_agentlog as agentlog
from agent import agent
from otel_agentlog.testing import Hang, Ok, PartialSuccess, Refuse

def test_collector(agentlog_recording, agentlog_receiver):
    agentlog_recording.send_to(agentlog_receiver.http_endpoint, timeout_s=0.5)
    for answer in (Refuse(503), Refuse(429, headers={"Retry-After": "1"}), Hang()):
        agentlog_receiver.answer = answer
        agent()
        assert agentlog.flush(0.3).pending > 0
    agentlog_receiver.refuse()
    agent()
    assert agentlog.flush(0.3).pending > 0
    agentlog_receiver.accept()
    agentlog_receiver.answer = Ok()
    agentlog_receiver.wait_for(lambda receiver: len(receiver.spans()) >= 20, "all spans", timeout_s=30)
    assert agentlog_recording.sent_spans == []

def test_disk(agentlog_recording):
    with agentlog_recording.disk_full():
        agent()
    assert agentlog_recording.tasks == []
    assert len(agentlog_recording.sent_spans) == 5
    agent()
    assert len(agentlog_recording.tasks) == 1
"""
    )

    assert "2 passed" in run(project)


def test_a_program_is_killed_in_the_middle(project: Path) -> None:
    """What it left is read, and closed."""
    (project / "script.py").write_text(
        "import time, otel_agentlog as agentlog\nwith agentlog.task('Long'), agentlog.tool('Wait'):\n    time.sleep(60)\n"
    )
    (project / "script.py").write_text(
        "import time, otel_agentlog as agentlog\nagentlog.configure()\n"
        "with agentlog.task('Long'), agentlog.tool('Wait'):\n    time.sleep(60)\n"
    )
    (project / "test_it.py").write_text(
        """
import pathlib
import pytest
from otel_agentlog.testing import a_tool, assert_shape

SCRIPT = pathlib.Path(__file__).with_name("script.py")

def test_it(agentlog_kill):
    left = agentlog_kill(SCRIPT, until=lambda recorded: "tool Wait" in recorded.tree())
    assert_shape(left.task("Long"), [a_tool("Wait", outcome="open")])
    left.recover()
    assert_shape(left.task("Long"), [a_tool("Wait", outcome="interrupted")])
    assert left.task().outcome == "interrupted"

def test_it_ends_too_early(agentlog_kill, tmp_path):
    (tmp_path / "s.py").write_text("print('done')")
    with pytest.raises(AssertionError, match="ended with 0:\\ndone"):
        agentlog_kill(tmp_path / "s.py", until=lambda recorded: False)
"""
    )

    assert "2 passed" in run(project)
