"""What a checkpoint costs when nothing is asked, and how soon a request takes effect.

python benchmarks/checkpoint.py                 the figures as text
python benchmarks/checkpoint.py --json

The cost is also given as a multiple of ``time.monotonic()``, which compares between machines; the delay is from the moment the
request is made in another process to the moment its effect stands in the folder.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import otel_agentlog as agentlog
from otel_agentlog.store.control import Requested
from otel_agentlog.store.folder.layout import parse_timestamp
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.tools import add_context, cancel, effect_of, pause, resume
from otel_agentlog.vocabulary.coerce import mapping

CALLS = 50_000
REPEATS = 7

_AGENT = """
import sys, time, otel_agentlog as agentlog
agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + "-l", console="off")
with agentlog.task("job", task_id="t") as task:
    while True:
        task.checkpoint()
        time.sleep(0.001)
"""


def _us(call: Callable[[], object]) -> float:
    return min(timeit.repeat(call, number=CALLS, repeat=REPEATS)) / CALLS * 1e6


async def _awaited_us(task: agentlog.Task) -> float:
    best = float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        for _ in range(CALLS):
            await task.checkpoint()
        best = min(best, time.perf_counter() - began)
    return best / CALLS * 1e6


def costs(root: Path) -> dict[str, float]:
    """Microseconds a call, and each as a multiple of reading the clock."""
    agentlog.configure(directory=root, log_directory=root.parent / "logs", console="off", capture_logging=False)
    clock = _us(time.monotonic)
    with agentlog.task("job") as task, agentlog.task("part") as part:
        found = {"task.checkpoint()": _us(task.checkpoint), "in a sub-task": _us(part.checkpoint)}
        found["agentlog.checkpoint()"] = _us(agentlog.checkpoint)
        found["await task.checkpoint()"] = asyncio.run(_awaited_us(task))
    agentlog.shutdown()
    return {**{f"{name}, us": us for name, us in found.items()}, **{f"{name}, clocks": us / clock for name, us in found.items()}}


def _took_ms(asked: Requested, action: str) -> float:
    assert effect_of(asked, timeout_s=30) is not None
    lines = [line for line in TaskReader(asked.folder).events() if line.get("action") == action]
    line = (
        lines[-1]
        if action == "task_cancelled"
        else next(each for each in lines if mapping(each, "details").get("request_id") == asked.request.request_id)
    )
    return (parse_timestamp(line["timestamp"]) - parse_timestamp(asked.request.timestamp)) / 1e6


def delays(root: Path, rounds: int) -> dict[str, float]:
    """Milliseconds from request to effect, median and longest."""
    agent = subprocess.Popen([sys.executable, "-c", _AGENT, str(root)], stderr=subprocess.DEVNULL)
    folder, found = root / "t", []
    try:
        while not (TaskReader(folder).metadata() or {}).get("status"):
            time.sleep(0.05)
        for number in range(rounds):
            found.append(_took_ms(pause(folder), "task_paused"))
            found.append(_took_ms(add_context(folder, f"text {number}"), "context_added_by_user"))
            found.append(_took_ms(resume(folder), "task_resumed"))
        found.append(_took_ms(cancel(folder), "task_cancelled"))
    finally:
        agent.kill()
        agent.wait()
    return {"effect, median ms": median(found), "effect, longest ms": max(found)}


def main() -> int:
    """Print the figures; 1 if a checkpoint costs more than 5 us or an effect takes more than a second."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, help="pauses, contexts and resumes of the agent (default: %(default)s)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agentlog-checkpoint-") as place:
        found: dict[str, Any] = {**costs(Path(place) / "own"), **delays(Path(place) / "other", options.rounds)}
    if options.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:<32} {value:>8.2f}")
    slow = any(value > 5 for name, value in found.items() if name.endswith(", us"))
    return int(slow or found["effect, longest ms"] > 1000)


if __name__ == "__main__":
    sys.exit(main())
