"""``agentlog recover``: close the tasks and spans that dead processes left open."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.query import resolve
from otel_agentlog.store.recovery.recover import Recovered, Repair, recover
from otel_agentlog.tools.collect import HOME
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.render import formats, labels
from otel_agentlog.view.render.screen import Column, Piece, Pieces, Screen, short_table
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.terminal_text import safe

if TYPE_CHECKING:
    from otel_agentlog.export.semconv.conventions import Conventions

MAX_LISTED = 50
"""Most rows of the table; with ``--json`` there is no limit."""

_COLUMNS = (Column(""), Column("TASK", min_width=20), Column("SPANS", right=True), Column("NOW"), Column(""))


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("tasks", metavar="TASK", nargs="*", help="only these tasks (default: every task that changed lately)")
    parser.add_argument("--all", action="store_true", help="look into every folder again, also where all was closed before")
    parser.add_argument("--dry-run", action="store_true", help="change nothing, tell what would be done")


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Repair below the root; 1 if a folder could not be repaired, or what was collected not filed."""
    wanted = [resolve(context.root, name).folder.name for name in options.tasks] or None
    filed = wanted is not None or options.dry_run or _file_collected(context)
    found = recover(context.root, wanted, attributes=_attributes, everything=options.all, dry_run=options.dry_run)
    if options.json:
        print_json({"root": str(context.root), "dry_run": options.dry_run, **_as_json(found)})
    else:
        context.screen().lines(_lines(found, context, context.screen(), dry_run=options.dry_run))
    return int(not filed or any(repair.what == "failed" for repair in found.repairs))


def _file_collected(context: CliContext) -> bool:
    """Make folders of what `agentlog collect` has received and not filed, if none is at work; whether all of it is filed."""
    if not (context.root / HOME).is_dir():
        return True
    # Here, because a root that nothing was collected below needs none of it.
    from otel_agentlog.tools.collect.filing import BusySpoolError
    from otel_agentlog.view.cli.actions.collect import spool_problem
    from otel_agentlog.view.collect.filer import filer_of, settings_of

    try:
        with filer_of(context.root, settings_of(context.root)) as filer:
            filer.file_all()
    except BusySpoolError:
        return True
    except (sqlite3.Error, OSError) as error:
        raise_interrupt()
        _say(spool_problem(context.root, error))
        return False
    for key, problem in filer.report.problems.items():
        _say(f"{key} is kept in the spool: {problem}")
    return not filer.report.problems


def _say(text: str) -> None:
    print(f"agentlog recover: {safe(text)}", file=sys.stderr)


def _attributes(line: Line) -> Mapping[str, Any]:
    return _conventions().end_attributes(line)


@cache
def _conventions() -> Conventions:
    # Imported where something is repaired: the OpenTelemetry SDK takes longer to import than all the rest.
    from otel_agentlog.export.semconv.conventions import Conventions

    return Conventions()


def _as_json(found: Recovered) -> dict[str, Any]:
    return {
        "looked_at": found.looked_at,
        "tasks": [
            {
                "task_id": repair.task_id,
                "folder": str(repair.folder),
                "what": repair.what,
                "spans": repair.spans,
                "status": repair.status,
                "problem": repair.problem,
            }
            for repair in found.repairs
        ],
    }


def _lines(found: Recovered, context: CliContext, screen: Screen, *, dry_run: bool) -> Iterator[Pieces]:
    repaired = found.repaired
    verb = "Would close" if dry_run else "Closed"
    spans = formats.count(sum(repair.spans for repair in repaired), "span")
    looked = formats.count(found.looked_at, "task")
    yield [
        Piece(f"{verb} {formats.count(len(repaired), 'task')}", "title"),
        Piece(f" with {spans}" if repaired else ""),
        Piece(f"; looked at {looked} below {safe(str(context.root))}."),
    ]
    yield from short_table(_COLUMNS, found.repairs, _row, MAX_LISTED, screen)


def _row(repair: Repair) -> Pieces:
    status = labels.state_text(repair.status) if repair.status else ""
    return [Piece(" "), Piece(safe(repair.task_id), "id"), Piece(f"{repair.spans:,}"), Piece(status), _remark(repair)]


def _remark(repair: Repair) -> Piece:
    if repair.what == "held":
        return Piece("left alone: its process is alive", "dim")
    return Piece(safe(repair.problem or ""), "bad")
