"""Performance: how long functions take, which are too slow, and what tasks and tool runs use.

Run it with ``TASK_LOGS_DIR=/tmp/tasks python examples/performance.py``.
"""

from __future__ import annotations

import asyncio
import json
import time

import otel_agentlog as agentlog

settings = agentlog.configure(service_name="performance")


@agentlog.log_performance(agentlog.Component.DATABASE, threshold_ms=60_000)
def load(number: int) -> list[int]:
    return list(range(number))


@agentlog.log_performance(agentlog.Component.WEB, threshold_ms=1)
async def answer() -> str:
    await asyncio.sleep(0.01)
    return "answered"


@agentlog.log_performance(agentlog.Component.INTEGRATION)
def broken() -> None:
    raise ConnectionError("nobody there")


with agentlog.task("Measure", task_id="measure") as task:
    print(len(load(1000)), "rows")
    print(asyncio.run(answer()))
    try:
        broken()
    except ConnectionError as error:
        print("passed on:", error)
    with agentlog.tool("compute"):
        began = time.process_time()
        while time.process_time() - began < 0.5:  # its figures come from samples, one each 0.2 s
            pass
    agentlog.events.log_resource_usage("brain-1", cpu_percent=12.5, memory_mb=310.0, disk_usage_mb=42.0)

agentlog.shutdown()

lines = [json.loads(text) for text in (task.folder / "03-agent-output.jsonl").read_text().splitlines()]
for line in lines:
    if line["type"] == "event" and "function" in line["details"]:
        print(line["level"], line["action"], line["details"]["function"], line["details"].get("error_type", ""))
(run,) = [line["details"]["resources"] for line in lines if line["type"] == "tool_result"]
print("the tool run used the processor:", run["cpu_seconds"] >= 0.05, "- memory is known:", run["memory_peak_mb"] > 0)
metrics = json.loads((settings.directory / "measure" / "04-final-result.json").read_bytes())["metrics"]
print("so did the task:", metrics["cpu_seconds"] >= run["cpu_seconds"])
