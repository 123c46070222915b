"""The OpenTelemetry providers, and everything that one `configure` sends with them.

A provider that the application has set is joined; where there is none, one is made and set. Only what was made here is shut
down here. OpenTelemetry lets each provider be set once: a second `configure` goes on with those of the first, but for metrics,
which cannot change where they go; they get a provider of their own, and the global one stays what it is.
"""

from __future__ import annotations

import os
import socket
import sys
import time
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from operator import not_
from typing import TYPE_CHECKING, Any, Literal, cast

from opentelemetry import _logs, metrics, trace
from opentelemetry._logs import LoggerProvider as LoggerProviderAPI
from opentelemetry._logs import NoOpLogger
from opentelemetry.metrics import NoOpMeter
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import NoOpTracer, ProxyTracerProvider

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.export.encoding import Encoder
from otel_agentlog.export.foreign import Adopt, LogsOfOthers, Route, SpansOfOthers
from otel_agentlog.export.metrics import Delivery, Metrics
from otel_agentlog.export.pipeline.backlog import Backlog, CatchUp, EmptyBacklog
from otel_agentlog.export.pipeline.items import ItemRef, LiveDeliveryObserver
from otel_agentlog.export.pipeline.signal_queue import QueueLimits
from otel_agentlog.export.pipeline.worker import DeliveryWorker
from otel_agentlog.export.pipeline.workers import WorkerThread
from otel_agentlog.export.records import Clean, CleanOrigins, cleaned_metrics
from otel_agentlog.export.semconv.conventions import ContentPolicy, Conventions, Profile
from otel_agentlog.export.sink import ExportSink
from otel_agentlog.export.transport import senders
from otel_agentlog.export.transport.senders import Sender
from otel_agentlog.settings.fields import SIGNALS, Settings
from otel_agentlog.settings.version import __version__
from otel_agentlog.vocabulary.lines import FORMAT_VERSION, LOG, SPAN, Line
from otel_agentlog.vocabulary.records import Origin, RecordedScope

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider

    from otel_agentlog.export.histograms import OwnMeterProvider
    from otel_agentlog.export.transport.outlet import MemoryOutlet

_MAX_PROXIES = 5

SCOPE = "otel_agentlog"
"""Name of the instrumentation scope of everything recorded here."""

_spans_of_others: weakref.WeakKeyDictionary[TracerProvider, SpansOfOthers] = weakref.WeakKeyDictionary()
_logs_of_others: weakref.WeakKeyDictionary[LoggerProvider, LogsOfOthers] = weakref.WeakKeyDictionary()
"""Providers whose foreign spans and log records are taken already; a second `configure` must not take them twice."""

_made: dict[str, Any] = {}
"""Providers of traces and logs made by an earlier `Telemetry`."""


class OwnTracerProvider(TracerProvider):
    """The provider of spans that is made where there is none. It notes whether it has span processors that are not ours."""

    def __init__(self, resource: Resource) -> None:
        self.limits = SpanLimits()
        self.others: list[SpanProcessor] = []
        """Processors that others have added, which see the spans of the SDK only."""
        super().__init__(resource=resource, shutdown_on_exit=False, span_limits=self.limits)

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        if not isinstance(span_processor, SpansOfOthers):
            self.others.append(span_processor)
        super().add_span_processor(span_processor)


class OwnLoggerProvider(LoggerProvider):
    """The same for log records."""

    has_others = False

    def add_log_record_processor(self, log_record_processor: LogRecordProcessor) -> None:
        self.has_others = self.has_others or not isinstance(log_record_processor, LogsOfOthers)
        super().add_log_record_processor(log_record_processor)


def behind(provider: trace.TracerProvider) -> trace.TracerProvider:
    """The provider that a proxy of another make stands before, as logfire's does; without a proxy the provider itself."""
    for _ in range(_MAX_PROXIES):
        try:
            inner = getattr(provider, "provider", None)
        except Exception:  # noqa: BLE001 - a property of somebody else's class
            raise_interrupt()
            break
        if isinstance(provider, TracerProvider) or not isinstance(inner, trace.TracerProvider):
            break
        provider = inner
    return provider


