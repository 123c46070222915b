"""Endpoints about all tasks: lists, errors, figures, alerts, and the overview, also live."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, WebSocket
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from otel_agentlog.query import (
    MAX_BUCKETS,
    Filter,
    complete,
    error_groups,
    errors_by_category,
    find_errors,
    hints,
    search,
    statistics,
    timeline,
)
from otel_agentlog.query.filters.language import MAX_LENGTH
from otel_agentlog.settings.version import __version__
from otel_agentlog.store.index.condition import FIELDS, FLAGS
from otel_agentlog.view.alerting import AlertTracker
from otel_agentlog.view.server.context import ServerContext
from otel_agentlog.view.server.params import GroupQuery, PageParams, PageQuery, TimelineQuery, WindowQuery
from otel_agentlog.view.server.problems import HttpProblem, documented
from otel_agentlog.view.server.responses import json_response
from otel_agentlog.view.server.snapshot import DEFAULT_WINDOW_S, OverviewPublisher, overview_as_json, row_as_json
from otel_agentlog.view.server.streams import Slots, send_to_websocket, sse_response
from otel_agentlog.vocabulary.lines import FORMAT_VERSION


class TaskList(BaseModel):
    """Tasks that were asked for; each row is that of `agentlog ls --json` and the `key` of its folder."""

    matching: int = Field(description="How many there are in all.")
    tasks: int = Field(description="How many tasks there are, whether they match or not.")
    offset: int
    hints: list[str] = Field(description="Where nothing was found: what may have been meant, a sentence each.")
    rows: list[dict[str, Any]]


class FieldBody(BaseModel):
    """What can be asked for in `q`."""

    name: str
    kind: str = Field(description="`name` (`agent:plan*`), `amount` (`cost>0.5`), `moment` (`since:2h`) or `flag` (`is:active`).")
    summary: str


class FilterBody(BaseModel):
    """The fields of a filter in words, and how an unfinished one can go on."""

    fields: list[FieldBody]
    start: int = Field(description="From which character of `q` on an option takes its place.")
    options: list[dict[str, Any]] = Field(
        description="Each with `text`, `tasks` (how many have that value, if known) and `summary`."
    )


class StatisticsBody(BaseModel):
    """Figures of the tasks that were asked for."""

    counted: str = Field(description="What the groups count: tasks, ai_calls or tool_runs.")
    groups: list[dict[str, Any]]


class TimelineBody(BaseModel):
    """What happened over time."""

    spans: list[dict[str, Any]]


class ErrorsBody(BaseModel):
    """What went wrong."""

    by_category: dict[str, int] = Field(description="Errors since `since`, in all tasks.")
    matching: int = Field(description="How many of the tasks that were asked for did not do their job.")
    rows: list[dict[str, Any]] = Field(description="The newest of them.")


class ErrorGroupsBody(BaseModel):
    """Kinds of errors."""

    matching: int = Field(description="How many kinds there are in all.")
    groups: list[dict[str, Any]] = Field(description="The one seen last first; handled by a retry ones behind.")


class AlertsBody(BaseModel):
    """Alerts by the rules that always hold (docs/alerts.md)."""

    active: list[dict[str, Any]]
    recent: list[dict[str, Any]] = Field(
        description="Notices since the server began to look, newest first; `resolved`: it is over."
    )


class ErrorBody(BaseModel):
    """One error, in each file that speaks of it."""

    error_id: str
    found: list[dict[str, Any]]


class OverviewBody(BaseModel):
    """How it goes."""

    model_config = ConfigDict(extra="allow")

    window_s: int
    running: int


class About(BaseModel):
    """What this server is and lets one do."""

    version: str
    format_version: int
    root: str
    control: bool = Field(description="Whether tasks may be controlled, with the token.")
    trace_url: str | None = Field(description="URL of a trace elsewhere, with `{trace_id}` in it.")


def overview_router(context: ServerContext, slots: Slots) -> APIRouter:
    """All tasks together."""
    router = APIRouter(tags=["all tasks"])
    _add_lists(router, context)
    _add_errors(router, context)
    _add_figures(router, context)
    _add_live(router, context, slots)
    return router


def _add_lists(router: APIRouter, context: ServerContext) -> None:
    @router.get("/api/tasks", summary="Tasks, searched, filtered and in pages", operation_id="list_tasks", **_answer(TaskList))
    def tasks(params: PageQuery) -> Response:
        limit = min(params.limit, context.limits.page_rows)
        wanted = params.as_filter()
        found = search(context.root, wanted, order=params.order, limit=limit, offset=params.offset)
        meant = [] if found.matching else hints(context.root, wanted)
        counted = {"matching": found.matching, "tasks": found.tasks, "offset": params.offset, "hints": meant}
        return json_response({**counted, "rows": [row_as_json(row) for row in found.rows]})

    @router.get(
        "/api/filter",
        summary="What can stand in a filter in words",
        description="Fields, and how the filter that begins with `q` can go on: by fields and by values that tasks have.",
        operation_id="complete_filter",
        **_answer(FilterBody),
    )
    def completion(q: Annotated[str, Query(max_length=MAX_LENGTH)] = "") -> Response:
        found = complete(context.root, q)
        options = [asdict(option) for option in found.options]
        return json_response({"fields": _fields(), "start": found.start, "options": options})

    @router.get("/api/about", summary="What this server is", operation_id="about", **_answer(About))
    def about() -> Response:
        known = {"version": __version__, "format_version": FORMAT_VERSION, "root": str(context.root)}
        return json_response({**known, "control": context.allow_control, "trace_url": context.trace_url})


def _add_errors(router: APIRouter, context: ServerContext) -> None:
    @router.get("/api/errors", summary="What went wrong, by category and task", operation_id="list_errors", **_answer(ErrorsBody))
    def errors(params: PageQuery) -> Response:
        return json_response(_errors(context, params))

    @router.get(
        "/api/error-groups",
        summary="The kinds of errors, each with how many, when and in how many tasks",
        description="As `agentlog errors`: errors of one class whose messages differ in numbers and ids alone; those that a later"
        " attempt made good apart, behind the others. Of the tasks that were asked for.",
        operation_id="list_error_groups",
        **_answer(ErrorGroupsBody),
    )
    def error_kinds(params: PageQuery) -> Response:
        groups = error_groups(find_errors(context.root, (), tasks=params.as_filter()))
        limit = min(params.limit, context.limits.page_rows)
        shown = groups[params.offset : params.offset + limit]
        return json_response({"matching": len(groups), "groups": [group.as_json() for group in shown]})

    @router.get(
        "/api/errors/{error_id}",
        summary="One error: where it was seen, and how it was handled",
        operation_id="get_error",
        **_answer(ErrorBody, 404),
    )
    def error(error_id: Annotated[str, Path(pattern="^[A-Za-z0-9_-]{1,64}$")]) -> Response:
        found = find_errors(context.root, (), error_id=error_id)
        if not found:
            raise HttpProblem(404, f"expected the id of an error in the folders, found none that is {error_id!r}")
        return json_response({"error_id": error_id, "found": [each.as_json(trail=True) for each in found]})


def _add_figures(router: APIRouter, context: ServerContext) -> None:
    @router.get("/api/statistics", summary="Figures, in groups", operation_id="get_statistics", **_answer(StatisticsBody))
    def figures(params: GroupQuery) -> Response:
        found = statistics(context.root, params.as_filter(), group_by=params.group_by)
        return json_response({"counted": found.counted, "groups": [group.as_json() for group in found.groups]})

    @router.get("/api/timeline", summary="What happened over time", operation_id="get_timeline", **_answer(TimelineBody, 409))
    def spans(params: TimelineQuery) -> Response:
        found = timeline(context.root, _until_now(params.as_filter(), params.bucket_s), bucket_s=params.bucket_s)
        return json_response({"spans": [asdict(span) for span in found]})


def _add_live(router: APIRouter, context: ServerContext, slots: Slots) -> None:
    tracker = AlertTracker(context.root)
    publisher = OverviewPublisher(context, tracker, slots)

    @router.get("/api/alerts", summary="What is too much now, and was lately", operation_id="list_alerts", **_answer(AlertsBody))
    def alerts() -> Response:
        return json_response(tracker.evaluate())

    @router.get("/api/overview", summary="How it goes", operation_id="get_overview", **_answer(OverviewBody))
    def now(window_s: WindowQuery = DEFAULT_WINDOW_S) -> Response:
        return json_response(overview_as_json(context, tracker, window_s))

    @router.get(
        "/api/live",
        summary="How it goes, live, as Server-Sent Events",
        description="Events `overview`, each the object of /api/overview, now and whenever it has changed.",
        operation_id="stream_overview",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}, "description": "Goes on"}, **documented(503)},
    )
    async def live(window_s: WindowQuery = DEFAULT_WINDOW_S) -> StreamingResponse:
        return sse_response(publisher.changes(window_s), slots)

    @router.websocket("/api/live/ws")
    async def socket(socket: WebSocket) -> None:
        await send_to_websocket(socket, publisher.changes(DEFAULT_WINDOW_S), slots, context.limits)


def _fields() -> list[dict[str, str]]:
    fields = [{"name": name, "kind": field.kind, "summary": field.summary} for name, field in FIELDS.items()]
    return fields + [{"name": f"is:{flag}", "kind": "flag", "summary": summary} for flag, (_, summary) in FLAGS.items()]


def _until_now(wanted: Filter, bucket_s: int) -> Filter:
    """The filter with bounds of time where it has none: a folder of another century, by a clock or by damage, is left out."""
    width = bucket_s * 1_000_000_000
    now_ns = time.time_ns() + width
    until_ns = now_ns if wanted.until_ns is None else wanted.until_ns
    since_ns = min(until_ns, now_ns) - (MAX_BUCKETS - 1) * width if wanted.since_ns is None else wanted.since_ns
    return replace(wanted, since_ns=since_ns, until_ns=until_ns)


def _errors(context: ServerContext, params: PageParams) -> dict[str, Any]:
    wanted = params.as_filter()
    failed = replace(wanted, failed=True)
    limit = min(params.limit, context.limits.page_rows)
    found = search(context.root, failed, order=params.order, limit=limit, offset=params.offset)
    by_category = errors_by_category(context.root, Filter(since_ns=wanted.since_ns))
    rows = [row_as_json(row) for row in found.rows]
    return {"by_category": by_category, "matching": found.matching, "rows": rows}


def _answer(model: type[BaseModel], *refusals: int) -> dict[str, Any]:
    """The OpenAPI description of an endpoint that returns a `Response` of its own."""
    responses = {200: {"model": model, "description": "Found"}, **documented(*refusals)}
    return {"response_class": Response, "responses": responses}
