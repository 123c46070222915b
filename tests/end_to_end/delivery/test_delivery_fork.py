"""Forks while a process sends: no request is broken, nothing is sent twice, and the children's records arrive, too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from tests.support.delivered import receipts, received_ids, recorded_ids

CHILDREN = 12

PROGRAM = f"""
import os, sys, threading
import otel_agentlog as agentlog
agentlog.configure(
    directory=sys.argv[1], log_directory=sys.argv[1] + "-l", console="off", send_delay_s=0.01, batch_size=8,
    shutdown_timeout_s=30.0, catch_up_days=0,
)
log = agentlog.get_logger("fork")
stop = threading.Event()

def busy(number):
    while not stop.is_set():
        with agentlog.task(f"parent {{number}}"):
            for line in range(20):
                log.info("at work", line=line)
            stop.wait(0.01)

# The first child is forked while the exporter is being imported, the others while it sends.
with agentlog.task("first"):
    log.info("begin")
threads = [threading.Thread(target=busy, args=(number,)) for number in range(2)]
for thread in threads:
    thread.start()
children = []
for number in range({CHILDREN}):
    pid = os.fork()
    if pid == 0:
        with agentlog.task(f"child {{number}}", task_id=f"child-{{number}}"), agentlog.step("work"):
            log.info("in child")
        receipt = agentlog.shutdown()
        os._exit(0 if receipt.pending == 0 else 1)
    children.append(pid)
    stop.wait(0.05)
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
stop.set()
for thread in threads:
    thread.join()
agentlog.shutdown()
print(codes)
"""


def test_children_deliver_what_they_recorded(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """The receiver understood every request, and has every item of parent and children once."""
    root = tmp_path / "tasks"
    env = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_receiver.http_endpoint,
        "OTEL_METRICS_EXPORTER": "none",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(root)], env=env, capture_output=True, text=True, timeout=110, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{[0] * CHILDREN}\n"
    got = received_ids(otlp_receiver)
    assert set(got) == recorded_ids(root)
    assert max(got.values()) == 1
    assert receipts(root)["pending"] == 0
    assert len([path for path in root.glob("child-*") if path.is_dir()]) == CHILDREN
