"""Hides how a watched task looks as lines of pieces: its header, its plan, its log. The same for both monitors."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from otel_agentlog.query import Group, Overview, TaskRow, overview, time_of
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.monitor.watching import PlanRow, Watched
from otel_agentlog.view.render import human, words
from otel_agentlog.view.render.line_words import said
from otel_agentlog.view.render.screen import Glyphs, Piece, Screen, columns_of, fit
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.terminal_text import cut, pad, safe

Pieces = list[Piece]

_QUIET = frozenset({"process"})


def header(watched: Watched, columns: int, glyphs: Glyphs) -> list[Pieces]:
    """Two lines: which task and how it stands; what it took so far."""
    row = watched.report.row
    status = Piece(words.state_word(row.status), words.STYLE_OF_STATE.get(row.status, ""))
    room = max(10, columns - len(status.text) - len(row.task_id) - 8)
    first = [words.sign(row.status, glyphs), Piece(" "), Piece(cut(safe(row.name), room), "title"), Piece("  "), status]
    first += [Piece("  "), Piece(safe(row.task_id), "id")]
    if row.process_gone:
        first.append(Piece("  its process is gone", "warn"))
    return [fit(line, columns, glyphs.ellipsis) for line in (first, _figures(row))]


def _figures(row: TaskRow) -> Pieces:
    metrics = row.metrics
    tokens = sum(int(metrics.get(key) or 0) for key in ("input_tokens", "output_tokens"))
    cost = human.usd(metrics.get("cost_usd")) if metrics.get("ai_calls") else "$0"
    parts = [(human.duration(_elapsed_ms(row)), ""), (cost, ""), (human.tokens(tokens), "tokens")]
    for key, noun in (("ai_calls", "AI call"), ("tool_runs", "tool run"), ("retries", "retry")):
        if count := metrics.get(key):
            plural = "retries" if noun == "retry" else f"{noun}s"
            parts.append((human.tokens(count), noun if count == 1 else plural))
    line: Pieces = []
    for value, name in parts:
        line += [Piece("  " if line else ""), Piece(value, "title"), Piece(f" {name}" if name else "", "dim")]
    errors = metrics.get("errors")
    return [*line, Piece(f"  {human.count(errors, 'error')}", "bad")] if errors else line


def _elapsed_ms(row: TaskRow) -> float | None:
    began = row.time_ns("started_at", "created_at")
    if row.has_ended or began is None:
        seconds = row.metrics.get("duration_seconds")
        return seconds * 1000 if isinstance(seconds, (int, float)) else None
    return max(0.0, (time.time_ns() - began) / 1e6)


def plan_line(row: PlanRow, columns: int, glyphs: Glyphs, *, chosen: bool = False) -> Pieces:
    """One part of the plan: its number, how it stands, its name, its time."""
    entry = row.entry
    running = entry.end_ns is None and entry.status in ("running", "paused")
    took = max(0.0, (time.time_ns() - entry.start_ns) / 1e6) if running and entry.start_ns is not None else entry.duration_ms
    right = human.duration(took)
    kind = "" if entry.kind == "step" else f"{words.KIND_NAMES.get(entry.kind, entry.kind)} "
    left = [
        Piece(f"{glyphs.start if chosen else ' '}{row.number:>3} ", "id" if chosen else "dim"),
        words.sign(entry.status, glyphs),
        Piece(" " + "  " * min(row.depth, 6)),
        Piece(safe(kind), words.KIND_STYLES.get(entry.kind, "dim")),
        Piece(safe(entry.name), "title" if chosen or running else ""),
    ]
    left = fit(left, max(8, columns - len(right) - 1), glyphs.ellipsis)
    return [*left, Piece(" " * max(1, columns - columns_of(left) - len(right))), Piece(right, "dim")]


def log_lines(lines: list[Line], columns: int, glyphs: Glyphs) -> Iterator[Pieces]:
    """Lines as people read them, each one line of the screen, but for output, which keeps its lines."""
    for line in lines:
        kind = line.get("type")
        if not isinstance(kind, str) or kind in _QUIET:
            continue
        clock = (human.clock(time_of(line)) or "--:--:--.---")[:8]
        first, *rest = said(line, max(12, min(48, columns - 30))) or [[]]
        label = pad(cut(safe(kind), 11, glyphs.ellipsis), 12)
        yield fit([Piece(f"{clock} ", "dim"), Piece(label, "tool"), *first], columns, glyphs.ellipsis)
        for more in rest[:40]:
            yield fit([Piece(" " * 21), *more], columns, glyphs.ellipsis)


def overview_lines(found: Overview) -> list[Pieces]:
    """How it goes, in two lines."""
    totals: Group = found.totals
    rate = "" if totals.success_rate is None else f"{100 * totals.success_rate:.0f} %"
    tokens = totals.input_tokens + totals.output_tokens
    first: Pieces = [Piece(f"{found.running} running", "run" if found.running else "dim")]
    first += [Piece(f"  {found.paused} paused", "warn")] if found.paused else []
    first += [Piece(f"  {found.pending} pending", "dim")] if found.pending else []
    second: Pieces = [Piece(human.count(totals.tasks, "task"), "title"), Piece(" in 24 h", "dim")]
    if totals.tasks:
        seconds = totals.duration_seconds
        figures = [("successful", rate), ("on average", _time(seconds.average)), ("p95", _time(seconds.p95))]
        figures += [("today", human.usd(found.cost_today_usd)), ("tokens", human.tokens(tokens))]
        for name, value in figures:
            second += [Piece(f"  {value}", "title"), Piece(f" {name}", "dim")] if value else []
    return [first, second]


def _time(seconds: float | None) -> str:
    return "" if seconds is None else human.duration(seconds * 1000)


# -- The monitor as plain text, printed again and again: for pipes, for logs, for terminals that can do no more.

WINDOW_S = 86_400
LAST_LINES = 12


def print_task(screen: Screen, task: TaskReader, *, once: bool, interval_s: float) -> None:
    """Print a task until it has ended; once, or whenever there is news but no sooner than ``interval_s`` seconds."""
    watched, printed = Watched(task), False
    pause = threading.Event()
    while True:
        if watched.poll() or not printed:
            printed = True
            _print(screen, _task(watched, _columns(screen), screen.glyphs))
        if once or watched.report.row.has_ended:
            return
        pause.wait(interval_s)


def print_overview(screen: Screen, root: Path, *, once: bool, interval_s: float) -> None:
    """Print how it goes with all tasks; once, or every ``interval_s`` seconds until Ctrl-C."""
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


def _task(watched: Watched, columns: int, glyphs: Glyphs) -> Iterator[Pieces]:
    yield [Piece(f"{time.strftime('%H:%M:%S')}", "dim")]
    yield from header(watched, columns, glyphs)
    yield from (plan_line(row, columns, glyphs) for row in watched.plan())
    current = None if watched.report.row.has_ended else watched.current()
    if current is not None:
        yield [Piece(f"now: {safe(current.name)}", "title")]
    yield from list(log_lines(watched.lines_of(current)[-LAST_LINES:], columns, glyphs))[-LAST_LINES:]


def _overview(root: Path, columns: int, glyphs: Glyphs) -> Iterator[Pieces]:
    found = overview(root, now_ns=time.time_ns(), window_s=WINDOW_S)
    yield [Piece(f"{time.strftime('%H:%M:%S')}", "dim")]
    yield from overview_lines(found)
    shown = {row.task_id: row for row in [*found.running_rows, *found.recent_rows]}
    for row in shown.values():
        line = [
            words.sign(row.status, glyphs),
            Piece(f" {safe(row.task_id)}  ", "id"),
            Piece(safe(row.name), "title"),
            Piece(f"  {words.state_word(row.status)}", words.STYLE_OF_STATE.get(row.status, "")),
            Piece(f"  {human.moment(row.time_ns('started_at', 'created_at'))}", "dim"),
        ]
        yield fit(line, columns, glyphs.ellipsis)
    if not shown:
        yield [Piece(f"No tasks below {safe(str(root))}.", "dim")]
