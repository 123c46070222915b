"""Asks a ClickHouse that holds very many spans: times and memory of `agentlog --from clickhouse://`.

    python -m benchmarks.clickhouse [SPANS]

Makes tasks of 18 spans (one task, two steps, five AI calls, ten tool runs), one in ten failed, over the last seven days, inside
ClickHouse (chDB behind its HTTP interface, as in the tests), and asks, each in a process of its own.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.clickhouse import DATABASE, ClickHouseServer

ROOT = Path(__file__).resolve().parents[1]
SPANS_A_TASK = 18
DAYS = 7
CHUNK = 1_000_000

_MAKE = f"""
INSERT INTO {DATABASE}.otel_traces (Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, ResourceAttributes,
    ScopeName, ScopeVersion, SpanAttributes, Duration, StatusCode, StatusMessage)
WITH intDiv(number, {SPANS_A_TASK}) AS task, number % {SPANS_A_TASK} AS part, cityHash64(task) AS dice,
    part = 0 OR (part = 17 AND dice % 10 = 0) AS ends, dice % 10 = 0 AND ends AS failed,
    concat('task-', leftPad(lower(hex(task)), 12, '0')) AS id,
    multiIf(part = 0, 't', part <= 2, 's', part <= 7, 'a', 'r') AS kind,
    mapFilter((key, value) -> value != '', map(
        'agentlog.task.id', id,
        'agentlog.component', multiIf(kind = 't', 'runner', kind = 's', 'execution_engine', kind = 'a', 'ai_service', 'tool'),
        'agentlog.outcome', if(failed, 'failed', 'completed'),
        'gen_ai.operation.name', multiIf(kind = 't', 'invoke_agent', kind = 's', '', kind = 'a', 'chat', 'execute_tool'),
        'agentlog.task.name', if(kind = 't', concat('Review ', toString(task)), ''),
        'gen_ai.agent.name', if(kind = 't', concat('agent-', toString(dice % 12)), ''),
        'agentlog.step.name', if(kind = 's', concat('step ', toString(part)), ''),
        'gen_ai.provider.name', if(kind = 'a', 'anthropic', ''),
        'gen_ai.request.model', if(kind = 'a', concat('model-', toString(dice % 4)), ''),
        'gen_ai.usage.input_tokens', if(kind = 'a', toString(500 + dice % 3000), ''),
        'gen_ai.usage.output_tokens', if(kind = 'a', toString(50 + dice % 900), ''),
        'agentlog.usage.cost.amount', if(kind = 'a', toString((1 + dice % 100) / 1000), ''),
        'gen_ai.tool.name', if(kind = 'r', concat('tool-', toString(part)), ''),
        'error.type', if(failed, 'ValueError', ''),
        'agentlog.error.id', if(failed, leftPad(lower(hex(dice % 4294967296)), 8, '0'), ''),
        'agentlog.error.category', if(failed, 'VALIDATION', '')
    )) AS attributes
SELECT fromUnixTimestamp64Nano(toInt64({{now}} - ({{tasks}} - task) * {{apart}} + part * 100000000)),
    lower(hex(MD5(toString(task)))), leftPad(lower(hex(cityHash64(task, part))), 16, '0'),
    if(part = 0, '', leftPad(lower(hex(cityHash64(task, multiIf(kind = 's', 0, part % 2 = 0, 1, 2)))), 16, '0')),
    multiIf(kind = 't', concat('invoke_agent ', attributes['gen_ai.agent.name']), kind = 's', attributes['agentlog.step.name'],
        kind = 'a', concat('chat ', attributes['gen_ai.request.model']), concat('execute_tool ', attributes['gen_ai.tool.name'])),
    if(kind = 'a', 'Client', 'Internal'), 'reviewer',
    map('service.name', 'reviewer', 'service.instance.id', toString(task % 50)), 'otel_agentlog', '0.1.0', attributes,
    toUInt64(if(part = 0, 2500000000, 80000000)), if(failed, 'Error', 'Unset'), if(failed, 'no such thing', '')
FROM numbers({{first}}, {{count}})
"""


def main() -> None:
    """Make them and ask."""
    spans = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    tasks, now = spans // SPANS_A_TASK, time.time_ns()
    apart = DAYS * 86_400 * 10**9 // tasks
    with tempfile.TemporaryDirectory() as folder, ClickHouseServer(Path(folder) / "server") as server:
        server.make_tables()
        began = time.monotonic()
        for first in range(0, tasks * SPANS_A_TASK, CHUNK):
            count = min(CHUNK, tasks * SPANS_A_TASK - first)
            server.run(_MAKE.format(now=now, tasks=tasks, apart=apart, first=first, count=count))
        rows = server.run(f"SELECT count() FROM {DATABASE}.otel_traces").decode().strip()
        size = int(server.run("SELECT sum(bytes_on_disk) FROM system.parts WHERE active"))
        print(
            f"{int(rows):,} spans of {tasks:,} tasks: {time.monotonic() - began:.0f} s to make, {size / 2**20:,.0f} MiB on disk"
        )
        some = f"task-{tasks // 2:012x}"
        error = server.run(
            f"SELECT SpanAttributes['agentlog.error.id'] FROM {DATABASE}.otel_traces WHERE StatusCode = 'Error' LIMIT 1"
        )
        for words in (
            ["show", some],
            ["show", some],
            ["show"],
            ["errors", error.decode().strip()],
            ["ls", "--since", "10m"],
            ["ls", "--since", "1h"],
            ["stats", "--since", "1h", "--group-by", "agent"],
            ["stats", "--since", "6h"],
            ["cost", "--since", "6h"],
            ["cost", "--since", "24h"],
            ["cost", "--since", "24h"],
        ):
            _ask(server, Path(folder) / "cache", words)


def _ask(server: ClickHouseServer, cache: Path, words: list[str]) -> None:
    env = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    began = time.monotonic()
    command = [sys.executable, "-m", "otel_agentlog", "--from", server.url, *words]
    told = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, check=False)
    took = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    status = Path(f"/proc/{server.pid}/status").read_text()
    there = int(status.split("VmRSS:")[1].split()[0]) / 1024
    said = (told.stdout.splitlines() or told.stderr.splitlines() or [""])[0][:60]
    print(
        f"{' '.join(words):<40} {took:7.1f} s   most so far {peak:5,.0f} MiB, server {there:6,.0f} MiB   {told.returncode} {said}"
    )


if __name__ == "__main__":
    main()
