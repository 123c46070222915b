"""``agentlog metrics``: the present and the last day, a report of a period, or all figures as Prometheus text."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from otel_agentlog.query import Filter, Group, Overview, overview, statistics_by
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.cli.options import filter_arguments, filter_of, minutes_ago, reading_progress
from otel_agentlog.view.render import formats, labels
from otel_agentlog.view.render.group_table import DURATIONS, GroupColumn, cost, count, failed, group_table, success_rate, tokens
from otel_agentlog.view.render.screen import Piece, Pieces, Screen
from otel_agentlog.vocabulary.coerce import number
from otel_agentlog.vocabulary.terminal_text import safe

DAY_S = 86_400
_NS = 1_000_000_000
_SECTIONS = ("day", "agent", "model", "tool")
_COLUMNS = (
    GroupColumn("COUNT", count("runs")),
    GroupColumn("OK", success_rate, 90),
    GroupColumn("FAILED", failed, 85),
    *DURATIONS,
    GroupColumn("TOKENS", tokens, 50),
    GroupColumn("COST", cost, 75),
    GroupColumn("ERRORS", count("errors"), 60),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--current", action="store_true", help="how it stands: what runs, and the last 24 hours or since --since (default)"
    )
    what.add_argument(
        "--report", action="store_true", help="a report of a period: by day, agent, model and tool (default: the last 7 days)"
    )
    what.add_argument(
        "--prometheus", action="store_true", help="all figures as Prometheus text, as /metrics of the server has them"
    )
    parser.add_argument(
        "--period", dest="since", type=minutes_ago, metavar="MINUTES", help="the last minutes, or a period such as 24h"
    )
    filter_arguments(parser)


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Print the present, a report, or Prometheus text."""
    if options.prometheus:
        from otel_agentlog.view.render.prometheus import prometheus_text

        with reading_progress():
            sys.stdout.write(prometheus_text(context.root, filter_of(options)))
        return 0
    return _report(options, context) if options.report else _current(options, context)


def _current(options: argparse.Namespace, context: CliContext) -> int:
    now_ns = time.time_ns()
    window_s = DAY_S if options.since is None else max(1.0, now_ns / _NS - options.since)
    found = overview(context.root, now_ns=now_ns, window_s=window_s)
    if options.json:
        print_json({"root": str(context.root), **_overview_as_json(found)})
    else:
        screen = context.screen()
        for line in _current_lines(found, screen):
            screen.text(*line)
    return 0


def _overview_as_json(found: Overview) -> dict[str, Any]:
    groups = {name: [asdict(group) for group in getattr(found, name)] for name in ("agents", "tools", "models")}
    rows = {name: [row.as_json() for row in getattr(found, name)] for name in ("running_rows", "recent_rows")}
    plain = ("now_ns", "window_s", "running", "paused", "pending", "cost_today_usd", "unpriced_today", "errors_by_category")
    return {**{name: getattr(found, name) for name in plain}, "totals": asdict(found.totals), **groups, **rows}


def _current_lines(found: Overview, screen: Screen) -> Iterator[Pieces]:
    total, took = found.totals, found.totals.duration_seconds
    yield [
        Piece(f"{found.running:,} running", "run"),
        Piece(f"  {found.paused:,} paused  {found.pending:,} pending", "dim"),
        Piece(f"   today {formats.usd(found.cost_today_usd, partly=found.unpriced_today)}", "money"),
    ]
    yield [
        Piece(f"last {formats.duration(found.window_s * 1000)}: ", "dim"),
        Piece(formats.count(total.tasks, "task"), "title"),
        Piece(f"  {success_rate(total).text or '–'} successful", success_rate(total).style),
        Piece(f"  average {formats.seconds(took.average) or '–'}  p95 {formats.seconds(took.p95) or '–'}"),
        Piece(f"  {tokens(total) or '0'} tokens  {formats.count(total.errors, 'error')}"),
    ]
    for row in found.running_rows:
        yield [
            *(Piece("  "), labels.sign(row.status, screen.glyphs), Piece("  "), Piece(safe(row.task_id), "id")),
            *(Piece("  "), Piece(safe(row.name), "title")),
            Piece(f"  {formats.seconds(number(row.metrics, 'duration_seconds'))}", "dim"),
        ]
    if found.errors_by_category:
        by_category = "  ".join(f"{safe(category)} {errors:,}" for category, errors in found.errors_by_category.items())
        yield [Piece("errors: ", "dim"), Piece(by_category, "error")]
    for title, groups in (("agent", found.agents), ("model", found.models), ("tool", found.tools)):
        if groups:
            yield []
            yield from group_table(groups, title, _COLUMNS, screen)


def _report(options: argparse.Namespace, context: CliContext) -> int:
    if options.since is None:
        options.since = time.time() - timedelta(days=7).total_seconds()
    wanted = filter_of(options)
    with reading_progress() as progress:
        whole, *found = statistics_by(context.root, wanted, (None, *_SECTIONS), progress=progress)
    total, sections = whole.groups[0], {kind: each.groups for kind, each in zip(_SECTIONS, found, strict=True)}
    if options.json:
        groups = {f"by_{kind}": [asdict(group) for group in found] for kind, found in sections.items()}
        period = {"since_ns": wanted.since_ns, "until_ns": wanted.until_ns}
        print_json({"root": str(context.root), **period, "total": asdict(total), **groups})
        return 0
    screen = context.screen()
    if not total.tasks:
        screen.text(f"No tasks below {safe(str(context.root))} from {_period(wanted, screen)}.")
        context.print_hints(wanted)
        return 0
    screen.lines(_report_lines(wanted, total, sections, screen))
    return 0


def _period(wanted: Filter, screen: Screen) -> str:
    until = formats.full_moment(wanted.until_ns or time.time_ns())
    return f"{formats.full_moment(wanted.since_ns)} {screen.glyphs.dash} {until}"


def _report_lines(wanted: Filter, total: Group, sections: dict[str, list[Group]], screen: Screen) -> Iterator[Pieces]:
    yield [Piece(_period(wanted, screen), "title")]
    yield from group_table([total], "all", _COLUMNS, screen)
    for kind, groups in sections.items():
        if groups:
            yield []
            yield from group_table(groups, kind, _COLUMNS, screen)
