"""Hides how the page's files come to the browser: from the installed package, by exact name, never by a path from a request."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

from fastapi import APIRouter, Request
from fastapi.responses import Response

from otel_agentlog.view.server.problems import Problem
from otel_agentlog.view.server.source import is_known, kept, not_modified

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def static_router() -> APIRouter:
    """The page at ``/`` and its files at ``/web/<name>``."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def page(request: Request) -> Response:
        return _file(request, "index.html")

    @router.get("/web/{name}")
    def file(request: Request, name: str) -> Response:
        return _file(request, name)

    return router


def _file(request: Request, name: str) -> Response:
    found = files().get(name)
    if found is None:
        raise Problem(404, f"expected one of the page's files, found no {name[:100]!r}")
    content, etag, media_type = found
    if is_known(request, etag):
        return not_modified(etag)
    return Response(content, headers=kept(etag), media_type=media_type)


@cache
def files() -> dict[str, tuple[bytes, str, str]]:
    """Content, entity tag and media type of each file of the page, by name."""
    found = {}
    for entry in resources.files("otel_agentlog.view").joinpath("web").iterdir():
        suffix = entry.name[entry.name.rfind(".") :]
        if suffix in MEDIA_TYPES:
            content = entry.read_bytes()
            found[entry.name] = (content, f'W/"{hashlib.sha256(content).hexdigest()[:32]}"', MEDIA_TYPES[suffix])
    return found
