"""``agentlog tail``: the last lines of a task as text, with ``--follow`` also those that come."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable

from otel_agentlog.query import LineStream, resolve, row_of, time_of
from otel_agentlog.view.cli.context import CliContext
from otel_agentlog.view.cli.queries.show import TASK_HELP
from otel_agentlog.view.render import formats, labels
from otel_agentlog.view.render.json_line import json_line
from otel_agentlog.view.render.line_text import line_pieces
from otel_agentlog.view.render.screen import Piece, Screen, columns_of, fit
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.lines import CONTENT_TYPES, Line
from otel_agentlog.vocabulary.terminal_text import cut, pad, safe

DEFAULT_LINES = 50
_TYPE, _COMPONENT = 12, 16
_NAME = 48
_OUTCOME = 20
"""Columns kept free after a name, for its outcome."""
_WIDE = 100
"""From this many columns on the component is shown."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("task", metavar="TASK", nargs="?", help=TASK_HELP)
    parser.add_argument("-f", "--follow", action="store_true", help="go on as lines come, until the task has ended or Ctrl-C")
    parser.add_argument(
        "-n",
        "--lines",
        type=_count,
        default=DEFAULT_LINES,
        metavar="N",
        help=f"begin with the last N lines, or with 'all' (default {DEFAULT_LINES})",
    )
    parser.add_argument("--full", action="store_true", help="all lines of a text, and nothing cut at the edge of the terminal")


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Print the lines of one task."""
    task = resolve(context.root, options.task)
    stream = LineStream(task)
    show = _print_as_json if options.json else _Printer(context.screen(), full=options.full)
    show(stream.latest(None if options.lines == "all" else options.lines))
    if not options.follow:
        return 0
    show(stream.new())
    if not options.json:
        _print_end(context.screen(), stream, row_of(task).status)
    return 0


def _count(text: str) -> int | str:
    if text == "all":
        return text
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a number of lines or 'all', found {text!r}")
    return int(text)


class _Printer:
    """Prints lines in columns: time, type, component, text."""

    def __init__(self, screen: Screen, *, full: bool) -> None:
        self._screen, self._full = screen, full
        self._with_component = screen.columns is None or screen.columns >= _WIDE

    def __call__(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self._print(line)
            self._screen.flush()

    def _print(self, line: Line) -> None:
        time = formats.clock(time_of(line)) or "--:--:--.---"
        head = [Piece(f"{time}  ", "dim"), Piece(self._label(line, "type", _TYPE), "tool")]
        if self._with_component:
            head.append(Piece(self._label(line, "component", _COMPONENT), "dim"))
        indent = columns_of(head)
        room = None if self._screen.columns is None else self._screen.columns - indent
        first, *rest = line_pieces(line, _NAME if room is None else min(_NAME, room - _OUTCOME))
        if self._full:
            self._screen.line(*head, *first)
            for more in rest:
                self._screen.line(Piece(" " * indent), *more)
            return
        if rest and line.get("type") in CONTENT_TYPES:
            first = [*first, Piece(f" {self._screen.glyphs.ellipsis} (+{formats.count(len(rest), 'line')})", "dim")]
        self._screen.line(*head, *fit(first, room, self._screen.glyphs.ellipsis))

    def _label(self, line: Line, key: str, columns: int) -> str:
        value = "webhook" if key == "type" and "stage" in line else safe(text(line, key) or "")
        return pad(cut(value, columns, self._screen.glyphs.ellipsis), columns + 2)


def _print_as_json(lines: Iterable[Line]) -> None:
    for line in lines:
        sys.stdout.buffer.write(json_line(line))
    sys.stdout.buffer.flush()


def _print_end(screen: Screen, stream: LineStream, status: str) -> None:
    """Print why no more lines come."""
    state = labels.state(status)
    if stream.left_alone:
        screen.line(state, Piece(": its process is gone; nothing more comes until it is resumed or recovered", "dim"))
    else:
        screen.line(Piece("The task has ended: ", "dim"), state)
