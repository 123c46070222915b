"""The lines that close what a dead process left open: ends of spans, of lost parents and of sub-tasks, and a process line."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.settings.version import __version__
from otel_agentlog.store.folder.layout import parse_timestamp
from otel_agentlog.store.recovery.abandoned_task import AbandonedTask, valid_time
from otel_agentlog.vocabulary.actions import END_TYPE, end_action
from otel_agentlog.vocabulary.coerce import mapping, text
from otel_agentlog.vocabulary.lines import FORMAT_VERSION, REPAIRED_BY, Line, encode, timestamp
from otel_agentlog.vocabulary.states import Outcome, State

REASON = "process died"
NEVER_CAME = "handed over to a job that did not come"
LOST = "span lost"
"""Name and reason of a span of which there is no line but that of its children."""

Attributes = Callable[[Line], Mapping[str, Any]]
"""The span attributes of an end line, by the conventions of `export`."""

SubTask = Callable[[str], "tuple[str, str | None] | None"]
"""Outcome and end time of a sub-task by its id; ``None`` while a process runs it."""

_IDS = ("task_id", "step_id", "correlation_id", "session_id", "instance_id", "trace_id", "span_id")
_LEGAL = {State.RUNNING.value, State.PAUSED.value}


_OF_THE_TASK = ("content_policy", "content_on", "profile", "resource", "scope")
"""Keys of a process line that are taken over from that of the process that worked on the task, as the spans are its."""


def added_process_line(of_task: Line, what: str, key: str) -> Line:
    """The process line, but for its timestamp and ids, of a process that does not work on a task and adds lines to it.

    Args:
        of_task: the process line of the one that worked on it.
        what: what is done with the task, for the message (``repaired``).
        key: `REPAIRED_BY` or `NOTED_BY`.
    """
    return {
        "type": "process",
        "level": "INFO",
        "component": "process",
        "action": "process_attached",
        "message": f"{what} by process {os.getpid()}",
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "format_version": FORMAT_VERSION,
        "content_policy": "off",
        "resource": {},
        **{each: of_task[each] for each in _OF_THE_TASK if each in of_task},
        key: {"pid": os.getpid(), "version": __version__},
    }


class RepairLines:
    """The lines to append, in order: children before their parents."""

    def __init__(self, task: AbandonedTask, attributes: Attributes, sub_task: SubTask) -> None:
        self._task, self._attributes = task, attributes
        self._tag = os.urandom(4).hex()
        self.task_end: Line | None = None
        """The end line of the task's own span."""
        self.spans = 0
        """How many spans are closed."""
        self.lines: list[Line] = []
        # Lazily: the end of a sub-task may be later than all lines of the spans around it.
        for line in chain(self._pointers(sub_task), self._ends(), self._never_came(), self._lost()):
            self._add(line)
        if self.lines:
            process = self._process_line()
            self.lines.insert(0, {**process, "event_id": f"{self._tag}-0"})

    def encoded(self) -> bytes:
        """The lines as bytes of the file."""
        return b"".join(encode(line) for line in self.lines)

    def _add(self, line: Line) -> None:
        line["task_id"] = self._task.task_id
        line["event_id"] = f"{self._tag}-{len(self.lines) + 1}"
        if line.get("phase") == "end":
            self.spans += 1
            line["attributes"] = dict(self._attributes(line))
        self.lines.append(line)

    def _process_line(self) -> Line:
        """This process, with the resource and the settings of the dead one, which the spans belong to."""
        died: Line = next(iter(reversed(self._task.writers_of_open())), {})
        line = added_process_line(died, "repaired", REPAIRED_BY)
        return {"timestamp": timestamp(time.time_ns()), **line, "task_id": self._task.task_id}

    # -- spans ------------------------------------------------------------------------------------------------------------

    def _ends(self) -> Iterator[Line]:
        for span_id, start in reversed(list(self._task.open.items())):
            at = self._task.last_seen.get(span_id)
            if start.get("type") == "task":
                line = self.task_end = {**self._task_end(start, at), "details": self._task_details()}
            else:
                line = self._end(start, at, Outcome.INTERRUPTED.value, REASON)
            yield line

    def _task_end(self, start: Line, last_seen: str | None) -> Line:
        outcome = self._task.outcome
        result_at = valid_time({"timestamp": (self._task.result or {}).get("completed_at")})
        if result_at is None:
            return self._end(start, last_seen, outcome, REASON)
        return self._end(start, max(result_at, last_seen or ""), outcome, "end line lost")

    def _task_details(self) -> dict[str, Any]:
        """What the task was given, and what it used as far as its lines tell."""
        task, figures = self._task, self._task.tally.metrics()
        counted = {key: figures[key] for key in ("ai_calls", "tool_runs")}
        return {**mapping(task.task_start or {}, "details"), **counted, **task.tally.used()}

    def _end(self, start: Line, at: str | None, outcome: str, reason: str) -> Line:
        began = valid_time(start)
        ended = max(filter(None, (began, at)), default=self._task.tally.last_seen or timestamp(time.time_ns()))
        kind = text(start, "type") or "span"
        before = text(start, "state_after")
        line: Line = {
            "timestamp": ended,
            "type": END_TYPE.get(kind, kind),
            "level": "INFO" if outcome == Outcome.COMPLETED.value else "WARNING",
            "phase": "end",
            "component": text(start, "component"),
            "action": end_action(kind, outcome),
            "message": text(start, "message") or text(start, "name"),
            "content": text(start, "content"),
            "state_before": before if before in _LEGAL else None,
            "outcome": outcome,
            "reason": reason,
            "duration_ms": _between_ms(began, ended),
            **{key: start.get(key) for key in _IDS},
        }
        if line["state_before"] is not None:
            line["state_after"] = outcome
        return {key: value for key, value in line.items() if value is not None}

    # -- what is missing --------------------------------------------------------------------------------------------------

    def _lost(self) -> Iterator[Line]:
        """Start and end of each parent that has no line: without it the tree would fall apart where it is shown."""
        trunk = self._task.task_start or {}
        for span_id, child in self._task.lost_parents():
            start = {**{key: child.get(key) for key in ("timestamp", *_IDS)}, "type": "span", "span_id": span_id, "name": LOST}
            start.update({"level": "WARNING", "phase": "start", "message": LOST, "kind": "INTERNAL", "attributes": {}})
            start["trace_flags"] = child.get("trace_flags", 1)
            if trunk.get("trace_id") == child.get("trace_id") and trunk.get("span_id") not in (None, span_id):
                start["parent_span_id"] = trunk["span_id"]
            start = {key: value for key, value in start.items() if value is not None}
            yield start
            yield self._end(start, self._task.last_seen.get(str(trunk.get("span_id"))), Outcome.INTERRUPTED.value, LOST)

    def _never_came(self) -> Iterator[Line]:
        """That the job to which the task was handed over did not come in time."""
        left, was = self._task.handed_over, self._task.status
        if left is None or was != State.PENDING.value or self._task.waits:
            return
        yield {
            "timestamp": max(text(mapping(left, "details"), "until") or "", text(left, "timestamp") or ""),
            "type": "state",
            "level": "WARNING",
            "component": "state_management",
            "action": "task_interrupted",
            "message": f"{text(self._task.task_start or {}, 'message') or self._task.task_id}: no job took it up",
            "reason": NEVER_CAME,
            "state_after": Outcome.INTERRUPTED.value,
            **{key: left[key] for key in _IDS if key in left},
        }

    def _pointers(self, sub_task: SubTask) -> Iterator[Line]:
        for (span_id, task_id), start in self._task.pointers.items():
            ended = sub_task(task_id)
            if ended is None:
                continue
            at = max(filter(None, (valid_time(start), self._task.last_seen.get(span_id), ended[1])), default="")
            self._task.see_below(span_id, at)
            yield {
                "timestamp": at or timestamp(time.time_ns()),
                "type": "subtask",
                "level": "INFO",
                "action": "subtask_ended",
                **{key: start[key] for key in ("component", "message", *_IDS) if key in start},
                "details": {**mapping(start, "details"), "outcome": ended[0]},
            }


def _between_ms(began: str | None, ended: str) -> float:
    try:
        return round(max(0, parse_timestamp(ended) - parse_timestamp(began or ended)) / 1e6, 3)
    except ValueError:
        raise_interrupt()
        return 0.0
