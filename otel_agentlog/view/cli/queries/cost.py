"""``agentlog cost``: what AI calls cost, and how many tokens they used."""

from __future__ import annotations

import argparse
from dataclasses import replace

from otel_agentlog.query import GROUPS, Group
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.cli.options import filter_arguments, filter_of, reading_progress
from otel_agentlog.view.cli.queries.stats import COUNTED, as_json
from otel_agentlog.view.render import formats
from otel_agentlog.view.render.group_table import GroupColumn, cost, count, group_table
from otel_agentlog.vocabulary.terminal_text import safe

DEFAULT_GROUP = "model"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "--group-by",
        choices=GROUPS,
        default=DEFAULT_GROUP,
        metavar="KEY",
        help=f"a row for each: {', '.join(GROUPS)} (default {DEFAULT_GROUP})",
    )
    filter_arguments(parser)


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Print the cost of the tasks below the root, by group."""
    wanted = filter_of(options)
    with reading_progress() as progress:
        whole, found = context.statistics(wanted, (None, options.group_by), progress)
    total = whole.groups[0]
    # Where groups count calls the sum does, too: a task has a cost if one of its calls has.
    unpriced = sum(group.unpriced for group in found.groups) if found.counted == "ai_calls" else total.unpriced
    if options.json:
        spent_in_all = {"cost_usd": total.cost_usd, "unpriced": unpriced, "tasks": total.tasks, "ai_calls": total.ai_calls}
        used = {"input_tokens": total.input_tokens, "output_tokens": total.output_tokens}
        print_json({**as_json(context, found, options.group_by), "total": {**spent_in_all, **used}})
        return 0
    screen = context.screen()
    if not total.ai_calls:
        screen.text(f"No AI calls in {formats.count(total.tasks, 'task')} below {safe(str(context.root))}.")
        context.print_hints(wanted)
        return 0
    spent = sorted(found.groups, key=lambda group: -(group.cost_usd or 0)) if options.group_by != "day" else found.groups
    listed = [group for group in spent if group.cost_usd or group.unpriced or group.input_tokens or group.output_tokens]
    calls = f"{total.ai_calls:,} AI {'call' if total.ai_calls == 1 else 'calls'}"
    screen.text(
        cost(replace(total, unpriced=unpriced)),
        f" for {calls} of {formats.count(total.tasks, 'task')} below {safe(str(context.root))}",
    )
    columns = (
        GroupColumn(COUNTED[found.counted], count("runs"), 60),
        GroupColumn("INPUT", lambda group: formats.tokens(group.input_tokens), 70),
        GroupColumn("OUTPUT", lambda group: formats.tokens(group.output_tokens), 70),
        GroupColumn("COST", cost),
        GroupColumn("SHARE", lambda group: _share(group, total), 50),
        GroupColumn("NO PRICE", count("unpriced"), 65),
    )
    if listed:
        screen.lines(group_table(listed, options.group_by, columns, screen))
    return 0


def _share(group: Group, total: Group) -> str:
    return f"{group.cost_usd * 100 / total.cost_usd:.0f}%" if group.cost_usd and total.cost_usd else ""
