"""``agentlog ship``: send to the collector what it has not got."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.query import resolve
from otel_agentlog.settings.fields import Settings, load, read_config_file
from otel_agentlog.store.delivery.pending import unshipped
from otel_agentlog.store.delivery.unsent import Shipment
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.cli.frame import Setting, print_json
from otel_agentlog.view.cli.options import moment
from otel_agentlog.view.render import human
from otel_agentlog.view.render.screen import Column, Piece, Progress, Screen, lay_out
from otel_agentlog.vocabulary.coerce import mapping, number
from otel_agentlog.vocabulary.terminal_text import safe

if TYPE_CHECKING:
    from otel_agentlog.export.pipeline.direct import Direct

MAX_LISTED = 20


@dataclass
class Parcel:
    """What became of one task."""

    task_id: str
    folder: str
    delivered: int = 0
    dropped: int = 0
    pending: int = 0
    """Items that the collector should have and has not; with ``--dry-run`` those that would be sent."""
    problem: str | None = None


@dataclass
class Shipping:
    """What became of all of them."""

    parcels: list[Parcel] = field(default_factory=list)

    def sum(self, key: str) -> int:
        """The sum of a count over all tasks."""
        return sum(getattr(parcel, key) for parcel in self.parcels)


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


def run(options: argparse.Namespace, setting: Setting) -> int:
    """Send what is pending; 1 if something still is."""
    settings = _settings(options)
    if options.tasks and options.all:
        raise ConfigurationError("--all", "TASK", "either tasks or all of them")
    tasks: Iterable[TaskReader] = [resolve(setting.root, name) for name in options.tasks]
    if not options.tasks:
        tasks = unshipped(setting.root, since_s=options.since or 0.0, idle_only=False)
    shipping = _dry(tasks, settings, options) if options.dry_run else _ship(tasks, settings, everything=bool(options.tasks))
    if options.json:
        print_json(_as_json(shipping, setting, options))
    else:
        setting.screen().lines(_told(shipping, setting, setting.screen(), settings, dry_run=options.dry_run))
    return int(not options.dry_run and shipping.sum("pending") > 0)


def _settings(options: argparse.Namespace) -> Settings:
    given = {key: value for key in ("endpoint", "protocol") if (value := getattr(options, key)) is not None}
    settings = load(given, read_config_file())
    if options.endpoint is not None:
        # Where to, said here, is said for every signal.
        settings = replace(settings, traces_endpoint=None, logs_endpoint=None, traces_exporter="otlp", logs_exporter="otlp")
    if not options.dry_run and "otlp" not in (settings.exporter("traces"), settings.exporter("logs")):
        raise ConfigurationError("endpoint", None, "the collector's URL, by --endpoint or OTEL_EXPORTER_OTLP_ENDPOINT")
    return settings


def _ship(tasks: Iterable[TaskReader], settings: Settings, *, everything: bool) -> Shipping:
    # Only where something is sent: the OpenTelemetry SDK takes longer to import than all the rest.
    from otel_agentlog.export.pipeline.direct import Direct

    direct, shipping = Direct(settings), Shipping()
    direct.check()
    with Progress() as progress:
        for task in tasks:
            sent = f"{human.count(shipping.sum('delivered'), 'item')} of {human.count(len(shipping.parcels), 'task')} sent"
            progress.show(f"{sent}, at {safe(task.folder.name)}")
            if direct.gave_up:
                shipping.parcels.append(_untried(task))
            else:
                shipping.parcels.append(_ship_one(task, settings, direct, everything=everything))
    direct.close()
    return shipping


def _ship_one(task: TaskReader, settings: Settings, direct: Direct, *, everything: bool) -> Parcel:
    from otel_agentlog.export.shipping import ship

    try:
        with Shipment(task, settings.reason_to_keep, signals=direct.signals, everything=everything) as shipment:
            shipped = ship(shipment.unsent(), direct, shipment)
    except BlockingIOError:
        return replace(_untried(task), problem="somebody else ships it")
    except OSError as error:
        return replace(_untried(task), problem=f"{error.strerror}")
    parcel = Parcel(task.task_id, str(task.folder), shipped.delivered, shipped.dropped, shipment.counts.pending)
    parcel.problem = _problem(shipped.problems.values(), shipment) if parcel.pending else None
    return parcel


def _problem(problems: Iterable[str], shipment: Shipment) -> str:
    said = sorted(set(problems))
    if shipment.held:
        said.append(f"{human.count(shipment.held, 'item')} of a process that is still there to send them")
    if shipment.waiting:
        said.append(f"{human.count(shipment.waiting, 'item')} left out by sampling until the task has ended")
    return "; ".join(said)


def _untried(task: TaskReader) -> Parcel:
    pending = number(mapping(task.metadata() or {}, "delivery"), "pending")
    return Parcel(task.task_id, str(task.folder), pending=int(pending or 0), problem="not tried: the collector takes nothing")


def _dry(tasks: Iterable[TaskReader], settings: Settings, options: argparse.Namespace) -> Shipping:
    shipping = Shipping()
    for task in tasks:
        with Shipment(task, settings.reason_to_keep, everything=bool(options.tasks), dry=True) as shipment:
            waiting = sum(1 for _ in shipment.unsent())
        if waiting:
            shipping.parcels.append(Parcel(task.task_id, str(task.folder), pending=waiting))
    return shipping


def _as_json(shipping: Shipping, setting: Setting, options: argparse.Namespace) -> dict[str, Any]:
    sums = {key: shipping.sum(key) for key in ("delivered", "dropped", "pending")}
    return {"root": str(setting.root), "dry_run": options.dry_run, **sums, "tasks": [vars(each) for each in shipping.parcels]}


# -- for people -----------------------------------------------------------------------------------------------------------


def _told(shipping: Shipping, setting: Setting, screen: Screen, settings: Settings, *, dry_run: bool) -> Iterator[list[Piece]]:
    pending, delivered = shipping.sum("pending"), shipping.sum("delivered")
    if dry_run:
        tasks = human.count(len(shipping.parcels), "task")
        yield [Piece(f"Would send {human.count(pending, 'item')} of {tasks}", "title"), Piece(f" below {_root(setting)}.")]
    else:
        tasks = human.count(sum(parcel.delivered > 0 for parcel in shipping.parcels), "task")
        where = _where(settings)
        yield [Piece(f"Sent {human.count(delivered, 'item')} of {tasks}", "title"), Piece(f" below {_root(setting)} to {where}.")]
    if dropped := shipping.sum("dropped"):
        yield [Piece(f"{human.count(dropped, 'item')} rejected for good; .delivery.jsonl of the task says why.", "warn")]
    if pending and not dry_run:
        yield [Piece(f"{human.count(pending, 'item')} still pending.", "bad")]
    yield from _listed([parcel for parcel in shipping.parcels if parcel.pending], screen)


def _where(settings: Settings) -> str:
    """The collector's address, without the name and password that may stand in it."""
    parts = urlsplit(settings.endpoint or settings.traces_endpoint or settings.logs_endpoint or "")
    return safe(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}") if parts.netloc else "the collector"


def _root(setting: Setting) -> str:
    return safe(str(setting.root))


def _listed(parcels: Sequence[Parcel], screen: Screen) -> Iterator[list[Piece]]:
    if not parcels:
        return
    columns = [Column(""), Column("TASK", least=20), Column("PENDING", right=True), Column("")]
    for parcel in parcels[:MAX_LISTED]:
        cells = (
            Piece(" "),
            Piece(safe(parcel.task_id), "id"),
            Piece(f"{parcel.pending:,}"),
            Piece(safe(parcel.problem or ""), "dim"),
        )
        for column, cell in zip(columns, cells, strict=True):
            column.cells.append(cell)
    yield from lay_out(columns, screen.columns, screen.glyphs.ellipsis)
    if len(parcels) > MAX_LISTED:
        yield [Piece(f"  {screen.glyphs.ellipsis} and {len(parcels) - MAX_LISTED:,} more (--json lists all)", "dim")]
