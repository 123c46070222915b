"""The screen of all tasks: figures of the last day, and a table of tasks, all or those of a search, to open one from."""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import DataTable, Static

from otel_agentlog.errors import AgentlogError
from otel_agentlog.query import Filter, Overview, TaskRow, overview, resolve, search
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.monitor.commands import OVERVIEW_COMMANDS, parse_command, suggestion
from otel_agentlog.view.monitor.drawing import WINDOW_S, overview_lines
from otel_agentlog.view.monitor.task_screen import TaskScreen
from otel_agentlog.view.monitor.watched_task import PAUSE_FACTOR
from otel_agentlog.view.monitor.widgets import INTERVAL_S, Prompt, rich_lines, rich_text
from otel_agentlog.view.render import formats, labels
from otel_agentlog.view.render.screen import Glyphs, Piece, Pieces
from otel_agentlog.vocabulary.coerce import number
from otel_agentlog.vocabulary.terminal_text import safe

MAX_ROWS = 200
_HINT = "up down Enter   open TASK   search TEXT   failed   help"


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
        self._wanted = Filter()
        self._next = 0.0

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static(id="head")
        yield DataTable(id="list", cursor_type="row", zebra_stripes=False, show_row_labels=False)
        yield Static(_HINT, id="bar")
        yield Prompt(placeholder="type a command, or Enter to open", id="ask")

    def on_mount(self) -> None:
        """Start reading the folders."""
        table = self.query_one(DataTable)
        table.can_focus = False
        table.add_columns("", "TASK", "NAME", "STATUS", "STARTED", "TIME", "COST")
        self.query_one(Prompt).focus()
        self.set_interval(INTERVAL_S, self._refresh_data)
        self._refresh_data()

    def _refresh_data(self) -> None:
        if self.is_current and time.monotonic() >= self._next:
            self._next = time.monotonic() + 3600  # until this reading is over
            self.run_worker(self._read, thread=True, exit_on_error=False, group="read")

    def _read(self) -> None:
        began = time.monotonic()
        try:
            found = overview(self._root, now_ns=time.time_ns(), window_s=WINDOW_S, rows=0)
            rows = search(self._root, self._wanted, limit=MAX_ROWS).rows
            rows.sort(key=lambda row: row.has_ended)
            self.app.call_from_thread(self._draw, found, rows)
        finally:
            now = time.monotonic()
            self._next = now + max(INTERVAL_S, PAUSE_FACTOR * (now - began))

    def _draw(self, found: Overview, rows: list[TaskRow]) -> None:
        self.query_one("#head", Static).update(rich_lines(overview_lines(found)))
        table = self.query_one(DataTable)
        marked = self._rows[table.cursor_row].task_id if table.cursor_row < len(self._rows) else None
        self._rows = rows
        table.clear()
        for row in rows:
            table.add_row(*(rich_text([cell]) for cell in self._cells(row)))
        at = next((number for number, row in enumerate(rows) if row.task_id == marked), 0)
        table.move_cursor(row=at, animate=False)
        if not rows:
            some = f"none of {formats.count(search(self._root, limit=0).tasks, 'task')} is meant"
            self._show_message(f"{some} below {self._root}")

    def _cells(self, row: TaskRow) -> Pieces:
        room = max(12, self.size.width - 70)
        name = safe(row.name)
        return [
            labels.sign(row.status, self._glyphs),
            Piece(safe(row.task_id)[:24], "id"),
            Piece(name if len(name) <= room else f"{name[: room - 1]}{self._glyphs.ellipsis}"),
            labels.state(row.status),
            Piece(formats.moment(row.time_ns("started_at", "created_at")), "dim"),
            Piece(formats.seconds(number(row.metrics, "duration_seconds"))),
            Piece(formats.usd(row.metrics.get("cost_usd")) if row.metrics.get("ai_calls") else "", "money"),
        ]

    def on_prompt_entered(self, event: Prompt.Entered) -> None:
        """Run the command; an empty line opens the task that is marked."""
        text = event.text.strip()
        command = parse_command(text, OVERVIEW_COMMANDS)
        if not text:
            self._open_marked()
        elif command.name == "open" or command.name == "?":
            self._open(command.rest, text)
        elif command.name == "search":
            self._wanted = Filter(text=command.rest or None)
            self._show_message(f"tasks with {command.rest!r}; search alone shows all" if command.rest else _HINT)
        elif command.name == "failed":
            self._wanted = Filter(failed=not self._wanted.failed)
            self._show_message("failed, timed out and interrupted ones; failed again shows all" if self._wanted.failed else _HINT)
        elif command.name == "help":
            self.action_help()
        else:
            self.app.exit()
        self._next = 0.0

    def _open(self, name: str, text: str) -> None:
        try:
            task = resolve(self._root, name or "last")
        except AgentlogError as error:
            self._show_message(str(error) if text.startswith("open") else suggestion(text, OVERVIEW_COMMANDS), "warn")
            return
        self.app.push_screen(TaskScreen(task, self._glyphs))

    def _open_marked(self) -> None:
        table = self.query_one(DataTable)
        if table.cursor_row < len(self._rows):
            self.app.push_screen(TaskScreen(TaskReader(self._rows[table.cursor_row].folder), self._glyphs))

    def _show_message(self, text: str, style: str = "") -> None:
        self.query_one("#bar", Static).update(rich_text([Piece(safe(text), style)]))

    def action_mark(self, by: int) -> None:
        """Move the mark."""
        table = self.query_one(DataTable)
        table.move_cursor(row=max(0, min(len(self._rows) - 1, table.cursor_row + by)), animate=False)

    def action_help(self) -> None:
        """Show the commands."""
        self._show_message("   ".join(text.partition(":")[0] for text in OVERVIEW_COMMANDS.values()))
