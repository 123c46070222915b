"""What one `configure` puts together: the rooms, each given what it needs of the others."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otel_agentlog.error_handling.categories import classify
from otel_agentlog.export.providers import Telemetry
from otel_agentlog.query import Alert, rules_from
from otel_agentlog.record.foreign_spans import adopt
from otel_agentlog.record.logs.console import console_sink
from otel_agentlog.record.providers.pricing import PriceTable
from otel_agentlog.record.recorder import Recorder
from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.redaction.stream import StreamGuard
from otel_agentlog.record.resources import Measuring
from otel_agentlog.record.sanitize.cleaner import Cleaner
from otel_agentlog.settings.fields import Settings
from otel_agentlog.store.app_log import RotatingLog, choose_directory
from otel_agentlog.store.control import ControlFile, ask
from otel_agentlog.store.delivery.process_lock import Presence
from otel_agentlog.store.delivery.tracker import Deliveries
from otel_agentlog.store.folder.reader import find_task
from otel_agentlog.store.folder.sink import FolderSink
from otel_agentlog.store.recovery.background import BackgroundRecovery
from otel_agentlog.store.recovery.recover import Recovered, close_abandoned
from otel_agentlog.store.retention.prune import Upkeep, limits_of
from otel_agentlog.store.retention.report import PruneReport
from otel_agentlog.vocabulary.envelope import Sink
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.states import State
from otel_agentlog.wiring.alerting import Alerting
from otel_agentlog.wiring.backlog import Backlog

# -- What became of everything recorded in this process.


@dataclass(frozen=True)
class Receipt:
    """What became of everything recorded in this process; counts OTLP items (a finished span or a log record)."""

    recorded: int
    delivered: int
    pending: int
    dropped: int
    redacted: int
    truncated: int
    in_time: bool
    """Whether everything that was queued could be tried within the time allowed."""


# -- The redactor of one set-up: made from the settings, made ready in the background, and open about what it lets through.

_PAUSE_S = 0.03
"""Between pieces of the work, so that it does not take a processor from the agent's own start."""

_logger = logging.getLogger("otel_agentlog")


class Redaction:
    """Makes the redactor that one `configure` asks for."""

    def __init__(self, settings: Settings) -> None:
        """Raises `ConfigurationError` for a pattern or a name that cannot be used."""
        self.redactor = Redactor(
            extra_keys=settings.redaction_keys,
            extra_patterns=settings.redaction_patterns,
            allow=settings.redaction_allow,
            unmask=settings.redaction_unmask,
            personal=settings.redaction_pii,
        )

    def start(self) -> None:
        """Say which rules are switched off, and compile the others so that the first record need not wait for that."""
        if self.redactor.unmasked:
            _logger.warning("redaction rules switched off by redaction_unmask: %s", ", ".join(sorted(self.redactor.unmasked)))
        try:
            threading.Thread(target=self._warm, name="agentlog-redaction", daemon=True).start()
        except RuntimeError:
            pass  # no more threads; the rules are compiled where they are needed

    def _warm(self) -> None:
        # It only saves time. What is wrong with a rule shows, and fails closed, at the first record; at exit it is told to stop.
        with suppress(Exception):
            self.redactor.warm(_PAUSE_S)


# -- Hides what must be done before a task can be resumed: if the process that ran it is gone, what it left open is closed first.

_OPEN = (State.RUNNING.value, State.PAUSED.value)


def finder(
    folders: FolderSink, attributes: Callable[[Line], Mapping[str, Any]], failed: Callable[[str, BaseException], None]
) -> Callable[[str], Mapping[str, Any]]:
    """What tells the ``metadata.json`` of a task that is to be resumed: ``interrupted`` where nobody runs it any more."""

    def find(task_id: str) -> Mapping[str, Any]:
        known = folders.find_task(task_id)
        if known.get("status") not in _OPEN:
            return known
        try:
            close_abandoned(Path(folders.root), task_id, attributes=attributes)
        except Exception as error:  # noqa: BLE001 - whatever stands in a folder must not keep the agent from its work
            failed("recovery", error)
        return folders.find_task(task_id)

    return find


LEAST_SYNC_S = 0.2
"""Time, in seconds, that the disk gets in any case when everything is flushed."""


