"""Builds what one `configure` needs, and connects it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_agentlog._interrupts import OwnThread, raise_interrupt, suppress_errors
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog._startup import tell
from otel_agentlog.error_handling.categories import classify
from otel_agentlog.errors import shown
from otel_agentlog.export.providers import Telemetry
from otel_agentlog.export.semconv.names import REPLAY_OF
from otel_agentlog.record.collaborators import Clocks, Failures, Lookups, Spans, Tasks
from otel_agentlog.record.foreign_spans import adopt
from otel_agentlog.record.logs.console import console_sink
from otel_agentlog.record.logs.file_formats import FORMATS
from otel_agentlog.record.providers.pricing import PriceTable
from otel_agentlog.record.recorder import Cleaning, Recorder, use
from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.redaction.stream import StreamGuard
from otel_agentlog.record.resources import ResourceSampler
from otel_agentlog.record.sanitize.cleaner import Cleaner
from otel_agentlog.settings.fields import Settings, home
from otel_agentlog.settings.standard import LONGEST_WAIT_S, usable_variables
from otel_agentlog.store.app_log import LogLimits, LogNames, RotatingLog, choose_directory
from otel_agentlog.store.control import ControlFile
from otel_agentlog.store.delivery.process_lock import ProcessLock
from otel_agentlog.store.delivery.tracker import DeliveryTracker
from otel_agentlog.store.folder.sink import FolderSink
from otel_agentlog.store.folder.writer import Counts
from otel_agentlog.store.jobs import JobFile
from otel_agentlog.store.recovery.background import BackgroundRecovery
from otel_agentlog.store.recovery.recover import Recovered, close_abandoned
from otel_agentlog.store.retention.background import BackgroundPruning
from otel_agentlog.store.retention.policy import limits_of
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.envelope import Envelope, Sink
from otel_agentlog.vocabulary.lines import Line, count_items
from otel_agentlog.vocabulary.states import State
from otel_agentlog.wiring.backlog import FolderBacklog

if TYPE_CHECKING:
    from otel_agentlog.export.transport.outlet import MemoryOutlet
    from otel_agentlog.store.retention.report import PruneReport

_logger = logging.getLogger("otel_agentlog")

LEAST_SYNC_S = 0.2
"""Time, in seconds, that the disk gets in any case when everything is flushed."""

_COMPILE_AFTER_S = 0.5
"""When the rules are compiled that no text has needed yet: a short program is spared what may take half of its own time."""

_LOOK_S = 0.1

_OPEN = (State.RUNNING.value, State.PAUSED.value)


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


@dataclass(frozen=True)
class Surroundings:
    """What `configure` builds on, for `otel_agentlog.testing` to replace: a program has these."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """They take the place of those that `configure` finds."""
    clocks: Clocks = field(default_factory=Clocks)
    outlet: MemoryOutlet | None = None
    """Takes everything that is to be sent; ``None``: it goes where the settings say."""
    sinks: Sequence[Sink] = ()
    """Further ones."""
    keep: Callable[[Sink], Sink] = lambda folders: folders
    """Returns the sink that is used for task folders."""


def in_use() -> Wired | None:
    """What records now."""
    return _in_use


def put_in_use(wired: Wired | None) -> None:
    """Have everything recorded from now on go there; nothing is recorded without one."""
    global _in_use
    _in_use = wired
    use(Recorder() if wired is None else wired.recorder)


_in_use: Wired | None = None


class Wired:
    """What one `configure` put together. Each part is given those that were built before it; none reaches for a later one."""

    _process_lines: tuple[object, Line] = None, {}
    """What the last one was made of, and that line."""

    _stopped = False

    def __init__(self, settings: Settings, around: Surroundings = Surroundings()) -> None:
        after_fork_in_child(self._renew_after_fork)
        self._around = around
        self.failures = Failures(_warn)
        failed = self.failures.note
        self.redactor = redactor_of(settings)
        self._cleaner = Cleaner(self.redactor)
        # It comes from the environment or the script's path, and is in names of files and everything sent.
        settings = self.settings = replace(settings, service_name=self._cleaner.text(settings.service_name)[0])
        cleaning = Cleaning(
            self._cleaner, settings.processors, lambda: StreamGuard(self.redactor), private=settings.privacy, failed=failed
        )
        counts = Counts()
        self.process_lock = ProcessLock(settings.directory)
        self.deliveries = DeliveryTracker(settings.reason_to_keep, failed, counts, self.process_lock)
        backlog = FolderBacklog(settings, self.deliveries, failed)
        with usable_variables():
            self.telemetry = Telemetry(
                settings,
                observer=self.deliveries,
                failed=failed,
                adopt=adopt,
                clean=cleaning.value,
                backlog=backlog,
                outlet=around.outlet,
            )
        backlog.signals = self.telemetry.sends
        self.deliveries.later = self.telemetry.worker.write_at
        self._log = _application_log(settings)
        self.folders = self._folders(counts, failed)
        self.measuring = ResourceSampler(settings.resource_interval_s, failed) if settings.resource_interval_s else None
        conventions = self.telemetry.conventions
        count = partial(
            count_items,
            content_policy=conventions.content_policy,
            content_on=conventions.content_on,
            elsewhere=self.telemetry.elsewhere,
        )
        self.recorder = Recorder(
            self._sinks(),
            cleaning=cleaning,
            spans=Spans(
                self.telemetry.tracer,
                conventions,
                count,
                light=self.telemetry.light_spans,
                sampler=self.telemetry.sampler,
                limits=self.telemetry.span_limits,
                span_events=settings.span_events,
            ),
            tasks=Tasks(
                self._find_task,
                self.folders.find_input,
                ControlFile,
                JobFile,
                settings.implicit_tasks,
                tags=("replay",) if REPLAY_OF in self.telemetry.resource.attributes else (),
            ),
            lookups=Lookups(classify, PriceTable(settings.prices)),
            clocks=replace(around.clocks, measuring=self.measuring),
            failures=self.failures,
        )
        self.recovery = BackgroundRecovery(
            settings.directory, conventions.end_attributes, done=self._tell_recovery, failed=failed
        )
        self.upkeep = BackgroundPruning(settings.directory, limits_of(settings), done=self._tell_upkeep, failed=failed)

    def _folders(self, counts: Counts, failed: Callable[[str, BaseException], None]) -> FolderSink:
        settings = self.settings
        return FolderSink(
            settings.directory,
            self._process_line,
            self._log,
            durability=settings.durability,
            pending_on_disk=self.deliveries.pending_on_disk,
            counts=counts,
            failed=failed,
        )

    def _sinks(self) -> list[Sink]:
        """In any order."""
        terminal = self.settings.terminal
        console = console_sink(
            self.settings.console,
            stdout=self.settings.console_stream == "stdout",
            no_color=terminal.no_color,
            force_color=terminal.force_color,
            term=terminal.term,
        )
        sinks: list[Sink] = [self._around.keep(self.folders), *self._around.sinks]
        if self.settings.log_format != "lines":
            sinks.append(LinesOfTasks(self._log))
        if self.telemetry.active:
            sinks.append(self.telemetry.sink)
        return sinks if console is None else [*sinks, console]

    def start(self) -> None:
        """Begin everything that works in the background, and warn of what is wrong with the environment."""
        for complaint in self.settings.complaints:
            _warn_once(complaint)
        for joined in self.telemetry.joined:
            _tell_once(joined)
        file = self.settings.log_file
        if file is not None and self._log.path != file:
            _warn_once(f"log_file: {file.parent} cannot be written to; {self._log.path} is used")
        self.telemetry.start()
        self._start_redaction()
        self.upkeep.start()
        if self.settings.recover_on_start:
            self.recovery.start()

    def stop(self) -> None:
        """End everything that works in the background, but for sending."""
        self._stopped = True
        self.recovery.stop()
        self.upkeep.stop()
        if self.measuring is not None:
            self.measuring.stop()

    def only_keep(self) -> None:
        """At the end of the process: each line has its receipt at once, and what cannot be kept is said at once, on stderr."""
        self.folders.ending = True
        self.failures.say_at_once(lambda text: tell(f"{text}\n"))

    def _start_redaction(self) -> None:
        """Log which rules are switched off, and compile the others so that the first record need not wait for that."""
        if self.redactor.unmasked:
            _logger.warning("redaction rules switched off by redaction_unmask: %s", ", ".join(sorted(self.redactor.unmasked)))
        try:
            OwnThread(self._compile_rules, "agentlog-redaction").start()
        except RuntimeError:
            raise_interrupt()  # no more threads; the rules are compiled where they are needed

    def _compile_rules(self) -> None:
        # It only saves time: a rule that is wrong fails closed at the first record. At exit `warm` raises, to end this thread.
        with suppress_errors(Exception):
            if self._lasts(_COMPILE_AFTER_S):
                self.redactor.warm()

    def _lasts(self, seconds: float) -> bool:
        """Wait; whether it is not stopped meanwhile. Without a lock, which the child of a fork could find taken."""
        until = time.monotonic() + seconds
        while not self._stopped and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_S))
        return not self._stopped

    def _process_line(self) -> Line:
        """The process line of a writer; by its ``courier`` readers find out whether its process still sends."""
        sends = list(self.telemetry.sends)
        courier = self.process_lock.name() if sends else None
        made_of = courier, sends, self.telemetry.elsewhere
        known, line = self._process_lines
        if known != made_of:
            line = self.telemetry.process_line()
            # Its resource, its host's name and the like come from outside, as a user's values do.
            line = self._cleaner.clean_line({**line, "courier": courier, "sends": sends} if courier else line).value
            self._process_lines = made_of, line
        return line

    def _renew_after_fork(self) -> None:
        """In the child of a fork: its process line is another."""
        self._process_lines = None, {}

    def _find_task(self, task_id: str) -> Mapping[str, Any]:
        """The ``metadata.json`` of a task that is to be resumed; if its process has died, after closing what that left open."""
        known = self.folders.find_task(task_id)
        if text(known, "status") not in _OPEN:
            return known
        try:
            close_abandoned(Path(self.folders.root), task_id, attributes=self.telemetry.conventions.end_attributes)
        except Exception as error:  # noqa: BLE001 - a damaged folder may raise anything, and must not keep the agent from its work
            raise_interrupt()
            self.failures.note("recovery", error)
        return self.folders.find_task(task_id)

    def _tell_recovery(self, found: Recovered) -> None:
        if found.repaired:
            tasks = ", ".join(repair.task_id for repair in found.repaired[:3])
            _logger.warning("closed what dead processes left open: %d tasks (%s …)", len(found.repaired), tasks)
            self.telemetry.scan_again()

    def _tell_upkeep(self, report: PruneReport) -> None:
        if report.dropped:
            self.telemetry.count_dropped(report.dropped)
        summary = report.in_words()
        if summary:
            _logger.log(logging.WARNING if report.dropped else logging.INFO, "%s", summary)

    def flush(self, send: Callable[[float], bool], timeout_s: float | None) -> Receipt:
        """Bring everything to the disk and, by ``send``, to the collector, both within one deadline."""
        deadline = time.monotonic() + _seconds(timeout_s, self.settings.shutdown_timeout_s)
        sent = send(max(0.0, deadline - time.monotonic()))
        # The disk had all that time too.
        synced = self.folders.flush(max(LEAST_SYNC_S, deadline - time.monotonic()))
        self.folders.verify(until=deadline + LEAST_SYNC_S)
        self.deliveries.write(until=deadline + LEAST_SYNC_S)
        found = self.folders.totals
        return Receipt(
            recorded=found["recorded"],
            delivered=found["delivered"],
            pending=max(0, found["recorded"] - found["delivered"] - found["dropped"]),
            dropped=found["dropped"],
            redacted=found["redacted"],
            truncated=found["truncated"],
            in_time=sent and synced,
        )


def _application_log(settings: Settings) -> RotatingLog:
    file = settings.log_file
    limits = LogLimits(
        max_bytes=settings.log_max_bytes,
        daily=settings.log_backups is None,
        keep_days=settings.log_days,
        backups=settings.log_backups,
        total_bytes=settings.log_total_bytes,
        compress=settings.log_compress,
    )
    return RotatingLog(
        choose_directory(settings.service_name, settings.log_directory_wanted, home()),
        LogNames.of_service(settings.service_name) if file is None else LogNames.of_file(file.name),
        limits,
        render=FORMATS[settings.log_format],
    )


class LinesOfTasks:
    """The sink that writes log lines and events of tasks into the application log too, as people know log files."""

    name = "log_file"

    def __init__(self, log: RotatingLog) -> None:
        self._log = log

    def __call__(self, envelope: Envelope) -> None:
        """Write a line of a task. Raises `OSError`; the line is in the task's folder anyway."""
        if envelope.task is not None and envelope.line.get("type") in ("log", "event"):
            self._log.append(envelope.line)


def _seconds(given: object, otherwise: float) -> float:
    """A timeout given to `flush` or `shutdown`; of what is no number a warning tells once."""
    if given is None:
        return otherwise
    if type(given) in (int, float) and (seconds := float(min(given, LONGEST_WAIT_S))) == seconds:  # type: ignore[call-overload]  # a number
        return max(0.0, seconds)
    _warn_once(f"timeout_s: expected a number of seconds, found {shown(given)}; {otherwise:g} is used")
    return otherwise


@lru_cache(maxsize=1024)
def _tell_once(text: str) -> None:
    _logger.info("%s", text)


@lru_cache(maxsize=1024)
def _warn_once(text: str) -> None:
    _logger.warning("%s", text)


def _warn(text: str) -> None:
    _logger.warning("%s", text)


def redactor_of(settings: Settings) -> Redactor:
    """Raises `ConfigurationError` for a pattern or a name that cannot be used."""
    return Redactor(
        extra_keys=settings.redaction_keys,
        extra_patterns=settings.redaction_patterns,
        allow=settings.redaction_allow,
        unmask=settings.redaction_unmask,
        personal=("all",) if settings.privacy else settings.redaction_pii,
    )
