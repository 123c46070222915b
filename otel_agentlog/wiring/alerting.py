"""Alerts in the process that records: a sink that queues what ended, and one thread that evaluates it every second.

It becomes a sink when there is a reason: the setting ``alerts``, a threshold set in code, or a callback. The calling thread
appends to a queue and does no more; past its bound the oldest are not counted, which only happens at thousands of ends a second.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from otel_agentlog._interrupts import OwnThread, raise_interrupt
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.query import RULES, Rule, Watch, changed, observations, rules_from, says_something
from otel_agentlog.query import Alert as Alert
from otel_agentlog.record.recorder import recorder
from otel_agentlog.record.sanitize.keys import plain_text
from otel_agentlog.store.control import ask
from otel_agentlog.store.folder.reader import find_task
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.wiring.setup import Wired, in_use

INTERVAL_S = 1.0
"""Seconds between two evaluations."""

MAX_WAITING = 5_000
"""Most lines that wait for the next evaluation."""

Callback = Callable[[Alert], object]

_LEVELS = {"critical": "ERROR", "warning": "WARNING", "info": "INFO"}
_lock = threading.RLock()
_callbacks: list[Callback] = []
_thresholds: dict[str, Any] = {}
_evaluators: weakref.WeakKeyDictionary[Wired, Alerting] = weakref.WeakKeyDictionary()
"""Of what one `configure` put together, what evaluates it, if alerts were called for."""


def set_alert_threshold(name: str, value: float | Mapping[str, Any] | bool) -> None:
    """Change a rule from now on, regardless of the settings: ``set_alert_threshold("error_rate_percent", 15.0)``.

    ``value`` is a threshold, ``False`` (off), or a mapping of fields such as ``{"threshold": 5, "action": "stop"}``.

    Raises:
        ConfigurationError: a rule that does not exist, or a value that cannot be used.
    """
    if type(name) is not str or name not in RULES:
        raise ConfigurationError(f"alerts.{plain_text(name)}", value, f"a rule that exists ({', '.join(RULES)})")
    try:
        changed(RULES[name], value)
    except ConfigurationError:
        raise
    except Exception as error:
        raise_interrupt()
        # Broad, as the value is any object, which says what it is by code of its own.
        raise ConfigurationError(f"alerts.{name}", value, "a threshold, False, or a mapping of fields") from error
    with _lock:
        _thresholds[name] = value
        if (evaluator := _evaluator()) is not None:
            evaluator.use(name, value)


def register_alert_callback(callback: Callback) -> Callable[[], None]:
    """Have a function called, on a background thread, with each `Alert` and each recovery notice (``alert.resolved``).

    Returns:
        A function that takes it back.
    """
    if not callable(callback):
        raise ConfigurationError("register_alert_callback", callback, "a function that takes an alert")
    with _lock:
        _callbacks.append(callback)
        if (evaluator := _evaluator()) is not None:
            evaluator.turn_on()

    def take_back() -> None:
        with _lock:
            if callback in _callbacks:
                _callbacks.remove(callback)

    return take_back


def active_alerts() -> list[Alert]:
    """What is too much right now, in this process."""
    wired = in_use()
    evaluator = None if wired is None else _evaluators.get(wired)
    return [] if evaluator is None else evaluator.active()


def alerting_by(given: Mapping[str, Any]) -> Callable[[Wired], None]:
    """What evaluates by the setting ``alerts`` and by what was called, once it is given what records.

    Raises:
        ConfigurationError: a rule that does not exist, or a value that cannot be used.
    """
    rules = rules_from(given)

    def begin(wired: Wired) -> None:
        with _lock:
            evaluator = _evaluators[wired] = Alerting(rules, stop_task=partial(_stop_task, wired.settings.directory))
            for name, value in _thresholds.items():
                evaluator.use(name, value)
            if given or _callbacks:
                evaluator.turn_on()

    return begin


def stop_alerting(wired: Wired) -> None:
    """Evaluate once more, and end."""
    with _lock:
        evaluator = _evaluators.pop(wired, None)
    if evaluator is not None:
        evaluator.stop()


def _evaluator() -> Alerting | None:
    """That of what is in use; it begins now where `configure` did not, as alerts had not been called for by then."""
    wired = in_use()
    if wired is not None and wired not in _evaluators:
        alerting_by(wired.settings.alerts)(wired)
    return None if wired is None else _evaluators[wired]


def _stop_task(directory: Path, alert: Alert) -> None:
    """Request that a task that has spent its budget is cancelled."""
    folder = find_task(directory, str(alert.task_id)).folder
    ask(folder, "cancel", reason=f"{alert.type}: {alert.message}", source="alert")


class Alerting:
    """The sink, and the thread behind it."""

    name = "alerts"

    def __init__(self, rules: Mapping[str, Rule], *, stop_task: Callable[[Alert], None]) -> None:
        self._watch = Watch(rules)
        self._stop_task = stop_task
        self._waiting: deque[Line] = deque(maxlen=MAX_WAITING)
        self.is_on = False
        """Whether it is among the recorder's sinks."""
        self._pid = 0
        self._wake = threading.Event()
        self._ended = False

    def __call__(self, envelope: Envelope) -> None:
        """Take note of a line."""
        if says_something(envelope.line):
            self._waiting.append(envelope.line)
            if self._pid != os.getpid():
                self._start()

    def turn_on(self) -> None:
        """Take part in recording from now on."""
        if not self.is_on:
            self.is_on = True
            record = recorder()
            record.sinks = [*record.sinks, self]

    def use(self, name: str, value: Any) -> None:
        """Change a rule."""
        self._watch.rules[name] = changed(self._watch.rules[name], value)
        self.turn_on()

    def active(self) -> list[Alert]:
        """What is too much right now."""
        return list(self._watch.active.values())

    def stop(self) -> None:
        """Evaluate once more, and end."""
        self._ended = True
        self._wake.set()
        if self.is_on and self._pid == os.getpid():
            self._look()

    def _start(self) -> None:
        # Also in a forked child, which has the parent's lines but not its thread.
        self._pid = os.getpid()
        self._wake = threading.Event()
        try:
            OwnThread(self._work, "agentlog-alerts").start()
        except RuntimeError as error:
            raise_interrupt()
            recorder().failed("alerts", error)  # no more threads

    def _work(self) -> None:
        while not self._ended:
            self._wake.wait(INTERVAL_S)
            if not self._ended:
                self._look()

    def _look(self) -> None:
        try:
            while self._waiting:
                for seen in observations(self._waiting.popleft()):
                    self._watch.observe(seen)
            news = self._watch.evaluate(time.time_ns())
        except Exception as error:  # noqa: BLE001 - what watches must not disturb what is watched
            recorder().failed("alerts", error)
            return
        for alert in news:
            self._tell(alert)

    def _tell(self, alert: Alert) -> None:
        recorder().point(_line(alert), None, {})
        listeners: list[Callback] = [*_callbacks]
        if alert.action == "stop" and not alert.resolved and alert.task_id is not None:
            listeners.append(self._stop_task)
        for listener in listeners:
            try:
                listener(alert)
            except Exception as error:  # noqa: BLE001 - callbacks are foreign code
                recorder().failed("alert callback", error)


def _line(alert: Alert) -> Line:
    return {
        "type": "event",
        "level": _LEVELS.get(alert.severity, "WARNING"),
        "component": "orchestrator",
        "action": "alert_resolved" if alert.resolved else "alert_raised",
        "message": f"{alert.type}: {alert.message}",
        "details": alert.as_json(),
    }
