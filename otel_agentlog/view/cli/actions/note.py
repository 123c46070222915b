"""``agentlog note``: a note on a task, running or ended, scores of it, or both."""

from __future__ import annotations

import argparse
import sys

from otel_agentlog.query import LAST, resolve, row_of
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.render import formats
from otel_agentlog.view.render.screen import Piece
from otel_agentlog.vocabulary.terminal_text import safe


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("task", metavar="TASK", help=f"a task's id, the beginning of one, its folder, or {LAST!r}")
    parser.add_argument(
        "text",
        metavar="TEXT",
        nargs="?",
        default="",
        help="the note, or why the scores are what they are; - reads standard input",
    )
    parser.add_argument(
        "--score",
        type=_score,
        action="append",
        default=[],
        dest="scores",
        metavar="NAME=VALUE",
        help="a number or a word, e.g. quality=0.8 or tone=friendly; may be given several times",
    )
    parser.add_argument("--by", metavar="NAME", help="whose note it is (default: you)")
    parser.add_argument("--on", metavar="ID", help="the step id or span id of the part that is meant (default: the whole task)")


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Write it."""
    from otel_agentlog.tools import add_note

    task = resolve(context.root, options.task)
    text = sys.stdin.read() if options.text == "-" else options.text
    noted = add_note(task.folder, text, scores=dict(options.scores), on=options.on, by=options.by, source="cli")
    if options.json:
        print_json({"task_id": noted.task_id, "span_id": noted.span_id, "event_ids": list(noted.event_ids)})
        return 0
    what = formats.count(len(options.scores), "score") if options.scores else "a note"
    name = Piece(f"  {safe(row_of(task).name)}", "dim")
    context.screen().line(Piece(f"Added {what} to "), Piece(safe(noted.task_id), "id"), name)
    return 0


def _score(text: str) -> tuple[str, float | str]:
    name, equals, value = (part.strip() for part in text.partition("="))
    if not name or not equals or not value:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, e.g. quality=0.8, found {text!r}")
    try:
        return name, float(value)
    except ValueError:
        return name, value
