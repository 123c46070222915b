"""The monitor in a real terminal, following and steering an agent of another process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import otel_agentlog as agentlog
from tests.support.tmux import DEADLINE_S, Terminal
from tests.support.waiting import wait_until

AGENT = Path(__file__).with_name("agent.py")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A root in which an agent is at work."""
    root = tmp_path / "tasks"
    agent = subprocess.Popen([sys.executable, str(AGENT), str(root)], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: (root / "watched" / "metadata.json").exists(), "the agent to begin", timeout_s=DEADLINE_S)
        yield root
    finally:
        agent.kill()
        agent.wait()


def _monitor(root: Path, *more: str, columns: int = 80, rows: int = 24) -> Terminal:
    return Terminal([sys.executable, "-m", "otel_agentlog", "monitor", "--root", str(root), *more], columns, rows)


def _status(root: Path) -> str:
    return str(json.loads((root / "watched" / "metadata.json").read_text())["status"])


@pytest.mark.timeout(300)
def test_all_six_commands_work_on_a_running_agent(root: Path) -> None:
    """pause, resume, context, details, a step's log, help and cancel, at 80x24 and 200x50; nothing in a name acts."""
    terminal = _monitor(root, "watched")
    try:
        screen = terminal.wait_for(lambda s: "Watch me" in s and "working" in s and "work" in s, "the monitor")
        assert "evil red name" in screen
        assert "\x1b" not in screen
        assert max(map(len, screen.splitlines())) <= 80

        terminal.type("pause have a look")
        terminal.wait_for(lambda s: "paused" in s.splitlines()[0], "the header to say paused")
        assert _status(root) == "paused"

        terminal.type("context be brief")
        terminal.type("resume")
        terminal.wait_for(lambda s: "running" in s.splitlines()[0], "the header to say running")
        terminal.wait_for(lambda s: "I was told: be brief" in s, "the agent's answer")

        terminal.type("details")
        terminal.wait_for(lambda s: "ai model-x" in s and "tool Read" in s, "what ran")
        terminal.type("details")
        terminal.wait_for(lambda s: "ai model-x" not in s, "steps alone")
        terminal.type("details plan")
        terminal.wait_for(lambda s: "log of plan" in s and "ai model-x" in s, "the step with what ran in it")
        terminal.type("details nowhere")
        terminal.wait_for(lambda s: "no part 'nowhere'" in s, "a word about a step that is not there")
        terminal.type("plan")
        terminal.wait_for(lambda s: "log of plan" in s and "model-x" in s, "the step's log")
        terminal.type("search needle")
        terminal.wait_for(lambda s: "1 line with 'needle'" in s, "what was looked for")
        terminal.type("help")
        terminal.wait_for(lambda s: "context TEXT: tell the agent more" in s, "help")
        terminal.type("nonsense")
        terminal.wait_for(lambda s: "there is no 'nonsense'" in s, "a word about nonsense")

        terminal.resize(200, 50)
        terminal.wait_for(lambda s: any("1 ✓ plan" in line and "│ log" in line for line in s.splitlines()), "the wide screen")
        terminal.resize(40, 10)
        terminal.wait_for(lambda s: "Watch me" in s, "a tiny screen")

        terminal.type("cancel enough")
        terminal.wait_for(lambda s: "cancelled" in s.splitlines()[0], "the header to say cancelled")
        final = json.loads((root / "watched" / "04-final-result.json").read_text())
        assert final["outcome"] == "cancelled"
    finally:
        terminal.close()


@pytest.mark.timeout(300)
def test_all_tasks_are_listed_searched_and_opened(root: Path) -> None:
    """The overview shows what runs; a search finds past logs; Enter opens the task, Escape leads back, quit ends it."""
    terminal = _monitor(root, columns=100)
    try:
        terminal.wait_for(lambda s: "1 running" in s and "Watch me" in s, "the overview")
        terminal.type("search needle")
        terminal.wait_for(lambda s: "tasks with 'needle'" in s and "Watch me" in s, "what was found")
        terminal.type("search nosuchwordanywhere")
        terminal.wait_for(lambda s: "Watch me" not in s, "nothing found")
        terminal.type("search")
        terminal.wait_for(lambda s: "Watch me" in s, "all again")
        terminal.key("Enter")
        terminal.wait_for(lambda s: "log of" in s, "the task")
        terminal.key("Escape")
        terminal.wait_for(lambda s: "1 running" in s, "the overview again")
        terminal.type("quit")
        terminal.wait_for(lambda s: "ended with 0" in s, "the end")
    finally:
        terminal.close()


