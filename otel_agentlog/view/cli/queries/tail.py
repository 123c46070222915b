"""``agentlog tail``: the last lines of a task as text, with ``--follow`` also those that come."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable

from otel_agentlog.query import LineStream, resolve, row_of, time_of
from otel_agentlog.view.cli.context import CliContext
from otel_agentlog.view.cli.queries.show import TASK_HELP
from otel_agentlog.view.cli.values import whole_number
from otel_agentlog.view.render import formats, labels
from otel_agentlog.view.render.json_line import json_line
from otel_agentlog.view.render.line_text import line_pieces
from otel_agentlog.view.render.screen import Piece, Pieces, Screen, columns_of, fit
from otel_agentlog.vocabulary.chunks import TextKey, begins_text, content_text, text_key
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.lines import CONTENT_TYPES, Line
from otel_agentlog.vocabulary.terminal_text import cut, pad, safe, width

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
    count = None if options.lines == "all" else options.lines
    if options.json:
        _print_as_json(stream.latest(count))
        _print_as_json(stream.new() if options.follow else ())
        return 0
    printer = _Printer(context.screen(), full=options.full)
    for line in stream.latest(count, joined=True):
        printer.line(line)
    if options.follow:
        _follow(stream, printer)
        _print_end(context.screen(), stream, row_of(task).status)
    return 0


def _follow(stream: LineStream, printer: _Printer) -> None:
    """Print the lines as they come; a text in chunks is written on."""
    texts = _Texts(printer)
    try:
        for line in stream.new():
            texts.take(line)
    finally:
        texts.end()


def _count(text: str) -> int | str:
    return text if text == "all" else whole_number("a number of lines or 'all'")(text)


class _Printer:
    """Prints lines in columns: time, type, component, text."""

    def __init__(self, screen: Screen, *, full: bool) -> None:
        self.screen = self._screen = screen
        self._full = full
        self._with_component = screen.columns is None or screen.columns >= _WIDE

    def line(self, line: Line) -> None:
        """Print a whole line."""
        self._print(line)
        self._screen.flush()

    def head(self, line: Line) -> Pieces:
        """What stands before the text."""
        time = formats.clock(time_of(line)) or "--:--:--.---"
        head = [Piece(f"{time}  ", "dim"), Piece(self._label(line, "type", _TYPE), "tool")]
        if self._with_component:
            head.append(Piece(self._label(line, "component", _COMPONENT), "dim"))
        return head

    def _print(self, line: Line) -> None:
        head = self.head(line)
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


WAIT_NS = 2_000_000_000
"""A text waits at most so long, by the times of its chunks, for the one that is being written."""

_BREAK = re.compile(r"\r\n|\r|\n")
_WORD = re.compile(r"\s+|\S+")


class _Texts:
    """Prints lines as they come. Of several texts in chunks one is written on; what comes of the others waits for their turn."""

    def __init__(self, printer: _Printer) -> None:
        self._printer, self._screen = printer, printer.screen
        self._current: TextKey | None = None
        """The text that is being written."""
        self._waiting: dict[TextKey, list[Line]] = {}
        self._indent = self._column = 0
        """Where its text begins, and where the next word comes to stand; 0: its line was ended."""
        self._breaks = 0
        """Line breaks that are written when something follows them."""

    def take(self, line: Line) -> None:
        """Print a line, or what there is to be printed now."""
        key = text_key(line)
        if key is None:
            self.end()
            if line.get("phase") == "end" and self._current is not None and self._current[0] == line.get("span_id"):
                self._current = None
            self._printer.line(line)
        elif self._current in (None, key):
            self._write(key, [line])
        else:
            waiting = self._waiting.setdefault(key, [])
            waiting.append(line)
            if (time_of(line) or 0) - (time_of(waiting[0]) or 0) >= WAIT_NS:
                self._write(key, self._waiting.pop(key))

    def end(self) -> None:
        """End the line that is being written, after which comes what waits."""
        self._end_line()
        current = self._current
        for key in list(self._waiting):
            self._write(key, self._waiting.pop(key))
            self._end_line()
        self._current = current

    def _write(self, key: TextKey, chunks: list[Line]) -> None:
        if key != self._current:
            self._end_line()
            self._current = key
        for chunk in chunks:
            if begins_text(chunk):
                self._end_line()
            if not self._column:
                self._begin(chunk)
            self._add(content_text(chunk), "dim" if chunk.get("type") == "thinking" else "")
        self._screen.flush()

    def _begin(self, chunk: Line) -> None:
        head = self._printer.head(chunk)
        self._indent = self._column = columns_of(head)
        self._screen.part(*head)
        if not begins_text(chunk):
            self._put(f"{self._screen.glyphs.ellipsis} ", "dim")

    def _end_line(self) -> None:
        if self._column:
            self._screen.part(Piece("\n"))
        self._column = self._breaks = 0

    def _add(self, content: str, style: str) -> None:
        for number, row in enumerate(_BREAK.split(content)):
            self._breaks += bool(number)
            for word in _WORD.findall(safe(row.replace("\t", "    "))):
                self._word(word, style)

    def _word(self, word: str, style: str) -> None:
        for _ in range(self._breaks):
            self._break()
        self._breaks, columns = 0, self._screen.columns
        if columns is not None and self._column + width(word) > columns and not word.isspace() and self._column > self._indent:
            self._break()
        while columns is not None and self._column + width(word) > columns:
            if word.isspace():
                return
            part = cut(word, columns - self._column, "") or word
            self._put(part, style)
            word = word[len(part) :]
            if word:
                self._break()
        self._put(word, style)

    def _put(self, text: str, style: str) -> None:
        self._screen.part(Piece(text, style))
        self._column += width(text)

    def _break(self) -> None:
        self._screen.part(Piece("\n" + " " * self._indent))
        self._column = self._indent


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
