"""Hides how a task is summed up at the head of ``show``: what, how it stands, when, at what cost, where it went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from otel_agentlog.query import TaskReport, TaskRow
from otel_agentlog.view import human, words
from otel_agentlog.view.screen import Piece, Screen
from otel_agentlog.view.text import cut, pad, safe
from otel_agentlog.view.values import one_line

_LABEL = 10
_PREVIEW = 500
"""Longest preview of input and result where the width is not limited."""


def header(report: TaskReport, screen: Screen) -> Iterator[list[Piece]]:
    """The lines above the tree."""
    row = report.row
    yield _title(row, screen)
    yield from _trouble(row, screen)
    yield []
    for label, value in _facts(report, screen):
        if value:
            room = None if screen.columns is None else screen.columns - _LABEL - 2
            # Ids and paths are there to be copied: a terminal may wrap them, we do not cut them.
            whole = label in ("task", "trace", "folder")
            text = value if whole else cut(value, room, screen.glyphs.ellipsis)
            yield [Piece("  "), Piece(pad(label, _LABEL), "dim"), Piece(text, _STYLES.get(label, ""))]


_STYLES = {"task": "id", "trace": "id", "damage": "warn"}


def _title(row: TaskRow, screen: Screen) -> list[Piece]:
    took = human.duration(_milliseconds(row))
    verb = f"{'after' if row.has_ended else 'for'} {took}" if took and row.status != "pending" else ""
    state = " ".join(filter(None, (words.state_word(row.status), verb)))
    room = None if screen.columns is None else screen.columns - len(state) - 4
    name = cut(safe(row.name), room, screen.glyphs.ellipsis)
    style = words.STYLE_OF_STATE.get(row.status, "")
    return [words.sign(row.status, screen.glyphs), Piece(" "), Piece(name, "title"), Piece("  "), Piece(state, style)]


def _trouble(row: TaskRow, screen: Screen) -> Iterator[list[Piece]]:
    if row.process_gone:
        yield [Piece("  its process is gone without a word: killed, crashed, or the power went", "warn")]
    if row.error is not None:
        room = None if screen.columns is None else screen.columns - 2
        yield [Piece("  "), Piece(cut(words.error_text(row.error), room, screen.glyphs.ellipsis), "error")]


def _facts(report: TaskReport, screen: Screen) -> Iterator[tuple[str, str]]:
    row, glyphs = report.row, screen.glyphs
    between = f" {glyphs.dot} "
    meta = row.metadata
    yield "task", safe(row.task_id) + (f" (sub-task of {safe(row.parent_task_id)})" if row.parent_task_id else "")
    yield "agent", between.join(_known(meta, "assigned_agent", "agent_type", "model"))
    yield "came by", " ".join(_known(meta, "source", "provider"))
    tags = meta.get("tags")
    yield "tags", ", ".join(safe(tag) for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ""
    yield "ids", between.join(f"{key[:-3]} {safe(meta[key])}" for key in _IDS if isinstance(meta.get(key), str))
    yield "started", _when(row)
    yield "input", _preview(report.input)
    yield "result", _preview(report.result)
    yield "spent", between.join(_spent(row.metrics))
    yield "did", between.join(_did(row.metrics))
    yield "said", between.join(_said(report))
    yield "delivery", _delivery(meta.get("delivery"))
    yield "trace", safe(str(meta.get("trace_id") or ""))
    yield "folder", safe(str(row.folder))
    if report.problems:
        more = f" and {len(report.problems) - 1} more; agentlog validate says all" if len(report.problems) > 1 else ""
        yield "damage", safe(report.problems[0]) + more


_IDS = ("correlation_id", "session_id", "instance_id")


def _milliseconds(row: TaskRow) -> float | None:
    seconds = row.metrics.get("duration_seconds")
    return seconds * 1000 if isinstance(seconds, (int, float)) else None


def _known(values: Mapping[str, Any], *keys: str) -> Iterator[str]:
    for key in keys:
        if isinstance(values.get(key), str) and values[key]:
            yield safe(values[key])


def _when(row: TaskRow) -> str:
    started = row.time_ns("started_at")
    if started is None:
        created = row.time_ns("created_at")
        return f"not yet; created {human.full_moment(created)}, {human.ago(created)}" if created is not None else ""
    return ", ".join(filter(None, (human.full_moment(started), human.ago(started))))


def _preview(value: Any) -> str:
    return "" if value is None else one_line(value, _PREVIEW)


def _spent(metrics: Mapping[str, Any]) -> Iterator[str]:
    if not metrics.get("ai_calls"):
        return
    yield human.usd(metrics.get("cost_usd")).replace(human.UNKNOWN, "price unknown")
    yield tokens_in(metrics)
    yield tokens_out(metrics)


def tokens_in(counts: Mapping[str, Any]) -> str:
    """``1.2k in (300 cached)``."""
    cached = counts.get("cache_read_input_tokens")
    aside = f" ({human.tokens(cached)} cached)" if cached else ""
    return f"{human.tokens(counts.get('input_tokens')) or human.UNKNOWN} in{aside}"


def tokens_out(counts: Mapping[str, Any]) -> str:
    """``850 out (200 reasoning)``."""
    reasoning = counts.get("reasoning_output_tokens")
    aside = f" ({human.tokens(reasoning)} reasoning)" if reasoning else ""
    return f"{human.tokens(counts.get('output_tokens')) or human.UNKNOWN} out{aside}"


_COUNTS = (
    ("steps", "step", "steps"),
    ("ai_calls", "AI call", "AI calls"),
    ("tool_runs", "tool run", "tool runs"),
    ("retries", "retry", "retries"),
    ("errors", "error", "errors"),
)


def _did(metrics: Mapping[str, Any]) -> Iterator[str]:
    for key, one, many in _COUNTS:
        number = metrics.get(key)
        if isinstance(number, int) and number:
            yield human.count(number, one, many)
    memory, cpu = metrics.get("memory_peak_mb"), metrics.get("cpu_seconds")
    if isinstance(cpu, (int, float)):
        yield f"{human.duration(cpu * 1000)} of CPU"
    if isinstance(memory, (int, float)):
        yield f"{memory:,.0f} MB at most"


def _said(report: TaskReport) -> Iterator[str]:
    logs = report.said.get("log", 0)
    if logs:
        loud = [
            human.count(number, level.lower())
            for level in ("WARNING", "ERROR", "CRITICAL")
            if (number := report.levels.get(level, 0))
        ]
        yield human.count(logs, "log line") + (f" ({', '.join(loud)})" if loud else "")
    for kind, noun in (("output", "output"), ("thinking", "thought"), ("user", "user message"), ("system", "system message")):
        if number := report.said.get(kind, 0):
            yield human.count(number, noun)
    if number := report.said.get("event", 0):
        yield human.count(number, "event")


def _delivery(delivery: Any) -> str:
    if not isinstance(delivery, Mapping) or not any(delivery.values()):
        return ""
    keys = ("recorded", "delivered", "pending", "dropped", "redacted", "truncated")
    always = ("recorded", "delivered", "pending")
    return ", ".join(
        f"{number:,} {key}" for key in keys if isinstance(number := delivery.get(key), int) and (number or key in always)
    )
