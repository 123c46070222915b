"""A small program that records and ends: ``delivery_app.py ROOT TASKS [kill|slow]``; run by the tests in a process of its own.

Prints one JSON line when the last task has ended, so that the time until the process is gone can be told from outside.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import otel_agentlog as agentlog

LOGS = 2


def record(tasks: int) -> None:
    """As many tasks, each with a step, two log lines and an error."""
    log = agentlog.get_logger("delivery", "agent")
    for number in range(tasks):
        with agentlog.task(f"task {number}"), agentlog.step("work"):
            for line in range(LOGS):
                log.info("at work", line=line)
            try:
                with agentlog.tool("Read", arguments={"path": "a"}):
                    raise OSError("no such file")
            except OSError:
                pass


def main(argv: list[str]) -> None:
    root, tasks, how = argv[1], int(argv[2]), (argv[3:] or ["end"])[0]
    began = time.monotonic()
    agentlog.configure(
        service_name="delivery",
        directory=root,
        log_directory=Path(root).parent / "logs",
        console="off",
        capture_logging=False,
        send_delay_s=0.05,
    )
    record(tasks)
    print(json.dumps({"took_s": time.monotonic() - began, "flushed": how == "flush" and agentlog.flush().__dict__}), flush=True)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "wait":
        sys.stdin.readline()


if __name__ == "__main__":
    main(sys.argv)
