"""The overview as JSON, and its live stream: one reader of the folders for all clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, field
from functools import partial
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.query import Filter, Group, TaskRow, overview, timeline
from otel_agentlog.view.alerting import AlertTracker
from otel_agentlog.view.render.json_line import json_line
from otel_agentlog.view.server.context import ServerContext
from otel_agentlog.view.server.streams import PING_SECONDS, Slots, StreamEvent

DEFAULT_WINDOW_S = 86_400
SPANS = 48
"""Points of the timeline."""

_ROWS = 25
_PAUSE_FACTOR = 4.0
"""Reading that took t seconds is followed by a pause of at least 4 t, so that it uses a fifth of a core at most."""


def row_as_json(row: TaskRow) -> dict[str, Any]:
    """One task of a list: its row and its key, the name of its folder, which URLs accept in place of the id."""
    found = row.as_json()
    if not row.has_ended:
        # It changes all the time; clients count from started_at.
        found["duration_seconds"] = None
    return {**found, "key": row.folder.name}


def overview_as_json(context: ServerContext, alerts: AlertTracker, window_s: int) -> dict[str, Any]:
    """Figures of the last `window_s` seconds, running and newest tasks, active alerts, a timeline."""
    now_ns = time.time_ns()
    found = overview(context.root, now_ns=now_ns, window_s=window_s, top=6, rows=_ROWS)
    bucket_s = max(1, window_s // SPANS)
    since_ns = now_ns - window_s * 1_000_000_000
    return {
        "window_s": window_s,
        "running": found.running,
        "paused": found.paused,
        "pending": found.pending,
        "cost_today_usd": found.cost_today_usd,
        "unpriced_today": found.unpriced_today,
        "totals": found.totals.as_json(),
        "agents": _groups(found.agents),
        "tools": _groups(found.tools),
        "models": _groups(found.models),
        "errors_by_category": found.errors_by_category,
        "alerts": alerts.evaluate()["active"],
        "timeline": {
            "bucket_s": bucket_s,
            "first_ns": since_ns // (bucket_s * 1_000_000_000) * bucket_s * 1_000_000_000,
            "last_ns": now_ns // (bucket_s * 1_000_000_000) * bucket_s * 1_000_000_000,
            # A task that is said to begin in a hundred years, by a damaged folder, is none of this window.
            "spans": [
                asdict(span) for span in timeline(context.root, Filter(since_ns=since_ns, until_ns=now_ns), bucket_s=bucket_s)
            ],
        },
        "active": [row_as_json(row) for row in found.running_rows],
        "recent": [row_as_json(row) for row in found.recent_rows],
    }


def _groups(groups: list[Group]) -> list[dict[str, Any]]:
    return [group.as_json() for group in groups]


class OverviewPublisher:
    """Reads the overview of each length of time that a client looks at, and gives each client what has changed."""

    def __init__(self, context: ServerContext, alerts: AlertTracker, slots: Slots) -> None:
        self._context, self._alerts, self._slots = context, alerts, slots
        self._readings: dict[int, _Reading] = {}

    async def changes(self, window_s: int) -> AsyncIterator[StreamEvent | None]:
        """Yield the overview now and each time it has changed; ``None`` after `PING_SECONDS` without a change."""
        read = partial(overview_as_json, self._context, self._alerts, window_s)
        reading = self._readings.setdefault(window_s, _Reading(read, self._context, self._slots))
        try:
            async for event in reading.changes():
                yield event
        finally:
            if not reading.clients:
                self._readings.pop(window_s, None)


@dataclass
class _Reading:
    """One overview, read again and again while it has clients."""

    read: Callable[[], dict[str, Any]]
    context: ServerContext
    slots: Slots
    clients: int = 0
    _task: asyncio.Task[None] | None = None
    _version: int = 0
    _found: dict[str, Any] | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def changes(self) -> AsyncIterator[StreamEvent | None]:
        limits = self.context.limits
        ends_at, seen = time.monotonic() + limits.stream_seconds, 0
        self.clients += 1
        try:
            self._start()
            while time.monotonic() < ends_at:
                if self._found is not None and seen != self._version:
                    seen = self._version
                    yield StreamEvent("overview", self._found)
                    continue
                try:
                    await asyncio.wait_for(self._changed.wait(), PING_SECONDS)
                except asyncio.TimeoutError:
                    self._start()
                    yield None
        finally:
            self.clients -= 1

    def _start(self) -> None:
        """Start the reader, if there is none."""
        if self._task is None or self._task.done():
            self._found, self._changed = None, asyncio.Event()
            self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        """Read until there is no client any more."""
        last = b""
        while self.clients > 0:
            began = time.monotonic()
            found = await self.slots.in_thread(self.read)
            encoded = json_line(found)
            if encoded != last:
                last, self._found = encoded, found
                self._version += 1
                self._changed.set()
                self._changed = asyncio.Event()
            took = time.monotonic() - began
            await asyncio.sleep(max(self.context.limits.overview_seconds, _PAUSE_FACTOR * took))
