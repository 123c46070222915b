"""Histograms of our own, added up here: a measurement costs the SDK 7 µs, many times what making its line into OTLP takes.

`Histograms` takes the measurements of a batch of lines at a time, and adds their points to what the SDK's reader collects. They
are those that the SDK's default aggregation (explicit buckets, cumulative, exemplars of sampled spans) gives for the same
measurements; ``tests/export/test_metrics.py`` compares them.
"""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import field, replace
from typing import Any

from opentelemetry.sdk.metrics import Exemplar, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricReader,
    MetricsData,
)
from opentelemetry.sdk.resources import Resource

from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog._startup import dataclass
from otel_agentlog.export.metrics import LabelSet, Measured, SpanIds
from otel_agentlog.export.metrics import Metric as Row

MAX_SERIES = 2_000
"""Label sets of one histogram; what is measured of any other is added up in one series, as the SDK does."""

MAX_KEPT = 10_000
"""Series whose exemplars are kept."""

_OVERFLOW: LabelSet = {"otel.metric.overflow": True}


@dataclass(slots=True)
class _Series:
    """One label set of one histogram."""

    labels: LabelSet
    start_ns: int
    counts: list[int]
    sum: float = 0
    least: float = math.inf
    most: float = -math.inf
    exemplars: dict[int, tuple[float, SpanIds, int]] = field(default_factory=dict)
    """By bucket: the last value of a sampled span since it was collected, its ids, and when it was added."""

    def add(self, boundaries: Sequence[float], measured: Measured, now_ns: int) -> None:
        for value, ids in measured:
            if not math.isfinite(value):
                continue
            bucket = bisect_left(boundaries, value)
            self.counts[bucket] += 1
            self.sum += value
            if value < self.least:
                self.least = value
            if value > self.most:
                self.most = value
            if ids is not None and ids.sampled:
                self.exemplars[bucket] = value, ids, now_ns

    def point(self, boundaries: Sequence[float], now_ns: int) -> HistogramDataPoint:
        exemplars = [
            Exemplar({}, value, at_ns, ids.span_id, ids.trace_id) for _, (value, ids, at_ns) in sorted(self.exemplars.items())
        ]
        self.exemplars.clear()
        return HistogramDataPoint(
            attributes=self.labels,
            exemplars=exemplars,
            start_time_unix_nano=self.start_ns,
            time_unix_nano=now_ns,
            count=sum(self.counts),
            sum=self.sum,
            bucket_counts=tuple(self.counts),
            explicit_bounds=boundaries,
            min=self.least,
            max=self.most,
        )


class Histograms:
    """The histograms of one meter provider. `add` and `added_to` may be called by different threads."""

    def __init__(self, scope: str) -> None:
        """``scope`` is the name of the instrumentation scope that they are reported under."""
        self._scope = scope
        self.has_others = False
        """Whether others read the provider's metrics, too, which see what the SDK measures."""
        self._found: dict[str, tuple[Row, dict[frozenset[Any], _Series]]] = {}
        self._renew_after_fork()
        after_fork_in_child(self._renew_after_fork)

    def _renew_after_fork(self) -> None:
        self._lock = threading.Lock()

    def add(self, metric: Row, labels: LabelSet, measured: Measured) -> None:
        """Add to one label set of a histogram."""
        now_ns, key, boundaries = time.time_ns(), frozenset(labels.items()), metric.boundaries or ()
        with self._lock:
            _, series = self._found.setdefault(metric.name, (metric, {}))
            if key not in series and len(series) >= MAX_SERIES:
                labels, key = _OVERFLOW, frozenset(_OVERFLOW.items())
            if key not in series:
                series[key] = _Series(labels, now_ns, [0] * (len(boundaries) + 1))
            series[key].add(boundaries, measured, now_ns)

    def added_to(self, data: MetricsData) -> MetricsData:
        """What the SDK collected, with these histograms; they take the place of its own of the same names.

        Where it has nothing of the scope there is nothing to add to yet: something is counted with each measurement.
        """
        with self._lock:
            names, ours = {*self._found}, self._metrics(time.time_ns())
        resources = []
        for resource in data.resource_metrics:
            scopes = []
            for each in resource.scope_metrics:
                if each.scope.name == self._scope:
                    others = [metric for metric in each.metrics if metric.name not in names]
                    # There is one more scope where the schema URL changed.
                    each, ours = replace(each, metrics=[*others, *ours]), []
                scopes.append(each)
            resources.append(replace(resource, scope_metrics=scopes))
        return replace(data, resource_metrics=resources)

    def _metrics(self, now_ns: int) -> list[Metric]:
        return [_metric(row, series.values(), now_ns) for row, series in self._found.values()]


def _metric(row: Row, series: Iterable[_Series], now_ns: int) -> Metric:
    points = [each.point(row.boundaries or (), now_ns) for each in series]
    return Metric(row.name, row.description, row.unit, Histogram(points, AggregationTemporality.CUMULATIVE))


class KeptExemplars:
    """The exemplars of each series that were exported last, for every export, and not only the first after they were measured.

    The SDK gives each exemplar once. Whoever keeps the last export only, as a collector that Prometheus reads does, would have
    none of a process that exports several times within a moment: at a flush, and at its end. For one thread at a time, as a
    reader's exports are.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], Sequence[Exemplar]] = {}

    def added_to(self, data: MetricsData) -> MetricsData:
        """The same metrics, with those exemplars on each series that has no new ones."""
        return replace(
            data,
            resource_metrics=[
                replace(
                    resource,
                    scope_metrics=[
                        replace(scope, metrics=[self._metric(scope.scope.name, metric) for metric in scope.metrics])
                        for scope in resource.scope_metrics
                    ],
                )
                for resource in data.resource_metrics
            ],
        )

    def _metric(self, scope: str, metric: Metric) -> Metric:
        # What was added since the last export is no longer what earlier exemplars are of.
        if getattr(metric.data, "aggregation_temporality", None) is not AggregationTemporality.CUMULATIVE:
            return metric
        points: Any = [self._point((scope, metric.name), point) for point in metric.data.data_points]
        return replace(metric, data=replace(metric.data, data_points=points))

    def _point(self, of: tuple[str, str], point: Any) -> Any:
        key = (*of, frozenset((name, str(value)) for name, value in (point.attributes or {}).items()))
        if point.exemplars:
            if key in self._kept or len(self._kept) < MAX_KEPT:
                self._kept[key] = point.exemplars
            return point
        kept = self._kept.get(key)
        return replace(point, exemplars=kept) if kept else point


class OwnMeterProvider(MeterProvider):
    """The provider of metrics that is made where there is none. It notes whether it has readers that are not ours."""

    def __init__(self, reader: MetricReader, resource: Resource, histograms: Histograms | None) -> None:
        """``histograms`` are those that the reader's exporter adds, if it does."""
        self.histograms = histograms
        super().__init__([reader], resource=resource, shutdown_on_exit=False)

    def add_metric_reader(self, metric_reader: MetricReader) -> None:
        if self.histograms is not None:
            self.histograms.has_others = True
        super().add_metric_reader(metric_reader)
