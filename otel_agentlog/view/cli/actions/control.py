"""``agentlog pause``, ``resume``, ``cancel`` and ``context``: requests to a task that another process runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from otel_agentlog.query import LAST, resolve
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.cli.values import number_from
from otel_agentlog.view.render.screen import Piece, Pieces
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.terminal_text import safe

if TYPE_CHECKING:
    from otel_agentlog.store.control import Requested

DEFAULT_WAIT_S = 10.0
NOT_YET = 1
"""Exit code where ``--wait`` saw no effect in time; the request is not withdrawn."""

_EXPECTED_EFFECTS = {"pause": "paused", "resume": "resumed", "cancel": "cancelled", "context": "added"}
_CONFIRMATIONS = {
    "pause": "Asked {task} to pause.",
    "resume": "Asked {task} to go on.",
    "cancel": "Asked {task} to stop.",
    "context": "Told {task}.",
}
_EFFECT_TEXTS = {
    "paused": "It is paused.",
    "resumed": "It goes on.",
    "added": "The agent has it.",
    "cancelled": "It was cancelled.",
    "none": "There was nothing to do: it was so already.",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command that the parser is named after."""
    command = parser.prog.rpartition(" ")[2]
    parser.add_argument("task", metavar="TASK", help=f"a task's id, the beginning of one, its folder, or {LAST!r}")
    if command == "context":
        parser.add_argument("text", metavar="TEXT", help="what the agent is to know; - reads it from standard input")
    parser.add_argument("--reason", metavar="TEXT", help="why; shown wherever the request is shown")
    parser.add_argument(
        "--wait",
        type=number_from(0, 86_400, "a number of seconds"),
        nargs="?",
        const=DEFAULT_WAIT_S,
        metavar="SECONDS",
        help=f"wait until it has taken effect, {DEFAULT_WAIT_S:.0f} seconds by default",
    )
    if command == "cancel":
        parser.add_argument("--terminate-tools", action="store_true", help="end the tools that are running, too")


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Make the request; with ``--wait`` `NOT_YET` if it had no effect in time."""
    from otel_agentlog.tools import effect_of

    requested = _request(options, context)
    effect = None if options.wait is None else effect_of(requested, timeout_s=options.wait)
    if options.json:
        print_json(_as_json(requested, effect))
    else:
        screen = context.screen()
        screen.text(*_confirmation(requested, text(TaskReader(requested.folder).metadata() or {}, "name")))
        screen.lines(_effect_lines(requested, effect, options.wait))
    return 0 if options.wait is None or effect is not None else NOT_YET


def _request(options: argparse.Namespace, context: CliContext) -> Requested:
    from otel_agentlog.tools import add_context, cancel, pause, resume

    folder = resolve(context.root, options.task).folder
    common: dict[str, Any] = {"reason": options.reason, "source": "cli"}
    if options.command == "context":
        return add_context(folder, sys.stdin.read() if options.text == "-" else options.text, **common)
    if options.command == "cancel":
        return cancel(folder, terminate_tools=options.terminate_tools, **common)
    return pause(folder, **common) if options.command == "pause" else resume(folder, **common)


def _as_json(requested: Requested, effect: str | None) -> dict[str, Any]:
    return {
        "task_id": requested.task_id,
        "folder": str(requested.folder),
        "request": requested.request.request,
        "request_id": requested.request.request_id,
        "status": requested.status,
        "at_work": requested.at_work,
        "effect": effect,
    }


def _confirmation(requested: Requested, name: str | None) -> Iterator[Piece]:
    before, after = _CONFIRMATIONS[requested.request.request].split("{task}")
    yield Piece(before)
    yield Piece(safe(requested.task_id), "id")
    if name:
        yield Piece(f" ({safe(name)})", "title")
    yield Piece(after)
    if requested.status == "pending":
        yield Piece(" No process has taken it up yet: the one that does will meet this.", "warn")
    elif requested.at_work is False:
        yield Piece(" No process is at work on it: the one that resumes it will meet this.", "warn")


def _effect_lines(requested: Requested, effect: str | None, wait_s: float | None) -> Iterator[Pieces]:
    if wait_s is None:
        return
    if effect is None:
        yield [Piece(f"Nothing seen of it within {wait_s:g} s: the agent has not come to a checkpoint. It stands.", "warn")]
    else:
        style = "ok" if effect == _EXPECTED_EFFECTS[requested.request.request] else "warn"
        yield [Piece(_EFFECT_TEXTS.get(effect, f"The task has ended: {effect}."), style)]
