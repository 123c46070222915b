"""The document of a folder per task: its structures, endpoints and command lines, written by hand and by the public functions."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.compat.task_folder import TaskLogger, configure
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.store.validation.validate import validate
from tests.seeds.place import Home
from tests.support.waiting import wait_until

WRITTEN = """
from pathlib import Path
from otel_agentlog.compat.task_folder import TaskLogger

logger = TaskLogger("task-abc123", Path("/data/logs/tasks"))
logger.write_metadata({
  "task_id": "task-abc123",
  "source": "webhook",
  "provider": "github",
  "created_at": "2024-01-01T00:00:00Z",
  "started_at": "2024-01-01T00:00:01Z",
  "status": "running",
  "assigned_agent": "brain",
  "agent_type": "planning",
  "model": "claude-opus-4-5-20251101"
})
logger.write_input({
  "message": "User input or webhook trigger",
  "source_metadata": {
    "provider": "github",
    "event_type": "issue_comment.created",
    "webhook_id": "wh-123",
    "repo": "owner/repo",
    "issue_number": 42
  }
})
for event in (
    {"timestamp": "2024-01-01T00:00:00Z", "stage": "received", "event_type": "issue_comment.created"},
    {"timestamp": "2024-01-01T00:00:01Z", "stage": "validation", "status": "passed"},
    {"timestamp": "2024-01-01T00:00:02Z", "stage": "command_matching", "command": "review", "matched": True},
    {"timestamp": "2024-01-01T00:00:03Z", "stage": "task_created", "task_id": "task-abc123"},
):
    logger.append_webhook_event(event)
for output in (
    {"timestamp": "2024-01-01T00:00:05Z", "type": "output", "content": "[SYSTEM] Task started\\n"},
    {"timestamp": "2024-01-01T00:00:06Z", "type": "output", "content": "Analyzing the code...\\n"},
    {"timestamp": "2024-01-01T00:00:10Z", "type": "output", "content": "Using Read tool\\n"},
    {"timestamp": "2024-01-01T00:00:45Z", "type": "output", "content": "Analysis complete\\n"},
):
    logger.append_agent_output(output)
logger.write_final_result({
  "success": True,
  "result": "Task completed successfully. Analysis: ...",
  "error": None,
  "metrics": {
    "cost_usd": 0.0234,
    "input_tokens": 1500,
    "output_tokens": 800,
    "duration_seconds": 45.2
  },
  "completed_at": "2024-01-01T00:00:50Z"
})
"""
FAILED = """
from otel_agentlog.compat.task_folder import TaskLogger

logger = TaskLogger("task-bad", "tasks")
logger.write_input({"message": "break"})
logger.write_final_result({"success": False, "result": None, "error": "no compiler", "metrics": {}})
"""

SHELL = {
    "cd {tasks}/task-abc123; cat metadata.json | jq": r'"assigned_agent": "brain"',
    "cd {tasks}/task-abc123; cat 03-agent-output.jsonl | jq": r'"content": "Analysis complete\\n"',
    "cd {tasks}/task-abc123; cat 04-final-result.json | jq": r'"result": "Task completed successfully. Analysis: \.\.\."',
    "cd {tasks}/task-abc123; cat 02-webhook-flow.jsonl | jq -r '.stage' | sort | uniq -c": (
        r"1 command_matching\n +1 received\n +1 task_created\n +1 validation\n"
    ),
    "find {tasks} -name \"04-final-result.json\" | xargs cat | jq -r '.metrics.cost_usd' | awk '{{sum+=$1}} END {{print sum}}'": (
        r"\A0\.0234\n\Z"
    ),
    'find {tasks} -name "04-final-result.json" | xargs grep -l \'"success":false\'': r"task-bad/04-final-result\.json\n\Z",
    "cd {tasks}/task-abc123; cat 04-final-result.json | jq '.metrics | {{input: .input_tokens, output: .output_tokens,"
    " total: (.input_tokens + .output_tokens)}}'": r'"input": 1500,\n +"output": 800,\n +"total": 2300\n',
    "cd {tasks}/task-abc123; jq -c '{{message, source_metadata}}' 01-input.json": (
        r'\A\{"message":"User input or webhook trigger","source_metadata":\{"provider":"github",'
    ),
    "cd {tasks}/task-abc123; jq -c '[.stage,.event_type,.status,.command,.matched,.task_id]' 02-webhook-flow.jsonl": (
        r'\["command_matching","issue_comment.created",null,"review",true,"task-abc123"\]'
    ),
    "cd {tasks}/task-abc123; jq -c 'select(.type==\"output\") | .content' 03-agent-output.jsonl | head -1": r"SYSTEM",
}
"""The command lines of the document, and those that read its structures; with what they must print."""

ENDPOINTS = {
    "metadata": (".status", "completed"),
    "input": (".message", "User input or webhook trigger"),
    "webhook-flow": (".stage", "received"),
    "agent-output": ('select(.type=="output") | .content', "Analyzing the code..."),
    "final-result": (".metrics.input_tokens", "1500"),
    "full": ('[has("metadata","input","webhook_flow","agent_output","final_result")] | all', "true"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with the task of the document, and one that failed."""
    found = Home(tmp_path_factory.mktemp("folder"))
    found.python(WRITTEN.replace("/data/logs/tasks", "tasks"))
    found.python(FAILED)
    return found


