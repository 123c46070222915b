"""Alerts end to end: a real agent, a real watcher in another process, a real webhook receiver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.query import RULES, Alert
from otel_agentlog.record.recorder import recorder
from otel_agentlog.testing import record_in
from otel_agentlog.view.notify import Notifier
from otel_agentlog.wiring import alerting
from tests.support.app_logs import whole_log
from tests.support.waiting import wait_until

QUICK = {**dict.fromkeys(RULES, False), "error_rate_percent": {"threshold": 10, "window_s": 3, "at_least": 1}}
"""One rule alone: it depends on the machine how many failures it takes until one is seen, and many are too many a minute, too."""


class Receiver:
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        got = self.got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"json://127.0.0.1:{self._server.server_address[1]}/hook"

    def titles(self) -> list[str]:
        return [message["title"] for message in self.got]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def _fail_once() -> None:
    with agentlog.task("agent"):
        try:
            with agentlog.tool("fetch"):
                raise ValueError("no")
        except ValueError:
            pass


def test_a_watcher_tells_the_webhook_that_it_is_bad_and_that_it_is_over(tmp_path: Path, receiver: Receiver) -> None:
    """`agentlog alerts --watch` reads what another process records; fires, and recovers when the window is past."""
    root = tmp_path / "tasks"
    (tmp_path / "agentlog.yaml").write_text(json.dumps({"alerts": QUICK}))
    command = [sys.executable, "-m", "otel_agentlog", "alerts", "--watch", "--interval", "0.2", "--root", str(root)]
    watcher = subprocess.Popen(
        [*command, "--json", "--notify", receiver.url, "--allow-internal"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        env={**os.environ, "AGENTLOG_CONFIG": str(tmp_path / "agentlog.yaml")},
    )
    try:
        agentlog.configure(directory=root, log_directory=tmp_path, console="off")

        def told() -> bool:
            if "Critical: error rate percent" not in receiver.titles():
                _fail_once()  # until it is seen: the watcher tells only what comes after its start
            return "Ended: error rate percent" in receiver.titles()

        wait_until(told, "the webhook to hear that it is over", timeout_s=60)
    finally:
        watcher.terminate()
        said, _ = watcher.communicate(timeout=30)
    alerts = [json.loads(line) for line in said.splitlines()]
    assert [(alert["type"], alert["resolved"]) for alert in alerts[:2]] == [
        ("error_rate_percent", False),
        ("error_rate_percent", True),
    ]
    assert "executions failed" in receiver.got[0]["message"]


def test_a_process_watches_itself(tmp_path: Path, receiver: Receiver) -> None:
    """With rules given, callbacks hear of it, a notifier tells the webhook, and the application log has the event."""
    heard: list[Alert] = []
    take_back = [agentlog.register_alert_callback(heard.append)]
    notifier = Notifier([receiver.url], allow_internal=True)
    take_back.append(agentlog.register_alert_callback(notifier))
    take_back.append(agentlog.register_alert_callback(lambda alert: 1 / 0))
    try:
        agentlog.configure(
            service_name="svc", directory=tmp_path / "tasks", log_directory=tmp_path / "logs", console="off", alerts=QUICK
        )

        def told() -> bool:
            if not heard:
                _fail_once()  # until it is seen: a thread that gets no processor for three seconds looks past the window
            return [alert.resolved for alert in heard] == [False, True]

        wait_until(told, "both notices", timeout_s=60)
        wait_until(lambda: len(receiver.got) == 2, "the webhook to have both", timeout_s=60)
        assert agentlog.active_alerts() == []
    finally:
        for each in take_back:
            each()
        agentlog.shutdown()
        notifier.close()
    log = whole_log(tmp_path / "logs")
    assert "alert_raised" in log
    assert "alert_resolved" in log


def test_a_task_that_spent_its_budget_is_asked_to_stop(tmp_path: Path) -> None:
    """A budget with ``stop`` cancels the task at its next checkpoint, by a control request of its own."""
    root = tmp_path / "tasks"
    budget = {"task_tokens": {"threshold": 100, "action": "stop"}}
    agentlog.configure(directory=root, log_directory=tmp_path, console="off", alerts=budget)

    def spend() -> bool:
        with agentlog.ai_call("m", provider="p") as call:
            call.usage(input_tokens=60, output_tokens=1)
        task.checkpoint()
        return False

    try:
        with pytest.raises(agentlog.TaskCancelled), agentlog.task("greedy", task_id="greedy") as task:
            wait_until(spend, "the budget to be noticed", timeout_s=60)
    finally:
        agentlog.shutdown()
    final = json.loads((root / "greedy" / "04-final-result.json").read_text())
    assert final["outcome"] == "cancelled"
    assert '"source":"alert"' in (root / "greedy" / "control.jsonl").read_text()


AT_THE_END = """
import sys
import otel_agentlog as agentlog

