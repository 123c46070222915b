"""The errors this package raises on purpose, and those it offers for agents to raise.

    AgentlogError
    ├── ConfigurationError    a setting has a value that cannot be used; names the setting and the value
    ├── StateError            a move that is not legal, e.g. end() on something that has ended
    ├── LayoutError           a folder that is not a task folder, or a file in it that cannot be read
    ├── TaskNotFoundError     no folder for a task id
    ├── FilterError           a filter that cannot be read; says what was expected, and where
    ├── InstanceError         an agent instance: it does not start, answer or stop
    ├── WorktreeError         a worktree: it cannot be made, changed, merged or removed
    ├── TaskError             a task: it cannot be assigned, carried out or finished
    ├── IntegrationError      a system of others: GitHub, Jira, Slack, a webhook
    ├── DatabaseError         a database: connection, query, migration
    └── TmuxError             tmux: a session, a window, a layout
    TaskCancelled             a BaseException: the task that this code works on was cancelled

Each but the last takes ``context=``, a mapping that is recorded with it: in the folder as ``exception.context``, on the span as
``agentlog.error.context.<key>``; redacted like everything else.

Recording calls raise none of these, with one exception: `StateError` goes to the caller of an illegal move.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.vocabulary.states import Outcome

__all__ = [
    "AgentlogError",
    "ConfigurationError",
    "DatabaseError",
    "FilterError",
    "InstanceError",
    "IntegrationError",
    "LayoutError",
    "StateError",
    "TaskCancelled",
    "TaskError",
    "TaskNotFoundError",
    "TmuxError",
    "WorktreeError",
]


_MOST_SHOWN = 200


def shown(value: object) -> str:
    """A value as it is in a message: its ``repr``, of a long one the beginning, or its class where it has none."""
    try:
        text = _beginning(value)
    except Exception:  # noqa: BLE001 - the value is a user's, and the error is about it
        raise_interrupt()
        text = f"<{_name_of(type(value))}>"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def _beginning(value: object) -> str:
    """The ``repr`` of a value; of long texts and lists, of which it would take long, enough of it."""
    if type(value) is str or type(value) is bytes:
        return repr(value[: _MOST_SHOWN + 1])
    if type(value) is not list or len(value) <= _MOST_SHOWN // 3:
        return repr(value)
    texts, left = [], _MOST_SHOWN
    for item in value:
        texts.append(repr(item))
        left -= len(texts[-1])
        if left < 0:
            break
    return f"[{', '.join(texts)}]"


def _name_of(kind: type) -> str:
    # Past an attribute of this name that a metaclass may have.
    return str(type.__dict__["__name__"].__get__(kind))


class AgentlogError(Exception):
    """Base of every error of this package."""

    def __init__(self, *args: object, context: Mapping[str, Any] | None = None) -> None:
        super().__init__(*args)
        self.context: dict[str, Any] = dict(context or {})
        """What was the case when it happened; recorded with the error."""


class ConfigurationError(AgentlogError, ValueError):
    """A setting has a value that cannot be used."""

    @overload
    def __init__(self, message: str = ..., /, *, context: Mapping[str, Any] | None = ...) -> None: ...
    @overload
    def __init__(self, setting: str, value: object, expected: str, *, context: Mapping[str, Any] | None = ...) -> None: ...
    def __init__(
        self, setting: str = "", value: object = None, expected: str | None = None, *, context: Mapping[str, Any] | None = None
    ) -> None:
        """Either a message, or the name of a setting, the value found and in words what was expected."""
        message = setting if expected is None else f"setting {setting!r}: expected {expected}, found {shown(value)}"
        super().__init__(message, context=context)
        self.setting: str | None = None if expected is None else setting


class StateError(AgentlogError, RuntimeError):
    """A move from one state to another that is not legal; nothing was recorded."""


class LayoutError(AgentlogError):
    """A file or folder that does not have the layout of ``docs/format.md``."""


class TaskNotFoundError(AgentlogError, LookupError):
    """No task of that id below the root."""


class FilterError(AgentlogError, ValueError):
    """A filter cannot be read."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.position = position
        """Where in the text, in characters from 0."""


class InstanceError(AgentlogError):
    """An agent instance does not start, answer or stop."""


class WorktreeError(AgentlogError):
    """A worktree cannot be made, changed, merged or removed."""


class TaskError(AgentlogError):
    """A task cannot be assigned, carried out or finished."""


class IntegrationError(AgentlogError):
    """A request to an external system, such as GitHub or Jira, failed."""


class DatabaseError(AgentlogError):
    """A database cannot be reached, or a statement failed."""


class TmuxError(AgentlogError):
    """A tmux session, window or layout cannot be made, found or removed."""


class TaskCancelled(BaseException):
    """The task was cancelled by a request; raised at its next checkpoint, and at each one after it.

    No `Exception`, like `asyncio.CancelledError`: agents try again after every `Exception`, and a cancelled one must not.
    """

    agentlog_outcome = Outcome.CANCELLED

    def __init__(self, task_id: str, *, request_id: str = "", reason: str = "cancelled") -> None:
        super().__init__(task_id, reason)
        self.task_id, self.request_id, self.reason = task_id, request_id, reason

    def __str__(self) -> str:
        return f"task {self.task_id}: {self.reason}"

    def __reduce__(self) -> tuple[object, ...]:
        return _cancelled, (self.task_id, self.request_id, self.reason)


def _cancelled(task_id: str, request_id: str, reason: str) -> TaskCancelled:
    return TaskCancelled(task_id, request_id=request_id, reason=reason)
