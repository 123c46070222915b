"""Tools about tasks: which there are, which have given words, what happened in one, what it said."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from otel_agentlog.query import ORDERS, Entry, Match, TaskReport, hints, matches, report, search, words_in
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, CONTROL, WEBHOOK_FLOW
from otel_agentlog.view.mcp.context import McpRequest, RefusedQuestion
from otel_agentlog.view.mcp.pages import answer
from otel_agentlog.view.mcp.quoted import Quoted, Tree, figure, identifier, known_word, moment, recorded, unquoted, word
from otel_agentlog.view.mcp.shapes import (
    LEVELS,
    STATES,
    ErrorShape,
    FilterText,
    LineShape,
    PageAnswer,
    PageArguments,
    ScoreShape,
    TaskName,
    TaskShape,
    Unpriced,
    error_tree,
    score_trees,
    task_tree,
)
from otel_agentlog.view.render.line_text import line_pieces
from otel_agentlog.vocabulary.chunks import joined
from otel_agentlog.vocabulary.coerce import mapping, text
from otel_agentlog.vocabulary.lines import CONTENT_TYPES, LOG_TYPES, SPAN_TYPES, Line
from otel_agentlog.vocabulary.scores import NOTE_ADDED
from otel_agentlog.vocabulary.states import UNSUCCESSFUL

MAX_NOTES, MAX_PROBLEMS, MAX_HINTS = 10, 3, 3
KINDS = frozenset({"task", "step", "ai_call", "tool_run", "subtask", "segment", "webhook", "queue_push", "queue_pickup", "span"})
"""Kinds of parts of a task."""
TYPES = SPAN_TYPES | LOG_TYPES | CONTENT_TYPES | {"process", "subtask"}
_FILES = {"agent_output": AGENT_OUTPUT, "webhook_flow": WEBHOOK_FLOW, "control": CONTROL}

Limit = Annotated[int, Field(ge=1, le=200, description="Most items of the answer.")]


class ListArguments(PageArguments):
    """Arguments of `list_tasks`."""

    filter: FilterText = ""
    order: Annotated[str, Field(pattern=f"^({'|'.join(ORDERS)})$", description=f"One of: {', '.join(ORDERS)}.")] = "newest"
    limit: Limit = 20


class FoundTaskList(PageAnswer):
    """Tasks, in order."""

    matching: Annotated[int, Field(description="How many there are in all.")]
    hints: Annotated[list[str] | None, Field(description="Where there are none: what may have been meant.")] = None
    tasks: list[TaskShape]


def list_tasks(request: McpRequest, arguments: ListArguments) -> dict[str, Any]:
    """The tasks that meet a filter."""
    root, wanted = request.tasks(arguments.filter)
    question = arguments.question("list_tasks")
    found = search(
        root,
        wanted,
        order=arguments.order,
        limit=arguments.limit + 1,
        offset=question.offset,
        progress=request.go_on,
    )
    said = [Quoted(hint, 300) for hint in hints(root, wanted)[:MAX_HINTS]] if not found.matching else []
    head = {"matching": found.matching, "hints": said or None}
    return answer(question, head, "tasks", map(task_tree, found.rows))


class SearchArguments(PageArguments):
    """Arguments of `search`."""

    words: Annotated[
        str,
        Field(min_length=1, max_length=500, description="Words, or beginnings of words, all of which stand in the task."),
    ]
    filter: FilterText = ""
    places: Annotated[int, Field(ge=1, le=20, description="Most places of each task.")] = 3
    limit: Limit = 10


class PlaceShape(BaseModel):
    """A place with some of the words."""

    file: str
    at: str | None = None
    type: str | None = None
    text: str


class FoundTask(TaskShape):
    """A task with the words, and where they stand."""

    places: list[PlaceShape]


class FoundTasks(PageAnswer):
    """Tasks with the words, the newest first."""

    matching: int
    tasks: list[FoundTask]


def search_tasks(request: McpRequest, arguments: SearchArguments) -> dict[str, Any]:
    """The tasks with given words, and the lines that say them."""
    words = " ".join(f'"{each}"' for each in unquoted(arguments.words).replace('"', " ").split())
    if not words:
        raise RefusedQuestion("words: expected words, found none")
    root, wanted = request.tasks(f"{words} {arguments.filter}")
    question = arguments.question("search")
    found = search(root, wanted, limit=arguments.limit + 1, offset=question.offset, progress=request.go_on)

    def items() -> Iterator[Tree]:
        for row in found.rows:
            request.go_on()
            places = matches(row.folder, words_in(wanted), limit=arguments.places)
            yield {**task_tree(row), "places": [_place_tree(each) for each in places]}

    return answer(question, {"matching": found.matching}, "tasks", items())


def _place_tree(place: Match) -> Tree:
    return {
        "file": place.file,
        "at": moment(place.timestamp),
        "type": word(place.type, TYPES | {"input", "result"}),
        "text": Quoted(place.text, 300),
    }


class ShowArguments(PageArguments):
    """Arguments of `show_task`."""

    task: TaskName
    parts: Annotated[
        Literal["all", "failed"], Field(description="Which steps, AI calls and tool runs: all, or those that failed.")
    ] = "all"


class NoteShape(BaseModel):
    """A note."""

    at: str | None = None
    by: str | None = None
    text: str | None = None


class PartShape(BaseModel):
    """A part of a task: a step, AI call, tool run …; figures include everything below it."""

    model_config = ConfigDict(extra="forbid")

    depth: Annotated[int, Field(description="A part belongs to the one before it with a smaller depth.")]
    kind: str
    name: str | None = None
    status: str | None = None
    reason: str | None = None
    span_id: Annotated[str | None, Field(description="`part` of read_log.")] = None
    step_id: str | None = None
    duration_ms: float | None = None
    cost_usd: float | None = None
    unpriced: Unpriced = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    arguments: str | None = None
    exit_code: float | None = None
    failed_attempts: int | None = None
    error: ErrorShape | None = None
    task: Annotated[str | None, Field(description="The sub-task it stands for.")] = None


class ShownTask(PageAnswer):
    """One task: what was asked, how it ended, and its parts."""

    about: TaskShape
    folder: str
    input: str | None = None
    result: str | None = None
    scores: list[ScoreShape] | None = None
    notes: list[NoteShape] | None = None
    came_in: Annotated[list[str] | None, Field(description="Stages of the webhook.")] = None
    log_levels: Annotated[list[str] | None, Field(description="How many log lines of each level.")] = None
    unreadable: Annotated[list[str] | None, Field(description="What could not be read.")] = None
    parts: list[PartShape]


def show_task(request: McpRequest, arguments: ShowArguments) -> dict[str, Any]:
    """One task: what was asked, what happened, how it ended."""
    found = report(request.task(arguments.task))
    request.go_on()
    question = arguments.question("show_task")
    wanted = (part for part in _parts(found.roots) if arguments.parts == "all" or part[1].status in UNSUCCESSFUL)
    items = (part_tree(depth, entry) for depth, entry in islice(wanted, question.offset, None))
    return answer(question, _head(found), "parts", items)


def _head(found: TaskReport) -> Tree:
    notes = [line for line in found.noted if line.get("action") == NOTE_ADDED]
    values: dict[str, float | str] = {each.name: each.label or "" if each.value is None else each.value for each in found.scores}
    return {
        "about": task_tree(found.row),
        "folder": Quoted(str(found.row.folder)),
        "input": recorded(found.input, 4_000),
        "result": recorded(found.result, 4_000),
        "scores": score_trees(values) or None,
        "notes": [_note_tree(line) for line in notes[-MAX_NOTES:]] or None,
        "came_in": [Quoted(text(stage, "stage"), 60) for stage in found.stages[:MAX_NOTES]] or None,
        "log_levels": [Quoted(f"{level} {count}", 40) for level, count in found.levels.most_common(5)] or None,
        "unreadable": [Quoted(problem, 200) for problem in found.problems[:MAX_PROBLEMS]] or None,
    }


def _note_tree(line: Line) -> Tree:
    by = text(mapping(line, "details"), "by")
    return {"at": moment(line.get("timestamp")), "by": recorded(by, 80), "text": recorded(line.get("message"), 500)}


def _parts(roots: Sequence[Entry]) -> Iterator[tuple[int, Entry]]:
    """Every part after the one it belongs to, with its depth; without recursion, as a tree may be thousands deep."""
    waiting = [(0, root) for root in reversed(roots)]
    while waiting:
        depth, entry = waiting.pop()
        yield depth, entry
        waiting += [(depth + 1, child) for child in reversed(entry.children)]


def part_tree(depth: int, entry: Entry) -> Tree:
    """`PartShape` of a part."""
    tokens = entry.total.tokens
    return {
        "depth": depth,
        "kind": known_word(entry.kind, KINDS),
        "name": recorded(entry.name, 160),
        "status": word(entry.status, STATES),
        "reason": recorded(entry.reason, 200),
        "span_id": identifier(entry.span_id),
        "step_id": identifier(entry.step_id) if entry.kind == "step" else None,
        "duration_ms": figure(entry.duration_ms),
        "cost_usd": figure(entry.total.cost_usd),
        "unpriced": bool(entry.total.unpriced) or None,
        "input_tokens": figure(tokens.get("input_tokens")) or None,
        "output_tokens": figure(tokens.get("output_tokens")) or None,
        "arguments": recorded(entry.details.get("arguments"), 300),
        "exit_code": figure(entry.details.get("exit_code")),
        "failed_attempts": len(entry.attempts) or None,
        "error": None if entry.exception is None else error_tree(entry.exception, 300),
        "task": identifier(entry.details.get("task_id")) if entry.kind == "subtask" else None,
    }


class LogArguments(PageArguments):
    """Arguments of `read_log`."""

    task: TaskName
    part: Annotated[
        str | None, Field(max_length=200, description="Only the lines of this part: `span_id` or `step_id` of show_task.")
    ] = None
    types: Annotated[
        list[Annotated[str, Field(max_length=40)]],
        Field(
            default_factory=list, max_length=20, description=f"Only lines of these types: {', '.join(sorted(TYPES))}. Empty: all."
        ),
    ]
    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"] | None, Field(description="Only lines of this level or a graver one.")
    ] = None
    last: Annotated[int | None, Field(ge=1, le=10_000, description="Begin so many lines before the end.")] = None
    whole: Annotated[
        bool, Field(description="Each line as JSON with all it has: messages, arguments, results, tracebacks; else as one text.")
    ] = False
    file: Annotated[
        Literal["agent_output", "webhook_flow", "control"],
        Field(description="What happened, how it came in, or what was asked of it while it ran."),
    ] = "agent_output"


class LogPage(PageAnswer):
    """Lines of a task, in the order in which they were written."""

    task: str
    lines: list[LineShape]


def read_log(request: McpRequest, arguments: LogArguments) -> dict[str, Any]:
    """What a task, or one part of it, said and did, line by line."""
    task = request.task(arguments.task)
    question = arguments.question("read_log")
    wanted = _wanted_lines(request, joined(iter(task.lines(_FILES[arguments.file]))), arguments)
    lines = iter(deque(wanted, arguments.last)) if arguments.last else wanted
    items = (line_tree(line, whole=arguments.whole) for line in islice(lines, question.offset, None))
    return answer(question, {"task": identifier(task.folder.name)}, "lines", items)


_GRAVITY = {"DEBUG": 0, "INFO": 1, "WARNING": 2, "ERROR": 3, "CRITICAL": 4}


def _wanted_lines(request: McpRequest, lines: Iterator[Line], arguments: LogArguments) -> Iterator[Line]:
    part = None if arguments.part is None else unquoted(arguments.part)
    least = _GRAVITY[arguments.level] if arguments.level else 0
    for line in lines:
        request.go_on()
        if part is not None and part not in (line.get("span_id"), line.get("step_id")):
            continue
        if arguments.types and text(line, "type") not in arguments.types:
            continue
        if not least or _GRAVITY.get(text(line, "level") or "", 0) >= least:
            yield line


def line_tree(line: Line, *, whole: bool = False) -> Tree:
    """`LineShape` of a line."""
    found: Tree = {
        "at": moment(text(line, "timestamp")),
        "type": word(text(line, "type"), TYPES),
        "level": word(text(line, "level"), LEVELS),
        "span_id": identifier(text(line, "span_id")),
    }
    if whole:
        return {**found, "line": Quoted(line, 4_000)}
    shown = "\n".join("".join(piece.text for piece in pieces) for pieces in line_pieces(line))
    return {**found, "text": recorded(shown, 1_000)}
