"""Hides how the overview comes together for the page, and how many listeners share one look at the disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool

from otel_agentlog.query import Filter, Group, TaskRow, overview, timeline
from otel_agentlog.view.cli.frame import json_line
from otel_agentlog.view.server.routes.alerts import Alerting
from otel_agentlog.view.server.routes.streams import PING_SECONDS, Told
from otel_agentlog.view.server.source import Source

DEFAULT_WINDOW_S = 86_400
SPANS = 48
"""Points of the timeline."""

_ROWS = 25
_PATIENCE = 4.0
"""A look that took t seconds is followed by a pause of at least 4 t, so that big roots get a fifth of a core at most."""


def row_as_json(row: TaskRow) -> dict[str, Any]:
    """One task for a list: its row, and the key under which this server knows it whatever its id is."""
    found = row.as_json()
    if not row.has_ended:
        # It changes with every look; whoever shows it counts from started_at.
        found["duration_seconds"] = None
    return {**found, "key": row.folder.name}


def overview_as_json(source: Source, alerting: Alerting, window_s: int) -> dict[str, Any]:
    """How it goes: figures of a window, what runs, what came last, and a timeline."""
    now_ns = time.time_ns()
    found = overview(source.root, now_ns=now_ns, window_s=window_s, top=6, rows=_ROWS)
    bucket_s = max(1, window_s // SPANS)
    since_ns = now_ns - window_s * 1_000_000_000
    return {
        "window_s": window_s,
        "running": found.running,
        "paused": found.paused,
        "pending": found.pending,
        "cost_today_usd": found.cost_today_usd,
        "totals": found.totals.as_json(),
        "agents": _groups(found.agents),
        "tools": _groups(found.tools),
        "models": _groups(found.models),
        "errors_by_category": found.errors_by_category,
        "alerts": alerting.look()["active"],
        "timeline": {
            "bucket_s": bucket_s,
            "first_ns": since_ns // (bucket_s * 1_000_000_000) * bucket_s * 1_000_000_000,
            "last_ns": now_ns // (bucket_s * 1_000_000_000) * bucket_s * 1_000_000_000,
            "spans": [asdict(span) for span in timeline(source.root, Filter(since_ns=since_ns), bucket_s=bucket_s)],
        },
        "active": [row_as_json(row) for row in found.running_rows],
        "recent": [row_as_json(row) for row in found.recent_rows],
    }


def _groups(groups: list[Group]) -> list[dict[str, Any]]:
    return [group.as_json() for group in groups]


@dataclass
class Lookout:
    """One look at the disk for all who want to see it, as often as it changes something."""

    source: Source
    alerting: Alerting
    _task: asyncio.Task[None] | None = None
    _listeners: int = 0
    _version: int = 0
    _found: dict[str, Any] | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def changes(self) -> AsyncIterator[Told | None]:
        """Yield the overview now and whenever it has changed; ``None`` as a sign of life."""
        limits = self.source.limits
        ends_at, seen = time.monotonic() + limits.stream_seconds, 0
        self._listeners += 1
        try:
            self._begin()
            while time.monotonic() < ends_at:
                if self._found is not None and seen != self._version:
                    seen = self._version
                    yield Told("overview", self._found)
                    continue
                try:
                    await asyncio.wait_for(self._changed.wait(), PING_SECONDS)
                except asyncio.TimeoutError:
                    self._begin()
                    yield None
        finally:
            self._listeners -= 1

    def _begin(self) -> None:
        """Let somebody look, unless somebody does."""
        if self._task is None or self._task.done():
            self._found, self._changed = None, asyncio.Event()
            self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        """Look until nobody listens any more."""
        last = b""
        while self._listeners > 0:
            began = time.monotonic()
            found = await run_in_threadpool(overview_as_json, self.source, self.alerting, DEFAULT_WINDOW_S)
            encoded = json_line(found)
            if encoded != last:
                last, self._found = encoded, found
                self._version += 1
                self._changed.set()
                self._changed = asyncio.Event()
            took = time.monotonic() - began
            await asyncio.sleep(max(self.source.limits.overview_seconds, _PATIENCE * took))