@pytest.mark.timeout(300)
def test_all_six_commands_work_on_a_running_demo(tmp_path: Path) -> None:
    """The demo as users run it, in a process of its own, paused, told, resumed, looked into and cancelled from the monitor."""
    root = tmp_path / "tasks"
    command = [sys.executable, "-m", "otel_agentlog", "demo", "--slow", "--root", str(root), str(Path(__file__).parent)]
    demo = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
    try:
        (begun,) = wait_until(lambda: list(root.glob("*/03-agent-output.jsonl")), "the demo to begin", timeout_s=DEADLINE_S)
        folder = begun.parent
        terminal = _monitor(root, folder.name)
        try:
            terminal.wait_for(lambda s: "running" in s.splitlines()[0] and "plan" in s, "the monitor")
            terminal.type("pause")
            terminal.wait_for(lambda s: "paused" in s.splitlines()[0], "the header to say paused")
            terminal.type("context only the tests matter")
            terminal.type("resume")
            terminal.wait_for(lambda s: "running" in s.splitlines()[0], "the header to say running")
            terminal.type("details")
            terminal.wait_for(lambda s: "ai agentlog-offline" in s, "what ran")
            terminal.type("step 1")
            terminal.wait_for(lambda s: "log of plan" in s, "the first step's log")
            terminal.type("cancel")
            terminal.wait_for(lambda s: "cancelled" in s.splitlines()[0], "the header to say cancelled")
        finally:
            terminal.close()
        assert demo.wait(timeout=DEADLINE_S) is not None
        assert json.loads((folder / "04-final-result.json").read_text())["outcome"] == "cancelled"
        assert "only the tests matter" in (folder / "control.jsonl").read_text()
    finally:
        demo.kill()
        demo.wait()


@pytest.mark.timeout(300)
def test_the_list_fits_after_each_change_of_size(tmp_path: Path) -> None:
    """Names are readable at 80, 200 and 50 columns; ? is help; an agent's tasks alone; why a task failed is said."""
    root = tmp_path / "tasks"
    agentlog.configure(directory=root, log_directory=tmp_path / "logs", console="off", capture_logging=False)
    name = "Review PR 4711: the retry budget of the delivery worker is spent"
    with agentlog.task("検証する: 日本語の長い名前のタスクを端末で読む", agent="Reader", model="model-x"):
        pass
    with suppress(ValueError), agentlog.task(name, agent="Planner", model="model-x"), agentlog.task("inner"):
        raise ValueError("the verdict is missing")
    agentlog.shutdown()
    terminal = _monitor(root)
    try:
        shown = terminal.wait_for(lambda s: "retry" in s, "the list")
        assert name[:27] in shown
        terminal.resize(200, 24)
        terminal.wait_for(lambda s: name in s and "AGENT" in s and "MODEL" in s and "↳ inner" in s, "the whole name")
        terminal.resize(50, 24)
        shown = terminal.wait_for(lambda s: "AGENT" not in s and name[:25] in s and name not in s, "less of it")
        assert max(map(len, shown.splitlines())) <= 50
        terminal.resize(120, 24)
        terminal.key("?")
        terminal.wait_for(lambda s: "agent NAME: only tasks of this agent" in s and "signs:" in s, "help")
        terminal.key("Enter")
        terminal.type("agent reader")
        terminal.wait_for(lambda s: "agent Reader" in s and "retry" not in s, "the tasks of one agent")
        terminal.type("agent nobody")
        terminal.wait_for(lambda s: "there is no agent 'nobody'" in s and "Planner" in s, "who there is")
        terminal.type("agent")
        terminal.wait_for(lambda s: "retry" in s, "all again")
        terminal.type("failed")
        terminal.wait_for(lambda s: "ValueError: the verdict is missing" in s, "why the marked one failed")
        terminal.type(f"open {next(path.name for path in root.iterdir() if name in _metadata(path))}")
        terminal.wait_for(lambda s: "ValueError: the verdict is missing" in "".join(s.splitlines()[:3]), "why it failed, on top")
    finally:
        terminal.close()


def _metadata(folder: Path) -> str:
    path = folder / "metadata.json"
    return str(json.loads(path.read_text())["name"]) if path.exists() else ""


STREAMING = """
import sys, time
import otel_agentlog as agentlog
agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + "-logs", console="off")
with agentlog.task("Streams", task_id="streams") as task, agentlog.step("talk"):
    with agentlog.ai_call("m"):
        for word in "the retry budget of this request was spent before the answer came".split():
            task.output(word + " ", stream=True)
        sys.stdin.readline()
    agentlog.get_logger("l").info("a long line " + "word " * 60 + "end")
    sys.stdin.readline()
"""


@pytest.mark.timeout(300)
def test_a_text_that_comes_in_chunks_is_one_text(tmp_path: Path) -> None:
    """While it grows below the log, then in it; a long line is seen whole on request."""
    root = tmp_path / "tasks"
    agent = subprocess.Popen([sys.executable, "-c", STREAMING, str(root)], stdin=subprocess.PIPE, text=True)
    assert agent.stdin is not None
    try:
        wait_until(lambda: (root / "streams" / "metadata.json").exists(), "the agent to begin", timeout_s=DEADLINE_S)
        terminal = _monitor(root, "streams")
        try:
            shown = terminal.wait_for(lambda s: "before the answer" in " ".join(s.split()), "the text")
            assert sum(" output " in line for line in shown.splitlines()) == 1
            agent.stdin.write("\n")
            agent.stdin.flush()
            shown = terminal.wait_for(lambda s: "a long line" in s, "the log line")
            assert sum(" output " in line for line in shown.splitlines()) == 1
            assert "word end" not in shown
            terminal.key("F2")
            terminal.wait_for(lambda s: "word end" in s and "answer came" in " ".join(s.split()), "whole lines")
        finally:
            terminal.close()
    finally:
        agent.kill()
        agent.communicate()