@pytest.fixture(scope="module")
def port(home: Home) -> Iterator[int]:
    """Of a server before these tasks."""
    command = [sys.executable, "-m", "otel_agentlog", "serve", "--http-port", "0", "--ws-port", "0", "--json"]
    server = subprocess.Popen(command, cwd=home.path, env=home.environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield int(re.findall(r":(\d+)/", json.loads(server.stdout.readline())["url"])[0])
    finally:
        server.terminate()
        server.communicate(timeout=30)
        wait_until(lambda: server.poll() is not None, "the server to end")


@pytest.mark.parametrize("line", SHELL, ids=range(len(SHELL)))
def test_the_command_lines_print_what_they_did(home: Home, line: str) -> None:
    """jq, find, grep and awk, with another base folder."""
    said = home.shell(line.format(tasks=home.tasks))

    assert re.search(SHELL[line], said), said


@pytest.mark.parametrize("name", ENDPOINTS)
def test_the_endpoints_answer(home: Home, port: int, name: str) -> None:
    """Six of them, by curl, JSON or JSON lines."""
    expression, wanted = ENDPOINTS[name]
    said = home.shell(f"curl -sf http://localhost:{port}/api/tasks/task-abc123/logs/{name} | jq -r '{expression}'")

    assert wanted in said.splitlines()


def test_the_folder_is_that_of_the_document(home: Home) -> None:
    """Five files, valid, with the keys of the document at the top."""
    folder = home.tasks / "task-abc123"
    files = ["01-input.json", "02-webhook-flow.jsonl", "03-agent-output.jsonl", "04-final-result.json", "metadata.json"]
    assert sorted(path.name for path in folder.iterdir()) == files
    assert validate(folder).problems == []
    metadata = json.loads((folder / "metadata.json").read_text())
    told = {"source": "webhook", "provider": "github", "assigned_agent": "brain", "agent_type": "planning"}
    assert {key: metadata[key] for key in told} == told
    assert {"task_id", "created_at", "started_at", "status", "model"} <= metadata.keys()
    final = json.loads((folder / "04-final-result.json").read_text())
    assert (final["success"], final["error"], final["metrics"]["cost_usd"]) == (True, None, 0.0234)


@pytest.mark.parametrize(
    ("given", "top"),
    [
        ({"message": "m", "source_metadata": {"a": 1}, "x": 1}, {"message": "m", "source_metadata": {"a": 1}}),
        ({"message": None}, {"message": None}),
        ("review this", {"message": "review this"}),
        (["a"], {}),
        (None, {}),
        ({"source_metadata": "odd", "task_id": "no"}, {"source_metadata": "odd"}),
    ],
)
def test_message_and_source_are_at_the_top_of_every_input(tasks_root: Path, given: Any, top: dict[str, Any]) -> None:
    """Of an object and of a text, beside ``input``; nothing else of the input may stand there."""
    with agentlog.task("t", input=given) as task:
        pass

    assert task.folder is not None
    document = json.loads((task.folder / "01-input.json").read_text())
    assert {key: document[key] for key in document if key in ("message", "source_metadata")} == top
    assert (document["input"], document["task_id"]) == (given, task.task_id)
    assert validate(task.folder).problems == []


def test_webhook_and_worker_are_two_processes(tmp_path: Path) -> None:
    """What one created the other runs and ends, in one trace; in between it waits."""
    home = Home(tmp_path)
    begin, _, rest = WRITTEN.replace("/data/logs/tasks", "tasks").replace('"running"', '"queued"').partition("for output in")
    home.python(begin)
    waiting = json.loads((home.tasks / "task-abc123" / "metadata.json").read_text())
    imports, _, _ = begin.partition("logger.write_metadata")
    home.python(f"{imports}logger.write_metadata({{'status': 'running'}})\nfor output in{rest}")

    done = json.loads((home.tasks / "task-abc123" / "metadata.json").read_text())
    assert (waiting["status"], done["status"], done["assigned_agent"]) == ("pending", "completed", "brain")
    assert waiting["trace_id"] == done["trace_id"]
    assert len([line for line in home.lines("task-abc123") if line["type"] == "output"]) == 4
    assert json.loads(home.shell("jq -c .source_metadata.issue_number tasks/task-abc123/01-input.json")) == 42
    assert validate(home.tasks / "task-abc123").problems == []


# -- on and off -----------------------------------------------------------------------------------------------------------------

OFF = """
import logging
from pathlib import Path
import otel_agentlog as agentlog
from otel_agentlog.compat.task_folder import TaskLogger

agentlog.configure()
logger = TaskLogger("task-off", "elsewhere")
logger.append_agent_output({"type": "output", "content": "x"})
logger.write_final_result({"success": True})
with agentlog.task("t") as task, agentlog.step("s"), agentlog.tool("Read"):
    agentlog.get_logger("x").error("lost")
    logging.getLogger("x").error("lost")
    agentlog.events.log_service_status("redis", "down")
print(task.folder, agentlog.flush().recorded, agentlog.active_alerts())
"""


@pytest.mark.parametrize("word", ["false", "0", "no", "OFF"])
def test_switched_off_nothing_is_recorded_and_no_folder_made(tmp_path: Path, word: str) -> None:
    """By the variable of the document, whatever is called afterwards."""
    home = Home(tmp_path)
    said = home.python(OFF, TASK_LOGS_ENABLED=word, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9").stdout

    assert said == "None 0 []\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin"]


def test_switched_off_by_name_and_on_again(tmp_path: Path) -> None:
    """The settings by the names of the document; the strict reading of a wrong word."""
    try:
        found = configure(task_logs_enabled=False, task_logs_dir=tmp_path / "tasks", task_logs_retention_days=30)
        assert (found.enabled, found.directory, found.retention_days) == (False, tmp_path / "tasks", 30)
        with agentlog.task("t"):
            pass
        assert not (tmp_path / "tasks").exists()
        configure(task_logs_enabled=True, task_logs_dir=tmp_path / "tasks", log_directory=tmp_path / "logs", console="off")
        with agentlog.task("t"):
            pass
        assert len(list((tmp_path / "tasks").glob("task-*"))) == 1
        with pytest.raises(ConfigurationError):
            agentlog.configure(enabled="perhaps")
    finally:
        agentlog.shutdown()


COUNTED = """
import sys
import otel_agentlog as agentlog

agentlog.configure(enabled={enabled}, console="off", handle_signals=False)
log = agentlog.get_logger("x")

def work():
    with agentlog.task("t"), agentlog.step("s"):
        for _ in range(20):
            with agentlog.tool("Read"):
                log.info("read", files=3)

work()
calls = 0
def count(frame, event, arg):
    global calls
    calls += event == "call"
sys.setprofile(count)
work()
sys.setprofile(None)
print(calls)
"""


def test_switched_off_a_call_costs_a_fraction(tmp_path: Path) -> None:
    """Calls of Python functions, which load does not change."""
    home = Home(tmp_path)
    on, off = (int(home.python(COUNTED.format(enabled=enabled)).stdout) for enabled in (True, False))

    assert off < on / 3, (on, off)


# -- more than the document shows -----------------------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Path]:
    """Recording in this process, into folders of its own."""
    root = tmp_path / "tasks"
    agentlog.configure(service_name="test", directory=root, log_directory=tmp_path / "logs", console="off", capture_logging=False)
    yield root
    agentlog.shutdown()


def lines(folder: Path) -> list[dict[str, Any]]:
    """Those of the agent's output."""
    return [json.loads(row) for row in (folder / "03-agent-output.jsonl").read_text().splitlines()]


class Hostile(dict[str, Any]):
    """A mapping that cannot be read."""

    def items(self) -> Any:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "given",
    [None, 3, "text", [], {}, {None: 1}, {"type": 3}, {"content": object()}, Hostile(a=1)],
    ids=lambda given: type(given).__name__,
)
def test_whatever_is_given_nothing_raises_and_the_folder_is_valid(folders: Path, given: Any) -> None:
    """Metadata, input, stages, output and result of any shape."""
    logger = TaskLogger("task-odd", folders)
    for write in (
        logger.write_metadata,
        logger.write_input,
        logger.append_webhook_event,
        logger.append_agent_output,
        logger.write_final_result,
    ):
        write(given)
    TaskLogger("task-odd").write_final_result({"success": True})

    assert validate(logger.get_log_dir()).ok
    assert json.loads((logger.get_log_dir() / "metadata.json").read_text())["status"] in ("completed", "failed")


