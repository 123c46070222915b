"""Checkpoints: where a task is paused, resumed and cancelled, and gets more context.

The same call waits in two ways. Where an event loop runs in this thread, `checkpoint` must not block it and returns what is
awaited; elsewhere it waits before it returns. Both walk through `_turns`.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import nullcontext
from operator import methodcaller
from typing import Any, TypeVar, cast

from otel_agentlog._interrupts import ABANDONED, in_c
from otel_agentlog.record.operations.context import current
from otel_agentlog.record.operations.control import LOOK_EVERY_S, Control, event, state_line
from otel_agentlog.record.operations.operation import Operation
from otel_agentlog.vocabulary.states import State

Self = TypeVar("Self", bound="Checkpoints")

_logger = logging.getLogger("otel_agentlog")
_warned = False


class Checkpoints(Operation):
    """What a task has to do with being controlled; `Task` is the only one."""

    _joins = False
    """Whether this is a further process at work on a task that another one runs."""

    def start(self: Self) -> Self:
        """Begin, without becoming current; for work whose start and end are not in one block.

        Raises:
            StateError: it has begun already, or it is a task to be resumed that has ended.
        """
        super().start()
        control = self._own_control
        if control is not None and self._joins:
            control.join()
        return self

    @property
    def task_id(self) -> str:
        """The task's id; empty before the start."""
        return self.task.task_id if self.task is not None else ""

    def user(self, text: str, **details: Any) -> None:
        """Record a text of the user while the task ran."""
        raise NotImplementedError

    def _ending(self) -> None:
        request = self._own_control.cancelled_by if self._own_control is not None else None
        if request is not None and self.state is State.CANCELLED:
            message = f"{self.name} was cancelled"
            self.point(event("execution_cancelled", message, reason=request.reason, request_id=request.request_id))

    def failed_to_record(self, error: BaseException) -> None:
        """Count what could not be recorded."""
        self._recorder.failed("control", error)

    @property
    def context(self) -> list[str]:
        """The texts that users added to the task so far, oldest first; also those that an earlier process of it was given."""
        control = self._own_control
        if control is None:
            return []
        control.look()
        return list(control.texts)

    def new_context(self) -> list[str]:
        """What users added and no process of this task was handed before, oldest first."""
        control = self._own_control
        if control is None:
            return []
        control.look()
        return control.take_texts()

    def checkpoint(self) -> Awaitable[None]:
        """Pause or be cancelled here, if that was requested; costs a few microseconds if not.

        Requests that were made before it is called are handled by it. Without a running event loop it waits while the task is
        paused. In async code, where ``await task.checkpoint()`` is written, the awaiting waits and the loop goes on. Requests
        for a task above count, too.

        Raises:
            TaskCancelled: the task, or one above, was cancelled; again at every checkpoint until it has ended.
        """
        task = self.task
        return _DONE if task is None else checkpoint_of(task.control)

    def pause(self, reason: str | None = None) -> None:
        """Move from running to paused: checkpoints wait until `resume` or a request. Raises `StateError` from any other state."""
        self._move_and_tell(State.PAUSED, "task_paused", reason, None)

    def resume(self, reason: str | None = None) -> None:
        """Move from paused to running. Raises `StateError` from any other state, unless a request was faster."""
        self._move_and_tell(State.RUNNING, "task_resumed", reason, State.PAUSED)

    @property
    def _own_control(self) -> Control | None:
        return self.task.control if self.task is not None else None

    def _move_and_tell(self, to: State, action: str, reason: str | None, allowed_from: State | None) -> None:
        control = self._own_control
        with control.in_turn() if control is not None else nullcontext():
            settled = control.settled_by_request if control is not None else set()
            if self.state is to and to in settled:
                settled.discard(to)
                return
            before = self._move(to, allowed_from)
            settled.clear()
            if control is not None:
                control.alert = True
            self.point(state_line(self.name, before, to, action, reason))


class _Done:
    """Nothing to wait for."""

    def __await__(self) -> Generator[Any, None, None]:
        return cast("Generator[Any, None, None]", iter(()))


_DONE = _Done()


class _Passed(_Done):
    """Nothing to wait for at a checkpoint in async code, which has to be awaited all the same."""

    _awaited = False

    def __await__(self) -> Generator[Any, None, None]:
        self._awaited, self._dropped = True, bool
        return cast("Generator[Any, None, None]", iter(()))

    __del__ = in_c(methodcaller("_dropped"))
    _dropped: Callable[..., object] = in_c(ABANDONED.append)

    def abandoned(self) -> None:
        """Warn, as it was not awaited."""
        if not self._awaited:
            _warn_once()


