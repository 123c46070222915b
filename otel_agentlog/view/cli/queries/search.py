"""``agentlog search``: the tasks that hold given words, and the lines with them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from otel_agentlog.query import Match, TaskRow, marks, matches, search, words_in
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.cli.options import filter_arguments, filter_of, reading_progress, whole
from otel_agentlog.view.render import formats, labels
from otel_agentlog.view.render.screen import Piece, Pieces, Screen, columns_of, fit
from otel_agentlog.vocabulary.states import ERROR_LEVELS
from otel_agentlog.vocabulary.terminal_text import cut, safe

DEFAULT_LIMIT = 10
DEFAULT_LINES = 3
MIN_NAME = 12
"""Columns that a task's name has however narrow the terminal is."""
_CLOCK = len("09:29:02.123")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "text",
        metavar="TEXT",
        nargs="+",
        help="words, all of which stand in the task, or begin words in it (names, input, output, errors, ids); or a FILTER",
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
    wanted = filter_of(options, " ".join(options.text))
    text = words_in(wanted)
    with reading_progress() as progress:
        page = search(context.root, wanted, limit=options.limit or None, progress=progress)
    found = [(row, matches(row.folder, text, limit=options.lines)) for row in page.rows]
    if options.json:
        tasks = [{**row.as_json(), "matches": [_as_json(match, text) for match in lines]} for row, lines in found]
        print_json({"root": str(context.root), "text": text, "matching": page.matching, "tasks": tasks})
        return int(not found)
    screen = context.screen()
    for row, lines in found:
        screen.text(*_head(row, screen))
        screen.lines(_match_lines(lines, text, screen))
    _print_summary(screen, len(found), page.matching, page.tasks, " ".join(options.text))
    if not found:
        context.print_hints(wanted)
    return int(not found)


def _head(row: TaskRow, screen: Screen) -> Pieces:
    """The task, its name cut so that all fits on one line."""
    before = [labels.sign(row.status, screen.glyphs), Piece("  "), Piece(safe(row.task_id), "id"), Piece("  ")]
    started = formats.moment(row.time_ns("started_at", "created_at"))
    after = [labels.state(row.status, "  "), Piece(f"  {started}", "dim")]
    room = None if screen.columns is None else max(MIN_NAME, screen.columns - columns_of(before) - columns_of(after))
    return [*before, Piece(cut(safe(row.name), room, screen.glyphs.ellipsis), "title"), *after]


def _match_lines(lines: list[Match], text: str, screen: Screen) -> Iterator[Pieces]:
    for match in lines:
        style = "error" if match.level in ERROR_LEVELS else ""
        clock = f"{formats.clock(match.time_ns):<{_CLOCK}}"
        line = [Piece("     "), Piece(clock, "dim"), Piece(f"  {safe(match.type):<12}  ", "dim")]
        yield fit([*line, *_marked(safe(match.text), text, style)], screen.columns, screen.glyphs.ellipsis)


def _marked(shown: str, text: str, style: str) -> Iterator[Piece]:
    """The text with the words that were searched for marked."""
    at = 0
    for start, end in marks(shown, text):
        yield Piece(shown[at:start], style)
        yield Piece(shown[start:end], "found")
        at = end
    yield Piece(shown[at:], style)


def _print_summary(screen: Screen, shown: int, matching: int, tasks: int, text: str) -> None:
    if not matching:
        screen.text(f"Nothing of {safe(text)!r} in {formats.count(tasks, 'task')}.")
    elif shown < matching:
        screen.text(Piece(f"{shown} of {formats.count(matching, 'task')}; --limit 0 shows all", "dim"))


def _as_json(match: Match, text: str) -> dict[str, Any]:
    kept = {"file": match.file, "timestamp": match.timestamp, "type": match.type, "level": match.level, "text": match.text}
    return {**kept, "marks": marks(match.text, text)}
