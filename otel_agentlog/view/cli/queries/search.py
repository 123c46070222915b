"""``agentlog search``: the tasks that hold given words, and the lines with them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from otel_agentlog.query import Match, matches, search
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.cli.options import filter_arguments, filter_of, reading_progress, whole
from otel_agentlog.view.render import formats, labels
from otel_agentlog.view.render.screen import Piece, Pieces, Screen, fit
from otel_agentlog.vocabulary.terminal_text import safe

DEFAULT_LIMIT = 10
DEFAULT_LINES = 3


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "text",
        metavar="TEXT",
        nargs="+",
        help="words, all of which stand in the task, or begin words in it: names, input, output, errors, ids",
    )
    parser.add_argument(
        "--limit", type=whole, default=DEFAULT_LIMIT, metavar="N", help=f"show at most N tasks (default {DEFAULT_LIMIT}, 0: all)"
    )
    parser.add_argument(
        "--lines", type=whole, default=DEFAULT_LINES, metavar="N", help=f"show at most N lines of each (default {DEFAULT_LINES})"
    )
    filter_arguments(parser, positional=False)


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Search below the root; 1 if nothing was found, as ``grep`` does."""
    text = " ".join(options.text)
    with reading_progress() as progress:
        page = search(context.root, filter_of(options, text), limit=options.limit or None, progress=progress)
    found = [(row, matches(row.folder, text, limit=options.lines)) for row in page.rows]
    if options.json:
        tasks = [{**row.as_json(), "matches": [_as_json(match) for match in lines]} for row, lines in found]
        print_json({"root": str(context.root), "text": text, "matching": page.matching, "tasks": tasks})
        return int(not found)
    screen = context.screen()
    for row, lines in found:
        screen.line(
            labels.sign(row.status, screen.glyphs),
            "  ",
            Piece(safe(row.task_id), "id"),
            "  ",
            Piece(safe(row.name), "title"),
            labels.state(row.status, "  "),
            Piece(f"  {formats.moment(row.time_ns('started_at', 'created_at'))}", "dim"),
        )
        screen.lines(_match_lines(lines, screen))
    _print_summary(screen, len(found), page.matching, page.tasks, text)
    return int(not found)


def _match_lines(lines: list[Match], screen: Screen) -> Iterator[Pieces]:
    for match in lines:
        style = "error" if match.level in ("ERROR", "CRITICAL") else ""
        line = [Piece("     "), Piece(formats.clock(match.time_ns), "dim"), Piece(f"  {safe(match.type):<12}  ", "dim")]
        yield fit([*line, Piece(safe(match.text), style)], screen.columns, screen.glyphs.ellipsis)


def _print_summary(screen: Screen, shown: int, matching: int, tasks: int, text: str) -> None:
    if not matching:
        screen.line(f"Nothing of {safe(text)!r} in {formats.count(tasks, 'task')}.")
    elif shown < matching:
        screen.line(Piece(f"{shown} of {formats.count(matching, 'task')}; --limit 0 shows all", "dim"))


def _as_json(match: Match) -> dict[str, Any]:
    return {"file": match.file, "timestamp": match.timestamp, "type": match.type, "level": match.level, "text": match.text}
