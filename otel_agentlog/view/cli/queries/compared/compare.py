"""``agentlog compare``: two groups of tasks beside each other, and conditions on what they differ in."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from otel_agentlog.errors import FilterError
from otel_agentlog.query import (
    Change,
    GroupComparison,
    Side,
    Threshold,
    ThresholdResult,
    compare,
    hints,
    parse_threshold,
    side_of,
)
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.cli.damage import tell_damage
from otel_agentlog.view.cli.options import filter_arguments, filter_of, reading_progress, whole
from otel_agentlog.view.render import comparison, formats, labels
from otel_agentlog.view.render.screen import Column, Piece, Pieces, Screen, table
from otel_agentlog.vocabulary.terminal_text import safe

MET = 3
"""The exit code where a condition to fail on is met."""
UNKNOWN = 4
"""The exit code where none is met and one could not be decided: too few tasks, a figure of which nothing is known."""

_COLUMNS = (
    Column(""),
    Column("A", right=True),
    Column("B", right=True),
    Column("CHANGE", right=True),
    Column("95 % INTERVAL", priority=60),
)
_SIDE = "a filter, a task's id, a path to another root or a task's folder; with --by a value"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("a", metavar="A", help=f"what was before: {_SIDE}")
    parser.add_argument("b", metavar="B", help="what it is compared with, likewise")
    parser.add_argument("--by", metavar="KEY", help="A and B are values of this field: agent, model, tag, tool …")
    parser.add_argument(
        "--fail-if",
        metavar="CONDITION",
        action="append",
        default=[],
        help=f"exit with {MET} if 'cost>+10%%', 'success<-5pp', 'duration_p95>2m' …; can be given several times",
    )
    parser.add_argument("--no-intervals", action="store_true", help="no confidence intervals, for which scipy is needed")
    parser.add_argument("--no-steps", action="store_true", help="do not read tasks to find the steps in which they part")
    parser.add_argument("--seed", type=whole, default=0, metavar="N", help="of the resamples (default 0)")
    parser.add_argument("--all", action="store_true", help="also figures that are 0 in both")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--markdown", action="store_true", help="print a report for a pull request")
    kinds.add_argument("--csv", action="store_true", help="print a row for each figure")
    filter_arguments(parser, positional=False)


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Print what differs; 1 if a side has no tasks, `MET` or `UNKNOWN` by the conditions."""
    thresholds = [_threshold(text) for text in options.fail_if]
    if options.no_intervals and (significant := next((each for each in thresholds if each.significant), None)) is not None:
        raise FilterError(f"--fail-if {str(significant)!r} needs intervals: expected no --no-intervals beside it")
    narrowing = filter_of(options)
    a, b = (side_of(context.root, text, by=options.by, narrowing=narrowing) for text in (options.a, options.b))
    with reading_progress() as progress:
        found = compare(
            a,
            b,
            thresholds=thresholds,
            with_intervals=not options.no_intervals,
            with_ways=not options.no_steps,
            seed=options.seed,
            progress=progress,
        )
    _print(found, options, context)
    for root in sorted({a.root, b.root} - {context.root}):
        tell_damage(root)
    empty = [side for side in (found.a, found.b) if not side.tasks]
    _print_empty(found, [side.side for side in empty])
    return _code(found.results) or int(bool(empty))


def _threshold(text: str) -> Threshold:
    try:
        return parse_threshold(text)
    except FilterError as error:
        raise FilterError(f"--fail-if {text[:60]!r}: {error}", error.position) from None


def _code(results: Sequence[ThresholdResult]) -> int:
    if any(each.holds for each in results):
        return MET
    return UNKNOWN if any(each.holds is None for each in results) else 0


def _print_empty(found: GroupComparison, empty: Sequence[Side]) -> None:
    for side in empty:
        print(f"No task that ended is like {safe(side.said)} below {safe(str(side.root))}.", file=sys.stderr)
        for hint in hints(side.root, side.wanted):
            print(safe(hint), file=sys.stderr)


def _print(found: GroupComparison, options: argparse.Namespace, context: CliContext) -> None:
    if options.json:
        print_json(found.as_json())
    elif options.csv:
        sys.stdout.write(comparison.as_csv(found))
    elif options.markdown:
        for line in comparison.markdown(found, everything=options.all):
            print(line)
    else:
        screen = context.screen()
        screen.lines(_lines(found, screen, everything=options.all))
        for sentence in comparison.sentences(found):
            screen.text(sentence)
        for result in found.results:
            style = {True: "bad", False: "ok", None: "warn"}[result.holds]
            glyphs = screen.glyphs
            signs = {True: glyphs.bad, False: glyphs.ok, None: "?"}
            screen.text(Piece(comparison.verdict(result, signs), style))


def _lines(found: GroupComparison, screen: Screen, *, everything: bool) -> Iterator[Pieces]:
    for letter, side in (("A", found.a), ("B", found.b)):
        line = [Piece(f"{letter}  ", "title"), Piece(safe(side.side.said), "id"), Piece(f"  {formats.count(side.tasks, 'task')}")]
        line += [labels.state(status, f"  {count:,} ") for status, count in side.by_status.items()]
        left_out = comparison.left_out(side)
        yield [*line, *([Piece(f"  {left_out}", "warn")] if left_out else [])]
    yield [Piece("")]
    rows = [_row(change, screen) for change in found.changes if everything or comparison.is_shown(change)]
    yield from table(_COLUMNS, rows, screen)
    yield [Piece("")]


def _row(change: Change, screen: Screen) -> Pieces:
    style = {None: "title" if change.is_beyond_chance else "", True: "bad", False: "ok"}[comparison.is_worse(change)]
    values = [Piece(comparison.amount(change.unit, side.value)) for side in (change.a, change.b)]
    to = screen.glyphs.ellipsis
    interval_style = "" if change.difference_interval is not None else "dim"
    interval = Piece(comparison.interval(change, to), interval_style)
    return [Piece(comparison.name(change), "dim"), *values, Piece(comparison.changed(change), style), interval]