rule = {"error_rate_percent": {"threshold": 10, "window_s": 60, "at_least": 1}}
agentlog.register_alert_callback(lambda alert: print(alert.type, flush=True))
agentlog.configure(directory=sys.argv[1] + "/tasks", log_directory=sys.argv[1], console="off", alerts=rule)
try:
    with agentlog.task("bad"):
        raise ValueError("no")
except ValueError:
    pass
"""


def test_what_happens_last_is_looked_at(tmp_path: Path) -> None:
    """A program that ends right after a failure, without a shutdown of its own."""
    command = [sys.executable, "-c", AT_THE_END, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)

    assert "error_rate_percent" in done.stdout.split(), done.stderr


def test_alerts_go_on_behind_recorded_tests(tmp_path: Path) -> None:
    """What is in force meanwhile has alerts of its own; afterwards there is one again that evaluates, and calls reach it."""
    rule = {"error_rate_percent": {"threshold": 101, "window_s": 60, "at_least": 1}}
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path, console="off", alerts=rule)
    try:
        sinks = [getattr(sink, "name", "") for sink in recorder().sinks].count("alerts")
        with record_in(tmp_path / "inner"):
            agentlog.set_alert_threshold("error_rate_percent", {"threshold": 102})
        agentlog.set_alert_threshold("error_rate_percent", {"threshold": 10})
        assert [getattr(sink, "name", "") for sink in recorder().sinks].count("alerts") == sinks == 1
        _fail_once()
        wait_until(agentlog.active_alerts, "the alert", timeout_s=60)
    finally:
        agentlog.shutdown()
        alerting._thresholds.clear()


PROGRAM = """
import sys, threading
import otel_agentlog as agentlog

told = threading.Event()

def fail():
    try:
        with agentlog.task("bad"):
            raise ValueError("no")
    except ValueError:
        pass

def ask_for_alerts():
    agentlog.set_alert_threshold("error_rate_percent", {"threshold": 10, "window_s": 60, "at_least": 1})
    agentlog.register_alert_callback(lambda alert: told.set())

if sys.argv[2] == "before":
    ask_for_alerts()
agentlog.configure(directory=sys.argv[1] + "/tasks", log_directory=sys.argv[1], console="off")
print("otel_agentlog.query.alerts.watch" in sys.modules)
for _ in range(2):  # the second time after a shutdown, which takes nothing back
    if sys.argv[2] != "before" and not told.is_set():
        ask_for_alerts()
    fail()
    print(told.wait(60), [alert.type for alert in agentlog.active_alerts()])
    told.clear()
    agentlog.shutdown()
    print(agentlog.active_alerts())
    if _ == 0:
        agentlog.configure(directory=sys.argv[1] + "/more", log_directory=sys.argv[1], console="off")
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_alerts_may_be_called_for_before_and_after(when: str, tmp_path: Path) -> None:
    """Without the setting, what evaluates them is not even imported until then."""
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), when]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)

    raised = "True ['error_rate_percent']"
    assert done.stdout.splitlines() == [str(when == "before"), raised, "[]", raised, "[]"], done.stderr