def test_tools_and_other_types_of_output(folders: Path) -> None:
    """Calls and results are tool runs, matched by id or name; a failed one failed; unknown types are output."""
    logger = TaskLogger("task-tools", folders)
    for output in (
        {"type": "system", "content": "begin"},
        {"type": "thinking", "content": "hm"},
        {"type": "tool_call", "tool": "Read", "params": {"path": "a"}, "id": "c1"},
        {"type": "tool_call", "tool": "Read", "params": {"path": "b"}, "id": "c2"},
        {"type": "tool_result", "id": "c2", "content": "B"},
        {"type": "tool_result", "id": "c1", "error": "not there"},
        {"type": "tool_result", "tool": "Bash", "content": "alone"},
        {"type": "message", "content": "done", "extra": 1},
    ):
        logger.append_agent_output(output)
    logger.write_final_result({"success": True, "result": "ok"})

    found = lines(logger.get_log_dir())
    ended = [(line["content"], line["outcome"], line["details"].get("result")) for line in found if line["type"] == "tool_result"]
    assert ended == [("Read", "completed", "B"), ("Read", "failed", None), ("Bash", "completed", "alone")]
    assert [line["details"] for line in found if line["type"] == "output"] == [{"extra": 1, "kind": "message"}]
    assert validate(logger.get_log_dir()).problems == []


