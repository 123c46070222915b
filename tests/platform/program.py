"""An agent and the command line on one system: ``python tests/platform/program.py SYSTEM WHAT``.

SYSTEM is ``here``, or ``win32`` or ``darwin`` to simulate it. WHAT is ``record``, ``hang`` (record and never end), ``busy``
(while another program has files open for itself) or the words of an ``agentlog`` command. Settings come from the environment.
"""

from __future__ import annotations

# Not as on another system: what others import when they are first used.
import asyncio  # noqa: F401
import concurrent.futures.thread  # noqa: F401
import json
import multiprocessing  # noqa: F401
import os
import sqlite3  # noqa: F401
import subprocess  # noqa: F401
import sys
import tempfile  # noqa: F401
import time
from pathlib import Path
from typing import Any

import urllib3  # noqa: F401


def record(*, hang: bool) -> None:
    import otel_agentlog as agentlog

    agentlog.configure(service_name="platforms", console="off")
    log = agentlog.get_logger("agent")
    log.info("outside any task")
    with agentlog.task("Review", task_id="con", input={"message": "hi"}) as task:
        with agentlog.step("plan"):
            with agentlog.ai_call("gpt-5", provider="openai") as call:
                call.usage(input_tokens=3, output_tokens=5)
            with agentlog.tool("Read", arguments={"path": "a"}) as run:
                run.result = "x" * 300_000
        log.info("files read", files=3)
        task.result = "done"
    with agentlog.task("Second", task_id="second"):
        log.error("something failed")
        if hang:
            print("hanging", flush=True)
            time.sleep(600)
    print(agentlog.flush(20), flush=True)
    agentlog.shutdown()


def busy(kernel: Any) -> None:
    import otel_agentlog as agentlog

    agentlog.configure(service_name="platforms", console="off")
    folder = Path(os.environ["TASK_LOGS_DIR"], "busy")
    with agentlog.task("Busy", task_id="busy") as task:
        agentlog.get_logger("agent").info("before")
        held = [kernel.os_open(folder / name, os.O_RDONLY) for name in ("metadata.json", "03-agent-output.jsonl")]
        agentlog.get_logger("agent").error("meanwhile")
        task.result = "done"
        began = time.monotonic()
    print(f"{time.monotonic() - began:.3f}", flush=True)
    assert json.loads((folder / "metadata.json").read_bytes())["status"] == "running"
    for fd in held:
        kernel.os_close(fd)
    agentlog.flush(20)
    agentlog.shutdown()


def main() -> int:
    system, *words = sys.argv[1:]
    kernel = None
    if system != "here":
        from tests.support.systems.modules import simulate

        kernel = simulate(system)
    if words == ["busy"]:
        busy(kernel)
        return 0
    if words in (["record"], ["hang"]):
        record(hang=words == ["hang"])
        return 0
    from otel_agentlog.view.cli.main import main as command_line

    return command_line(words)


if __name__ == "__main__":
    sys.exit(main())
