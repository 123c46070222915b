"""``agentlog cost``: what the AI calls cost, and which tokens they used."""

from __future__ import annotations

import argparse

from otel_agentlog.query import GROUPS, Group, statistics
from otel_agentlog.view.cli.frame import Setting, print_json
from otel_agentlog.view.cli.options import filter_arguments, filter_of, reading
from otel_agentlog.view.cli.queries.stats import COUNTED, as_json
from otel_agentlog.view.render import figures, human
from otel_agentlog.view.render.figures import Figure, money, number
from otel_agentlog.view.render.screen import Piece
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


def run(options: argparse.Namespace, setting: Setting) -> int:
    """Tell the cost of the tasks below the root."""
    asked = filter_of(options)
    with reading() as progress:
        total = statistics(setting.root, asked, progress=progress).groups[0]
    found = statistics(setting.root, asked, group_by=options.group_by)
    if options.json:
        whole = {"cost_usd": total.cost_usd, "unpriced": total.unpriced, "tasks": total.tasks, "ai_calls": total.ai_calls}
        used = {"input_tokens": total.input_tokens, "output_tokens": total.output_tokens}
        print_json({**as_json(setting, found, options.group_by), "total": {**whole, **used}})
        return 0
    screen = setting.screen()
    spent = sorted(found.groups, key=lambda group: -(group.cost_usd or 0)) if options.group_by != "day" else found.groups
    shown = [group for group in spent if group.cost_usd or group.unpriced or group.input_tokens or group.output_tokens]
    calls = f"{total.ai_calls:,} AI {'call' if total.ai_calls == 1 else 'calls'}"
    screen.line(
        Piece(human.usd(total.cost_usd), "money"),
        f" for {calls} of {human.count(total.tasks, 'task')} below {safe(str(setting.root))}",
    )
    columns = (
        Figure(COUNTED[found.counted], number("runs"), 60),
        Figure("INPUT", lambda group: human.tokens(group.input_tokens), 70),
        Figure("OUTPUT", lambda group: human.tokens(group.output_tokens), 70),
        Figure("COST", money),
        Figure("SHARE", lambda group: _share(group, total), 50),
        Figure("NO PRICE", number("unpriced"), 65),
    )
    if shown:
        screen.lines(figures.table(shown, options.group_by, columns, screen))
    return 0


def _share(group: Group, total: Group) -> str:
    return f"{group.cost_usd * 100 / total.cost_usd:.0f}%" if group.cost_usd and total.cost_usd else ""
