"""Hides how a request comes to its task and how values become JSON; what all endpoints share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from otel_agentlog.errors import TaskNotFoundError
from otel_agentlog.query import resolve
from otel_agentlog.store.folder.reader import TaskReader, find_task
from otel_agentlog.view.cli.frame import json_line
from otel_agentlog.view.server.limits import Limits
from otel_agentlog.view.server.problems import Problem

_NOT_KEPT = {"cache-control": "no-store"}


@dataclass(frozen=True)
class Source:
    """Where answers come from, and what may be asked."""

    root: Path
    allow_control: bool = False
    trace_url: str | None = None
    """URL of a trace elsewhere, with ``{trace_id}`` in it."""
    limits: Limits = field(default_factory=Limits)

    def task(self, wanted: str) -> TaskReader:
        """Return the task of an id, of the beginning of one, or the newest for ``last``.

        Raises:
            Problem: 404, there is none; 400, the id cannot be one.
        """
        if "\0" in wanted or len(wanted) > 512:
            raise Problem(400, f"task_id: expected at most 512 characters without NUL, found {len(wanted)}")
        try:
            # What has a slash in it would be taken for a path; ids of tasks may have one.
            return find_task(self.root, wanted) if "/" in wanted else resolve(self.root, wanted)
        except TaskNotFoundError as error:
            raise Problem(404, str(error)) from None


def json_response(value: Any, status: int = 200) -> Response:
    """An answer that nobody keeps."""
    return Response(json_line(value), status, _NOT_KEPT, media_type="application/json")


def etag_of(request: Request, stamps: Iterable[str]) -> str:
    """An entity tag of whatever the files with these stamps hold, asked for like this."""
    said = "\n".join((*stamps, request.url.path, request.url.query))
    return f'W/"{hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:32]}"'


def is_known(request: Request, etag: str) -> bool:
    """Whether the client has this already (``If-None-Match``)."""
    given = request.headers.get("if-none-match", "")
    return given.strip() == "*" or etag in (each.strip() for each in given.split(","))


def kept(etag: str) -> dict[str, str]:
    """Headers of an answer that the client may keep, if it asks each time whether it is still good."""
    return {"etag": etag, "cache-control": "private, no-cache"}


def not_modified(etag: str) -> Response:
    """The answer to a client that has it already."""
    return Response(status_code=304, headers=kept(etag))
