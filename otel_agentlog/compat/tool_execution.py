"""Tool execution and its monitoring: an execution log, metrics with alerts, and a service that tells both of what it runs.

from otel_agentlog.compat.tool_execution import create_monitored_tes

tes = create_monitored_tes(enable_logging=True, enable_metrics=True, statsd_host="metrics.example.com")
result = tes.execute("validate_api_schema", {"schema_file": "api.yaml"}, session_id="session-123")

Every execution is a tool run in the task that is running, else in a task of its own, and counts once, however many logs and
collectors get it. It is in the task folders of the process: ``agentlog ls``, ``stats``, ``alerts``, ``metrics``,
``serve`` and ``monitor`` show it.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from otel_agentlog._interrupts import raise_interrupt, taken_out
from otel_agentlog.compat import statsd
from otel_agentlog.compat.past_runs import ExecutionError as ExecutionError
from otel_agentlog.compat.past_runs import PastRun, read_result, record_once
from otel_agentlog.error_handling import ErrorCategory as ErrorCategory
from otel_agentlog.error_handling import ErrorDetails as ErrorDetails
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.query import Alert, Filter, errors_by_category, search, statistics, statistics_by
from otel_agentlog.query.filters.moments import parse_moment
from otel_agentlog.settings import parsers
from otel_agentlog.tools import Registry, ToolResult
from otel_agentlog.tools import ResourceUsage as ResourceUsage
from otel_agentlog.tools import ToolExecutionService as ToolExecutionService
from otel_agentlog.tools.process.result import Cancellation
from otel_agentlog.tools.scripts.execute import Ids
from otel_agentlog.wiring import ensure_configured, flush, settings_in_force
from otel_agentlog.wiring.alerting import active_alerts, register_alert_callback, set_alert_threshold

__all__ = [
    "ErrorCategory",
    "ErrorDetails",
    "ExecutionError",
    "ExecutionLogger",
    "MetricsCollector",
    "MonitoredToolExecutionService",
    "ResourceUsage",
    "ToolExecutionService",
    "create_monitored_tes",
]

Moment: TypeAlias = "datetime | str | float | None"
"""A time with or without zone (then local), a text as ``--since`` takes it, or Unix seconds."""

_MB = 1_000_000
_NS = 1_000_000_000


def _unix_ns(name: str, given: Any) -> int | None:
    if given is None:
        return None
    try:
        return int((given.timestamp() if isinstance(given, datetime) else float(given)) * _NS)
    except (ValueError, TypeError, OverflowError):
        raise_interrupt()
    try:
        return int(parse_moment(given) * _NS)
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise_interrupt()
        raise ConfigurationError(name, given, "a moment such as 2h, yesterday or 2026-11-20 09:30:00") from None


def _filter(start_date: Moment, end_date: Moment, **wanted: Any) -> Filter:
    try:
        return Filter(since_ns=_unix_ns("start_date", start_date), until_ns=_unix_ns("end_date", end_date), **wanted)
    except TypeError:
        raise_interrupt()
        known = ", ".join(sorted(each.name for each in fields(Filter)))
        raise ConfigurationError("query", ", ".join(sorted(wanted)), f"fields of a filter ({known})") from None


def _root() -> Path:
    """The folder of the task folders."""
    return settings_in_force().directory


class ExecutionLogger:
    """A log of executions: in task folders, and so in every list and statistic. Configures recording unless that is done.

    Safe from any thread. Recording never raises.
    """

    def __init__(
        self,
        rotation_size_mb: float | None = None,
        retention_days: float | None = None,
        async_logging: bool = True,
        *,
        log_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        """Set up what is given; the rest stays as it is.

        Args:
            rotation_size_mb: size at which the application log is rotated, in megabytes (10^6 bytes).
            retention_days: days after which executions outside every task, and rotated application logs, are deleted;
                default: never, and after 14 days. Other tasks are not concerned.
            async_logging: a line is written before the call returns, which waits for no disk, and sent in the background. With
                false the disk is waited for (setting ``durability``).
            log_dir: the folder of the task folders; default: ``METACLAUDE_LOG_DIR``, and what `otel_agentlog.configure` says.

        Raises:
            ConfigurationError: a value that cannot be used.
        """
        wanted: dict[str, Any] = {}
        if rotation_size_mb is not None:
            size_mb = parsers.number(0.004096)("rotation_size_mb", rotation_size_mb)
            wanted["log_max_bytes"] = int(size_mb * _MB)
        if retention_days is not None:
            days = parsers.duration(0.01, 86_400.0)("retention_days", retention_days)
            wanted |= {"execution_retention_days": days, "log_keep_days": max(1, math.ceil(days))}
        if not parsers.flag("async_logging", async_logging):
            wanted["durability"] = "sync"
        if log_dir is not None:
            wanted["directory"] = log_dir
        ensure_configured(**wanted)

    def log_execution(
        self,
        script_id: str,
        specialist: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        result: Any = None,
        session_id: str | None = None,
        correlation_id: str | None = None,
    ) -> None:
        """Record an execution that is over, unless the service that ran it did. ``result`` may be of any shape."""
        record_once("log", read_result(script_id, specialist, result), inputs, result, session_id, correlation_id)

    def query(
        self,
        *,
        start_date: Moment = None,
        end_date: Moment = None,
        failed: bool = False,
        limit: int = 100,
        script_id: str | None = None,
        **wanted: Any,
    ) -> list[dict[str, Any]]:
        """Executions and other tasks, newest first, as ``agentlog ls --json`` has them.

        Dates are `datetime`, Unix seconds, or texts as ``agentlog --since`` takes. ``wanted`` are further fields of
        `otel_agentlog.query.Filter`: ``specialist``, ``user``, ``session_id``, ``correlation_id``, ``error_category`` …

        Raises:
            ConfigurationError: a date that cannot be read, or a field that does not exist.
        """
        chosen = _filter(start_date, end_date, failed=failed, tool=script_id, **wanted)
        return [row.as_json() for row in search(_root(), chosen, limit=parsers.number(0, whole=True)("limit", limit)).rows]

    def get_statistics(
        self,
        start_date: Moment = None,
        end_date: Moment = None,
        group_by: str | None = None,
        **wanted: Any,
    ) -> dict[str, Any]:
        """Counts, success rate and percentiles, as ``agentlog stats --json`` has them.

        ``group_by`` is one of ``specialist``, ``user``, ``script_id``, ``status``, ``day``, ``agent``, ``model``.
        """
        key = "tool" if group_by in ("script_id", "script") else group_by
        found = statistics(_root(), _filter(start_date, end_date, **wanted), group_by=key)
        return {"group_by": group_by, "groups": [group.as_json() for group in found.groups]}

    def shutdown(self) -> None:
        """Send what is queued. Recording goes on: it is the process's."""
        flush()


