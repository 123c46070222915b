"""Tool runs: one execution of a tool, a command, a file operation, a script."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

from otel_agentlog.record.operations.attempts import Attempted
from otel_agentlog.record.operations.context import OPERATION, flow, foreign_span
from otel_agentlog.record.operations.seen_calls import OWN, Run
from otel_agentlog.record.providers.fields import as_whole
from otel_agentlog.record.sanitize.keys import checked, optional_text, plain_text
from otel_agentlog.vocabulary.actions import PLAIN, TOOL
from otel_agentlog.vocabulary.coerce import mapping
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.vocabulary.functions import arguments_of
from otel_agentlog.vocabulary.lines import SAME_CALL_AS
from otel_agentlog.vocabulary.states import Outcome


class ToolRun(Attempted):
    """One execution of a tool. Set ``result`` (anything) and, for commands, ``exit_code``.

    Code that measures what the tool uses sets ``resources``; that replaces what this process measured.
    """

    kind = TOOL
    _optional_hooks = frozenset({"_started"})
    _agent: Any = None
    """The agent of its task."""
    _started_with: Mapping[str, Any] | None = None
    """The arguments that its start line has; set later, they are on its end line."""
    _exit_code: int | None = None
    exit_code: int | None = checked("_exit_code", as_whole)

    def __init__(
        self,
        name: str,
        *,
        arguments: Mapping[str, Any] | None = None,
        call_id: str | None = None,
        tool_type: str | None = None,
        description: str | None = None,
        command: Mapping[str, str] | None = None,
        specialist: str | None = None,
        conversation_id: str | None = None,
        skill: str | Mapping[str, str] | None = None,
        **common: Any,
    ) -> None:
        super().__init__(name, **common)
        self.arguments = arguments
        self.result: Any = None
        self.resources: Mapping[str, float] | None = None
        """As in ``docs/format.md``: ``cpu_seconds``, ``memory_peak_mb`` …; what is missing is not known."""
        self._call_id = call_id if call_id is None or type(call_id) is str else plain_text(call_id)
        self._tool_type = tool_type if tool_type is None or type(tool_type) is str else plain_text(tool_type)
        self._description = description if description is None or type(description) is str else plain_text(description)
        self._command = command
        self._specialist = specialist if specialist is None or type(specialist) is str else plain_text(specialist)
        """Whose tool it is: what statistics and alerts group runs by."""
        self._conversation_id = None if conversation_id is None else optional_text(conversation_id)
        self._skill = skill
        self._common = common

    def _copy(self) -> ToolRun:
        return ToolRun(
            self.name,
            arguments=self.arguments,
            call_id=self._call_id,
            tool_type=self._tool_type,
            description=self._description,
            command=self._command,
            specialist=self._specialist,
            conversation_id=self._conversation_id,
            skill=self._skill,
            **self._common,
        )

    def called(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self.arguments is None:
            self.arguments = arguments_of(function, args, kwargs)

    def returned(self, result: Any) -> None:
        if self.result is None:
            self.result = result

    def _start_fields(self) -> dict[str, Any]:  # noqa: C901 - one after the other: most are not there, and nothing is as frequent
        task, self._started_with = self.task, self.arguments
        if task is not None:
            self._agent = task.header.get("assigned_agent")
            if task.seen is not None:
                # What is around may end before this does.
                vars(self)["_hooks"] = self._hooks | {"_started"}
        details: dict[str, Any] = {}
        if self._started_with is not None:
            details["arguments"] = self._started_with
        if self._call_id is not None:
            details["call_id"] = self._call_id
        if self._tool_type is not None:
            details["tool_type"] = self._tool_type
        if self._description is not None:
            details["description"] = self._description
        if self._agent is not None:
            details["agent"] = self._agent
        if self._command is not None:
            details["command"] = self._command
        if self._specialist is not None:
            details["specialist"] = self._specialist
        if self._conversation_id is not None:
            details["conversation_id"] = self._conversation_id
        if self._skill is not None:
            details["skill"] = self._skill
        return {"content": self._name, "details": details}

    def _end_fields(self, outcome: Outcome) -> dict[str, Any]:
        details: dict[str, Any] = {}
        if self.arguments is not self._started_with:
            details["arguments"] = self.arguments
        if self.result is not None:
            details["result"] = self.result
        if self._tool_type is not None:
            details["tool_type"] = self._tool_type
        if self._agent is not None:
            details["agent"] = self._agent
        if self._exit_code is not None:
            details["exit_code"] = self._exit_code
        details["attempts"] = self._attempts
        if self.resources is not None:
            details["resources"] = self.resources
        if self._specialist is not None:
            details["specialist"] = self._specialist
        return {"content": self._name, "details": details}

    def _started(self, envelope: Envelope) -> None:
        if self.task is None or self.task.seen is None:
            return
        around: Any = self.outer.get(OPERATION)
        if type(around) is ReportedRun or self.task.seen.spans:
            self._tell_around(around)
        if self.task.seen.spans and around is not None:
            arguments = mapping(envelope.line, "details").get("arguments")
            self._run = Run(self.name, self.span_id, {OWN}, self.start_ns, None, weakref.ref(around), flow(), arguments)
            self.task.seen.add_run(self._run)

    _run: Run | None = None
    """It, as another library's view of it is compared with it."""

    def _tell_around(self, around: Any) -> None:
        """Tell the spans of other libraries around it, and what a framework reports of it, that this run counts."""
        if self.task is None or self.task.seen is None:
            return
        if isinstance(around, ReportedRun) and around.is_of(self):
            self.task.seen.count_tool(foreign_span(around.outer), self.name, OWN, self.span_id)
        self.task.seen.count_tool(foreign_span(self.outer), self.name, OWN, self.span_id)

    def _finished(self, outcome: Outcome) -> None:
        if self.task is not None:
            self.task.tool_runs += 1
            if self.task.seen is not None and self.task.seen.spans:
                self._tell_around(self.outer.get(OPERATION))
                if self._run is not None:
                    self._run.end_ns = self._recorder.clock()


class ReportedRun(ToolRun):
    """A run that a framework reports of a function that may be one of ours, too: then that one counts, and this is a view."""

    _counts: str | None = None
    """The span id of the run that counts instead."""

    def is_of(self, run: ToolRun) -> bool:
        """Whether it is a view of this run, which began directly in it: the first of its name."""
        if self._counts is None and run.name == self.name:
            self._counts = run.span_id
        return self._counts == run.span_id

    def _start_fields(self) -> dict[str, Any]:
        if self.task is not None:
            self.task.seen_calls()  # by which the run inside tells of itself
        return super()._start_fields()

    def _ending(self) -> None:
        super()._ending()
        if self._counts is not None:
            vars(self).update(kind=PLAIN, _meter=None)

    def _end_fields(self, outcome: Outcome) -> dict[str, Any]:
        return super()._end_fields(outcome) if self._counts is None else {"details": {SAME_CALL_AS: self._counts}}

    def _finished(self, outcome: Outcome) -> None:
        if self._counts is None:
            super()._finished(outcome)
