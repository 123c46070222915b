"""The query parameters of URLs: their types and bounds, and how they become a `Filter`."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.requests import HTTPConnection

from otel_agentlog.query import GROUPS, ORDERS, Filter, narrowed, parse_filter, score_bound
from otel_agentlog.query.filters.language import MAX_LENGTH, with_conditions
from otel_agentlog.query.filters.moments import parse_moment
from otel_agentlog.store.index.condition import Named
from otel_agentlog.view.server.problems import HttpProblem
from otel_agentlog.vocabulary.states import STATES

_Text = Annotated[
    str | None, Field(max_length=300, description="Upper and lower case are alike; `*` is any text, `?` any one character.")
]
_MOMENT = "`2h`, `3d`, `today`, `yesterday`, `2026-11-20` or `2026-11-20T09:30Z`."
_EXAMPLE = 'status:failed agent:plan* cost>0.5 dur>30s since:2h "connection reset"'
_LATEST_S = 253_370_764_800
"""The year 9999."""


def _filter(text: str | None) -> str | None:
    parse_filter(text or "")
    return text


def _states(text: str | None) -> str | None:
    unknown = [word for word in _words(text) if word not in STATES]
    if unknown:
        raise ValueError(f"expected states ({', '.join(sorted(STATES))}), found {unknown[0][:40]!r}")
    return text


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _moment(text: str | None) -> str | None:
    if text:
        _as_ns(text)
    return text or None


def _as_ns(text: str) -> int:
    try:
        seconds = parse_moment(text)
    except OverflowError:
        seconds = math.inf
    if not 0 <= seconds <= _LATEST_S:
        raise ValueError(f"expected a moment between 1970 and 9999, found {text[:40]!r}")
    return int(seconds * 1e9)


def _score(text: str) -> str:
    score_bound(text)
    return text


_Moment = Annotated[str | None, Field(max_length=40), AfterValidator(_moment)]


class TaskFilterParams(BaseModel):
    """The tasks that meet all of these; what is not given restricts nothing."""

    model_config = ConfigDict(extra="forbid")

    q: Annotated[
        str | None,
        Field(max_length=MAX_LENGTH, description=f"A filter in words: `{_EXAMPLE}`. What can stand in it: `/api/filter`."),
        AfterValidator(_filter),
    ] = None
    status: Annotated[str | None, Field(max_length=200, description="States, separated by commas."), AfterValidator(_states)] = (
        None
    )
    failed: Annotated[bool, Field(description="Adds the states failed, timed_out and interrupted.")] = False
    since: Annotated[_Moment, Field(description=f"Created then or later: {_MOMENT}")] = None
    until: Annotated[_Moment, Field(description=f"Created before: {_MOMENT}")] = None
    agent: _Text = None
    agent_type: _Text = None
    provider: _Text = None
    model: _Text = None
    source: _Text = None
    tag: _Text = None
    tool: _Text = None
    user: _Text = None
    specialist: _Text = None
    error_category: _Text = None
    parent_task_id: _Text = None
    session_id: _Text = None
    correlation_id: _Text = None
    min_cost_usd: Annotated[float | None, Field(ge=0, le=1e9)] = None
    max_cost_usd: Annotated[float | None, Field(ge=0, le=1e9)] = None
    min_duration_s: Annotated[float | None, Field(ge=0, le=1e9)] = None
    max_duration_s: Annotated[float | None, Field(ge=0, le=1e9)] = None
    min_tokens: Annotated[int | None, Field(ge=0, le=10**15)] = None
    score: Annotated[
        list[Annotated[str, AfterValidator(_score), Field(max_length=300)]],
        Field(max_length=20, description="`quality<0.5`, `quality>=0.8`, `tone=friendly`, or `quality` for any."),
    ] = []

    def as_filter(self) -> Filter:
        """Return the filter."""
        names = [Named(field, (pattern,)) for name, field in _NAMES.items() if (pattern := getattr(self, name))]
        bounds = {name: getattr(self, name) for name in _BOUNDS}
        wanted = Filter(
            statuses=frozenset(_words(self.status)),
            failed=self.failed,
            since_ns=_as_ns(self.since) if self.since else None,
            until_ns=_as_ns(self.until) if self.until else None,
            scores=tuple(map(score_bound, self.score)),
            **bounds,
        )
        return narrowed(with_conditions(wanted, names), self.q or "")


_NAMES = {
    **{name: name for name in ("agent", "provider", "model", "source", "tag", "tool", "user", "specialist")},
    "agent_type": "type",
    "error_category": "error",
    "parent_task_id": "parent",
    "session_id": "session",
    "correlation_id": "correlation",
}
"""Parameters, each with its field of the filter's language."""
_BOUNDS = ("min_cost_usd", "max_cost_usd", "min_duration_s", "max_duration_s", "min_tokens")


class PageParams(TaskFilterParams):
    """Which of the tasks, and in which order."""

    order: Annotated[str, Field(pattern=f"^({'|'.join(ORDERS)})$")] = "newest"
    limit: Annotated[int, Field(ge=1, le=500, description="Most rows of the answer.")] = 50
    offset: Annotated[int, Field(ge=0, le=10_000_000, description="How many of the first ones to leave out.")] = 0


class GroupParams(TaskFilterParams):
    """Which of the tasks, and grouped by what."""

    group_by: Annotated[str | None, Field(pattern=f"^({'|'.join(GROUPS)})$", description="One group without it.")] = None


class TimelineParams(TaskFilterParams):
    """Which of the tasks, in spans of which length."""

    bucket_s: Annotated[int, Field(ge=1, le=31_536_000, description="Length of a span in seconds.")] = 3600


async def check_repeats(connection: HTTPConnection) -> None:
    """Refuse a parameter that is given twice and of which one value counts; which one that is would be a guess.

    Raises:
        HttpProblem: there is one.
    """
    given = connection.query_params
    for name in given:
        if name != "score" and (times := len(given.getlist(name))) > 1:
            raise HttpProblem(422, f"query.{name[:40]}: expected it once, found it {times} times")


PageQuery = Annotated[PageParams, Query()]
GroupQuery = Annotated[GroupParams, Query()]
TimelineQuery = Annotated[TimelineParams, Query()]
WindowQuery = Annotated[int, Query(ge=60, le=31_536_000, description="How far back the figures go, in seconds.")]
