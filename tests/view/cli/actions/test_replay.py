"""``agentlog replay``: real clients, in real processes, answered from a folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.spans.rebuild import rebuild
from otel_agentlog.store.validation.report import Severity
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.testing import RecordedTask
from otel_agentlog.tools.replay.comparing import began_in
from tests.support.providers.server import ProviderServer
from tests.support.waiting import wait_until
from tests.tools.replay.replaying import AGENT, CALLS, COMMANDS, STEPS, Replayed, environment, of_clients, record, replay

WATCHED = AGENT.with_name("watched.py")


# A program with the clients of two providers takes seconds to begin, and on a machine that is busy a minute.
pytestmark = pytest.mark.timeout(400)
FEW = (sys.executable, str(AGENT), *STEPS[:2])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The task of the agent with two of its steps, four AI calls; its provider is gone."""
    return record(tmp_path_factory.mktemp("recorded"), *STEPS[:2])


@pytest.fixture
def task(recorded: Path, tmp_path: Path) -> Path:
    """A copy of its root, to replay in; the task's folder."""
    shutil.copytree(recorded.parent, tmp_path / "tasks")
    return tmp_path / "tasks" / recorded.name


def tree(task: Path) -> str:
    """What ran in a task, without what it cost and other ids."""
    return re.sub(r" · \$\S+|task-\w+", "", RecordedTask(task).tree())


def own(replayed: Replayed, root: Path) -> Path:
    """The folder of the task that the program recorded."""
    (found,) = began_in(TaskReader(root / "tasks" / replayed.found["replay_task_id"]))
    return found.folder


def test_the_same_program_does_the_same_without_a_network(tmp_path: Path) -> None:
    """Sync, async, streaming, at once, with tools, a sub-task and an error: same tree, same outputs, nothing paid, all local."""
    task = record(tmp_path, *STEPS)
    hosts = tmp_path / "hosts"
    program = (sys.executable, str(WATCHED), str(hosts), str(AGENT), *STEPS)
    replayed = replay(
        tmp_path, task, "--json", program=program, HTTPS_PROXY="http://192.0.2.1:9", HTTP_PROXY="http://192.0.2.1:9"
    )

    found = replayed.found
    assert (replayed.code, found["same"], found["differences"]) == (0, True, []), replayed.err
    assert (found["answered"], found["live"], found["refused"], found["compared"]) == (CALLS, 0, 0, True)
    assert set(hosts.read_text().split()) == {"127.0.0.1"}
    again = own(replayed, tmp_path)
    assert tree(again) == tree(task)
    assert "failed" in tree(task)
    outputs = [str(each["content"]) for each in TaskReader(again).events() if each.get("type") == "output"]
    assert outputs == [str(each["content"]) for each in TaskReader(task).events() if each.get("type") == "output"]
    assert sorted(outputs[-2].split("|")) == ["one", "three", "two"]
    assert outputs[-1].startswith("refused: Error code: 429")
    before, after = RecordedTask(task), RecordedTask(again)
    assert (after.result, after.tokens) == (before.result, before.tokens)
    assert after.cost_usd == 0
    assert [each for each in validate(again).problems if each.severity is Severity.ERROR] == []


def test_the_replay_is_a_task_that_is_linked(task: Path, tmp_path: Path) -> None:
    """Its span has a link to the one on record, and says of which task it is."""
    replayed = replay(tmp_path, task, "--json", program=(sys.executable, "-c", "pass"))

    folder = tmp_path / "tasks" / replayed.found["replay_task_id"]
    about = json.loads((folder / "metadata.json").read_text())
    assert (about["name"], about["source"], about["tags"]) == ("replay of Review", "replay", ["replay"])
    (span,) = [span for span in rebuild(TaskReader(folder)).spans if span.parent_span_id is None or span.links]
    (link,) = span.links
    original = json.loads((task / "metadata.json").read_text())["traceparent"].split("-")
    assert (f"{link.trace_id:032x}" if isinstance(link.trace_id, int) else link.trace_id) == original[1]
    assert span.attributes["agentlog.replay.of"] == task.name
    assert (replayed.code, replayed.found["compared"]) == (1, False)
    assert {each["what"] for each in replayed.found["requests"]} == {"fewer"}


