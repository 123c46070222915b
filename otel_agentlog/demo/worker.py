"""Process 2: takes the task from the queue and continues it, in the same folder and the same trace.

Run as ``python -m otel_agentlog.demo.worker SCRATCH`` with the carrier in its environment.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import Any

import otel_agentlog as agentlog
from otel_agentlog.demo.agent import Reviewer
from otel_agentlog.demo.job import read_job
from otel_agentlog.demo.models import connect
from otel_agentlog.demo.pace import Pace

SERVICE_NAME = "demo-reviewer"

COMPLETED, FAILED, CANCELLED, INTERRUPTED = 0, 1, 3, 130
"""Exit codes."""

_REPORT = "worker.json"


def main(argv: list[str]) -> int:
    """Run the task named by the carrier; returns an exit code."""
    (scratch,) = argv
    job = read_job(scratch)
    settings = agentlog.configure(service_name=SERVICE_NAME, **job.settings())
    error_text: str | None = None
    try:
        # TRACEPARENT and BAGGAGE are the carrier; they also say which task it is.
        with agentlog.task(resume=os.environ) as task:
            model = connect(job.provider, job.model, job.seed, Pace(job.slow))
            task.result = Reviewer(job, model, scratch, str(settings.directory)).run(task)
        code = COMPLETED
    except KeyboardInterrupt:
        code = INTERRUPTED
    except agentlog.TaskCancelled as cancelled:
        code, error_text = CANCELLED, str(cancelled)
    except Exception as error:  # noqa: BLE001 - whatever stopped the agent is the task's outcome, and recorded as that
        code, error_text = FAILED, f"{type(error).__name__}: {error}"
    receipt = agentlog.flush()
    _write_report(scratch, {"pid": os.getpid(), "error": error_text, "receipt": asdict(receipt)})
    return code


def _write_report(scratch: str, report: dict[str, Any]) -> None:
    with open(os.path.join(scratch, _REPORT), "w", encoding="utf-8") as file:
        json.dump(report, file)


def read_report(scratch: str) -> dict[str, Any]:
    """What the worker said at its end; empty if it did not come to that."""
    try:
        with open(os.path.join(scratch, _REPORT), encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
            return found
    except (OSError, ValueError):
        return {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