def is_proxy_of_logs(provider: object) -> bool:
    """Whether it is the provider of log records that is there until one is set, for which the API has no public name."""
    return type(provider).__name__ == "ProxyLoggerProvider" and type(provider).__module__.startswith("opentelemetry.")


def conventions_of(settings: Settings) -> Conventions:
    """The conventions that the settings choose."""
    profile = cast(Profile, settings.profile)
    policy = cast(ContentPolicy, settings.content_policy)
    return Conventions(profile, policy, cast("frozenset[Literal['span', 'event']]", settings.content_on))


class Telemetry:
    """Everything that one `configure` sends: the delivery worker, the sink, the metrics, and the providers they work with."""

    def __init__(
        self,
        settings: Settings,
        *,
        observer: LiveDeliveryObserver,
        failed: Callable[[str, BaseException], None],
        adopt: Adopt = lambda context, start: None,
        clean: Clean | None = None,
        backlog: Backlog | None = None,
        outlet: MemoryOutlet | None = None,
    ) -> None:
        for signal in SIGNALS:
            senders.check(settings, signal)
        self._settings, self._observer, self._failed = settings, observer, failed
        self._adopt, self._clean, self._outlet = adopt, clean, outlet
        self.conventions = conventions_of(settings)
        self._schema_url = self.conventions.schema_url
        self._metrics: Metrics | None = None
        self._meters_of_outlet: OwnMeterProvider | None = None
        self._origins = CleanOrigins(clean or (lambda value: value))
        self.resource = self._origins.resource(Resource.create({"service.name": settings.service_name}))
        self.sends: tuple[str, ...] = ()
        """The signals that the delivery worker sends."""
        self.elsewhere: tuple[str, ...] = ()
        """The signals that exporters of the application send; when they do is not known here."""
        self.joined: list[str] = []
        """What became of providers that were there first, where an endpoint is set: to be logged once."""
        self._join_metrics()
        traces, logs = self._find_traces(), self._find_logs()
        self.worker = self._make_worker()
        self._catch_up = CatchUp(self.worker, backlog or EmptyBacklog(), failed, others=settings.catch_up_days > 0)
        logger = logs.get_logger(SCOPE, __version__, self._schema_url) if logs is not None else None
        self.sink = ExportSink(
            self.worker,
            self.conventions,
            self._metrics,
            logger,
            observer,
            sends=self.sends,
            emits=lambda: not isinstance(logs, OwnLoggerProvider) or logs.has_others,
            origin=Origin(
                resource=dict(self.resource.attributes),
                scope=RecordedScope(SCOPE, __version__, self._schema_url),
                span_events=settings.span_events,
            ),
            encoder=Encoder(resource_url=self.resource.schema_url),
        )
        self.active = bool(self.sends) or self._metrics is not None or logger is not None
        """Whether anything leaves at all; without it nothing needs to be queued."""
        self._traces, self._logs = traces, logs
        self.collect()
        self.tracer = traces.get_tracer(SCOPE, __version__, self._schema_url)
        self._own = traces if isinstance(traces, OwnTracerProvider) and not isinstance(self.tracer, NoOpTracer) else None
        self.light_spans: Callable[[], bool] = bool if self._own is None else partial(not_, self._own.others)
        """Whether our spans need no SDK: the provider is one that we made, and has no span processor but ours.

        Asked for each span, it is made of no Python code.
        """

    def _make_worker(self) -> DeliveryWorker:
        settings = self._settings
        limits = QueueLimits(settings.batch_size, settings.queue_size, delay_s=settings.send_delay_s)

        def maker(signal: str) -> Callable[[], Sender]:
            if self._outlet is not None:
                return partial(self._outlet.sender, signal)
            return lambda: senders.make_sender(settings, signal)

        return DeliveryWorker(
            {signal: maker(signal) for signal in self.sends},
            observer=_CountingObserver(self._observer, lambda: self._metrics),
            failed=self._failed,
            dropped=lambda signal, count, reason: self._count_dropped(signal, count, reason),
            limits=limits,
            flushers=self._flushers(),
            on_idle=lambda: self._catch_up.on_idle(),
        )

    def _flushers(self) -> list[Callable[[float], None]]:
        """What sends metrics at once, given seconds."""
        if self._meters_of_outlet is not None:
            return [self._flush_outlet]
        return [_flush_metrics] if _current_meters is not None else []

    def _flush_outlet(self, timeout_s: float) -> None:
        assert self._meters_of_outlet is not None
        self._meters_of_outlet.force_flush(int(timeout_s * 1000))

    @property
    def sampler(self) -> Sampler | None:
        """The sampler of spans that need no SDK."""
        return self._own.sampler if self._own is not None else None

    @property
    def span_limits(self) -> SpanLimits:
        """How much other code may put on such spans."""
        return self._own.limits if self._own is not None else SpanLimits()

    # -- joining ----------------------------------------------------------------------------------------------------------

    def _find_traces(self) -> trace.TracerProvider:
        provider = _tracer_provider(self.resource)
        own, sdk = provider is _made.get("traces"), behind(provider)
        if isinstance(sdk, TracerProvider) and not own:
            self.resource = self._origins.resource(sdk.resource)
        if isinstance(provider.get_tracer(SCOPE), NoOpTracer):
            return provider  # OTEL_SDK_DISABLED: nothing is sent, and everything may be sent later
        self._choose("traces", sdk, own=own, given=self._settings.endpoint_given)
        return provider

    def _choose(self, signal: str, provider: object, *, own: bool, given: bool = False) -> None:
        """Who sends a signal: of a provider that was there first its owner, and we where that does not send to our endpoint."""
        wanted = self._settings.exporter(signal) != "none"
        if wanted and (own or self._is_left_to_us(signal, provider, given)):
            self.sends = (*self.sends, signal)
        elif not own:
            self.elsewhere = (*self.elsewhere, signal)

    def _is_left_to_us(self, signal: str, provider: object, given: bool) -> bool:
        """Whether the endpoint is ``given`` to us, or no exporter of who was there first sends to it; notes what was found."""
        if self._settings.exporter(signal) != "otlp" or signal in self._settings.sent_by_sdk:
            return given  # what the SDK sets up is perhaps not all there yet
        from otel_agentlog.export.existing import exporters_of, place, sends_to

        url, theirs = senders.endpoint_of(self._settings, signal), list(exporters_of(provider))
        free = given or not any(sends_to(each, url) for each in theirs)
        names = ", ".join(sorted({type(each).__module__.partition(".")[0] for each in theirs})) or "none known"
        goes = "go there from here as well" if free else "go there by those, and are not counted here"
        self.joined.append(
            f"{signal}: a provider was set before configure(), with exporters of: {names}; to {place(url)} {signal} {goes}"
        )
        return free

    def _find_logs(self) -> LoggerProviderAPI | None:
        provider: LoggerProviderAPI = _logs.get_logger_provider()
        wanted = self._settings.exporter("logs") != "none"
        if is_proxy_of_logs(provider):
            if not wanted:
                return None
            provider = _made["logs"] = OwnLoggerProvider(resource=self.resource, shutdown_on_exit=False)
            _logs.set_logger_provider(provider)
        if isinstance(provider.get_logger(SCOPE), NoOpLogger):
            return provider
        own = provider is _made.get("logs")
        if own and not wanted:
            return None
        self._choose("logs", provider, own=own)
        return provider

    def collect(self) -> None:
        """Take the spans and log records of other libraries, from now on and until another `Telemetry` does."""
        traces, logs = self._traces, self._logs
        # A processor cannot be taken off a provider again, so that of an earlier `configure` goes on with a new route.
        route = Route(self.worker, self._clean, self._origins)
        sdk = behind(traces)
        if isinstance(sdk, TracerProvider):
            spans = _taken_from(sdk, self._adopt, self._failed)
            # What others record with a provider of their own they send themselves, if to an endpoint that is given to us too.
            ours = traces is _made.get("traces") or not self._settings.endpoint_given
            spans.route = route if ours and "traces" in self.sends else None
        if isinstance(logs, LoggerProvider):
            records = _logs_of_others.get(logs)
            if records is None and "logs" in self.sends:
                records = _logs_of_others[logs] = LogsOfOthers(SCOPE)
                logs.add_log_record_processor(records)
            if records is not None:
                records.route = route if "logs" in self.sends else None

    def _join_metrics(self) -> None:
        if self._outlet is not None:
            self._join_outlet(self._outlet)
            return
        provider = _meter_provider(self._settings, self.resource, self._clean_metrics)
        if provider is not None:
            meter = provider.get_meter(SCOPE, __version__, self._schema_url)
            made = None if _current_meters is None or isinstance(meter, NoOpMeter) else _current_meters[1]
            own = made.histograms if made is not None and made is provider else None
            self._metrics = Metrics(meter, self.conventions.profile, own)

    def _join_outlet(self, outlet: MemoryOutlet) -> None:
        """Give it what is counted, by a provider of its own: nobody else's metrics go there, and none of ours elsewhere."""
        from otel_agentlog.export.histograms import OwnMeterProvider

        self._meters_of_outlet = OwnMeterProvider(outlet.metric_reader(self._clean_metrics), self.resource, None)
        self._metrics = Metrics(
            self._meters_of_outlet.get_meter(SCOPE, __version__, self._schema_url), self.conventions.profile, None
        )

    def _clean_metrics(self, data: Any) -> Any:
        return data if self._clean is None else cleaned_metrics(data, self._clean, self._origins)

    # -- running ----------------------------------------------------------------------------------------------------------

    def _count_dropped(self, signal: str, count: int, reason: str) -> None:
        if self._metrics is not None:
            self._metrics.on_delivery(SPAN if signal == "traces" else LOG, "dropped", count, reason)

    def count_dropped(self, items: int) -> None:
        """Count items that will not be sent, of whatever signal, because their folders were deleted."""
        if self._metrics is not None:
            self._metrics.on_delivery(None, "dropped", items, "quota")

    def start(self) -> None:
        """Begin to send; until now nothing used the network."""
        if self.sends:
            self.worker.start()
            self._catch_up.start()

    def scan_again(self) -> None:
        """Scan again for items that dead processes left: something can be sent only now."""
        if self.sends:
            self._catch_up.scan_again()

    def process_line(self) -> Line:
        """The first line of each writer: resource, scope and policy of what it writes."""
        return process_line_of(self._settings, self.conventions, self.resource.attributes, self.elsewhere)

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
        self._catch_up.last_scan(deadline)
        self._catch_up.stop()
        if self._meters_of_outlet is not None:
            _shut_down(self._meters_of_outlet)
        # Everything was tried, or the time is over: what came in between is tried for as long as there is any left.
        return self.worker.shutdown(max(0.0, deadline - time.monotonic())) and done


