"""What several tools take and answer: arguments of a page, a task at a glance, an error, a line.

The models are the JSON Schemas of tools, for clients; answers are trees (`quoted`), which a test holds against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from otel_agentlog.query import TaskRow
from otel_agentlog.view.mcp.pages import DEFAULT_BYTES, MAX_BYTES, MIN_BYTES, Question
from otel_agentlog.view.mcp.quoted import Quoted, Tree, figure, identifier, known_word, moment, recorded
from otel_agentlog.vocabulary.coerce import text, texts
from otel_agentlog.vocabulary.states import STATES as STATES

LEVELS = frozenset({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})

MAX_LIST = 8
"""Tags and scores of a task that are shown in a list."""

TaskName = Annotated[str, Field(min_length=1, max_length=600, description="Id of a task, the beginning of one, or `last`.")]
FilterText = Annotated[
    str,
    Field(
        max_length=4_000,
        description='Which tasks, e.g. `status:failed agent:plan* cost>0.5 dur>30s since:2h -tag:nightly "connection reset"`.'
        " Fields: status agent model provider tool tag user source error score.NAME name id session parent cost dur tokens"
        " errors since until; `is:failed`; other words stand in the task. Empty: all.",
    ),
]

Unpriced = Annotated[bool | None, Field(description="Something in it costs what is not known.")]


class Arguments(BaseModel):
    """Arguments of a tool."""

    model_config = ConfigDict(extra="forbid")


class PageArguments(Arguments):
    """Arguments of a tool that answers in pages."""

    cursor: Annotated[
        str | None, Field(max_length=40, description="`next_cursor` of the answer before, for what follows it.")
    ] = None
    max_bytes: Annotated[
        int,
        Field(ge=MIN_BYTES, le=MAX_BYTES, description="Longest answer; longer texts are cut, further items left for a cursor."),
    ] = DEFAULT_BYTES

    def question(self, tool: str) -> Question:
        """What is asked."""
        chosen = self.model_dump(mode="json", exclude={"cursor", "max_bytes", "limit"})
        limit: int = getattr(self, "limit", 1_000)
        return Question(tool, chosen, self.cursor, self.max_bytes, limit)


class ToolAnswer(BaseModel):
    """An answer."""

    model_config = ConfigDict(extra="forbid")

    notice: str


class PageAnswer(ToolAnswer):
    """A page of an answer."""

    next_cursor: Annotated[str | None, Field(description="Where there is more: `cursor` of the next call.")] = None


class ScoreShape(BaseModel):
    """A score: the mean where several count, or a word."""

    name: str
    value: float | None = None
    label: str | None = None


class ErrorShape(BaseModel):
    """An error."""

    type: str | None = None
    message: str | None = None
    category: str | None = None
    error_id: str | None = None


class TaskShape(BaseModel):
    """A task at a glance. What is not known is left out; an unknown price is no 0."""

    model_config = ConfigDict(extra="forbid")

    task: Annotated[str, Field(description="Its id, for other tools.")]
    task_id: Annotated[str | None, Field(description="What the agent called it, where that is another text.")] = None
    name: str | None = None
    status: str
    process_gone: Annotated[bool | None, Field(description="Its process died.")] = None
    parent: str | None = None
    agent: str | None = None
    model: str | None = None
    created_at: str | None = None
    duration_s: float | None = None
    cost_usd: float | None = None
    unpriced: Unpriced = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    ai_calls: float | None = None
    tool_runs: float | None = None
    errors: float | None = None
    error: ErrorShape | None = None
    tags: list[str] | None = None
    scores: list[ScoreShape] | None = None


class LineShape(BaseModel):
    """A line of the record."""

    at: str | None = None
    type: str | None = None
    level: str | None = None
    span_id: str | None = None
    text: Annotated[str | None, Field(description="The line as people read it.")] = None
    line: Annotated[str | None, Field(description="The whole line as JSON, where that was asked for.")] = None


def task_tree(row: TaskRow) -> Tree:
    """`TaskShape` of a row."""
    metadata, metrics, key = row.metadata, row.metrics, row.folder.name
    return {
        "task": identifier(key),
        "task_id": identifier(row.task_id) if row.task_id != key else None,
        "name": recorded(row.name, 200) if row.name not in (key, row.task_id) else None,
        "status": known_word(row.status, STATES),
        "process_gone": row.process_gone or None,
        "parent": identifier(row.parent_task_id),
        "agent": recorded(text(metadata, "assigned_agent"), 80),
        "model": recorded(text(metadata, "model"), 80),
        "created_at": moment(text(metadata, "created_at")),
        "duration_s": figure(metrics.get("duration_seconds")),
        **{
            key: figure(metrics.get(key))
            for key in ("cost_usd", "input_tokens", "output_tokens", "ai_calls", "tool_runs", "errors")
        },
        "unpriced": row.unpriced or None,
        "error": None if row.error is None else error_tree(row.error),
        "tags": [Quoted(tag, 80) for tag in texts(metadata, "tags")[:MAX_LIST]] or None,
        "scores": score_trees(row.scores) or None,
    }


def score_trees(scores: Mapping[str, float | str]) -> list[Tree]:
    """`ScoreShape` of scores by name, of the first ones."""
    return [
        {"name": Quoted(name, 80), "value": figure(value), "label": recorded(value, 80) if isinstance(value, str) else None}
        for name, value in list(scores.items())[:MAX_LIST]
    ]


def error_tree(exception: Mapping[str, Any], most: int = 400) -> Tree:
    """`ErrorShape` of an exception."""
    return {
        "type": recorded(text(exception, "type"), 120),
        "message": recorded(exception.get("message"), most),
        "category": recorded(text(exception, "category"), 60),
        "error_id": identifier(text(exception, "error_id")),
    }
