"""The OpenTelemetry providers: joined where somebody has set one, made and set where nobody has.

This module decides who owns what: only what was made here is shut down here.
"""

from __future__ import annotations

import os
import socket
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

from opentelemetry import _logs, trace
from opentelemetry._logs import LoggerProvider as LoggerProviderAPI
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import ProxyTracerProvider

from otel_agentlog._version import __version__
from otel_agentlog.export import metrics as meters
from otel_agentlog.export.foreign import Adopt, AdoptSpans
from otel_agentlog.export.metrics import Delivery, Metrics
from otel_agentlog.export.pipeline.backlog import Backlog, CatchUp, EmptyBacklog
from otel_agentlog.export.pipeline.items import ItemRef, LiveDeliveryObserver
from otel_agentlog.export.pipeline.signal_queue import QueueLimits
from otel_agentlog.export.pipeline.worker import DeliveryWorker
from otel_agentlog.export.records import Clean
from otel_agentlog.export.semconv.conventions import ContentPolicy, Conventions, Profile
from otel_agentlog.export.semconv.names import SCHEMA_URL
from otel_agentlog.export.sink import CollectLogs, CollectSpans, ExportSink, Route
from otel_agentlog.export.transport import senders
from otel_agentlog.export.transport.senders import Sender
from otel_agentlog.settings.fields import SIGNALS, Settings
from otel_agentlog.vocabulary.lines import FORMAT_VERSION, LOG, SPAN, Line

SCOPE = "otel_agentlog"
"""Name of the instrumentation scope of everything recorded here."""

_adopting: weakref.WeakSet[TracerProvider] = weakref.WeakSet()
"""Providers whose foreign spans are filed already; a second `configure` must not file them twice."""

