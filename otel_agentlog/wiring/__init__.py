"""`configure`, `flush` and `shutdown`: the only package that builds and connects the others.

setup.py      what one `configure` builds, in order
instrument.py `instrument`: switches on instrumentors of AI libraries
alerting.py   alert rules, watched in the process that records
backlog.py    sends what waits in task folders
importing.py  what records imported tasks
zero_code/    programs that do not import this package: entry points, and ``agentlog run``
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from otel_agentlog._interrupts import die_of_ctrl_c, died_of_ctrl_c, end_abandoned, raise_interrupt
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.record.logs.levels import configure_logs
from otel_agentlog.record.logs.stdlib_bridge import install_stdlib, uninstall_stdlib
from otel_agentlog.record.operations.open_operations import at_exit_of_children, interrupt_open
from otel_agentlog.record.recorder import Recorder, recorder, use
from otel_agentlog.record.signals import join_signals, leave_signals
from otel_agentlog.record.threads import propagate, unpropagate
from otel_agentlog.settings.fields import Settings, load, read_config_file
from otel_agentlog.wiring.setup import Receipt, Surroundings, Wired, put_in_use

if TYPE_CHECKING:
    from otel_agentlog.export.foreign import SpansOfOthers

__all__ = [
    "Receipt",
    "configure",
    "flush",
    "shutdown",
    "span_processor",
]

BEFORE_DEATH_S = 2.0
"""Longest time, in seconds, that a process waits for the collector when a signal without a handler ends it."""

TEARDOWN_S = 0.5
"""Of the time that the end of a process may take, what is left to the interpreter's own end, in seconds."""

_ALERTING = "otel_agentlog.wiring.alerting"

_wired: Wired | None = None
_in_force: tuple[dict[str, Any], Settings] | None = None
"""What `configure` was given last, and the settings that came of it; ``None`` after `shutdown`."""
_around = Surroundings()
_lock = threading.RLock()


def is_configured() -> bool:
    """Whether `configure` was called, and `shutdown` not after it."""
    return _in_force is not None


def configure(**settings: Any) -> Settings:
    """Set up recording for this process; makes no network call.

    Takes every field of `Settings` by name. What is not given comes from ``agentlog.yaml`` in the working directory (or the
    file named by ``AGENTLOG_CONFIG``), then from the environment. Called again, it replaces the earlier set-up.

    Returns:
        The settings in force.

    Raises:
        ConfigurationError: a setting that does not exist or whose value cannot be used.
    """
    global _wired, _in_force
    found = load(settings, read_config_file())
    switch_on = _instrumenting(found)
    with _lock:
        found = replace(found, **_around.settings)
        shutdown()
        if not found.enabled:
            use(Recorder(off=True))
            _in_force = settings, found
            return found
        try:
            alerting = _alerting_of(found)
            wired = Wired(found, _around)
        except (ValueError, TypeError) as error:
            raise_interrupt()
            if isinstance(error, ConfigurationError):
                raise
            raise ConfigurationError("configure", "the settings", str(error)) from error
        _wired = wired
        _connect(wired)
        at_exit_of_children(_at_exit)
        wired.start()
        alerting(wired)
        _in_force = settings, wired.settings
    switch_on()
    return wired.settings


def _connect(wired: Wired) -> None:
    """Have everything recorded from now on go there."""
    settings = wired.settings
    put_in_use(wired)
    configure_logs(settings.log_level, settings.levels)
    if settings.capture_logging:
        install_stdlib(last_resort=settings.console == "off")
    if settings.propagate_threads:
        propagate()
    if settings.handle_signals:
        join_signals(_before_death)


def _disconnect() -> None:
    """Have nothing recorded from now on."""
    put_in_use(None)
    uninstall_stdlib()
    unpropagate()
    configure_logs()


@contextmanager
def surrounded(by: Surroundings) -> Iterator[None]:
    """Within this block `configure` builds on these surroundings. What is in force goes on after it, as it was; in between it
    gets nothing, and sends what it has. Not for several threads at once."""
    global _wired, _in_force, _around
    with _lock:
        before = _wired, _in_force, _around, recorder()
        _disconnect()
        leave_signals()
        _wired, _in_force, _around = None, None, by
    try:
        yield
    finally:
        shutdown()
        with _lock:
            _wired, _in_force, _around, record = before
            use(record)
            if _wired is not None:
                _connect(_wired)
                _wired.telemetry.collect()


def _alerting_of(settings: Settings) -> Callable[[Wired], None]:
    """What the setting ``alerts``, or what was called before, has evaluated; imported for nobody else.

    Raises:
        ConfigurationError: a rule that does not exist, or a value that cannot be used.
    """
    if not settings.alerts and _ALERTING not in sys.modules:
        return lambda wired: None
    from otel_agentlog.wiring.alerting import alerting_by

    return alerting_by(settings.alerts)


