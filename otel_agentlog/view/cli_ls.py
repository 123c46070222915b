"""``agentlog ls``: tasks, newest first."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from otel_agentlog.query import UNSUCCESSFUL, Found, TaskRow, find_rows
from otel_agentlog.view import human, words
from otel_agentlog.view.cli_frame import Setting, print_json, statuses
from otel_agentlog.view.screen import Glyphs, Piece, Screen
from otel_agentlog.view.table import Column, lay_out
from otel_agentlog.view.text import safe

DEFAULT_LIMIT = 30


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "--failed", action="store_true", help="only tasks that did not do their job: failed, timed out or interrupted"
    )
    parser.add_argument(
        "--status", type=statuses, default=frozenset(), metavar="S", help="only tasks in these states, separated by commas"
    )
    parser.add_argument(
        "--limit", type=_limit, default=DEFAULT_LIMIT, metavar="N", help=f"show at most N tasks (default {DEFAULT_LIMIT}, 0: all)"
    )


def run(options: argparse.Namespace, setting: Setting) -> int:
    """List the tasks below the root."""
    wanted: Collection[str] = options.status | (UNSUCCESSFUL if options.failed else frozenset())
    found = find_rows(setting.root, statuses=wanted, limit=options.limit or None)
    if options.json:
        print_json(_as_json(setting.root, found))
    elif not found.rows:
        _tell_empty(setting, found, wanted)
    else:
        screen = setting.screen()
        screen.lines(lay_out(_columns(_grouped(found.rows), screen), screen.columns, screen.glyphs.ellipsis))
        if len(found.rows) < found.matching:
            screen.line(Piece(f"{len(found.rows)} of {found.matching:,} tasks; --limit 0 shows all", "dim"))
    return 0


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a number of tasks, found {text!r}")
    return int(text)


def _as_json(root: Path, found: Found) -> dict[str, Any]:
    return {"root": str(root), "matching": found.matching, "tasks": [row.as_json() for row in found.rows]}


def _tell_empty(setting: Setting, found: Found, wanted: Collection[str]) -> None:
    screen = setting.screen()
    root = safe(str(setting.root))
    if found.tasks:
        standing = " or ".join(sorted(map(words.state_word, wanted)))
        screen.line(f"None of the {human.count(found.tasks, 'task')} below {root} is {standing}.")
        return
    screen.line(f"No tasks below {root}{'' if setting.root.is_dir() else ' (there is no such folder yet)'}.")
    screen.line("Record one with `agentlog demo`, or look elsewhere with --root DIR or TASK_LOGS_DIR.")


def _grouped(rows: Sequence[TaskRow]) -> list[tuple[TaskRow, int]]:
    """Put sub-tasks below their tasks, oldest first, where both are shown; each with its depth."""
    shown = {row.task_id for row in rows}
    below: dict[str, list[TaskRow]] = {}
    for row in rows:
        if row.parent_task_id in shown and row.parent_task_id != row.task_id:
            below.setdefault(row.parent_task_id or "", []).insert(0, row)
    placed: list[tuple[TaskRow, int]] = []
    seen: set[str] = set()
    # Tasks that are each other's parents, which only damage makes, come last instead of never.
    for start in [*(row for row in rows if row.parent_task_id not in shown), *rows]:
        waiting = [(start, 0)]
        while waiting:
            row, depth = waiting.pop()
            if row.task_id not in seen:
                seen.add(row.task_id)
                placed.append((row, depth))
                waiting += [(child, depth + 1) for child in reversed(below.get(row.task_id, []))]
    return placed


def _columns(rows: Sequence[tuple[TaskRow, int]], screen: Screen) -> list[Column]:
    longest_id = None if screen.columns is None else max(20, screen.columns // 3)
    columns = [
        Column(""),
        Column("TASK", least=longest_id),
        Column("NAME", least=20),
        Column("STATUS", worth=40),
        Column("AGENT", worth=20, least=8),
        Column("STARTED", worth=90),
        Column("TIME", right=True, worth=80),
        Column("AI", right=True, worth=10),
        Column("TOKENS", right=True, worth=30),
        Column("COST", right=True, worth=60),
        Column("ERRORS", right=True, worth=50),
    ]
    for row, depth in rows:
        for column, cell in zip(columns, _cells(row, depth, screen.glyphs), strict=True):
            column.cells.append(cell)
    return columns


def _cells(row: TaskRow, depth: int, glyphs: Glyphs) -> list[Piece]:
    metrics = row.metrics
    sub = "  " * max(0, depth - 1) + glyphs.sub if depth or row.parent_task_id else ""
    spent = [metrics.get(key) for key in ("input_tokens", "output_tokens")]
    calls, errors = metrics.get("ai_calls"), metrics.get("errors")
    seconds = metrics.get("duration_seconds")
    agent = row.metadata.get("assigned_agent")
    return [
        words.sign(row.status, glyphs),
        Piece(safe(row.task_id), "id"),
        Piece(sub + safe(row.name), "title" if not sub else ""),
        Piece(words.state_word(row.status), words.STYLE_OF_STATE.get(row.status, "")),
        Piece(safe(agent) if isinstance(agent, str) else ""),
        Piece(human.moment(row.time_ns("started_at", "created_at")), "dim"),
        Piece(human.duration(seconds * 1000) if isinstance(seconds, (int, float)) else ""),
        Piece(human.tokens(calls) if calls else ""),
        Piece(human.tokens(sum(count for count in spent if isinstance(count, int))) if calls else ""),
        Piece(human.usd(metrics.get("cost_usd")) if calls else "", "money"),
        Piece(human.tokens(errors) if errors else "", "error"),
    ]
