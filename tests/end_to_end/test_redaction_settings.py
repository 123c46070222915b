"""What the settings say about redaction holds from the first record on, and what they switch off is told."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import otel_agentlog as agentlog
from tests.support.app_logs import whole_log

LONGEST_S = 60.0


def _configure(root: Path, **settings: Any) -> None:
    agentlog.configure(
        service_name="redaction",
        directory=root / "tasks",
        log_directory=root / "logs",
        console="off",
        recover_on_start=False,
        handle_signals=False,
        **settings,
    )


def _log(root: Path) -> str:
    agentlog.shutdown()
    return whole_log(root / "logs")


def test_rules_that_are_switched_off_are_logged(tmp_path: Path) -> None:
    """Whoever reads the application log sees which secrets it may hold."""
    _configure(tmp_path, redaction_unmask=["jwt", "card-number"])

    assert "redaction rules switched off by redaction_unmask: card-number, jwt" in _log(tmp_path)


def test_nothing_is_said_while_all_rules_are_on(tmp_path: Path) -> None:
    """A warning that is always there is read by nobody."""
    _configure(tmp_path)

    assert "switched off" not in _log(tmp_path)


def test_personal_data_goes_where_the_setting_asks_for_it(tmp_path: Path) -> None:
    """The setting reaches every home: here the task's folder."""
    _configure(tmp_path, redaction_pii=["email"])
    with agentlog.task("mail", task_id="mail", input={"to": "kim@example.com", "from": "203.0.113.7"}):
        pass
    agentlog.shutdown()
    folder = "".join(path.read_text() for path in (tmp_path / "tasks" / "mail").glob("*.json*"))

    assert "kim@example.com" not in folder
    assert "[redacted:email]" in folder
    assert "203.0.113.7" in folder


def test_the_rules_are_made_ready_in_the_background(tmp_path: Path) -> None:
    """The thread that compiles them ends by itself and leaves an engine that works."""
    _configure(tmp_path)
    deadline = time.monotonic() + LONGEST_S
    while any(thread.name == "agentlog-redaction" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with agentlog.task("after", task_id="after") as task:
        task.output("password=x1y2z3")
    agentlog.shutdown()

    assert "x1y2z3" not in (tmp_path / "tasks" / "after" / "03-agent-output.jsonl").read_text()


SHORT_PROGRAM = """
import sys, threading
import otel_agentlog as agentlog
from otel_agentlog.record.redaction import engine
compiled = []
compile_one = engine.compiled
engine.compiled = lambda pattern, **options: compiled.append(pattern) or compile_one(pattern, **options)
from otel_agentlog.wiring import setup
setup._COMPILE_AFTER_S = 60.0
agentlog.configure(directory=sys.argv[1], console="off", capture_logging=False)
(thread,) = [each for each in threading.enumerate() if each.name == "agentlog-redaction"]
with agentlog.task("short", input={"text": "hello"}) as task:
    task.output("no secret")
agentlog.configure(directory=sys.argv[1], console="off", capture_logging=False)
thread.join(30)
print(thread.is_alive(), len(compiled))
"""


def test_a_short_program_compiles_what_it_needs(tmp_path: Path) -> None:
    """That is the one search which all its texts pass without a candidate; and the thread waits for nobody's end."""
    done = subprocess.run([sys.executable, "-c", SHORT_PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=60)

    assert (done.stdout, done.stderr) == ("False 0\n", "")


FORKS_AT_ONCE = """
import os, sys
import otel_agentlog as agentlog
root = sys.argv[1]
for number in range(8):
    agentlog.configure(directory=root, log_directory=root + "/.logs", console="off", recover_on_start=False)
    child = os.fork()
    if child == 0:
        with agentlog.task("child", task_id=f"child-{number}") as task:
            task.output(f"password=x1y2z3 {number}")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


def test_children_forked_and_processes_ended_meanwhile_are_not_harmed(tmp_path: Path) -> None:
    """A fork or an exit right after `configure`, while the rules compile, neither hangs nor aborts."""
    ended = subprocess.run(
        [sys.executable, "-c", FORKS_AT_ONCE, str(tmp_path)], capture_output=True, text=True, timeout=LONGEST_S, check=False
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    for number in range(8):
        text = (tmp_path / f"child-{number}" / "03-agent-output.jsonl").read_text()
        assert "x1y2z3" not in text
        assert f"] {number}" in text
