"""The demo is killed in the middle, with no collector there; `agentlog recover` and `ship` make of it a complete trace."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from otel_agentlog.store.folder.reader import list_tasks
from otel_agentlog.store.spans.rebuild import records
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.vocabulary.records import SpanRecord
from tests.demo.running import TIMEOUT_S, Folder, command, environment, make_project
from tests.support.collector import Collector
from tests.support.delivered import recorded_ids
from tests.support.forking import PYTHON
from tests.support.waiting import wait_until


def _agentlog(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = ["-m", "otel_agentlog", *arguments, "--root", home / "tasks"]
    return PYTHON.run(argv, env=environment(home), text=True, timeout=TIMEOUT_S, quick=True)


def _processes(root: Path) -> list[int]:
    """The processes that introduced themselves in any folder and live."""
    pids = {line["pid"] for task in list_tasks(root) for line in task.events() if line["type"] == "process"}
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def _busy_folder(root: Path) -> Folder | None:
    for path in root.glob("*/03-agent-output.jsonl"):
        if path.read_bytes().count(b'"action":"tool_run_started"') >= 2:
            return Folder(path.parent)
    return None


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the demo worked with no collector there, until all its processes got SIGKILL at once."""
    home = tmp_path_factory.mktemp("killed")
    root = home / "tasks"
    gateway = subprocess.Popen(
        command(make_project(home / "project"), "--root", root, "--slow", "--json"),
        env=environment(home, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9"),
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
    wait_until(lambda: not _processes(root), "the worker to be gone", timeout_s=30)
    return home


def _copy(home: Path, to: Path) -> Path:
    """Each test has its own; returns the root of the tasks."""
    shutil.copytree(home / "tasks", to / "tasks", symlinks=True)
    return to / "tasks"


def test_the_killed_demo_is_a_complete_trace_after_recovery(killed: Path, tmp_path: Path) -> None:
    """Every span has an end and its parent, all is pending; a second recovery finds nothing."""
    root = _copy(killed, tmp_path)
    would = json.loads(_agentlog(tmp_path, "recover", "--dry-run", "--json").stdout)
    done = _agentlog(tmp_path, "recover", "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert said["tasks"] == would["tasks"]
    assert {task["what"] for task in said["tasks"]} == {"repaired"}
    assert _agentlog(tmp_path, "recover", "--all").stdout.startswith("Closed 0 tasks; looked at ")
    _check_trace(root, said["tasks"])


@pytest.mark.collector
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_the_collector_has_the_whole_tree_of_the_killed_demo(
    killed: Path, tmp_path: Path, otelcol_binary: Path, protocol: str
) -> None:
    """Recovered while the collector is away, shipped when it is back: every span and log record once, parents and outcomes."""
    root = _copy(killed, tmp_path)
    assert _agentlog(tmp_path, "recover").returncode == 0
    away = _agentlog(tmp_path, "ship", "--endpoint", "http://127.0.0.1:9", "--protocol", protocol, "--json")
    assert away.returncode == 1
    assert json.loads(away.stdout)["delivered"] == 0
    with Collector(otelcol_binary, tmp_path / "collector") as collector:
        endpoint = collector.grpc_endpoint if protocol == "grpc" else collector.http_endpoint
        done = _agentlog(tmp_path, "ship", "--endpoint", endpoint, "--protocol", protocol, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        again = _agentlog(tmp_path, "ship", "--endpoint", endpoint, "--protocol", protocol, "--json")
        assert json.loads(again.stdout)["delivered"] == 0
        wanted = recorded_ids(root)
        collector.wait_for(lambda it: len(it.spans()) + len(it.log_records()) >= len(wanted), timeout_s=60)
        spans, logs = collector.spans(), collector.log_records()
    got = [str(span["span_id"]) for span in spans] + [str(log["attributes"]["log.record.uid"]) for log in logs]
    assert sorted(got) == sorted(wanted)
    _check_tree(spans)
    delivery = [(task.metadata() or {})["delivery"] for task in list_tasks(root)]
    assert sum(each["delivered"] for each in delivery) == sum(each["recorded"] for each in delivery) == len(wanted)


def _check_tree(spans: list[dict[str, Any]]) -> None:
    """One trace, one root, every parent there, and what the kill interrupted says so."""
    ids = {span["span_id"] for span in spans}
    assert len({span["trace_id"] for span in spans}) == 1
    assert len([span["name"] for span in spans if not span.get("parent_span_id")]) == 1
    assert [span["name"] for span in spans if span.get("parent_span_id") and span["parent_span_id"] not in ids] == []
    interrupted = [span for span in spans if span["attributes"].get("agentlog.outcome") == "interrupted"]
    assert len(interrupted) >= 3
    assert all(span["end_time_ns"] >= span["start_time_ns"] for span in spans)


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
    start = ["-c", program, root]
    with PYTHON.start([*start, "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        running.stdout.readline()
        held = _agentlog(tmp_path, "recover")
        assert "left alone: its process is alive" in held.stdout
        assert held.stdout.startswith("Closed 0 tasks; looked at 1 task below ")
        running.communicate()
    PYTHON.run([*start, "die"], timeout=TIMEOUT_S)

    assert _agentlog(tmp_path, "recover", "--dry-run", "task-one").stdout.startswith("Would close 1 task with 2 spans; ")
    closed = _agentlog(tmp_path, "recover", "one")
    assert closed.stdout.splitlines()[0].startswith("Closed 1 task with 2 spans; looked at 1 task below ")
    assert "task-one" in closed.stdout
    assert "interrupted" in closed.stdout
    unknown = _agentlog(tmp_path, "recover", "nothing-like-it")
    assert unknown.returncode == 1
    assert "no task 'nothing-like-it'" in unknown.stderr
