"""What a killed process could not send, the next one that starts sends by itself: recovered, whole, once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from tests.support.delivered import receipts, received_ids, recorded_ids

PROGRAM = """
import os, signal, sys, time
import otel_agentlog as agentlog
agentlog.configure(
    directory=sys.argv[1], log_directory=sys.argv[1] + "-l", console="off", service_name="next", capture_logging=False
)
log = agentlog.get_logger("next")
if sys.argv[2] == "die":
    for number in range(3):
        with agentlog.task(f"done {number}"):
            log.info("at work")
    with agentlog.task("open", task_id="open"):
        with agentlog.step("ended"):
            log.info("at work")
        with agentlog.step("open"):
            log.info("in the middle")
            os.kill(os.getpid(), signal.SIGKILL)
deadline = time.monotonic() + 60
while not os.path.exists(sys.argv[1] + "/open/04-final-result.json") and time.monotonic() < deadline:
    time.sleep(0.02)
while time.monotonic() < deadline and not os.path.exists(sys.argv[3]):
    time.sleep(0.02)
"""


def _start(root: Path, how: str, endpoint: str) -> subprocess.Popen[bytes]:
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRICS_EXPORTER": "none"}
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(root), how, str(root.parent / "stop")], env=env)


def test_the_next_process_closes_and_sends_what_a_killed_one_left(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """While it runs, without being asked: also the task that had to be closed first."""
    root = tmp_path / "tasks"
    with _start(root, "die", "http://127.0.0.1:9") as killed:
        assert killed.wait(60) == -9
    with _start(root, "live", otlp_receiver.http_endpoint) as following:
        otlp_receiver.wait_for(lambda it: len(it.spans()) >= 6 and len(it.log_records()) >= 5, timeout_s=60)
        (tmp_path / "stop").touch()
        assert following.wait(60) == 0

    got = received_ids(otlp_receiver)
    assert set(got) == recorded_ids(root)
    assert max(got.values()) == 1
    outcomes = {str(span["name"]): span["attributes"].get("agentlog.outcome") for span in otlp_receiver.spans()}
    assert outcomes["open"] == "interrupted"
    assert receipts(root)["pending"] == 0
