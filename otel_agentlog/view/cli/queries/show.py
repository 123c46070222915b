"""``agentlog show``: one task, from what was asked to how it ended."""

from __future__ import annotations

import argparse

from otel_agentlog.query import LAST, report, resolve
from otel_agentlog.view.cli.frame import Setting, print_json
from otel_agentlog.view.render.screen import Piece
from otel_agentlog.view.render.show_header import flow, header
from otel_agentlog.view.render.show_json import report_as_json
from otel_agentlog.view.render.show_tree import draw

TASK_HELP = f"a task's id, the beginning of one, its folder, or {LAST!r} (default: {LAST})"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("task", metavar="TASK", nargs="?", help=TASK_HELP)
    parser.add_argument(
        "--full",
        action="store_true",
        help="everything in its place: log lines, output, arguments, results, tracebacks, sub-tasks",
    )


def run(options: argparse.Namespace, setting: Setting) -> int:
    """Show one task."""
    found = report(resolve(setting.root, options.task), with_lines=options.full)
    if options.json:
        print_json(report_as_json(found))
        return 0
    screen = setting.screen()
    screen.lines(header(found, screen))
    for part in (list(flow(found, screen)), list(draw(found, screen, full=options.full))):
        if part:
            screen.line(Piece(""))
            screen.lines(part)
    return 0
