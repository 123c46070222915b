"""The monitor as plain text, printed again and again: for pipes, for logs, for terminals that can do no more."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from otel_agentlog.query import overview
from otel_agentlog.store import TaskReader
from otel_agentlog.view import human, words
from otel_agentlog.view.monitor.drawing import Pieces, header, log_lines, overview_lines, plan_line
from otel_agentlog.view.monitor.watching import Watched
from otel_agentlog.view.screen import Glyphs, Piece, Screen, fit
from otel_agentlog.view.text import safe

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
