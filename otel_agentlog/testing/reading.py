"""Reads task folders for tests: lines, spans, and what ran inside what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otel_agentlog.store.folder.reader import TaskReader, whole
from otel_agentlog.store.spans.rebuild import rebuild
from otel_agentlog.store.spans.tree import Node, tree
from otel_agentlog.vocabulary.coerce import mapping
from otel_agentlog.vocabulary.lines import LOG, Line
from otel_agentlog.vocabulary.records import SpanRecord
from otel_agentlog.vocabulary.states import Outcome

_KINDS = {"ai_request": "ai_call", "tool_call": "tool"}
"""By the type of a start line, where that is no word for the whole."""
CALLS = ("ai_call", "tool")
MAX_ERROR_CHARACTERS = 100


@dataclass(eq=False, slots=True)
class RecordedPart:
    """Something with a start and an end: a task, a step, an AI call, a tool run, a span of another library …"""

    kind: str
    """``task`` ``step`` ``ai_call`` ``tool`` ``span`` ``webhook`` ``queue_push`` ``queue_pickup`` ``segment``, or ``subtask``: a
    task that began here and has a folder of its own."""
    name: str
    """For people: of an AI call the model, of a tool run the tool, of a task the task."""
    outcome: str | None
    """``completed`` ``failed`` ``cancelled`` ``interrupted`` ``timed_out``; ``None`` while it is open."""
    error: str | None
    """``<type>: <message>`` of the exception it ended with."""
    is_adopted: bool
    """Whether another library recorded it."""
    duration_ms: float | None
    cost_usd: float | None
    """In US dollars, of all that is in it; ``None`` if no price is known."""
    tokens: dict[str, int]
    """Of all that is in it: ``input_tokens``, ``output_tokens`` …"""
    start: Line
    """Its first line; empty if that is not there."""
    end: Line
    """Its last line; empty while it is open."""
    children: list[RecordedPart] = field(default_factory=list, repr=False)
    """In the order in which they were recorded."""

    def walk(self) -> Iterator[tuple[int, RecordedPart]]:
        """Yield this part and all that are in it, each with its depth from 0."""
        waiting = [(0, self)]
        while waiting:
            depth, part = waiting.pop()
            yield depth, part
            waiting += [(depth + 1, child) for child in reversed(part.children)]

    @property
    def calls(self) -> list[RecordedPart]:
        """The AI calls and tool runs in it, at any depth, in the order in which they were recorded."""
        return [part for _, part in self.walk() if part.kind in CALLS and part is not self]

    def in_brief(self) -> str:
        """Kind, name, and what is worth a word: how it ended if it did not complete, tokens and cost of an AI call."""
        words = [f"{self.kind} {self.name}".rstrip()]
        if self.kind == "ai_call" and any(self.tokens.values()):
            words.append(f"{self.tokens['input_tokens']}→{self.tokens['output_tokens']} tokens")
        if self.kind == "ai_call" and self.cost_usd is not None:
            words.append(f"${self.cost_usd:.6g}")
        if self.outcome != Outcome.COMPLETED:
            words.append(self.outcome or "open")
        if self.error:
            words.append(self.error.partition("\n")[0][:MAX_ERROR_CHARACTERS])
        return " · ".join(words)

    def tree(self) -> str:
        """This part and all that are in it as text, a line for each, two spaces deeper below what it is in."""
        return "\n".join("  " * depth + part.in_brief() for depth, part in self.walk())


class RecordedTask:
    """A task's folder. Each attribute reads the folder anew, so it may still run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"<{self.name!r}, {self.outcome or 'open'}, {self.folder}>"

    @property
    def metadata(self) -> dict[str, Any]:
        """``metadata.json``."""
        return TaskReader(self.folder).metadata() or {}

    @property
    def final_result(self) -> dict[str, Any]:
        """``04-final-result.json``; empty while it is open."""
        return TaskReader(self.folder).final_result() or {}

    @property
    def name(self) -> str:
        """The name it was given."""
        return str(self.metadata.get("name") or self.folder.name)

    @property
    def task_id(self) -> str:
        """Its id."""
        return TaskReader(self.folder).task_id

    @property
    def outcome(self) -> str | None:
        """How it ended; ``None`` while it is open."""
        found = self.final_result.get("outcome")
        return str(found) if found else None

    @property
    def input(self) -> Any:
        """What it was given; ``None`` if that is nothing."""
        return (TaskReader(self.folder).input() or {}).get("input")

    @property
    def result(self) -> Any:
        """What it gave back."""
        return self.final_result.get("result")

    @property
    def lines(self) -> list[Line]:
        """All lines of ``03-agent-output.jsonl`` but those about the process; what was too large for one is put back."""
        task = TaskReader(self.folder)
        return [whole(line, task) for line in task.events() if line.get("type") != "process"]

    @property
    def webhook_flow(self) -> list[Line]:
        """The stages in which it came in."""
        return list(TaskReader(self.folder).webhook_flow())

    @property
    def logs(self) -> list[Line]:
        """The log lines."""
        return [line for line in self.lines if line.get("type") == LOG]

    @property
    def spans(self) -> list[SpanRecord]:
        """The spans that have ended, adopted ones among them, as they are sent."""
        return [span for span in rebuild(TaskReader(self.folder)).spans if span.end_ns is not None]

    @property
    def root(self) -> RecordedPart:
        """The task with all that ran in it."""
        roots = _parts(TaskReader(self.folder))
        every = [part for root in roots for _, part in root.walk()]
        tasks = [part for part in every if part.kind == "task"]
        # A folder is there a moment before its first line.
        return next(iter([*tasks, *roots]), None) or _part(Node("task", self.name, ""), {}, {})

    @property
    def calls(self) -> list[RecordedPart]:
        """The AI calls and tool runs, at any depth, in the order in which they were recorded."""
        return self.root.calls

    @property
    def cost_usd(self) -> float | None:
        """Of the whole task; ``None`` if no price is known."""
        return self.root.cost_usd

    @property
    def tokens(self) -> dict[str, int]:
        """Of the whole task."""
        return self.root.tokens

    def tree(self) -> str:
        """What ran in it as text, see `RecordedPart.tree`."""
        return self.root.tree()


