"""The monitor's application: it knows the root, opens screens, and turns pieces into what Textual draws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import App
from textual.binding import BindingType

from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.render.screen import STYLES, Glyphs, Piece

INTERVAL_S = 0.5
"""Seconds between two looks at the folders."""

_STYLES = {**STYLES, "id": "cyan"}


def drawn(pieces: Sequence[Piece]) -> Text:
    """One line for Textual; no markup is understood, so no text can be any."""
    return Text.assemble(*((piece.text, _STYLES.get(piece.style, "")) for piece in pieces), no_wrap=True, end="")


class MonitorApp(App[None]):
    """All tasks below a root, or one of them."""

    TITLE = "agentlog"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [("ctrl+c", "quit", "quit"), ("ctrl+q", "quit", "quit")]
    CSS = """
    #head { height: 2; padding: 0 1; background: $panel; }
    #plan { height: auto; max-height: 40%; padding: 0 1; border-bottom: solid $panel-lighten-2; scrollbar-size-vertical: 1; }
    #log { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    #title { height: 1; padding: 0 1; color: $text-muted; }
    #bar { height: 1; padding: 0 1; background: $panel; color: $text-muted; }
    #ask { height: 1; border: none; padding: 0 1; }
    #ask:focus { border: none; }
    #body { height: 1fr; }
    .wide #body { layout: horizontal; }
    .wide #plan { width: 2fr; height: 1fr; max-height: 100%; border-bottom: none; border-right: solid $panel-lighten-2; }
    .wide #right { width: 3fr; }
    #right { height: 1fr; }
    #list { height: 1fr; scrollbar-size-vertical: 1; }
    """

    def __init__(self, root: Path, task: TaskReader | None, glyphs: Glyphs) -> None:
        super().__init__()
        self.root, self.glyphs, self._first = root, glyphs, task

    def on_mount(self) -> None:
        """Begin with all tasks, and with the one that was named on top."""
        from otel_agentlog.view.monitor.overview_screen import OverviewScreen

        self.theme = "textual-dark"
        self.push_screen(OverviewScreen())
        if self._first is not None:
            self.open_task(self._first)

    def open_task(self, task: TaskReader) -> None:
        """Show one task."""
        from otel_agentlog.view.monitor.task_screen import TaskScreen

        self.push_screen(TaskScreen(task))


def run_monitor(root: Path, task: TaskReader | None, glyphs: Glyphs) -> None:
    """Take the terminal until the user leaves."""
    MonitorApp(root, task, glyphs).run()