class _Waiting(_Passed):
    """What is awaited at a checkpoint of a task that is paused."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def __await__(self) -> Generator[Any, None, None]:
        self._awaited, self._dropped = True, bool
        return self._wait().__await__()

    async def _wait(self) -> None:
        import asyncio

        for _ in _turns(self._control):
            await asyncio.sleep(LOOK_EVERY_S)


def _running_loop() -> object:
    """The event loop of this thread; ``None`` where none runs."""
    # Where asyncio is not loaded none does; importing it would take 37 ms and 5 MB. Its function is for library authors: unlike
    # `asyncio.get_running_loop` it raises nothing where none runs.
    events = sys.modules.get("asyncio.events")
    return None if events is None else events._get_running_loop()


def control_here() -> Control | None:
    """The control of the task that is running here."""
    scope = current()
    return scope.task.control if scope is not None and scope.task is not None else None


def checkpoint() -> Awaitable[None]:
    """The checkpoint of the task that is running here; see `Task.checkpoint`. Does nothing outside of every task."""
    return checkpoint_of(control_here())


def checkpoint_of(control: Control | None) -> Awaitable[None]:
    """Pass, wait or raise at a checkpoint of this control's task."""
    if control is None:
        return _DONE
    each: Control | None = control
    while each is not None:
        if each.calls:
            return _attend(control)
        each = each.parent
    return _DONE if _running_loop() is None else _Passed()


def resting(seconds: float) -> Iterator[float]:
    """The parts of a wait between two attempts at something, in seconds; the caller sleeps through each.

    Raises:
        TaskCancelled: between two parts, as soon as the task that is running here was cancelled.
    """
    control, end = control_here(), time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        yield max(0.0, left if control is None else min(left, LOOK_EVERY_S))
        if control is not None:
            for each in control.chain():
                each.look()
            _raise_if_cancelled(control)
        if left <= LOOK_EVERY_S or control is None:
            return


def rest(seconds: float) -> None:
    """Wait between two attempts, and after it as long as the task is paused; a cancel ends it with `TaskCancelled`."""
    for part in resting(seconds):
        # A signal handler that raises, as that of Ctrl-C does, ends it.
        time.sleep(part)
    # A loop that runs in this thread cannot be waited for here.
    if _running_loop() is None:
        checkpoint()


async def rest_async(seconds: float) -> None:
    """The same without blocking the event loop."""
    import asyncio

    for part in resting(seconds):
        await asyncio.sleep(part)
    await checkpoint()


def _attend(control: Control) -> Awaitable[None]:
    held = False
    for each in control.chain():
        each.look()
        held = held or _holds(each)
    _raise_if_cancelled(control)
    if _running_loop() is not None:
        return _Waiting(control) if held else _Passed()
    if held or control.paused_with is not None:
        for _ in _turns(control):
            time.sleep(LOOK_EVERY_S)
    return _DONE


def _turns(control: Control) -> Iterator[None]:
    """Yield as long as a checkpoint has to wait."""
    chain = list(control.chain())
    while True:
        for each in chain:
            each.look()
        _raise_if_cancelled(control)
        if not _pause(chain):
            break
        yield
    for each in chain:
        if each.paused_with is not None:
            above, each.paused_with = each.paused_with.task, None
            each.move(State.RUNNING, "task_resumed", None, with_task=above.task_id if above is not None else "")


def _pause(chain: list[Control]) -> bool:
    """Move to paused the tasks for which that was requested, and those below them that this code works on; whether any is."""
    holder: Control | None = None
    for each in reversed(chain):
        task = each.task
        if _holds(each):
            holder = each
            each.begin_pause()
        elif holder is not None and task is not None and task.state is State.RUNNING:
            above, each.paused_with = holder.task, holder
            each.move(State.PAUSED, "task_paused", None, with_task=above.task_id if above is not None else "")
    return holder is not None


def _holds(control: Control) -> bool:
    """Whether this task itself is paused, or is to be."""
    task = control.task
    if task is None:
        return False
    return control.wanted is not None or (task.state is State.PAUSED and control.paused_with is None)


def _raise_if_cancelled(control: Control) -> None:
    for each in control.chain():
        error = each.cancelled()
        if error is not None:
            try:
                raise error
            finally:
                del error  # as in `_result_of`


def _warn_once() -> None:
    """Warn once per process that a checkpoint in async code does not wait unless it is awaited."""
    global _warned
    if not _warned:
        _warned = True
        _logger.warning("checkpoint() was called in async code without await: it cannot pause the task there")
