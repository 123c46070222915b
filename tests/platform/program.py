"""An agent and the command line on one system: `main` with SYSTEM WHAT as the arguments of the program.

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


_BEGUN: dict[str, Any] = {}
"""The kernel, by the system that is simulated in this process."""


def begin(system: str) -> None:
    """Simulate a system, if it is not simulated here already, and import what an agent and most commands use."""
    if system in _BEGUN:
        return
    if system != "here":
        from tests.support.systems.modules import simulate

        _BEGUN[system] = simulate(system)
    from otel_agentlog.export import providers  # noqa: F401
    from otel_agentlog.record.logs import stdlib_bridge  # noqa: F401
    from otel_agentlog.view.cli import main  # noqa: F401
    from otel_agentlog.wiring import setup  # noqa: F401


def win32() -> None:
    """Begin on a simulated Windows."""
    begin("win32")


def darwin() -> None:
    """Begin on a simulated macOS."""
    begin("darwin")


def main() -> int:
    """Run it."""
    system, *words = sys.argv[1:]
    begin(system)
    if words == ["busy"]:
        busy(_BEGUN[system])
        return 0
    if words in (["record"], ["hang"]):
        record(hang=words == ["hang"])
        return 0
    from otel_agentlog.view.cli.main import main as command_line

    return command_line(words)
