"""A row and a report about one task, kept up to date while it goes on.

What a new line takes does not depend on how many there were before.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Any, NamedTuple

from otel_agentlog.errors import TaskNotFoundError
from otel_agentlog.query.reports import Entry, Gathered, TaskReport, bring_up_to_date, entry_of, with_prices
from otel_agentlog.query.rows import TaskRow, make_row
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, FINAL_RESULT, INPUT, METADATA, WEBHOOK_FLOW
from otel_agentlog.store.folder.reader import GrowingFile, TaskReader, find_task, whole
from otel_agentlog.store.folder.totals import Tally
from otel_agentlog.store.spans.tree import GrowingTree, Node
from otel_agentlog.vocabulary.chunks import Joiner
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.states import State


class LiveRow:
    """The row of a task; `new_lines` reads what was added to its two files of lines, `row` is as of then. For one thread."""

    def __init__(self, task: TaskReader) -> None:
        self.task = task
        self.restarts = 0
        """How often a file was found replaced, so that all lines come again."""
        self._documents: dict[str, tuple[str, dict[str, Any]]] = {}
        self._begin()

    def _begin(self) -> None:
        self._files = {name: GrowingFile(self.task.folder, name) for name in (WEBHOOK_FLOW, AGENT_OUTPUT)}
        self._tally = Tally()

    @property
    def offset(self) -> int:
        """How far the agent's output was read, in uncompressed bytes."""
        return self._files[AGENT_OUTPUT].offset

    def new_lines(self) -> Iterator[tuple[str, Line, Line]]:
        """Yield the lines that came since the last call: the name of the file, the line, the line with artifacts put back."""
        live = not self.task.stamp(FINAL_RESULT)
        for name, file in self._files.items():
            for line in file.new(live=live):
                if file.restarts:
                    break
                found = whole(line, self.task)
                self._tally.add(found)
                yield name, line, found
            if file.restarts:
                self._begin()
                self.restarts += 1
                yield from self.new_lines()
                return

    def document(self, name: str) -> dict[str, Any]:
        """A whole file; read again when it has changed."""
        stamp = self.task.stamp(name)
        known = self._documents.get(name)
        if known is None or known[0] != stamp:
            known = self._documents[name] = stamp, self.task.document(name) or {}
        return known[1]

    def row(self) -> TaskRow:
        """The row as it is now."""
        return make_row(self.task, self.document(METADATA), self.document(FINAL_RESULT), lambda: self._tally)

    def problems(self) -> list[str]:
        """What could not be read."""
        skipped = [*self.task.problems, *(each for file in self._files.values() for each in file.skipped)]
        return list(dict.fromkeys(map(str, skipped)))


class Place(NamedTuple):
    """Where an entry stands in the tree."""

    number: int
    """How many were put into the tree before it."""
    parent: Entry | None
    after: Entry | None
    """The child of the same parent that it was put behind; ``None``: it was the first."""


class _Change(NamedTuple):
    version: int
    offset: int
    """How far the agent's output was read then."""
    wholly: int
    """Version in which more than its figures changed."""


