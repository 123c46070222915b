"""The tool that compares two tasks: how they ended, what they used, which tools they ran, and where they part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from otel_agentlog.query import Differences, Entry, Part, TaskReport, differences, first_difference, report
from otel_agentlog.view.mcp.context import McpRequest
from otel_agentlog.view.mcp.pages import answer
from otel_agentlog.view.mcp.quoted import Quoted, Tree, figure, identifier, known_word, recorded, word
from otel_agentlog.view.mcp.shapes import (
    STATES,
    ErrorShape,
    PageAnswer,
    PageArguments,
    TaskName,
    TaskShape,
    error_tree,
    task_tree,
)
from otel_agentlog.view.mcp.tasks import KINDS
from otel_agentlog.vocabulary.states import UNSUCCESSFUL

MAX_TOOLS = 15
_SAME = "same"


class CompareArguments(PageArguments):
    """Arguments of `compare_tasks`."""

    left: TaskName
    right: TaskName
    parts: Annotated[Literal["changed", "all"], Field(description="Which parts: those that differ, or all.")] = "changed"


class FigureShape(BaseModel):
    """A figure of both; `change` is right less left."""

    name: str
    left: float | None = None
    right: float | None = None
    change: float | None = None


class ToolShape(BaseModel):
    """How often a tool was run in both, and how often it failed."""

    name: str
    left: int
    right: int
    left_failed: int
    right_failed: int


class SideShape(BaseModel):
    """A part in one of the tasks."""

    name: str | None = None
    status: str | None = None
    span_id: str | None = None
    duration_ms: float | None = None
    cost_usd: float | None = None
    error: ErrorShape | None = None


class ComparedPart(BaseModel):
    """A part of both trees, or of one."""

    model_config = ConfigDict(extra="forbid")

    depth: int
    verdict: Literal["same", "changed", "only_left", "only_right"]
    kind: str
    left: SideShape | None = None
    right: SideShape | None = None
    prompt: Annotated[str | None, Field(description="What an AI call was asked, as a unified diff.")] = None
    answer: str | None = None


class ComparedTasks(PageAnswer):
    """What differs between two tasks."""

    same: Annotated[bool, Field(description="Whether nothing but figures differs.")]
    left: TaskShape
    right: TaskShape
    figures: list[FigureShape]
    tools: list[ToolShape]
    parted_at: Annotated[ComparedPart | None, Field(description="The first part in which they differ, and nothing below it.")] = (
        None
    )
    path: Annotated[list[str] | None, Field(description="The names of the parts above that one.")] = None
    input: Annotated[str | None, Field(description="A unified diff of what was asked.")] = None
    result: str | None = None
    parts: list[ComparedPart]


def compare_tasks(request: McpRequest, arguments: CompareArguments) -> dict[str, Any]:
    """What differs between two tasks."""
    reports = [report(request.task(name), with_content=True) for name in (arguments.left, arguments.right)]
    request.go_on()
    found = differences(*reports)
    question = arguments.question("compare_tasks")
    wanted = (part for part in found.parts if arguments.parts == "all" or part.verdict != _SAME)
    return answer(question, _head(found), "parts", map(_part_tree, islice(wanted, question.offset, None)))


def _head(found: Differences) -> Tree:
    first = first_difference(found)
    return {
        "same": found.same,
        "left": task_tree(found.left.row),
        "right": task_tree(found.right.row),
        "figures": [
            {"name": each.name, "left": figure(each.left), "right": figure(each.right), "change": _rounded(each.change)}
            for each in found.figures
            if each.left or each.right
        ],
        "tools": list(_tools(found.left, found.right)),
        "parted_at": None if first is None else _part_tree(first.part),
        "path": None if first is None else [Quoted(name, 120) for name in first.above[-MAX_TOOLS:]] or None,
        "input": recorded("\n".join(found.input[2:]), 1_500),
        "result": recorded("\n".join(found.result[2:]), 1_500),
    }


def _rounded(change: float | None) -> float | None:
    found = figure(change)
    return None if found is None else round(found, 6)


def _tools(left: TaskReport, right: TaskReport) -> Iterator[Tree]:
    """Tools of both, those first whose numbers differ most."""
    runs = [_runs(each.roots) for each in (left, right)]
    names = sorted(runs[0][0] | runs[1][0], key=lambda name: (-abs(runs[0][0][name] - runs[1][0][name]), name))
    for name in names[:MAX_TOOLS]:
        yield {
            "name": Quoted(name, 80),
            "left": runs[0][0][name],
            "right": runs[1][0][name],
            "left_failed": runs[0][1][name],
            "right_failed": runs[1][1][name],
        }


def _runs(roots: Sequence[Entry]) -> tuple[Counter[str], Counter[str]]:
    """How often each tool was run, and how often it failed."""
    ran, failed = Counter[str](), Counter[str]()
    waiting = list(roots)
    while waiting:
        entry = waiting.pop()
        waiting += entry.children
        if entry.kind == "tool_run":
            ran[entry.name] += 1
            failed[entry.name] += entry.status in UNSUCCESSFUL
    return ran, failed


def _part_tree(part: Part) -> Tree:
    return {
        "depth": part.depth,
        "verdict": part.verdict,
        "kind": known_word(part.entry.kind, KINDS),
        "left": _side_tree(part.left),
        "right": _side_tree(part.right),
        "prompt": recorded("\n".join(part.prompt[2:]), 1_000),
        "answer": recorded("\n".join(part.answer[2:]), 1_000),
    }


def _side_tree(entry: Entry | None) -> Tree | None:
    if entry is None:
        return None
    return {
        "name": recorded(entry.name, 160),
        "status": word(entry.status, STATES),
        "span_id": identifier(entry.span_id),
        "duration_ms": figure(entry.duration_ms),
        "cost_usd": figure(entry.total.cost_usd),
        "error": None if entry.exception is None else error_tree(entry.exception, 300),
    }
