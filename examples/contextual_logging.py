"""Contextual logging: every line knows the task, step and ids it belongs to, and nobody passes them on.

Run it with ``TASK_LOGS_DIR=/tmp/tasks python examples/contextual_logging.py``.
"""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor

import otel_agentlog as agentlog

settings = agentlog.configure(service_name="contextual-logging")
log = agentlog.get_logger("orchestrator", agentlog.Component.ORCHESTRATOR)
library = logging.getLogger("some.library")


def review(file: str) -> None:
    """Knows nothing of tasks, and its lines find the right one."""
    with agentlog.step(f"review {file}", step_id=file.partition(".")[0]):
        log.info("reviewing", file=file)
        library.warning("%s has no tests", file)


with agentlog.bind(correlation_id="pr-42", session_id="session-7"), agentlog.task("Review PR 42", task_id="review-42"):
    log.info("started", files=2)
    review("a.py")
    # Other threads continue the task, too.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(review, "b.py").result()
    try:
        json.loads("{not json")
    except ValueError as error:
        log.exception("the answer cannot be read", attempt=1)
        print("error id is on the exception:", agentlog.error_id(error) is not None)

agentlog.shutdown()

for text in (settings.directory / "review-42" / "03-agent-output.jsonl").read_text().splitlines():
    line = json.loads(text)
    if line["type"] == "log":
        print(line["level"], line.get("step_id", "-"), line["correlation_id"], line["session_id"], line["message"], sep=" | ")
