"""A watched task, and all tasks, as lines: header, plan and log, figures of the last day.

Used by the monitor on a terminal and by `print_task` and `print_overview`, the monitor as plain text for pipes.
"""

from __future__ import annotations

import io
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from otel_agentlog.query import Entry, Group, Overview, TaskRow, overview, time_of
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.monitor.plan import PartList, PlanRow
from otel_agentlog.view.monitor.watched_task import WatchedTask
from otel_agentlog.view.render import formats, labels
from otel_agentlog.view.render.line_text import line_pieces
from otel_agentlog.view.render.screen import Column, Glyphs, Piece, Pieces, Screen, columns_of, fit, table
from otel_agentlog.vocabulary.coerce import number, text
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.terminal_text import cut, pad, safe, width

WINDOW_S = 86_400
"""Seconds that the figures of all tasks cover."""
LAST_LINES = 12
"""Most lines of the log in one printing."""
LAST_PARTS = 40
"""Most parts of the plan in one printing."""

_NOT_SHOWN = frozenset({"process"})
"""Types of lines that are left out of the log."""


def header(watched: WatchedTask, columns: int, glyphs: Glyphs) -> list[Pieces]:
    """Two lines: name, state and id; time, cost and counts."""
    row = watched.report.row
    status = labels.state(row.status)
    room = max(10, columns - len(status.text) - len(row.task_id) - 8)
    first = [labels.sign(row.status, glyphs), Piece(" "), Piece(cut(safe(row.name), room), "title"), Piece("  "), status]
    first += [Piece("  "), Piece(safe(row.task_id), "id")]
    if row.process_gone:
        first.append(Piece("  its process is gone", "warn"))
    lines = [first, _figures(row)]
    if row.error is not None:
        lines.append([Piece(f"{glyphs.bad} ", "bad"), *why_failed(row)])
    return [fit(line, columns, glyphs.ellipsis) for line in lines]


def why_failed(row: TaskRow) -> Pieces:
    """The error a task ended with, its category and id; nothing if there is none."""
    if row.error is None:
        return []
    aside = " ".join(filter(None, (safe(text(row.error, "category") or ""), labels.error_id(row.error))))
    return [Piece(labels.error_text(row.error), "error"), Piece(f"  {aside}" if aside else "", "dim")]


_COLUMNS = (
    Column(""),
    Column("TASK", priority=35, min_width=10),
    Column("NAME", min_width=28),
    Column("STATUS", priority=48),
    Column("AGENT", priority=45, min_width=8),
    Column("MODEL", priority=20, min_width=10),
    Column("STARTED", priority=70),
    Column("TIME", right=True, priority=90),
    Column("TOKENS", right=True, priority=30),
    Column("COST", right=True, priority=80),
    Column("ERRORS", right=True, priority=50),
    Column("SCORES", priority=15, min_width=12),
)
"""Of the table of tasks: where there is not room for all, whole columns go, before any is cut."""


def task_table(rows: Sequence[TaskRow], columns: int, glyphs: Glyphs) -> list[Pieces]:
    """The lines of the table of tasks, its titles first, in so many columns."""
    paper = Screen(io.StringIO(), columns, glyphs, lambda pieces, end: None)
    return [fit(line, columns, glyphs.ellipsis) for line in table(_COLUMNS, (_cells(row, glyphs) for row in rows), paper)]


def _cells(row: TaskRow, glyphs: Glyphs) -> Pieces:
    metrics, meta = row.metrics, row.metadata
    calls, errors = metrics.get("ai_calls"), metrics.get("errors")
    spent = sum(int(metrics.get(key) or 0) for key in ("input_tokens", "output_tokens"))
    return [
        labels.sign(row.status, glyphs),
        Piece(safe(row.task_id), "id"),
        Piece((glyphs.sub if row.parent_task_id else "") + safe(row.name)),
        labels.state(row.status),
        Piece(safe(text(meta, "assigned_agent") or "")),
        Piece(safe(text(meta, "model") or ""), "dim"),
        Piece(formats.moment(row.time_ns("started_at", "created_at")), "dim"),
        Piece(formats.duration(_elapsed_ms(row))),
        Piece(formats.tokens(spent) if calls else ""),
        Piece(formats.usd(metrics.get("cost_usd"), partly=row.unpriced) if calls else "", "money"),
        Piece(formats.tokens(errors) if errors else "", "error"),
        Piece(labels.scores(row.scores)),
    ]


