"""The task of an execution that runs outside every other: so lists, statistics, alerts and dashboards have it too."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from otel_agentlog.record.api import current_task, task
from otel_agentlog.record.operations.task import UNSET, Task
from otel_agentlog.record.recorder import recorder
from otel_agentlog.vocabulary.states import EXECUTION, Outcome


def execution_task(script_id: str, specialist: str | None, inputs: Any = UNSET) -> AbstractContextManager[Task | None]:
    """A block within a task named after the script, with what is bound here as ids; one that gives ``None`` within another."""
    # A block of a generator of ours would not be around what its caller does.
    if current_task() is not None or not recorder().active:
        return nullcontext()
    return task(script_id, input=inputs, source=EXECUTION, attributes={"specialist": specialist} if specialist else None)


def end_execution_task(owner: Task | None, outcome: Outcome, error: BaseException | None, result: Any = None) -> None:
    """End it like the execution it is of."""
    if owner is not None:
        owner.result = result
        owner.end(outcome, error=error)
