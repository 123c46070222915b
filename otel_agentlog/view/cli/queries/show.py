"""``agentlog show``: one task: its facts, its webhook, the tree of what happened."""

from __future__ import annotations

import argparse

from otel_agentlog.query import LAST, report, resolve
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.render.screen import Piece
from otel_agentlog.view.render.show.failure import AlreadyShown
from otel_agentlog.view.render.show.header import header, webhook_flow
from otel_agentlog.view.render.show.task_json import report_as_json
from otel_agentlog.view.render.show.tree import draw

TASK_HELP = f"a task's id, the beginning of one, its folder, or {LAST!r} (default: {LAST})"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("task", metavar="TASK", nargs="?", help=TASK_HELP)
    parser.add_argument(
        "--full",
        action="store_true",
        help="everything in its place: log lines, output, arguments, results, tracebacks, sub-tasks",
    )


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Show one task."""
    found = report(resolve(context.root, options.task), with_lines=options.full)
    if options.json:
        print_json(report_as_json(found))
        return 0
    screen = context.screen()
    shown = AlreadyShown()
    screen.lines(header(found, screen, shown, has_collector=context.has_collector))
    for part in (list(webhook_flow(found, screen)), list(draw(found, screen, full=options.full, shown=shown))):
        if part:
            screen.line(Piece(""))
            screen.lines(part)
    return 0
