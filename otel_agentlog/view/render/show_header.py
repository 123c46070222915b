"""Hides how a task is summed up at the head of ``show``: what, how it stands, when, at what cost, where it went."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otel_agentlog.query import Entry, TaskReport, TaskRow, time_of
from otel_agentlog.view.render import human, words
from otel_agentlog.view.render.screen import Glyphs, Piece, Screen
from otel_agentlog.view.render.values import one_line
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.terminal_text import cut, pad, safe, width

# -- Hides how a webhook flow is shown: stage by stage, with the time since the first one and until a worker took over.

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


# -- Hides how a time within a task becomes a bar.


@dataclass(frozen=True, slots=True)
class Waterfall:
    """A stretch of time, drawn on so many columns."""

    start_ns: int
    end_ns: int
    columns: int
    glyphs: Glyphs

    def bar(self, entry: Entry) -> str:
        """The bar of an entry, at least a sliver; empty if its time is not known."""
        if entry.start_ns is None:
            return ""
        span_ns = max(1, self.end_ns - self.start_ns)
        parts = len(self.glyphs.parts) + 1
        begins = (entry.start_ns - self.start_ns) / span_ns * self.columns
        length = (end_of(entry) - entry.start_ns) / span_ns * self.columns
        before = min(self.columns - 1, max(0, int(begins)))
        eighths = min(max(1, round(length * parts)), (self.columns - before) * parts)
        full, rest = divmod(eighths, parts)
        return " " * before + self.glyphs.bar * full + (self.glyphs.parts[rest - 1] if rest else "")

    def axis(self) -> str:
        """What the first and the last column stand for."""
        end = human.duration((self.end_ns - self.start_ns) / 1e6)
        return "0" + " " * max(1, self.columns - 1 - width(end)) + end


def end_of(entry: Entry) -> int:
    """When an entry ended; for what is open, as far as is known."""
    start = entry.start_ns or 0
    return max(start, entry.end_ns if entry.end_ns is not None else start + int((entry.duration_ms or 0) * 1e6))


def stretch(entries: Iterable[Entry]) -> tuple[int, int] | None:
    """The first start and the last end; ``None`` if no time is known."""
    known = [(entry.start_ns, end_of(entry)) for entry in entries if entry.start_ns is not None]
    return (min(start for start, _ in known), max(end for _, end in known)) if known else None


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
