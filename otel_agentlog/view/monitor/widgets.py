"""What the screens of the monitor share: the command line, and pieces as Textual draws them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text
from textual.events import Key
from textual.message import Message
from textual.widgets import Input

from otel_agentlog.view.render.screen import STYLES, Piece, columns_of

INTERVAL_S = 0.5
"""Seconds between two readings of the folders."""


def rich_text(pieces: Sequence[Piece]) -> Text:
    """Return one line for Textual; markup in its texts is not interpreted."""
    return Text.assemble(*((piece.text, STYLES.get(piece.style, "")) for piece in pieces), no_wrap=True, end="")


def rich_marked(pieces: Sequence[Piece], columns: int) -> Text:
    """The same, as the line that is marked."""
    text = rich_text(pieces)
    text.append(" " * max(0, columns - columns_of(pieces)))
    text.stylize("reverse")
    return text


def rich_lines(lines: Iterable[Sequence[Piece]]) -> Text:
    """Return several lines for Textual."""
    return Text("\n").join(map(rich_text, lines))


class Prompt(Input):
    """The line that commands are typed into; posts `Entered` and is empty again at once.

    Enter is handled here and not by a binding, which is looked up after further keys have come: what is pasted or typed ahead
    would end in the same line.
    """

    class Entered(Message):
        """A line was typed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class HelpWanted(Message):
        """A question mark was typed into an empty line."""

    def on_key(self, event: Key) -> None:
        """Post the line on Enter; a question mark that is the first character asks for help."""
        if event.character == "?" and not self.value:
            event.stop()
            event.prevent_default()
            self.post_message(self.HelpWanted())
            return
        if event.key != "enter":
            return
        event.stop()
        event.prevent_default()
        text, self.value = self.value, ""
        self.post_message(self.Entered(text))
