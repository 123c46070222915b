"""Where tools read: folders below a root, or a backend whose tasks are brought into folders when a request is about them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import field
from pathlib import Path

from otel_agentlog._startup import dataclass
from otel_agentlog.errors import AgentlogError, TaskNotFoundError
from otel_agentlog.query import LAST, Filter, named, narrowed
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.backends.wanted import Wanted, wanted_of
from otel_agentlog.view.mcp.quoted import unquoted

MAX_NAME = 512
"""Longest name of a task, in characters."""


class RefusedQuestion(AgentlogError):
    """What a client asked for cannot be answered; the message has nothing of the record."""


class RequestCancelled(RefusedQuestion):
    """The client does not wait for the answer any more."""


@dataclass(frozen=True, slots=True)
class McpContext:
    """Where the tasks are, and what clients may do."""

    root_of: Callable[[Wanted], Path]
    """The root that holds the tasks that are asked about."""
    allow_writes: bool = False


@dataclass(frozen=True, slots=True)
class McpRequest:
    """One call of a tool, answered in a thread of its own."""

    context: McpContext
    client: str | None = None
    """The name of the client."""
    cancelled: threading.Event = field(default_factory=threading.Event)

    def go_on(self, *_: object) -> None:
        """Check whether the answer is still wanted; called while much is read.

        Raises:
            RequestCancelled: it is not.
        """
        if self.cancelled.is_set():
            raise RequestCancelled("cancelled by the client")

    def tasks(self, text: str) -> tuple[Path, Filter]:
        """The root with the tasks that a filter in words asks for, and the filter.

        Raises:
            FilterError: it cannot be read.
        """
        wanted = narrowed(Filter(), text)
        return self.context.root_of(wanted_of(wanted)), wanted

    def task(self, name: str) -> TaskReader:
        """The task of an id, of the beginning of one, or the newest for ``last``; never one outside of the root.

        Raises:
            RefusedQuestion: there is none.
        """
        wanted = unquoted(name.strip())
        if not wanted or "\0" in wanted or len(wanted) > MAX_NAME:
            raise RefusedQuestion(
                f"task: expected an id of 1 to {MAX_NAME} characters without NUL, found {len(wanted)} characters"
            )
        root = self.context.root_of(Wanted(newest=True) if wanted == LAST else Wanted(task=wanted))
        try:
            return named(root, wanted)
        except TaskNotFoundError:
            # Its message names tasks that are similar, in their own words.
            raise RefusedQuestion(
                "task: expected the id of a task, the beginning of one that no other has, or 'last'; found none such."
                " list_tasks and search have the ids"
            ) from None
