"""Endpoints for one task as a whole, and for its live streams."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, WebSocket
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from otel_agentlog.query import report
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, CONTROL, FINAL_RESULT, INPUT, METADATA, WEBHOOK_FLOW
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.render.json_line import json_line
from otel_agentlog.view.render.show.task_json import page_of_task
from otel_agentlog.view.server.context import ServerContext
from otel_agentlog.view.server.line_pages import clipped
from otel_agentlog.view.server.problems import HttpProblem, documented
from otel_agentlog.view.server.responses import cache_headers, etag_of, is_known, not_modified
from otel_agentlog.view.server.routes.logs import Clip, TaskId
from otel_agentlog.view.server.streams import Follower, Slots, follow, read_position, send_to_websocket, sse_response

_FILES = (METADATA, INPUT, WEBHOOK_FLOW, AGENT_OUTPUT, CONTROL, FINAL_RESULT)
_POSITION = "Go on from here: the `id` of the event that came last."


class TaskTree(BaseModel):
    """One task with everything that happened in it: the object of `agentlog show --json`."""

    model_config = ConfigDict(extra="allow")

    task_id: str
    name: str
    status: str
    tree: list[dict[str, Any]] = Field(description="Every part after the one it belongs to, with its `depth`.")


def task_router(context: ServerContext, slots: Slots) -> APIRouter:
    """One task, at once and as it happens."""
    router = APIRouter(prefix="/api/tasks/{task_id}", tags=["one task"])
    _add_report(router, context)
    _add_streams(router, context, slots)
    return router


def _add_report(router: APIRouter, context: ServerContext) -> None:
    @router.get(
        "",
        summary="One task, from what was asked to how it ended, with the tree of what happened",
        operation_id="get_task",
        response_class=Response,
        responses={
            200: {"model": TaskTree, "description": "Found"},
            304: {"description": "Not Modified: the client has it already"},
            **documented(400, 404),
        },
    )
    def task(
        request: Request,
        task_id: TaskId,
        lines: Annotated[bool, Query(description="With all that was said, in its place, and with sub-tasks opened.")] = False,
        clip: Clip = 0,
    ) -> Response:
        found = context.task(task_id)
        # A process that dies changes no file, so the answer about a running task is not cached.
        etag = etag_of(request, [str(found.folder), *map(found.stamp, _FILES)]) if found.stamp(FINAL_RESULT) else None
        if etag is not None and is_known(request, etag):
            return not_modified(etag)
        body = _task_body(found, context, lines)
        content = json_line(clipped(body, clip) if clip else body)
        headers = cache_headers(etag) if etag else {"cache-control": "no-store"}
        return Response(content, headers=headers, media_type="application/json")


def _task_body(task: TaskReader, context: ServerContext, lines: bool) -> dict[str, Any]:
    body = page_of_task(report(task, with_lines=lines), context.trace_url)
    tree = body["tree"]
    body["tree"] = tree[: context.limits.tree_parts]
    body["tree_left_out"] = len(tree) - len(body["tree"])
    return body


def _add_streams(router: APIRouter, context: ServerContext, slots: Slots) -> None:
    @router.get(
        "/stream",
        summary="What happens in it, live, as Server-Sent Events",
        description="Events `line` (`{file, line}`), `status` (`{status}`) and, last, `end`. Begins with all lines there are.",
        operation_id="stream_task",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {}}, "description": "Goes on until the task ends"},
            **documented(400, 404, 503),
        },
    )
    async def stream(
        task_id: TaskId,
        after: Annotated[str | None, Query(max_length=64, description=_POSITION)] = None,
        last_event_id: Annotated[str | None, Header(max_length=64, description=_POSITION)] = None,
        clip: Clip = 0,
    ) -> StreamingResponse:
        follower = await run_in_threadpool(_follower, context, task_id, last_event_id or after, clip)
        return sse_response(follow(follower, context.limits), slots)

    @router.websocket("/ws")
    async def socket(socket: WebSocket, task_id: Annotated[str, Path()]) -> None:
        try:
            follower = await run_in_threadpool(_follower, context, task_id, socket.query_params.get("after"), 0)
        except HttpProblem as problem:
            await socket.close(1008, str(problem.detail)[:100])
            return
        await send_to_websocket(socket, follow(follower, context.limits), slots, context.limits)


def _follower(context: ServerContext, task_id: str, position: str | None, clip: int) -> Follower:
    begin = read_position(position)
    if position is not None and begin is None:
        raise HttpProblem(400, f"after: expected the id of an event such as 0.5120.0, found {position!r}")
    follower = Follower(context.task(task_id), clip=clip)
    if begin is not None:
        follower.position = begin
    return follower
