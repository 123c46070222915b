"""Requests to a task from outside, as one process sees them: read now and then, recorded as events, handled at checkpoints.

A request to a task also holds the tasks below it: the checkpoints of a sub-task read the controls of its parents too. A control
keeps no task alive; it is safe from any thread, and no lock is held while a checkpoint waits.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from otel_agentlog._interrupts import Turn, raise_interrupt
from otel_agentlog.errors import StateError, TaskCancelled
from otel_agentlog.record.sanitize.keys import plain_text
from otel_agentlog.vocabulary.envelope import ControlRequest, Requests, RequestSource
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.states import State

COMPONENT = "user_interaction"


def who(request: ControlRequest) -> str:
    """Who made a request, and where."""
    return f"{request.requested_by} ({request.source})"


def event(action: str, message: str, *, level: str = "INFO", reason: str | None = None, **details: Any) -> Line:
    """A line about something that a user did, or that was done because of it."""
    line: Line = {"type": "event", "level": level, "component": COMPONENT, "action": action, "message": message}
    if reason is not None:
        line["reason"] = plain_text(reason)
    return {**line, "details": details} if details else line


_REQUESTED = {"pause": State.PAUSED, "resume": State.RUNNING, "cancel": State.CANCELLED}


def request_event(action: str, request: ControlRequest, effect: str | None, task: Controlled) -> Line:
    """The line about a handled request; ``effect`` is what it changes, if anything. A context's text has its own line.

    It has the step that the task is in, as far as that is known here, and the states that the request leads from and to.
    """
    details: dict[str, Any] = {"request_id": request.request_id, "source": request.source, "requested_by": request.requested_by}
    details["effect"] = effect or "none"
    details["requested_at"] = request.timestamp
    if request.terminate_tools:
        details["terminate_tools"] = True
    if request.text:
        details["characters"] = len(request.text)
    what = "context added" if request.request == "context" else f"{request.request} requested"
    nothing = "" if effect else ": nothing to do"
    line = event(action, f"{what} by {who(request)}{nothing}", reason=request.reason, **details)
    if (step_id := task.step_here()) is not None:
        line["step_id"] = step_id
    if effect and request.request in _REQUESTED:
        line["state_before"], line["state_after"] = task.state.value, _REQUESTED[request.request].value
    return line


def state_line(name: str, before: State, after: State, action: str, reason: str | None) -> Line:
    """A task has moved from one state to another."""
    line: Line = {
        "type": "state",
        "level": "INFO",
        "component": "state_management",
        "action": action,
        "message": f"{name}: {before} → {after}",
        "state_before": before.value,
        "state_after": after.value,
    }
    return {**line, "reason": plain_text(reason)} if reason is not None else line


LOOK_EVERY_S = 0.05
"""Time between two reads of a checkpoint that waits, in seconds. One that does not wait reads each time."""

_LONGEST_TURN_S = 1.0


class Controlled(Protocol):
    """The task that a `Control` is about."""

    name: str
    state: State

    @property
    def task_id(self) -> str: ...
    @property
    def ended(self) -> bool: ...
    def step_here(self) -> str | None: ...
    def point(self, line: Line) -> None: ...
    def user(self, text: str, **details: object) -> None: ...
    def failed_to_record(self, error: BaseException) -> None: ...
    def _move(self, to: State) -> State: ...


class Control:
    """One task's requests and what came of them, in this process."""

    def __init__(self, task: Controlled, source: RequestSource, parent: Control | None) -> None:
        self.parent = parent
        self.alert = False
        """Whether a checkpoint may have more to do than to read requests; `needs_attention` says it exactly."""
        self.cancel: ControlRequest | None = None
        self.wanted: ControlRequest | None = None
        """A pause that was requested and has not begun."""
        self.paused_with: Control | None = None
        """The task above whose pause holds this one."""
        self.settled_by_request: set[State] = set()
        """States that a request brought about, for which a call of the agent's own may come too late."""
        self.texts: list[str] = []
        self._unread: list[ControlRequest] = []
        self._task = weakref.ref(task)
        self._source = source
        self._pid = os.getpid()
        self._turn = Turn()
        self.continues = False
        """Whether an earlier process may have handled some of the requests."""
        self.not_before = ""
        """Timestamp before which requests were for an earlier task of the same id."""
        self._history: tuple[Collection[str], Collection[str], Collection[str]] | None = None
        self._is_renewed = False

    @property
    def task(self) -> Controlled | None:
        """The task, while it is open."""
        task = self._task()
        return task if task is not None and not task.ended else None

    @property
    def is_elsewhere(self) -> bool:
        """Whether this is the child of a fork: it pauses and is cancelled too, but its parent records the task's states."""
        return os.getpid() != self._pid

    def chain(self) -> Iterator[Control]:
        """This control and those of the tasks above, innermost first."""
        control: Control | None = self
        while control is not None:
            yield control
            control = control.parent

    @property
    def needs_attention(self) -> bool:
        """Whether a checkpoint has more to do than to read requests."""
        if self.cancel is not None or self.wanted is not None:
            return True
        task = self._task()
        return task is not None and task.state is State.PAUSED

    # -- looking ----------------------------------------------------------------------------------------------------------

    @property
    def calls(self) -> bool:
        """Whether a checkpoint has to read requests: an earlier one has either been handled, or makes this true."""
        # In this order: a thread that takes requests sets `alert` before it reads them.
        return self._source.changed() or self.alert

    def look(self) -> None:
        """Take all requests since the last call; never raises."""
        task = self.task
        if task is None:
            self.alert = False
            return
        try:
            with self.in_turn():
                if self._source.changed():
                    self.alert = True
                    self._take(task, self._source.new())
                self.alert = self.needs_attention
        except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            task.failed_to_record(error)

    def in_turn(self) -> AbstractContextManager[bool]:
        """A block in which no other thread moves the task, so that lines are in the order of its states."""
        if self.is_elsewhere and not self._is_renewed:
            # Another thread of the parent may have held it.
            self._turn, self._is_renewed = Turn(), True
        return self._turn.taken(_LONGEST_TURN_S)

    def _take(self, task: Controlled, found: Requests) -> None:
        for why in found.refused:
            task.point(event("control_request_refused", f"refused a request: {why}", level="WARNING"))
        for request in found.requests:
            if self.not_before and request.timestamp < self.not_before:
                continue
            if self.continues and request.request_id in self._known()[0]:
                self._remember(request)
            else:
                self._obey(task, request)

    def _known(self) -> tuple[Collection[str], Collection[str], Collection[str]]:
        """What others have handled; read when there is a request, as nearly always there is none."""
        if self._history is None:
            self._history = self._source.history()
        return self._history

    def _remember(self, request: ControlRequest) -> None:
        """Keep of a request handled before: the text of a context; and a cancel, which holds until the task has ended."""
        if request.request == "context":
            self._add(request, unread=request.request_id not in self._known()[1])
        elif request.request == "cancel" and self.cancel is None:
            self.cancel, self.alert = request, True

    def join(self) -> None:
        """Begin beside processes that have handled the requests there are; what pauses them pauses this one too. Never raises."""
        try:
            self._join(self._source.new().requests if self._source.changed() else ())
        except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            if (task := self.task) is not None:
                task.failed_to_record(error)

    def _join(self, requests: Sequence[ControlRequest]) -> None:
        last: ControlRequest | None = None
        for request in requests:
            if request.request in ("pause", "resume"):
                last = request
            else:
                self._remember(request)
        if last is not None and last.request == "pause" and last.request_id not in self._known()[2]:
            self.wanted, self.alert = last, True

    # -- obeying ----------------------------------------------------------------------------------------------------------

    def _obey(self, task: Controlled, request: ControlRequest) -> None:
        self.alert = True
        if request.request == "pause":
            changes = self.wanted is None and self.cancel is None and task.state is State.RUNNING
            self.wanted = request if changes else self.wanted
            task.point(
                request_event("execution_pause_requested", request, "paused at the next checkpoint" if changes else None, task)
            )
        elif request.request == "resume":
            self._resume(task, request)
        elif request.request == "cancel":
            changes = self.cancel is None or (request.terminate_tools and not self.cancel.terminate_tools)
            self.cancel = request if changes else self.cancel
            task.point(
                request_event(
                    "execution_cancel_requested", request, "cancelled at the next checkpoint" if changes else None, task
                )
            )
        else:
            task.point(request_event("context_added_by_user", request, "added", task))
            task.user(request.text, request_id=request.request_id, source=request.source)
            self._add(request, unread=True)

    def _add(self, request: ControlRequest, *, unread: bool) -> None:
        self.texts.append(request.text)
        if unread:
            self._unread.append(request)

    def _resume(self, task: Controlled, request: ControlRequest) -> None:
        pending, self.wanted = self.wanted, None
        effect = "the pause had not begun" if pending is not None else None
        if task.state is State.PAUSED and self.paused_with is None:
            effect = "resumed"
        task.point(request_event("execution_resume_requested", request, effect, task))
        if effect == "resumed":
            self.settled_by_request.add(State.RUNNING)
            self.move(State.RUNNING, "task_resumed", request)

    def begin_pause(self) -> None:
        """Move to paused, if that was requested and no other thread has done it."""
        with self.in_turn():
            request = self.wanted
            if request is not None:
                self.settled_by_request.add(State.PAUSED)
                self.move(State.PAUSED, "task_paused", request)
                self.wanted = None

    def move(self, to: State, action: str, because: ControlRequest | None, *, with_task: str = "") -> None:
        """Bring the task to a state that was requested, and record that."""
        with self.in_turn():
            task = self.task
            if task is not None:
                self._move(task, to, action, because, with_task)

    def _move(self, task: Controlled, to: State, action: str, because: ControlRequest | None, with_task: str) -> None:
        self.alert = True
        details = {"request_id": because.request_id} if because is not None else {}
        if self.is_elsewhere:
            task.state = to
            task.point(event(action.replace("task", "process"), f"process {os.getpid()}: {to}", **details))
            return
        try:
            before = task._move(to)
        except StateError:
            # It has ended, or its own code was faster.
            if task.state is to and because is not None:
                task.point(event(action, f"{task.name}: {to} already", **details))
            return
        reason = f"with task {with_task}" if with_task else because.reason if because is not None else None
        line = state_line(task.name, before, to, action, reason)
        task.point({**line, "component": COMPONENT, **({"details": details} if details else {})})

    def take_texts(self) -> list[str]:
        """The texts that were not handed out before, oldest first; that they were is recorded."""
        with self.in_turn():
            none: list[ControlRequest] = []
            taken, self._unread = self._unread, none
        task = self.task
        if taken and task is not None:
            ids = [request.request_id for request in taken]
            task.point(event("context_taken_up", f"context taken up by the agent: {len(ids)}", request_ids=ids))
        return [request.text for request in taken]

    @property
    def must_stop_tools(self) -> bool:
        """Whether this task, or one above, was cancelled by a request that ends running tools too."""
        return any(each.cancel is not None and each.cancel.terminate_tools and each.task is not None for each in self.chain())

    @property
    def cancelled_by(self) -> ControlRequest | None:
        """The request that cancelled this task, or one above."""
        return next((each.cancel for each in self.chain() if each.cancel is not None), None)

    def tell_tool_stopped(self) -> None:
        """Record that a running tool is ended because of a cancel."""
        request, task = self.cancelled_by, self.task
        if task is not None and request is not None:
            task.point(
                event("tool_terminated", "a running tool is ended, as the task was cancelled", request_id=request.request_id)
            )

    def cancelled(self) -> TaskCancelled | None:
        """What a checkpoint raises, if this task was cancelled and has not ended."""
        request, task = self.cancel, self.task
        if request is None or task is None:
            return None
        return TaskCancelled(task.task_id, request_id=request.request_id, reason=request.reason or f"cancelled by {who(request)}")
