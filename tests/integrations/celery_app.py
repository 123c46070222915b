"""A Celery application for the tests, on a broker in a folder."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from celery import Celery

import otel_agentlog as agentlog
from otel_agentlog.integrations.celery import connect

app = Celery("jobs", broker="memory://", backend="cache+memory://")
if folder := os.environ.get("CELERY_TEST_FOLDER"):
    queue = Path(folder, "queue")
    queue.mkdir(parents=True, exist_ok=True)
    places = {"data_folder_in": str(queue), "data_folder_out": str(queue), "control_folder": str(queue)}
    app.conf.update(
        broker_url="filesystem://",
        result_backend=f"file://{queue}",
        broker_transport_options=places,
        broker_connection_retry_on_startup=True,
        worker_prefetch_multiplier=1,
    )
    agentlog.configure(service_name="jobs", directory=Path(folder, "tasks"), log_directory=Path(folder, "logs"), console="off")
    connect()


@app.task
def add(left: int, right: int) -> int:
    """A job that logs, by stdlib, and runs a tool."""
    logging.getLogger("jobs.add").info("adding")
    with agentlog.tool("Add"):
        return left + right


@app.task
def broken(text: str) -> None:
    """A job that fails."""
    raise ValueError(text)


@app.task(bind=True, max_retries=2, default_retry_delay=0)
def flaky(self: Any, fails: int) -> str:
    """A job that fails so many times first."""
    if self.request.retries < fails:
        try:
            raise OSError(f"failure {self.request.retries}")
        except OSError as error:
            raise self.retry(exc=error, countdown=0) from error
    return "at last"


@app.task
def dies() -> None:
    """A job that its process does not outlive."""
    os.kill(os.getpid(), 9)
