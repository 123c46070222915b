"""``agentlog recost``: what AI calls would cost by today's prices, beside what was recorded. Changes nothing."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from otel_agentlog.query import EndedCall, Recost, Recosted, ended_calls, folders, has_ended, recost, resolve
from otel_agentlog.settings.fields import load, read_config_file
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.cli.frame import Setting, print_json
from otel_agentlog.view.cli.options import filter_arguments, filter_of, reading
from otel_agentlog.view.render import human
from otel_agentlog.view.render.screen import Column, Piece, Progress, Screen, lay_out
from otel_agentlog.vocabulary.terminal_text import safe


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("tasks", metavar="TASK", nargs="*", help="these tasks (default: those that the options choose)")
    filter_arguments(parser)


def run(options: argparse.Namespace, setting: Setting) -> int:
    """Tell what the calls of finished tasks cost then and would cost now."""
    # Only here: what records takes longer to import than all the rest.
    from otel_agentlog.tools.prices import todays_prices

    price = todays_prices(load({}, read_config_file()).prices)
    chosen = _chosen(options, setting)
    tasks = [task for task in chosen if has_ended(task)]
    found = recost(_calls(tasks), price)
    not_ended = len(chosen) - len(tasks)
    if options.json:
        print_json(
            {
                "root": str(setting.root),
                "tasks": len(tasks),
                "not_ended": not_ended,
                "price_sources": found.sources,
                "models": [each.as_json() for each in found.models],
                "total": found.total.as_json(),
            }
        )
    else:
        _show(found, len(tasks), not_ended, setting)
    return 0


def _chosen(options: argparse.Namespace, setting: Setting) -> list[TaskReader]:
    if options.tasks:
        named = {task.folder: task for task in (resolve(setting.root, name) for name in options.tasks)}
        return list(named.values())
    with reading() as progress:
        return [TaskReader(folder) for folder in folders(setting.root, filter_of(options), progress=progress)]


def _calls(tasks: Sequence[TaskReader]) -> Iterator[EndedCall]:
    with Progress() as progress:
        for number, task in enumerate(tasks):
            progress.show(f"{number:,} of {human.count(len(tasks), 'task')}")
            yield from ended_calls(task)


def _show(found: Recost, tasks: int, not_ended: int, setting: Setting) -> None:
    screen = setting.screen()
    calls = human.count(found.total.calls, "AI call")
    screen.line(f"{calls} of {human.count(tasks, 'task')} below {safe(str(setting.root))}")
    if found.models:
        screen.lines(lay_out(_columns(found, screen), screen.columns, screen.glyphs.ellipsis))
    if not_ended:
        screen.line(Piece(f"{human.count(not_ended, 'task')} left out: not ended", "dim"))
    if found.total.not_repriced and not _has_table():
        screen.line(Piece("There is no price table: pip install 'otel-agentlog[prices]', or the setting prices.", "dim"))


def _has_table() -> bool:
    from otel_agentlog.tools.prices import has_price_table

    return has_price_table()


def _columns(found: Recost, screen: Screen) -> list[Column]:
    columns = [
        Column("MODEL", least=12),
        Column("CALLS", right=True, worth=60),
        Column("RECORDED", right=True),
        Column("TODAY", right=True),
        Column("DIFFERENCE", right=True, worth=80),
    ]
    rows = [(each, each.model) for each in found.models] + [(found.total, "all")]
    for sums, name in rows:
        shown = Piece(screen.glyphs.dash, "dim") if name is None else Piece(safe(name), "dim" if sums is found.total else "title")
        for column, cell in zip(columns, [shown, *_cells(sums)], strict=True):
            column.cells.append(cell)
    return columns


def _cells(sums: Recosted) -> list[Piece]:
    return [
        Piece(f"{sums.calls:,}"),
        Piece(_money(sums.recorded_usd, sums.unpriced), "money"),
        Piece(_money(sums.repriced_usd, sums.not_repriced), "money"),
        _difference(sums.difference_usd),
    ]


def _money(amount_usd: float | None, unknown: int) -> str:
    return human.usd(amount_usd) + ("+" if unknown and amount_usd is not None else "")


def _difference(amount_usd: float | None) -> Piece:
    if amount_usd is None:
        return Piece("")
    sign = "+" if amount_usd > 0 else "-" if amount_usd < 0 else ""
    return Piece(sign + human.usd(abs(amount_usd)), "bad" if amount_usd > 0 else "ok" if amount_usd < 0 else "")
