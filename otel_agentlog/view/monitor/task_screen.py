"""The screen of one task: header, plan, the log of one part of it, a status bar, and the line that commands are typed into.

`TaskScreen` reads the task every `INTERVAL_S` and draws it; `_do_<command>` are the commands, `action_<name>` the keys.
"""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import RichLog, Static

from otel_agentlog.errors import AgentlogError
from otel_agentlog.query import Entry
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.tools import add_context, cancel, pause, resume
from otel_agentlog.view.monitor.commands import TASK_COMMANDS, TASK_KEYS, find_part, help_lines, parse_command, suggestion
from otel_agentlog.view.monitor.drawing import folded, header, log_lines, plan_lines
from otel_agentlog.view.monitor.watched_task import WatchedTask
from otel_agentlog.view.monitor.widgets import INTERVAL_S, Prompt, rich_lines, rich_text
from otel_agentlog.view.render import formats, labels
from otel_agentlog.view.render.screen import Glyphs, Piece, fit
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.terminal_text import safe

WIDE = 110
"""From this many columns on the plan is beside the log, not above it."""

MAX_GROWING, GROWING_LINES = 3, 6
"""Texts that are shown while they grow, and how many lines of each."""

_HINT = "pause resume cancel context TEXT details STEP search help"


class TaskScreen(Screen[None]):
    """Follows one task, until the user leaves it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "all tasks"),
        Binding("up", "select(-1)", "part before", priority=True),
        Binding("down", "select(1)", "part after", priority=True),
        Binding("pageup", "scroll_log(-1)", "up", priority=True),
        Binding("pagedown", "scroll_log(1)", "down", priority=True),
        Binding("f1", "help", "help"),
        Binding("f2", "wrap", "whole lines"),
    ]

    def __init__(self, task: TaskReader, glyphs: Glyphs) -> None:
        super().__init__()
        self._watched, self._glyphs = WatchedTask(task), glyphs
        self._details = False
        self._selected: str | None = None
        """The span id of the part that has its log shown; empty: the whole log; ``None``: the current step."""
        self._search_text = ""
        self._whole = False
        """Whether lines of the log are shown whole."""
        self._growing: list[Line] = []
        """Texts that came and have not ended: they are shown below the log until they have."""
        self._shows_help = False
        self._drawn_log: tuple[object, ...] = ()
        """What the log on the screen was drawn from."""
        self._drawn = (0, 0)
        """How many lines had come then, and how many were drawn."""
        self._scrolled_to: int | None = None
        """The part of the plan that was scrolled to, from 0."""

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static(id="head")
        with Vertical(id="body"):
            with VerticalScroll(id="plan", can_focus=False):
                yield Static(id="parts")
            with Vertical(id="right"):
                yield Static(id="title")
                yield RichLog(id="log", wrap=False, markup=False, highlight=False, max_lines=5000)
                yield Static(id="said")
        yield Static(_HINT, id="bar")
        yield Prompt(placeholder="type a command", id="ask")

    def on_mount(self) -> None:
        """Start reading the task."""
        self.query_one("#log", RichLog).can_focus = False
        self.query_one(Prompt).focus()
        self.set_interval(INTERVAL_S, self._refresh_data)
        self.call_after_refresh(self._draw, force=True)

    def on_resize(self, event: Resize) -> None:
        """Put the plan beside the log, or above it on a narrow screen."""
        self.set_class(event.size.width >= WIDE, "wide")
        self.call_after_refresh(self._draw, force=True)

    def _refresh_data(self) -> None:
        self.run_worker(self._read, thread=True, exclusive=True, exit_on_error=False, group="read")

    def _read(self) -> None:
        with self._watched.lock:
            self._watched.poll()
        self.app.call_from_thread(self._draw)

    def _draw(self, force: bool = False) -> None:
        with self._watched.lock:
            self._draw_all(force)

    def _draw_all(self, force: bool) -> None:
        watched, size = self._watched, self.size
        columns = max(20, size.width - 2)
        self.query_one("#head", Static).update(rich_lines(header(watched, columns, self._glyphs)))
        plan = watched.parts(details=self._details)
        selected = self._selected_part()
        at = plan.place(selected)
        # No more than can be seen and a little around it, however many parts there are.
        rows = 2 * size.height
        first = max(0, min((len(plan) if at is None else at) - rows // 2, len(plan) - rows))
        width = max(20, self.query_one("#plan").size.width - 2)
        parts = list(plan_lines(plan, first, rows, width, self._glyphs, selected=selected))
        self.query_one("#parts", Static).update(rich_lines(parts or [[Piece("no steps yet", "dim")]]))
        self._scroll_plan(None if at is None else at - first + bool(first))
        self._draw_log(selected, force)

    def _scroll_plan(self, at: int | None) -> None:
        if at == self._scrolled_to or at is None:
            return
        self._scrolled_to = at
        box = self.query_one("#plan", VerticalScroll)
        self.call_after_refresh(box.scroll_to, y=max(0, at - box.size.height // 2), animate=False)

    def _selected_part(self) -> Entry | None:
        if self._selected is None:
            return None if self._watched.report.row.has_ended else self._watched.current()
        return self._watched.entry(self._selected)

    def _draw_log(self, selected: Entry | None, force: bool) -> None:
        log = self.query_one("#log", RichLog)
        columns = max(20, log.size.width - 1)
        title = f"log of {safe(selected.name)}" if selected is not None else "log"
        if self._search_text:
            title += f" with {safe(self._search_text)!r}"
        state = (title, None if selected is None else selected.span_id, columns, self._shows_help, self._whole)
        if self._shows_help:
            return
        anew, (came, number) = force or state != self._drawn_log, self._drawn
        growing = self._watched.growing(selected)
        if not anew and came == self._watched.came and not self._growing:
            return
        lines = self._watched.lines_of(selected) if anew else [*self._growing, *self._watched.since(came, selected)]
        self._growing = [line for line in lines if any(line is each for each in growing)]
        self._draw_growing(columns)
        ended = [line for line in lines if all(line is not each for each in growing)]
        drawn = log_lines(ended, columns, self._glyphs, whole=self._whole)
        found = [text for text in map(rich_text, drawn) if self._is_sought(text.plain)]
        self._drawn_log, self._drawn = state, (self._watched.came, len(found) + (0 if anew else number))
        if self._search_text:
            title = f"{title.partition(' with ')[0]}: {formats.count(self._drawn[1], 'line')} with {safe(self._search_text)!r}"
        self.query_one("#title", Static).update(rich_text([Piece(title, "dim")]))
        at_end = log.max_scroll_y - log.scroll_y < 2
        if anew:
            log.clear()
        for text in found:
            log.write(text, scroll_end=False)
        if at_end or force:
            log.scroll_end(animate=False)

    def _draw_growing(self, columns: int) -> None:
        """What is being said now: the last lines of each text, wrapped."""
        shown = [list(log_lines([line], columns, self._glyphs, whole=True)) for line in self._growing[-MAX_GROWING:]]
        last = [text for lines in shown for text in map(rich_text, lines[-GROWING_LINES:]) if self._is_sought(text.plain)]
        self.query_one("#said", Static).update(Text("\n").join(last))

    def _is_sought(self, plain: str) -> bool:
        return not self._search_text or self._search_text.lower() in plain.lower()

    def on_prompt_entered(self, event: Prompt.Entered) -> None:
        """Run the command; a line that is none may name a part of the plan."""
        with self._watched.lock:
            self._run_typed(event.text)
        self._draw(force=True)

    def _run_typed(self, text: str) -> None:
        self._shows_help = False
        self.set_class(False, "help")
        command = parse_command(text, TASK_COMMANDS)
        if not text.strip():
            self._selected, self._search_text = None, ""
        elif command.name in ("pause", "resume", "cancel", "context"):
            self._control(command.name, command.rest)
        elif command.name != "?":
            getattr(self, f"_do_{command.name}")(command.rest)
        else:
            self._do_step(command.rest, otherwise=suggestion(command.rest, TASK_COMMANDS))

    def _control(self, action: str, rest: str) -> None:
        folder = self._watched.task.folder
        if action == "context" and not rest:
            self._show_message("context needs a text", "warn")
            return
        try:
            if action == "context":
                requested = add_context(folder, rest, source="monitor")
            else:
                requested = {"pause": pause, "resume": resume, "cancel": cancel}[action](
                    folder, reason=rest or None, source="monitor"
                )
        except (AgentlogError, OSError) as error:
            self._show_message(str(error), "bad")
            return
        done = {"pause": "asked it to pause", "resume": "asked it to go on", "cancel": "asked it to stop", "context": "told it"}
        late = " (no process is at work on it)" if requested.at_work is False else ""
        self._show_message(f"{done[action]}; it takes effect at its next checkpoint{late}", "ok")

    def _do_details(self, rest: str) -> None:
        if rest:
            self._do_step(rest, details=True)
            return
        self._details, self._scrolled_to = not self._details, None
        self._show_message("everything that ran" if self._details else "steps alone")

    def _do_step(self, rest: str, otherwise: str = "", *, details: bool = False) -> None:
        row = find_part(rest, self._watched.plan(details=self._details))
        if row is None:
            self._show_message(otherwise or f"there is no part {rest!r} in the plan", "warn")
            return
        self._selected, self._details = row.entry.span_id, details or self._details
        self._show_message(f"{row.entry.name}: {labels.state_text(row.entry.status)}; Enter follows what goes on now")

    def _do_all(self, rest: str) -> None:
        self._selected = ""
        self._show_message("the whole log; Enter follows what goes on now")

    def _do_search(self, rest: str) -> None:
        self._search_text = rest
        self._selected = "" if rest else None

    def _do_wrap(self, rest: str) -> None:
        self.action_wrap()

    def _do_tasks(self, rest: str) -> None:
        self.action_back()

    def _do_quit(self, rest: str) -> None:
        self.app.exit()

    def _do_help(self, rest: str) -> None:
        self.action_help()

    def _show_message(self, text: str, style: str = "") -> None:
        line = fit([Piece(safe(text), style)], max(20, self.size.width - 2), self._glyphs.ellipsis)
        self.query_one("#bar", Static).update(rich_text(line))

    def on_prompt_help_wanted(self, event: Prompt.HelpWanted) -> None:
        """Show the help."""
        self.action_help()

    def action_wrap(self) -> None:
        """Show lines of the log whole, or cut at the edge again."""
        self._whole = not self._whole
        self._show_message("whole lines" if self._whole else "lines cut at the edge")
        self._draw(force=True)

    def action_back(self) -> None:
        """Go back to all tasks."""
        self.app.pop_screen()

    def action_select(self, by: int) -> None:
        """Choose the part before or after."""
        with self._watched.lock:
            self._select(by)
        self._draw(force=True)

    def _select(self, by: int) -> None:
        plan = self._watched.parts(details=self._details)
        if not len(plan):
            return
        at = plan.place(self._selected_part())
        at = max(0, min(len(plan) - 1, (-1 if by > 0 else len(plan)) + by if at is None else at + by))
        self._selected = next(plan.rows(at)).entry.span_id

    def action_scroll_log(self, by: int) -> None:
        """Scroll the log by a page."""
        log = self.query_one("#log", RichLog)
        log.scroll_relative(y=by * max(1, log.size.height - 1), animate=False)

    def action_help(self) -> None:
        """Show the help in place of plan and log."""
        self._shows_help = True
        self.set_class(True, "help")
        log = self.query_one("#log", RichLog)
        log.clear()
        columns = max(20, self.size.width - 3)
        for line in help_lines(TASK_COMMANDS, TASK_KEYS, self._glyphs):
            for each in folded(line, columns, 4):
                log.write(rich_text(each), scroll_end=False)
        log.scroll_home(animate=False)
        self.query_one("#title", Static).update("help; Enter ends it, page down turns it")
