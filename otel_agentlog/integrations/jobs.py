"""What the integrations of job queues have in common: one run of a job as part of the task whose carrier it has, or as a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Literal, TypeAlias

import otel_agentlog as agentlog
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.vocabulary.functions import Around, Function, wrap

KEY = "agentlog"
"""Of a message's headers, or a job's meta: where its carrier is."""


def carrier_for(queue: str, hand_over: bool = False) -> dict[str, str]:
    """The carrier of what is current here, for a job that is queued; empty where nothing is."""
    operation = agentlog.current_operation()
    return {} if operation is None else operation.carrier(hand_over=hand_over, queue=queue or None)


class JobRun:
    """One run of a job: a step of the task that it continues by ``carrier``, else of the task around it, else of its own."""

    def __init__(self, name: str, source: str, carrier: object, given: Any, attributes: Mapping[str, Any]) -> None:
        """``given`` is the input of a task of its own; ``attributes`` go on the step."""
        self.task: agentlog.Task | None = None
        carried = carrier if isinstance(carrier, Mapping) and carrier else None
        if carried is not None and "agentlog.task_id" in str(carried.get("baggage")):
            self.task = agentlog.task(resume=carried)
        elif carried is not None or agentlog.current_task() is None:
            self.task = agentlog.task(name, input=given, workflow=name, source=source, resume=carried)
        self.step = agentlog.step(name, attributes=attributes)

    def begin(self) -> JobRun:
        """Begin, and be current here until `end`."""
        if self.task is not None:
            self.task.__enter__()
        self.step.__enter__()
        return self

    def end(self, error: BaseException | None = None, result: Any = None, again: str | None = None) -> None:
        """End as the run did; ``again`` is why the job will run once more: then its task goes on with that."""
        kind = None if error is None else type(error)
        self.step.__exit__(kind, error, None)
        task = self.task
        if task is None:
            return
        if again is not None:
            if not task.handed_over:
                task.carrier(hand_over=True)
            if not task.ended:
                task.end("cancelled", reason=again)
        elif error is None and task.result is None:
            task.result = result
        task.__exit__(kind, error, None)


Start: TypeAlias = Callable[[tuple[Any, ...], dict[str, Any]], JobRun]
Again: TypeAlias = Callable[[BaseException], "str | None"]


class _Call(Around):
    """One call of a job's function. What goes wrong here does not reach it: the queue's own objects are asked."""

    def __init__(self, make: Callable[[], JobRun], again: Again) -> None:
        self._make, self._again = make, again
        self._run: JobRun | None = None
        self._is_begun = False
        self._result: Any = None

    def __enter__(self) -> None:
        if self._is_begun:
            return  # it returned a coroutine, which runs now
        self._is_begun = True
        try:
            self._run = self._make().begin()
        except Exception:  # noqa: BLE001 - the job is to run all the same
            raise_interrupt()

    def returned(self, result: Any) -> None:
        self._result = result

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> Literal[False]:
        if self._run is not None:
            again = self._reason(error) if error is not None else None
            try:
                self._run.end(error, self._result, again)
            except Exception:  # noqa: BLE001 - the job's own result or error is what counts
                raise_interrupt()
        return False

    def _reason(self, error: BaseException) -> str | None:
        try:
            return self._again(error)
        except Exception:  # noqa: BLE001 - as above
            raise_interrupt()
            return None


def recorded(function: Function, start: Start, again: Again) -> Function:
    """The function of a job with each of its calls recorded.

    ``start`` makes the run of a call's arguments, of which it may take out what is not the function's; ``again`` says of an error
    why the job will run once more, ``None`` if it will not.
    """
    return wrap(function, lambda _, args, kwargs: _Call(lambda: start(args, kwargs), again))
