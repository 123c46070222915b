"""``agentlog prune``: delete and compress by the limits; with ``--dry-run`` print what would be."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from dataclasses import replace

from otel_agentlog.settings.fields import load, read_config_file
from otel_agentlog.settings.parsers import size
from otel_agentlog.store.retention.policy import RetentionLimits, limits_of
from otel_agentlog.store.retention.prune import prune
from otel_agentlog.store.retention.report import Deleted, PruneReport
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.cli.values import number_from, whole_number
from otel_agentlog.view.render import formats
from otel_agentlog.view.render.screen import Column, Piece, Pieces, Screen, short_table
from otel_agentlog.vocabulary.terminal_text import safe

WAIT_S = 10.0
"""Longest time, in seconds, to wait for another process that prunes."""

MAX_LISTED = 20
"""Most rows of a list of text; with ``--json`` there is no limit."""

_COLUMNS = (Column(""), Column("TASK", min_width=20), Column("ENDED"), Column("SIZE", right=True), Column("WHY"), Column(""))
_REASONS = {"age": "too old", "count": "too many", "quota": "over the quota"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("--dry-run", action="store_true", help="change nothing, tell what would be done")
    parser.add_argument(
        "--keep-days",
        type=number_from(0, math.inf, "a number of days"),
        metavar="N",
        help="delete tasks that ended more than N days ago (default: TASK_LOGS_RETENTION_DAYS)",
    )
    parser.add_argument(
        "--keep-tasks",
        type=whole_number("a number of tasks"),
        metavar="N",
        help="keep at most N tasks, delete the oldest finished ones (default: TASK_LOGS_MAX_TASKS)",
    )
    parser.add_argument(
        "--max-bytes",
        type=_size,
        metavar="SIZE",
        help="keep at most SIZE, such as 500MB or 2GiB, delivered or not (default: TASK_LOGS_MAX_BYTES)",
    )
    parser.add_argument(
        "--compress", action="store_true", help="compress every finished task now, not only after TASK_LOGS_COMPRESS_AFTER_DAYS"
    )


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Prune once below the root; 1 if another process prunes all the while."""
    limits = _limits(options)
    report = prune(context.root, limits, dry_run=options.dry_run, wait_s=WAIT_S)
    if options.json:
        print_json({"root": str(context.root), **report.as_json()})
    elif report.ran:
        context.screen().lines(_lines(report, limits, context, context.screen()))
    if not report.ran:
        print("agentlog prune: another process is at it", file=sys.stderr)
    return int(not report.ran)


def _limits(options: argparse.Namespace) -> RetentionLimits:
    """The limits of the settings, with those of the command line in their place."""
    found = limits_of(load({}, None if options.root else read_config_file()))
    if options.keep_days is not None:
        found = replace(found, retention_days=options.keep_days)
    if options.keep_tasks is not None:
        found = replace(found, max_tasks=options.keep_tasks)
    if options.max_bytes is not None:
        found = replace(found, max_bytes=options.max_bytes)
    return replace(found, compress_after_days=0.0) if options.compress else found


def _size(text: str) -> int:
    try:
        return size("--max-bytes", text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).partition(": ")[2]) from None


def _lines(report: PruneReport, limits: RetentionLimits, context: CliContext, screen: Screen) -> Iterator[Pieces]:
    root, would = safe(str(context.root)), "Would delete" if report.dry_run else "Deleted"
    if not limits.is_set:
        yield [Piece("No limit is set: give one (agentlog prune --help), or set TASK_LOGS_RETENTION_DAYS and the like.", "warn")]
    freed = sum(each.size_bytes for each in report.deleted)
    amount = f", {formats.size(freed)}" if report.deleted else ""
    yield [
        Piece(f"{would} {len(report.deleted):,} of {formats.count(report.tasks, 'task')}{amount}", "title"),
        Piece(f" below {root}."),
    ]
    yield from short_table(_COLUMNS, report.deleted, _row, MAX_LISTED, screen)
    if report.compressed:
        before, after = (sum(getattr(each, key) for each in report.compressed) for key in ("before_bytes", "after_bytes"))
        word = "Would compress" if report.dry_run else "Compressed"
        sizes = f"{formats.size(before)} {screen.glyphs.arrow} {formats.size(after)}"
        yield [Piece(f"{word} {formats.count(len(report.compressed), 'task')}", "title"), Piece(f": {sizes}.")]
    if report.finished:
        word = "Would finish" if report.dry_run else "Finished"
        yield [Piece(f"{word} deleting {formats.count(len(report.finished), 'task')} that an earlier run had begun with.")]
    yield from _warnings(report)
    yield from _left(report, screen)


def _row(deleted: Deleted) -> Pieces:
    return [
        Piece(" "),
        Piece(safe(deleted.task_id), "id"),
        Piece(formats.moment(deleted.ended_ns), "dim"),
        Piece(formats.size(deleted.size_bytes)),
        Piece(_REASONS[deleted.reason.value]),
        Piece(f"{formats.count(deleted.undelivered, 'item')} undelivered" if deleted.undelivered else "", "bad"),
    ]


def _warnings(report: PruneReport) -> Iterator[Pieces]:
    word = "would be" if report.dry_run else "were"
    if report.dropped:
        yield [Piece(f"{formats.count(report.dropped, 'item')} {word} deleted before the collector had them.", "bad")]
    if report.waiting:
        yield [
            Piece(f"{formats.count(report.waiting, 'task')} past the limits and kept until the collector has all of it.", "warn")
        ]
    over = [formats.count(report.tasks_over, "task")] if report.tasks_over else []
    over += [formats.size(report.bytes_over)] if report.bytes_over else []
    if over:
        yield [Piece(f"Still {' and '.join(over)} over the limits, which nothing that may go would change.", "warn")]
    if over and report.busy:
        verb = "is" if report.busy == 1 else "are"
        yield [Piece(f"{formats.count(report.busy, 'task')} {verb} unfinished, in use, or changed a moment ago.", "warn")]


def _left(report: PruneReport, screen: Screen) -> Iterator[Pieces]:
    if not report.left.count:
        return
    yield [Piece(f"Left alone, {formats.count(report.left.count, 'finding')}:", "warn")]
    for each in report.left.listed[:MAX_LISTED]:
        yield [Piece(f"  {safe(each.name)}: {safe(each.reason)}")]
    if report.left.count > MAX_LISTED:
        yield [Piece(f"  {screen.glyphs.ellipsis} and {report.left.count - MAX_LISTED:,} more", "dim")]
