"""``agentlog ship``: send to the collector what is in the folders and was not delivered."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from otel_agentlog._startup import dataclass
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.query import resolve
from otel_agentlog.settings.fields import Settings, load, read_config_file
from otel_agentlog.store.delivery.pending import pending_tasks
from otel_agentlog.store.delivery.unsent import UnsentItems
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.cli.context import CliContext, collector_url, print_json
from otel_agentlog.view.cli.options import moment
from otel_agentlog.view.render import formats
from otel_agentlog.view.render.screen import Column, Piece, Pieces, Progress, short_table
from otel_agentlog.vocabulary.coerce import mapping, number
from otel_agentlog.vocabulary.terminal_text import safe

if TYPE_CHECKING:
    from otel_agentlog.export.pipeline.direct import Direct

MAX_LISTED = 20
"""Most rows of the table; with ``--json`` there is no limit."""

_COLUMNS = (Column(""), Column("TASK", min_width=20), Column("PENDING", right=True), Column(""))


@dataclass
class ShippedTask:
    """How many items of one task were sent."""

    task_id: str
    folder: str
    delivered: int = 0
    dropped: int = 0
    pending: int = 0
    """Items that still have to be sent; with ``--dry-run`` those that would be."""
    problem: str | None = None


def _sum(shipped: Iterable[ShippedTask], key: str) -> int:
    return sum(getattr(task, key) for task in shipped)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "tasks", metavar="TASK", nargs="*", help="only these tasks, also what sampling left out (default: whatever waits)"
    )
    parser.add_argument("--all", action="store_true", help="every task of which something waits; the same as naming none")
    parser.add_argument("--since", type=moment, metavar="WHEN", help="only tasks changed since then: 2h, yesterday, 2026-11-20")
    parser.add_argument("--endpoint", metavar="URL", help="the collector (default: as the SDK, OTEL_EXPORTER_OTLP_ENDPOINT)")
    parser.add_argument("--protocol", choices=("http/protobuf", "grpc"), help="how to speak to it (default: as the SDK)")
    parser.add_argument("--dry-run", action="store_true", help="send and change nothing, tell what would be sent")


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Send what is pending; 1 if something still is."""
    settings = _settings(options)
    if options.tasks and options.all:
        raise ConfigurationError("--all", "TASK", "either tasks or all of them")
    tasks: Iterable[TaskReader] = [resolve(context.root, name) for name in options.tasks]
    if not options.tasks:
        tasks = pending_tasks(context.root, since_s=options.since or 0.0, idle_only=False)
    shipped = _dry(tasks, settings, options) if options.dry_run else _ship(tasks, settings, everything=bool(options.tasks))
    if options.json:
        print_json(_as_json(shipped, context, options))
    else:
        context.screen().lines(_lines(shipped, context, settings, dry_run=options.dry_run))
    return int(not options.dry_run and _sum(shipped, "pending") > 0)


def _settings(options: argparse.Namespace) -> Settings:
    given = {key: value for key in ("endpoint", "protocol") if (value := getattr(options, key)) is not None}
    settings = load(given, read_config_file())
    if options.endpoint is not None:
        # An endpoint on the command line is that of every signal.
        settings = replace(settings, traces_endpoint=None, logs_endpoint=None, traces_exporter="otlp", logs_exporter="otlp")
    if not options.dry_run and "otlp" not in (settings.exporter("traces"), settings.exporter("logs")):
        raise ConfigurationError("endpoint", None, "the collector's URL, by --endpoint or OTEL_EXPORTER_OTLP_ENDPOINT")
    return settings


def _ship(tasks: Iterable[TaskReader], settings: Settings, *, everything: bool) -> list[ShippedTask]:
    # Imported where something is sent: the OpenTelemetry SDK takes longer to import than all the rest.
    from otel_agentlog.export.pipeline.direct import Direct

    direct = Direct(settings)
    shipped: list[ShippedTask] = []
    direct.check()
    with Progress() as progress:
        for task in tasks:
            sent = f"{formats.count(_sum(shipped, 'delivered'), 'item')} of {formats.count(len(shipped), 'task')} sent"
            progress.show(f"{sent}, at {safe(task.folder.name)}")
            if direct.gave_up:
                shipped.append(_untried(task))
            else:
                shipped.append(_ship_one(task, settings, direct, everything=everything))
    direct.close()
    return shipped


