"""What can be typed into the monitor, and what it means."""

from __future__ import annotations

import difflib
from typing import NamedTuple

from otel_agentlog.view.monitor.watching import PlanRow

TASK_COMMANDS = {
    "pause": "pause [why]: have the agent pause at its next checkpoint",
    "resume": "resume: have it go on",
    "cancel": "cancel [why]: have it stop at its next checkpoint",
    "context": "context TEXT: tell the agent more",
    "details": "details: AI calls and tool runs in the plan, or not",
    "step": "step N or NAME (or just that): the log of that part; all: everything; nothing: what goes on now",
    "all": "",
    "search": "search TEXT: look for it in the log; without TEXT: no longer",
    "tasks": "tasks: all tasks",
    "help": "help: this",
    "quit": "quit: leave",
}
OVERVIEW_COMMANDS = {
    "open": "open TASK (or Enter on the one that is marked): one task",
    "search": "search TEXT: tasks and lines with these words; without TEXT: all tasks",
    "failed": "failed: only tasks that did not do their job, or all again",
    "help": "help: this",
    "quit": "quit: leave",
}


class Typed(NamedTuple):
    """What was typed."""

    name: str
    """A command, or ``?`` for what is none."""
    rest: str


def understood(text: str, commands: dict[str, str]) -> Typed:
    """The command that a text means; its first letters are enough where they are nobody else's."""
    word, _, rest = text.strip().partition(" ")
    lower = word.lower()
    if lower in commands:
        return Typed(lower, rest.strip())
    near = [name for name in commands if name.startswith(lower)]
    return Typed(near[0], rest.strip()) if lower and len(near) == 1 else Typed("?", text.strip())


def suggestion(text: str, commands: dict[str, str]) -> str:
    """What to say of a text that is no command."""
    word = text.split(" ")[0]
    near = difflib.get_close_matches(word.lower(), list(commands), n=1)
    return f"there is no {word!r}; {f'did you mean {near[0]}?' if near else 'help says what there is'}"


def part_named(text: str, plan: list[PlanRow]) -> PlanRow | None:
    """The part of the plan with this number or name, or the only one whose name has this in it."""
    if text.isascii() and text.isdigit():
        return next((row for row in plan if row.number == int(text)), None)
    lower = text.lower()
    exact = [row for row in plan if row.entry.name.lower() == lower]
    exact = exact or [row for row in plan if row.entry.kind == "step" and row.entry.step_id == text]
    within = [row for row in plan if lower and lower in row.entry.name.lower()]
    return exact[-1] if exact else within[-1] if len({row.entry.name for row in within}) == 1 else None
