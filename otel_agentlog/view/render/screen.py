"""Lines, tables and progress on a terminal or in a pipe.

A line is a list of pieces, each a safe text (`vocabulary.terminal_text.safe`) with the name of a style. Colours, by ``rich``
where that is installed, change nothing of the layout.

    screen = stdout_screen(settings.terminal)
    screen.line(Piece("✓ ", "ok"), "all is well")
    screen.lines(table([Column("TASK"), Column("TIME", right=True)], [[Piece("task-1", "id"), Piece("1.2s")]], screen))

`Screen` writes lines, `fit` cuts one to a width, `wrap` breaks one between words, `table` lays out columns, `Progress` is a line
that is written over.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TextIO, TypeAlias, TypeVar

from otel_agentlog._startup import dataclass
from otel_agentlog.settings.fields import Terminal
from otel_agentlog.vocabulary.terminal_text import cut, pad, width

Item = TypeVar("Item")


class Piece(NamedTuple):
    """A part of a line."""

    text: str
    """Safe text."""
    style: str = ""
    """A key of `STYLES`, or nothing."""


Pieces = list[Piece]
"""One line."""

STYLES = {
    "title": "bold",
    "dim": "dim",
    "ok": "green",
    "bad": "bold red",
    "error": "red",
    "warn": "yellow",
    "run": "bold cyan",
    "ai": "magenta",
    "tool": "blue",
    "money": "yellow",
    "id": "cyan",
    "found": "bold reverse",
}
"""Styles by name, as ``rich`` writes them."""


class Glyphs(NamedTuple):
    """The signs in use; `PLAIN_GLYPHS` are for terminals that cannot show these."""

    ok: str = "✓"
    bad: str = "✗"
    warn: str = "!"
    run: str = "●"
    wait: str = "○"
    pause: str = "‖"
    stop: str = "⊘"
    tee: str = "├─ "
    last: str = "└─ "
    pipe: str = "│  "
    sub: str = "↳ "
    arrow: str = "→"
    dot: str = "·"
    dash: str = "–"
    ellipsis: str = "…"
    start: str = "▸"
    bar: str = "█"
    parts: str = "▏▎▍▌▋▊▉"


PLAIN_GLYPHS = Glyphs(*("+", "x", "!", "*", "o", "=", "/", "|- ", "`- ", "|  ", "> ", "->", "-", "-", "...", ">", "#", ""))

MIN_COLUMNS = 40
"""Narrower terminals get lines of this width, and wrap them."""


Write: TypeAlias = Callable[[Sequence[Piece], str], None]
"""Writes pieces and what ends them: a line break or nothing."""


class Screen:
    """Writes lines. `columns` is ``None`` where nothing limits the width: in a file or a pipe."""

    def __init__(self, out: TextIO, columns: int | None, glyphs: Glyphs, write: Write) -> None:
        self.columns = columns
        self.glyphs = glyphs
        self._out, self._write = out, write

    def line(self, *pieces: Piece | str) -> None:
        """Write one line."""
        self._write([piece if isinstance(piece, Piece) else Piece(piece) for piece in pieces], "\n")

    def part(self, *pieces: Piece) -> None:
        """Write a part of a line, which the next call continues."""
        self._write(pieces, "")

    def lines(self, lines: Iterable[Sequence[Piece]]) -> None:
        """Write several lines."""
        for line in lines:
            self._write(line, "\n")

    def text(self, *pieces: Piece | str) -> None:
        """Write a sentence, or several: on as many lines as it needs, broken between words."""
        line = [piece if isinstance(piece, Piece) else Piece(piece) for piece in pieces]
        self.lines(wrap(line, self.columns))

    def flush(self) -> None:
        """Flush the stream; raises `BrokenPipeError` if its other end is closed."""
        self._out.flush()


def stdout_screen(terminal: Terminal, *, colour: bool = True) -> Screen:
    """Return the screen on standard output, which from now on replaces what its encoding does not have."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    return open_screen(sys.stdout, terminal, colour=colour)


def open_screen(out: TextIO, terminal: Terminal, *, colour: bool = True) -> Screen:
    """Return a screen on a stream: coloured if it is a terminal, ``rich`` is installed, and no setting turns that off."""
    is_terminal = out.isatty()
    columns = max(MIN_COLUMNS, shutil.get_terminal_size((80, 24)).columns) if is_terminal else None
    colour = colour and not terminal.no_color and terminal.term != "dumb" and (is_terminal or bool(terminal.force_color))
    colour = colour and importlib.util.find_spec("rich") is not None
    return Screen(out, columns, _glyphs(out), _coloured(out) if colour else _plain(out))


