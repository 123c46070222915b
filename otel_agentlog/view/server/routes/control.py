"""The endpoint that pauses, resumes or cancels a running task, or gives it context."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Body
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from otel_agentlog.store.control import Requested
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.tools import add_context, cancel, pause, resume
from otel_agentlog.view.server.context import ServerContext
from otel_agentlog.view.server.problems import HttpProblem, documented, written
from otel_agentlog.view.server.responses import json_response
from otel_agentlog.view.server.routes.logs import TaskId

_SOURCE = "web"


class ControlBody(BaseModel):
    """What is asked of the task."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["pause", "resume", "cancel", "context"]
    text: Annotated[str | None, Field(max_length=16_000, description="What the agent should know; of `context` alone.")] = None
    reason: Annotated[str | None, Field(max_length=1_000, description="Shown wherever the request is shown.")] = None
    terminate_tools: Annotated[bool, Field(description="Of `cancel`: end tools that are running, instead of waiting.")] = False


class ControlAccepted(BaseModel):
    """The request stands in the task's `control.jsonl`; the task meets it at its next checkpoint."""

    task_id: str
    action: str
    request_id: str = Field(description="Lines of the task that say what became of it name it.")
    status: str = Field(description="The task's status when it was asked.")
    at_work: bool | None = Field(description="Whether a process works on the task; null: not known.")


def control_router(context: ServerContext) -> APIRouter:
    """``POST /api/tasks/{task_id}/control``."""
    router = APIRouter(tags=["one task"])

    @router.post(
        "/api/tasks/{task_id}/control",
        summary="Pause, resume, cancel, or add context",
        description="Needs the token, and a server that allows control.",
        operation_id="control_task",
        status_code=202,
        response_class=Response,
        responses={202: {"model": ControlAccepted, "description": "Accepted"}, **documented(400, 404, 409, 413, 503)},
    )
    def control(task_id: TaskId, body: Annotated[ControlBody, Body()]) -> Response:
        context.check_control("control")
        task = context.task(task_id)
        with written("control.jsonl", "the request"):
            requested = _request(task, body)
        known = {"task_id": requested.task_id, "action": body.action, "request_id": requested.request.request_id}
        return json_response({**known, "status": requested.status, "at_work": requested.at_work}, 202)

    return router


def _request(task: TaskReader, body: ControlBody) -> Requested:
    if body.text and body.action != "context":
        raise HttpProblem(422, f"text: expected none with {body.action}, found some")
    if body.action == "context":
        return add_context(task.folder, body.text or "", reason=body.reason, source=_SOURCE)
    if body.action == "cancel":
        return cancel(task.folder, reason=body.reason, source=_SOURCE, terminate_tools=body.terminate_tools)
    return (pause if body.action == "pause" else resume)(task.folder, reason=body.reason, source=_SOURCE)
