"""Celery: the carrier in the headers of each message, and the job that continues the task in the worker.

from otel_agentlog.integrations.celery import connect

connect()  # once, where the application is made, beside ``agentlog.configure(…)``
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import otel_agentlog as agentlog
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.integrations.jobs import KEY, JobRun, carrier_for

FLUSH_S = 5.0
"""Longest time, in seconds, that the end of a worker's process waits for what was not sent yet."""

_hands_over = False
_runs: dict[str, JobRun] = {}
"""The jobs that run in this process, by Celery's id."""


def connect(*, hand_over: bool = False) -> None:
    """Have the messages that this process publishes carry the task that is current, and its jobs recorded. May be called again.

    A job whose message has a carrier continues that task, as ``agentlog.task(resume=…)`` does, in a step of its name; another
    is a task. A retry goes on with the same task. With ``hand_over`` the jobs published in a task are given its end
    (`Task.carrier`); for one call: ``job.apply_async(headers={"agentlog": task.carrier(hand_over=True)})``.
    """
    signals = importlib.import_module("celery.signals")
    global _hands_over
    _hands_over = hand_over
    for signal, handler in (
        (signals.before_task_publish, _publish),
        (signals.task_prerun, _begin),
        (signals.task_postrun, _end),
        (signals.worker_process_shutdown, _flush),
        (signals.worker_shutdown, _flush),
    ):
        signal.connect(handler, weak=False, dispatch_uid=f"otel_agentlog.{handler.__name__}")


def _quiet(handler: Callable[..., None]) -> Callable[..., None]:
    """Celery logs what its handlers raise, with the arguments of the job."""

    @functools.wraps(handler)
    def handle(**given: Any) -> None:
        try:
            handler(**given)
        except Exception:  # noqa: BLE001 - the job is to run whatever is wrong with its message
            raise_interrupt()

    return handle


@_quiet
def _publish(headers: Any = None, routing_key: object = None, **given: Any) -> None:
    run = _runs.get(str(headers.get("id")))
    if run is not None and run.task is not None:
        # The job that runs here is to run once more.
        headers[KEY] = run.task.carrier(hand_over=True, queue=str(routing_key or "celery"))
    elif run is None and not headers.get(KEY) and (carrier := carrier_for(str(routing_key or "celery"), _hands_over)):
        headers[KEY] = carrier


@_quiet
def _begin(task_id: object = None, task: Any = None, args: Any = None, kwargs: Any = None, **given: Any) -> None:
    request = task.request
    carrier = getattr(request, KEY, None) or (getattr(request, "headers", None) or {}).get(KEY)
    attributes: dict[str, Any] = {"messaging.system": "celery", "messaging.message.id": str(task_id)}
    if retries := getattr(request, "retries", 0):
        attributes["celery.retries"] = retries
    _runs[str(task_id)] = JobRun(str(task.name), "celery", carrier, {"args": args, "kwargs": kwargs}, attributes).begin()


@_quiet
def _end(task_id: object = None, task: Any = None, retval: Any = None, state: object = None, **given: Any) -> None:
    run = _runs.pop(str(task_id), None)
    if run is None:
        return
    error = retval if isinstance(retval, BaseException) and state != "SUCCESS" else None
    if state == "RETRY":
        most = getattr(task, "max_retries", None)
        number = getattr(task.request, "retries", 0) + 1
        cause = getattr(retval, "exc", None)
        run.end(cause if isinstance(cause, BaseException) else error, again=f"retry {number}" + (f" of {most}" if most else ""))
    else:
        run.end(error, result=retval if state == "SUCCESS" else None)


@_quiet
def _flush(**given: Any) -> None:
    agentlog.flush(FLUSH_S)
