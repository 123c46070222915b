"""The page and its files, from the installed package, looked up by exact name: a request cannot name any other file."""

from __future__ import annotations

import hashlib
from functools import cache

from fastapi import APIRouter, Request
from fastapi.responses import Response

from otel_agentlog.view.render.html_page import WEB
from otel_agentlog.view.server.problems import HttpProblem
from otel_agentlog.view.server.responses import cache_headers, is_known, not_modified

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def static_router() -> APIRouter:
    """The page at ``/`` and its files at ``/web/…``, where their addresses are their paths in the package."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def page(request: Request) -> Response:
        return _file(request, "index.html")

    @router.get("/web/{name:path}")
    def file(request: Request, name: str) -> Response:
        return _file(request, name)

    return router


def _file(request: Request, name: str) -> Response:
    found = files().get(name)
    if found is None:
        raise HttpProblem(404, f"expected one of the page's files, found no {name[:100]!r}")
    content, etag, media_type = found
    if is_known(request, etag):
        return not_modified(etag)
    return Response(content, headers=cache_headers(etag), media_type=media_type)


@cache
def files() -> dict[str, tuple[bytes, str, str]]:
    """Content, entity tag and media type of each file of the page, by its path, such as ``pages/task.js``."""
    found = {}
    for path in WEB.rglob("*"):
        if path.suffix in MEDIA_TYPES:
            content = path.read_bytes()
            etag = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[path.relative_to(WEB).as_posix()] = (content, etag, MEDIA_TYPES[path.suffix])
    return found
