"""``agentlog top``: the agents, tools and models that do, spend or fail most."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict

from otel_agentlog.query import Group, statistics_by
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.cli.options import WHERE_HELP, filter_arguments, filter_of, reading_progress, whole
from otel_agentlog.view.cli.queries.stats import COUNTED
from otel_agentlog.view.render.group_table import (
    GroupColumn,
    cost,
    count,
    duration,
    failed,
    failures,
    group_table,
    success_rate,
    tokens,
)
from otel_agentlog.view.render.screen import Piece
from otel_agentlog.vocabulary.terminal_text import safe

KINDS = ("agent", "tool", "model")

DEFAULT_LIMIT = 5

ORDERS: dict[str, Callable[[Group], float]] = {
    "count": lambda group: group.runs,
    "cost": lambda group: group.cost_usd or 0.0,
    "time": lambda group: group.duration_seconds.total or 0.0,
    "failures": failures,
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "--by", choices=tuple(ORDERS), default="count", metavar="ORDER", help="count (default), cost, time or failures"
    )
    parser.add_argument(
        "--limit", type=whole, default=DEFAULT_LIMIT, metavar="N", help=f"rows of each (default {DEFAULT_LIMIT}, 0: all)"
    )
    filter_arguments(parser, positional=False)
    parser.add_argument(
        "filter",
        metavar="KIND|FILTER",
        nargs="*",
        help=f"only one of {', '.join(KINDS)} (scripts are tools), and only tasks like this: {WHERE_HELP}",
    )


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Print the first groups of each kind."""
    kinds: tuple[str, ...] = KINDS
    tables = {}
    if options.filter and options.filter[0] in KINDS:
        kinds = (options.filter.pop(0),)
    wanted = filter_of(options)
    with reading_progress() as progress:
        answers = statistics_by(context.root, wanted, kinds, progress=progress)
    for kind, found in zip(kinds, answers, strict=True):
        groups = [group for group in found.groups if group.key is not None]
        order = ORDERS[options.by]
        tables[kind] = (found.counted, sorted(groups, key=lambda group: -order(group))[: options.limit or None])
    if options.json:
        print_json(
            {"root": str(context.root), **{f"{kind}s": [asdict(each) for each in groups] for kind, (_, groups) in tables.items()}}
        )
        return 0
    screen = context.screen()
    if not any(groups for _, groups in tables.values()):
        screen.text(f"No {', '.join(f'{kind}s' for kind in kinds)} in tasks like that below {safe(str(context.root))}.")
        context.print_hints(wanted)
        return 0
    for kind, (counted, groups) in tables.items():
        if groups:
            screen.lines([*group_table(groups, kind, _columns(counted), screen), []])
        else:
            screen.lines([[Piece(f"No {kind}s.", "dim")], []])
    return 0


def _columns(counted: str) -> tuple[GroupColumn, ...]:
    return (
        GroupColumn(COUNTED[counted], count("runs")),
        GroupColumn("OK", success_rate, 80),
        GroupColumn("FAILED", failed, 85),
        GroupColumn("P95", duration("p95"), 70),
        GroupColumn("TIME", duration("total"), 60),
        GroupColumn("TOKENS", tokens, 40),
        GroupColumn("COST", cost, 75),
    )