def _as_dict(alert: Alert) -> dict[str, Any]:
    return {key: value for key, value in alert.as_json().items() if value is not None}


class MetricsCollector:
    """Metrics of executions, with alerts: counted from what is recorded, and sent by StatsD if a host is given."""

    def __init__(
        self,
        retention_minutes: int = 60,
        aggregation_interval: int = 60,
        statsd_host: str | None = None,
        statsd_port: int | None = None,
        *,
        set_up: bool = True,
    ) -> None:
        """Configure recording unless that is done.

        Args:
            retention_minutes: the period of `get_current_metrics`.
            aggregation_interval: taken for compatibility; figures are computed when they are asked for.
            statsd_host: default: setting ``statsd_host``, which ``METACLAUDE_METRICS_HOST`` sets; without one nothing is sent.
            statsd_port: default: setting ``statsd_port``, which ``METACLAUDE_METRICS_PORT`` sets, else 8125.
            set_up: false leaves recording as it is; where it is off, executions are sent by StatsD and no more.

        Raises:
            ConfigurationError: a value that cannot be used, or the package ``datadog`` is missing that sends.
        """
        settings = ensure_configured() if set_up else settings_in_force()
        self._minutes = parsers.number(1)("retention_minutes", retention_minutes)
        host = settings.statsd_host if statsd_host is None else parsers.text("statsd_host", statsd_host)
        port = settings.statsd_port if statsd_port is None else parsers.port("statsd_port", statsd_port)
        self._statsd = None if host is None else statsd.client(host, port, settings.statsd_prefix or statsd.PREFIX)
        self._take_back: deque[Callable[[], None]] = deque()

    def record_execution(self, script_id: str, specialist: str | None = None, result: Any = None) -> None:
        """Count an execution that is over, and send its figures by StatsD. ``result`` may be of any shape."""
        past = read_result(script_id, specialist, result)
        record_once("metrics", past, None, result, None, None)
        self._send(past)

    def _send(self, past: PastRun) -> None:
        if self._statsd is not None:
            statsd.send(self._statsd, past)

    def set_alert_threshold(self, name: str, value: float) -> None:
        """`otel_agentlog.set_alert_threshold`: for this process, not for this collector alone."""
        set_alert_threshold(name, value)

    def register_alert_callback(self, callback: Callable[[list[dict[str, Any]]], object]) -> Callable[[], None]:
        """Have a function called, on a background thread, with a list of alerts, each a dict; not when one is over.

        Returns:
            A function that takes it back.
        """
        if not callable(callback):
            raise ConfigurationError("register_alert_callback", callback, "a function that takes a list of alerts")

        def tell(alert: Alert) -> None:
            if not alert.resolved:
                callback([_as_dict(alert)])

        take_back = register_alert_callback(tell)
        self._take_back.append(take_back)
        return take_back

    def check_alerts(self) -> list[dict[str, Any]]:
        """What is too much right now."""
        return [_as_dict(alert) for alert in active_alerts()]

    def get_current_metrics(self) -> dict[str, Any]:
        """The figures of the last ``retention_minutes``: `generate_report` of that period."""
        return self.generate_report(self._minutes)

    def generate_report(self, period_minutes: float = 60) -> dict[str, Any]:
        """Executions and other tasks of the last minutes: in total, by specialist and script, and errors by category."""
        minutes = parsers.number(0)("period_minutes", period_minutes)
        now = datetime.now().astimezone()
        wanted = _filter(now.timestamp() - minutes * 60, None)
        root = _root()
        total, by_specialist, by_script = statistics_by(root, wanted, (None, "specialist", "tool"))
        return {
            "period_minutes": period_minutes,
            "generated_at": now.isoformat(),
            "total": total.groups[0].as_json(),
            "by_specialist": [group.as_json() for group in by_specialist.groups],
            "by_script": [group.as_json() for group in by_script.groups],
            "errors_by_category": errors_by_category(root, wanted),
        }

    def shutdown(self) -> None:
        """Take the callbacks back and send what is queued. Recording goes on: it is the process's."""
        for take_back in taken_out(self._take_back):
            take_back()
        if self._statsd is not None:
            statsd.finish(self._statsd)
        flush()


