"""Hides how one task is asked for as a whole, and followed live, over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, WebSocket
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from otel_agentlog.query import report
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, CONTROL, FINAL_RESULT, INPUT, METADATA, WEBHOOK_FLOW
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.cli.frame import json_line
from otel_agentlog.view.render.show_json import page_of_task
from otel_agentlog.view.server.pages_of_lines import clipped
from otel_agentlog.view.server.problems import Problem, documented
from otel_agentlog.view.server.routes.logs import Clip, TaskId
from otel_agentlog.view.server.routes.streams import Follower, Slots, follow, read_position, speak, sse_response
from otel_agentlog.view.server.source import Source, etag_of, is_known, kept, not_modified

_FILES = (METADATA, INPUT, WEBHOOK_FLOW, AGENT_OUTPUT, CONTROL, FINAL_RESULT)
_POSITION = "Go on from here: the `id` of the event that came last."


class TaskTree(BaseModel):
    """One task with everything that happened in it: the object of `agentlog show --json`."""

    model_config = ConfigDict(extra="allow")

    task_id: str
    name: str
    status: str
    tree: list[dict[str, Any]] = Field(description="Every part after the one it belongs to, with its `depth`.")


def task_router(source: Source, slots: Slots) -> APIRouter:
    """One task, at once and as it happens."""
    router = APIRouter(prefix="/api/tasks/{task_id}", tags=["one task"])
    _add_report(router, source)
    _add_streams(router, source, slots)
    return router


def _add_report(router: APIRouter, source: Source) -> None:
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
        found = source.task(task_id)
        # A process that dies changes no file, so of a task that goes on nothing is kept.
        etag = etag_of(request, [str(found.folder), *map(found.stamp, _FILES)]) if found.stamp(FINAL_RESULT) else None
        if etag is not None and is_known(request, etag):
            return not_modified(etag)
        body = _task_body(found, source, lines)
        content = json_line(clipped(body, clip) if clip else body)
        return Response(content, headers=kept(etag) if etag else {"cache-control": "no-store"}, media_type="application/json")


def _task_body(task: TaskReader, source: Source, lines: bool) -> dict[str, Any]:
    body = page_of_task(report(task, with_lines=lines), source.trace_url)
    tree = body["tree"]
    body["tree"] = tree[: source.limits.tree_parts]
    body["tree_left_out"] = len(tree) - len(body["tree"])
    return body


def _add_streams(router: APIRouter, source: Source, slots: Slots) -> None:
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
        follower = await run_in_threadpool(_follower, source, task_id, last_event_id or after, clip)
        return sse_response(follow(follower, source.limits), slots)

    @router.websocket("/ws")
    async def socket(socket: WebSocket, task_id: Annotated[str, Path()]) -> None:
        try:
            follower = await run_in_threadpool(_follower, source, task_id, socket.query_params.get("after"), 0)
        except Problem as problem:
            await socket.close(1008, str(problem.detail)[:100])
            return
        await speak(socket, follow(follower, source.limits), slots, source.limits)


def _follower(source: Source, task_id: str, position: str | None, clip: int) -> Follower:
    begin = read_position(position)
    if position is not None and begin is None:
        raise Problem(400, f"after: expected the id of an event such as 0.5120.0, found {position!r}")
    follower = Follower(source.task(task_id), clip=clip)
    if begin is not None:
        follower.position = begin
    return follower
