"""The tree of a task's spans, made of its lines: what ran inside what, for how long, at what cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from otel_agentlog._startup import dataclass
from otel_agentlog.store.folder.reader import TaskReader, whole
from otel_agentlog.store.folder.totals import Counter, Runs
from otel_agentlog.vocabulary.actions import START_TYPE
from otel_agentlog.vocabulary.coerce import mapping, number, text
from otel_agentlog.vocabulary.lines import SAME_CALL_AS, Line, time_of
from otel_agentlog.vocabulary.states import ERROR_LEVELS
from otel_agentlog.vocabulary.usage import USAGE_FIELDS


@dataclass(slots=True)
class Figures:
    """What can be summed over a tree."""

    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(USAGE_FIELDS, 0))
    cost_usd: float | None = None
    """``None`` where no price is known."""
    unpriced: int = 0
    """AI calls that have ended and whose price is not known."""
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
        self.unpriced += other.unpriced
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
    is_foreign: bool = False
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
    parent_remote: bool = False
    """Whether its parent is a span of another process."""
    own: Figures = field(default_factory=Figures)
    total: Figures = field(default_factory=Figures)
    """Own figures and those of everything below."""
    children: list[Node] = field(default_factory=list)
    parent: Node | None = field(default=None, repr=False)
    """What it hangs below."""
    after: Node | None = field(default=None, repr=False)
    """The child of the same parent that it was put behind."""


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
    growing = GrowingTree()
    for line in task.events():
        growing.add(whole(line, task))
    return SpanTree(growing.settled())


class GrowingTree:
    """The tree of a task while its lines come: what a line takes does not depend on how many there were before.

    A node is put below its parent when it starts, its figures are added to those of all that it is in. Lines that only damage or
    a process of long ago leaves (a parent that comes after its children, an end without a start) have the whole put together
    anew, once for all that came since `settled` was last called.
    """

    def __init__(self) -> None:
        self.placed: Node | None = None
        """The node that the last line put into the tree."""
        self.regrown = 0
        """How often the whole was put together anew."""
        self.touched: dict[Node, bool] = {}
        """What lines have changed; true where that is more than figures. For its reader to empty."""
        self._nodes: dict[str, Node] = {}
        self._pointers: dict[str, Node] = {}
        self._roots: list[Node] = []
        self._trunk: Node | None = None
        self._is_loose = True
        """Whether the whole is to be put together anew."""
        self._awaited: set[str] = set()
        """Parents that nodes have named, and that have not been there yet."""
        self._errors: set[str] = set()
        self._lost = Figures()
        """Of lines whose span is not known; they count as the task's."""
        self._lost_in: Node | None = None
        self._last_ns: int | None = None
        self._runs = Runs()
        self._counted: dict[str, Counter] = {}
        """What is counted of spans that have not ended."""
        self._unmeasured: dict[Node, None] = {}
        """Nodes whose lines tell no duration."""

    def add(self, line: Line) -> None:
        """Take the next line."""
        self.placed = None
        self._last_ns = time_of(line) or self._last_ns
        phase, line_type, span_id = line.get("phase"), text(line, "type"), text(line, "span_id") or ""
        if phase in ("start", "end") and span_id:
            if phase == "start":
                self._start(line, line_type, span_id)
            else:
                self._end(line, line_type, span_id)
        elif line_type == "subtask":
            self._point(line, span_id)
        elif line_type != "process":
            node = self._nodes.get(span_id)
            self._add(node, logs=1)
            if node is not None and line_type == "attempt":
                self.touched[node] = True
        self._count_error(line, span_id)

    def settled(self) -> list[Node]:
        """The roots, with all that does not follow from one line alone."""
        if self._is_loose and (self._nodes or self._pointers):
            self._regrow()
        self._count_open()
        for node in self._unmeasured:
            if node.start_ns is not None:
                until = node.end_ns or self._last_ns or node.start_ns
                node.duration_ms = max(0, until - node.start_ns) / 1e6
        return self._roots

    def node(self, span_id: str) -> Node | None:
        """The node of a span."""
        return self._nodes.get(span_id)

    def _start(self, line: Line, line_type: str | None, span_id: str) -> None:
        known = self._nodes.get(span_id)
        node = known or self._new(line, line_type, span_id)
        _open(node, line)
        if known is not None or span_id in self._awaited:
            self._is_loose = True
        elif not self._is_loose:
            self._place(node)
        if node.parent_span_id and node.parent_span_id not in self._nodes:
            self._awaited.add(node.parent_span_id)
        self.touched[node] = True
        self._runs.start(span_id, line_type, mapping(line, "details"))

    def _new(self, line: Line, line_type: str | None, span_id: str) -> Node:
        node = Node(line_type or "", text(line, "message") or text(line, "name") or "", span_id)
        self._nodes[span_id], self._unmeasured[node] = node, None
        return node

    def _end(self, line: Line, line_type: str | None, span_id: str) -> None:
        node = self._nodes.get(span_id)
        if node is None:
            node, self._is_loose = self._new(line, line_type, span_id), True
        was = _order(node), node.type in ("task", "subtask")
        self._replace_usage(node, _close(node, line))
        if was != (_order(node), node.type in ("task", "subtask")):
            self._is_loose = True
        if node.duration_ms is not None:
            self._unmeasured.pop(node, None)
        else:
            self._unmeasured[node] = None
        self.touched[node] = True
        counter = self._runs.end(span_id, line_type, mapping(line, "details"))
        self._count(node, counter, 1)
        self._count_unpriced(node, counter)

    def _point(self, line: Line, span_id: str) -> None:
        details = mapping(line, "details")
        task_id = text(details, "task_id") or ""
        node = self._pointers.get(task_id)
        if node is None:
            node = Node("subtask", text(details, "name") or task_id, "", span_id or None, task_id=task_id, start_ns=time_of(line))
            self._pointers[task_id], self._unmeasured[node] = node, None
            if not self._is_loose:
                self._place(node)
            if span_id and span_id not in self._nodes:
                self._awaited.add(span_id)
        if line.get("action") == "subtask_ended":
            node.is_open, node.end_ns, node.outcome = False, time_of(line), text(details, "outcome")
            self._is_loose |= node.start_ns is None
        self.touched[node] = True

    # Figures ----------------------------------------------------------------------------------------------------------------

    def _add(self, node: Node | None, *, logs: int = 0, errors: int = 0) -> None:
        if node is None:
            self._lost.logs += logs
            self._lost.errors += errors
            node = self._lost_in
            if node is None:
                self._is_loose = True
                return
        node.own.logs += logs
        node.own.errors += errors
        above: Node | None = node
        while above is not None:
            above.total.logs += logs
            above.total.errors += errors
            if errors:
                self.touched.setdefault(above, False)
            above = above.parent

    def _count(self, node: Node, counter: Counter | None, by: int) -> None:
        if counter not in ("ai_calls", "tool_runs"):
            return
        figures = Figures(ai_calls=by) if counter == "ai_calls" else Figures(tool_runs=by)
        node.own.add(figures)
        self._add_above(node, figures)

    def _count_unpriced(self, node: Node, counter: Counter | None) -> None:
        """Count a call whose price its end line does not tell, until a further view of it tells one."""
        has_price = node.own.cost_usd is not None
        self._set_unpriced(node, int(counter == "ai_calls" and not has_price))
        if has_price and (counted := self._nodes.get(node.same_call_as or "")) is not None:
            self._set_unpriced(counted, 0)

    def _set_unpriced(self, node: Node, unpriced: int) -> None:
        if more := unpriced - node.own.unpriced:
            figures = Figures(unpriced=more)
            node.own.add(figures)
            self._add_above(node, figures)

    def _replace_usage(self, node: Node, usage: Figures | None) -> None:
        if usage is None:
            return
        before, own = Figures(node.own.tokens, node.own.cost_usd), node.own
        own.tokens, own.cost_usd = usage.tokens, usage.cost_usd
        if before.cost_usd is None and not any(before.tokens.values()):
            self._add_above(node, usage)
        else:
            self._is_loose = True  # a second end

    def _add_above(self, node: Node | None, figures: Figures) -> None:
        while node is not None:
            node.total.add(figures)
            self.touched.setdefault(node, False)
            node = node.parent

    def _count_error(self, line: Line, span_id: str) -> None:
        if line.get("level") not in ERROR_LEVELS:
            return
        error_id = text(mapping(line, "exception"), "error_id")
        if error_id is not None and error_id in self._errors:
            return
        if error_id is not None:
            self._errors.add(error_id)
        self._add(self._nodes.get(span_id), errors=1)

    def _count_open(self) -> None:
        counted = self._runs.still_open()
        if counted == self._counted:
            return
        for span_id in self._counted.keys() | counted.keys():
            before, now = self._counted.get(span_id), counted.get(span_id)
            if before != now:
                self._count(self._nodes[span_id], before, -1)
                self._count(self._nodes[span_id], now, 1)
        self._counted = counted

    # Places -----------------------------------------------------------------------------------------------------------------

    def _place(self, node: Node) -> None:
        """Put a new node below its parent, among its siblings in the order of time."""
        parent = self._nodes.get(node.parent_span_id or "")
        if parent is None or parent is node:
            if not _is_homeless(node):
                self._is_loose = True  # a further root: perhaps the task itself
                return
            parent, node.is_orphan = self._trunk, True
            if parent is not None and _is_homeless(parent):
                parent = None  # the first of them stands in for the task
        elif node.type == "task":
            self._is_loose = True
            return
        else:
            node.is_orphan = False
        if parent is None:
            self._is_loose = True
            return
        at, order = len(parent.children), _order(node)
        while at and _order(parent.children[at - 1]) > order:
            at -= 1
        node.after = parent.children[at - 1] if at else None
        parent.children.insert(at, node)
        node.parent = parent
        self.placed = node

    def _regrow(self) -> None:
        if self._lost_in is not None:
            self._lost_in.own.logs -= self._lost.logs
            self._lost_in.own.errors -= self._lost.errors
        everything = [*self._nodes.values(), *self._pointers.values()]
        for node in everything:
            node.children, node.total, node.parent = [], Figures(), None
            node.is_orphan = node.parent_span_id is not None and not node.parent_remote and node.type != "subtask"
        self._roots, self._trunk = _nested(everything, self._nodes)
        self._lost_in = _trunk(self._roots) if self._roots else None
        if self._lost_in is not None:
            self._lost_in.own.add(self._lost)
        _sum_up(self._roots)
        self._is_loose = not self._roots
        self.regrown += 1


