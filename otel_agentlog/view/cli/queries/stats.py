"""``agentlog stats``: figures of tasks: how many, how they ended, how long they took, what they spent."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from otel_agentlog.query import GROUPS, Group, Statistics
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.cli.options import filter_arguments, filter_of, reading_progress
from otel_agentlog.view.render import formats, labels
from otel_agentlog.view.render.group_table import (
    DURATIONS,
    GroupColumn,
    cost,
    count,
    failed,
    group_table,
    score_columns,
    success_rate,
    tokens,
)
from otel_agentlog.view.render.screen import Piece, Pieces, Screen
from otel_agentlog.vocabulary.terminal_text import safe

COUNTED = {"tasks": "TASKS", "ai_calls": "CALLS", "tool_runs": "RUNS"}

_COLUMNS = (
    GroupColumn("OK", success_rate, 95),
    GroupColumn("FAILED", failed, 85),
    *DURATIONS,
    GroupColumn("TOKENS", tokens, 50),
    GroupColumn("COST", cost, 75),
    GroupColumn("RETRIES", count("retries"), 20),
    GroupColumn("ERRORS", count("errors"), 60),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("--group-by", choices=GROUPS, metavar="KEY", help=f"a row for each: {', '.join(GROUPS)}")
    filter_arguments(parser)


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Print the figures of the tasks below the root."""
    wanted = filter_of(options)
    with reading_progress() as progress:
        (found,) = context.statistics(wanted, (options.group_by,), progress)
    if options.json:
        print_json(as_json(context, found, options.group_by))
        return 0
    screen = context.screen()
    if not any(group.runs for group in found.groups):
        screen.text(f"No task below {safe(str(context.root))} is like that.")
        context.print_hints(wanted)
    elif options.group_by is None:
        for line in _one(found.groups[0], screen):
            screen.text(*line)
    else:
        counted = GroupColumn(COUNTED[found.counted], count("runs"))
        screen.lines(group_table(found.groups, options.group_by, (counted, *_COLUMNS, *score_columns(found.groups)), screen))
    return 0


def as_json(context: CliContext, found: Statistics, group_by: str | None) -> dict[str, Any]:
    """The figures as JSON."""
    groups = [asdict(group) for group in found.groups]
    return {"root": str(context.root), "group_by": group_by, "counted": found.counted, "groups": groups}


def _one(group: Group, screen: Screen) -> Iterator[Pieces]:
    yield [Piece(formats.count(group.tasks, "task"), "title"), *_outcomes(group)]
    took, seconds = group.duration_seconds, formats.seconds
    if took.p50 is not None:
        yield _row("duration", f"p50 {seconds(took.p50)} p90 {seconds(took.p90)} p95 {seconds(took.p95)} p99 {seconds(took.p99)}")
        yield _row("", f"average {seconds(took.average)}  longest {seconds(took.maximum)}  together {seconds(took.total)}")
    calls = f"{group.ai_calls:,} AI {'call' if group.ai_calls == 1 else 'calls'}"
    steps = f"{formats.count(group.tool_runs, 'tool run')}  {formats.count(group.steps, 'step')}"
    yield _row("work", f"{calls}  {steps}  {formats.count(group.retries, 'retry', 'retries')}")
    arrow = screen.glyphs.arrow
    yield _row("tokens", f"{formats.tokens(group.input_tokens)}{arrow}{formats.tokens(group.output_tokens)}")
    unpriced = f"  {formats.count(group.unpriced, 'task')} of unknown cost" if group.unpriced else ""
    yield _row("cost", formats.usd(group.cost_usd) + unpriced)
    yield _row("errors", f"{group.errors:,}")
    if group.scores:
        means = {name: labels.score(each.mean) for name, each in group.scores.items()}
        shown = (f"{safe(name)} {mean or formats.UNKNOWN} ({group.scores[name].count:,})" for name, mean in means.items())
        yield _row("scores", "  ".join(shown))


def _outcomes(group: Group) -> Iterator[Piece]:
    for status, number in sorted(group.by_status.items(), key=lambda entry: -entry[1]):
        yield labels.state(status, f"  {number:,} ")
    if group.success_rate is not None:
        yield Piece(f"  {success_rate(group).text} successful", success_rate(group).style)


def _row(title: str, value: str) -> Pieces:
    return [Piece(f"  {title:<10}", "dim"), Piece(value)]
