"""The screen of all tasks: figures of the last day, and a table of tasks, all or those of a search, to open one from."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Static

from otel_agentlog.errors import AgentlogError
from otel_agentlog.query import Filter, Overview, TaskRow, overview, resolve, search, statistics
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.monitor.commands import OVERVIEW_COMMANDS, OVERVIEW_KEYS, help_lines, parse_command, suggestion
from otel_agentlog.view.monitor.drawing import WINDOW_S, overview_lines, task_table, why_failed
from otel_agentlog.view.monitor.task_screen import TaskScreen
from otel_agentlog.view.monitor.watched_task import PAUSE_FACTOR
from otel_agentlog.view.monitor.widgets import INTERVAL_S, Prompt, rich_lines, rich_marked, rich_text
from otel_agentlog.view.render import formats
from otel_agentlog.view.render.screen import Glyphs, Piece, fit
from otel_agentlog.vocabulary.terminal_text import safe

MAX_ROWS = 200
_HINT = "up down Enter   open TASK   search TEXT   agent NAME   failed   help"
_HELP = OVERVIEW_COMMANDS, OVERVIEW_KEYS


class OverviewScreen(Screen[None]):
    """Every task, newest first, running ones on top."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "mark(-1)", "up", priority=True),
        Binding("down", "mark(1)", "down", priority=True),
        Binding("pageup", "mark(-10)", "up", priority=True),
        Binding("pagedown", "mark(10)", "down", priority=True),
        Binding("f1", "help", "help"),
    ]

    def __init__(self, root: Path, glyphs: Glyphs) -> None:
        super().__init__()
        self._root, self._glyphs = root, glyphs
        self._rows: list[TaskRow] = []
        self._at = self._first = 0
        """Which one is marked, and which is the first that is shown."""
        self._is_read = self._shows_help = False
        self._wanted = Filter()
        self._next = 0.0

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static(id="head")
        yield Static(id="list")
        yield Static(id="why")
        yield Static(_HINT, id="bar")
        yield Prompt(placeholder="type a command, or Enter to open", id="ask")

    def on_mount(self) -> None:
        """Start reading the folders."""
        self.query_one("#head", Static).update("reading the task folders …")
        self.query_one(Prompt).focus()
        self.set_interval(INTERVAL_S, self._refresh_data)
        self._refresh_data()

    def on_resize(self, event: Resize) -> None:
        """Lay the columns out anew."""
        self.call_after_refresh(self._draw_list)

    def _refresh_data(self) -> None:
        if self.is_current and time.monotonic() >= self._next:
            self._next = time.monotonic() + 3600  # until this reading is over
            self.run_worker(self._read, thread=True, exit_on_error=False, group="read")

    def _read(self) -> None:
        began = time.monotonic()
        try:
            rows = search(self._root, self._wanted, limit=MAX_ROWS, progress=self._tell_progress).rows
            found = overview(self._root, now_ns=time.time_ns(), window_s=WINDOW_S, rows=0)
            rows.sort(key=lambda row: row.has_ended)
            self.app.call_from_thread(self._draw, found, rows)
        finally:
            now = time.monotonic()
            self._next = now + max(INTERVAL_S, PAUSE_FACTOR * (now - began))

    def _tell_progress(self, done: int, of: int) -> None:
        """While an index is made, which may take seconds."""
        if not self._is_read:
            shown = f"reading task folders: {done:,} of {of:,} ({done * 100 // max(1, of)} %)"
            self.app.call_from_thread(self.query_one("#head", Static).update, shown)

    def _draw(self, found: Overview, rows: list[TaskRow]) -> None:
        lines = [fit(line, self._columns, self._glyphs.ellipsis) for line in overview_lines(found)]
        self.query_one("#head", Static).update(rich_lines(lines))
        marked = self._rows[self._at].task_id if self._at < len(self._rows) else None
        self._rows, self._is_read = rows, True
        self._at = next((number for number, row in enumerate(rows) if row.task_id == marked), 0)
        if not rows:
            some = f"none of {formats.count(search(self._root, limit=0).tasks, 'task')} is meant"
            self._show_message(f"{some} below {self._root}")
        self._draw_list()

    @property
    def _columns(self) -> int:
        return max(20, self.size.width - 2)

    def _draw_list(self) -> None:
        if self._shows_help:
            lines = [fit(line, self._columns, self._glyphs.ellipsis) for line in help_lines(*_HELP, self._glyphs)]
            self.query_one("#list", Static).update(rich_lines(lines))
            return
        titles, *lines = task_table(self._rows, self._columns, self._glyphs) if self._rows else [[]]
        room = max(1, self.query_one("#list", Static).size.height - 1)
        self._first = max(0, min(self._first, self._at, len(lines) - room))
        self._first = max(self._first, self._at - room + 1)
        shown = [
            rich_marked(line, self._columns) if number == self._at else rich_text(line)
            for number, line in enumerate(lines[self._first : self._first + room], self._first)
        ]
        self.query_one("#list", Static).update(Text("\n").join([rich_text(titles), *shown]))
        why = why_failed(self._rows[self._at]) if self._at < len(self._rows) else []
        self.query_one("#why", Static).update(rich_text(fit(why, self._columns, self._glyphs.ellipsis)))

    def on_prompt_entered(self, event: Prompt.Entered) -> None:
        """Run the command; an empty line opens the task that is marked, or ends the help."""
        text, helped = event.text.strip(), self._shows_help
        self._shows_help = False
        command = parse_command(text, OVERVIEW_COMMANDS)
        if not text and helped:
            self._show_message(_HINT)
        elif not text:
            self._open_marked()
        elif command.name == "open" or command.name == "?":
            self._open(command.rest, text)
        elif command.name == "quit":
            self.app.exit()
        else:
            getattr(self, f"_do_{command.name}")(command.rest)
        self._draw_list()
        self._next = 0.0

    def _do_search(self, rest: str) -> None:
        self._wanted = replace(self._wanted, text=rest or None)
        self._show_message(f"tasks with {rest!r}; search alone shows all" if rest else _HINT)

    def _do_failed(self, rest: str) -> None:
        self._wanted = replace(self._wanted, failed=not self._wanted.failed)
        self._show_message("failed, timed out and interrupted ones; failed again shows all" if self._wanted.failed else _HINT)

    def _do_agent(self, rest: str) -> None:
        if not rest:
            self._wanted = replace(self._wanted, agent=None)
            self._show_message(_HINT)
            return
        known = [group.key for group in statistics(self._root, group_by="agent").groups if group.key]
        same = [name for name in known if name.casefold() == rest.casefold()]
        found = same or [name for name in known if name.casefold().startswith(rest.casefold())]
        if len(found) != 1:
            self._show_message(f"there is no agent {rest!r}; there are: {', '.join(found or known[:10]) or 'none'}", "warn")
            return
        self._wanted = replace(self._wanted, agent=found[0])
        self._show_message(f"tasks of agent {found[0]}; agent alone shows all")

    def _do_help(self, rest: str) -> None:
        self.action_help()

    def _open(self, name: str, text: str) -> None:
        try:
            task = resolve(self._root, name or "last")
        except AgentlogError as error:
            self._show_message(str(error) if text.startswith("open") else suggestion(text, OVERVIEW_COMMANDS), "warn")
            return
        self.app.push_screen(TaskScreen(task, self._glyphs))

    def _open_marked(self) -> None:
        if self._at < len(self._rows):
            self.app.push_screen(TaskScreen(TaskReader(self._rows[self._at].folder), self._glyphs))

    def _show_message(self, text: str, style: str = "") -> None:
        line = fit([Piece(safe(text), style)], self._columns, self._glyphs.ellipsis)
        self.query_one("#bar", Static).update(rich_text(line))

    def action_mark(self, by: int) -> None:
        """Move the mark."""
        self._at = max(0, min(len(self._rows) - 1, self._at + by))
        self._draw_list()

    def on_prompt_help_wanted(self, event: Prompt.HelpWanted) -> None:
        """Show the help."""
        self.action_help()

    def action_help(self) -> None:
        """Show the help in place of the tasks."""
        self._shows_help = True
        self.query_one("#why", Static).update("")
        self._show_message("help; Enter ends it")
        self._draw_list()
