"""The application run by uvicorn: with time limits for slow clients, without a log of requests, ended by a signal."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from otel_agentlog.view.server.access import FILE_NAME, read_or_make_token
from otel_agentlog.view.server.app import create_app
from otel_agentlog.view.server.limits import Limits

END_SECONDS = 2
"""Longest time that shutdown waits for open answers; live streams never end by themselves."""


class AppServer:
    """The application on a socket that is listening already."""

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
        self._server = uvicorn_with(app, limits, ws_max_size=4096)

    @property
    def url(self) -> str:
        """The URL of the page, without the token."""
        return url_of(*self._listener.getsockname()[:2]) + "/"

    @property
    def page_url(self) -> str:
        """The page's URL with the token; a browser does not send what is after ``#``."""
        return f"{self.url}#token={self._token}"

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        self._server.run(sockets=[self._listener])


def url_of(host: str, port: int) -> str:
    """The URL of an address that is listened at."""
    name = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, host)  # noqa: S104 (a name to print, not to bind)
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def uvicorn_with(
    app: Any, limits: Limits, *, lifespan: Literal["on", "off"] = "off", end_seconds: int = END_SECONDS, **options: Any
) -> uvicorn.Server:
    """A server of an ASGI application within these limits, without a log of requests; waits ``end_seconds`` for open answers."""
    config = uvicorn.Config(
        app,
        http=protocol_with(limits),
        loop="asyncio",
        lifespan=lifespan,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=limits.connections,
        timeout_graceful_shutdown=end_seconds,
        **{"log_level": "warning", **options},
    )
    return uvicorn.Server(config)


def protocol_with(limits: Limits) -> type[asyncio.Protocol]:
    """Return uvicorn's HTTP protocol with the time limits of `limits`."""
    return type("TimeLimitedProtocol", (_TimeLimitedProtocol,), {"limits": limits})


class _TimeLimitedProtocol(H11Protocol):
    """Closes connections on which no request comes, or that read nothing of their answer; uvicorn has no limit for either."""

    limits = Limits()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._timeout = self.loop.call_later(self.limits.header_seconds, self._abort_without_request)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._has_request():
            self._cancel_timeout()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._cancel_timeout()
        self._timeout = self.loop.call_later(self.limits.stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel_timeout()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timeout()
        super().connection_lost(exc)

    def _has_request(self) -> bool:
        return bool(self.cycle)

    def _abort_without_request(self) -> None:
        # A connection that became a WebSocket has another protocol by now.
        if not self._has_request() and self.transport.get_protocol() is self:
            self.transport.abort()

    def _cancel_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None
