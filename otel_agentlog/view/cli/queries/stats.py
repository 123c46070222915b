"""``agentlog stats``: figures of tasks: how many, how they ended, how long they took, what they spent."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from otel_agentlog.query import GROUPS, Group, Statistics, statistics
from otel_agentlog.view.cli.frame import Setting, print_json
from otel_agentlog.view.cli.options import filter_arguments, filter_of, reading
from otel_agentlog.view.render import figures, human, words
from otel_agentlog.view.render.figures import DURATIONS, Figure, failed, money, number, rate, seconds, tokens
from otel_agentlog.view.render.screen import Piece, Screen
from otel_agentlog.vocabulary.terminal_text import safe

COUNTED = {"tasks": "TASKS", "ai_calls": "CALLS", "tool_runs": "RUNS"}

_COLUMNS = (
    Figure("OK", rate, 95),
    Figure("FAILED", failed, 85),
    *DURATIONS,
    Figure("TOKENS", tokens, 50),
    Figure("COST", money, 75),
    Figure("RETRIES", number("retries"), 20),
    Figure("ERRORS", number("errors"), 60),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    group_argument(parser)
    filter_arguments(parser)


def group_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that groups."""
    parser.add_argument("--group-by", choices=GROUPS, metavar="KEY", help=f"a row for each: {', '.join(GROUPS)}")


def run(options: argparse.Namespace, setting: Setting) -> int:
    """Tell the figures of the tasks below the root."""
    with reading() as progress:
        found = statistics(setting.root, filter_of(options), group_by=options.group_by, progress=progress)
    if options.json:
        print_json(as_json(setting, found, options.group_by))
        return 0
    screen = setting.screen()
    if not any(group.runs for group in found.groups):
        screen.line(f"No task below {safe(str(setting.root))} is like that.")
    elif options.group_by is None:
        screen.lines(_one(found.groups[0], screen))
    else:
        counted = Figure(COUNTED[found.counted], number("runs"))
        screen.lines(figures.table(found.groups, options.group_by, (counted, *_COLUMNS), screen))
    return 0


def as_json(setting: Setting, found: Statistics, group_by: str | None) -> dict[str, Any]:
    """Figures for programs."""
    groups = [asdict(group) for group in found.groups]
    return {"root": str(setting.root), "group_by": group_by, "counted": found.counted, "groups": groups}


def _one(group: Group, screen: Screen) -> Iterator[list[Piece]]:
    yield [Piece(human.count(group.tasks, "task"), "title"), *_ended(group)]
    took = group.duration_seconds
    if took.p50 is not None:
        yield _row("duration", " ".join(f"{name} {seconds(getattr(took, name))}" for name in ("p50", "p90", "p95", "p99")))
        yield _row("", f"average {seconds(took.average)}  longest {seconds(took.maximum)}  together {seconds(took.total)}")
    calls = f"{group.ai_calls:,} AI {'call' if group.ai_calls == 1 else 'calls'}"
    steps = f"{human.count(group.tool_runs, 'tool run')}  {human.count(group.steps, 'step')}"
    yield _row("work", f"{calls}  {steps}  {human.count(group.retries, 'retry', 'retries')}")
    arrow = screen.glyphs.arrow
    yield _row("tokens", f"{human.tokens(group.input_tokens)}{arrow}{human.tokens(group.output_tokens)}")
    yield _row(
        "cost", human.usd(group.cost_usd) + (f"  {human.count(group.unpriced, 'task')} of unknown cost" if group.unpriced else "")
    )
    yield _row("errors", f"{group.errors:,}")


def _ended(group: Group) -> Iterator[Piece]:
    for status, count in sorted(group.by_status.items(), key=lambda entry: -entry[1]):
        yield Piece(f"  {count:,} {words.state_word(status)}", words.STYLE_OF_STATE.get(status, ""))
    if group.success_rate is not None:
        yield Piece(f"  {rate(group).text} successful", rate(group).style)


def _row(title: str, value: str) -> list[Piece]:
    return [Piece(f"  {title:<10}", "dim"), Piece(value)]
