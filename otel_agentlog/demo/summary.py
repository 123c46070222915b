"""Says how a run went, for people and as JSON. Reads the task's folder as anybody may: it is plain JSON.

Hides which of what happened is worth telling.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import otel_agentlog as agentlog
from otel_agentlog.demo.job import Job
from otel_agentlog.demo.offline import PROVIDER
from otel_agentlog.demo.survey import printable

JAEGER = "http://localhost:16686/trace/{trace_id}"
GRAFANA = "http://localhost:3000"
"""Where the project's own docker compose stack shows what it received."""


_OUTCOMES = {
    "pending": "The task is still pending: no worker took it.",
    "running": "The worker ended before the task did.",
    "completed": "The task completed.",
    "failed": "The task failed.",
    "cancelled": "The task was cancelled.",
    "interrupted": "The task was interrupted.",
}
"""What people are told, by the task's status."""


@dataclass(frozen=True)
class Run:
    """What is known of a run once the worker has ended."""

    job: Job
    task_id: str
    trace_id: str
    root: Path
    sends: bool
    """Whether traces go to a collector."""
    gateway_pid: int
    worker_pid: int
    gateway_receipt: agentlog.Receipt
    worker: dict[str, Any]
    """The worker's own report; empty if it was stopped before it could write one."""

    @property
    def folder(self) -> Path:
        """The task's folder."""
        return self.root / self.task_id

    def document(self, name: str) -> dict[str, Any]:
        """One of the folder's JSON files; empty if it is not there."""
        try:
            found: dict[str, Any] = json.loads((self.folder / name).read_bytes())
            return found
        except (OSError, ValueError):
            return {}


def as_json(run: Run) -> dict[str, Any]:
    """All of it, for programs."""
    final, metadata = run.document("04-final-result.json"), run.document("metadata.json")
    jaeger = JAEGER.format(trace_id=run.trace_id)
    return {
        "task_id": run.task_id,
        "trace_id": run.trace_id,
        "folder": str(run.folder),
        "root": str(run.root),
        "directory": printable(run.job.path),
        "status": metadata.get("status"),
        "success": final.get("success", False),
        "result": final.get("result"),
        "error": run.worker.get("error"),
        "metrics": final.get("metrics"),
        "model": {"provider": run.job.provider, "name": run.job.model, "demo_price": run.job.provider == PROVIDER},
        "sub_tasks": sub_tasks(run),
        "processes": {"gateway": run.gateway_pid, "worker": run.worker_pid},
        "receipts": {"gateway": asdict(run.gateway_receipt), "worker": run.worker.get("receipt")},
        "look": {"jaeger": jaeger, "grafana": GRAFANA} if run.sends else None,
    }


def sub_tasks(run: Run) -> list[dict[str, Any]]:
    """The tasks inside the task, as its folder points to them, in the order they ended."""
    found = []
    try:
        lines = (run.folder / "03-agent-output.jsonl").read_bytes().split(b"\n")
    except OSError:
        return []
    for line in lines:
        if b'"subtask_ended"' in line:
            details = json.loads(line)["details"]
            found.append({**details, "folder": str(run.root / details["task_id"])})
    return found


def before_tree(run: Run) -> str:
    """What came out."""
    status = run.document("metadata.json").get("status", "unknown")
    result = run.document("04-final-result.json").get("result")
    lines = [_OUTCOMES.get(status, f"The task is {status}.")]
    if run.worker.get("error"):
        lines.append(run.worker["error"])
    return "\n".join(lines) + (f"\n\n{result}\n" if result else "\n")


def after_tree(run: Run) -> str:
    """What it cost, where it is, and where else to look."""
    lines = ["", *_figures(run), f"Processes   gateway {run.gateway_pid}, worker {run.worker_pid}: one folder, one trace"]
    lines.append(f"Folder      {run.folder}")
    lines += [f"            {each['folder']} ({each['name']}: {each['outcome']})" for each in sub_tasks(run)]
    lines.append(f"Look again  agentlog show {run.task_id} --root {run.root}")
    if run.sends:
        lines += [f"Trace       {run.trace_id}", f"            {JAEGER.format(trace_id=run.trace_id)}", f"            {GRAFANA}"]
    lines += [f"Delivery    {_delivery('gateway', asdict(run.gateway_receipt))}"]
    lines += [f"            {_delivery('worker', run.worker.get('receipt') or {})}"]
    if not run.sends:
        lines.append("            no collector is set, so nothing was sent: OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318")
    return "\n".join(lines) + "\n"


def _figures(run: Run) -> list[str]:
    metrics = run.document("04-final-result.json").get("metrics")
    if not metrics:
        return []
    cost = metrics["cost_usd"]
    price = " at a demo price; nobody is charged" if run.job.provider == PROVIDER else ""
    return [
        f"Model       {run.job.provider} {run.job.model}: {metrics['ai_calls']} calls, {metrics['input_tokens']:,} tokens in "
        f"({metrics['cache_read_input_tokens']:,} cached), {metrics['output_tokens']:,} out",
        f"Cost        {'unknown' if cost is None else f'{cost:.6f} USD{price}'}",
        f"Work        steps {metrics['steps']}, tool runs {metrics['tool_runs']}, retries {metrics['retries']}, "
        f"errors {metrics['errors']}, {metrics['duration_seconds']:.1f} s",
    ]


def _delivery(who: str, receipt: dict[str, Any]) -> str:
    if not receipt:
        return f"{who}: no receipt"
    late = "" if receipt["in_time"] else "; not all in time, the rest stays in the folder"
    return f"{who}: recorded {receipt['recorded']}, delivered {receipt['delivered']}, pending {receipt['pending']}{late}"
