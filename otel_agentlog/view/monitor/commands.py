"""The commands of the monitor: their help, and how a typed line is read."""

from __future__ import annotations

import difflib
from typing import NamedTuple

from otel_agentlog.view.monitor.plan import PlanRow
from otel_agentlog.view.render.screen import Glyphs, Piece, Pieces

TASK_KEYS = {
    "up, down": "a part of the plan",
    "page up, page down": "the log",
    "F2": "whole lines, or cut at the edge",
    "? or F1": "this",
    "Escape": "all tasks",
}
OVERVIEW_KEYS = {"up, down, page up, page down": "mark a task", "Enter": "open it", "? or F1": "this", "Ctrl-C": "leave"}
SIGNS = "signs: {ok} completed  {bad} failed, timed out  {warn} interrupted  {stop} cancelled  {run} running  {pause} paused"

TASK_COMMANDS = {
    "pause": "pause [why]: have the agent pause at its next checkpoint",
    "resume": "resume: have it go on",
    "cancel": "cancel [why]: have it stop at its next checkpoint",
    "context": "context TEXT: tell the agent more",
    "details": "details: AI calls and tool runs in the plan, or not; details STEP: the same with the log of that step",
    "step": "step N or NAME (or just that): the log of that part; all: everything; nothing: what goes on now",
    "all": "",
    "search": "search TEXT: look for it in the log; without TEXT: no longer",
    "wrap": "wrap: whole lines of the log, or cut at the edge again",
    "tasks": "tasks: all tasks",
    "help": "help: this",
    "quit": "quit: leave",
}
OVERVIEW_COMMANDS = {
    "open": "open TASK (or Enter on the one that is marked): one task",
    "search": "search TEXT: tasks and lines with these words; without TEXT: all tasks",
    "agent": "agent NAME: only tasks of this agent; without NAME: of all",
    "failed": "failed: only tasks that did not do their job, or all again",
    "help": "help: this",
    "quit": "quit: leave",
}


class TypedCommand(NamedTuple):
    """A typed line."""

    name: str
    """A key of the table of commands; ``?`` if there is no such command."""
    rest: str


def parse_command(text: str, commands: dict[str, str]) -> TypedCommand:
    """Return the command that a line names; a beginning is enough where only one command has it."""
    word, _, rest = text.strip().partition(" ")
    lower = word.lower()
    if lower in commands:
        return TypedCommand(lower, rest.strip())
    near = [name for name in commands if name.startswith(lower)]
    return TypedCommand(near[0], rest.strip()) if lower and len(near) == 1 else TypedCommand("?", text.strip())


def suggestion(text: str, commands: dict[str, str]) -> str:
    """Return the error for a line that is no command, with a similar command if there is one."""
    word = text.split(" ")[0]
    near = difflib.get_close_matches(word.lower(), list(commands), n=1)
    return f"there is no {word!r}; {f'did you mean {near[0]}?' if near else 'help says what there is'}"


def find_part(text: str, plan: list[PlanRow]) -> PlanRow | None:
    """Return the part with this number, name or step id, else the last whose name contains the text; ``None`` if names differ."""
    if text.isascii() and text.isdigit():
        return next((row for row in plan if row.number == int(text)), None)
    lower = text.lower()
    exact = [row for row in plan if row.entry.name.lower() == lower]
    exact = exact or [row for row in plan if row.entry.kind == "step" and row.entry.step_id == text]
    within = [row for row in plan if lower and lower in row.entry.name.lower()]
    return exact[-1] if exact else within[-1] if len({row.entry.name for row in within}) == 1 else None


def help_lines(commands: dict[str, str], keys: dict[str, str], glyphs: Glyphs) -> list[Pieces]:
    """The help screen: what can be typed, which keys there are, what the signs mean."""
    lines: list[Pieces] = []
    for words in filter(None, commands.values()):
        name, _, rest = words.partition(": ")
        lines.append([Piece(name, "id"), Piece(f": {rest}")])
    lines += [[], *([Piece(key, "id"), Piece(f": {does}")] for key, does in keys.items()), []]
    return [*lines, [Piece(SIGNS.format(**glyphs._asdict()), "dim")]]
