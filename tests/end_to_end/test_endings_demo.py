"""The demo is killed in the middle; `agentlog recover` makes of what is left a complete trace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from otel_agentlog.store import SpanRecord, list_tasks, records, validate
from tests.demo.running import TIMEOUT_S, Folder, command, environment, make_project
from tests.support.waiting import wait_until


def _agentlog(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "otel_agentlog", *arguments, "--root", str(home / "tasks")],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


def _processes(root: Path) -> list[int]:
    """The processes that introduced themselves in any folder and live."""
    pids = {line["pid"] for task in list_tasks(root) for line in task.events() if line["type"] == "process"}
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def _busy_folder(root: Path) -> Folder | None:
    for path in root.glob("*/03-agent-output.jsonl"):
        if path.read_bytes().count(b'"action":"tool_run_started"') >= 2:
            return Folder(path.parent)
    return None


def test_the_killed_demo_is_a_complete_trace_after_recovery(tmp_path: Path) -> None:
    """All its processes get SIGKILL at once, with no collector there: every span has an end and its parent, all is pending."""
    root = tmp_path / "tasks"
    gateway = subprocess.Popen(
        command(make_project(tmp_path / "project"), "--root", root, "--slow", "--json"),
        env=environment(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with gateway:
        wait_until(lambda: _busy_folder(root), "the agent to work", timeout_s=60)
        for pid in _processes(root):
            os.kill(pid, signal.SIGKILL)
        os.killpg(gateway.pid, signal.SIGKILL)
        gateway.wait(20)
    wait_until(lambda: not _processes(root), "the worker to be gone")

    would = json.loads(_agentlog(tmp_path, "recover", "--dry-run", "--json").stdout)
    done = _agentlog(tmp_path, "recover", "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert said["tasks"] == would["tasks"]
    assert {task["what"] for task in said["tasks"]} == {"repaired"}
    assert _agentlog(tmp_path, "recover", "--all").stdout.startswith("Closed 0 tasks; looked at ")
    _check_trace(root, said["tasks"])


def _check_trace(root: Path, told: list[dict[str, Any]]) -> None:
    spans = {record.span_id: record for task in list_tasks(root) for record in records(task) if isinstance(record, SpanRecord)}
    assert len({span.trace_id for span in spans.values()}) == 1
    assert [span.name for span in spans.values() if span.parent_span_id is not None and span.parent_span_id not in spans] == []
    assert [span.name for span in spans.values() if span.end_ns is None] == []
    interrupted = [span for span in spans.values() if span.outcome == "interrupted"]
    assert sum(task["spans"] for task in told) == len(interrupted) >= 3
    assert all(span.attributes["agentlog.outcome"] == "interrupted" for span in interrupted)
    for task in list_tasks(root):
        assert [str(found) for found in validate(task.folder).problems if found.severity == "error"] == []
        delivery = (task.metadata() or {})["delivery"]
        assert delivery["pending"] == delivery["recorded"] == sum(1 for _ in records(task))


def test_recover_says_what_it_does_for_people_and_programs(tmp_path: Path) -> None:
    """One task by name, what is held is left alone and said, a name that does not exist is an error."""
    root = tmp_path / "tasks"
    program = (
        "import os, sys, otel_agentlog as agentlog\n"
        "agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + '-l', console='off')\n"
        "with agentlog.task('t', task_id='task-one'), agentlog.step('s'):\n"
        "    if sys.argv[2] == 'die': os.kill(os.getpid(), 9)\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    start = [sys.executable, "-c", program, str(root)]
    with subprocess.Popen([*start, "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        running.stdout.readline()
        held = _agentlog(tmp_path, "recover")
        assert "left alone: somebody still runs it" in held.stdout
        assert held.stdout.startswith("Closed 0 tasks; looked at 1 task below ")
        running.communicate()
    subprocess.run([*start, "die"], check=False)

    assert _agentlog(tmp_path, "recover", "--dry-run", "task-one").stdout.startswith("Would close 1 task with 2 spans; ")
    closed = _agentlog(tmp_path, "recover", "one")
    assert closed.stdout.splitlines()[0].startswith("Closed 1 task with 2 spans; looked at 1 task below ")
    assert "task-one" in closed.stdout
    assert "interrupted" in closed.stdout
    unknown = _agentlog(tmp_path, "recover", "nothing-like-it")
    assert unknown.returncode == 1
    assert "no task 'nothing-like-it'" in unknown.stderr
