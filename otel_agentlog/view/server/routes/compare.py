"""``/api/compare``: two tasks side by side, their trees aligned; ``/api/compare/groups``: two groups of tasks."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from otel_agentlog.errors import FilterError
from otel_agentlog.query import Entry, Side, compare, differences, report, side_of
from otel_agentlog.query.comparison.intervals import MISSING, available
from otel_agentlog.query.comparison.sides import KEYS
from otel_agentlog.query.filters.language import MAX_LENGTH
from otel_agentlog.view.render.show.task_json import entry_as_json, page_of_row
from otel_agentlog.view.server.context import ServerContext
from otel_agentlog.view.server.line_pages import clipped
from otel_agentlog.view.server.problems import HttpProblem, documented
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


_Side = Annotated[str, Query(max_length=MAX_LENGTH, description="A filter in words, the id of a task, or with `by` a value.")]
_By = Annotated[str | None, Query(pattern=f"^({'|'.join(KEYS)})$", description="The field that `a` and `b` are values of.")]
_Seed = Annotated[int, Query(ge=0, le=2**53, description="Of the resamples: the same gives the same intervals.")]


class GroupsBody(BaseModel):
    """What two groups of tasks differ in: what `agentlog compare --json` prints."""

    a: dict[str, Any] = Field(description="`said`, `tasks` that are compared, `going_on` and `damaged` that are not.")
    b: dict[str, Any]
    intervals: dict[str, Any] | None = Field(description="Of the confidence intervals, null where there are none.")
    without_intervals: str | None = Field(description="Why there are none, where they were asked for.")
    figures: list[dict[str, Any]] = Field(description="Each with `name`, `unit`, `a`, `b`, `difference` and their intervals.")
    ways: dict[str, Any] | None = Field(description="The common way of both, and where they part.")
    first_difference: dict[str, Any] | None = Field(description="Of two tasks.")
    conditions: list[dict[str, Any]]


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
    def compare_tasks(left: _Task, right: _Task, clip: Clip = 4000) -> Response:
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

    _add_groups(router, context)
    return router


def _add_groups(router: APIRouter, context: ServerContext) -> None:
    @router.get(
        "/api/compare/groups",
        summary="What differs between two groups of tasks: figures with confidence intervals, where they part",
        description="Of tasks that ended, whose folders could be read whole. Intervals where the server has scipy.",
        operation_id="compare_groups",
        response_class=Response,
        responses={200: {"model": GroupsBody, "description": "Compared"}, **documented(404)},
    )
    def groups(a: _Side, b: _Side, by: _By = None, intervals: bool = True, seed: _Seed = 0, clip: Clip = 4000) -> Response:
        sides = [_side_of(context, name, text, by) for name, text in (("a", a), ("b", b))]
        missing = MISSING if intervals and not available() else None
        found = compare(*sides, with_intervals=intervals and missing is None, seed=seed)
        body = {**found.as_json(), "without_intervals": missing}
        return json_response(clipped(body, clip) if clip else body)


def _side_of(context: ServerContext, name: str, text: str, by: str | None) -> Side:
    try:
        return side_of(context.root, text, by=by, paths=False)
    except FilterError as error:
        raise HttpProblem(422, f"query.{name}: {error}") from None


def _side(entry: Entry | None) -> dict[str, Any] | None:
    return None if entry is None else entry_as_json(entry)
