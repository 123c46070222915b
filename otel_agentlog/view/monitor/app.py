"""The monitor as a Textual application: its style sheet and its first screens."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import App
from textual.binding import BindingType

from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.monitor.overview_screen import OverviewScreen
from otel_agentlog.view.monitor.task_screen import TaskScreen
from otel_agentlog.view.render.screen import Glyphs


class MonitorApp(App[None]):
    """All tasks below a root; with `task` that one on top of them."""

    TITLE = "agentlog"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [("ctrl+c", "quit", "quit"), ("ctrl+q", "quit", "quit")]
    CSS = """
    #head { height: auto; min-height: 2; max-height: 3; padding: 0 1; background: $panel; }
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
    #list { height: 1fr; padding: 0 1; overflow: hidden; }
    #why { height: auto; max-height: 1; padding: 0 1; }
    #said { height: auto; max-height: 40%; padding: 0 1; }
    .help #plan, .help #said { display: none; }
    """

    def __init__(self, root: Path, task: TaskReader | None, glyphs: Glyphs) -> None:
        super().__init__()
        self._tasks_root, self._first_task, self._glyphs = root, task, glyphs

    def on_mount(self) -> None:
        """Open the first screens."""
        self.theme = "textual-dark"
        self.push_screen(OverviewScreen(self._tasks_root, self._glyphs))
        if self._first_task is not None:
            self.push_screen(TaskScreen(self._first_task, self._glyphs))


def run_monitor(root: Path, task: TaskReader | None, glyphs: Glyphs) -> None:
    """Run the monitor in the whole terminal until the user quits."""
    MonitorApp(root, task, glyphs).run()
