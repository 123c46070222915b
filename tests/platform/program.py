"""An agent and the command line on one system: ``python tests/platform/program.py SYSTEM WHAT``.

SYSTEM is ``here``, or ``win32`` or ``darwin`` to simulate it. WHAT is ``record``, ``hang`` (record and never end) or the words of
an ``agentlog`` command. Settings come from the environment.
"""

from __future__ import annotations

# Not as on another system: what others import when they are first used.
import asyncio  # noqa: F401
import concurrent.futures.thread  # noqa: F401
import multiprocessing  # noqa: F401
import sqlite3  # noqa: F401
import subprocess  # noqa: F401
import sys
import tempfile  # noqa: F401
import time

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


def main() -> int:
    system, *words = sys.argv[1:]
    if system != "here":
        from tests.support.systems.modules import simulate

        simulate(system)
    if words in (["record"], ["hang"]):
        record(hang=words == ["hang"])
        return 0
    from otel_agentlog.view.cli.main import main as command_line

    return command_line(words)


if __name__ == "__main__":
    sys.exit(main())