def _figures(row: TaskRow) -> Pieces:
    metrics = row.metrics
    tokens = sum(int(metrics.get(key) or 0) for key in ("input_tokens", "output_tokens"))
    cost = formats.usd(metrics.get("cost_usd"), partly=row.unpriced) if metrics.get("ai_calls") else "$0"
    parts = [(formats.duration(_elapsed_ms(row)), ""), (cost, ""), (formats.tokens(tokens), "tokens")]
    for key, noun in (("ai_calls", "AI call"), ("tool_runs", "tool run"), ("retries", "retry")):
        if count := metrics.get(key):
            plural = "retries" if noun == "retry" else f"{noun}s"
            parts.append((formats.tokens(count), noun if count == 1 else plural))
    line: Pieces = []
    for value, name in parts:
        line += [Piece("  " if line else ""), Piece(value, "title"), Piece(f" {name}" if name else "", "dim")]
    errors = metrics.get("errors")
    return [*line, Piece(f"  {formats.count(errors, 'error')}", "bad")] if errors else line


def _elapsed_ms(row: TaskRow) -> float | None:
    began = row.time_ns("started_at", "created_at")
    if row.has_ended or began is None:
        seconds = number(row.metrics, "duration_seconds")
        return None if seconds is None else seconds * 1000
    return max(0.0, (time.time_ns() - began) / 1e6)


def plan_line(row: PlanRow, columns: int, glyphs: Glyphs, *, selected: bool = False) -> Pieces:
    """One part of the plan: number, state, name, time."""
    entry = row.entry
    running = entry.end_ns is None and entry.status in ("running", "paused")
    took = max(0.0, (time.time_ns() - entry.start_ns) / 1e6) if running and entry.start_ns is not None else entry.duration_ms
    right = formats.duration(took)
    kind = "" if entry.kind == "step" else f"{labels.KIND_NAMES.get(entry.kind, entry.kind)} "
    left = [
        Piece(f"{glyphs.start if selected else ' '}{row.number:>3} ", "id" if selected else "dim"),
        labels.sign(entry.status, glyphs),
        Piece(" " + "  " * min(row.depth, 6)),
        Piece(safe(kind), labels.KIND_STYLES.get(entry.kind, "dim")),
        Piece(safe(entry.name), "title" if selected or running else ""),
    ]
    left = fit(left, max(8, columns - len(right) - 1), glyphs.ellipsis)
    return [*left, Piece(" " * max(1, columns - columns_of(left) - len(right))), Piece(right, "dim")]


def plan_lines(
    plan: PartList, first: int, rows: int, columns: int, glyphs: Glyphs, *, selected: Entry | None = None
) -> Iterator[Pieces]:
    """So many parts of the plan from one place on, and how many are before and behind them."""
    if first:
        yield [Piece(f"  {glyphs.ellipsis} {formats.count(first, 'part')} before", "dim")]
    for row in plan.rows(first, first + rows):
        yield plan_line(row, columns, glyphs, selected=selected is row.entry)
    if (behind := len(plan) - first - rows) > 0:
        yield [Piece(f"  {glyphs.ellipsis} {formats.count(behind, 'part')} more", "dim")]