def _stop_alerting(wired: Wired) -> None:
    if _ALERTING in sys.modules:
        from otel_agentlog.wiring.alerting import stop_alerting

        stop_alerting(wired)


def _instrumenting(settings: Settings) -> Callable[[], None]:
    """What the setting ``instrument`` asks for, to be done once there is a provider. Raises `ConfigurationError`."""
    if not settings.instrument:
        return lambda: None
    from otel_agentlog.wiring.instrument import as_set

    return as_set(settings.instrument)


def span_processor() -> SpansOfOthers:
    """A span processor that records the spans of a provider that `configure` does not find, where they belong to a task.

    For a vendor who keeps a provider to itself: ``logfire.configure(additional_span_processors=[agentlog.span_processor()])``.
    May be made before `configure`. Spans that are recorded already are not recorded twice.
    """
    from otel_agentlog.export.foreign import SpansOfOthers
    from otel_agentlog.export.providers import SCOPE
    from otel_agentlog.record.foreign_spans import adopt

    return SpansOfOthers(adopt, SCOPE, lambda what, error: recorder().failed(what, error))


def settings_in_force() -> Settings:
    """Those of the last `configure`; before it and after `shutdown` those that it would begin with."""
    return _in_force[1] if _in_force is not None else load({}, read_config_file())


def settings_given() -> dict[str, Any]:
    """What `configure` was given last; nothing before it and after `shutdown`."""
    return dict(_in_force[0]) if _in_force is not None else {}


def configure_again() -> None:
    """Build everything anew from what `configure` was given last, where it was called."""
    with _lock:
        if _in_force is not None:
            configure(**_in_force[0])


def ensure_configured(**settings: Any) -> Settings:
    """What `configure` does, where the settings in force are others: these go before those that it was given last.

    For code that needs recording and may not be the only one that sets it up. Raises like `configure`.
    """
    with _lock:
        given, found = _in_force or ({}, None)
        if found is not None and not settings:
            return found
        wanted = load({**given, **settings}, read_config_file())
        if found is not None and all(getattr(found, name) == getattr(wanted, name) for name in settings):
            return found
        return configure(**{**given, **settings})


def flush(timeout_s: float | None = None) -> Receipt:
    """Try to send everything recorded so far; returns what became of it. ``timeout_s`` defaults to ``shutdown_timeout_s``."""
    end_abandoned()
    wired = _wired
    if wired is None:
        return Receipt(0, 0, 0, 0, 0, 0, in_time=True)
    return wired.flush(wired.telemetry.flush, timeout_s)


def shutdown(timeout_s: float | None = None) -> Receipt:
    """Send what is queued, within ``timeout_s`` seconds for all signals together, and stop recording. Runs at exit by itself."""
    global _wired, _in_force
    with _lock:
        wired, _wired = _wired, None
        if wired is None and _in_force is not None:
            use(Recorder())  # it was switched off
        _in_force = None
    if wired is None:
        return Receipt(0, 0, 0, 0, 0, 0, in_time=True)
    end_abandoned()
    # What it finds in its last look is a line, too.
    _stop_alerting(wired)
    _disconnect()
    return _stop(wired, timeout_s)


def _stop(wired: Wired, timeout_s: float | None) -> Receipt:
    """End everything but recording."""
    leave_signals()
    _stop_alerting(wired)
    wired.stop()
    receipt = wired.flush(wired.telemetry.shutdown, timeout_s)
    wired.folders.stop_retrying()
    wired.process_lock.release()
    return receipt


def _before_death() -> None:
    """Within a signal handler that ends the process: send what is queued, for a moment. What is not sent is in the folders."""
    wired = _wired
    if wired is not None:
        wired.telemetry.worker.flush(min(BEFORE_DEATH_S, wired.settings.shutdown_timeout_s))
        wired.deliveries.write(until=time.monotonic() + BEFORE_DEATH_S)


def _at_exit() -> None:
    """End what is open and send what is queued. Exit handlers of others, finalizers and daemon threads come after this: what
    they record is kept in folders and in the application log, to be sent by another process."""
    interrupt_open("process exit")
    wired = _wired
    if wired is not None:
        timeout_s = wired.settings.shutdown_timeout_s
        end_abandoned()
        wired.only_keep()
        _stop(wired, max(timeout_s / 2, timeout_s - TEARDOWN_S))
        if died_of_ctrl_c():
            # Its import of prices on a thread would undo it.
            wired.recorder.lookups.join(TEARDOWN_S)
            die_of_ctrl_c()


def _renew_after_fork() -> None:
    # Another thread of the parent may have held these.
    global _lock
    _lock = threading.RLock()


atexit.register(_at_exit)
after_fork_in_child(_renew_after_fork)
