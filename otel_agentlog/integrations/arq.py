"""arq: the carrier among the job's keyword arguments, and the job that continues the task in the worker.

await pool.enqueue_job("send", 7, **carrier(hand_over=True))

@recorded
async def send(ctx, order): ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from otel_agentlog.integrations import jobs
from otel_agentlog.integrations.jobs import JobRun, carrier_for

Function = TypeVar("Function", bound=Callable[..., Any])

ARGUMENT = "agentlog_carrier"
"""The keyword argument of a job that is not its function's."""


def carrier(*, hand_over: bool = False, queue: str = "arq") -> dict[str, Any]:
    """Keyword arguments for ``enqueue_job`` that have the job continue what is current here."""
    found = carrier_for(queue, hand_over)
    return {ARGUMENT: found} if found else {}


def recorded(function: Function) -> Function:
    """A decorator of a job's function: each run is a step of the task whose carrier it was given, else a task of its own.

    A run that raises ``arq.Retry`` leaves its task to the next one. Every function that is queued with a `carrier` needs it.
    """

    def start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> JobRun:
        given = kwargs.pop(ARGUMENT, None)
        context = args[0] if args and isinstance(args[0], dict) else {}
        attributes = {"messaging.system": "arq", "messaging.message.id": str(context.get("job_id"))}
        if (number := context.get("job_try", 1)) != 1:
            attributes["arq.job_try"] = number
        name = str(getattr(function, "__qualname__", "job"))
        return JobRun(name, "arq", given, {"args": args[1:], "kwargs": kwargs}, attributes)

    return jobs.recorded(function, start, _again)


def _again(error: BaseException) -> str | None:
    from arq import Retry

    return "to be tried again" if isinstance(error, Retry) else None