def _is_homeless(node: Node) -> bool:
    """Whether a node without its parent in the folder hangs below the task."""
    if node.type == "task":
        return False
    # Another library's span that begins a trace was given a task of its own (`ImplicitTask`).
    begins_trace = node.is_foreign and (node.parent_span_id is None or node.parent_remote)
    return node.is_orphan or begins_trace or node.type == "subtask" or node.start_ns is None


def _order(node: Node) -> tuple[bool, int, bool]:
    """Among the children of one node; those that begin at once in the order of their lines."""
    return node.is_orphan, node.start_ns or node.end_ns or 0, node.type == "subtask"


def _open(node: Node, line: Line) -> None:
    node.parent_span_id = text(line, "parent_span_id")
    node.parent_remote = line.get("parent_remote") is True
    node.is_foreign = "scope" in line
    node.is_orphan = node.parent_span_id is not None and not node.parent_remote
    node.start_ns = time_of(line)
    _describe(node, line)


def _close(node: Node, line: Line) -> Figures | None:
    """Note how a node ended; what it used, if it is an AI call."""
    _describe(node, line)
    # A model that was asked, or where work was handed to, may be known only then.
    node.name = text(line, "message") or node.name
    line_type = text(line, "type") or node.type
    if node.type == "task" and line_type == "segment":
        # It was handed over; like that of any task its parent may be in another folder.
        node.parent_remote, node.is_orphan = True, False
    node.type = START_TYPE.get(line_type, line_type)
    node.same_call_as = text(mapping(line, "details"), SAME_CALL_AS)
    node.is_open, node.end_ns = False, time_of(line)
    node.duration_ms = number(line, "duration_ms")
    node.outcome, node.reason = text(line, "outcome"), text(line, "reason")
    exception = mapping(line, "exception")
    if exception:
        node.error = ": ".join(filter(None, (text(exception, "type"), text(exception, "message"))))
    if line.get("type") != "ai_response":
        return None
    details = mapping(line, "details")
    return Figures({name: int(number(details, name) or 0) for name in USAGE_FIELDS}, number(details, "cost_usd"))


