"""Two runs side by side, sub-tasks in their places: what was asked, answered, done, said, and how it ended.

Times, costs and log lines are not compared. What is otherwise only in a time, an id or a place for temporary files is the same,
and counted; so is what the user's own patterns match.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

import orjson

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.errors import TaskNotFoundError
from otel_agentlog.store.folder.reader import TaskReader, find_task, list_tasks, with_artifacts
from otel_agentlog.store.spans.tree import Node, tree
from otel_agentlog.tools.replay.prompts import changed_lines, written
from otel_agentlog.tools.replay.recorded import messages_of
from otel_agentlog.vocabulary.chunks import joined
from otel_agentlog.vocabulary.coerce import mapping, objects, text
from otel_agentlog.vocabulary.lines import CONTENT_TYPES, Line, timestamp

MAX_ALIGNED = 2000
"""Parts of one level up to which they are aligned; beyond it they are compared in their order."""

MAX_NESTED = 20
"""Tasks within each other that are read."""

MAX_DEPTH = 150
"""Parts within each other that are read, those of sub-tasks included."""

MAX_DIFFERENCES = 1000

_KINDS = {"ai_request": "AI call", "tool_call": "tool run"}
_VARIES = (
    r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?",
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
    r"\b(?:[0-9a-f]{32}|[0-9a-f]{16})\b",
    r"\btask-[0-9a-z]{10,40}\b",
    r"\bat 0x[0-9a-f]+\b",
)


@dataclass(eq=False)
class Happened:
    """One thing that happened: a task, a step, an AI call, a tool run, a text that was said."""

    kind: str
    name: str
    before: dict[str, Any]
    """By name, what was there when it began: what was asked, arguments, input."""
    after: dict[str, Any]
    """What came out: answer, result, outcome, error."""
    start_ns: int
    end_ns: int
    inside: list[Happened] = field(default_factory=list)
    digest: bytes = b""
    """A hash of all of it, with all that is inside."""

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.kind} {self.name}".strip()


@dataclass(frozen=True)
class Departure:
    """One difference of two runs."""

    what: str
    """``missing``, ``more``, or the name of what is otherwise: ``prompt``, ``answer``, ``arguments``, ``result`` …"""
    where: tuple[str, ...]
    """The titles of what it is in, outermost first, and its own."""
    call: int | None
    """Of an AI call which one of the record it is, or of the replay if it is ``more``; from 1."""
    lines: list[str]
    """A unified diff."""


@dataclass(frozen=True)
class RunComparison:
    """What differs between a recorded run and its replay, in the order in which it happened."""

    task: TaskReader
    """The task of the replay."""
    differences: list[Departure]
    parts: int
    """How much was compared: the parts of the record."""
    varied: int
    """How many values were otherwise only in times, ids and places, or in what the user's patterns match."""

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    @property
    def first(self) -> Departure | None:
        """Where the runs part."""
        return self.differences[0] if self.differences else None


def compare(recorded: TaskReader, replayed: TaskReader, ignore: Sequence[re.Pattern[str]] = ()) -> RunComparison:
    """Compare two tasks with their sub-tasks; ``ignore`` is taken out of every text of both."""
    tidy = Tidy(ignore)
    left, right = happened(recorded, tidy), happened(replayed, tidy)
    walk = _Walk(left, right)
    walk.pair(left, right, ())
    varied = sum((tidy.varied[id(left)] - tidy.varied[id(right)]).values())
    return RunComparison(replayed, walk.found[:MAX_DIFFERENCES], walk.parts, varied)


def counterpart(recorded: TaskReader, runs: Sequence[TaskReader]) -> TaskReader | None:
    """Which of the tasks of a replay stands for the one on record: of its name, or the only one."""
    name = (recorded.metadata() or {}).get("name")
    named = [run for run in runs if (run.metadata() or {}).get("name") == name]
    return named[0] if named else runs[0] if len(runs) == 1 else None


