"""Records the traces of a spool: each is a task, its spans are adopted as those of other libraries are.

Starts and ends come in the order of time, so that what runs inside what is seen as it would be live: a request that two libraries
report is counted once.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Mapping
from itertools import count
from typing import Any

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from otel_agentlog.record.foreign_spans import AdoptedSpan, adopt, kind_of
from otel_agentlog.record.operations.context import inside
from otel_agentlog.record.operations.task import ImplicitTask
from otel_agentlog.record.recorder import recorder
from otel_agentlog.record.sanitize.scores import given_score
from otel_agentlog.tools.imports.readers.agent_events import known
from otel_agentlog.tools.imports.readers.events import Answer, ToolEnd, ToolStart
from otel_agentlog.tools.imports.readers.spans import TracedLog, TracedScore, TracedSpan, TraceFacts
from otel_agentlog.tools.imports.spool import Spool
from otel_agentlog.tools.imports.writer import Clock, FromSource, Open, Writer, number_of
from otel_agentlog.vocabulary.actions import AI_CALL, TOOL, Kind
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.lines import RESOURCE_ID
from otel_agentlog.vocabulary.states import IMPORT, Component, Outcome


class ImportedTrace(FromSource, ImplicitTask):
    """The task of a trace. Its own span is in the folder only."""

    _is_kept = False

    def __init__(
        self, first: TracedSpan, task_id: str, facts: TraceFacts, origin: Mapping[str, Any], *, source: str, parent: str | None
    ) -> None:
        attributes = first.start["attributes"]
        agent = text(attributes, "gen_ai.agent.name") or first.service
        session = facts.session_id or text(attributes, "session.id") or text(attributes, "gen_ai.conversation.id")
        named = {**first.start, "name": facts.name or first.start["name"]}
        super().__init__(named, agent=agent, session_id=session, input=facts.input)
        tags = [*facts.tags, *([f"user:{facts.user_id}"] if facts.user_id else [])]
        self._given.update(task_id=task_id, source=source, agent_type=origin["format"], tags=tags)
        self.parent_id = parent
        self._attributes.update({f"import.{key}": value for key, value in origin.items()})
        self.seed = f"trace {first.start['trace_id']} task{'' if parent is None else f' {task_id}'}"

    def _header(self, task_id: str, around: Mapping[str, Any], parent_task_id: str | None) -> dict[str, Any]:
        return super()._header(task_id, around, parent_task_id or self.parent_id)


class TraceWriter:
    """Records one trace, whose spans begin and end in the order of time."""

    def __init__(self, clock: Clock, spool: Spool, trace: str) -> None:
        self._clock, self._spool, self._trace = clock, spool, trace
        self._running: list[tuple[int, int, AdoptedSpan, TracedSpan]] = []
        self._numbers = count()
        self._failed = False
        self._last_ns = 0
        self._events = Writer(clock, "trace", {})
        self._counted: frozenset[Kind] | None = None

    def write(
        self,
        task_id: str,
        origin: Mapping[str, Any],
        *,
        source: str = IMPORT,
        parent: str | None = None,
        incomplete: str | None = None,
    ) -> ImportedTrace | None:
        """Record it; returns its task, which has ended, or ``None`` if it has no span.

        ``parent``: the id of the task that it is a sub-task of; ``incomplete``: why it is recorded before all of it is there.
        """
        first = self._first()
        if first is None:
            return None
        facts = self._spool.facts(self._trace)
        task = ImportedTrace(first, task_id, facts, origin, source=source, parent=parent)
        while self._spool.has_span(self._trace, f"{number_of(task.seed, 64):016x}"):
            # The export of a task that was itself imported.
            task.seed += " again"
        self._clock.now_ns = self._last_ns = self._spool.begins_ns(self._trace)
        task.begin()
        self._events.open[self._trace] = Open(self._trace, task)
        for part in self._spool.parts(self._trace):
            self._part(task, part)
        self._end_until(None)
        self._clock.now_ns = self._last_ns
        self._events.open.clear()
        if facts.output is not None:
            task.returned(facts.output)
        if incomplete is None:
            task.finish(Outcome.FAILED if self._failed else Outcome.COMPLETED, None)
        else:
            task.interrupt(incomplete)
        return task

    def _first(self) -> TracedSpan | None:
        """The first span without a parent, else the first."""
        first = None
        for part in self._spool.parts(self._trace):
            if isinstance(part, TracedSpan):
                if "parent_span_id" not in part.start:
                    return part
                first = first or part
        return first

    def _part(self, task: ImportedTrace, part: TracedSpan | TracedLog | TracedScore) -> None:
        if isinstance(part, TracedSpan):
            self._end_until(part.start["start_ns"])
            self._begin(task, part)
            return
        self._end_until(part.at_ns)
        self._clock.now_ns = part.at_ns or self._last_ns
        if isinstance(part, TracedLog):
            self._last_ns = max(self._last_ns, part.at_ns)
            if self._event(part):
                return
        ids = {**task.ids(), **({"span_id": part.span_id} if part.span_id else {})}
        recorder().point(line_of(part), task.task, ids, sampled=task.sampled)

    def _event(self, log: TracedLog) -> bool:
        """Record what a coding agent tells in a log record; not what spans of the trace tell as well."""
        events = [*known(self._trace, log, next(self._numbers))]
        for each in events:
            kind = AI_CALL if isinstance(each, Answer) else TOOL if isinstance(each, (ToolStart, ToolEnd)) else None
            if kind is not None and kind in self._kinds():
                return False
            self._events.write(each)
        self._clock.now_ns = log.at_ns
        return bool(events)

    def _kinds(self) -> frozenset[Kind]:
        """Of the spans of the trace."""
        if self._counted is None:
            spans = (part for part in self._spool.parts(self._trace) if isinstance(part, TracedSpan))
            self._counted = frozenset(kind_of(span.start["attributes"]) for span in spans)
        return self._counted

    def _begin(self, task: ImportedTrace, span: TracedSpan) -> None:
        start, context = {**span.start, "attributes": _known_at_start(span.start["attributes"])}, inside(task)
        parent = start.get("parent_span_id")
        if parent is not None and self._spool.has_span(self._trace, parent):
            above = SpanContext(int(start["trace_id"], 16), int(parent, 16), False, TraceFlags(TraceFlags.SAMPLED))
            context = set_span_in_context(NonRecordingSpan(above), context)
        else:
            self._failed = self._failed or span.end["status_code"] == "ERROR"
            start |= {} if parent is None else {"parent_remote": True}
        self._last_ns = max(self._last_ns, span.end["end_ns"])
        adopted = adopt(context, start)
        if isinstance(adopted, AdoptedSpan):
            # Of those that end at one time the one that began last ends first.
            heapq.heappush(self._running, (span.end["end_ns"], -next(self._numbers), adopted, span))

    def _end_until(self, at_ns: int | None) -> None:
        """End the spans that ended before this time; those that take no time end when another begins then."""
        while self._running and (at_ns is None or self._running[0][0] <= at_ns):
            end_ns, _, adopted, span = heapq.heappop(self._running)
            self._clock.now_ns = end_ns
            adopted.end(span.end)


_OF_THE_END = re.compile(r"(?:^|[._])(?:output|completion|response|result|usage|cost|token_count|finish_reason)", re.ASCII)
"""In names of attributes that a span has only at its end."""


def _known_at_start(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if _OF_THE_END.search(name) is None}


def line_of(part: TracedLog | TracedScore) -> dict[str, Any]:
    """The line of a log record or score."""
    if isinstance(part, TracedScore):
        said = {"label": part.label, "explanation": part.explanation, "by": part.by, "source": IMPORT}
        return given_score(part.name, part.value, said)
    line = {
        "type": "log",
        "level": part.level,
        "logger": part.logger,
        "component": Component.INTEGRATION.value,
        "message": part.message,
    }
    line |= {} if part.resource is None else {RESOURCE_ID: part.resource}
    return {**line, "details": dict(part.details)} if part.details else line
