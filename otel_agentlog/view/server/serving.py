"""Hides how the application is run by uvicorn: with limits of time, without its log of requests, ended by a signal."""

from __future__ import annotations

import socket
from collections.abc import Collection
from pathlib import Path

import uvicorn

from otel_agentlog.view.server.app import create_app
from otel_agentlog.view.server.limits import Limits
from otel_agentlog.view.server.protocol import protocol_with
from otel_agentlog.view.server.token import FILE_NAME, read_or_make_token

END_SECONDS = 2
"""Longest time for which open answers hold up the end; live streams never end by themselves."""


class Serving:
    """The application on a socket that listens already."""

    def __init__(
        self,
        root: Path,
        *,
        listener: socket.socket,
        token_file: Path | None = None,
        reads_need_token: bool = False,
        allow_control: bool = False,
        allow_hosts: Collection[str] = (),
        trace_url: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        self.token_file = (token_file or root / FILE_NAME).absolute()
        self._token = read_or_make_token(self.token_file)
        self._listener = listener
        app = create_app(
            root,
            token=self._token,
            reads_need_token=reads_need_token,
            allow_control=allow_control,
            allow_hosts=allow_hosts,
            trace_url=trace_url,
            limits=limits,
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=protocol_with(limits),
                loop="asyncio",
                lifespan="off",
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=limits.connections,
                timeout_graceful_shutdown=END_SECONDS,
                ws_max_size=4096,
            )
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._listener.getsockname()[:2]
        shown = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, host)  # noqa: S104 (an address to show, not to bind)
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/"

    @property
    def page_url(self) -> str:
        """The page's URL with the token, which the browser keeps to itself: what stands behind # is not sent."""
        return f"{self.url}#token={self._token}"

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        self._server.run(sockets=[self._listener])
