"""The exporter of metrics over http for the SDK's periodic reader, configured by the standard variables."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation

from otel_agentlog.export.transport.http import HttpSender
from otel_agentlog.export.transport.result import Verdict
from otel_agentlog.settings.parsers import Connection

_DELTA: dict[str, tuple[type, ...]] = {"delta": (Counter, Histogram, ObservableCounter), "lowmemory": (Counter, Histogram)}
"""By ``OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE``, the instruments that report what was added since the last export."""


class HttpMetricExporter(MetricExporter):
    """Sends what a reader collects; one export takes no longer than the connection's timeout."""

    def __init__(self, endpoint: str, connection: Connection) -> None:
        exponential = connection.histogram_aggregation == "base2_exponential_bucket_histogram"
        super().__init__(
            dict.fromkeys(_DELTA.get(connection.temporality, ()), AggregationTemporality.DELTA),
            {Histogram: ExponentialBucketHistogramAggregation()} if exponential else None,
        )
        self._sender = HttpSender("metrics", endpoint, connection)

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        delivered = self._sender.send(metrics_data).verdict is Verdict.DELIVERED
        return MetricExportResult.SUCCESS if delivered else MetricExportResult.FAILURE

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        self._sender.shutdown()
