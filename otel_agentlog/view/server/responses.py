"""JSON answers, and entity tags by which clients cache them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from otel_agentlog.view.render.json_line import json_line

_NO_STORE = {"cache-control": "no-store"}


def json_response(value: Any, status: int = 200) -> Response:
    """A JSON answer that is not cached."""
    return Response(json_line(value), status, _NO_STORE, media_type="application/json")


def etag_of(request: Request, stamps: Iterable[str]) -> str:
    """The entity tag of this URL's answer while the files have these stamps."""
    tagged = "\n".join((*stamps, request.url.path, request.url.query))
    return f'W/"{hashlib.sha256(tagged.encode("utf-8", "surrogatepass")).hexdigest()[:32]}"'


def is_known(request: Request, etag: str) -> bool:
    """Whether the client has this already (``If-None-Match``)."""
    given = request.headers.get("if-none-match", "")
    return given.strip() == "*" or etag in (each.strip() for each in given.split(","))


def cache_headers(etag: str) -> dict[str, str]:
    """Headers of an answer that the client may cache, if it revalidates it each time."""
    return {"etag": etag, "cache-control": "private, no-cache"}


def not_modified(etag: str) -> Response:
    """The answer to a client that has it already."""
    return Response(status_code=304, headers=cache_headers(etag))
