"""Refusals as problem details (RFC 9457): one JSON object with what was expected and what was found."""

from __future__ import annotations

import http
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from otel_agentlog.errors import AgentlogError, ConfigurationError, TaskNotFoundError

MEDIA_TYPE = "application/problem+json"

_SHOULD = re.compile(r"^\w+ should (?:be |have )?")
"""How the validator's words begin: ``Input should be greater than or equal to 1``."""

_MAX_FOUND = 200
"""Characters of a wrong value in an answer."""


class ProblemBody(BaseModel):
    """What is wrong, in words for people and a number for programs."""

    model_config = ConfigDict(extra="allow")

    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field(description="What was expected, what was found.")


class HttpProblem(HTTPException):
    """A request is refused, with a status and a `detail` for the client."""

    def response(self) -> JSONResponse:
        """Return the answer."""
        return problem_response(self.status_code, self.detail, self.headers)


def problem_response(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an answer in the form of `ProblemBody`."""
    body = {"title": http.HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(body, status, dict(headers or {}), media_type=MEDIA_TYPE)


@contextmanager
def written(name: str, what: str) -> Iterator[None]:
    """Around what writes into a task's folder: 422 for values that cannot be used, 503 where the disk does not take it.

    Other errors of ours are answered by the handlers of `add_problem_handlers`.
    """
    try:
        yield
    except ConfigurationError as error:
        raise HttpProblem(422, str(error)) from None
    except OSError as error:
        raise HttpProblem(503, f"{name}: expected to write {what}, found {error.strerror or error}") from None


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of refusals with these statuses."""
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    return {
        status: {"description": http.HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in (*statuses, 401, 403, 414, 422)
    }


def add_problem_handlers(app: FastAPI) -> None:
    """Have errors in `app` answered in this form."""

    async def not_found(_: Request, error: Exception) -> JSONResponse:
        return problem_response(404, str(error))

    async def unreadable(_: Request, error: Exception) -> JSONResponse:
        return problem_response(409, str(error))

    async def by_status(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return problem_response(error.status_code, _detail(request, error), error.headers)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return problem_response(422, "; ".join(_one_mistake(request, each) for each in error.errors()[:5]))

    app.add_exception_handler(TaskNotFoundError, not_found)
    app.add_exception_handler(AgentlogError, unreadable)
    app.add_exception_handler(HTTPException, by_status)
    app.add_exception_handler(RequestValidationError, invalid)


def _detail(request: Request, error: HTTPException) -> str:
    """What a refusal of ours says; of those of the framework, which say their status alone, what was expected."""
    if str(error.detail) != http.HTTPStatus(error.status_code).phrase:
        return str(error.detail)
    if error.status_code == 405:
        return f"method: expected {(error.headers or {}).get('Allow', 'another one')}, found {_shown(request.method)}"
    return f"path: expected one of those in /api/openapi.json, found {_shown(request.url.path)}"


def _one_mistake(request: Request, error: Mapping[str, Any]) -> str:
    where, kind, found = ".".join(map(str, error["loc"])), error["type"], error.get("input")
    if kind == "value_error":
        return f"{where}: {error['ctx']['error']}"  # words of ours, which have it all
    if kind == "missing":
        return f"{where}: expected a value, found none"
    if kind == "extra_forbidden":
        return f"{where}: expected no such name, found it with {_shown(found)}"
    if kind == "json_invalid":
        place, *at = error["loc"]
        return f"{place}: expected JSON, found at character {at[0] if at else 0}: {error['ctx']['error']}"
    if isinstance(found, bytes):
        return f"Content-Type: expected application/json, found {_shown(request.headers.get('content-type', 'none'))}"
    expected = _SHOULD.sub("expected ", str(error["msg"])).replace("expected match ", "expected text that matches ")
    return f"{where}: {expected}, found {_shown(found)}"


def _shown(found: object) -> str:
    return repr(found)[:_MAX_FOUND].encode("ascii", "backslashreplace").decode()
