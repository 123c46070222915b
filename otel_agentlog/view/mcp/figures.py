"""The tool for figures: cost, tokens, durations and success rates, of all tasks that meet a filter and by group."""

from __future__ import annotations

import re
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from otel_agentlog.query import GROUPS, Group, statistics_by
from otel_agentlog.view.mcp.context import McpRequest
from otel_agentlog.view.mcp.pages import answer
from otel_agentlog.view.mcp.quoted import Quoted, Tree, figure, known_word
from otel_agentlog.view.mcp.shapes import MAX_LIST, STATES, FilterText, PageAnswer, PageArguments
from otel_agentlog.view.mcp.tasks import Limit

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class StatisticsArguments(PageArguments):
    """Arguments of `statistics`."""

    filter: FilterText = ""
    group_by: Annotated[
        str | None, Field(pattern=f"^({'|'.join(GROUPS)})$", description=f"One of: {', '.join(GROUPS)}. Without it the total.")
    ] = None
    order: Annotated[Literal["count", "cost", "duration", "failures"], Field(description="Which groups come first.")] = "count"
    limit: Limit = 30


class StatusCount(BaseModel):
    """How many have a status."""

    status: str
    count: int


class MeanShape(BaseModel):
    """The scores of a name."""

    name: str
    count: int
    mean: float | None = None


class GroupShape(BaseModel):
    """Figures of several tasks, AI calls or tool runs."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[str | None, Field(description="What they have in common; left out where that is not known.")] = None
    tasks: int
    runs: Annotated[int, Field(description="How many were counted: see `counted`.")]
    by_status: list[StatusCount]
    success_rate: Annotated[float | None, Field(description="Completed ones of those that completed or failed.")] = None
    cost_usd: Annotated[float | None, Field(description="What is known; left out where nothing is.")] = None
    unpriced: Annotated[int, Field(description="How many cost something that is not known.")]
    input_tokens: int
    output_tokens: int
    duration_p50_s: float | None = None
    duration_p95_s: float | None = None
    duration_total_s: float | None = None
    ai_calls: int
    tool_runs: int
    retries: int
    errors: int
    scores: list[MeanShape] | None = None


class FoundFigures(PageAnswer):
    """Figures in all, and by group."""

    counted: Annotated[str, Field(description="What `runs` of groups are: tasks, ai_calls or tool_runs.")]
    total: GroupShape
    groups: list[GroupShape]


def statistics(request: McpRequest, arguments: StatisticsArguments) -> dict[str, Any]:
    """Cost, tokens, durations and success rates."""
    root, wanted = request.tasks(arguments.filter)
    asked = (None,) if arguments.group_by is None else (None, arguments.group_by)
    total, *grouped = statistics_by(root, wanted, asked, progress=request.go_on)
    groups = sorted(grouped[0].groups, key=_ORDERS[arguments.order]) if grouped else []
    question = arguments.question("statistics")
    head = {"counted": grouped[0].counted if grouped else total.counted, "total": _group_tree(total.groups[0])}
    return answer(question, head, "groups", map(_group_tree, islice(groups, question.offset, None)))


_ORDERS: dict[str, Any] = {
    "count": lambda group: 0,  # as they come
    "cost": lambda group: -(group.cost_usd or 0),
    "duration": lambda group: -(group.duration_seconds.total or 0),
    "failures": lambda group: (group.success_rate is None, group.success_rate, -group.errors),
}


def _group_tree(group: Group) -> Tree:
    times = group.duration_seconds
    key = group.key
    plain = key in STATES or (key is not None and _DAY.fullmatch(key) is not None)
    return {
        "key": key if plain or key is None else Quoted(key, 120),
        "tasks": group.tasks,
        "runs": group.runs,
        "by_status": [
            {"status": known_word(status, STATES), "count": count} for status, count in list(group.by_status.items())[:MAX_LIST]
        ],
        "success_rate": figure(group.success_rate),
        "cost_usd": figure(group.cost_usd),
        "unpriced": group.unpriced,
        "input_tokens": group.input_tokens,
        "output_tokens": group.output_tokens,
        "duration_p50_s": figure(times.p50),
        "duration_p95_s": figure(times.p95),
        "duration_total_s": figure(times.total),
        **{name: getattr(group, name) for name in ("ai_calls", "tool_runs", "retries", "errors")},
        "scores": [
            {"name": Quoted(name, 80), "count": each.count, "mean": figure(each.mean)}
            for name, each in list(group.scores.items())[:MAX_LIST]
        ]
        or None,
    }
