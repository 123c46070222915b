"""`configure`, `flush` and `shutdown`: the one place where the rooms meet."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.export import Telemetry, Ticket
from otel_agentlog.model import Sink
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
    FolderSink,
    PruneReport,
    Recovered,
    RotatingLog,
    TaskFolder,
    Upkeep,
    choose_directory,
    limits_of,
)

RECEIPT_INTERVAL_S = 1.0
"""How often, in seconds, the receipt in a task's ``metadata.json`` follows what the collector acknowledged."""

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


class Ledger:
    """Notes on each task's folder what the collector acknowledged, and brings ``metadata.json`` up to date now and then."""

    def __init__(self) -> None:
        self._folders: set[TaskFolder] = set()
        self._changed: set[TaskFolder] = set()
        self._lock = threading.RLock()
        self._written_at = 0.0

    def forget(self) -> None:
        """In the child of a fork: what was acknowledged is the parent's to note."""
        self._changed, self._lock = set(), threading.RLock()

    def seen(self, folder: TaskFolder) -> None:
        """A task was begun in this process."""
        with self._lock:
            self._folders.add(folder)

    def note(self, tickets: Sequence[Ticket], reason: str | None) -> None:
        """Items were acknowledged, or not; what was not stays pending."""
        if reason is None:
            with self._lock:
                for ticket in tickets:
                    if isinstance(ticket.home, TaskFolder):
                        ticket.home.note_delivery("delivered", 1)
                        self._changed.add(ticket.home)
        if time.monotonic() - self._written_at >= RECEIPT_INTERVAL_S:
            self.write()

    def write(self) -> None:
        """Write the receipts that changed."""
        with self._lock:
            changed, self._changed = self._changed, set()
            self._written_at = time.monotonic()
        for folder in changed:
            try:
                folder.write_delivery()
            except OSError as error:
                recorder().failed("receipt", error)

    def totals(self) -> dict[str, int]:
        """Sums over every task of this process."""
        keys = ("recorded", "delivered", "dropped", "redacted", "truncated")
        with self._lock:
            return {key: sum(folder.delivery[key] for folder in self._folders) for key in keys}


class _Wired:
    """What one `configure` put together."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ledger = Ledger()
        redactor = Redactor(
            extra_keys=settings.redaction_keys,
            extra_patterns=settings.redaction_patterns,
            allow=settings.redaction_allow,
            unmask=settings.redaction_unmask,
        )
        self.telemetry = Telemetry(
            settings,
            receipt=self.ledger.note,
            failed=lambda where, error: self.recorder.failed(where, error),
            adopt=adopt,
            clean=lambda value: self.recorder.clean_value(value),
        )
        directory = choose_directory(settings.service_name, settings.log_directory, Path.home())
        log = RotatingLog(directory, settings.service_name, max_bytes=settings.log_max_bytes, keep_days=settings.log_keep_days)
        self.folders = FolderSink(
            settings.directory,
            self.telemetry.process_line,
            log,
            self.ledger.seen,
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
            content_policy=settings.content_policy,
            content_on=settings.content_on,
            find_task=self.folders.find_task,
            find_input=self.folders.find_input,
        )

        self.recovery = BackgroundRecovery(
            settings.directory, self.telemetry.conventions.end_attributes, done=_tell_recovery, failed=self.recorder.failed
        )
        self.upkeep = Upkeep(settings.directory, limits_of(settings), done=self._tell_upkeep, failed=self.recorder.failed)

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
        self.ledger.write()
        totals = self.ledger.totals()
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
    return wired.flush(wired.telemetry.shutdown, timeout_s)


def _before_death() -> None:
    """Within a signal handler that ends the process: send what is queued, for a moment. What is not sent is in the folders."""
    wired = _wired
    if wired is not None:
        wired.telemetry.courier.flush(min(BEFORE_DEATH_S, wired.settings.shutdown_timeout_s))
        wired.ledger.write()


def _at_exit() -> None:
    interrupt_open("process exit")
    shutdown()


def _in_child() -> None:
    # Another thread of the parent may have held these.
    global _lock
    _lock = threading.RLock()
    if _wired is not None:
        _wired.ledger.forget()


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_in_child)
