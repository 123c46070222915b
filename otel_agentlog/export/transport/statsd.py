"""The exporter of metrics to StatsD by UDP, for the SDK's periodic reader; the client is the package ``datadog``.

A counter sends what was added since the last export, a gauge its value. Of a histogram there are ``NAME.count`` and ``NAME.sum``,
what was added, and ``NAME.max``, a gauge: raw values are not kept. Labels are tags as DogStatsD has them (``|#key:value``), which
the ``statsd`` of npm understands, too. UDP is not acknowledged: what is lost is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExporter, MetricExportResult, MetricsData, Sum
from opentelemetry.sdk.metrics.export import Histogram as HistogramData

from otel_agentlog._interrupts import raise_interrupt

MAX_TAG = 200
"""Characters of a tag's value."""
_NO_TAG = re.compile(r"[\s|,#:;@]+")
_DELTA: dict[type, AggregationTemporality] = dict.fromkeys((Counter, Histogram, ObservableCounter), AggregationTemporality.DELTA)


class Packet(NamedTuple):
    """One packet."""

    name: str
    value: float
    is_gauge: bool
    tags: list[str]


class StatsdMetricExporter(MetricExporter):
    """Sends what a reader collects to ``host:port``, all names behind ``prefix`` and a dot. Needs the extra ``statsd``."""

    def __init__(self, host: str = "localhost", port: int = 8125, prefix: str | None = None) -> None:
        from datadog.dogstatsd.base import DogStatsd

        super().__init__(_DELTA)
        self._client = DogStatsd(
            host=host, port=port, namespace=prefix, disable_telemetry=True, origin_detection_enabled=False, disable_buffering=True
        )

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        try:
            for packet in packets_of(metrics_data):
                send = self._client.gauge if packet.is_gauge else self._client.increment
                send(packet.name, packet.value, tags=packet.tags)
        except Exception:  # noqa: BLE001 - a host that is not known, a socket that cannot be had: the reader reports a failed export
            raise_interrupt()
            return MetricExportResult.FAILURE
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        self._client.close_socket()


def packets_of(data: MetricsData) -> Iterator[Packet]:
    """Every packet of an export."""
    for resource in data.resource_metrics:
        service = resource.resource.attributes.get("service.name")
        common = {} if service is None else {"service.name": service}
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    tags = [f"{key}:{_tag(value)}" for key, value in {**common, **_labels(point)}.items()]
                    yield from _of_point(metric.name, metric.data, point, tags)


def _of_point(name: str, data: Any, point: Any, tags: list[str]) -> Iterator[Packet]:
    if not hasattr(point, "value"):
        yield Packet(f"{name}.count", point.count, False, tags)
        yield Packet(f"{name}.sum", point.sum, False, tags)
        if isinstance(data, HistogramData) and point.count:
            yield Packet(f"{name}.max", point.max, True, tags)
    else:
        yield Packet(name, point.value, not (isinstance(data, Sum) and data.is_monotonic), tags)


def _labels(point: Any) -> Mapping[str, Any]:
    return point.attributes or {}


def _tag(value: object) -> str:
    """The value of a tag, without what has a meaning in the protocol."""
    return _NO_TAG.sub("_", str(value))[:MAX_TAG]
