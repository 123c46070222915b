"""Hides where lines go: a terminal with colours (by ``rich``, if it is installed) or plain text, and how wide it is.

A line is a list of pieces, each a safe text with the name of a style. Layout is done by whoever makes the lines, so it is the
same with and without colours.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TextIO

from otel_agentlog.settings.fields import Terminal
from otel_agentlog.vocabulary.terminal_text import cut, pad, width
from otel_agentlog.vocabulary.terminal_text import width as width_of

# -- Says on a terminal how far something has got that takes more than a moment; says nothing anywhere else.

FIRST_S = 0.5
"""What takes less than this, in seconds, needs no progress."""
INTERVAL_S = 0.1

_CLEAR = "\r\x1b[K"


class Progress:
    """One line on standard error that is written over; a context manager, which takes it away at the end."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._shown = False
        self._next_s = time.monotonic() + FIRST_S

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._shown:
            self._out.write(_CLEAR)
            self._out.flush()

    def show(self, text: str) -> None:
        """Show a safe text, now and then."""
        now = time.monotonic()
        if now >= self._next_s and self._out.isatty():
            self._next_s, self._shown = now + INTERVAL_S, True
            self._out.write(_CLEAR + text)
            self._out.flush()


class Piece(NamedTuple):
    """A part of a line."""

    text: str
    """Safe text (`text.safe`)."""
    style: str = ""
    """A key of `STYLES`, or nothing."""


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
}


class Glyphs(NamedTuple):
    """The signs in use; the plain set is for terminals that cannot show others."""

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


class Screen:
    """Takes lines. `columns` is ``None`` where nothing limits the width: in a file or a pipe."""

    def __init__(self, out: TextIO, columns: int | None, glyphs: Glyphs, write: Callable[[Sequence[Piece]], None]) -> None:
        self.columns = columns
        self.glyphs = glyphs
        self._out, self._write = out, write

    def line(self, *pieces: Piece | str) -> None:
        """Write one line."""
        self._write([piece if isinstance(piece, Piece) else Piece(piece) for piece in pieces])

    def lines(self, lines: Iterable[Sequence[Piece]]) -> None:
        """Write several lines."""
        for line in lines:
            self._write(line)

    def flush(self) -> None:
        """Hand everything to the terminal; raises `BrokenPipeError` if nobody reads any more."""
        self._out.flush()


def open_screen(out: TextIO, terminal: Terminal, *, colour: bool = True) -> Screen:
    """Return a screen on a stream: coloured if it is a terminal, ``rich`` is there, and nobody said no."""
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


def _plain(out: TextIO) -> Callable[[Sequence[Piece]], None]:
    def write(line: Sequence[Piece]) -> None:
        out.write("".join(piece.text for piece in line).rstrip() + "\n")

    return write


def _coloured(out: TextIO) -> Callable[[Sequence[Piece]], None]:
    from rich.console import Console
    from rich.text import Text

    console = Console(file=out, force_terminal=True, highlight=False, markup=False, emoji=False)

    def write(line: Sequence[Piece]) -> None:
        text = Text.assemble(*((piece.text, STYLES.get(piece.style, "")) for piece in line), end="")
        text.rstrip()
        console.print(text, soft_wrap=True)

    return write


def columns_of(line: Sequence[Piece]) -> int:
    """How many columns a line takes."""
    return sum(width_of(piece.text) for piece in line)


def fit(line: Sequence[Piece], room: int | None, ellipsis: str) -> list[Piece]:
    """Return as much of a line as fits, with an ellipsis where something is missing. ``None`` is no limit."""
    if room is None or columns_of(line) <= room:
        return list(line)
    fitted: list[Piece] = []
    for piece in line:
        wide = width_of(piece.text)
        if wide >= room:
            # One more column than is there, so that the ellipsis stands even where this piece just fits.
            return [*fitted, Piece(cut(piece.text + " " * (room + 1 - wide), room, ellipsis), piece.style)]
        fitted.append(piece)
        room -= wide
    return fitted


def stdout_screen(terminal: Terminal, *, colour: bool = True) -> Screen:
    """Return the screen on standard output, which from now on replaces what its encoding does not know."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    return open_screen(sys.stdout, terminal, colour=colour)


# -- Hides how a table finds its widths: columns leave in the order of their worth, then the flexible ones shrink.

GAP = 2
"""Columns of space between columns."""


@dataclass(slots=True)
class Column:
    """One column and its cells, top to bottom."""

    title: str
    right: bool = False
    """Whether it stands on the right, as numbers do."""
    worth: int = 100
    """Columns of the smallest worth are left out first; those of 100 stay."""
    least: int | None = None
    """The width it can shrink to; ``None`` if it must not be cut."""
    cells: list[Piece] = field(default_factory=list)

    @property
    def natural(self) -> int:
        """The width at which nothing is cut."""
        return max(width(self.title), *(width(cell.text) for cell in self.cells)) if self.cells else width(self.title)

    @property
    def is_empty(self) -> bool:
        """Whether no cell says anything."""
        return not any(cell.text for cell in self.cells)


def lay_out(columns: Sequence[Column], room: int | None, ellipsis: str) -> list[list[Piece]]:
    """Return the lines of a table, its titles first; `room` is the width to keep to, if any."""
    columns = [column for column in columns if not column.is_empty]
    columns = _that_fit(columns, room)
    widths = _widths(columns, room)
    lines = [_line([Piece(column.title, "dim") for column in columns], columns, widths, ellipsis)]
    for cells in zip(*(column.cells for column in columns), strict=True):
        lines.append(_line(cells, columns, widths, ellipsis))
    return lines


def _least(column: Column) -> int:
    return column.natural if column.least is None else min(column.natural, column.least)


def _that_fit(columns: list[Column], room: int | None) -> list[Column]:
    while room is not None and sum(map(_least, columns)) + GAP * (len(columns) - 1) > room:
        least_worth = min(columns, key=lambda column: column.worth)
        if least_worth.worth >= 100:
            break
        columns = [column for column in columns if column is not least_worth]
    return columns


def _widths(columns: Sequence[Column], room: int | None) -> list[int]:
    widths = [column.natural for column in columns]
    if room is None:
        return widths
    excess = sum(widths) + GAP * (len(columns) - 1) - room
    while excess > 0:
        # The widest of the flexible ones gives first, so that none is starved for another.
        flexible = [i for i, column in enumerate(columns) if widths[i] > _least(column)]
        if not flexible:
            break
        widths[max(flexible, key=widths.__getitem__)] -= 1
        excess -= 1
    return widths


def _line(cells: Sequence[Piece], columns: Sequence[Column], widths: Sequence[int], ellipsis: str) -> list[Piece]:
    line: list[Piece] = []
    for cell, column, columns_wide in zip(cells, columns, widths, strict=True):
        if line:
            line.append(Piece(" " * GAP))
        line.append(Piece(pad(cut(cell.text, columns_wide, ellipsis), columns_wide, right=column.right), cell.style))
    return line