def _parts(task: TaskReader) -> list[RecordedPart]:
    starts: dict[str, Line] = {}
    ends: dict[str, Line] = {}
    place: dict[str, int] = {}
    for number, line in enumerate(task.events()):
        key = _key(line)
        if line.get("phase") == "end":
            ends[key] = line
        elif line.get("phase") == "start" or line.get("type") == "subtask":
            starts.setdefault(key, line)
        place.setdefault(key, number)
    roots = tree(task).roots
    made: dict[Node, RecordedPart] = {}
    for node in (node for root in roots for node in _below(root)):
        key = node.span_id or str(node.task_id)
        made[node] = _part(node, whole(starts.get(key, {}), task), whole(ends.get(key, {}), task))
    for node, part in made.items():
        # By their lines, as a clock that stands still does not tell them apart.
        children = sorted(node.children, key=lambda child: place.get(child.span_id or str(child.task_id), 0))
        part.children = [made[child] for child in children]
    return [made[root] for root in roots]


def _key(line: Line) -> str:
    """What tells parts apart: the span id, or of a sub-task, which has no span here, its own id."""
    if line.get("type") == "subtask":
        return str(mapping(line, "details").get("task_id"))
    return str(line.get("span_id"))


def _below(root: Node) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.children


def _part(node: Node, start: Line, end: Line) -> RecordedPart:
    # A call that another span counts too is there once.
    kind = "span" if node.same_call_as else _KINDS.get(node.type, node.type)
    return RecordedPart(
        kind=kind,
        name=node.name,
        outcome=node.outcome,
        error=node.error,
        is_adopted=node.is_foreign,
        duration_ms=node.duration_ms,
        cost_usd=node.total.cost_usd,
        tokens=dict(node.total.tokens),
        start=start,
        end=end,
    )
