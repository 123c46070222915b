"""One task: header, plan, the log of a part of it, a status bar, and a line to type what the agent shall do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

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
from otel_agentlog.view.monitor.app import INTERVAL_S, drawn
from otel_agentlog.view.monitor.commands import TASK_COMMANDS, part_named, suggestion, understood
from otel_agentlog.view.monitor.drawing import header, log_lines, plan_line
from otel_agentlog.view.monitor.overview_screen import Prompt
from otel_agentlog.view.monitor.watching import PlanRow, Watched
from otel_agentlog.view.render import human, words
from otel_agentlog.view.render.screen import Glyphs, Piece
from otel_agentlog.vocabulary.terminal_text import safe

if TYPE_CHECKING:
    from otel_agentlog.view.monitor.app import MonitorApp

WIDE = 110
"""From this many columns on the plan stands beside the log."""

_HINT = "pause resume cancel context TEXT details STEP search help"


class TaskScreen(Screen[None]):
    """Follows one task."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "all tasks"),
        Binding("up", "choose(-1)", "part before", priority=True),
        Binding("down", "choose(1)", "part after", priority=True),
        Binding("pageup", "scroll_log(-1)", "up", priority=True),
        Binding("pagedown", "scroll_log(1)", "down", priority=True),
        Binding("f1", "help", "help"),
    ]

    def __init__(self, task: TaskReader) -> None:
        super().__init__()
        self._watched = Watched(task)
        self._details = False
        self._chosen: str | None = None
        """The span id of the part whose log is shown; empty: everything; ``None``: what goes on now."""
        self._sought = ""
        self._helping = False
        self._drawn: tuple[object, ...] = ()
        self._in_sight: int | None = None
        """Which part of the plan was scrolled to."""

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static(id="head")
        with Vertical(id="body"):
            with VerticalScroll(id="plan", can_focus=False):
                yield Static(id="parts")
            with Vertical(id="right"):
                yield Static(id="title")
                yield RichLog(id="log", wrap=False, markup=False, highlight=False, max_lines=5000)
        yield Static(_HINT, id="bar")
        yield Prompt(placeholder="type a command", id="ask")

    def on_mount(self) -> None:
        """Begin to follow."""
        self.query_one("#log", RichLog).can_focus = False
        self.query_one(Prompt).focus()
        self.set_interval(INTERVAL_S, self._look)
        self.call_after_refresh(self._draw, force=True)

    def on_resize(self, event: Resize) -> None:
        """Put the plan beside the log where there is room."""
        self.set_class(event.size.width >= WIDE, "wide")
        self.call_after_refresh(self._draw, force=True)

    # -- looking ------------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        self.run_worker(self._watched.poll, thread=True, exclusive=True, exit_on_error=False, group="look")
        self._draw()

    @property
    def _glyphs(self) -> Glyphs:
        return cast("MonitorApp", self.app).glyphs

    def _draw(self, force: bool = False) -> None:
        watched, size = self._watched, self.size
        columns = max(20, size.width - 2)
        head = [drawn(line) for line in header(watched, columns, self._glyphs)]
        self.query_one("#head", Static).update(_joined(head))
        plan = watched.plan(details=self._details)
        chosen = self._part(plan)
        width = max(20, self.query_one("#plan").size.width - 2)
        parts = [drawn(plan_line(row, width, self._glyphs, chosen=chosen is row.entry)) for row in plan]
        self.query_one("#parts", Static).update(drawn([Piece("no steps yet", "dim")]) if not parts else _joined(parts))
        self._keep_in_sight(next((at for at, row in enumerate(plan) if row.entry is chosen), None))
        self._draw_log(chosen, force)

    def _keep_in_sight(self, at: int | None) -> None:
        if at == self._in_sight or at is None:
            return
        self._in_sight = at
        box = self.query_one("#plan", VerticalScroll)
        self.call_after_refresh(box.scroll_to, y=max(0, at - box.size.height // 2), animate=False)

    def _part(self, plan: list[PlanRow]) -> Entry | None:
        if self._chosen is None:
            return None if self._watched.report.row.has_ended else self._watched.current()
        return next((row.entry for row in plan if row.entry.span_id == self._chosen), None)

    def _draw_log(self, chosen: Entry | None, force: bool) -> None:
        log = self.query_one("#log", RichLog)
        columns = max(20, log.size.width - 1)
        title = f"log of {safe(chosen.name)}" if chosen is not None else "log"
        lines = self._watched.lines_of(chosen)
        found = [drawn(line) for line in log_lines(lines, columns, self._glyphs)]
        if self._sought:
            found = [text for text in found if self._sought.lower() in text.plain.lower()]
            title += f": {human.count(len(found), 'line')} with {safe(self._sought)!r}"
        state = (title, len(lines), lines[-1].get("event_id") if lines else None, columns, self._helping)
        if self._helping or (state == self._drawn and not force):
            return
        self._drawn = state
        self.query_one("#title", Static).update(drawn([Piece(title, "dim")]))
        at_end = log.max_scroll_y - log.scroll_y < 2
        log.clear()
        for text in found:
            log.write(text, scroll_end=False)
        if at_end or force:
            log.scroll_end(animate=False)

    # -- typing -------------------------------------------------------------------------------------------------------------

    def on_prompt_typed(self, event: Prompt.Typed) -> None:
        """Do what was typed."""
        text = event.text
        self._helping = False
        typed = understood(text, TASK_COMMANDS)
        if not text.strip():
            self._chosen, self._sought = None, ""
        elif typed.name in ("pause", "resume", "cancel", "context"):
            self._ask(typed.name, typed.rest)
        elif typed.name != "?":
            getattr(self, f"_do_{typed.name}")(typed.rest)
        else:
            self._do_step(typed.rest, otherwise=suggestion(typed.rest, TASK_COMMANDS))
        self._draw(force=True)

    def _ask(self, what: str, rest: str) -> None:
        folder = self._watched.task.folder
        if what == "context" and not rest:
            self._say("context needs a text", "warn")
            return
        try:
            if what == "context":
                asked = add_context(folder, rest, source="monitor")
            else:
                asked = {"pause": pause, "resume": resume, "cancel": cancel}[what](folder, reason=rest or None, source="monitor")
        except (AgentlogError, OSError) as error:
            self._say(str(error), "bad")
            return
        said = {"pause": "asked it to pause", "resume": "asked it to go on", "cancel": "asked it to stop", "context": "told it"}
        late = " (no process is at work on it)" if asked.at_work is False else ""
        self._say(f"{said[what]}; it takes effect at its next checkpoint{late}", "ok")

    def _do_details(self, rest: str) -> None:
        self._details, self._in_sight = not self._details, None
        self._say("everything that ran" if self._details else "steps alone")

    def _do_step(self, rest: str, otherwise: str = "") -> None:
        row = part_named(rest, self._watched.plan(details=self._details))
        if row is None:
            self._say(otherwise or f"there is no part {rest!r} in the plan", "warn")
            return
        self._chosen = row.entry.span_id
        self._say(f"{row.entry.name}: {words.state_word(row.entry.status)}; Enter follows what goes on now")

    def _do_all(self, rest: str) -> None:
        self._chosen = ""
        self._say("the whole log; Enter follows what goes on now")

    def _do_search(self, rest: str) -> None:
        self._sought = rest
        self._chosen = "" if rest else None

    def _do_tasks(self, rest: str) -> None:
        self.action_back()

    def _do_quit(self, rest: str) -> None:
        self.app.exit()

    def _do_help(self, rest: str) -> None:
        self.action_help()

    def _say(self, text: str, style: str = "") -> None:
        self.query_one("#bar", Static).update(drawn([Piece(safe(text), style)]))

    # -- keys -----------------------------------------------------------------------------------------------------------------

    def action_back(self) -> None:
        """Show all tasks."""
        self.app.pop_screen()

    def action_choose(self, by: int) -> None:
        """Mark the part before or after."""
        plan = self._watched.plan(details=self._details)
        if not plan:
            return
        chosen = self._part(plan)
        at = next((number for number, row in enumerate(plan) if row.entry is chosen), -1 if by > 0 else len(plan))
        self._chosen = plan[max(0, min(len(plan) - 1, at + by))].entry.span_id
        self._draw(force=True)

    def action_scroll_log(self, by: int) -> None:
        """Turn a page of the log."""
        log = self.query_one("#log", RichLog)
        log.scroll_relative(y=by * max(1, log.size.height - 1), animate=False)

    def action_help(self) -> None:
        """Tell what can be typed."""
        self._helping = True
        log = self.query_one("#log", RichLog)
        log.clear()
        for text in filter(None, TASK_COMMANDS.values()):
            name, _, rest = text.partition(": ")
            log.write(drawn([Piece(f"{name}", "id"), Piece(f": {rest}")]))
        log.write(drawn([Piece("up, down", "id"), Piece(": a part of the plan; page up, page down: the log; Escape: all tasks")]))
        self.query_one("#title", Static).update("help; Enter ends it")


def _joined(lines: Sequence[Text]) -> Text:
    return Text("\n").join(lines)
