"""RQ: the carrier in the job's meta, and the job that continues the task in the worker.

queue.enqueue(send, 7, meta=carrier(hand_over=True))

@recorded
def send(order): ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import otel_agentlog as agentlog
from otel_agentlog.integrations import jobs
from otel_agentlog.integrations.jobs import KEY, JobRun, carrier_for

Function = TypeVar("Function", bound=Callable[..., Any])

FLUSH_S = 2.0
"""Longest time, in seconds, that a job's end waits for what was not sent yet: RQ ends the process of a job without ado."""


def carrier(*, hand_over: bool = False, queue: str = "rq") -> dict[str, Any]:
    """What ``enqueue(…, meta=…)`` takes for a job that continues what is current here; merge your own meta into it."""
    found = carrier_for(queue, hand_over)
    return {KEY: found} if found else {}


def recorded(function: Function) -> Function:
    """A decorator of a job's function: each run is a step of the task in the job's meta, else a task of its own.

    A run that fails and is tried again by ``Retry`` leaves its task to the next one.
    """

    def start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> JobRun:
        job = _job()
        name = str(getattr(job, "func_name", None) or getattr(function, "__qualname__", "job"))
        attributes = {"messaging.system": "rq", "messaging.message.id": str(job.id)} if job is not None else {}
        meta = job.meta if job is not None else {}
        return _Run(name, "rq", meta.get(KEY), {"args": args, "kwargs": kwargs}, attributes)

    return jobs.recorded(function, start, _again)


class _Run(JobRun):
    def end(self, error: BaseException | None = None, result: Any = None, again: str | None = None) -> None:
        job = _job()
        if again is not None and self.task is not None and job is not None:
            job.meta[KEY] = self.task.carrier(hand_over=True, queue=str(job.origin))
            job.save_meta()
        super().end(error, result, again)
        agentlog.flush(FLUSH_S)


def _job() -> Any:
    from rq import get_current_job

    return get_current_job()


def _again(error: BaseException) -> str | None:
    job = _job()
    left = int(job.retries_left or 0) if job is not None else 0
    return f"to be tried again, {left} left" if left > 0 and isinstance(error, Exception) else None
