"""``agentlog top``: the agents, tools and models that do, spend or fail most."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict

from otel_agentlog.query import Group, statistics
from otel_agentlog.view.cli.frame import Setting, print_json
from otel_agentlog.view.cli.options import filter_arguments, filter_of, reading, whole
from otel_agentlog.view.cli.queries.stats import COUNTED
from otel_agentlog.view.render import figures
from otel_agentlog.view.render.figures import Figure, failed, money, number, percentile, rate, tokens
from otel_agentlog.view.render.screen import Piece

KINDS = ("agent", "tool", "model")

DEFAULT_LIMIT = 5

ORDERS: dict[str, Callable[[Group], float]] = {
    "count": lambda group: group.runs,
    "cost": lambda group: group.cost_usd or 0.0,
    "time": lambda group: group.duration_seconds.total or 0.0,
    "failures": lambda group: sum(group.by_status.get(word, 0) for word in ("failed", "timed_out", "interrupted")),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "kind", metavar="KIND", nargs="?", choices=KINDS, help=f"only one of {', '.join(KINDS)}; scripts are tools"
    )
    parser.add_argument(
        "--by", choices=tuple(ORDERS), default="count", metavar="ORDER", help="count (default), cost, time or failures"
    )
    parser.add_argument(
        "--limit", type=whole, default=DEFAULT_LIMIT, metavar="N", help=f"rows of each (default {DEFAULT_LIMIT}, 0: all)"
    )
    filter_arguments(parser)


def run(options: argparse.Namespace, setting: Setting) -> int:
    """Tell who is on top below the root."""
    asked, tables = filter_of(options), {}
    for kind in (options.kind,) if options.kind else KINDS:
        with reading() as progress:
            found = statistics(setting.root, asked, group_by=kind, progress=progress)
        groups = [group for group in found.groups if group.key is not None]
        order = ORDERS[options.by]
        tables[kind] = (found.counted, sorted(groups, key=lambda group: -order(group))[: options.limit or None])
    if options.json:
        print_json(
            {"root": str(setting.root), **{f"{kind}s": [asdict(each) for each in groups] for kind, (_, groups) in tables.items()}}
        )
        return 0
    screen = setting.screen()
    for kind, (counted, groups) in tables.items():
        if groups:
            screen.lines([*figures.table(groups, kind, _columns(counted), screen), []])
        else:
            screen.lines([[Piece(f"No {kind}s.", "dim")], []])
    return 0


def _columns(counted: str) -> tuple[Figure, ...]:
    return (
        Figure(COUNTED[counted], number("runs")),
        Figure("OK", rate, 80),
        Figure("FAILED", failed, 85),
        Figure("P95", percentile("p95"), 70),
        Figure("TIME", percentile("total"), 60),
        Figure("TOKENS", tokens, 40),
        Figure("COST", money, 75),
    )
