"""Hides how what happens goes out as it happens: Server-Sent Events and WebSockets, bounded in number, size and time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from otel_agentlog.query import row_of
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, CONTROL, FINAL_RESULT, METADATA, WEBHOOK_FLOW
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.cli.frame import json_line
from otel_agentlog.view.server.limits import Limits
from otel_agentlog.view.server.pages_of_lines import clipped, page_of
from otel_agentlog.view.server.problems import Problem
from otel_agentlog.vocabulary.lines import Line

# -- Hides how a task's new lines are found, from where somebody left off; also in another process, also after a compression.

FILES = {"webhook-flow": WEBHOOK_FLOW, "agent-output": AGENT_OUTPUT, "control": CONTROL}

_MOST_LINES = 500
_MOST_BYTES = 1024 * 1024
_LOOK_FOR_PROCESS_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Told:
    """One thing to tell whoever follows."""

    event: str
    """``line``, ``status`` or ``end``."""
    data: dict[str, Any]
    position: str | None = None
    """Where to go on after it, where that is known."""


@dataclass
class Follower:
    """One task being followed. For one thread at a time."""

    task: TaskReader
    clip: int = 0
    """Texts are cut to so many characters; 0: never."""
    position: list[int] = field(default_factory=lambda: [0] * len(FILES))
    ended: bool = False
    """Whether nothing more is to be told."""
    _stamps: dict[str, str] = field(default_factory=dict)
    _status: Any = None
    _looked: float = 0.0

    def poll(self) -> list[Told]:
        """Return what is new; bounded, so there may be more at once."""
        over = bool(self.task.stamp(FINAL_RESULT))
        found = [told for number, word in enumerate(FILES) for told in self._lines(number, word)]
        quiet = not found
        found += self._changed_status(quiet)
        if quiet and (over or self._is_gone()):
            self.ended = True
            found.append(Told("end", {"status": row_of(self.task).status}))
        return found

    def _lines(self, number: int, word: str) -> list[Told]:
        name = FILES[word]
        stamp = self.task.stamp(name) + self.task.stamp(FINAL_RESULT)
        if self._stamps.get(name) == stamp:
            return []
        page = page_of(self.task, name, self.position[number], _MOST_LINES, _MOST_BYTES)
        self.position[number] = page.next
        if not page.more:
            self._stamps[name] = stamp
        lines: list[Line] = clipped(page.lines, self.clip) if self.clip else page.lines
        return [
            Told("line", {"file": word, "line": line}, write_position(self.position) if line is lines[-1] else None)
            for line in lines
        ]

    def _changed_status(self, quiet: bool) -> list[Told]:
        stamp = self.task.stamp(METADATA)
        if self._stamps.get(METADATA) == stamp:
            return []
        self._stamps[METADATA] = stamp
        status = (self.task.metadata() or {}).get("status")
        if status == self._status:
            return []
        self._status = status
        return [Told("status", {"status": status})]

    def _is_gone(self) -> bool:
        now = time.monotonic()
        if now - self._looked < _LOOK_FOR_PROCESS_SECONDS:
            return False
        self._looked = now
        return not self.task.folder.is_dir() or row_of(self.task).process_gone


def write_position(position: list[int]) -> str:
    """A position as text: an offset for each of `FILES`."""
    return ".".join(map(str, position))


def read_position(text: str | None) -> list[int] | None:
    """The position in a text of `write_position`; ``None`` if it is none."""
    parts = (text or "").split(".")
    good = len(parts) == len(FILES) and all(part.isascii() and part.isdigit() and len(part) <= 15 for part in parts)
    return [int(part) for part in parts] if good else None


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
