"""Two terminals: the demo runs slowly in one, and is paused, told more, resumed and cancelled from the other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.store.validation.validate import validate
from tests.demo.running import command, environment, make_project
from tests.support.waiting import wait_until

TIMEOUT_S = 90.0


class OtherTerminal:
    """Runs ``agentlog`` commands on the tasks of the demo."""

    def __init__(self, home: Path, root: Path) -> None:
        self._env, self._root = environment(home), root

    def say(self, *arguments: str) -> str:
        """What a command prints; it must succeed."""
        told = [sys.executable, "-m", "otel_agentlog", *arguments, "--root", str(self._root)]
        return subprocess.run(told, env=self._env, capture_output=True, text=True, check=True, timeout=TIMEOUT_S).stdout


def reviewing(root: Path) -> TaskReader | None:
    """The demo's own task, once its agent works."""
    for task in list_tasks(root):
        if (task.metadata() or {}).get("parent_task_id") is None and any(line["type"] == "step" for line in task.events()):
            return task
    return None


def paused_or(task: TaskReader) -> Any:
    return (task.metadata() or {}).get("status")


def test_two_terminals(tmp_path: Path) -> None:
    """Each request takes effect, is seen in ``agentlog tail``, and the task ends as cancelled."""
    root = tmp_path / "tasks"
    demo = subprocess.Popen(
        command(make_project(tmp_path / "project"), "--root", root, "--slow", "--json"),
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    other = OtherTerminal(tmp_path, root)
    with demo:
        try:
            task = wait_until(lambda: reviewing(root), "the demo's agent to work", timeout_s=TIMEOUT_S)
            said = [other.say("pause", "last", "--wait", "60", "--reason", "coffee")]
            assert paused_or(task) == "paused"
            said.append(other.say("context", "last", "mind the tests", "--wait", "60"))
            said.append(other.say("resume", "last", "--wait", "60"))
            wait_until(
                lambda: any(line.get("content") == "Noted: mind the tests" for line in task.events()),
                "the agent to take up what it was told",
                timeout_s=TIMEOUT_S,
            )
            said.append(other.say("cancel", "last", "--wait", "60", "--reason", "seen enough"))
            out, _ = demo.communicate(timeout=TIMEOUT_S)
        finally:
            demo.kill()

    assert [each.splitlines()[1] for each in said] == ["It is paused.", "The agent has it.", "It goes on.", "It was cancelled."]
    assert (demo.returncode, json.loads(out)["status"]) == (3, "cancelled")
    final = task.final_result() or {}
    assert (final["outcome"], final["success"]) == ("cancelled", False)
    tail = other.say("tail", task.task_id, "--lines", "all")
    for words in ("coffee", "running → paused", "mind the tests", "paused → running", "seen enough", "cancelled in"):
        assert words in tail, words
    assert [str(problem) for each in list_tasks(root) for problem in validate(each.folder).problems] == []


def test_what_was_added_stands_in_the_report(tmp_path: Path) -> None:
    """The agent uses what it was told in what it says at the end."""
    root = tmp_path / "tasks"
    program = (
        "import sys, otel_agentlog as agentlog\n"
        "from otel_agentlog.demo import agent, worker\n"
        "from otel_agentlog.tools import add_context\n"
        "run = agent.Reviewer.run\n"
        "def told(self, task):\n"
        "    add_context(task.folder, 'mind the tests')\n"
        "    return run(self, task)\n"
        "agent.Reviewer.run = told\n"
        "sys.exit(worker.main(sys.argv[1:]))\n"
    )
    job = tmp_path / "job"
    job.mkdir()
    settings = {"path": str(make_project(tmp_path / "project")), "message": "?", "provider": "offline", "slow": False}
    settings |= {"model": "agentlog-offline-demo", "seed": 0, "root": str(root)}
    (job / "job.json").write_text(json.dumps(settings))
    subprocess.run([sys.executable, "-c", program, str(job)], env=environment(tmp_path), check=True, timeout=TIMEOUT_S)

    (task,) = (each for each in list_tasks(root) if (each.metadata() or {})["parent_task_id"] is None)
    assert "**You added**\n\n- mind the tests\n" in (task.final_result() or {})["result"]
