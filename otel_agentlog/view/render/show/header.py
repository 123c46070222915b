"""What is printed above the tree of a task: `header`, its facts by name, and `webhook_flow`, the stages by which it came in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from otel_agentlog.query import Entry, TaskReport, TaskRow, time_of
from otel_agentlog.view.render import formats, labels
from otel_agentlog.view.render.line_text import stage_details
from otel_agentlog.view.render.screen import Piece, Pieces, Screen
from otel_agentlog.view.render.show.failure import AlreadyShown, why_it_failed
from otel_agentlog.view.render.values import inline
from otel_agentlog.vocabulary.coerce import mapping, number, text, texts
from otel_agentlog.vocabulary.scores import NOTE_ADDED, Score
from otel_agentlog.vocabulary.terminal_text import cut, pad, safe

_NAME_COLUMNS = 10
_PREVIEW = 500
"""Longest preview of input and result, in characters."""
_STYLES = {"task": "id", "trace": "id", "damage": "warn"}
_IDS = ("correlation_id", "session_id", "instance_id")
_COUNTS = (
    ("steps", "step", "steps"),
    ("ai_calls", "AI call", "AI calls"),
    ("tool_runs", "tool run", "tool runs"),
    ("retries", "retry", "retries"),
    ("errors", "error", "errors"),
)
_LINE_COUNTS = (
    ("output", "output"),
    ("thinking", "thought"),
    ("user", "user message"),
    ("system", "system message"),
    ("event", "event"),
)
_TIME_COLUMNS = 9
MAX_NOTES = 10
"""The last notes that are shown."""
_DETAILS = 300
"""Longest text of what a webhook stage has of its own, in characters."""


def header(
    report: TaskReport, screen: Screen, shown: AlreadyShown | None = None, *, has_collector: bool = True
) -> Iterator[Pieces]:
    """Yield the lines: name and state, what went wrong and what can be done, then the facts."""
    row = report.row
    yield _title(row, screen)
    if row.process_gone:
        yield [Piece("  its process is gone without a word: killed, crashed, or the power went", "warn")]
    yield from why_it_failed(report, screen, shown or AlreadyShown())
    yield []
    for name, value in _facts(report, screen, has_collector=has_collector):
        if value:
            room = None if screen.columns is None else screen.columns - _NAME_COLUMNS - 2
            # Ids and paths are there to be copied: a terminal may wrap them, but they are never cut.
            fitted = value if name in ("task", "trace", "folder") else cut(value, room, screen.glyphs.ellipsis)
            yield [Piece("  "), Piece(pad(name, _NAME_COLUMNS), "dim"), Piece(fitted, _STYLES.get(name, ""))]


def _title(row: TaskRow, screen: Screen) -> Pieces:
    took = formats.seconds(number(row.metrics, "duration_seconds"))
    verb = f"{'after' if row.has_ended else 'for'} {took}" if took and row.status != "pending" else ""
    state = " ".join(filter(None, (labels.state_text(row.status), verb)))
    room = None if screen.columns is None else screen.columns - len(state) - 4
    name = cut(safe(row.name), room, screen.glyphs.ellipsis)
    style = labels.STATE_STYLES.get(row.status, "")
    return [labels.sign(row.status, screen.glyphs), Piece(" "), Piece(name, "title"), Piece("  "), Piece(state, style)]


def _facts(report: TaskReport, screen: Screen, *, has_collector: bool) -> Iterator[tuple[str, str]]:
    row, glyphs = report.row, screen.glyphs
    between = f" {glyphs.dot} "
    meta = row.metadata
    yield "task", safe(row.task_id) + (f" (sub-task of {safe(row.parent_task_id)})" if row.parent_task_id else "")
    yield "agent", between.join(_known(meta, "assigned_agent", "agent_type", "model"))
    yield "came by", " ".join(_known(meta, "source", "provider"))
    yield "tags", ", ".join(map(safe, texts(meta, "tags")))
    yield "ids", between.join(f"{key[:-3]} {safe(found)}" for key in _IDS if (found := text(meta, key)) is not None)
    yield "started", _started(row)
    yield "input", _preview(report.input)
    yield "result", _preview(report.result)
    yield "spent", between.join(_spent(row))
    yield "scores", between.join(map(_score, report.scores))
    yield from (("note", _note(line)) for line in report.noted[-MAX_NOTES:] if line.get("action") == NOTE_ADDED)
    yield "did", between.join(_did(row.metrics))
    yield "said", between.join(_line_counts(report))
    yield "delivery", _delivery(mapping(meta, "delivery"), has_collector=has_collector)
    yield "trace", safe(str(meta.get("trace_id") or ""))
    yield "folder", safe(str(row.folder))
    if report.problems:
        more = f" and {len(report.problems) - 1} more; agentlog validate says all" if len(report.problems) > 1 else ""
        yield "damage", safe(report.problems[0]) + more


def _score(score: Score) -> str:
    value = score.label if score.value is None else labels.score(score.value)
    said = " ".join(filter(None, (score.name, value, f"by {score.by}" if score.by else "")))
    return safe(said + (f" ({score.explanation})" if score.explanation else ""))


def _note(line: Mapping[str, Any]) -> str:
    by = text(mapping(line, "details"), "by")
    return safe((f"{by}: " if by else "") + (text(line, "message") or ""))


def _known(values: Mapping[str, Any], *keys: str) -> Iterator[str]:
    for key in keys:
        if found := text(values, key):
            yield safe(found)


def _started(row: TaskRow) -> str:
    started = row.time_ns("started_at")
    if started is None:
        created = row.time_ns("created_at")
        return f"not yet; created {formats.full_moment(created)}, {formats.ago(created)}" if created is not None else ""
    return ", ".join(filter(None, (formats.full_moment(started), formats.ago(started))))


def _preview(value: Any) -> str:
    return "" if value is None else inline(value, _PREVIEW)


def _spent(row: TaskRow) -> Iterator[str]:
    metrics = row.metrics
    if metrics.get("ai_calls"):
        yield formats.usd(metrics.get("cost_usd"), partly=row.unpriced).replace(formats.UNKNOWN, "price unknown")
        yield _token_count(metrics, "input_tokens", "in", "cache_read_input_tokens", "cached")
        yield _token_count(metrics, "output_tokens", "out", "reasoning_output_tokens", "reasoning")


def _token_count(metrics: Mapping[str, Any], key: str, name: str, part_key: str, part_name: str) -> str:
    """``1.2k in (300 cached)``."""
    part = metrics.get(part_key)
    aside = f" ({formats.tokens(part)} {part_name})" if part else ""
    return f"{formats.tokens(metrics.get(key)) or formats.UNKNOWN} {name}{aside}"


def _did(metrics: Mapping[str, Any]) -> Iterator[str]:
    for key, one, many in _COUNTS:
        count = metrics.get(key)
        if isinstance(count, int) and count:
            yield formats.count(count, one, many)
    memory, cpu = number(metrics, "memory_peak_mb"), number(metrics, "cpu_seconds")
    if cpu is not None:
        yield f"{formats.seconds(cpu)} of CPU"
    if memory is not None:
        yield f"{memory:,.0f} MB at most"


def _line_counts(report: TaskReport) -> Iterator[str]:
    if logs := report.said.get("log", 0):
        loud = [
            formats.count(count, level.lower())
            for level in ("WARNING", "ERROR", "CRITICAL")
            if (count := report.levels.get(level, 0))
        ]
        yield formats.count(logs, "log line") + (f" ({', '.join(loud)})" if loud else "")
    for kind, noun in _LINE_COUNTS:
        if count := report.said.get(kind, 0):
            yield formats.count(count, noun)


def _delivery(delivery: Mapping[str, Any], *, has_collector: bool) -> str:
    if not any(delivery.values()):
        return ""
    keys = ("recorded", "delivered", "pending", "dropped", "redacted", "truncated")
    always = ("recorded", "delivered", "pending")
    shown = ", ".join(
        f"{count:,} {key}" for key in keys if isinstance(count := delivery.get(key), int) and (count or key in always)
    )
    # Without one nothing is stuck: it waits for one to be set.
    waits = not has_collector and delivery.get("pending") and not delivery.get("delivered")
    return f"{shown} (no collector is set here)" if waits else shown


def webhook_flow(report: TaskReport, screen: Screen) -> Iterator[Pieces]:
    """Yield a line for each stage, with the time since the first one, and one for when a worker picked the task up."""
    stages = sorted(report.stages, key=lambda line: time_of(line) or 0)
    if not stages:
        return
    first = time_of(stages[0])
    names = [safe(str(line.get("stage"))) for line in stages]
    widest = max(map(len, names))
    source = " ".join(safe(found) for key in ("provider", "event_type") if (found := text(stages[0], key)) is not None)
    yield [Piece("Webhook ", "title"), Piece(source), Piece(f"  {formats.clock(first)}", "dim")]
    for line, name in zip(stages, names, strict=True):
        yield _stage(_since(first, time_of(line)), name, stage_details(line, _DETAILS), widest, screen)
    for entry in _pickups(report.roots):
        latency = number(entry.details, "latency_ms")
        waited = "" if latency is None else f"after {formats.duration(latency)} in queue {safe(entry.name)}"
        yield _stage(_since(first, entry.start_ns), "picked up", waited, widest, screen)


def _stage(since: str, name: str, details: str, widest: int, screen: Screen) -> Pieces:
    room = None if screen.columns is None else screen.columns - _TIME_COLUMNS - widest - 6
    return [
        Piece("  "),
        Piece(pad(since, _TIME_COLUMNS, right=True), "dim"),
        Piece("  "),
        Piece(pad(name, widest)),
        Piece("  "),
        Piece(cut(details, room, screen.glyphs.ellipsis), "dim"),
    ]


def _since(first: int | None, time_ns: int | None) -> str:
    return "" if first is None or time_ns is None else f"+{formats.duration(max(0, time_ns - first) / 1e6)}"


def _pickups(roots: Sequence[Entry]) -> Iterator[Entry]:
    """The entries that record that a worker took the task from a queue."""
    waiting = list(reversed(roots))
    while waiting:
        entry = waiting.pop()
        if entry.kind == "queue_pickup":
            yield entry
        if entry.kind in ("webhook", "queue_push", "task"):
            waiting += reversed(entry.children)
