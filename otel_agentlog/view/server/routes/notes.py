"""The endpoint that adds a note to a task, scores of it, or both."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from otel_agentlog.tools import add_note
from otel_agentlog.view.server.context import ServerContext
from otel_agentlog.view.server.problems import documented, written
from otel_agentlog.view.server.responses import json_response
from otel_agentlog.view.server.routes.logs import TaskId
from otel_agentlog.vocabulary.scores import MAX_NAME, MAX_SCORE_TEXT


class NoteBody(BaseModel):
    """A note, scores, or both: then the note is what explains the scores."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=MAX_SCORE_TEXT)] = ""
    scores: Annotated[dict[str, float | str], Field(description="By name, a number or a word.", max_length=100)] = {}
    on: Annotated[str | None, Field(description="Span id or step id of the part that is meant; without it the task.")] = None
    by: Annotated[str | None, Field(max_length=MAX_NAME, description="Whose it is; default: the user of the server.")] = None


class NoteAdded(BaseModel):
    """It stands in the task's folder."""

    task_id: str
    span_id: str | None = Field(description="The part of the task that it is about.")
    event_ids: list[str] = Field(description="Of its lines.")


def notes_router(context: ServerContext) -> APIRouter:
    """``POST /api/tasks/{task_id}/notes``."""
    router = APIRouter(tags=["one task"])

    @router.post(
        "/api/tasks/{task_id}/notes",
        summary="Add a note or scores",
        description="Needs the token, and a server that allows control. Also of a task that has ended.",
        operation_id="note_task",
        status_code=201,
        response_class=Response,
        responses={201: {"model": NoteAdded, "description": "Written"}, **documented(400, 404, 409, 413, 503)},
    )
    def note(task_id: TaskId, body: Annotated[NoteBody, Body()]) -> Response:
        context.check_control("notes")
        task = context.task(task_id)
        with written("notes", "the line"):
            noted = add_note(task.folder, body.text, scores=body.scores, on=body.on, by=body.by, source="web")
        return json_response({"task_id": noted.task_id, "span_id": noted.span_id, "event_ids": list(noted.event_ids)}, 201)

    return router
