"""The tool that writes: a note on a task, scores of it, or both."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from otel_agentlog.tools import add_note
from otel_agentlog.view.mcp.context import McpRequest, RefusedQuestion
from otel_agentlog.view.mcp.quoted import NOTICE, cleaned, identifier, rendered, unquoted
from otel_agentlog.view.mcp.shapes import Arguments, TaskName, ToolAnswer
from otel_agentlog.vocabulary.scores import MAX_NAME, MAX_SCORE_TEXT


class NoteArguments(Arguments):
    """Arguments of `add_note`."""

    task: TaskName
    text: Annotated[str, Field(max_length=MAX_SCORE_TEXT, description="The note, or why the scores are what they are.")] = ""
    scores: Annotated[
        dict[str, float | str],
        Field(
            default_factory=dict, max_length=100, description='By name, a number or a word: `{"quality": 0.8, "tone": "warm"}`.'
        ),
    ]
    on: Annotated[
        str | None, Field(max_length=200, description="`span_id` or `step_id` of the part that is meant; without it the task.")
    ] = None
    by: Annotated[str | None, Field(max_length=MAX_NAME, description="Whose it is; default: the name of the client.")] = None


class WrittenNote(ToolAnswer):
    """It stands in the task's folder."""

    task: str
    span_id: str | None = None
    lines: int


def note_task(request: McpRequest, arguments: NoteArguments) -> dict[str, Any]:
    """Write it."""
    if not request.context.allow_writes:
        raise RefusedQuestion("expected a server that may write (agentlog mcp --allow-writes), found one that only reads")
    task = request.task(arguments.task)
    by = arguments.by or cleaned(request.client or "")[:MAX_NAME] or None
    on = None if arguments.on is None else unquoted(arguments.on)
    noted = add_note(task.folder, arguments.text, scores=arguments.scores, on=on, by=by, source="api")
    said = {
        "notice": NOTICE,
        "task": identifier(task.folder.name),
        "span_id": identifier(noted.span_id),
        "lines": len(noted.event_ids),
    }
    found: dict[str, Any] = rendered(said, 200)
    return found