def began_in(task: TaskReader) -> list[TaskReader]:
    """The tasks that were recorded by the program which ran beside this one, but for sub-tasks of theirs."""
    created = text(task.metadata() or {}, "created_at") or ""
    found: dict[str, TaskReader] = {}
    for each in list_tasks(task.folder.parent):
        try:
            # What is older than the task is passed over without opening anything of it.
            is_new = each.folder != task.folder and timestamp(each.folder.stat().st_mtime_ns) >= created
        except OSError:
            raise_interrupt()
            continue
        if is_new and _ran_beside(each, task.task_id):
            found[each.task_id] = each
    parents = {name: text(each.metadata() or {}, "parent_task_id") for name, each in found.items()}
    tops = [each for name, each in found.items() if parents[name] not in found]
    return sorted(tops, key=lambda each: text(each.metadata() or {}, "created_at") or "")


def is_of_replay(task: TaskReader) -> bool:
    """Whether a program recorded it that was replayed."""
    return any(REPLAY_TASK in each for each in _resources(task))


def _ran_beside(task: TaskReader, replay: str) -> bool:
    return any(each.get(REPLAY_TASK) == replay for each in _resources(task))


def _resources(task: TaskReader) -> Iterator[Mapping[str, Any]]:
    return (mapping(line, "resource") for line in task.events() if line.get("type") == "process")


REPLAY_TASK = "agentlog.replay.task"
"""Of a resource, by the name that it has in telemetry (``export/semconv/names.py``)."""


class Tidy:
    """Takes out of texts what is otherwise in each run."""

    def __init__(self, ignore: Sequence[re.Pattern[str]]) -> None:
        places = "|".join(sorted({re.escape(tempfile.gettempdir()), "/tmp", "/var/folders"}, key=len, reverse=True))  # noqa: S108 - to hide it
        self._patterns = [*ignore, re.compile("|".join([rf"(?:{places})/[^\s\"'<>|:,;)\]}}]+", *_VARIES]))]
        self.varied: dict[int, Counter[str]] = {}
        """By the run, how often which text was taken out."""
        self._taken: Counter[str] = Counter()

    def finish(self, run: object) -> None:
        """All of a run has been read."""
        self.varied[id(run)], self._taken = self._taken, Counter()

    def __call__(self, value: Any) -> Any:
        """The value without these."""
        if isinstance(value, str):
            for pattern in self._patterns:
                value = pattern.sub(self._taken_out, value)
            return value
        if isinstance(value, Mapping):
            return {self(key): self(item) for key, item in value.items()}
        return [self(item) for item in value] if isinstance(value, list) else value

    def _taken_out(self, match: re.Match[str]) -> str:
        self._taken[match[0]] += 1
        return "…"


def happened(task: TaskReader, tidy: Tidy) -> Happened:
    """A task with all that happened in it."""
    run = _Reading(task, tidy).read(frozenset())
    _digest(run)
    tidy.finish(run)
    return run


