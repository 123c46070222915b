"""Checks of a task's lines: each by its schema, and all against each other: numbers, ids, states, spans and times.

What follows from another fault (an end whose start line is missing anyway) is only a warning where lines are missing. Missing
and repeated numbers are found in memory that grows with the gaps, not with the lines.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, NamedTuple

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.store.folder.layout import (
    AGENT_OUTPUT,
    ARTIFACT_NAME,
    CONTROL,
    WEBHOOK_FLOW,
)
from otel_agentlog.store.validation.report import ValidationReport
from otel_agentlog.store.validation.schema import checker, shown
from otel_agentlog.vocabulary.actions import END_TYPE, HANDED_OVER, end_action, former_end_action, start_action
from otel_agentlog.vocabulary.coerce import mapping, text
from otel_agentlog.vocabulary.event_ids import split_event_id
from otel_agentlog.vocabulary.lines import GIVEN_BY_CALLERS, SAME_CALL_AS, STAGES, Line, time_of
from otel_agentlog.vocabulary.states import LEGAL_MOVES, State

IN_FLIGHT = 64
"""EventNumbers before a dead writer's last one that may have been given out to other threads and not been written yet."""

SCHEMA_OF = {WEBHOOK_FLOW: "webhook-line", AGENT_OUTPUT: "event-line", CONTROL: "control-line"}

_AROUND = frozenset({"webhook", "queue_push", "queue_pickup", "segment", "span"})
"""Spans that may go on after the task has ended: what brought it here, and other processes and libraries."""


_FOREIGN_ENDS = frozenset({"span", "ai_response", "tool_result"})
"""What a span of another library may turn out to have been at its end."""


class _Start(NamedTuple):
    number: int
    type: str
    foreign: bool
    """Whether it is a span of another library: it may end late, or never."""
    time_ns: int | None
    trace_id: str | None
    parent_span_id: str | None
    parent_remote: bool


class _Consequence(NamedTuple):
    file: str
    number: int
    expected: str
    found: str


