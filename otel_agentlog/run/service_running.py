"""What is running now in this process, so that it can be ended from elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from otel_agentlog.run.control import stoppable
from otel_agentlog.run.process_cancel import Cancellation

_lock = threading.Lock()
_running: dict[Cancellation, str | None] = {}


@contextmanager
def registered(cancellation: Cancellation, task_id: str | None) -> Iterator[None]:
    """Known as running while the block lasts."""
    with _lock:
        _running[cancellation] = task_id
    try:
        with stoppable(cancellation.cancel):
            yield
    finally:
        with _lock:
            _running.pop(cancellation, None)


def terminate_tools(task_id: str | None = None) -> int:
    """End the scripts and commands that run in a task, or all of this process; they end as ``cancelled``.

    Returns at once; how many were told to end.
    """
    with _lock:
        told = [each for each, task in _running.items() if task_id is None or task == task_id]
    for cancellation in told:
        cancellation.cancel()
    return len(told)
