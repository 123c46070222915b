"""``agentlog monitor``: tasks as they happen, in the whole terminal or as plain text; running ones can be controlled."""

from __future__ import annotations

import argparse
import sys

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.query import resolve
from otel_agentlog.view.cli.context import CliContext
from otel_agentlog.view.cli.options import interval_s
from otel_agentlog.view.cli.queries.show import TASK_HELP


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("task", metavar="TASK", nargs="?", help=f"{TASK_HELP.partition(' (')[0]} (default: all tasks)")
    parser.add_argument("--text", action="store_true", help="plain text, printed again whenever there is news")
    parser.add_argument("--once", action="store_true", help="of --text: print it once")
    parser.add_argument("--interval", type=interval_s, default=2.0, metavar="S", help="of --text: seconds between (default 2)")


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Show the monitor until the user leaves; as text until the task has ended."""
    task = None if options.task is None else resolve(context.root, options.task)
    if options.json:
        raise ConfigurationError("--json", "monitor", "tail --json, which gives lines as they come")
    if options.text or options.once:
        from otel_agentlog.view.monitor.drawing import print_overview, print_task

        screen = context.screen()
        if task is None:
            print_overview(screen, context.root, once=options.once, interval_s=options.interval)
        else:
            print_task(screen, task, once=options.once, interval_s=options.interval)
        return 0
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigurationError("monitor", "no terminal", "a terminal, or --text")
    try:
        from otel_agentlog.view.monitor.app import run_monitor
    except ImportError:
        raise ConfigurationError(
            "monitor", "textual", "the extra monitor (pip install 'otel_agentlog[monitor]'), or --text"
        ) from None
    run_monitor(context.root, task, context.screen().glyphs)
    return 0