_collecting_spans: weakref.WeakKeyDictionary[TracerProvider, CollectSpans] = weakref.WeakKeyDictionary()
_collecting_logs: weakref.WeakKeyDictionary[LoggerProvider, CollectLogs] = weakref.WeakKeyDictionary()

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
        observer: LiveDeliveryObserver,
        failed: Callable[[str, BaseException], None],
        adopt: Adopt = lambda context, start: None,
        clean: Clean | None = None,
        backlog: Backlog | None = None,
    ) -> None:
        for signal in SIGNALS:
            senders.check(settings, signal)
        self._settings, self._observer, self._failed = settings, observer, failed
        self._adopt, self._clean = adopt, clean
        self.conventions = conventions_of(settings)
        self._metrics: Metrics | None = None
        self.resource = Resource.create({"service.name": settings.service_name})
        self.sends: tuple[str, ...] = ()
        """The signals that reach a collector through our worker."""
        self.elsewhere: tuple[str, ...] = ()
        """The signals that somebody else's exporters take to a collector, without our knowing when."""
        self._join_metrics()
        traces, logs = self._find_traces(), self._find_logs()
        self.worker = self._make_worker()
        self._catch_up = CatchUp(self.worker, backlog or EmptyBacklog(), failed, others=settings.catch_up_days > 0)
        logger = logs.get_logger(SCOPE, __version__, SCHEMA_URL) if logs is not None else None
        self.sink = ExportSink(self.worker, self.conventions, self._metrics, logger, observer, sends=self.sends)
        self.active = bool(self.sends) or self._metrics is not None or logger is not None
        """Whether anything leaves at all; without it nothing needs to be queued."""
        self._collect(traces, logs)
        self.tracer = traces.get_tracer(SCOPE, __version__, SCHEMA_URL)

    def _make_worker(self) -> DeliveryWorker:
        settings = self._settings
        limits = QueueLimits(settings.batch_size, settings.queue_size, delay_s=settings.send_delay_s)

        def maker(signal: str) -> Callable[[], Sender]:
            return lambda: senders.make_sender(settings, signal)

        return DeliveryWorker(
            {signal: maker(signal) for signal in self.sends},
            observer=_CountingObserver(self._observer, lambda: self._metrics),
            failed=self._failed,
            dropped=lambda signal, count, reason: self._count_dropped(signal, count, reason),
            limits=limits,
            flushers=[meters.flush] if meters.any_made() else [],
            on_idle=lambda: self._catch_up.on_idle(),
        )

    # -- joining ----------------------------------------------------------------------------------------------------------

    def _find_traces(self) -> trace.TracerProvider:
        provider = trace.get_tracer_provider()
        if isinstance(provider, ProxyTracerProvider):
            provider = _made["traces"] = TracerProvider(resource=self.resource, shutdown_on_exit=False)
            trace.set_tracer_provider(provider)
        if isinstance(provider, TracerProvider):
            self.resource = provider.resource
            own = provider is _made.get("traces")
            if self._settings.exporter("traces") != "none" and (own or self._settings.endpoint_given):
                self.sends = (*self.sends, "traces")
            elif not own:
                self.elsewhere = (*self.elsewhere, "traces")
        return provider

    def _find_logs(self) -> LoggerProviderAPI | None:
        provider: LoggerProviderAPI = _logs.get_logger_provider()
        wanted = self._settings.exporter("logs") != "none"
        # The logs API has no public name for the provider that stands in until one is set.
        if type(provider).__name__ == "ProxyLoggerProvider":
            if not wanted:
                return None
            provider = _made["logs"] = LoggerProvider(resource=self.resource, shutdown_on_exit=False)
            _logs.set_logger_provider(provider)
        if provider is not _made.get("logs"):
            self.elsewhere = (*self.elsewhere, "logs")
        elif wanted:
            self.sends = (*self.sends, "logs")
        else:
            return None
        return provider

    def _collect(self, traces: trace.TracerProvider, logs: LoggerProviderAPI | None) -> None:
        if isinstance(traces, TracerProvider):
            # Before the spans are collected: what was filed gives the span its ref.
            if traces not in _adopting:
                traces.add_span_processor(AdoptSpans(self._adopt, SCOPE, self._failed))
                _adopting.add(traces)
            self._collect_spans(traces)
        if isinstance(logs, LoggerProvider):
            self._collect_logs(logs)

    def _collect_spans(self, provider: TracerProvider) -> None:
        # A processor cannot be taken off a provider again, so that of an earlier `configure` takes spans to us from now on.
        collect = _collecting_spans.get(provider)
        if collect is None and "traces" in self.sends:
            collect = _collecting_spans[provider] = CollectSpans(only_own=provider is not _made.get("traces"))
            provider.add_span_processor(collect)
        if collect is not None:
            collect.route = Route(self.worker, self.sink, self._clean) if "traces" in self.sends else None

    def _collect_logs(self, provider: LoggerProvider) -> None:
        collect = _collecting_logs.get(provider)
        if collect is None and "logs" in self.sends:
            collect = _collecting_logs[provider] = CollectLogs()
            provider.add_log_record_processor(collect)
        if collect is not None:
            collect.route = Route(self.worker, self.sink, self._clean) if "logs" in self.sends else None

    def _join_metrics(self) -> None:
        provider = meters.meter_provider(self._settings, self.resource)
        if provider is not None:
            self._metrics = Metrics(provider.get_meter(SCOPE, __version__, SCHEMA_URL), self.conventions.profile)

    # -- running ----------------------------------------------------------------------------------------------------------

    def _count_dropped(self, signal: str, count: int, reason: str) -> None:
        if self._metrics is not None:
            self._metrics.on_delivery(SPAN if signal == "traces" else LOG, "dropped", count, reason)

    def count_dropped(self, items: int, reason: str) -> None:
        """Count items that will not be sent, of whatever signal."""
        if self._metrics is not None:
            self._metrics.on_delivery(None, "dropped", items, reason)

    def start(self) -> None:
        """Begin to send; until now nothing was done that takes a network."""
        if self.sends:
            self.worker.start()
            self._catch_up.start()

    def look_again(self) -> None:
        """Something that dead processes left can be sent only now."""
        if self.sends:
            self._catch_up.look_again()

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
            **({"elsewhere": list(self.elsewhere)} if self.elsewhere else {}),
        }

    def flush(self, timeout_s: float) -> bool:
        """Send what is queued, all signals within one deadline; whether that was done in time."""
        deadline = time.monotonic() + timeout_s
        done = self.worker.flush(timeout_s)
        return self._catch_up.finish(deadline) and done

    def shutdown(self, timeout_s: float) -> bool:
        """Send what is queued, all signals within one deadline, and stop what was started here."""
        deadline = time.monotonic() + timeout_s
        self.worker.set_deadline(deadline)
        done = self.flush(timeout_s)
        self._catch_up.last_look(deadline)
        self._catch_up.stop()
        # Everything was tried, or the time is over: what came in between is tried for as long as there is any left.
        return self.worker.shutdown(max(0.0, deadline - time.monotonic())) and done


class _CountingObserver:
    """An observer whose calls are counted in metrics, too."""

    def __init__(self, observer: LiveDeliveryObserver, metrics: Callable[[], Metrics | None]) -> None:
        self._observer, self._metrics = observer, metrics
        self.set_aside, self.left = observer.set_aside, observer.left
        self.unsampled, self.ended = observer.unsampled, observer.ended

    def delivered(self, refs: Sequence[ItemRef], rejected: int, message: str) -> None:
        self._observer.delivered(refs, rejected, message)
        self._count(refs[rejected:], "delivered", None)
        self._count(refs[:rejected], "dropped", "rejected")

    def rejected(self, refs: Sequence[ItemRef], reason: str, message: str) -> None:
        self._observer.rejected(refs, reason, message)
        self._count(refs, "dropped", reason)

    def _count(self, refs: Sequence[ItemRef], event: Delivery, reason: str | None) -> None:
        metrics = self._metrics()
        if metrics is not None:
            spans = sum(ref.kind == SPAN for ref in refs)
            for signal, count in ((SPAN, spans), (LOG, len(refs) - spans)):
                if count:
                    metrics.on_delivery(signal, event, count, reason)