@pytest.mark.parametrize("source", ["api", "run"])
def test_replays_are_left_out_by_their_tag(task: Path, tmp_path: Path, source: str) -> None:
    """Also the tasks that the program records itself, and their sub-tasks; whether it did so by itself or by ``agentlog run``."""
    about = json.loads((task / "metadata.json").read_text())
    (task / "metadata.json").write_text(json.dumps({**about, "source": source}))
    tasks = "with task('Own', tags=['x', 'replay']), task('Below', tags=['y']): pass"
    code = f"from otel_agentlog import configure, task\nconfigure(console='off')\n{tasks}"
    replayed = replay(tmp_path, task, program=(sys.executable, "-c", code))

    assert replayed.code in (0, 1), replayed.err
    argv = ["-m", "otel_agentlog", "--root", tmp_path / "tasks", "--json", "ls", "-tag:replay"]
    done = COMMANDS.run(argv, env=environment(tmp_path), text=True, timeout=60, check=True)
    assert [each["task_id"] for each in json.loads(done.stdout)["tasks"]] == [task.name]
    written = (json.loads(path.read_text()) for path in (tmp_path / "tasks").glob("task-*/metadata.json"))
    tags = {each["name"]: each["tags"] for each in written}
    assert tags == {"Review": [], "replay of Review": ["replay"], "Own": ["x", "replay"], "Below": ["y", "replay"]}


def test_a_changed_prompt_is_found_at_its_call(task: Path, tmp_path: Path) -> None:
    """The third call, with the words that differ; exit code 1."""
    replayed = replay(tmp_path, task, program=FEW, PROMPT="Read z.py.")

    assert replayed.code == 1
    told = replayed.err[replayed.err.index("First difference") :]
    assert told.startswith("First difference: AI call 3 of 4 claude-opus-4-6: other prompt (in task Review › step stream)\n")
    assert "-user: Read a.py.\n" in told
    assert "+user: Read z.py.\n" in told
    assert "All of them: --json, or agentlog diff " in told


def test_more_and_fewer_calls(task: Path, tmp_path: Path) -> None:
    """A request for which nothing is left is refused at once, and the program's own exit code is kept."""
    replayed = replay(tmp_path, task, "--json", program=FEW, EXTRA="1")

    assert replayed.code == 1
    assert "the record has no answer to this request" in replayed.err
    more = [each for each in replayed.found["differences"] if each["what"] == "more"]
    assert (more[0]["where"][-1], more[0]["call"], replayed.found["refused"]) == ("AI call claude-opus-4-6", 5, 1)


def test_tools_are_answered_where_that_is_wanted(task: Path, tmp_path: Path) -> None:
    """Without ``--tools`` they run, and what they give now is a difference; with it no tool runs."""
    ran = replay(tmp_path, task, program=FEW, CONTENT="new text")
    answered = replay(tmp_path, task, "--tools", "--json", program=FEW, CONTENT="new text")

    assert "First difference: tool run Read: other result (in task Review › step plan)" in ran.err
    assert ran.out.count("tool Read runs") == 4
    assert (ran.code, answered.code) == (1, 0)
    assert "tool Read runs" not in answered.out
    assert answered.found["tools_answered"] == 4


def test_it_goes_on_live_from_a_step(task: Path, tmp_path: Path) -> None:
    """What came before the step is answered from the record, the rest by the provider, asked with the user's key."""
    with ProviderServer() as server:
        given = of_clients(server, "sk-of-the-user")
        replayed = replay(tmp_path, task, "--from", "stream", "--json", program=(*FEW, "openai stream"), **given)
        requests = list(server.requests)

    found = replayed.found
    assert (found["answered"], found["live"], replayed.code) == (2, 4, 1), replayed.err
    assert [request.path for request in requests] == [*["/v1/messages"] * 2, "/v1/chat/completions", "/v1/responses"]
    keys = [request.headers.get("x-api-key") or request.headers.get("authorization") for request in requests]
    assert keys == [*["sk-of-the-user"] * 2, *["Bearer sk-of-the-user"] * 2]
    assert [each["where"][-1] for each in found["differences"]] == ["task Review", "step openai stream"]
    assert "agentlog-replay" not in str([request.headers for request in requests])
    again = own(replayed, tmp_path)
    assert b"sk-of-the-user" not in b"".join(path.read_bytes() for path in again.glob("*.json*"))


