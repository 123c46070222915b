"""The OpenTelemetry providers: joined where somebody has set one, made and set where nobody has.

This module decides who owns what: only what was made here is shut down here.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

from opentelemetry import _logs, metrics, trace
from opentelemetry._logs import LoggerProvider as LoggerProviderAPI
from opentelemetry.metrics import MeterProvider as MeterProviderAPI
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import ProxyTracerProvider

from otel_agentlog._version import __version__
from otel_agentlog.export import otlp
from otel_agentlog.export.adopt import Adopt, AdoptSpans
from otel_agentlog.export.cleaning import Clean
from otel_agentlog.export.courier import Courier, Sender, Ticket
from otel_agentlog.export.metrics import Metrics
from otel_agentlog.export.semconv import ContentPolicy, Conventions, Profile
from otel_agentlog.export.semconv_names import SCHEMA_URL
from otel_agentlog.export.sink import CollectLogs, CollectSpans, ExportSink
from otel_agentlog.model import FORMAT_VERSION, Line
from otel_agentlog.settings import SIGNALS, Settings

SCOPE = "otel_agentlog"
"""Name of the instrumentation scope of everything recorded here."""

_adopting: weakref.WeakSet[TracerProvider] = weakref.WeakSet()
"""Providers whose foreign spans are filed already; a second `configure` must not file them twice."""

_made: dict[str, Any] = {}
"""Providers made by an earlier `Telemetry`: OpenTelemetry lets each be set once, so a second `configure` goes on with them."""


def conventions_of(settings: Settings) -> Conventions:
    """The naming that the settings ask for."""
    profile = cast(Profile, settings.profile)
    policy = cast(ContentPolicy, settings.content_policy)
    return Conventions(profile, policy, cast("frozenset[Literal['span', 'event']]", settings.content_on))


class Telemetry:
    """Everything that leaves by OpenTelemetry, for one `configure`."""

    def __init__(
        self,
        settings: Settings,
        *,
        receipt: Callable[[Sequence[Ticket], str | None], None],
        failed: Callable[[str, BaseException], None],
        adopt: Adopt = lambda context, start: None,
        clean: Clean | None = None,
    ) -> None:
        for signal in SIGNALS:
            otlp.check(settings, signal)
        self._settings, self._receipt, self._failed = settings, receipt, failed
        self._adopt, self._clean = adopt, clean
        self.conventions = conventions_of(settings)
        self._metrics: Metrics | None = None
        self._meter_provider: MeterProvider | None = None
        self._senders_by_signal = self._senders()
        self.courier = Courier(
            self._senders_by_signal,
            receipt=self._on_receipt,
            failed=failed,
            queue_size=settings.queue_size,
            batch_size=settings.batch_size,
            delay_s=settings.send_delay_s,
        )
        self.resource = Resource.create({"service.name": settings.service_name})
        self._join_metrics()
        self._logger = self._join_logs()
        self.sink = ExportSink(self.courier, self.conventions, self._metrics, self._logger)
        self.tracer = self._join_traces()

    # -- joining ----------------------------------------------------------------------------------------------------------

    def _senders(self) -> Mapping[str, Callable[[], Sender]]:
        def maker(signal: str) -> Callable[[], Sender]:
            return lambda: otlp.ExporterSender(otlp.make_exporter(self._settings, signal))

        return {signal: maker(signal) for signal in ("traces", "logs") if self._settings.exporter(signal) != "none"}

    def _join_traces(self) -> trace.Tracer:
        provider = trace.get_tracer_provider()
        made = _made.get("traces")
        if isinstance(provider, ProxyTracerProvider):
            made = _made["traces"] = provider = TracerProvider(resource=self.resource, shutdown_on_exit=False)
            trace.set_tracer_provider(provider)
        own = provider is made
        if isinstance(provider, TracerProvider):
            self.resource = provider.resource
            # Before the spans are collected: what was filed gives the span its ticket.
            if provider not in _adopting:
                provider.add_span_processor(AdoptSpans(self._adopt, SCOPE, self._failed))
                _adopting.add(provider)
            if self._settings.exporter("traces") != "none" and (own or self._settings.endpoint_given):
                provider.add_span_processor(CollectSpans(self.courier, self.sink.ticket_of, self._clean, only_own=not own))
        return provider.get_tracer(SCOPE, __version__, SCHEMA_URL)

    def _join_logs(self) -> _logs.Logger | None:
        provider: LoggerProviderAPI = _logs.get_logger_provider()
        made = _made.get("logs")
        # The logs API has no public name for the provider that stands in until one is set.
        if type(provider).__name__ == "ProxyLoggerProvider":
            if self._settings.exporter("logs") == "none":
                return None
            made = _made["logs"] = provider = LoggerProvider(resource=self.resource, shutdown_on_exit=False)
            _logs.set_logger_provider(provider)
        if provider is made and isinstance(provider, LoggerProvider) and self._settings.exporter("logs") != "none":
            provider.add_log_record_processor(CollectLogs(self.courier, lambda: self.sink.current_ticket, self._clean))
        return provider.get_logger(SCOPE, __version__, SCHEMA_URL)

    def _join_metrics(self) -> None:
        provider: MeterProviderAPI = metrics.get_meter_provider()
        if not isinstance(provider, MeterProvider) and self._settings.exporter("metrics") != "none":
            reader = PeriodicExportingMetricReader(otlp.make_exporter(self._settings, "metrics"))
            provider = self._meter_provider = MeterProvider([reader], resource=self.resource, shutdown_on_exit=False)
            metrics.set_meter_provider(provider)
            _made["metrics"] = provider
        if isinstance(provider, MeterProvider):
            self._metrics = Metrics(provider.get_meter(SCOPE, __version__, SCHEMA_URL), self.conventions.profile)

    # -- running ----------------------------------------------------------------------------------------------------------

    def _on_receipt(self, signal: str, tickets: Sequence[Ticket], reason: str | None) -> None:
        self._receipt(tickets, reason)
        if self._metrics is not None:
            word = "span" if signal == "traces" else "log"
            self._metrics.on_delivery(word, "delivered" if reason is None else "dropped", len(tickets), reason)

    def count_dropped(self, items: int, reason: str) -> None:
        """Count items that will not be sent, of whatever signal."""
        if self._metrics is not None:
            self._metrics.on_delivery(None, "dropped", items, reason)

    @property
    def active(self) -> bool:
        """Whether anything leaves at all; without it nothing needs to be queued."""
        return bool(self._senders_by_signal) or self._metrics is not None or self._logger is not None

    def process_line(self) -> Line:
        """The line with which each writer introduces itself: resource, scope and policy of what it will write."""
        return {
            "type": "process",
            "level": "INFO",
            "component": "process",
            "action": "process_attached",
            "message": f"process {os.getpid()}",
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "format_version": FORMAT_VERSION,
            "content_policy": self._settings.content_policy,
            "content_on": sorted(self._settings.content_on),
            "profile": self._settings.profile,
            "resource": dict(self.resource.attributes),
            "scope": {"name": SCOPE, "version": __version__, "schema_url": SCHEMA_URL},
        }

    def flush(self, timeout_s: float) -> bool:
        """Send what is queued, all signals within one deadline; whether that was done in time."""
        deadline = time.monotonic() + timeout_s
        done = self.courier.flush(timeout_s)
        provider = _made.get("metrics")
        if isinstance(provider, MeterProvider):
            left_s = max(0.0, deadline - time.monotonic())
            done = _in_time(lambda: provider.force_flush(int(left_s * 1000)), left_s) and done
        return done

    def shutdown(self, timeout_s: float) -> bool:
        """Send what is queued, all signals within one deadline, and stop what was started here."""
        deadline = time.monotonic() + timeout_s
        done = self.flush(timeout_s)
        return self.courier.shutdown(max(0.1, deadline - time.monotonic())) and done


def _in_time(work: Callable[[], object], timeout_s: float) -> bool:
    """Do work that may take longer than it promises; whether it was done in time."""
    ended, worked = threading.Event(), threading.Event()

    def run() -> None:
        try:
            work()
            worked.set()
        except Exception:  # noqa: BLE001, S110 - the SDK raises where it could not flush in time; the answer is no
            pass
        finally:
            ended.set()

    try:
        threading.Thread(target=run, name="agentlog-flush", daemon=True).start()
    except RuntimeError:
        return False  # the interpreter is shutting down and starts no threads
    ended.wait(timeout_s)
    return worked.is_set()
