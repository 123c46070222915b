"""Sends the demo to a real trace backend and reads it back: complete, with the reason on the failed spans and the cost on tasks.

    python -m venv /tmp/phoenix && /tmp/phoenix/bin/pip install arize-phoenix
    python -m benchmarks.phoenix /tmp/phoenix/bin/phoenix

Phoenix listens on loopback only and has a folder of its own; both end with this program. Ends with 1 if anything is missing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tests.support.ports import LOOPBACK, free_ports
from tests.support.process import ServerProcess
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run the demo against Phoenix and compare."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        http, grpc = free_ports(2)
        env = {
            "PHOENIX_HOST": LOOPBACK,
            "PHOENIX_PORT": str(http),
            "PHOENIX_GRPC_PORT": str(grpc),
            "PHOENIX_WORKING_DIR": str(folder / "phoenix"),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }
        server = ServerProcess([sys.argv[1], "serve"], folder / "phoenix.log", env)
        server.start(lambda: _answers(http), timeout_s=300)
        try:
            return _compare(http, folder / "tasks")
        finally:
            server.stop()


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://{LOOPBACK}:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _compare(port: int, root: Path) -> int:
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{LOOPBACK}:{port}", "TASK_LOGS_DIR": str(root)}
    # Phoenix takes traces alone.
    env |= {"OTEL_LOGS_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
    subprocess.run([sys.executable, "-m", "otel_agentlog", "demo"], env=env, cwd=ROOT, check=True, capture_output=True)
    ends = [
        line
        for path in root.glob("*/03-agent-output.jsonl")
        for line in map(json.loads, path.open())
        if line.get("phase") == "end"
    ]
    sent = {line["span_id"]: line for line in ends}
    found = wait_until(lambda: (spans := _spans(port)) and len(spans) >= len(sent) and spans, "all spans", timeout_s=120)
    there = {span["context"]["span_id"]: span for span in found}
    failed = [span for span in found if span["status_code"] == "ERROR"]
    tasks = [span for span in found if "agentlog.task.name" in span["attributes"]]
    ids = set(there)
    print(f"spans sent {len(sent)}, read back {len(there)}; missing {len(set(sent) - ids)}")
    print(
        f"traces {len({span['context']['trace_id'] for span in found})}, roots {sum(not span['parent_id'] for span in found)}, "
        f"without their parent {sum(bool(span['parent_id']) and span['parent_id'] not in ids for span in found)}"
    )
    print("names:", ", ".join(f"{name} {count}" for name, count in sorted(Counter(span["name"] for span in found).items())))
    for span in failed:
        events, kind = [event["name"] for event in span.get("events", ())], span["attributes"].get("error.type")
        print(f"failed: {span['name']}: {span['status_message']!r}, error.type {kind}, events {events}")
    for span in tasks:
        given = span["attributes"]
        kept = {key: value for key, value in given.items() if "usage" in key or "cost" in key or "tokens" in key}
        print(f"task: {given['agentlog.task.name']}: {json.dumps(kept)}")
    complete = set(sent) <= ids and all(span["status_message"] for span in failed) and len(failed) >= 1
    print("complete" if complete else "NOT complete")
    return 0 if complete else 1


def _spans(port: int) -> list[dict[str, Any]]:
    try:
        with urlopen(f"http://{LOOPBACK}:{port}/v1/projects/default/spans?limit=1000", timeout=30) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]
            return found
    except (URLError, OSError):
        return []


if __name__ == "__main__":
    sys.exit(main())