def test_a_step_that_is_not_there(task: Path, tmp_path: Path) -> None:
    """It says which there are, and a live step without a key is refused before anything begins."""
    wrong = replay(tmp_path, task, "--from", "nowhere")
    keyless = replay(tmp_path, task, "--from", "1")

    assert wrong.code == keyless.code == 2
    assert "expected a step (plan, stream)" in wrong.err
    assert "expected a key, as AI calls of anthropic are to go to https://api.anthropic.com" in keyless.err


def test_what_is_missing_is_said_before_it_begins(task: Path, tmp_path: Path) -> None:
    """Which call, why, where; the program is not started, unless it is told to."""
    file = task / "03-agent-output.jsonl"
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    ends = [line for line in lines if line.get("type") == "ai_response"]
    del ends[0]["details"]["output"]
    ends[1]["details"]["output"][0]["content"] = "much [truncated: 900 characters left out]"
    ends[2]["details"]["output"] = {"$artifact": {"sha256": "a" * 64, "size_bytes": 9, "media_type": "application/json"}}
    file.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    began = tmp_path / "began"
    program = (sys.executable, "-c", f"open({str(began)!r}, 'w')")

    refused = replay(tmp_path, task, program=program)
    assert (refused.code, began.exists()) == (3, False)
    missing = [line for line in refused.err.splitlines() if line.startswith("missing")]
    assert [re.findall(r"AI call (\d)", line)[0] for line in missing] == ["1", "2", "3"]
    assert "its answer was not recorded" in missing[0]
    assert "its answer was cut" in missing[1]
    assert f"artifacts/{'a' * 64} is not in the folder" in missing[2]

    assert replay(tmp_path, task, "--partial", program=program).code == 1
    assert began.exists()


def test_a_connection_to_another_machine_is_refused(task: Path, tmp_path: Path) -> None:
    """Unless it is allowed; a program that names the provider's address itself pays nothing by mistake."""
    connect = "import socket\ntry:\n    socket.create_connection(('192.0.2.1', 9), 0.01)\nexcept OSError as e: print(repr(e))"

    refused = replay(tmp_path, task, program=(sys.executable, "-c", connect))
    allowed = replay(tmp_path, task, "--network", program=(sys.executable, "-c", connect))

    assert "ConnectionRefusedError" in refused.out
    assert "agentlog replay: refused a connection to 192.0.2.1" in refused.err
    assert "agentlog replay refuses" not in allowed.out


@pytest.mark.parametrize(("code", "expected"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)])
def test_the_program_s_exit_code_is_kept(task: Path, tmp_path: Path, code: str, expected: int) -> None:
    """Also that of one that was killed."""
    assert replay(tmp_path, task, program=(sys.executable, "-c", code)).code == expected


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_are_passed_on(task: Path, tmp_path: Path, number: int, expected: int) -> None:
    """The program gets them, and the replay ends as a task with its outcome."""
    ready = tmp_path / "ready"
    default = "import signal, time, pathlib; signal.signal(signal.SIGINT, signal.SIG_DFL)"
    code = f"{default}; pathlib.Path({str(ready)!r}).touch(); time.sleep(600)"
    argv = [sys.executable, "-m", "otel_agentlog", "replay", str(task), "--", sys.executable, "-c", code]
    process = subprocess.Popen(argv, env=environment(tmp_path), start_new_session=True, stderr=subprocess.PIPE, text=True)
    wait_until(ready.exists, "the program", timeout_s=60)
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=30)

    assert process.returncode == expected, err
    assert "Traceback" not in err
    (about,) = [found for found in map(_about, (tmp_path / "tasks").iterdir()) if found.get("source") == "replay"]
    assert about["status"] == "failed"


def _about(folder: Path) -> dict[str, object]:
    return dict(TaskReader(folder).metadata() or {})


def test_a_command_line_that_cannot_be_used(task: Path, tmp_path: Path) -> None:
    """One line, exit code 2."""
    for options, program in (((), ("",)), (("--ignore", "("), ("true",)), (("--nonsense",), ("true",))):
        argv = ["-m", "otel_agentlog", "replay", task, *options, "--", *filter(None, program)]
        done = COMMANDS.run(argv, env=environment(tmp_path), text=True, timeout=60)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