def process_line_of(
    settings: Settings, conventions: Conventions, resource: Mapping[str, Any], elsewhere: Collection[str]
) -> Line:
    """The first line of each writer; the signals ``elsewhere`` are delivered by others, if at all."""
    url = conventions.schema_url
    return {
        "type": "process",
        "level": "INFO",
        "component": "process",
        "action": "process_attached",
        "message": f"process {os.getpid()}",
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "format_version": FORMAT_VERSION,
        "content_policy": settings.content_policy,
        "content_on": sorted(settings.content_on),
        "profile": settings.profile,
        "resource": dict(resource),
        "scope": {"name": SCOPE, "version": __version__, **({"schema_url": url} if url else {})},
        **({"span_events": settings.span_events} if settings.span_events != "errors" else {}),
        **({"elsewhere": list(elsewhere)} if elsewhere else {}),
    }


def _tracer_provider(resource: Resource) -> trace.TracerProvider:
    """The global one, made and set if there is none."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, ProxyTracerProvider):
        provider = _made["traces"] = OwnTracerProvider(resource)
        trace.set_tracer_provider(provider)
    return provider


def _taken_from(provider: TracerProvider, adopt: Adopt, failed: Callable[[str, BaseException], None]) -> SpansOfOthers:
    """The processor by which spans of other libraries are taken from a provider."""
    spans = _spans_of_others.get(provider)
    if spans is None:
        spans = _spans_of_others[provider] = SpansOfOthers(adopt, SCOPE, failed)
        provider.add_span_processor(spans)
    return spans


def take_spans_of_others(adopt: Adopt) -> None:
    """Take spans of other libraries where nothing was configured: from the global provider, made and set if there is none."""
    provider = _tracer_provider(Resource.create())
    if isinstance(provider, TracerProvider):
        _taken_from(provider, adopt, lambda where, error: None)


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
            spans = [ref.kind for ref in refs].count(SPAN)
            for signal, count in ((SPAN, spans), (LOG, len(refs) - spans)):
                if count:
                    metrics.on_delivery(signal, event, count, reason)


# -- metrics --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Target:
    """Where metrics go, and under which service name."""

    exporter: str
    protocol: str
    endpoint: str | None
    service_name: str


_global_meters: MeterProvider | None = None
"""The meter provider that was made here and set."""
_current_meters: tuple[_Target, OwnMeterProvider] | None = None
"""The last one that was made here."""


def _meter_provider(settings: Settings, resource: Resource, clean: Callable[[Any], Any]) -> MeterProvider | None:
    """The provider for these settings; ``None`` if there is none and metrics are off."""
    found = metrics.get_meter_provider()
    # Importing the SDK's metrics takes as long as its tracing: only where a provider was made, or metrics are on.
    if "opentelemetry.sdk.metrics" in sys.modules:
        from opentelemetry.sdk.metrics import MeterProvider

        if isinstance(found, MeterProvider) and found is not _global_meters:
            return found
    if settings.exporter("metrics") == "none":
        return None
    return _own_meter_provider(settings, resource, clean)


def _own_meter_provider(settings: Settings, resource: Resource, clean: Callable[[Any], Any]) -> MeterProvider:
    global _global_meters, _current_meters
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    from otel_agentlog.export.histograms import Histograms, KeptExemplars, OwnMeterProvider

    target = _Target(
        settings.exporter("metrics"),
        settings.protocol_of("metrics"),
        _metrics_address(settings),
        settings.service_name,
    )
    before = _current_meters
    if before is not None and before[0] == target:
        return before[1]
    histograms = Histograms(SCOPE) if senders.takes_plain_histograms(settings) else None
    kept = KeptExemplars()
    finish = kept.added_to if histograms is None else lambda data: kept.added_to(histograms.added_to(data))
    made = OwnMeterProvider(
        PeriodicExportingMetricReader(senders.make_metric_exporter(settings, lambda data: clean(finish(data)))),
        resource,
        histograms,
    )
    _current_meters = target, made
    if _global_meters is None:
        metrics.set_meter_provider(made)
        _global_meters = made
    elif before is not None and before[1] is not _global_meters:
        # Only we have it. Its last export may take its time.
        WorkerThread("agentlog-metrics").do(lambda: _shut_down(before[1]))
    return made


def _metrics_address(settings: Settings) -> str | None:
    if settings.exporter("metrics") == "statsd":
        return f"{settings.statsd_host}:{settings.statsd_port} {settings.statsd_prefix}"
    return settings.metrics_endpoint or settings.endpoint


def _shut_down(provider: MeterProvider) -> None:
    try:
        provider.shutdown()
    except Exception:  # noqa: BLE001 - the SDK raises whatever a reader does; what was counted was flushed before
        raise_interrupt()


def _flush_metrics(timeout_s: float) -> None:
    """Export what was counted. Raises whatever the SDK does where that was not possible in time."""
    ours = {id(each): each for each in (_global_meters, _current_meters and _current_meters[1]) if each is not None}
    for provider in ours.values():
        provider.force_flush(int(timeout_s * 1000))
