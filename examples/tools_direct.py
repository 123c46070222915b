"""Tool execution without any configuration: results, errors with advice, statistics.

Run it with ``python examples/tools_direct.py``; the scripts and their registry lie in ``examples/tools``.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from otel_agentlog import ToolExecutionService, ToolResult

service = ToolExecutionService(Path(__file__).parent / "tools" / "registry.json")


def show(title: str, result: ToolResult) -> None:
    """What came out of one execution."""
    print(f"{title}: success={result.success} exit_code={result.exit_code} attempts={result.attempts}")
    if result.error_details is not None:
        print(f"  {result.error_details.category}: {result.error_details.message}")
        print(f"  first of {len(result.error_details.suggestions)} suggestions: {result.error_details.suggestions[0]}")


counted = service.execute("count_words", {"text": "to be or not to be"}, session_id="session-1", correlation_id="request-1")
show("count_words", counted)
print("  words:", counted.data["words"], "for", counted.session_id, counted.correlation_id)
print("  CPU and wall time were measured:", counted.resource_usage.cpu_s >= 0, counted.resource_usage.wall_s > 0)

show("wrong inputs", service.execute("count_words", {"txt": 3}))
show("no such script", service.execute("count_letters", {"text": "x"}))
show("hang", service.execute("hang"))
show("unsteady", service.execute("unsteady", {"state": str(Path("state").absolute())}))


async def together() -> list[ToolResult]:
    """Several at once, without blocking the event loop."""
    return await asyncio.gather(*(service.execute_async("count_words", {"text": "word " * n}) for n in range(1, 4)))


print("together:", [result.data["words"] for result in asyncio.run(together())])

stats = service.get_execution_stats()
total = stats["total"]
print("total:", {key: total[key] for key in ("executions", "succeeded", "failed", "attempts", "retries", "errors")})
for line in service.export_prometheus_metrics().splitlines():
    if line.startswith("agentlog_tool_executions_total"):
        print(line)
