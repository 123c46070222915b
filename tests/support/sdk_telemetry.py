"""Sends known telemetry with the official OpenTelemetry SDK, to prove that a peer passes on what it is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as grpc_logs
from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc_metrics
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc_traces
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http import _log_exporter as http_logs
from opentelemetry.exporter.otlp.proto.http import metric_exporter as http_metrics
from opentelemetry.exporter.otlp.proto.http import trace_exporter as http_traces
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

RESOURCE = {"service.name": "peer-test", "service.instance.id": "one", "answer": 42}

ATTRIBUTES: dict[str, Any] = {
    "text": "grüße \u2028",
    "int": 7,
    "whole_double": 7.0,
    "bool": True,
    "texts": ["a", "b"],
    "ints": [1, 2],
    "empty": [],
}
"""One attribute of each type the API takes."""


@dataclass(frozen=True)
class Providers:
    """The three providers of one sender."""

    tracer: TracerProvider
    logger: LoggerProvider
    meter: MeterProvider

    def flush(self) -> None:
        """Send what was recorded so far."""
        for provider in (self.tracer, self.logger, self.meter):
            provider.force_flush(5000)


@contextmanager
def providers(protocol: str, endpoint: str, *, resource: dict[str, Any] | None = None) -> Iterator[Providers]:
    """Providers that export to an endpoint (base URL) by ``http`` (gzip) or ``grpc``; all is sent when the context ends."""
    spans, logs, metrics = _EXPORTERS[protocol](endpoint)
    described = Resource(resource or RESOURCE)
    made = Providers(
        TracerProvider(resource=described, shutdown_on_exit=False),
        LoggerProvider(resource=described, shutdown_on_exit=False),
        MeterProvider([PeriodicExportingMetricReader(metrics, 3_600_000)], resource=described, shutdown_on_exit=False),
    )
    made.tracer.add_span_processor(BatchSpanProcessor(spans))
    made.logger.add_log_record_processor(BatchLogRecordProcessor(logs))
    try:
        yield made
    finally:
        made.tracer.shutdown()
        made.logger.shutdown()
        made.meter.shutdown()


def _http_exporters(endpoint: str) -> tuple[Any, Any, Any]:
    return (
        http_traces.OTLPSpanExporter(f"{endpoint}/v1/traces", compression=Compression.Gzip),
        http_logs.OTLPLogExporter(f"{endpoint}/v1/logs", compression=Compression.Gzip),
        http_metrics.OTLPMetricExporter(f"{endpoint}/v1/metrics", compression=Compression.Gzip),
    )


def _grpc_exporters(endpoint: str) -> tuple[Any, Any, Any]:
    return (
        grpc_traces.OTLPSpanExporter(endpoint, insecure=True),
        grpc_logs.OTLPLogExporter(endpoint, insecure=True),
        grpc_metrics.OTLPMetricExporter(endpoint, insecure=True),
    )


_EXPORTERS = {"http": _http_exporters, "grpc": _grpc_exporters}


def record_everything(made: Providers) -> None:
    """Two spans (parent and child with event, link, error), a log record in the child, a counter and a histogram."""
    tracer = made.tracer.get_tracer("peer.scope", "1.2.3", schema_url="https://example.test/schema")
    with tracer.start_as_current_span("parent", kind=SpanKind.SERVER) as parent:
        link = Link(parent.get_span_context(), {"why": "test"})
        with tracer.start_as_current_span("child", kind=SpanKind.CLIENT, attributes=ATTRIBUTES, links=[link]) as child:
            child.add_event("something", {"n": 1}, timestamp=1_700_000_000_123_456_789)
            child.set_status(Status(StatusCode.ERROR, "broken"))
            _record_log(made)
            _record_metrics(made)


def _record_log(made: Providers) -> None:
    body = {"nested": {"list": [1, 2.5, "x", None, True]}, "raw": b"\x00\xff"}
    record = LogRecord(
        timestamp=1_700_000_000_123_456_789,
        severity_number=SeverityNumber.WARN,
        severity_text="WARNING",
        body=body,
        attributes={**ATTRIBUTES, "deep": {"a": {"b": 1}}},
        event_name="peer.event",
    )
    made.logger.get_logger("peer.logs").emit(record)


def _record_metrics(made: Providers) -> None:
    meter = made.meter.get_meter("peer.metrics")
    meter.create_counter("peer.count", unit="{item}", description="Counted.").add(3, {"kind": "a"})
    histogram = meter.create_histogram("peer.duration", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1.0, 10.0])
    histogram.record(0.5, {"kind": "a"})