def _ship_one(task: TaskReader, settings: Settings, direct: Direct, *, everything: bool) -> ShippedTask:
    from otel_agentlog.export.shipping import ship

    try:
        with UnsentItems(task, settings.reason_to_keep, signals=direct.signals, everything=everything) as shipment:
            sent = ship(shipment.unsent(), direct, shipment)
    except BlockingIOError:
        return replace(_untried(task), problem="another process ships it")
    except OSError as error:
        return replace(_untried(task), problem=f"{error.strerror}")
    pending = shipment.counts.pending
    problem = _problem(sent.problems.values(), shipment) if pending else None
    return ShippedTask(task.task_id, str(task.folder), sent.delivered, sent.dropped, pending, problem)


def _problem(problems: Iterable[str], shipment: UnsentItems) -> str:
    reasons = sorted(set(problems))
    if shipment.held:
        reasons.append(f"{formats.count(shipment.held, 'item')} of a process that is still there to send them")
    if shipment.waiting:
        reasons.append(f"{formats.count(shipment.waiting, 'item')} left out by sampling until the task has ended")
    return "; ".join(reasons)


def _untried(task: TaskReader) -> ShippedTask:
    pending = number(mapping(task.metadata() or {}, "delivery"), "pending")
    problem = "not tried: the collector takes nothing"
    return ShippedTask(task.task_id, str(task.folder), pending=int(pending or 0), problem=problem)


def _dry(tasks: Iterable[TaskReader], settings: Settings, options: argparse.Namespace) -> list[ShippedTask]:
    shipped: list[ShippedTask] = []
    for task in tasks:
        with UnsentItems(task, settings.reason_to_keep, everything=bool(options.tasks), dry=True) as shipment:
            waiting = sum(1 for _ in shipment.unsent())
        if waiting:
            shipped.append(ShippedTask(task.task_id, str(task.folder), pending=waiting))
    return shipped


def _as_json(shipped: Sequence[ShippedTask], context: CliContext, options: argparse.Namespace) -> dict[str, Any]:
    sums = {key: _sum(shipped, key) for key in ("delivered", "dropped", "pending")}
    return {"root": str(context.root), "dry_run": options.dry_run, **sums, "tasks": [vars(each) for each in shipped]}


def _lines(shipped: Sequence[ShippedTask], context: CliContext, settings: Settings, *, dry_run: bool) -> Iterator[Pieces]:
    pending, delivered = _sum(shipped, "pending"), _sum(shipped, "delivered")
    if dry_run:
        tasks = formats.count(len(shipped), "task")
        yield [Piece(f"Would send {formats.count(pending, 'item')} of {tasks}", "title"), Piece(f" below {_root(context)}.")]
    else:
        tasks = formats.count(sum(task.delivered > 0 for task in shipped), "task")
        where = safe(collector_url(settings) or "the collector")
        yield [
            Piece(f"Sent {formats.count(delivered, 'item')} of {tasks}", "title"),
            Piece(f" below {_root(context)} to {where}."),
        ]
    if dropped := _sum(shipped, "dropped"):
        yield [Piece(f"{formats.count(dropped, 'item')} rejected for good; .delivery.jsonl of the task says why.", "warn")]
    if pending and not dry_run:
        yield [Piece(f"{formats.count(pending, 'item')} still pending.", "bad")]
    yield from short_table(_COLUMNS, [task for task in shipped if task.pending], _row, MAX_LISTED, context.screen())


def _root(context: CliContext) -> str:
    return safe(str(context.root))


def _row(task: ShippedTask) -> Pieces:
    return [Piece(" "), Piece(safe(task.task_id), "id"), Piece(f"{task.pending:,}"), Piece(safe(task.problem or ""), "dim")]
