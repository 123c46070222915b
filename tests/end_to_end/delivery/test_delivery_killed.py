"""A process that is killed while it sends: what it noted as delivered has arrived, and what it could not note arrives again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from otel_agentlog.store.folder.reader import list_tasks
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from otel_agentlog.view.cli import main as cli
from tests.support.delivered import receipts, received_ids, recorded_ids

KILLS = 4
BATCH = 16

BEGIN = f"""
import sys
import otel_agentlog as agentlog
agentlog.configure(
    directory=sys.argv[1], log_directory=sys.argv[1] + "-l", console="off", send_delay_s=0.0, batch_size={BATCH},
    recover_on_start=False, catch_up_days=0,
)
log = agentlog.get_logger("killed")
"""

IN_TURN = """
while True:
    with agentlog.task("t"), agentlog.step("s"):
        for line in range(20):
            log.info("at work", line=line)
"""

AT_A_TIME = """
import asyncio
async def work():
    while True:
        with agentlog.task("t"), agentlog.step("s"):
            for line in range(20):
                log.info("at work", line=line)
                await asyncio.sleep(0)
async def together():
    await asyncio.gather(*(work() for _ in range(50)))
asyncio.run(together())
"""


def _run_and_kill(program: str, root: Path, receiver: OtlpReceiver, after: int) -> None:
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint, "OTEL_METRICS_EXPORTER": "none"}
    with subprocess.Popen([sys.executable, "-c", BEGIN + program, str(root)], env=env) as process:
        before = len(receiver.spans()) + len(receiver.log_records())
        receiver.wait_for(lambda it: len(it.spans()) + len(it.log_records()) >= before + after, timeout_s=60)
        process.send_signal(signal.SIGKILL)
        process.wait(30)


@pytest.mark.parametrize("program", [IN_TURN, AT_A_TIME], ids=["one task", "fifty tasks"])
def test_what_is_noted_has_arrived_and_what_is_not_arrives_again(
    otlp_receiver: OtlpReceiver, tmp_path: Path, program: str
) -> None:
    """Killed at any moment, several times: nothing is missing in the end, and few items came twice."""
    root = tmp_path / "tasks"
    for number in range(KILLS):
        _run_and_kill(program, root, otlp_receiver, 50 + 37 * number)
        noted = sum((task.metadata() or {}).get("delivery", {}).get("delivered", 0) for task in list_tasks(root))
        assert noted <= len(received_ids(otlp_receiver))
    assert cli.main(["recover", "--root", str(root)]) == 0
    assert cli.main(["ship", "--root", str(root), "--endpoint", otlp_receiver.http_endpoint]) == 0

    got, said = received_ids(otlp_receiver), receipts(root)
    assert set(got) == recorded_ids(root)
    assert sum(count - 1 for count in got.values()) <= KILLS * 2 * BATCH
    assert (said["pending"], said["delivered"]) == (0, said["recorded"])
