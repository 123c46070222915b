"""The tree of a task's spans, made of its lines: what ran inside what, for how long, at what cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.store.folder.layout import parse_timestamp
from otel_agentlog.store.folder.reader import TaskReader, whole
from otel_agentlog.store.folder.totals import Counter, Runs
from otel_agentlog.vocabulary.actions import START_TYPE
from otel_agentlog.vocabulary.coerce import mapping, number, text
from otel_agentlog.vocabulary.lines import SAME_CALL_AS, Line
from otel_agentlog.vocabulary.usage import USAGE_FIELDS


@dataclass(slots=True)
class Figures:
    """What can be summed over a tree."""

    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(USAGE_FIELDS, 0))
    cost_usd: float | None = None
    """``None`` where no price is known."""
    ai_calls: int = 0
    tool_runs: int = 0
    errors: int = 0
    """Distinct errors, each where it was first seen."""
    logs: int = 0
    """Lines that start or end nothing: log lines, output, events."""

    def add(self, other: Figures) -> None:
        """Add the figures of another node."""
        for name, count in other.tokens.items():
            self.tokens[name] += count
        if other.cost_usd is not None:
            self.cost_usd = round((self.cost_usd or 0.0) + other.cost_usd, 10)
        self.ai_calls += other.ai_calls
        self.tool_runs += other.tool_runs
        self.errors += other.errors
        self.logs += other.logs


@dataclass(slots=True, eq=False)
class Node:
    """A span, or a pointer to a sub-task, in the tree."""

    type: str
    """``type`` of the start line, for what its end line says it was; ``subtask`` for a pointer."""
    name: str
    """Name for people: the task's, step's, model's or tool's."""
    span_id: str
    parent_span_id: str | None = None
    component: str | None = None
    step_id: str | None = None
    task_id: str | None = None
    """On a pointer the sub-task's id."""
    start_ns: int | None = None
    end_ns: int | None = None
    duration_ms: float | None = None
    """Of what is open: until the latest line of the task."""
    outcome: str | None = None
    reason: str | None = None
    error: str | None = None
    """Type and message of the exception it ended with."""
    same_call_as: str | None = None
    """The span that counts the request to a model which this one saw, too."""
    is_open: bool = True
    is_orphan: bool = False
    """Whether its parent should be in this folder and is not; it then hangs below the task."""
    own: Figures = field(default_factory=Figures)
    total: Figures = field(default_factory=Figures)
    """Own figures and those of everything below."""
    children: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SpanTree:
    """All spans of a task, nested."""

    roots: list[Node]

    def walk(self) -> Iterator[tuple[int, Node]]:
        """Yield every node after its parent, with its depth from 0, at any depth without recursion."""
        waiting = [(0, root) for root in reversed(self.roots)]
        while waiting:
            depth, node = waiting.pop()
            yield depth, node
            waiting += [(depth + 1, child) for child in reversed(node.children)]


def tree(task: TaskReader) -> SpanTree:
    """Return the tree of a task; damaged or unfinished ones give what there is. Holds one node for each span."""
    grower = _Grower()
    for line in task.events():
        grower.add(whole(line, task))
    return SpanTree(grower.grown())


class _Grower:
    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._pointers: dict[str, Node] = {}
        self._errors: set[str] = set()
        self._lost = Figures()
        self._last_ns: int | None = None
        self._runs = Runs()

    def add(self, line: Line) -> None:
        self._last_ns = _time(line) or self._last_ns
        phase, line_type, span_id = line.get("phase"), text(line, "type"), text(line, "span_id") or ""
        if phase in ("start", "end") and span_id:
            node = self._nodes.get(span_id)
            if node is None:
                node = self._nodes[span_id] = Node(line_type or "", text(line, "message") or text(line, "name") or "", span_id)
            if phase == "start":
                _open(node, line)
                self._runs.start(span_id, line_type, mapping(line, "details"))
            else:
                _close(node, line)
                _count(node, self._runs.end(span_id, line_type, mapping(line, "details")))
        elif line_type == "subtask":
            self._point(line, span_id)
        elif line_type != "process":
            self._figures(span_id).logs += 1
        self._count_error(line, span_id)

    def _figures(self, span_id: str) -> Figures:
        node = self._nodes.get(span_id)
        return self._lost if node is None else node.own

    def _point(self, line: Line, span_id: str) -> None:
        details = mapping(line, "details")
        task_id = text(details, "task_id") or ""
        node = self._pointers.get(task_id)
        if node is None:
            node = Node("subtask", text(details, "name") or task_id, "", span_id or None, task_id=task_id, start_ns=_time(line))
            self._pointers[task_id] = node
        if line.get("action") == "subtask_ended":
            node.is_open, node.end_ns, node.outcome = False, _time(line), text(details, "outcome")

    def _count_error(self, line: Line, span_id: str) -> None:
        if line.get("level") not in ("ERROR", "CRITICAL"):
            return
        error_id = text(mapping(line, "exception"), "error_id")
        if error_id is not None and error_id in self._errors:
            return
        if error_id is not None:
            self._errors.add(error_id)
        self._figures(span_id).errors += 1

    def grown(self) -> list[Node]:
        for span_id, counter in self._runs.still_open().items():
            _count(self._nodes[span_id], counter)
        everything = [*self._nodes.values(), *self._pointers.values()]
        for node in everything:
            if node.duration_ms is None and node.start_ns is not None:
                until = node.end_ns or self._last_ns or node.start_ns
                node.duration_ms = max(0, until - node.start_ns) / 1e6
        roots = _nested(everything, self._nodes)
        if roots:
            _trunk(roots).own.add(self._lost)
        _sum_up(roots)
        return roots