class _Reading:
    """Reads one task; sub-tasks are read in turn."""

    def __init__(self, task: TaskReader, tidy: Tidy) -> None:
        self._task, self._tidy = task, tidy
        self._starts: dict[str, Line] = {}
        self._ends: dict[str, Line] = {}
        self._said: dict[str, list[tuple[int, Happened]]] = {}
        self._place: dict[str, int] = {}

    def read(self, above: frozenset[str], depth: int = 0) -> Happened:
        """The task; ``above`` are the folders that it is in, ``depth`` is how deep it lies in all of them."""
        for number, line in enumerate(joined(self._task.events())):
            self._take(number, line)
        given, came = self._task.input() or {}, self._task.final_result() or {}
        root = Happened("task", text(self._task.metadata() or {}, "name") or "", {}, {}, 0, 1 << 63)
        root.before = self._tidied({"input": with_artifacts(given.get("input"), self._task)})
        ended = {
            "result": with_artifacts(came.get("result"), self._task),
            "outcome": came.get("outcome"),
            "error": _error(came.get("error")),
        }
        root.after = self._tidied(ended)
        nodes = tree(self._task).roots
        above |= {self._task.folder.name}
        for node in nodes:
            inside = node.children if node.type == "task" else [node]
            root.inside += self._level(inside, node.span_id, above, depth)
        for span_id in [*self._said]:  # of spans that are not there
            root.inside += [each for _, each in self._said.pop(span_id)]
        return root

    def _take(self, number: int, line: Line) -> None:
        span_id, kind = text(line, "span_id") or "", text(line, "type") or ""
        if line.get("phase") == "end":
            self._ends[span_id] = line
        elif line.get("phase") == "start":
            self._starts.setdefault(span_id, line)
        elif kind in CONTENT_TYPES:
            said = self._tidied({"text": with_artifacts(line.get("content"), self._task)})
            self._said.setdefault(span_id, []).append((number, Happened(kind, "", {}, said, 0, 0)))
        self._place.setdefault(span_id if kind != "subtask" else text(mapping(line, "details"), "task_id") or "", number)

    def _level(self, nodes: Sequence[Node], span_id: str, above: frozenset[str], depth: int) -> list[Happened]:
        """What is inside of a span, in the order of the lines."""
        found = [(self._place.get(node.span_id or node.task_id or "", 0), self._one(node, above, depth)) for node in nodes]
        return [each for _, each in sorted([*found, *self._said.pop(span_id, [])], key=lambda pair: pair[0])]

    def _one(self, node: Node, above: frozenset[str], depth: int) -> Happened:
        if node.type == "subtask" and depth < MAX_DEPTH and (sub := self._subtask(node, above, depth)) is not None:
            sub.start_ns, sub.end_ns = node.start_ns or 0, node.end_ns or 1 << 63
            return sub
        start, end = self._starts.get(node.span_id, {}), self._ends.get(node.span_id, {})
        details = {**self._details(start), **self._details(end)}
        kind = _KINDS.get(node.type, node.type) if node.same_call_as is None else "span"
        before, after = _FIELDS.get(kind, _nothing)(details)
        after |= {"outcome": node.outcome, "error": _error(end.get("exception"))}
        one = Happened(
            kind,
            "" if kind == "segment" else str(self._tidy(node.name)),  # a segment has its task's name
            self._tidied(before),
            self._tidied(after),
            node.start_ns or 0,
            node.end_ns or 1 << 63,
        )
        if depth < MAX_DEPTH:
            one.inside = self._level(node.children, node.span_id, above, depth + 1)
        return one

    def _subtask(self, node: Node, above: frozenset[str], depth: int) -> Happened | None:
        try:
            found = find_task(self._task.folder.parent, node.task_id or "")
        except (TaskNotFoundError, OSError):
            raise_interrupt()
            return None
        is_read = found.folder.name not in above and len(above) <= MAX_NESTED
        return _Reading(found, self._tidy).read(above, depth + 1) if is_read else None

    def _details(self, line: Line) -> Mapping[str, Any]:
        return mapping({"details": with_artifacts(line.get("details"), self._task)}, "details")

    def _tidied(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._tidy(value) for name, value in values.items() if value is not None}


def _error(exception: Any) -> str | None:
    if not isinstance(exception, Mapping):
        return None
    return f"{exception.get('type')}: {exception.get('message')}"


