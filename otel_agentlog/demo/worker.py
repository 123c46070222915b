"""Process 2: takes the task from the queue and continues it, in the same folder and the same trace.

Run as ``python -m otel_agentlog.demo.worker SCRATCH`` with the carrier in its environment.
"""

from __future__ import annotations

import os
import sys
from dataclasses import asdict

import otel_agentlog as agentlog
from otel_agentlog.demo.agent import Reviewer
from otel_agentlog.demo.job import Job, Pace, write_json
from otel_agentlog.demo.models import connect
from otel_agentlog.demo.offline import DEMO_PRICES

SERVICE_NAME = "demo-reviewer"
REPORT = "worker.json"

COMPLETED, FAILED, CANCELLED, INTERRUPTED = 0, 1, 3, 130
"""Exit codes."""


def main(argv: list[str]) -> int:
    """Run the task named by the carrier, and write a report into the scratch directory; returns an exit code."""
    (scratch,) = argv
    job = Job.read(scratch)
    settings = agentlog.configure(service_name=SERVICE_NAME, directory=job.root, prices=DEMO_PRICES)
    code, error_text = COMPLETED, None
    try:
        # TRACEPARENT and BAGGAGE are the carrier; they also name the task.
        with agentlog.task(resume=os.environ) as task:
            model = connect(job.provider, job.model, job.seed, Pace(job.slow))
            task.result = Reviewer(job, model, scratch, str(settings.directory)).run(task)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except agentlog.TaskCancelled as cancelled:
        code, error_text = CANCELLED, str(cancelled)
    except Exception as error:  # noqa: BLE001 - any error is the outcome of the task, and recorded as that
        code, error_text = FAILED, f"{type(error).__name__}: {error}"
    write_json(scratch, REPORT, {"error": error_text, "receipt": asdict(agentlog.flush())})
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