def _describe(node: Node, line: Line) -> None:
    node.component = text(line, "component") or node.component
    node.step_id = text(line, "step_id") or node.step_id
    node.task_id = text(line, "task_id") or node.task_id


def _nested(everything: list[Node], by_id: dict[str, Node]) -> tuple[list[Node], Node | None]:
    """Hang every node below its parent; return what has none, and the task, below which hangs what lost its parent."""
    everything.sort(key=lambda node: node.start_ns or node.end_ns or 0)
    roots, homeless = [], []
    for node in everything:
        parent = by_id.get(node.parent_span_id or "")
        if parent is not None and parent is not node:
            parent.children.append(node)
            node.is_orphan = False
        elif _is_homeless(node):
            homeless.append(node)
        else:
            node.is_orphan = False
            roots.append(node)
    reached = {id(node) for _, node in SpanTree(roots + homeless).walk()}
    places = {} if len(reached) == len(everything) else {node: at for at, node in enumerate(everything)}
    for node in places:
        if id(node) not in reached:
            # Parents in a circle: only damage does that. Cut it where it began.
            first = min(_circle_above(node, by_id), key=places.__getitem__)
            by_id[first.parent_span_id or ""].children.remove(first)
            homeless.append(first)
            reached.update(id(below) for _, below in SpanTree([first]).walk())
    if not roots and homeless:
        # One that has a task below it, as only a circle of parents leaves, is where the task is.
        first = next((node for node in homeless if any(each.type == "task" for _, each in SpanTree([node]).walk())), homeless[0])
        homeless.remove(first)
        roots.append(first)
    trunk = _trunk(roots) if roots else None
    for node in homeless:
        node.is_orphan = True
        assert trunk is not None
        trunk.children.append(node)
    return roots, trunk


def _circle_above(node: Node, by_id: dict[str, Node]) -> list[Node]:
    """The nodes that are each other's parents, in or above which is a node that no root leads to."""
    above: dict[Node, None] = {}
    while node not in above:
        above[node] = None
        node = by_id[node.parent_span_id or ""]
    found = list(above)
    return found[found.index(node) :]


def _trunk(roots: list[Node]) -> Node:
    """The node of the task, or the first one."""
    return next((node for _, node in SpanTree(roots).walk() if node.type == "task"), roots[0])


def _sum_up(roots: list[Node]) -> None:
    parents_first = [node for _, node in SpanTree(roots).walk()]
    for node in reversed(parents_first):
        node.total.add(node.own)
        before = None
        for child in node.children:
            node.total.add(child.total)
            child.parent, child.after, before = node, before, child