def log_lines(lines: Iterable[Line], columns: int, glyphs: Glyphs, *, whole: bool = False) -> Iterator[Pieces]:
    """Lines of the log, each on one line of the screen, or `whole`; output keeps its lines, at most 41 of them."""
    for line in lines:
        kind = line.get("type")
        if not isinstance(kind, str) or kind in _NOT_SHOWN:
            continue
        clock = (formats.clock(time_of(line)) or "--:--:--.---")[:8]
        first, *rest = line_pieces(line, max(12, min(48, columns - 30))) or [[]]
        label = pad(cut(safe(kind), 11, glyphs.ellipsis), 12)
        shown = [[Piece(f"{clock} ", "dim"), Piece(label, "tool"), *first], *([Piece(" " * 21), *more] for more in rest[:40])]
        for each in shown:
            if whole:
                yield from folded(each, columns, min(21, columns // 2))
            else:
                yield fit(each, columns, glyphs.ellipsis)


def folded(line: Pieces, columns: int, indent: int) -> Iterator[Pieces]:
    """A line on as many lines as it needs, between words where there are any, the further ones indented."""
    row: Pieces = []
    used = 0
    for piece in line:
        rest = piece.text
        while width(rest) > columns - used:
            part = cut(rest, columns - used, "")
            if " " in part and rest[len(part) :][:1].strip():
                part = part[: part.rindex(" ")]
            if not part and used <= indent:
                part = rest[:1]
            yield [*row, Piece(part, piece.style)]
            row, used, rest = [Piece(" " * indent)], indent, rest[len(part) :].lstrip(" ")
        row.append(Piece(rest, piece.style))
        used += width(rest)
    yield row


def overview_lines(found: Overview) -> list[Pieces]:
    """Two lines: what runs; figures of the last day."""
    totals: Group = found.totals
    rate = "" if totals.success_rate is None else f"{100 * totals.success_rate:.0f} %"
    tokens = totals.input_tokens + totals.output_tokens
    first: Pieces = [Piece(f"{found.running} running", "run" if found.running else "dim")]
    first += [Piece(f"  {found.paused} paused", "warn")] if found.paused else []
    first += [Piece(f"  {found.pending} pending", "dim")] if found.pending else []
    second: Pieces = [Piece(formats.count(totals.tasks, "task"), "title"), Piece(" in 24 h", "dim")]
    if totals.tasks:
        seconds = totals.duration_seconds
        figures = [("successful", rate), ("on average", formats.seconds(seconds.average)), ("p95", formats.seconds(seconds.p95))]
        cost = formats.usd(found.cost_today_usd, partly=found.unpriced_today)
        figures += [("today", cost), ("tokens", formats.tokens(tokens))]
        for name, value in figures:
            second += [Piece(f"  {value}", "title"), Piece(f" {name}", "dim")] if value else []
    return [first, second]


def print_task(screen: Screen, task: TaskReader, *, once: bool, interval_s: float) -> None:
    """Print a task until it has ended; once, or each time something is new, with at least `interval_s` seconds between."""
    watched, printed = WatchedTask(task), False
    pause = threading.Event()
    while True:
        if watched.poll() or not printed:
            printed = True
            _print(screen, _task(watched, _columns(screen), screen.glyphs))
        if once or watched.report.row.has_ended:
            return
        pause.wait(interval_s)


def print_overview(screen: Screen, root: Path, *, once: bool, interval_s: float) -> None:
    """Print figures and newest tasks; once, or every `interval_s` seconds until Ctrl-C."""
    pause = threading.Event()
    while True:
        _print(screen, _overview(root, _columns(screen), screen.glyphs))
        if once:
            return
        pause.wait(interval_s)


def _columns(screen: Screen) -> int:
    return screen.columns or max(80, shutil.get_terminal_size((120, 24)).columns)


def _print(screen: Screen, lines: Iterator[Pieces]) -> None:
    screen.lines(lines)
    screen.line()
    screen.flush()


def _task(watched: WatchedTask, columns: int, glyphs: Glyphs) -> Iterator[Pieces]:
    yield [Piece(f"{time.strftime('%H:%M:%S')}", "dim")]
    yield from header(watched, columns, glyphs)
    plan = watched.parts()
    yield from plan_lines(plan, max(0, len(plan) - LAST_PARTS), LAST_PARTS, columns, glyphs)
    current = None if watched.report.row.has_ended else watched.current()
    if current is not None:
        yield [Piece(f"now: {safe(current.name)}", "title")]
    latest = [*islice(watched.latest(current), LAST_LINES)][::-1]
    yield from list(log_lines(latest, columns, glyphs))[-LAST_LINES:]


def _overview(root: Path, columns: int, glyphs: Glyphs) -> Iterator[Pieces]:
    found = overview(root, now_ns=time.time_ns(), window_s=WINDOW_S)
    yield [Piece(f"{time.strftime('%H:%M:%S')}", "dim")]
    yield from overview_lines(found)
    by_id = {row.task_id: row for row in [*found.running_rows, *found.recent_rows]}
    if by_id:
        yield from task_table(list(by_id.values()), columns, glyphs)
    if not by_id:
        yield [Piece(f"No tasks below {safe(str(root))}.", "dim")]