class LineChecks:
    """Holds the lines of one task against each other. `add` each, then `finish`."""

    def __init__(self, report: ValidationReport, task_id: str | None, trace_id: str | None) -> None:
        self.artifacts: dict[str, tuple[str, int]] = {}
        """Where each artifact is first referred to, by its name."""
        self._report = report
        self._task_id, self._trace_id = task_id, trace_id
        self._writers: dict[str, EventNumbers] = {}
        self._lost: dict[str, list[Gap]] = {}
        """Numbers of a writer that its process lines call missing."""
        self._in_output: set[str] = set()
        """Tags of the writers with lines in `AGENT_OUTPUT` so far."""
        self._cut = False
        """Whether a file was cut while a process wrote: what it wrote again stands behind what came later."""
        self._states: dict[str, str] = {}
        self._requests: set[str] = set()
        self._starts: dict[str, _Start] = {}
        self._ended: dict[str, int] = {}
        self._handed_over: set[str] = set()
        """Spans of tasks that were handed over: they end as segments, or as tasks that were taken back."""
        self._consequences: list[_Consequence] = []

    def add(self, file: str, number: int, line: Line) -> None:
        """Check one line as such and against those before it."""
        self._report.lines += 1
        for path, expected, found in checker(SCHEMA_OF[file])(line):
            self._report.error(file, number, f"{path}: {expected}" if path else expected, found)
        self._check_ids(file, number, line)
        if file == CONTROL:
            self._check_request(number, line)
        self._note_artifacts(file, number, line)
        if file == WEBHOOK_FLOW and text(line, "stage") not in STAGES:
            self._report.warning(file, number, f"a stage of {', '.join(STAGES)}", shown(line.get("stage")))
        if file == AGENT_OUTPUT:
            self._check_state(number, line)
            phase = line.get("phase")
            if phase == "start":
                self._start(number, line)
            elif phase == "end":
                self._end(number, line)

    def finish(self, *, ended: bool, crashed: bool, damaged: bool) -> bool:
        """Check what only the whole shows; return whether lines are missing.

        `ended`: the task has an outcome. `crashed`: a process of it died. `damaged`: some line could not be read.
        """
        missing = self._check_numbers(lenient=crashed)
        self._check_parents()
        for span_id, start in self._starts.items():
            if span_id not in self._ended and ended:
                self._open_at_the_end(span_id, start)
        add = self._report.warning if missing or damaged or crashed or self._cut else self._report.error
        for each in self._consequences:
            add(*each)
        return missing

    def _check_ids(self, file: str, number: int, line: Line) -> None:
        task_id = line.get("task_id")
        if task_id is not None and self._task_id is not None and task_id != self._task_id:
            self._report.error(file, number, f"task_id {shown(self._task_id)}", shown(task_id))
        writer = split_event_id(line.get("event_id"))
        if writer is None:
            return
        tag, count = writer
        if not self._writers.setdefault(tag, EventNumbers()).add(count):
            self._report.error(file, number, "an event_id of its own", f"{tag}-{count} a second time")
        if line.get("type") == "process":
            self._cut = self._cut or (count == 0 and tag in self._in_output)
            self._lost.setdefault(tag, []).extend(_ranges(line.get("missing")))
        if file == AGENT_OUTPUT:
            self._in_output.add(tag)
        if count == 0 and file != CONTROL and line.get("type") != "process":
            self._report.error(file, number, f"the process line of writer {tag}", f"type {shown(line.get('type'))}")

    def _check_request(self, number: int, line: Line) -> None:
        request_id = text(line, "request_id")
        if request_id is not None and request_id in self._requests:
            self._report.error(CONTROL, number, "a request_id of its own", f"{request_id[:64]} a second time")
        elif request_id is not None:
            self._requests.add(request_id)

    def _check_state(self, number: int, line: Line) -> None:
        before, after, span_id = text(line, "state_before"), text(line, "state_after"), text(line, "span_id")
        if line.get("action") == HANDED_OVER and line.get("type") == "state" and span_id in self._starts:
            self._handed_over.add(str(span_id))
            self._starts[str(span_id)] = self._starts[str(span_id)]._replace(type="segment")
        if before is None or after is None or span_id is None or line.get("type") in GIVEN_BY_CALLERS:
            return
        last = self._states.get(span_id, State.PENDING.value)
        self._states[span_id] = after
        if before != last:
            self._consequence(number, f"state_before {last}", before)
        try:
            legal = State(after) in LEGAL_MOVES[State(before)]
        except ValueError:
            raise_interrupt()
            return
        if not legal:
            self._report.error(AGENT_OUTPUT, number, "a legal move", f"{before} to {after}")

    def _start(self, number: int, line: Line) -> None:
        span_id, line_type = text(line, "span_id") or "", text(line, "type") or ""
        if span_id in self._starts:
            self._report.error(AGENT_OUTPUT, number, "one start of a span", f"a second one of {span_id}")
            return
        self._check_action(number, line, start_action(line_type))
        trace_id = text(line, "trace_id")
        if line_type == "task" and self._trace_id is not None and trace_id != self._trace_id:
            self._report.error(AGENT_OUTPUT, number, f"trace_id {self._trace_id} of metadata.json", shown(trace_id))
        parent, remote = text(line, "parent_span_id"), line.get("parent_remote") is True or line.get("parent_elsewhere") is True
        self._starts[span_id] = _Start(number, line_type, "scope" in line, time_of(line), trace_id, parent, remote)

    def _end(self, number: int, line: Line) -> None:
        span_id, line_type = text(line, "span_id") or "", text(line, "type") or ""
        if span_id in self._ended:
            self._report.error(AGENT_OUTPUT, number, "one end of a span", f"a second one of {span_id}")
            return
        self._ended[span_id] = number
        outcome = text(line, "outcome")
        if not outcome or line.get("action") != former_end_action(line_type, outcome):
            self._check_action(number, line, end_action(line_type, outcome) if outcome else None)
        if outcome and "state_after" in line and line["state_after"] != outcome:
            self._report.error(AGENT_OUTPUT, number, f"state_after {outcome}, as the outcome", shown(line["state_after"]))
        start = self._starts.get(span_id)
        if start is None:
            self._consequence(number, f"a start of span {span_id} before its end", "none")
            return
        self._check_pair(number, line, start)

    def _check_pair(self, number: int, line: Line, start: _Start) -> None:
        wanted, found = END_TYPE.get(start.type, start.type), text(line, "type")
        may_be = _FOREIGN_ENDS if start.foreign else ("task",) if text(line, "span_id") in self._handed_over else ()
        if found == "span" and wanted == "tool_result" and text(mapping(line, "details"), SAME_CALL_AS) is not None:
            may_be = ("span",)  # what a framework reports of a run that counts as another one
        if found != wanted and found not in may_be:
            self._report.error(AGENT_OUTPUT, number, f"type {wanted}, to end line {start.number}", shown(found))
        if text(line, "trace_id") != start.trace_id:
            self._report.error(
                AGENT_OUTPUT, number, f"trace_id {start.trace_id} of line {start.number}", shown(line.get("trace_id"))
            )
        end_ns = time_of(line)
        if end_ns is not None and start.time_ns is not None and end_ns < start.time_ns:
            self._report.error(
                AGENT_OUTPUT, number, f"an end not before the start in line {start.number}", shown(line["timestamp"])
            )

    def _check_action(self, number: int, line: Line, wanted: str | None) -> None:
        if wanted is not None and line.get("action") != wanted:
            self._report.error(AGENT_OUTPUT, number, f"action {wanted}", shown(line.get("action")))

    def _check_numbers(self, *, lenient: bool) -> bool:
        missing = False
        for tag, numbers in self._writers.items():
            for gap in numbers.gaps():
                missing = True
                expected, found = f"every event_id up to {tag}-{numbers.highest}", f"{tag}-{gap} missing"
                if _is_within(gap, self._lost.get(tag, [])):
                    self._report.warning(AGENT_OUTPUT, None, expected, f"{found}, lost and told by its writer")
                elif lenient and numbers.is_in_flight(gap):
                    self._report.warning(AGENT_OUTPUT, None, expected, f"{found}, in flight when the process died")
                else:
                    self._report.error(AGENT_OUTPUT, None, expected, found)
        return missing

    def _check_parents(self) -> None:
        for span_id, start in self._starts.items():
            parent = start.parent_span_id
            if parent == span_id:
                self._report.error(AGENT_OUTPUT, start.number, "a parent other than the span itself", span_id)
            # A task may begin inside a span of a parent task or of the user's own, which is in no folder or another one.
            is_task = start.type in ("task", "webhook") or span_id in self._handed_over
            if parent is None or start.parent_remote or is_task:
                continue
            if parent not in self._starts and parent not in self._ended:
                self._consequence(start.number, f"parent {parent} in this folder, or parent_remote", "neither")

    def _open_at_the_end(self, span_id: str, start: _Start) -> None:
        expected, found = f"an end of {start.type} {span_id}, as the task has ended", "none"
        if start.type in _AROUND or start.foreign:
            self._report.warning(AGENT_OUTPUT, start.number, expected, found)
        else:
            self._consequence(start.number, expected, found)

    def _consequence(self, number: int, expected: str, found: str) -> None:
        self._consequences.append(_Consequence(AGENT_OUTPUT, number, expected, found))

    def _note_artifacts(self, file: str, number: int, line: Line) -> None:
        for reference in _references(line):
            name = text(reference, "sha256")
            if name is None or ARTIFACT_NAME.fullmatch(name) is None:
                self._report.error(file, number, "a sha256 of 64 hex digits in $artifact", shown(reference.get("sha256")))
            else:
                self.artifacts.setdefault(name, (file, number))


