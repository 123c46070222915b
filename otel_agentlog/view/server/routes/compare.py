"""``/api/compare``: two tasks side by side, their trees aligned."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from otel_agentlog.query import Entry, differences, report
from otel_agentlog.view.render.show.task_json import entry_as_json, page_of_row
from otel_agentlog.view.server.context import ServerContext
from otel_agentlog.view.server.line_pages import clipped
from otel_agentlog.view.server.problems import documented
from otel_agentlog.view.server.responses import json_response
from otel_agentlog.view.server.routes.logs import Clip

_Task = Annotated[str, Query(min_length=1, max_length=512, description="A task's id, the beginning of one, or `last`.")]


class Comparison(BaseModel):
    """What differs between two tasks."""

    same: bool
    left: dict[str, Any]
    right: dict[str, Any]
    figures: list[dict[str, Any]] = Field(description="`name`, `left`, `right` and `change`, null where it is not known.")
    parts: list[dict[str, Any]] = Field(
        description="Both trees as one: `depth`, `verdict` (same, changed, only_left, only_right), and the part of each side."
    )
    parts_left_out: int
    input: list[str] = Field(description="A unified diff; empty if they are the same.")
    result: list[str]


def compare_router(context: ServerContext) -> APIRouter:
    """``/api/compare``."""
    router = APIRouter(tags=["all tasks"])

    @router.get(
        "/api/compare",
        summary="What differs between two tasks: figures, parts, input, result",
        operation_id="compare_tasks",
        response_class=Response,
        responses={200: {"model": Comparison, "description": "Compared"}, **documented(400, 404)},
    )
    def compare(left: _Task, right: _Task, clip: Clip = 4000) -> Response:
        found = differences(*(report(context.task(each), with_content=True) for each in (left, right)))
        parts = found.parts[: context.limits.tree_parts]
        body = {
            "same": found.same,
            "left": page_of_row(found.left, context.trace_url),
            "right": page_of_row(found.right, context.trace_url),
            "figures": [{"name": f.name, "left": f.left, "right": f.right, "change": f.change} for f in found.figures],
            "parts": [
                {"depth": part.depth, "verdict": part.verdict, "left": _side(part.left), "right": _side(part.right)}
                for part in parts
            ],
            "parts_left_out": len(found.parts) - len(parts),
            "input": found.input,
            "result": found.result,
        }
        return json_response(clipped(body, clip) if clip else body)

    return router


def _side(entry: Entry | None) -> dict[str, Any] | None:
    return None if entry is None else entry_as_json(entry)
