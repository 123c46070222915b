"""Hides how the application is run by uvicorn: with limits of time, without its log of requests, ended by a signal."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from otel_agentlog.view.server.access import FILE_NAME, read_or_make_token
from otel_agentlog.view.server.app import create_app
from otel_agentlog.view.server.limits import Limits

# -- Hides how clients are let go that send nothing, or take nothing, for too long; uvicorn has no limit for either.


def protocol_with(limits: Limits) -> type[asyncio.Protocol]:
    """Return uvicorn's HTTP protocol with the time limits of `limits`."""
    return type("Impatient", (_Impatient,), {"limits": limits})


class _Impatient(H11Protocol):
    """Closes a connection whose request does not come, or whose answer is not taken."""

    limits = Limits()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._patience = self.loop.call_later(self.limits.header_seconds, self._lose_patience)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._has_request():
            self._calm_down()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._calm_down()
        self._patience = self.loop.call_later(self.limits.stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._calm_down()

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm_down()
        super().connection_lost(exc)

    def _has_request(self) -> bool:
        return bool(self.cycle)

    def _lose_patience(self) -> None:
        # A connection that became a WebSocket has another protocol by now.
        if not self._has_request() and self.transport.get_protocol() is self:
            self.transport.abort()

    def _calm_down(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


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
