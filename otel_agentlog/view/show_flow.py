"""Hides how a webhook flow is shown: stage by stage, with the time since the first one and until a worker took over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from otel_agentlog.model import Line
from otel_agentlog.query import Entry, TaskReport, time_of
from otel_agentlog.view import human
from otel_agentlog.view.screen import Piece, Screen
from otel_agentlog.view.text import cut, pad, safe
from otel_agentlog.view.values import one_line

COMMON = frozenset(
    {"timestamp", "stage", "status", "event_type", "provider", "task_id", "event_id", "trace_id", "span_id", "type", "level"}
    | {"component", "action", "message", "correlation_id", "session_id", "instance_id", "step_id"}
)
"""Keys of a stage line that are not about this stage."""

_TIME = 9
_DETAILS = 300


def flow(report: TaskReport, screen: Screen) -> Iterator[list[Piece]]:
    """The lines about how a task came in; none if it did not come in by a webhook."""
    stages = sorted(report.stages, key=lambda line: time_of(line) or 0)
    if not stages:
        return
    first = time_of(stages[0])
    names = [safe(str(line.get("stage"))) for line in stages]
    widest = max(map(len, names))
    yield [Piece("Webhook ", "title"), Piece(_from(stages[0])), Piece(f"  {human.clock(first)}", "dim")]
    for line, name in zip(stages, names, strict=True):
        yield _row(_since(first, time_of(line)), name, stage_details(line, _DETAILS), widest, screen)
    for entry in _pickups(report.roots):
        latency = entry.details.get("latency_ms")
        waited = f"after {human.duration(latency)} in queue {safe(entry.name)}" if isinstance(latency, (int, float)) else ""
        yield _row(_since(first, entry.start_ns), "picked up", waited, widest, screen)


def _row(since: str, name: str, details: str, widest: int, screen: Screen) -> list[Piece]:
    room = None if screen.columns is None else screen.columns - _TIME - widest - 6
    text = cut(details, room, screen.glyphs.ellipsis)
    return [
        Piece("  "),
        Piece(pad(since, _TIME, right=True), "dim"),
        Piece("  "),
        Piece(pad(name, widest)),
        Piece("  "),
        Piece(text, "dim"),
    ]


def stage_details(line: Line, limit: int) -> str:
    """What a stage says beyond its name: its status, then its own keys."""
    own: dict[str, Any] = {key: value for key, value in line.items() if key not in COMMON}
    status = line.get("status")
    return " ".join(filter(None, (safe(status) if isinstance(status, str) else "", one_line(own, limit))))


def _from(line: Line) -> str:
    return " ".join(safe(line[key]) for key in ("provider", "event_type") if isinstance(line.get(key), str))


def _since(first: int | None, time_ns: int | None) -> str:
    return "" if first is None or time_ns is None else f"+{human.duration(max(0, time_ns - first) / 1e6)}"


def _pickups(roots: Sequence[Entry]) -> Iterator[Entry]:
    waiting = list(reversed(roots))
    while waiting:
        entry = waiting.pop()
        if entry.kind == "queue_pickup":
            yield entry
        if entry.kind in ("webhook", "queue_push", "task"):
            waiting += reversed(entry.children)