def _open(node: Node, line: Line) -> None:
    node.parent_span_id = text(line, "parent_span_id")
    node.is_orphan = node.parent_span_id is not None and line.get("parent_remote") is not True
    node.start_ns = _time(line)
    _describe(node, line)


def _count(node: Node, counter: Counter | None) -> None:
    if counter == "ai_calls":
        node.own.ai_calls += 1
    elif counter == "tool_runs":
        node.own.tool_runs += 1


def _close(node: Node, line: Line) -> None:
    _describe(node, line)
    line_type = text(line, "type") or node.type
    node.type = START_TYPE.get(line_type, line_type)
    node.same_call_as = text(mapping(line, "details"), SAME_CALL_AS)
    node.is_open, node.end_ns = False, _time(line)
    node.duration_ms = number(line, "duration_ms")
    node.outcome, node.reason = text(line, "outcome"), text(line, "reason")
    exception = mapping(line, "exception")
    if exception:
        node.error = ": ".join(filter(None, (text(exception, "type"), text(exception, "message"))))
    if line.get("type") == "ai_response":
        details = mapping(line, "details")
        node.own.tokens = {name: int(number(details, name) or 0) for name in USAGE_FIELDS}
        node.own.cost_usd = number(details, "cost_usd")


def _describe(node: Node, line: Line) -> None:
    node.component = text(line, "component") or node.component
    node.step_id = text(line, "step_id") or node.step_id
    node.task_id = text(line, "task_id") or node.task_id


def _nested(everything: list[Node], by_id: dict[str, Node]) -> list[Node]:
    """Hang every node below its parent and return what has none; what lost its parent hangs below the task."""
    everything.sort(key=lambda node: node.start_ns or node.end_ns or 0)
    roots, homeless = [], []
    for node in everything:
        parent = by_id.get(node.parent_span_id or "")
        if parent is not None and parent is not node:
            parent.children.append(node)
            node.is_orphan = False
        elif node.type != "task" and (node.is_orphan or node.type == "subtask" or node.start_ns is None):
            homeless.append(node)
        else:
            node.is_orphan = False
            roots.append(node)
    reached = {id(node) for _, node in SpanTree(roots + homeless).walk()}
    for node in everything:
        if id(node) not in reached:
            # Parents in a circle: only damage does that. Cut it where it began.
            by_id[node.parent_span_id or ""].children.remove(node)
            homeless.append(node)
            reached.update(id(below) for _, below in SpanTree([node]).walk())
    if not roots and homeless:
        roots.append(homeless.pop(0))
    trunk = _trunk(roots) if roots else None
    for node in homeless:
        node.is_orphan = True
        assert trunk is not None
        trunk.children.append(node)
    return roots


def _trunk(roots: list[Node]) -> Node:
    """The node of the task, or the first one."""
    return next((node for _, node in SpanTree(roots).walk() if node.type == "task"), roots[0])


def _sum_up(roots: list[Node]) -> None:
    parents_first = [node for _, node in SpanTree(roots).walk()]
    for node in reversed(parents_first):
        node.total.add(node.own)
        for child in node.children:
            node.total.add(child.total)


def _time(line: Line) -> int | None:
    try:
        return parse_timestamp(text(line, "timestamp") or "")
    except ValueError:
        raise_interrupt()
        return None