class MonitoredToolExecutionService(ToolExecutionService):
    """A service whose executions are logged and measured."""

    def __init__(
        self,
        registry_path: str | os.PathLike[str] | Registry = "registry.json",
        enable_logging: bool = True,
        enable_metrics: bool = True,
        statsd_host: str | None = None,
        statsd_port: int | None = None,
    ) -> None:
        """Load a registry, and configure recording unless that is done.

        Args:
            registry_path: the registry, or one that is loaded.
            enable_logging: false: recording is not set up; where it is, by `otel_agentlog.configure`, executions are recorded.
            enable_metrics: whether there is a `MetricsCollector`.
            statsd_host: that of the collector.
            statsd_port: that of the collector.

        Raises:
            RegistryError: the registry cannot be used.
            ConfigurationError: a value that cannot be used.
        """
        super().__init__(registry_path)
        self.enable_logging = parsers.flag("enable_logging", enable_logging)
        self.enable_metrics = parsers.flag("enable_metrics", enable_metrics)
        self.logger = ExecutionLogger() if self.enable_logging else None
        self.metrics = (
            MetricsCollector(statsd_host=statsd_host, statsd_port=statsd_port, set_up=self.enable_logging)
            if self.enable_metrics
            else None
        )

    def _execute(self, script_id: str, inputs: Mapping[str, Any] | None, cancellation: Cancellation, ids: Ids) -> ToolResult:
        result = super()._execute(script_id, inputs, cancellation, ids)
        if self.metrics is not None:
            self.metrics.record_execution(result.script_id, self._script(script_id).specialist or None, result)
        return result

    def get_metrics_report(self, period_minutes: float = 60) -> dict[str, Any]:
        """`MetricsCollector.generate_report`; empty without metrics."""
        return self.metrics.generate_report(period_minutes) if self.metrics is not None else {}

    def shutdown(self) -> None:
        """Take alert callbacks back and send what is queued."""
        if self.metrics is not None:
            self.metrics.shutdown()
        flush()


def create_monitored_tes(
    registry_path: str | os.PathLike[str] | Registry | None = None,
    enable_logging: bool = True,
    enable_metrics: bool = True,
    statsd_host: str | None = None,
    statsd_port: int | None = None,
) -> MonitoredToolExecutionService:
    """A `MonitoredToolExecutionService`, by default of ``registry.json`` in the working directory."""
    registry = "registry.json" if registry_path is None else registry_path
    return MonitoredToolExecutionService(registry, enable_logging, enable_metrics, statsd_host, statsd_port)