def test_two_loggers_and_threads_write_one_task(folders: Path) -> None:
    """One task, every line once, whoever writes it."""

    def write(number: int) -> None:
        logger = TaskLogger("task-many", folders)
        for each in range(20):
            logger.append_agent_output({"type": "output", "content": f"{number}-{each}"})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    TaskLogger("task-many").write_final_result({"success": True})

    texts = [line["content"] for line in lines(folders / "task-many") if line["type"] == "output"]
    assert sorted(texts) == sorted(f"{number}-{each}" for number in range(4) for each in range(20))
    assert validate(folders / "task-many").problems == []


@pytest.mark.parametrize("task_id", ["ünï", "a/b", "../evil", "x" * 300, "", None, 5, "with space, and=comma"])
def test_ids_of_any_kind(folders: Path, task_id: Any) -> None:
    """Each has one folder below the root, from the first stage to the result."""
    logger = TaskLogger(task_id)
    before = logger.get_log_dir()
    logger.append_webhook_event({"stage": "received"})
    logger.append_agent_output({"type": "output", "content": "x"})
    logger.write_final_result({"success": True})

    (folder,) = [path for path in folders.iterdir() if path.name.startswith(".") is False and path.is_dir()]
    assert before == logger.get_log_dir() == folder
    assert json.loads((folder / "metadata.json").read_text())["status"] == "completed"
    assert validate(folder).problems == []


def test_what_comes_after_the_end_changes_nothing(folders: Path) -> None:
    """The result stays what it was."""
    logger = TaskLogger("task-late", folders)
    logger.write_final_result({"success": False, "error": {"message": "boom"}})
    before = (logger.get_log_dir() / "04-final-result.json").read_text()
    logger.write_final_result({"success": True})
    logger.append_agent_output({"type": "output", "content": "late"})
    logger.write_metadata({"status": "completed"})

    assert (logger.get_log_dir() / "04-final-result.json").read_text() == before
    assert json.loads(before)["error"]["message"] == "boom"


def test_secrets_are_redacted_in_every_file(folders: Path) -> None:
    """Metadata, input, stages, output and result pass the same cleaning."""
    secret = "sk-ant-api03-" + "a1B2" * 20
    logger = TaskLogger("task-secret", folders)
    logger.write_metadata({"model": secret, "note": secret})
    logger.write_input({"message": secret, "source_metadata": {"password": "hunter2-hunter2"}})
    logger.append_webhook_event({"stage": "received", "payload": secret})
    logger.append_agent_output({"type": "output", "content": secret})
    logger.write_final_result({"success": False, "error": secret, "result": secret})

    text = "".join(path.read_text() for path in logger.get_log_dir().iterdir())
    assert secret not in text
    assert "hunter2" not in text
