"""Hides how clients are let go that send nothing, or take nothing, for too long; uvicorn has no limit for either."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from otel_agentlog.view.server.limits import Limits


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
