"""``agentlog recost``: what AI calls would cost by today's prices, beside what was recorded. Changes nothing."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from otel_agentlog.query import EndedCall, Recost, Recosted, ended_calls, folders, has_ended, recost, resolve
from otel_agentlog.settings.fields import load, read_config_file
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.cli.options import filter_arguments, filter_of, reading_progress
from otel_agentlog.view.render import formats
from otel_agentlog.view.render.screen import Column, Piece, Pieces, Progress, Screen, table
from otel_agentlog.vocabulary.terminal_text import safe

_COLUMNS = (
    Column("MODEL", min_width=12),
    Column("CALLS", right=True, priority=60),
    Column("RECORDED", right=True),
    Column("TODAY", right=True),
    Column("DIFFERENCE", right=True, priority=80),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("tasks", metavar="TASK", nargs="*", help="these tasks (default: those that the options choose)")
    filter_arguments(parser, positional=False)


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Print what the calls of finished tasks cost as recorded, and by today's prices."""
    # Imported here, as it takes longer than all the rest.
    from otel_agentlog.record.providers.pricing import PriceTable

    price = PriceTable(load({}, read_config_file()).prices).cost
    selected = _selected(options, context)
    tasks = [task for task in selected if has_ended(task)]
    found = recost(_calls(tasks), price)
    not_ended = len(selected) - len(tasks)
    if options.json:
        print_json(
            {
                "root": str(context.root),
                "tasks": len(tasks),
                "not_ended": not_ended,
                "price_sources": found.sources,
                "models": [each.as_json() for each in found.models],
                "total": found.total.as_json(),
            }
        )
    else:
        _show(found, len(tasks), not_ended, context)
    return 0


def _selected(options: argparse.Namespace, context: CliContext) -> list[TaskReader]:
    if options.tasks:
        named = {task.folder: task for task in (resolve(context.root, name) for name in options.tasks)}
        return list(named.values())
    with reading_progress() as progress:
        return [TaskReader(folder) for folder in folders(context.root, filter_of(options), progress=progress)]


def _calls(tasks: Sequence[TaskReader]) -> Iterator[EndedCall]:
    with Progress() as progress:
        for number, task in enumerate(tasks):
            progress.show(f"{number:,} of {formats.count(len(tasks), 'task')}")
            yield from ended_calls(task)


def _show(found: Recost, tasks: int, not_ended: int, context: CliContext) -> None:
    screen = context.screen()
    calls = formats.count(found.total.calls, "AI call")
    screen.line(f"{calls} of {formats.count(tasks, 'task')} below {safe(str(context.root))}")
    if found.models:
        screen.lines(table(_COLUMNS, _rows(found, screen), screen))
    if not_ended:
        screen.line(Piece(f"{formats.count(not_ended, 'task')} left out: not ended", "dim"))
    if found.total.not_repriced and not _has_price_table():
        screen.line(Piece("There is no price table: pip install 'otel_agentlog[prices]', or the setting prices.", "dim"))


def _has_price_table() -> bool:
    """Whether the optional package with the prices of many models is installed (extra ``prices``)."""
    from otel_agentlog.record.providers.pricing import PriceTable

    return PriceTable().load()


def _rows(found: Recost, screen: Screen) -> Iterator[Pieces]:
    for each in found.models:
        name = Piece(screen.glyphs.dash, "dim") if each.model is None else Piece(safe(each.model), "title")
        yield [name, *_cells(each)]
    yield [Piece("all", "dim"), *_cells(found.total)]


def _cells(sums: Recosted) -> Pieces:
    return [
        Piece(f"{sums.calls:,}"),
        Piece(_money(sums.recorded_usd, sums.unpriced), "money"),
        Piece(_money(sums.repriced_usd, sums.not_repriced), "money"),
        _difference(sums.difference_usd),
    ]


def _money(amount_usd: float | None, unknown: int) -> str:
    return formats.usd(amount_usd) + ("+" if unknown and amount_usd is not None else "")


def _difference(amount_usd: float | None) -> Piece:
    if amount_usd is None:
        return Piece("")
    sign = "+" if amount_usd > 0 else "-" if amount_usd < 0 else ""
    return Piece(sign + formats.usd(abs(amount_usd)), "bad" if amount_usd > 0 else "ok" if amount_usd < 0 else "")
