"""Tasks that the sampler left out are sent after all, whole, when they turn out to be worth it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from otel_agentlog.view.cli import main as cli
from tests.support.delivered import receipts, received_ids, recorded_ids
from tests.support.waiting import wait_until

PROGRAM = """
import os, signal, sys
import otel_agentlog as agentlog
keep = eval(sys.argv[2])
agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + "-l", console="off", service_name="sampled", **keep)
log = agentlog.get_logger("sampled")
with agentlog.task("plain", task_id="plain"), agentlog.step("work"):
    log.info("fine")
with agentlog.task("dear", task_id="dear"), agentlog.ai_call("some-model", provider="someone") as call:
    call.usage(input_tokens=1, output_tokens=1, cost_usd=2.5)
try:
    with agentlog.task("failed", task_id="failed"), agentlog.step("work"):
        log.info("about to fail")
        raise ValueError("no")
except ValueError:
    pass
if len(sys.argv) > 3:
    task = agentlog.task("killed", task_id="killed").start()
    log.info("and then")
    os.kill(os.getpid(), signal.SIGKILL)
"""
OFF = {"OTEL_TRACES_SAMPLER": "always_off"}


def _run(root: Path, receiver: OtlpReceiver, keep: dict[str, Any], *more: str, sampler: dict[str, str] = OFF) -> None:
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint, "AGENTLOG_SHUTDOWN_TIMEOUT": "30", **sampler}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(root), repr(keep), *more],
        env=env,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == (-9 if more else 0), done.stderr


def _whole(root: Path, *names: str) -> set[str]:
    """The ids of all items of these tasks."""
    return {found for found in recorded_ids(root) if any(found in _of(root, name) for name in names)}


def _of(root: Path, name: str) -> str:
    return (root / name / "03-agent-output.jsonl").read_text() + "".join(
        f"{name}/{line['event_id']} {name}/{line['event_id']}#exception " for line in TaskReader(root / name).events()
    )


def _ledger(root: Path, name: str) -> str:
    path = root / name / ".delivery.jsonl"
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize(
    ("keep", "sent", "why"),
    [
        ({}, {"failed"}, "failed"),
        ({"keep_failed": False}, set(), ""),
        ({"keep_failed": False, "keep_slow_s": 0}, {"plain", "dear", "failed"}, "slow"),
        ({"keep_failed": False, "keep_slow_s": 3600}, set(), ""),
        ({"keep_failed": False, "keep_cost_usd": 2.5}, {"dear"}, "cost"),
        ({"keep_failed": False, "keep_cost_usd": 2.6}, set(), ""),
    ],
)
def test_rules_decide_when_a_task_ends(
    otlp_receiver: OtlpReceiver, tmp_path: Path, keep: dict[str, Any], sent: set[str], why: str
) -> None:
    """With the sampler at 0: those that failed, were slow or cost too much arrive whole, all others count as dropped."""
    root = tmp_path / "tasks"
    _run(root, otlp_receiver, keep)

    got = received_ids(otlp_receiver)
    assert set(got) == _whole(root, *sent)
    assert not got or max(got.values()) == 1
    for task in list_tasks(root):
        delivery = (task.metadata() or {})["delivery"]
        kept = task.task_id in sent
        assert delivery["delivered" if kept else "dropped"] == delivery["recorded"] > 0
        assert (f'"kept":"{why}"' in _ledger(root, task.task_id)) == kept
        assert ('"reason":"sampled"' in _ledger(root, task.task_id)) != kept


def test_naming_a_task_sends_it_whatever_was_decided(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """``agentlog ship TASK`` is asked for by a person; without a name what was left out stays left out."""
    root = tmp_path / "tasks"
    _run(root, otlp_receiver, {"keep_failed": False})

    where = ["--root", str(root), "--endpoint", otlp_receiver.http_endpoint]
    assert cli.main(["ship", *where]) == 0
    assert received_ids(otlp_receiver) == {}
    assert cli.main(["ship", "plain", *where]) == 0
    assert set(received_ids(otlp_receiver)) == _whole(root, "plain")
    assert (TaskReader(root / "plain").metadata() or {})["delivery"]["pending"] == 0


def test_a_sampled_out_task_of_a_dead_process_is_decided_by_the_next(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Killed before it could decide: the next process closes the task as interrupted, and sends it for that."""
    root = tmp_path / "tasks"
    _run(root, otlp_receiver, {"keep_failed": True}, "kill")
    assert cli.main(["recover", "--root", str(root)]) == 0
    assert cli.main(["ship", "--root", str(root), "--endpoint", otlp_receiver.http_endpoint]) == 0

    assert _whole(root, "killed") | _whole(root, "failed") == set(received_ids(otlp_receiver))
    assert receipts(root)["pending"] == 0


def test_what_is_left_out_stays_out_when_there_is_no_room_for_it(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A full queue changes nothing of what the sampler said."""
    program = """
import sys
import otel_agentlog as agentlog
agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + "-l", console="off", queue_size=1, keep_failed=False)
log = agentlog.get_logger("sampled")
with agentlog.task("plain", task_id="plain"):
    for number in range(2000):
        log.info("fine", number=number)
"""
    root = tmp_path / "tasks"
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_receiver.http_endpoint, **OFF}
    subprocess.run([sys.executable, "-c", program, str(root)], env=env, timeout=90, check=True)

    wait_until(lambda: receipts(root).get("dropped") == 2001, "the receipt", timeout_s=30)
    assert otlp_receiver.spans() == otlp_receiver.log_records() == []
    assert receipts(root)["pending"] == 0
