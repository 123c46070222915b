"""Live streams: new lines of a task as Server-Sent Events or over a WebSocket, bounded in number, size and time.

`Follower` finds what is new in a task's folder, whether another process writes it or has compressed it; `follow` polls it;
`sse_response` and `send_to_websocket` send the events.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from functools import partial
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi.responses import StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from otel_agentlog._startup import dataclass
from otel_agentlog.query import is_left_open, status_of
from otel_agentlog.store.folder.layout import FINAL_RESULT, LINE_FILE_NAMES, METADATA
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.render.json_line import json_line
from otel_agentlog.view.server.limits import Limits
from otel_agentlog.view.server.line_pages import clipped, page_of
from otel_agentlog.view.server.live_reports import TreeChanges
from otel_agentlog.view.server.problems import HttpProblem
from otel_agentlog.vocabulary.lines import Line

PING_SECONDS = 15.0
"""After so long without an event, a keep-alive is sent."""

STREAM_THREADS = 8
"""Threads that read for live streams."""

Result = TypeVar("Result")

_MOST_LINES = 500
_MOST_BYTES = 1024 * 1024
_CHECK_PROCESS_SECONDS = 3.0
_TRY_AGAIN_LATER = 1013
"""WebSocket close code."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event of a stream."""

    event: str
    """``line``, ``status``, ``parts``, ``task`` or ``end``; of the overview ``overview``."""
    data: dict[str, Any]
    position: str | None = None
    """Position of `write_position` after it, where that is known."""


@dataclass
class Follower:
    """Reads what is new in one task, from `position` on. For one thread at a time."""

    task: TaskReader
    clip: int = 0
    """Texts are cut to so many characters; 0: never."""
    position: list[int] = field(default_factory=lambda: [0] * len(LINE_FILE_NAMES))
    tree: TreeChanges | None = None
    """What has changed in the tree, if that is sent, too."""
    ended: bool = False
    """Whether there are no more events to come."""
    _stamps: dict[str, str] = field(default_factory=dict)
    _status: Any = None
    _checked: float = 0.0

    def poll(self) -> list[StreamEvent]:
        """Return the events since the last call, a bounded number: there may be more already."""
        over = bool(self.task.stamp(FINAL_RESULT))
        found = [event for number, word in enumerate(LINE_FILE_NAMES) for event in self._lines(number, word)]
        quiet = not found
        found += self._changed_status(quiet)
        if self.tree is not None:
            changes = [StreamEvent(event, clipped(data, self.clip) if self.clip else data) for event, data in self.tree.poll()]
            quiet = quiet and not changes
            found += changes
        if quiet and (over or self._has_died()):
            self.ended = True
            found.append(StreamEvent("end", {"status": status_of(self.task)}))
        return found

    def _lines(self, number: int, word: str) -> list[StreamEvent]:
        name = LINE_FILE_NAMES[word]
        stamp = self.task.stamp(name) + self.task.stamp(FINAL_RESULT)
        if self._stamps.get(name) == stamp:
            return []
        page = page_of(self.task, name, self.position[number], _MOST_LINES, _MOST_BYTES)
        self.position[number] = page.next
        if not page.more:
            self._stamps[name] = stamp
        lines: list[Line] = clipped(page.lines, self.clip) if self.clip else page.lines
        return [
            StreamEvent("line", {"file": word, "line": line}, write_position(self.position) if line is lines[-1] else None)
            for line in lines
        ]

    def _changed_status(self, quiet: bool) -> list[StreamEvent]:
        stamp = self.task.stamp(METADATA)
        if self._stamps.get(METADATA) == stamp:
            return []
        self._stamps[METADATA] = stamp
        status = (self.task.metadata() or {}).get("status")
        if status == self._status:
            return []
        self._status = status
        return [StreamEvent("status", {"status": status})]

    def _has_died(self) -> bool:
        now = time.monotonic()
        if now - self._checked < _CHECK_PROCESS_SECONDS:
            return False
        self._checked = now
        return not self.task.folder.is_dir() or is_left_open(self.task)


