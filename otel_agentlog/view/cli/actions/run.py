"""``agentlog run``: a task around any command."""

from __future__ import annotations

import argparse

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.view.cli.context import CliContext


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("--name", metavar="NAME", help="name of the task (default: the command)")
    parser.add_argument("--agent", metavar="AGENT", help="the agent that works on it")
    parser.add_argument("--tag", action="append", default=[], dest="tags", metavar="TAG", help="a tag; may be repeated")
    parser.add_argument("--instrument", action="store_true", help="switch on the instrumentors of AI libraries in it")
    parser.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command and its arguments")


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Run it; the exit code is the command's."""
    from otel_agentlog.wiring.zero_code.command import run

    argv = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
    if not argv:
        raise ConfigurationError("COMMAND", "nothing", "a command behind '--', such as agentlog run -- python agent.py")
    return run(argv, context.root, name=options.name, agent=options.agent, tags=options.tags, instrument=options.instrument)
