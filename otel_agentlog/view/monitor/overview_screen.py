"""All tasks: how it goes, and a table to choose one from; also what a search found."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.message import Message
from textual.screen import Screen
from textual.widgets import DataTable, Input, Static

from otel_agentlog.errors import AgentlogError
from otel_agentlog.query import Filter, Overview, TaskRow, overview, resolve, search
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.monitor.app import INTERVAL_S, drawn
from otel_agentlog.view.monitor.commands import OVERVIEW_COMMANDS, suggestion, understood
from otel_agentlog.view.monitor.drawing import overview_lines
from otel_agentlog.view.render import human, words
from otel_agentlog.view.render.screen import Piece
from otel_agentlog.vocabulary.terminal_text import safe

if TYPE_CHECKING:
    from otel_agentlog.view.monitor.app import MonitorApp


# -- The line that commands are typed into.


class Prompt(Input):
    """Hands over what was typed and is empty at once.

    Enter is taken here and not left to a binding, which is looked up after further keys have come: what is pasted or typed ahead
    would end in the same line.
    """

    class Typed(Message):
        """A line was typed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def on_key(self, event: Key) -> None:
        """Hand over the line."""
        if event.key != "enter":
            return
        event.stop()
        event.prevent_default()
        text, self.value = self.value, ""
        self.post_message(self.Typed(text))


WINDOW_S = 86_400
MAX_ROWS = 200
PATIENCE = 5.0
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

    def __init__(self) -> None:
        super().__init__()
        self._found: Overview | None = None
        self._rows: list[TaskRow] = []
        self._wanted = Filter()
        self._shown: list[str] = []
        self._next = 0.0

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static(id="head")
        yield DataTable(id="list", cursor_type="row", zebra_stripes=False, show_row_labels=False)
        yield Static(_HINT, id="bar")
        yield Prompt(placeholder="type a command, or Enter to open", id="ask")

    def on_mount(self) -> None:
        """Begin to look."""
        table = self.query_one(DataTable)
        table.can_focus = False
        table.add_columns("", "TASK", "NAME", "STATUS", "STARTED", "TIME", "COST")
        self.query_one(Prompt).focus()
        self.set_interval(INTERVAL_S, self._look)
        self._look()

    @property
    def _monitor(self) -> MonitorApp:
        return cast("MonitorApp", self.app)

    def _look(self) -> None:
        if self.is_current and time.monotonic() >= self._next:
            self._next = time.monotonic() + 3600  # until this look is over
            self.run_worker(self._read, thread=True, exit_on_error=False, group="look")

    def _read(self) -> None:
        began = time.monotonic()
        try:
            found = overview(self._monitor.root, now_ns=time.time_ns(), window_s=WINDOW_S, rows=0)
            rows = search(self._monitor.root, self._wanted, limit=MAX_ROWS).rows
            rows.sort(key=lambda row: row.has_ended)
            self.app.call_from_thread(self._draw, found, rows)
        finally:
            now = time.monotonic()
            self._next = now + max(INTERVAL_S, PATIENCE * (now - began))

    def _draw(self, found: Overview, rows: list[TaskRow]) -> None:
        lines = [drawn(line) for line in overview_lines(found)]
        self.query_one("#head", Static).update(Text("\n").join(lines))
        table = self.query_one(DataTable)
        marked = self._rows[table.cursor_row].task_id if table.cursor_row < len(self._rows) else None
        self._found, self._rows = found, rows
        table.clear()
        for row in rows:
            table.add_row(*(drawn([cell]) for cell in self._cells(row)))
        at = next((number for number, row in enumerate(rows) if row.task_id == marked), 0)
        table.move_cursor(row=at, animate=False)
        if not rows:
            some = f"none of {human.count(search(self._monitor.root, limit=0).tasks, 'task')} is meant"
            self._say(f"{some} below {self._monitor.root}")

    def _cells(self, row: TaskRow) -> list[Piece]:
        room = max(12, self.size.width - 70)
        seconds = row.metrics.get("duration_seconds")
        name = safe(row.name)
        return [
            words.sign(row.status, self._monitor.glyphs),
            Piece(safe(row.task_id)[:24], "id"),
            Piece(name if len(name) <= room else f"{name[: room - 1]}{self._monitor.glyphs.ellipsis}"),
            Piece(words.state_word(row.status), words.STYLE_OF_STATE.get(row.status, "")),
            Piece(human.moment(row.time_ns("started_at", "created_at")), "dim"),
            Piece(human.duration(seconds * 1000) if isinstance(seconds, (int, float)) else ""),
            Piece(human.usd(row.metrics.get("cost_usd")) if row.metrics.get("ai_calls") else "", "money"),
        ]

    def on_prompt_typed(self, event: Prompt.Typed) -> None:
        """Do what was typed; nothing typed opens the task that is marked."""
        text = event.text.strip()
        typed = understood(text, OVERVIEW_COMMANDS)
        if not text:
            self._open_marked()
        elif typed.name == "open" or typed.name == "?":
            self._open(typed.rest, text)
        elif typed.name == "search":
            self._wanted = Filter(text=typed.rest or None)
            self._say(f"tasks with {typed.rest!r}; search alone shows all" if typed.rest else _HINT)
        elif typed.name == "failed":
            self._wanted = Filter(failed=not self._wanted.failed)
            self._say("failed, timed out and interrupted ones; failed again shows all" if self._wanted.failed else _HINT)
        elif typed.name == "help":
            self.action_help()
        else:
            self.app.exit()
        self._next = 0.0

    def _open(self, name: str, text: str) -> None:
        try:
            task = resolve(self._monitor.root, name or "last")
        except AgentlogError as error:
            self._say(str(error) if text.startswith("open") else suggestion(text, OVERVIEW_COMMANDS), "warn")
            return
        self._monitor.open_task(task)

    def _open_marked(self) -> None:
        table = self.query_one(DataTable)
        if table.cursor_row < len(self._rows):
            self._monitor.open_task(TaskReader(self._rows[table.cursor_row].folder))

    def _say(self, text: str, style: str = "") -> None:
        self.query_one("#bar", Static).update(drawn([Piece(safe(text), style)]))

    def action_mark(self, by: int) -> None:
        """Move the mark."""
        table = self.query_one(DataTable)
        table.move_cursor(row=max(0, min(len(self._rows) - 1, table.cursor_row + by)), animate=False)

    def action_help(self) -> None:
        """Tell what can be typed."""
        self._say("   ".join(text.partition(":")[0] for text in OVERVIEW_COMMANDS.values()))
