"""Hides how what happens goes out as it happens: Server-Sent Events and WebSockets, bounded in number, size and time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial

from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from otel_agentlog.view.cli_frame import json_line
from otel_agentlog.view.server.following import Follower, Told
from otel_agentlog.view.server.limits import Limits
from otel_agentlog.view.server.problems import Problem

PING_SECONDS = 15.0
"""After so long without anything to tell, a sign of life is sent."""

_TRY_AGAIN_LATER = 1013


class Slots:
    """How many live streams there may be."""

    def __init__(self, most: int) -> None:
        self._free = most

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold one of them. Raises `Problem` (503) if all are taken."""
        if self._free <= 0:
            raise Problem(503, "live streams: all that this server allows are in use", {"retry-after": "5"})
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


async def follow(follower: Follower, limits: Limits) -> AsyncIterator[Told | None]:
    """Yield what happens in a task until it has ended or the time is over; ``None`` as a sign of life."""
    ends_at, spoke_at = time.monotonic() + limits.stream_seconds, time.monotonic()
    while not follower.ended and time.monotonic() < ends_at:
        found = await run_in_threadpool(follower.poll)
        for told in found:
            yield told
        if found:
            spoke_at = time.monotonic()
            continue
        if time.monotonic() - spoke_at > PING_SECONDS:
            spoke_at = time.monotonic()
            yield None
        await asyncio.sleep(limits.poll_seconds)


def sse(told: Told | None) -> bytes:
    """One event in the format of Server-Sent Events."""
    if told is None:
        return b": still here\n\n"
    position = b"" if told.position is None else b"id: " + told.position.encode() + b"\n"
    return b"event: " + told.event.encode() + b"\n" + position + b"data: " + json_line(told.data) + b"\n"


def sse_response(told: AsyncIterator[Told | None], slots: Slots) -> StreamingResponse:
    """An answer that goes on. Raises `Problem` (503) if there are too many already."""
    with slots.one():
        pass  # refused before it begins, with a status that says why

    async def pieces() -> AsyncIterator[bytes]:
        with slots.one():
            yield b"retry: 1000\n\n"
            async for each in told:
                yield sse(each)

    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(pieces(), headers=headers, media_type="text/event-stream")


async def speak(socket: WebSocket, told: AsyncIterator[Told | None], slots: Slots, limits: Limits) -> None:
    """Tell a WebSocket what happens, until it ends or the other side goes."""
    try:
        with slots.one():
            await socket.accept()
            speaking = asyncio.ensure_future(_speak(socket, told, limits))
            listening = asyncio.ensure_future(_until_gone(socket))
            try:
                await asyncio.wait({speaking, listening}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                speaking.cancel()
                listening.cancel()
            await asyncio.gather(speaking, listening, return_exceptions=True)
    except Problem as problem:
        await socket.close(_TRY_AGAIN_LATER, str(problem.detail)[:100])


async def _speak(socket: WebSocket, told: AsyncIterator[Told | None], limits: Limits) -> None:
    send = partial(asyncio.wait_for, timeout=limits.stall_seconds)
    try:
        async for each in told:
            if each is not None:
                message = {"event": each.event, "id": each.position, "data": each.data}
                await send(socket.send_text(json_line(message).decode()))
        await socket.close()
    except (WebSocketDisconnect, RuntimeError, asyncio.TimeoutError):
        return  # gone, or takes nothing


async def _until_gone(socket: WebSocket) -> None:
    """Whoever listens has nothing to say; what comes all the same is dropped."""
    try:
        while True:
            await socket.receive_text()
    except (WebSocketDisconnect, RuntimeError, KeyError):
        return