class LiveReport:
    """Everything about one task, as of the last `poll`; for one thread at a time.

    An entry stays the same object while its task goes on.
    """

    def __init__(self, task: TaskReader, *, keep: int = 0) -> None:
        self.task = task
        self.lines: deque[Line] = deque(maxlen=keep)
        """The last lines of the agent's output, at most `keep`; a text in chunks is one, which grows."""
        self.came = 0
        """How many lines of it there were."""
        self.version = 0
        """Grows when a poll has found something."""
        self._live = LiveRow(task)
        self._begin()
        self.report = TaskReport(self._live.row(), None, None, [], [], self._gathered.said, self._gathered.levels, [])
        self.poll()

    def _begin(self) -> None:
        self.order: list[Entry] = []
        """All entries, in the order in which they were put into the tree."""
        self.regrown: tuple[int, int] = (0, 0)
        """Version and offset at which entries last changed their places."""
        self._tree, self._gathered, self._joiner = GrowingTree(), Gathered(with_lines=False), Joiner()
        self._entries: dict[Node, Entry] = {}
        self._places: dict[Entry, Place] = {}
        self._changes: dict[Entry, _Change] = {}
        """The last change of each, the latest last."""
        self._open: dict[Node, None] = {}
        self._subtasks: dict[Node, LiveRow] = {}
        """Of sub-tasks that go on."""
        self._seen = (0, 0)
        """Restarts and regrowths that the entries are of."""

    @property
    def offset(self) -> int:
        """How far the agent's output was read, in uncompressed bytes."""
        return self._live.offset

    def growing(self) -> list[Line]:
        """Those of `lines` that are texts to which more may come."""
        return [] if self.report.row.has_ended else self._joiner.growing()

    def poll(self) -> bool:
        """Read what is new, and return whether there was anything."""
        before = self.version
        self.version += 1
        came = self._read()
        was, row = self.report.row, self._live.row()
        self._update(row)
        is_new = came or (bool(self._changes) and next(reversed(self._changes.values())).version == self.version)
        if not is_new and (was.status, was.metadata) == (row.status, row.metadata):
            self.version = before
        return self.version != before

    def _read(self) -> bool:
        came, restarts = False, self._live.restarts
        for name, line, found in self._live.new_lines():
            if self._live.restarts != restarts:
                restarts = self._begin_again()
            came = True
            if name == WEBHOOK_FLOW:
                self.report.stages.append(line)
            else:
                self._add(line, found)
        if self._live.restarts != restarts:
            self._begin_again()
            came = True
        self._joiner.settle()
        return came

    def _begin_again(self) -> int:
        self._begin()
        self.lines.clear()
        self.report.stages.clear()
        return self._live.restarts

    def _add(self, line: Line, found: Line) -> None:
        if (shown := self._joiner.add(line)) is not None:
            self.came += 1
            self.lines.append(shown)
            self._gathered.add(shown)
        self._tree.add(found)
        if self._tree.placed is not None:
            self._place(self._tree.placed)

    def _update(self, row: TaskRow) -> None:
        report, status = self.report, self.report.row.status
        report.row, report.roots = row, self._roots()
        for node, wholly in self._tree.touched.items():
            self._refresh(node, wholly)
        self._tree.touched.clear()
        report.row = with_prices(row, report.roots)
        if row.status != status:
            for node in self._open:
                self._refresh(node, True)
        self._read_subtasks()
        report.said, report.levels, report.noted = self._gathered.said, self._gathered.levels, self._gathered.noted
        report.input = self._live.document(INPUT).get("input")
        report.result = self._live.document(FINAL_RESULT).get("result")
        report.problems = self._live.problems()

    def _roots(self) -> list[Entry]:
        roots = self._tree.settled()
        state = self._live.restarts, self._tree.regrown
        if state != self._seen:
            self._seen, self.regrown = state, (self.version, self.offset)
            self.order.clear()
            self._places.clear()
            self._put_all(roots)
            self.report.roots = [self._entries[node] for node in roots]
        return self.report.roots

    def _put_all(self, roots: list[Node]) -> None:
        waiting: list[tuple[Node, Node | None, Node | None]] = []
        before: Node | None = None
        for root in roots:
            waiting.append((root, None, before))
            before = root
        waiting.reverse()
        while waiting:
            node, parent, after = waiting.pop()
            self._put(node, parent, after)
            if parent is not None:
                self._entries[parent].children.append(self._entries[node])
            self._entries[node].children = []
            waiting += [(child, node, child.after) for child in reversed(node.children)]

    def _put(self, node: Node, parent: Node | None, after: Node | None) -> Entry:
        entry = self._entries.get(node)
        if entry is None:
            entry = self._entries[node] = entry_of(node, self._gathered, self.report.row.status, None)
        entries = self._entries
        self._places[entry] = Place(
            len(self.order), None if parent is None else entries[parent], None if after is None else entries[after]
        )
        self.order.append(entry)
        self._tree.touched[node] = True
        return entry

    def _place(self, node: Node) -> None:
        """Put an entry where the tree has its node."""
        assert node.parent is not None
        entry, siblings = self._put(node, node.parent, node.after), self._entries[node.parent].children
        at = len(siblings)
        while at and siblings[at - 1] is not self._places[entry].after:
            at -= 1
        siblings.insert(at, entry)

    def _refresh(self, node: Node, wholly: bool) -> None:
        entry, row = self._entries[node], self.report.row
        bring_up_to_date(entry, node, self._gathered, State.INTERRUPTED.value if row.has_ended else row.status, None)
        if node.is_open:
            self._open[node] = None
        else:
            self._open.pop(node, None)
        if node.type == "subtask" and node.task_id and node not in self._subtasks and (entry.task is None or node.is_open):
            self._find_subtask(node, node.task_id)
        elif entry.task is not None and entry.end_ns is None:
            entry.status = entry.task.status
        self._mark(entry, wholly)

    def _mark(self, entry: Entry, wholly: bool) -> None:
        known = self._changes.pop(entry, None)
        since = self.version if wholly or known is None else known.wholly
        self._changes[entry] = _Change(self.version, self.offset, since)

    def _find_subtask(self, node: Node, task_id: str) -> None:
        entry = self._entries[node]
        entry.details["task_id"] = task_id
        try:
            self._subtasks[node] = LiveRow(find_task(self.task.folder.parent, task_id))
        except TaskNotFoundError:
            return  # moved away, deleted by retention, or not there yet: the pointer is what there is

    def _read_subtasks(self) -> None:
        for node, live in list(self._subtasks.items()):
            entry, came = self._entries[node], False
            for _ in live.new_lines():
                came = True
            row, was = live.row(), entry.task
            if came or was is None or was.status != row.status:
                entry.task = row
                entry.status = row.status if entry.end_ns is None else entry.status
                self._mark(entry, True)
            if row.has_ended and not node.is_open:
                del self._subtasks[node]

    def at_present(self) -> TaskReport:
        """The report, with the time that what is open has taken until now."""
        row = self.report.row
        now_ns = None if row.has_ended else time.time_ns()
        for node in self._open:
            entry = self._entries[node]
            status = entry.status
            bring_up_to_date(entry, node, self._gathered, status, now_ns)
        return self.report

    def changed_since(self, version: int) -> list[tuple[Entry, bool]]:
        """The entries that changed after a version, each with whether more than its figures did; in the order of `order`."""
        found = takewhile(lambda each: each[1].version > version, reversed(self._changes.items()))
        return self._in_order((entry, change.wholly > version) for entry, change in found)

    def changed_after(self, offset: int) -> list[tuple[Entry, bool]]:
        """The entries that lines from an offset on have changed, and sub-tasks that go on; in the order of `order`."""
        found = {entry for entry, _ in takewhile(lambda each: each[1].offset > offset, reversed(self._changes.items()))}
        return self._in_order((entry, True) for entry in found | {self._entries[node] for node in self._subtasks})

    def _in_order(self, found: Iterable[tuple[Entry, bool]]) -> list[tuple[Entry, bool]]:
        return sorted(found, key=lambda each: self._places[each[0]].number)

    def place_of(self, entry: Entry) -> Place:
        """Where it was put."""
        return self._places[entry]

    def entry(self, span_id: str) -> Entry | None:
        """The entry of a span."""
        node = self._tree.node(span_id)
        return None if node is None else self._entries.get(node)

    def is_within(self, span_id: str, entry: Entry) -> bool:
        """Whether a span is this entry's, or of one that is below it."""
        above = self.entry(span_id)
        while above is not None and above is not entry:
            above = self._places[above].parent
        return above is entry
