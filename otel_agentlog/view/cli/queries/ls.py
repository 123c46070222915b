"""``agentlog ls``: tasks, newest first, or those that are asked for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from otel_agentlog.query import ORDERS, Filter, Page, TaskRow, search
from otel_agentlog.view.cli.frame import Setting, print_json
from otel_agentlog.view.cli.options import filter_arguments, filter_of, reading, whole
from otel_agentlog.view.render import human, words
from otel_agentlog.view.render.screen import Column, Glyphs, Piece, Screen, lay_out
from otel_agentlog.vocabulary.terminal_text import safe

DEFAULT_LIMIT = 30


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "--limit", type=whole, default=DEFAULT_LIMIT, metavar="N", help=f"show at most N tasks (default {DEFAULT_LIMIT}, 0: all)"
    )
    parser.add_argument(
        "--order", choices=tuple(ORDERS), default="newest", metavar="ORDER", help=f"what comes first: {', '.join(ORDERS)}"
    )
    filter_arguments(parser)


def run(options: argparse.Namespace, setting: Setting) -> int:
    """List the tasks below the root."""
    wanted = filter_of(options)
    with reading() as progress:
        found = search(setting.root, wanted, order=options.order, limit=options.limit or None, progress=progress)
    if options.json:
        print_json(_as_json(setting.root, found))
    elif not found.rows:
        _tell_empty(setting, found, wanted)
    else:
        screen = setting.screen()
        rows = _grouped(found.rows) if options.order == "newest" else [(row, 0) for row in found.rows]
        screen.lines(lay_out(_columns(rows, screen), screen.columns, screen.glyphs.ellipsis))
        if len(found.rows) < found.matching:
            screen.line(Piece(f"{len(found.rows)} of {found.matching:,} tasks; --limit 0 shows all", "dim"))
    return 0


def _as_json(root: Path, found: Page) -> dict[str, Any]:
    return {"root": str(root), "matching": found.matching, "tasks": [row.as_json() for row in found.rows]}


def _tell_empty(setting: Setting, found: Page, wanted: Filter) -> None:
    screen = setting.screen()
    root = safe(str(setting.root))
    if found.tasks:
        only_states = wanted == Filter(statuses=wanted.statuses, failed=wanted.failed)
        standing = " or ".join(sorted(map(words.state_word, wanted.wanted))) if only_states else "like that"
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