class Gap(NamedTuple):
    """EventNumbers that are missing, both ends included."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"


class EventNumbers:
    """The numbers seen of one writer tag, in any order."""

    def __init__(self) -> None:
        self.highest = -1
        self._firsts: list[int] = []
        self._gaps: list[Gap] = []

    def add(self, number: int) -> bool:
        """Note a number; return whether it is new."""
        if number > self.highest:
            if number > self.highest + 1:
                self._firsts.append(self.highest + 1)
                self._gaps.append(Gap(self.highest + 1, number - 1))
            self.highest = number
            return True
        place = bisect_right(self._firsts, number) - 1
        if place < 0 or number > self._gaps[place].last:
            return False
        self._fill(place, number)
        return True

    def gaps(self) -> Iterator[Gap]:
        """Yield what is missing, in order."""
        return iter(self._gaps)

    def is_in_flight(self, gap: Gap) -> bool:
        """Whether a gap is so near the end that a dying process explains it."""
        return gap.first > self.highest - IN_FLIGHT

    def _fill(self, place: int, number: int) -> None:
        gap = self._gaps[place]
        left = [Gap(gap.first, number - 1)] if number > gap.first else []
        right = [Gap(number + 1, gap.last)] if number < gap.last else []
        self._gaps[place : place + 1] = left + right
        self._firsts[place : place + 1] = [part.first for part in left + right]


def _ranges(value: object) -> Iterator[Gap]:
    for run in value if isinstance(value, list) else ():
        if isinstance(run, list) and len(run) == 2 and all(type(number) is int for number in run):
            yield Gap(*run)


def _is_within(gap: Gap, known: list[Gap]) -> bool:
    """Whether all of a gap is known to be missing."""
    first = gap.first
    for each in sorted(known):
        if each.first <= first <= each.last:
            first = each.last + 1
    return first > gap.last


def _references(line: Line) -> Iterator[dict[str, Any]]:
    """Yield the contents of every ``$artifact`` in a line."""
    waiting: list[Any] = [line]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            if len(value) == 1 and "$artifact" in value:
                yield dict(mapping(value, "$artifact"))
            else:
                waiting += value.values()