def write_position(position: list[int]) -> str:
    """A position as text: an offset for each of `LINE_FILE_NAMES`."""
    return ".".join(map(str, position))


def read_position(text: str | None) -> list[int] | None:
    """The position in a text of `write_position`; ``None`` if it is none."""
    parts = (text or "").split(".")
    good = len(parts) == len(LINE_FILE_NAMES) and all(part.isascii() and part.isdigit() and len(part) <= 15 for part in parts)
    return [int(part) for part in parts] if good else None


class Slots:
    """Limits the number of live streams, which have threads of their own: answers that take long do not hold them up."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._threads: CapacityLimiter | None = None

    async def in_thread(self, read: Callable[[], Result]) -> Result:
        """Call a function that reads for a stream in one of these threads."""
        if self._threads is None:
            self._threads = CapacityLimiter(STREAM_THREADS)
        return await to_thread.run_sync(read, limiter=self._threads)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold one slot. Raises `HttpProblem` (503) if all are taken."""
        if self._free <= 0:
            raise HttpProblem(503, "live streams: all that this server allows are in use", {"retry-after": "5"})
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


async def follow(follower: Follower, limits: Limits, slots: Slots) -> AsyncIterator[StreamEvent | None]:
    """Yield events of a task until it has ended or `limits.stream_seconds` are over; ``None`` as a keep-alive."""
    ends_at, sent_at = time.monotonic() + limits.stream_seconds, time.monotonic()
    while not follower.ended and time.monotonic() < ends_at:
        found = await slots.in_thread(follower.poll)
        for event in found:
            yield event
        if found:
            sent_at = time.monotonic()
            continue
        if time.monotonic() - sent_at > PING_SECONDS:
            sent_at = time.monotonic()
            yield None
        await asyncio.sleep(limits.poll_seconds)


def sse(event: StreamEvent | None) -> bytes:
    """One event in the format of Server-Sent Events."""
    if event is None:
        return b": still here\n\n"
    position = b"" if event.position is None else b"id: " + event.position.encode() + b"\n"
    return b"event: " + event.event.encode() + b"\n" + position + b"data: " + json_line(event.data) + b"\n"


def sse_response(events: AsyncIterator[StreamEvent | None], slots: Slots) -> StreamingResponse:
    """Return an endless answer. Raises `HttpProblem` (503) if there are too many already."""
    with slots.hold():
        pass  # refused before it begins, with a status for the reason

    async def pieces() -> AsyncIterator[bytes]:
        with slots.hold():
            yield b"retry: 1000\n\n"
            async for event in events:
                yield sse(event)

    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(pieces(), headers=headers, media_type="text/event-stream")


async def send_to_websocket(socket: WebSocket, events: AsyncIterator[StreamEvent | None], slots: Slots, limits: Limits) -> None:
    """Send events to a WebSocket, until they end or the client disconnects."""
    try:
        with slots.hold():
            await socket.accept()
            sending = asyncio.ensure_future(_send(socket, events, limits))
            receiving = asyncio.ensure_future(_until_disconnect(socket))
            try:
                await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                sending.cancel()
                receiving.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)
    except HttpProblem as problem:
        await socket.close(_TRY_AGAIN_LATER, str(problem.detail)[:100])


async def _send(socket: WebSocket, events: AsyncIterator[StreamEvent | None], limits: Limits) -> None:
    send = partial(asyncio.wait_for, timeout=limits.stall_seconds)
    try:
        async for event in events:
            if event is not None:
                message = {"event": event.event, "id": event.position, "data": event.data}
                await send(socket.send_text(json_line(message).decode()))
        await socket.close()
    except (WebSocketDisconnect, RuntimeError, asyncio.TimeoutError):
        return  # disconnected, or reads nothing


async def _until_disconnect(socket: WebSocket) -> None:
    """Receive and ignore whatever the client sends, until it disconnects."""
    try:
        while True:
            await socket.receive_text()
    except (WebSocketDisconnect, RuntimeError, KeyError):
        return
