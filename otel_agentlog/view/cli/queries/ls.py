"""``agentlog ls``: a table of tasks, newest first, sub-tasks below their tasks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from otel_agentlog.query import ORDERS, Filter, Page, TaskRow, search, task_ids
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.cli.options import filter_arguments, filter_of, reading_progress, whole
from otel_agentlog.view.render import formats, labels
from otel_agentlog.view.render.screen import Column, Glyphs, Piece, Pieces, Screen, table
from otel_agentlog.vocabulary.coerce import number, text
from otel_agentlog.vocabulary.terminal_text import safe

DEFAULT_LIMIT = 30

_STATUS = "STATUS"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "--limit", type=whole, default=DEFAULT_LIMIT, metavar="N", help=f"show at most N tasks (default {DEFAULT_LIMIT}, 0: all)"
    )
    parser.add_argument(
        "--order", choices=tuple(ORDERS), default="newest", metavar="ORDER", help=f"what comes first: {', '.join(ORDERS)}"
    )
    parser.add_argument("--ids", action="store_true", help="print the ids alone, one a line")
    filter_arguments(parser)


def run(options: argparse.Namespace, context: CliContext) -> int:
    """List the tasks below the root."""
    wanted = filter_of(options)
    if options.ids:
        return _print_ids(options, context, wanted)
    with reading_progress() as progress:
        found = search(context.root, wanted, order=options.order, limit=options.limit or None, progress=progress)
    if options.json:
        print_json(_as_json(context.root, found))
    elif not found.rows:
        _print_empty(context, found, wanted)
    else:
        _print_table(context.screen(), found, options.order)
    return 0


def _print_table(screen: Screen, found: Page, order: str) -> None:
    rows = _grouped(found.rows) if order == "newest" else [(row, 0) for row in found.rows]
    ids = labels.short_ids([row.task_id for row, _ in rows], screen.columns)
    lines = table(_columns(screen), (_cells(row, depth, screen.glyphs, ids) for row, depth in rows), screen)
    screen.lines(lines)
    if not any(piece.text.startswith(_STATUS) for piece in lines[0]):
        screen.lines(labels.legend({row.status for row in found.rows}, screen))
    if len(found.rows) < found.matching:
        screen.text(Piece(f"{len(found.rows)} of {found.matching:,} tasks; --limit 0 shows all", "dim"))


def _print_ids(options: argparse.Namespace, context: CliContext, wanted: Filter) -> int:
    with reading_progress() as progress:
        found = task_ids(context.root, wanted, order=options.order, limit=options.limit or None, progress=progress)
    if options.json:
        print_json({"root": str(context.root), "task_ids": found})
    else:
        sys.stdout.write("".join(f"{safe(task_id)}\n" for task_id in found))
    return 0


def _as_json(root: Path, found: Page) -> dict[str, Any]:
    return {"root": str(root), "matching": found.matching, "tasks": [row.as_json() for row in found.rows]}


def _print_empty(context: CliContext, found: Page, wanted: Filter) -> None:
    screen = context.screen()
    root = safe(str(context.root))
    if found.tasks:
        only_states = wanted == Filter(statuses=wanted.statuses, failed=wanted.failed)
        missing = " or ".join(sorted(map(labels.state_text, wanted.wanted))) if only_states else "like that"
        screen.text(f"None of the {formats.count(found.tasks, 'task')} below {root} is {missing}.")
        context.print_hints(wanted)
        return
    screen.text(f"No tasks below {root}{'' if context.root.is_dir() else ' (there is no such folder yet)'}.")
    screen.text("Record one with `agentlog demo`, or look elsewhere with --root DIR or TASK_LOGS_DIR.")


def _grouped(rows: Sequence[TaskRow]) -> list[tuple[TaskRow, int]]:
    """Put sub-tasks below their tasks, oldest first, where both are shown; each with its depth."""
    listed = {row.task_id for row in rows}
    below: dict[str, list[TaskRow]] = {}
    for row in rows:
        if row.parent_task_id in listed and row.parent_task_id != row.task_id:
            below.setdefault(row.parent_task_id or "", []).insert(0, row)
    ordered: list[tuple[TaskRow, int]] = []
    seen: set[str] = set()
    # Tasks that are each other's parents, which only damage makes, come last instead of not at all.
    for start in [*(row for row in rows if row.parent_task_id not in listed), *rows]:
        waiting = [(start, 0)]
        while waiting:
            row, depth = waiting.pop()
            if row.task_id not in seen:
                seen.add(row.task_id)
                ordered.append((row, depth))
                waiting += [(child, depth + 1) for child in reversed(below.get(row.task_id, []))]
    return ordered


def _columns(screen: Screen) -> list[Column]:
    longest_id = None if screen.columns is None else max(20, screen.columns // 3)
    narrow = screen.columns is not None and screen.columns < labels.ROOMY
    return [
        Column(""),
        Column("TASK", min_width=longest_id),
        Column("NAME", min_width=14 if narrow else 20),
        Column(_STATUS, priority=40),
        Column("AGENT", priority=20, min_width=8, max_width=max(12, (screen.columns or 0) // 8)),
        Column("STARTED", priority=70),
        Column("TIME", right=True, priority=90),
        Column("AI", right=True, priority=10),
        Column("TOKENS", right=True, priority=30),
        Column("COST", right=True, priority=80),
        Column("ERRORS", right=True, priority=75),
        Column("SCORES", priority=25, min_width=12),
    ]


def _cells(row: TaskRow, depth: int, glyphs: Glyphs, ids: Mapping[str, str]) -> Pieces:
    metrics = row.metrics
    sub = "  " * max(0, depth - 1) + glyphs.sub if depth or row.parent_task_id else ""
    spent = [metrics.get(key) for key in ("input_tokens", "output_tokens")]
    calls, errors = metrics.get("ai_calls"), metrics.get("errors")
    return [
        labels.sign(row.status, glyphs),
        Piece(safe(ids.get(row.task_id, row.task_id)), "id"),
        Piece(sub + safe(row.name), "title" if not sub else ""),
        labels.state(row.status),
        Piece(safe(text(row.metadata, "assigned_agent") or "")),
        Piece(formats.moment(row.time_ns("started_at", "created_at")), "dim"),
        Piece(formats.seconds(number(metrics, "duration_seconds"))),
        Piece(formats.tokens(calls) if calls else ""),
        Piece(formats.tokens(sum(count for count in spent if isinstance(count, int))) if calls else ""),
        Piece(formats.usd(metrics.get("cost_usd"), partly=row.unpriced) if calls else "", "money"),
        Piece(formats.tokens(errors) if errors else "", "error"),
        Piece(labels.scores(row.scores)),
    ]
