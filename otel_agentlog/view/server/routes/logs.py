"""Endpoints for the files of a task's folder: documents, lines in pages or as a stream, artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from otel_agentlog.store.folder.layout import AGENT_OUTPUT, CONTROL, FINAL_RESULT, INPUT, METADATA, WEBHOOK_FLOW
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.render.json_line import json_line
from otel_agentlog.view.server.context import ServerContext
from otel_agentlog.view.server.line_pages import clipped, ndjson, page_of, whole_task
from otel_agentlog.view.server.problems import HttpProblem, documented
from otel_agentlog.view.server.responses import cache_headers, etag_of, is_known, not_modified

TaskId = Annotated[str, Path(description="A task's id, the beginning of one, or `last`.", min_length=1, max_length=512)]
Offset = Annotated[
    int | None, Query(ge=0, le=2**53, description="Begin at this offset (bytes, uncompressed): `next` of the page before.")
]
Count = Annotated[int | None, Query(ge=1, le=100_000, description="At most so many lines; the server has a limit of its own.")]
Clip = Annotated[int, Query(ge=0, le=10_000_000, description="Cut texts to so many characters; 0: never.")]

_LINES = {"webhook_flow": WEBHOOK_FLOW, "agent_output": AGENT_OUTPUT, "control": CONTROL}
_NDJSON = "application/x-ndjson"


class LinePage(BaseModel):
    """Some lines of one file of a task."""

    lines: list[dict[str, Any]] = Field(description="As in the folder: docs/format.md.")
    next: int = Field(description="Where to go on: `after` of the next page.")
    more: bool = Field(description="Whether there is more already.")
    skipped: int = Field(description="Damaged lines that were passed over.")


class Document(BaseModel):
    """A JSON object of the task's folder: docs/format.md."""

    model_config = ConfigDict(extra="allow")

    task_id: str | None = None


def logs_router(context: ServerContext) -> APIRouter:
    """The files of one task."""
    router = APIRouter(prefix="/api/tasks/{task_id}", tags=["a task's folder"])
    _add_documents(router, context)
    _add_lines(router, context)
    _add_full(router, context)
    _add_artifacts(router, context)
    return router


def _add_documents(router: APIRouter, context: ServerContext) -> None:
    def get(path: str, name: str, what: str) -> None:
        operation_id = f"get_{path.rpartition('/')[2].replace('-', '_')}"

        @router.get(path, summary=what, operation_id=operation_id, **_answer(Document, 400, 404, 409))
        def document(request: Request, task_id: TaskId) -> Response:
            task = context.task(task_id)
            etag = etag_of(request, [str(task.folder), task.stamp(name)])
            if is_known(request, etag):
                return not_modified(etag)
            found = task.document(name)
            if found is None:
                raise _missing(task, name)
            return Response(json_line(found), headers=cache_headers(etag), media_type="application/json")

    get("/logs/metadata", METADATA, "What the task is and how it stands")
    get("/logs/input", INPUT, "What was asked")
    get("/logs/final-result", FINAL_RESULT, "How it ended, with metrics")


def _missing(task: TaskReader, name: str) -> HttpProblem:
    if task.problems:
        return HttpProblem(409, f"{task.folder.name}: {task.problems[0]}")
    why = "the task has not ended" if name == FINAL_RESULT else "the task has none"
    return HttpProblem(404, f"{task.folder.name}: expected {name}, found none: {why}")


def _add_lines(router: APIRouter, context: ServerContext) -> None:
    def get(path: str, name: str, what: str) -> None:
        @router.get(
            path,
            summary=what,
            description="All lines, streamed as JSON lines; with `after` or `limit` one page of them as a JSON object.",
            operation_id=f"get_{path.rpartition('/')[2].replace('-', '_')}",
            **_answer(LinePage, 400, 404, more={_NDJSON: {}}),
        )
        def lines(request: Request, task_id: TaskId, after: Offset = None, limit: Count = None, clip: Clip = 0) -> Response:
            task = context.task(task_id)
            etag = etag_of(request, [str(task.folder), task.stamp(name), task.stamp(FINAL_RESULT)])
            if is_known(request, etag):
                return not_modified(etag)
            if after is None and limit is None:
                return StreamingResponse(ndjson(iter(task.lines(name))), headers=cache_headers(etag), media_type=_NDJSON)
            most = min(limit or context.limits.page_lines, context.limits.page_lines)
            page = page_of(task, name, after or 0, most, context.limits.page_bytes)
            body = {
                "lines": clipped(page.lines, clip) if clip else page.lines,
                "next": page.next,
                "more": page.more,
                "skipped": page.skipped,
            }
            return Response(json_line(body), headers=cache_headers(etag), media_type="application/json")

    get("/logs/webhook-flow", WEBHOOK_FLOW, "How it came in, one line a stage")
    get("/logs/agent-output", AGENT_OUTPUT, "What happened, one line an event")
    get("/logs/control", CONTROL, "What somebody asked of it while it ran")


def _add_full(router: APIRouter, context: ServerContext) -> None:
    @router.get(
        "/logs/full",
        summary="All of it in one JSON object, streamed",
        operation_id="get_full",
        **_answer(Document, 400, 404),
    )
    def full(request: Request, task_id: TaskId) -> Response:
        task = context.task(task_id)
        names = (METADATA, INPUT, *_LINES.values(), FINAL_RESULT)
        etag = etag_of(request, [str(task.folder), *map(task.stamp, names)])
        if is_known(request, etag):
            return not_modified(etag)
        pieces = whole_task(task, task.task_id, _LINES)
        return StreamingResponse(pieces, headers=cache_headers(etag), media_type="application/json")


def _add_artifacts(router: APIRouter, context: ServerContext) -> None:
    binary = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}

    @router.get(
        "/artifacts/{sha256}",
        summary="A payload that was too large for a line",
        operation_id="get_artifact",
        response_class=StreamingResponse,
        responses={200: {"content": binary, "description": "Its bytes"}, **documented(400, 404)},
    )
    def artifact(
        task_id: TaskId, sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of its bytes, in hex.")]
    ) -> Response:
        task = context.task(task_id)
        pieces = task.artifact(sha256)
        first = next(pieces, None)
        if first is None:
            raise HttpProblem(404, f"{task.folder.name}: expected artifact {sha256}, found none")
        return StreamingResponse(
            _chained(first, pieces),
            headers={"content-disposition": f'attachment; filename="{sha256}"', "cache-control": "private, max-age=31536000"},
            media_type="application/octet-stream",
        )


def _chained(first: bytes, rest: Any) -> Any:
    yield first
    yield from rest


def _answer(model: type[BaseModel], *refusals: int, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The OpenAPI description of an endpoint that returns a `Response` of its own."""
    return {
        "response_class": Response,
        "responses": {
            200: {"model": model, "description": "Found", "content": dict(more or {})},
            304: {"description": "Not Modified: the client has it already"},
            **documented(*refusals),
        },
    }
