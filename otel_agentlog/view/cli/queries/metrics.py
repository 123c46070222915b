"""``agentlog metrics``: a report of a period, how it stands now, or everything as Prometheus text."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from otel_agentlog.query import Filter, Group, Overview, overview, statistics
from otel_agentlog.view.cli.frame import Setting, print_json
from otel_agentlog.view.cli.options import filter_arguments, filter_of, reading
from otel_agentlog.view.render import figures, human, words
from otel_agentlog.view.render.figures import DURATIONS, Figure, failed, money, number, rate, seconds, tokens
from otel_agentlog.view.render.screen import Piece, Screen
from otel_agentlog.vocabulary.terminal_text import safe

DAY_S = 86_400
_NS = 1_000_000_000
_SECTIONS = ("day", "agent", "model", "tool")


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
    filter_arguments(parser)


def run(options: argparse.Namespace, setting: Setting) -> int:
    """Tell it."""
    if options.prometheus:
        from otel_agentlog.view.render.prometheus import prometheus_text

        with reading():
            sys.stdout.write(prometheus_text(setting.root, filter_of(options)))
        return 0
    return _report(options, setting) if options.report else _current(options, setting)


# -- now ------------------------------------------------------------------------------------------------------------------


def _current(options: argparse.Namespace, setting: Setting) -> int:
    now_ns = time.time_ns()
    window_s = DAY_S if options.since is None else max(1.0, now_ns / _NS - options.since)
    found = overview(setting.root, now_ns=now_ns, window_s=window_s)
    if options.json:
        print_json({"root": str(setting.root), **_overview_as_json(found)})
    else:
        setting.screen().lines(_now(found, setting.screen()))
    return 0


def _overview_as_json(found: Overview) -> dict[str, Any]:
    groups = {name: [asdict(group) for group in getattr(found, name)] for name in ("agents", "tools", "models")}
    rows = {name: [row.as_json() for row in getattr(found, name)] for name in ("running_rows", "recent_rows")}
    plain = ("now_ns", "window_s", "running", "paused", "pending", "cost_today_usd", "errors_by_category")
    return {**{name: getattr(found, name) for name in plain}, "totals": asdict(found.totals), **groups, **rows}


def _now(found: Overview, screen: Screen) -> Iterator[list[Piece]]:
    total, took = found.totals, found.totals.duration_seconds
    yield [
        Piece(f"{found.running:,} running", "run"),
        Piece(f"  {found.paused:,} paused  {found.pending:,} pending", "dim"),
        Piece(f"   today {human.usd(found.cost_today_usd or 0.0)}", "money"),
    ]
    yield [
        Piece(f"last {human.duration(found.window_s * 1000)}: ", "dim"),
        Piece(human.count(total.tasks, "task"), "title"),
        Piece(f"  {rate(total).text or '–'} successful", rate(total).style),
        Piece(f"  average {seconds(took.average) or '–'}  p95 {seconds(took.p95) or '–'}"),
        Piece(f"  {tokens(total) or '0'} tokens  {human.count(total.errors, 'error')}"),
    ]
    for row in found.running_rows:
        took_s = row.metrics.get("duration_seconds")
        yield [
            *(Piece("  "), words.sign(row.status, screen.glyphs), Piece("  "), Piece(safe(row.task_id), "id")),
            *(Piece("  "), Piece(safe(row.name), "title")),
            Piece(f"  {seconds(took_s) if isinstance(took_s, (int, float)) else ''}", "dim"),
        ]
    if found.errors_by_category:
        told = "  ".join(f"{safe(category)} {count:,}" for category, count in found.errors_by_category.items())
        yield [Piece("errors: ", "dim"), Piece(told, "error")]
    for title, groups in (("agent", found.agents), ("model", found.models), ("tool", found.tools)):
        if groups:
            yield []
            yield from figures.table(groups, title, _COLUMNS, screen)


# -- a period -------------------------------------------------------------------------------------------------------------

_COLUMNS = (
    Figure("COUNT", number("runs")),
    Figure("OK", rate, 90),
    Figure("FAILED", failed, 85),
    *DURATIONS,
    Figure("TOKENS", tokens, 50),
    Figure("COST", money, 75),
    Figure("ERRORS", number("errors"), 60),
)


def _report(options: argparse.Namespace, setting: Setting) -> int:
    if options.since is None:
        options.since = time.time() - timedelta(days=7).total_seconds()
    asked = filter_of(options)
    with reading() as progress:
        total = statistics(setting.root, asked, progress=progress).groups[0]
    sections = {kind: statistics(setting.root, asked, group_by=kind).groups for kind in _SECTIONS}
    if options.json:
        groups = {f"by_{kind}": [asdict(group) for group in found] for kind, found in sections.items()}
        period = {"since_ns": asked.since_ns, "until_ns": asked.until_ns}
        print_json({"root": str(setting.root), **period, "total": asdict(total), **groups})
        return 0
    screen = setting.screen()
    screen.lines(_told(asked, total, sections, screen))
    return 0


def _told(asked: Filter, total: Group, sections: dict[str, list[Group]], screen: Screen) -> Iterator[list[Piece]]:
    until = human.full_moment(asked.until_ns or time.time_ns())
    yield [Piece(f"{human.full_moment(asked.since_ns)} {screen.glyphs.dash} {until}", "title")]
    yield from figures.table([total], "all", _COLUMNS, screen)
    for kind, groups in sections.items():
        if groups:
            yield []
            yield from figures.table(groups, kind, _COLUMNS, screen)
