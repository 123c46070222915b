"""Everything about one task: its row, its tree with the lines of each part, how it came in."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.errors import TaskNotFoundError
from otel_agentlog.query.rows import TaskRow, row_of
from otel_agentlog.store.folder.reader import TaskReader, find_task
from otel_agentlog.store.spans.tree import Figures, Node, tree
from otel_agentlog.vocabulary.chunks import joined
from otel_agentlog.vocabulary.coerce import mapping, text
from otel_agentlog.vocabulary.lines import CONTENT_TYPES, LOG_TYPES, Line, time_of
from otel_agentlog.vocabulary.scores import NOTE_ADDED, SCORE_ADDED, Score, latest_scores
from otel_agentlog.vocabulary.states import State

MAX_NOTED = 1000
"""Notes and scores of one task that a report has."""

MAX_DEPTH = 8
"""How deep sub-tasks within sub-tasks are opened."""

_KINDS = {"ai_request": "ai_call", "ai_response": "ai_call", "tool_call": "tool_run", "tool_result": "tool_run"}
_LARGE = frozenset({"messages", "system", "tools", "output", "result"})
_INLINE = LOG_TYPES | CONTENT_TYPES


@dataclass(slots=True, eq=False)
class Entry:
    """A task, step, AI call, tool run … in the tree. Texts are as in the folder."""

    kind: str
    """``task`` ``step`` ``ai_call`` ``tool_run`` ``subtask`` ``segment`` ``webhook`` ``queue_push`` ``queue_pickup`` ``span``."""
    name: str
    status: str
    """Its outcome; ``running`` or ``paused`` while it is open, ``interrupted`` if it was left open."""
    start_ns: int | None
    end_ns: int | None
    duration_ms: float | None
    own: Figures
    total: Figures
    """Own figures and those of everything below."""
    span_id: str | None = None
    step_id: str | None = None
    component: str | None = None
    reason: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    """``details`` of the start line, updated by those of the end line."""
    exception: Mapping[str, Any] | None = None
    """As on the end line; has a ``traceback`` where the error was first seen."""
    attempts: list[Mapping[str, Any]] = field(default_factory=list)
    """``details`` of each failed attempt."""
    lines: list[Line] = field(default_factory=list)
    """The lines recorded within it, if `with_lines`: log lines, output, events."""
    children: list[Entry] = field(default_factory=list)
    task: TaskRow | None = None
    """The sub-task behind a pointer."""


@dataclass(slots=True)
class TaskReport:
    """All about one task."""

    row: TaskRow
    input: Any
    result: Any
    stages: list[Line]
    """The webhook flow."""
    roots: list[Entry]
    said: Counter[str]
    """How many lines of each type there are that start and end nothing; a text in chunks counts once."""
    levels: Counter[str]
    """How many log lines of each level there are."""
    problems: list[str]
    """What could not be read."""
    noted: list[Line] = field(default_factory=list)
    """The lines of notes and scores, at most `MAX_NOTED`, in the order of the file."""

    @property
    def scores(self) -> list[Score]:
        """The scores that count."""
        return latest_scores(self.noted)


def report(task: TaskReader, *, with_lines: bool = False, with_content: bool = False) -> TaskReport:
    """Return all about a task.

    `with_lines` puts every line in its place and opens sub-tasks; with it, or `with_content`, messages, answers and results are
    in the details.
    """
    return _report(task, with_lines, frozenset(), with_content)


def _report(task: TaskReader, with_lines: bool, above: frozenset[str], with_content: bool = False) -> TaskReport:
    row = row_of(task)
    gathered = Gathered(with_lines, with_content)
    for line in joined(task.events()):
        gathered.add(line)
    grown = tree(task)
    open_status = State.INTERRUPTED.value if row.has_ended else row.status
    now_ns = None if row.has_ended else time.time_ns()
    entries = {id(node): entry_of(node, gathered, open_status, now_ns) for _, node in grown.walk()}
    for _, node in grown.walk():
        entries[id(node)].children = [entries[id(child)] for child in node.children]
        if node.type == "subtask" and node.task_id:
            _open_subtask(entries[id(node)], node.task_id, task, with_lines, above | {row.task_id})
    roots = [entries[id(node)] for node in grown.roots]
    if roots and with_lines:
        roots[0].lines += gathered.outside_of({entry.span_id for entry in entries.values() if entry.span_id})
    return TaskReport(
        row=with_prices(row, roots),
        input=(task.input() or {}).get("input"),
        result=(task.final_result() or {}).get("result"),
        stages=list(task.webhook_flow()),
        roots=roots,
        said=gathered.said,
        levels=gathered.levels,
        problems=list(dict.fromkeys(str(problem) for problem in task.problems)),
        noted=gathered.noted,
    )


def with_prices(row: TaskRow, roots: Iterable[Entry]) -> TaskRow:
    """The row of a task whose tree this is, with whether the price of something in it is not known."""
    unknown = row.metrics.get("cost_usd") is None or any(root.total.unpriced for root in roots)
    return replace(row, unpriced=unknown)


def entry_of(node: Node, gathered: Gathered, open_status: str, now_ns: int | None) -> Entry:
    """The part of a report for a node of the tree; what is open has this status, and lasts until now if that is given."""
    notes = gathered.by_span.get(node.span_id) or _Notes()
    entry = Entry(
        kind="",
        name="",
        status="",
        start_ns=None,
        end_ns=None,
        duration_ms=None,
        own=node.own,
        total=node.total,
        span_id=node.span_id or None,
        details=notes.details,
        attempts=notes.attempts,
        lines=notes.lines,
    )
    bring_up_to_date(entry, node, gathered, open_status, now_ns)
    return entry


def bring_up_to_date(entry: Entry, node: Node, gathered: Gathered, open_status: str, now_ns: int | None) -> None:
    """Give an entry what further lines have changed of its node."""
    notes = gathered.by_span.get(node.span_id)
    goes_on = node.is_open and now_ns is not None and node.start_ns is not None
    entry.kind, entry.name = _KINDS.get(node.type, node.type), node.name
    entry.status = open_status if node.is_open else node.outcome or State.COMPLETED.value
    entry.start_ns, entry.end_ns = node.start_ns, node.end_ns
    entry.duration_ms = max(0, (now_ns or 0) - (node.start_ns or 0)) / 1e6 if goes_on else node.duration_ms
    entry.step_id, entry.component, entry.reason = node.step_id, node.component, node.reason
    entry.total = node.total
    if notes is not None:
        entry.details, entry.exception, entry.attempts = notes.details, notes.exception, notes.attempts


def _open_subtask(entry: Entry, task_id: str, task: TaskReader, with_lines: bool, above: frozenset[str]) -> None:
    entry.details["task_id"] = task_id
    try:
        found = find_task(task.folder.parent, task_id)
    except TaskNotFoundError:
        return  # moved away, or deleted by retention: the pointer is what is left
    if not with_lines or task_id in above or len(above) >= MAX_DEPTH:
        entry.task = row_of(found)
    else:
        inside = _report(found, with_lines, above)
        entry.task, entry.children = inside.row, inside.roots
    entry.status = entry.task.status if entry.end_ns is None else entry.status


@dataclass(slots=True)
class _Notes:
    details: dict[str, Any] = field(default_factory=dict)
    exception: Mapping[str, Any] | None = None
    attempts: list[Mapping[str, Any]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


class Gathered:
    """What the lines have about each span beyond the figures in the tree."""

    def __init__(self, with_lines: bool, with_content: bool = False) -> None:
        self.by_span: dict[str, _Notes] = {}
        self.said: Counter[str] = Counter()
        self.levels: Counter[str] = Counter()
        self._with_lines, self._with_content = with_lines, with_lines or with_content
        self._outside: list[Line] = []
        self.noted: list[Line] = []

    def add(self, line: Line) -> None:
        span_id, kind = text(line, "span_id"), text(line, "type") or ""
        notes = self.by_span.setdefault(span_id, _Notes()) if span_id else None
        if line.get("phase") in ("start", "end"):
            if notes is not None:
                details = mapping(line, "details")
                notes.details.update({key: value for key, value in details.items() if self._with_content or key not in _LARGE})
                notes.exception = mapping(line, "exception") or notes.exception
            return
        if kind == "attempt" and line.get("action") == "attempt_failed" and notes is not None:
            notes.attempts.append(mapping(line, "details"))
        if kind == "event" and line.get("action") in (SCORE_ADDED, NOTE_ADDED) and len(self.noted) < MAX_NOTED:
            self.noted.append(line)
        if kind in _INLINE:
            self.said[kind] += 1
            if kind == "log":
                self.levels[text(line, "level") or "INFO"] += 1
            if self._with_lines:
                (self._outside if notes is None else notes.lines).append(line)

    def outside_of(self, known: Iterable[str]) -> list[Line]:
        """Lines whose span is not in the tree, in the order of the file."""
        spans = self.by_span.keys() - set(known)
        found = self._outside + [line for span in spans for line in self.by_span[span].lines]
        return sorted(found, key=lambda line: time_of(line) or 0)
