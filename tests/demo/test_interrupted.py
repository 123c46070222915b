"""Ctrl-C in the middle: the worker ends tidily, the folder says so, no process is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_agentlog.demo.__main__ import python_command
from otel_agentlog.store.validation.validate import validate
from tests.demo.running import TIMEOUT_S, Folder, Ran, command, environment, make_project
from tests.support.waiting import wait_until


def test_ctrl_c_while_a_process_still_starts_is_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt during the imports shows no traceback."""
    (tmp_path / "interrupted_import.py").write_text("raise KeyboardInterrupt\n")
    monkeypatch.syspath_prepend(tmp_path)

    done = subprocess.run(python_command("interrupted_import"), capture_output=True, text=True)

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def _to_the_process(gateway: subprocess.Popen[str]) -> None:
    gateway.send_signal(signal.SIGINT)


def _to_the_terminals_group(gateway: subprocess.Popen[str]) -> None:
    os.killpg(gateway.pid, signal.SIGINT)


def _running_in(root: Path, action: str) -> Folder | None:
    """The task's folder as soon as it has a line of this action."""
    for path in root.glob("*/03-agent-output.jsonl"):
        if f'"action":"{action}"' in path.read_text():
            return Folder(path.parent)
    return None


@pytest.mark.parametrize("interrupt", [_to_the_process, _to_the_terminals_group])
def test_ctrl_c_ends_the_task_as_interrupted(tmp_path: Path, interrupt: Callable[[subprocess.Popen[str]], None]) -> None:
    """Every open span ends as interrupted, the result is written, and the exit code is a shell's for Ctrl-C."""
    root = tmp_path / "tasks"
    gateway = subprocess.Popen(
        command(make_project(tmp_path / "project"), "--root", root, "--slow", "--json"),
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with gateway:
        wait_until(lambda: _running_in(root, "api_request_sent"), "the agent to work", timeout_s=60)
        interrupt(gateway)
        out, err = gateway.communicate(timeout=TIMEOUT_S)

    ran = Ran(gateway.returncode, out, err, root)
    ended = {line["type"]: line["outcome"] for line in ran.main.events if line.get("phase") == "end"}
    pids = [line["pid"] for line in ran.main.of_type("process")]
    assert (ran.code, ran.main.final["outcome"], ran.main.final["success"]) == (130, "interrupted", False), err
    assert ran.main.metadata["status"] == "interrupted"
    stopped = ("ai_response", "step", "task", "queue_pickup")
    assert ended == {"webhook": "completed", "queue_push": "completed", **dict.fromkeys(stopped, "interrupted")}
    assert [problem for folder in ran.folders for problem in validate(folder.path).problems] == []
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert list((tmp_path / "scratch").iterdir()) == []
    assert "Traceback" not in err