class Wired:
    """What one `configure` put together."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.deliveries = Deliveries(settings.reason_to_keep, lambda where, error: self.recorder.failed(where, error))
        self.presence = Presence(settings.directory)
        self.redaction = Redaction(settings)
        redactor = self.redaction.redactor
        self.telemetry = Telemetry(
            settings,
            books=self.deliveries,
            failed=lambda where, error: self.recorder.failed(where, error),
            adopt=adopt,
            clean=lambda value: self.recorder.clean_value(value),
            backlog=Backlog(settings, self.deliveries, lambda: self.telemetry.sends),
        )
        directory = choose_directory(settings.service_name, settings.log_directory, Path.home())
        log = RotatingLog(directory, settings.service_name, max_bytes=settings.log_max_bytes, keep_days=settings.log_keep_days)
        self.folders = FolderSink(
            settings.directory,
            self._process_line,
            log,
            recorded=self.deliveries.recorded,
            durability=settings.durability,
            failed=lambda where, error: self.recorder.failed(where, error),
        )
        self.alerting = Alerting(rules_from(settings.alerts), on=bool(settings.alerts), stop_task=self._stop_task)
        sinks: list[Sink] = [self.folders, self.alerting]
        if self.telemetry.active:
            sinks.append(self.telemetry.sink)
        terminal = settings.terminal
        console = console_sink(settings.console, no_color=terminal.no_color, force_color=terminal.force_color, term=terminal.term)
        if console is not None:
            sinks.append(console)
        prices = PriceTable(settings.prices)
        self.measuring = Measuring(settings.resource_interval_s) if settings.resource_interval_s else None
        self.recorder = Recorder(
            tracer=self.telemetry.tracer,
            conventions=self.telemetry.conventions,
            cleaner=Cleaner(redactor),
            processors=settings.processors,
            sinks=sinks,
            warn=lambda text: _logger.warning("%s", text),
            classify=classify,
            price=prices.cost,
            preload=prices.load,
            new_guard=lambda: StreamGuard(redactor),
            count_items=self.telemetry.count_items,
            find_task=finder(self.folders, self.telemetry.conventions.end_attributes, lambda *what: self.recorder.failed(*what)),
            find_input=self.folders.find_input,
            measuring=self.measuring,
            open_control=ControlFile,
        )

        self.recovery = BackgroundRecovery(
            settings.directory, self.telemetry.conventions.end_attributes, done=self._tell_recovery, failed=self.recorder.failed
        )
        self.upkeep = Upkeep(settings.directory, limits_of(settings), done=self._tell_upkeep, failed=self.recorder.failed)

    def _process_line(self) -> Line:
        """How each writer introduces itself; whoever reads it can tell whether somebody still delivers what it wrote."""
        line, sends = self.telemetry.process_line(), list(self.telemetry.sends)
        courier = self.presence.name() if sends else None
        return {**line, "courier": courier, "sends": sends} if courier else line

    def flush(self, send: Callable[[float], bool], timeout_s: float | None) -> Receipt:
        """Bring everything to the disk and to the collector, both within one deadline; says what became of it."""
        deadline = time.monotonic() + (self.settings.shutdown_timeout_s if timeout_s is None else timeout_s)
        sent = send(max(0.0, deadline - time.monotonic()))
        # The disk had all that time too.
        synced = self.folders.flush(max(LEAST_SYNC_S, deadline - time.monotonic()))
        return self.receipt(sent and synced, deadline + LEAST_SYNC_S)

    def _stop_task(self, alert: Alert) -> None:
        """Ask a task that has spent its budget to cancel, as anybody else may ask."""
        folder = find_task(self.settings.directory, str(alert.task_id)).folder
        ask(folder, "cancel", reason=f"{alert.type}: {alert.message}", source="alert")

    def _tell_recovery(self, found: Recovered) -> None:
        if found.repaired:
            tasks = ", ".join(repair.task_id for repair in found.repaired[:3])
            _logger.warning("closed what dead processes left open: %d tasks (%s …)", len(found.repaired), tasks)
            self.telemetry.look_again()

    def _tell_upkeep(self, report: PruneReport) -> None:
        if report.dropped:
            self.telemetry.count_dropped(report.dropped, "quota")
        said = report.in_words()
        if said:
            _logger.log(logging.WARNING if report.dropped else logging.INFO, "%s", said)

    def receipt(self, in_time: bool, until: float) -> Receipt:
        self.deliveries.write(until=until)
        totals = self.deliveries.totals
        pending = totals["recorded"] - totals["delivered"] - totals["dropped"]
        return Receipt(pending=max(0, pending), in_time=in_time, **totals)