def _nothing(details: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return {}, {}


def _of_call(details: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    messages = messages_of(details)
    tools = "\n".join(sorted(text(each, "name") or "" for each in objects(details, "tools"))) or None
    before = {"model": details.get("model"), "prompt": None if messages is None else written(messages), "tools": tools}
    reasons = details.get("finish_reasons")
    return before, {"answer": details.get("output"), "finish reasons": reasons, "attempts": details.get("attempts")}


def _of_tool(details: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    after = {name: details.get(name.replace(" ", "_")) for name in ("result", "exit code", "attempts")}
    return {"arguments": details.get("arguments")}, after


_FIELDS: Mapping[str, Callable[[Mapping[str, Any]], tuple[dict[str, Any], dict[str, Any]]]] = {
    "AI call": _of_call,
    "tool run": _of_tool,
}


def _digest(one: Happened) -> bytes:
    inside = [_digest(each) for each in one.inside]
    options = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
    own = orjson.dumps([one.kind, one.name, one.before, one.after], default=str, option=options)
    one.digest = hashlib.sha256(own + b"".join(inside)).digest()
    return one.digest


def _calls(one: Happened) -> Iterator[Happened]:
    waiting = [one]
    while waiting:
        each = waiting.pop()
        if each.kind == "AI call":
            yield each
        waiting += each.inside


class _Walk:
    """Goes through both runs at once, depth first; what a part ended with comes behind what is in it."""

    def __init__(self, left: Happened, right: Happened) -> None:
        self.found: list[Departure] = []
        self.parts = 0
        self._numbers: dict[int, int] = {}
        for side in (left, right):
            ordered = sorted(_calls(side), key=lambda call: call.start_ns)
            self._numbers |= {id(call): number for number, call in enumerate(ordered, 1)}

    def pair(self, left: Happened, right: Happened, above: tuple[str, ...]) -> None:
        """Compare two parts that belong together."""
        self.parts += 1
        if left.digest == right.digest:
            self.parts += sum(1 for each in left.inside for _ in _walked(each))
            return
        where = (*above, left.title)
        if above and left.name != right.name and left.kind != "AI call":
            self._add(left.kind.removesuffix(" run"), where, left, changed_lines(left.name, right.name))
        self._fields(left, right, "before", where)
        for one, other in _aligned(left.inside, right.inside):
            if one is not None and other is not None:
                self.pair(one, other, where)
            elif one is not None:
                self._add("missing", (*where, one.title), one, changed_lines(_brief(one), ""))
            elif other is not None:
                self._add("more", (*where, other.title), other, changed_lines("", _brief(other)))
        self._fields(left, right, "after", where)

    def _fields(self, left: Happened, right: Happened, side: str, where: tuple[str, ...]) -> None:
        one, other = getattr(left, side), getattr(right, side)
        for name in dict.fromkeys([*one, *other]):
            if one.get(name) != other.get(name):
                self._add(name, where, left, changed_lines(one.get(name, ""), other.get(name, "")))

    def _add(self, what: str, where: tuple[str, ...], about: Happened, lines: list[str]) -> None:
        if len(self.found) < MAX_DIFFERENCES:
            self.found.append(Departure(what, where, self._numbers.get(id(about)), lines))


def _walked(one: Happened) -> Iterator[Happened]:
    yield one
    for each in one.inside:
        yield from _walked(each)


def _brief(one: Happened) -> str:
    """What there is to say of a part that is in one run only."""
    values = {**one.before, **one.after}
    said = [
        f"{name}: {value if isinstance(value, str) else orjson.dumps(value, default=str).decode()}"
        for name, value in values.items()
    ]
    return "\n".join([one.title, *said])


_Pairs = list[tuple[Happened | None, Happened | None]]
_Key = Callable[[Happened], tuple[Any, ...]]


def _aligned(left: Sequence[Happened], right: Sequence[Happened]) -> _Pairs:
    """Pair the parts of one level: those that are the same in all, then by kind and name, then by kind."""
    return _paired(
        left, _as_before(left, right), (lambda one: (one.digest,), lambda one: (one.kind, one.name), lambda one: (one.kind,))
    )


def _as_before(left: Sequence[Happened], right: Sequence[Happened]) -> list[Happened]:
    """The right side with what ran at the same time on the left in the order of the left: which came first is chance."""
    ordered, at = list(right), 0
    while at < len(left):
        end, until = at + 1, left[at].end_ns
        while end < len(left) and 0 < left[end].start_ns < until:
            until = max(until, left[end].end_ns)
            end += 1
        if end - at > 1:
            ordered[at:end] = _around_known(left[at:end], ordered[at:end])
        at = end
    return ordered


def _around_known(left: Sequence[Happened], group: Sequence[Happened]) -> list[Happened]:
    """Those that are on the left at their place there, the others in between in their order."""
    known, there = {one.digest: one for one in group}, {each.digest for each in left}
    others = iter([one for one in group if one.digest not in there])
    placed = [known.pop(each.digest, None) or next(others, None) for each in left]
    found = [*filter(None, placed), *others]
    taken = set(map(id, found))
    return [*found, *(one for one in group if id(one) not in taken)]


def _paired(left: Sequence[Happened], right: Sequence[Happened], keys: Sequence[_Key]) -> _Pairs:
    if not (left and right and keys):
        return [*((one, None) for one in left), *((None, one) for one in right)]
    sides = [[keys[0](one) for one in side] for side in (left, right)]
    if sides[0] == sides[1]:
        return list(zip(left, right, strict=True))
    if max(len(left), len(right)) > MAX_ALIGNED:
        both = list(zip(left, right))  # noqa: B905 - what is longer has no partner
        return [*both, *((one, None) for one in left[len(both) :]), *((None, one) for one in right[len(both) :])]
    found: _Pairs = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, sides[0], sides[1], autojunk=False).get_opcodes():
        found += zip(left[a:b], right[c:d], strict=True) if tag == "equal" else _paired(left[a:b], right[c:d], keys[1:])
    return found