def _glyphs(out: TextIO) -> Glyphs:
    try:
        "".join(Glyphs()).encode(out.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return PLAIN_GLYPHS
    return Glyphs()


def _plain(out: TextIO) -> Write:
    def write(line: Sequence[Piece], end: str) -> None:
        text = "".join(piece.text for piece in line)
        out.write(text.rstrip() + end if end else text)

    return write


def _coloured(out: TextIO) -> Write:
    from rich.console import Console
    from rich.text import Text

    console = Console(file=out, force_terminal=True, highlight=False, markup=False, emoji=False)

    def write(line: Sequence[Piece], end: str) -> None:
        text = Text.assemble(*((piece.text, STYLES.get(piece.style, "")) for piece in line), end="")
        if end:
            text.rstrip()
        console.print(text, soft_wrap=True, end=end)

    return write


def columns_of(line: Sequence[Piece]) -> int:
    """How many columns a line takes."""
    return sum(width(piece.text) for piece in line)


def fit(line: Sequence[Piece], room: int | None, ellipsis: str) -> Pieces:
    """Return as much of a line as fits into `room` columns, with an ellipsis where some is missing. ``None`` is no limit."""
    if room is None or columns_of(line) <= room:
        return list(line)
    fitted: Pieces = []
    for piece in line:
        wide = width(piece.text)
        if wide >= room:
            # One more column than is there, so that there is an ellipsis even where this piece just fits.
            return [*fitted, Piece(cut(piece.text + " " * (room + 1 - wide), room, ellipsis), piece.style)]
        fitted.append(piece)
        room -= wide
    return fitted


_WORDS = re.compile(r" *[^ ]+| +$")


def wrap(line: Sequence[Piece], room: int | None) -> list[Pieces]:
    """Return a line as several of at most `room` columns, broken at spaces; a word that is longer is left whole.

    What follows stands below the first word, two columns further in.
    """
    if room is None or columns_of(line) <= room:
        return [list(line)]
    text = "".join(piece.text for piece in line)
    indent = min(len(text) - len(text.lstrip(" ")) + 2, room // 2)
    lines: list[Pieces] = [[]]
    used = 0
    for piece in line:
        for word in _WORDS.findall(piece.text):
            starts_word = word.startswith(" ")
            if used > indent and starts_word and used + width(word) > room:
                lines.append([Piece(" " * indent)])
                used, word = indent, word.lstrip(" ")
            lines[-1].append(Piece(word, piece.style))
            used += width(word)
    return lines


GAP = 2
"""Columns of space between the columns of a table."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    title: str
    right: bool = False
    """Whether it is aligned to the right, as numbers are."""
    priority: int = 100
    """Where there is not room for all, columns of the smallest priority are left out first; those of 100 never are."""
    min_width: int | None = None
    """The width it can shrink to; ``None`` if it must not be cut."""
    max_width: int | None = None
    """The width from which on it is cut even where there is room; ``None`` if it never is for that."""


def table(columns: Sequence[Column], rows: Iterable[Sequence[Piece]], screen: Screen) -> list[Pieces]:
    """Return the lines of a table, its titles first; empty columns are left out.

    Where it is wider than the screen, columns are left out in the order of their priority, then those that may be cut are cut.
    """
    cells = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]
    laid = [_LaidOut(column, below) for column, below in zip(columns, cells, strict=True) if any(cell.text for cell in below)]
    laid = _that_fit(laid, screen.columns)
    if screen.columns is not None:
        for each in laid:
            each.width = min(each.width, each.column.max_width or each.width)
    _shrink(laid, screen.columns)
    ellipsis = screen.glyphs.ellipsis
    lines = [_row([Piece(each.column.title, "dim") for each in laid], laid, ellipsis)]
    return lines + [_row(row, laid, ellipsis) for row in zip(*(each.cells for each in laid), strict=True)]


def short_table(
    columns: Sequence[Column], items: Sequence[Item], row: Callable[[Item], Pieces], most: int, screen: Screen
) -> Iterator[Pieces]:
    """Yield the lines of a table of the first `most` items, and how many there are more; nothing where there are none."""
    if items:
        yield from table(columns, map(row, items[:most]), screen)
    if len(items) > most:
        yield [Piece(f"  {screen.glyphs.ellipsis} and {len(items) - most:,} more (--json lists all)", "dim")]


class _LaidOut:
    """A column with its cells and the width it gets."""

    def __init__(self, column: Column, cells: Sequence[Piece]) -> None:
        self.column, self.cells = column, cells
        self.width = max(width(column.title), *(width(cell.text) for cell in cells))
        self.min_width = self.width if column.min_width is None else min(self.width, column.min_width)


def _that_fit(columns: list[_LaidOut], room: int | None) -> list[_LaidOut]:
    while room is not None and sum(each.min_width for each in columns) + GAP * (len(columns) - 1) > room:
        first = min(columns, key=lambda each: each.column.priority)
        if first.column.priority >= 100:
            break
        columns = [each for each in columns if each is not first]
    return columns


def _shrink(columns: Sequence[_LaidOut], room: int | None) -> None:
    excess = 0 if room is None else sum(each.width for each in columns) + GAP * (len(columns) - 1) - room
    while excess > 0:
        flexible = [each for each in columns if each.width > each.min_width]
        if not flexible:
            break
        # The widest gives first, so that none is cut to nothing for another.
        max(flexible, key=lambda each: each.width).width -= 1
        excess -= 1


def _row(cells: Sequence[Piece], columns: Sequence[_LaidOut], ellipsis: str) -> Pieces:
    line: Pieces = []
    for cell, each in zip(cells, columns, strict=True):
        if line:
            line.append(Piece(" " * GAP))
        line.append(Piece(pad(cut(cell.text, each.width, ellipsis), each.width, right=each.column.right), cell.style))
    return line


PROGRESS_AFTER_S = 0.5
"""Seconds after which there is progress to be seen."""
PROGRESS_INTERVAL_S = 0.1

_CLEAR = "\r\x1b[K"


class Progress:
    """One line on standard error that is written over, if that is a terminal; a context manager, which clears it at the end."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._is_visible = False
        self._next_s = time.monotonic() + PROGRESS_AFTER_S

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._is_visible:
            self._out.write(_CLEAR)
            self._out.flush()

    def show(self, text: str) -> None:
        """Show a safe text, unless another one was shown less than `PROGRESS_INTERVAL_S` ago."""
        now = time.monotonic()
        if now >= self._next_s and self._out.isatty():
            self._next_s, self._is_visible = now + PROGRESS_INTERVAL_S, True
            self._out.write(_CLEAR + text)
            self._out.flush()
