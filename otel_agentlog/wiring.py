"""`configure`, `flush` and `shutdown`: the one place where the rooms meet."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.export import Deliver, Telemetry, ship
from otel_agentlog.model import Line, Sink
from otel_agentlog.record import (
    Cleaner,
    PriceTable,
    Recorder,
    Redactor,
    StreamGuard,
    adopt,
    at_exit_of_children,
    configure_logs,
    console_sink,
    install_stdlib,
    interrupt_open,
    join_signals,
    leave_signals,
    propagate,
    recorder,
    uninstall_stdlib,
    unpropagate,
    use,
)
from otel_agentlog.settings import Settings, load, read_config_file
from otel_agentlog.store import (
    BackgroundRecovery,
    Deliveries,
    FolderSink,
    OwnShipment,
    Presence,
    PruneReport,
    Recovered,
    RotatingLog,
    Shipment,
    Upkeep,
    choose_directory,
    limits_of,
    unshipped,
)

MAX_CAUGHT_UP = 2_000
"""How many folders are looked into at once for what other processes left behind, those changed last first."""

MAX_IN_VAIN = 3
"""How many tasks in a row are looked into of which the collector takes nothing."""

LEAST_SYNC_S = 0.2
"""Time, in seconds, that the disk gets in any case when everything is flushed."""

BEFORE_DEATH_S = 2.0
"""Longest time, in seconds, that a process waits for the collector when a signal ends it that nobody handles."""

_logger = logging.getLogger("otel_agentlog")


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


class _Backlog:
    """What waits in folders to be sent, by this process or by none."""

    def __init__(self, settings: Settings, deliveries: Deliveries, signals: Callable[[], Collection[str]]) -> None:
        self._settings, self._deliveries, self._signals = settings, deliveries, signals

    @property
    def has_left(self) -> bool:
        return self._deliveries.has_left

    def ship_left(self, deliver: Deliver) -> bool:
        taken = 0
        for home, marks in self._deliveries.take_left():
            with OwnShipment(self._deliveries, home, marks) as shipment:
                taken += ship(shipment.unsent(), deliver, shipment).delivered
        return taken > 0

    def ship_others(self, deliver: Deliver) -> None:
        self._deliveries.review()
        since_s, in_vain = time.time() - self._settings.catch_up_days * 86_400, 0
        for task in unshipped(self._settings.directory, at_most=MAX_CAUGHT_UP, since_s=since_s):
            try:
                with Shipment(task, self._settings.reason_to_keep, signals=self._signals()) as shipment:
                    shipped = ship(shipment.unsent(), deliver, shipment)
            except OSError as error:
                if not isinstance(error, (BlockingIOError, FileNotFoundError)):
                    recorder().failed("catch-up", error)
                continue
            in_vain = in_vain + 1 if shipped.problems and not shipped.delivered else 0
            if in_vain >= MAX_IN_VAIN:
                return


class _Wired:
    """What one `configure` put together."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.deliveries = Deliveries(settings.reason_to_keep, lambda where, error: self.recorder.failed(where, error))
        self.presence = Presence(settings.directory)
        redactor = Redactor(
            extra_keys=settings.redaction_keys,
            extra_patterns=settings.redaction_patterns,
            allow=settings.redaction_allow,
            unmask=settings.redaction_unmask,
        )
        self.telemetry = Telemetry(
            settings,
            books=self.deliveries,
            failed=lambda where, error: self.recorder.failed(where, error),
            adopt=adopt,
            clean=lambda value: self.recorder.clean_value(value),
            backlog=_Backlog(settings, self.deliveries, lambda: self.telemetry.sends),
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
        sinks: list[Sink] = [self.folders]
        if self.telemetry.active:
            sinks.append(self.telemetry.sink)
        terminal = settings.terminal
        console = console_sink(settings.console, no_color=terminal.no_color, force_color=terminal.force_color, term=terminal.term)
        if console is not None:
            sinks.append(console)
        prices = PriceTable(settings.prices)
        self.recorder = Recorder(
            tracer=self.telemetry.tracer,
            conventions=self.telemetry.conventions,
            cleaner=Cleaner(redactor),
            processors=settings.processors,
            sinks=sinks,
            warn=lambda text: _logger.warning("%s", text),
            price=prices.cost,
            preload=prices.load,
            new_guard=lambda: StreamGuard(redactor),
            count_items=self.telemetry.count_items,
            find_task=self.folders.find_task,
            find_input=self.folders.find_input,
        )

        self.recovery = BackgroundRecovery(
            settings.directory, self.telemetry.conventions.end_attributes, done=_tell_recovery, failed=self.recorder.failed
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
        return self.receipt(sent and synced)

    def _tell_upkeep(self, report: PruneReport) -> None:
        if report.dropped:
            self.telemetry.count_dropped(report.dropped, "quota")
        said = report.in_words()
        if said:
            _logger.log(logging.WARNING if report.dropped else logging.INFO, "%s", said)

    def receipt(self, in_time: bool) -> Receipt:
        self.deliveries.write()
        totals = self.deliveries.totals
        pending = totals["recorded"] - totals["delivered"] - totals["dropped"]
        return Receipt(pending=max(0, pending), in_time=in_time, **totals)


def _tell_recovery(found: Recovered) -> None:
    if found.repaired:
        tasks = ", ".join(repair.task_id for repair in found.repaired[:3])
        _logger.warning("closed what dead processes left open: %d tasks (%s …)", len(found.repaired), tasks)


_wired: _Wired | None = None
_lock = threading.RLock()


def configure(**settings: Any) -> Settings:
    """Set up recording for this process; makes no network call.

    Takes every field of `Settings` by name. What is not given comes from ``agentlog.yaml`` in the working directory (or the
    file named by ``AGENTLOG_CONFIG``), then from the environment. Called again, it replaces the earlier set-up.

    Returns:
        The settings in force.

    Raises:
        ConfigurationError: a setting that does not exist or whose value cannot be used.
    """
    global _wired
    found = load(settings, read_config_file())
    with _lock:
        shutdown()
        try:
            wired = _Wired(found)
        except (ValueError, TypeError) as error:
            if isinstance(error, ConfigurationError):
                raise
            raise ConfigurationError("configure", "the settings", str(error)) from error
        _wired = wired
        use(wired.recorder)
        configure_logs(found.log_level, found.levels)
        if found.capture_logging:
            install_stdlib(last_resort=found.console == "off")
        if found.propagate_threads:
            propagate()
        if found.handle_signals:
            join_signals(_before_death)
        at_exit_of_children(_at_exit)
        wired.telemetry.start()
        wired.upkeep.start()
        if found.recover_on_start:
            wired.recovery.start()
    return found


def flush(timeout_s: float | None = None) -> Receipt:
    """Try to send everything recorded so far; returns what became of it. ``timeout_s`` defaults to ``shutdown_timeout_s``."""
    wired = _wired
    if wired is None:
        return Receipt(0, 0, 0, 0, 0, 0, in_time=True)
    return wired.flush(wired.telemetry.flush, timeout_s)


def shutdown(timeout_s: float | None = None) -> Receipt:
    """Send what is queued, within ``timeout_s`` seconds for all signals together, and stop recording. Runs at exit by itself."""
    global _wired
    with _lock:
        wired, _wired = _wired, None
    if wired is None:
        return Receipt(0, 0, 0, 0, 0, 0, in_time=True)
    use(Recorder())
    leave_signals()
    wired.recovery.stop()
    wired.upkeep.stop()
    uninstall_stdlib()
    unpropagate()
    configure_logs()
    receipt = wired.flush(wired.telemetry.shutdown, timeout_s)
    wired.presence.leave()
    return receipt


def _before_death() -> None:
    """Within a signal handler that ends the process: send what is queued, for a moment. What is not sent is in the folders."""
    wired = _wired
    if wired is not None:
        wired.telemetry.courier.flush(min(BEFORE_DEATH_S, wired.settings.shutdown_timeout_s))
        wired.deliveries.write()


def _at_exit() -> None:
    interrupt_open("process exit")
    shutdown()


def _in_child() -> None:
    # Another thread of the parent may have held these.
    global _lock
    _lock = threading.RLock()


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_in_child)
