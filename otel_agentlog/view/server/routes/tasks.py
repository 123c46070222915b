"""Endpoints for one task as a whole, and for its live streams."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, WebSocket
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from otel_agentlog.query import matches, report
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, CONTROL, FINAL_RESULT, INPUT, METADATA, WEBHOOK_FLOW
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.render.html_page import html_page
from otel_agentlog.view.render.json_line import json_line
from otel_agentlog.view.render.show.task_json import page_of_task
from otel_agentlog.view.server.context import ServerContext
from otel_agentlog.view.server.line_pages import clipped
from otel_agentlog.view.server.live_reports import TreeChanges, whole_tree
from otel_agentlog.view.server.problems import HttpProblem, documented
from otel_agentlog.view.server.responses import cache_headers, etag_of, is_known, json_response, not_modified
from otel_agentlog.view.server.routes.logs import Clip, TaskId
from otel_agentlog.view.server.streams import Follower, Slots, follow, read_position, send_to_websocket, sse_response

_FILES = (METADATA, INPUT, WEBHOOK_FLOW, AGENT_OUTPUT, CONTROL, FINAL_RESULT)
_TREE = "Tell changes of the tree, too, from here on: `tree_offset` of the task, or `offset` of the event that came last."
_POSITION = "Go on from here: the `id` of the event that came last."


class TaskTree(BaseModel):
    """One task with everything that happened in it: the object of `agentlog show --json`."""

    model_config = ConfigDict(extra="allow")

    task_id: str
    name: str
    status: str
    tree: list[dict[str, Any]] = Field(description="Every part after the one it belongs to, with its `depth`.")


class Matches(BaseModel):
    """Places with words that were searched for: the line's file, `timestamp`, `type` and `level`, and the `text` around."""

    matches: list[dict[str, Any]]


def task_router(context: ServerContext, slots: Slots) -> APIRouter:
    """One task, at once and as it happens."""
    router = APIRouter(prefix="/api/tasks/{task_id}", tags=["one task"])
    _add_report(router, context)
    _add_export(router, context)
    _add_matches(router, context)
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
        if etag is None and not lines:
            content = _live_body(found, context, clip)
        else:
            body = _cut(page_of_task(report(found, with_lines=lines), context.trace_url), context)
            content = json_line(clipped(body, clip) if clip else body)
        headers = cache_headers(etag) if etag else {"cache-control": "no-store"}
        return Response(content, headers=headers, media_type="application/json")


def _add_export(router: APIRouter, context: ServerContext) -> None:
    page = {"text/html": {"schema": {"type": "string"}}}

    @router.get(
        "/export",
        summary="The page of the task with all its answers in it, as one HTML file: `agentlog export --format html`",
        operation_id="export_task",
        response_class=StreamingResponse,
        responses={200: {"content": page, "description": "The file"}, **documented(400, 404)},
    )
    def export(task_id: TaskId) -> StreamingResponse:
        found = context.task(task_id)
        headers = {"content-disposition": f'attachment; filename="{found.folder.name}.html"', "cache-control": "no-store"}
        return StreamingResponse(html_page(found, context.trace_url), headers=headers, media_type="text/html")


def _add_matches(router: APIRouter, context: ServerContext) -> None:
    @router.get(
        "/matches",
        summary="Where words stand in it: the first places, each with the text around",
        operation_id="list_matches",
        response_class=Response,
        responses={200: {"model": Matches, "description": "Found"}, **documented(400, 404)},
    )
    def places(
        task_id: TaskId,
        q: Annotated[str, Query(max_length=500, description="Words, or beginnings of words.")],
        limit: Annotated[int, Query(ge=1, le=20)] = 3,
    ) -> Response:
        found = matches(context.task(task_id).folder, q, limit=limit)
        return json_response({"matches": [asdict(each) for each in found]})


def _live_body(task: TaskReader, context: ServerContext, clip: int) -> bytes:
    """The answer about a task that goes on, from the report that its streams keep up to date."""
    shared = context.reports.of(task)
    with shared.lock:
        body = _cut(whole_tree(shared, context.trace_url), context)
        return json_line(clipped(body, clip) if clip else body)


def _cut(body: dict[str, Any], context: ServerContext) -> dict[str, Any]:
    tree = body["tree"]
    body["tree"] = tree[: context.limits.tree_parts]
    body["tree_left_out"] = len(tree) - len(body["tree"])
    return body


def _add_streams(router: APIRouter, context: ServerContext, slots: Slots) -> None:
    @router.get(
        "/stream",
        summary="What happens in it, live, as Server-Sent Events",
        description="Events `line` (`{file, line}`), `status` (`{status}`) and, last, `end`. Begins with all lines there are."
        " With `tree` also `parts` (`{parts, anew, offset}`: parts of the tree that are new or have changed; `anew`: instead of"
        " all that were there) and `task` (what the task itself is now).",
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
        tree: Annotated[int | None, Query(ge=0, le=2**53, description=_TREE)] = None,
    ) -> StreamingResponse:
        follower = await slots.in_thread(partial(_follower, context, task_id, last_event_id or after, clip, tree))
        return sse_response(follow(follower, context.limits, slots), slots)

    @router.websocket("/ws")
    async def socket(socket: WebSocket, task_id: Annotated[str, Path()]) -> None:
        try:
            follower = await slots.in_thread(partial(_follower, context, task_id, socket.query_params.get("after"), 0))
        except HttpProblem as problem:
            await socket.close(1008, str(problem.detail)[:100])
            return
        await send_to_websocket(socket, follow(follower, context.limits, slots), slots, context.limits)


def _follower(context: ServerContext, task_id: str, position: str | None, clip: int, tree: int | None = None) -> Follower:
    begin = read_position(position)
    if position is not None and begin is None:
        raise HttpProblem(400, f"after: expected the id of an event such as 0.5120.0, found {position!r}")
    task = context.task(task_id)
    follower = Follower(task, clip=clip)
    if tree is not None:
        shared = context.reports.of(task)
        follower.tree = TreeChanges(shared, tree, context.limits.tree_parts, context.trace_url)
    if begin is not None:
        follower.position = begin
    return follower
