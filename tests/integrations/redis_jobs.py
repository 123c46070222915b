"""Jobs of RQ and arq for the tests."""

from __future__ import annotations

import os
from typing import Any

from arq import Retry
from rq import get_current_job

import otel_agentlog as agentlog
from otel_agentlog.integrations import arq, rq


@rq.recorded
def add(left: int, right: int) -> int:
    """A job that runs a tool."""
    with agentlog.tool("Add"):
        return left + right


@rq.recorded
def flaky(fails: int) -> str:
    """A job that fails so many times first."""
    job = get_current_job()
    assert job is not None
    tries = job.meta["tries"] = job.meta.get("tries", 0) + 1
    job.save_meta()
    if tries <= fails:
        raise OSError(f"failure {tries}")
    return "at last"


@rq.recorded
def dies() -> None:
    """A job that its process does not outlive."""
    os.kill(os.getpid(), 9)


@arq.recorded
async def send(context: dict[str, Any], order: int, *, fails: int = 0) -> str:
    """A job of arq that fails so many times first."""
    with agentlog.tool("Send"):
        if context["job_try"] <= fails:
            raise Retry(defer=0.01)
    if order < 0:
        raise ValueError("no such order")
    return f"order {order}"
