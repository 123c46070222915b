"""``agentlog completion``: scripts that let a shell complete commands, options and task ids; made by shtab."""

from __future__ import annotations

import argparse
import sys

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.query import search
from otel_agentlog.view.cli.context import CliContext

SHELLS = ("bash", "zsh", "tcsh")
TASKS = "tasks"
MAX_TASKS = 50

_PREAMBLE = {
    "bash": f"""
_agentlog_tasks() {{
  compgen -W "last $(agentlog completion {TASKS} 2>/dev/null)" -- "$1"
}}
""",
    "zsh": f"""
_agentlog_tasks() {{
  local -a ids
  ids=(last ${{(f)"$(agentlog completion {TASKS} 2>/dev/null)"}})
  _describe 'task' ids
}}
""",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "shell", metavar="SHELL", choices=(*SHELLS, TASKS), help="the shell, or 'tasks': what may stand for TASK, one a line"
    )


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Print the script, or the ids."""
    if options.shell == TASKS:
        for row in search(context.root, limit=MAX_TASKS).rows:
            # A shell would split other ids, or run what is in them.
            if all(letter.isalnum() or letter in "._-" for letter in row.task_id) and row.task_id.isascii():
                print(row.task_id)
        return 0
    try:
        import shtab
    except ImportError:
        raise ConfigurationError("completion", options.shell, "the extra cli: pip install 'otel_agentlog[cli]'") from None
    sys.stdout.write(shtab.complete(_parser(), options.shell, preamble=_PREAMBLE.get(options.shell, "")))
    return 0


def _parser() -> argparse.ArgumentParser:
    # Imported here, as the command line imports this module.
    from otel_agentlog.view.cli.main import make_parser

    parser = make_parser()
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    for command in commands.choices.values():
        for action in command._actions:
            if action.metavar == "TASK":
                action.complete = dict.fromkeys(_PREAMBLE, "_agentlog_tasks")
    return parser
