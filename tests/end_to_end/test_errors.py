"""One id for one error: in the folder, with ``agentlog errors``, on the span and on the log record."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import otel_agentlog as agentlog
from otel_agentlog.store.folder.reader import list_tasks
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from tests.demo.running import environment

TIMEOUT_S = 110.0


def exceptions(root: Path) -> dict[str, list[dict[str, Any]]]:
    """By error id, the lines whose exception it is."""
    found: dict[str, list[dict[str, Any]]] = {}
    for task in list_tasks(root):
        for line in task.events():
            identity = (line.get("exception") or {}).get("error_id")
            if identity is not None:
                found.setdefault(identity, []).append(line)
    return found


def with_id(items: list[dict[str, Any]], identity: str) -> list[dict[str, Any]]:
    return [item for item in items if item["attributes"].get("agentlog.error.id") == identity]


def command(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "otel_agentlog", *arguments],
        env=environment(home, **more),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        stdin=subprocess.DEVNULL,
    )


def test_every_error_of_the_demo_is_found_by_its_id(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """In the folder, by ``agentlog errors ID``, on a failed span where one failed, and on a log record."""
    root = tmp_path / "tasks"
    demo = command(tmp_path, "demo", "--root", str(root), OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http_endpoint)
    errors = exceptions(root)
    assert errors, demo.stderr

    for identity, lines in errors.items():
        (first,) = [line for line in lines if "traceback" in line["exception"]]
        assert first["exception"]["category"]
        assert len(first["exception"]["suggestions"]) >= 3

        said = command(tmp_path, "errors", identity, "--json", "--root", str(root))
        found, *elsewhere = json.loads(said.stdout)["errors"]
        assert all("traceback" not in other["exception"] for other in elsewhere)
        assert found["exception"] == first["exception"]
        assert (found["task_id"], found["span_id"]) == (first["task_id"], first["span_id"])

        spans = with_id(otlp_receiver.spans(), identity)
        assert {span["span_id"] for span in spans} == {line["span_id"] for line in lines if line.get("phase") == "end"}
        assert {span["attributes"]["agentlog.error.category"] for span in spans} <= {first["exception"]["category"]}
        records = with_id(otlp_receiver.log_records(), identity)
        assert any("exception.stacktrace" in record["attributes"] for record in records)
        assert {record["attributes"]["agentlog.error.category"] for record in records} == {first["exception"]["category"]}

    assert command(tmp_path, "errors", "zzzzzzzz", "--root", str(root)).returncode == 1


PROGRAM = """
import os, otel_agentlog as agentlog
agentlog.configure(service_name="contextual", console="off")
context = {"branch": "main", "attempt": 2, "ratio": 0.5, "dirty": True, "files": ["a", "b"]}
context["api_key"] = "sk-ant-api03-" + "a" * 80
try:
    with agentlog.task("t", task_id="task-context"), agentlog.step("s"):
        raise agentlog.WorktreeError("cannot remove", context=context)
except agentlog.WorktreeError:
    pass
agentlog.shutdown()
"""


def test_the_context_of_an_error_is_in_the_folder_and_on_the_span(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Redacted in both; scalars as attributes of their own, on the span and on the record."""
    root = tmp_path / "tasks"
    env = {**environment(tmp_path), "TASK_LOGS_DIR": str(root), "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_receiver.http_endpoint}
    subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM], env=env, check=True, timeout=TIMEOUT_S)

    ((identity, lines),) = exceptions(root).items()
    context = lines[0]["exception"]["context"]
    assert {key: context[key] for key in ("branch", "attempt", "ratio", "dirty", "files")} == {
        "branch": "main",
        "attempt": 2,
        "ratio": 0.5,
        "dirty": True,
        "files": ["a", "b"],
    }
    prefix = "agentlog.error.context."
    step = next(span for span in with_id(otlp_receiver.spans(), identity) if span["name"] == "s")
    (record,) = with_id(otlp_receiver.log_records(), identity)
    for item in (step, record):
        attributes = item["attributes"]
        assert attributes[prefix + "branch"] == "main"
        assert (attributes[prefix + "attempt"], attributes[prefix + "ratio"], attributes[prefix + "dirty"]) == (2, 0.5, True)
        assert prefix + "files" not in attributes
    written = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    assert b"sk-ant" not in written
    assert "sk-ant" not in json.dumps([otlp_receiver.spans(), otlp_receiver.log_records()], default=str)
    assert validate(root / "task-context").errors == 0


def test_an_error_survives_a_kill_of_its_process(tmp_path: Path) -> None:
    """What was told to the user can be looked up although the process died right after."""
    root = tmp_path / "tasks"
    program = (
        "import os, signal, otel_agentlog as agentlog\n"
        "agentlog.configure(service_name='killed', console='off')\n"
        "agentlog.task('t', task_id='task-killed').__enter__()\n"
        "print(agentlog.log_and_format_error(OSError(28, 'No space left on device'), 'timeout')[0], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    env = {**environment(tmp_path), "TASK_LOGS_DIR": str(root)}
    died = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert died.returncode == -9

    said = command(tmp_path, "errors", died.stdout.strip(), "--root", str(root))

    assert said.returncode == 0
    assert "RESOURCE" in said.stdout
    assert "task-killed" in said.stdout


def test_a_full_disk_costs_no_answer(tmp_path: Path) -> None:
    """Handling and telling go on where nothing can be written."""
    program = (
        "import otel_agentlog as agentlog, os\n"
        "agentlog.configure(service_name='full', console='off', directory='/dev/full/tasks', log_directory='/dev/full/logs')\n"
        "with agentlog.task('t'):\n"
        "    with agentlog.handle_errors(fallback=1) as handled:\n"
        "        raise ValueError('boom')\n"
        "    print(handled.result, agentlog.log_and_format_error(handled.error, 'timeout')[0] == handled.error_id)\n"
    )
    env = {**environment(tmp_path), "HOME": "/dev/full"}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=TIMEOUT_S)

    assert done.stdout == "1 True\n", done.stderr


def test_the_examples_of_the_page_run(tmp_path: Path) -> None:
    """docs/errors.md: each block of Python as it stands there."""
    page = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()
    env = {**environment(tmp_path), "TASK_LOGS_DIR": str(tmp_path / "tasks"), "AGENTLOG_CONSOLE": "off"}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", block], env=env, capture_output=True, text=True, timeout=TIMEOUT_S
        )
        assert done.returncode == 0, done.stderr

    (folder,) = (tmp_path / "tasks").glob("[!.]*")
    assert '"action":"fallback_used"' in (folder / "03-agent-output.jsonl").read_text()


def test_the_public_names_have_the_errors() -> None:
    """Each can be raised with a message and a context, and caught as `AgentlogError`."""
    for name in ("Configuration", "Database", "Instance", "Integration", "Task", "Tmux", "Worktree"):
        kind = getattr(agentlog, f"{name}Error")
        error = kind("no", context={"a": 1})
        assert isinstance(error, agentlog.AgentlogError)
        assert (str(error), error.context) == ("no", {"a": 1})
