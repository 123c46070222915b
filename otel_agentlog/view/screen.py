"""Hides where lines go: a terminal with colours (by ``rich``, if it is installed) or plain text, and how wide it is.

A line is a list of pieces, each a safe text with the name of a style. Layout is done by whoever makes the lines, so it is the
same with and without colours.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TextIO

from otel_agentlog.settings import Terminal
from otel_agentlog.view.text import cut
from otel_agentlog.view.text import width as width_of


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
