"""The server on standard input and output, or over HTTP on the loopback interface."""

from __future__ import annotations

import signal
import socket
from typing import Any

import anyio
from mcp.server import Server
from mcp.server.stdio import stdio_server

PATH = "/mcp"
"""Where it is served over HTTP."""

MAX_SESSIONS = 64
IDLE_SECONDS = 1_800.0
"""A session without a request for so long is ended."""


def serve_stdio(server: Server[Any]) -> None:
    """Serve until the client closes standard input, or Ctrl-C."""
    # The thread that reads standard input cannot be interrupted, and Python would wait for it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    anyio.run(_on_stdio, server)


async def _on_stdio(server: Server[Any]) -> None:
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


class HttpServer:
    """The server over streamable HTTP, on a socket of the loopback interface that is listening already."""

    def __init__(self, server: Server[Any], listener: socket.socket, *, token: str | None = None) -> None:
        """With a `token` every request must have it, as ``Authorization: Bearer <token>``."""
        from otel_agentlog.view.server.access import AccessMiddleware, AccessPolicy
        from otel_agentlog.view.server.limits import Limits
        from otel_agentlog.view.server.serving import uvicorn_with

        limits = Limits(body_bytes=256 * 1024)
        app = server.streamable_http_app(streamable_http_path=PATH, session_idle_timeout=IDLE_SECONDS, max_sessions=MAX_SESSIONS)
        policy = AccessPolicy(token=token, reads_need_token=token is not None, reading_methods=_METHODS, limits=limits)
        self._listener = listener
        # The application begins and ends the sessions in its lifespan.
        self._server = uvicorn_with(AccessMiddleware(app, policy), limits, lifespan="on")

    @property
    def url(self) -> str:
        """What clients are given."""
        host, port = self._listener.getsockname()[:2]
        return f"http://{host}:{port}{PATH}"

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        self._server.run(sockets=[self._listener])


_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "DELETE"})
"""All of the protocol: what changes something is refused by the tool, not by the method."""
