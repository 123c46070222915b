"""Hides the shapes of OTLP metrics: one dict per metric, its data points under ``points``.

A metric has ``name``, ``description``, ``unit``, ``type`` (``gauge`` ``sum`` ``histogram`` ``exponential_histogram``
``summary``), ``instrument`` (what must have made it: ``counter`` ``updowncounter`` ``histogram`` ``gauge`` ``summary``),
``temporality`` (``DELTA`` ``CUMULATIVE`` ``UNSPECIFIED``) and ``is_monotonic`` (``None`` where it has no meaning).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_UNSPECIFIED, AggregationTemporality, Metric

from otel_agentlog.testing.otlp.values import Item, attributes, hex_id, one_of, origin


def metrics(request: ExportMetricsServiceRequest) -> list[Item]:
    """Every metric of a request, with its points, resource and scope."""
    return [
        {**_metric(metric), **origin(group, scoped)}
        for group in request.resource_metrics
        for scoped in group.scope_metrics
        for metric in scoped.metrics
    ]


def _metric(metric: Metric) -> Item:
    kind = metric.WhichOneof("data") or "gauge"
    data = getattr(metric, kind)
    fields = {field.name for field in data.DESCRIPTOR.fields}
    temporality = data.aggregation_temporality if "aggregation_temporality" in fields else AGGREGATION_TEMPORALITY_UNSPECIFIED
    return {
        "name": metric.name,
        "description": metric.description,
        "unit": metric.unit,
        "type": kind,
        "instrument": _instrument(kind, data),
        "temporality": AggregationTemporality.Name(temporality).removeprefix("AGGREGATION_TEMPORALITY_"),
        "is_monotonic": data.is_monotonic if "is_monotonic" in fields else None,
        "points": [_POINTS[kind](point) for point in data.data_points],
    }


def _instrument(kind: str, data: Any) -> str:
    if kind == "sum":
        return "counter" if data.is_monotonic else "updowncounter"
    return kind.removeprefix("exponential_")


class _Point(Protocol):
    """What all kinds of data points have in common."""

    @property
    def attributes(self) -> Iterable[KeyValue]: ...
    @property
    def start_time_unix_nano(self) -> int: ...
    @property
    def time_unix_nano(self) -> int: ...
    @property
    def flags(self) -> int: ...


def _point(point: _Point) -> Item:
    return {
        "attributes": attributes(point.attributes),
        "start_time_ns": point.start_time_unix_nano,
        "time_ns": point.time_unix_nano,
        "flags": point.flags,
    }


def _number(point: Any) -> Item:
    return {**_point(point), "value": one_of(point, "value"), "exemplars": [_exemplar(e) for e in point.exemplars]}


def _histogram(point: Any) -> Item:
    return {
        **_point(point),
        "count": point.count,
        **{name: getattr(point, name) if point.HasField(name) else None for name in ("sum", "min", "max")},
        "bucket_counts": list(point.bucket_counts),
        "boundaries": list(point.explicit_bounds),
        "exemplars": [_exemplar(e) for e in point.exemplars],
    }


def _exponential_histogram(point: Any) -> Item:
    return {
        **_point(point),
        "count": point.count,
        **{name: getattr(point, name) if point.HasField(name) else None for name in ("sum", "min", "max")},
        "scale": point.scale,
        "zero_count": point.zero_count,
        "positive": {"offset": point.positive.offset, "bucket_counts": list(point.positive.bucket_counts)},
        "negative": {"offset": point.negative.offset, "bucket_counts": list(point.negative.bucket_counts)},
        "exemplars": [_exemplar(e) for e in point.exemplars],
    }


def _summary(point: Any) -> Item:
    quantiles = {value.quantile: value.value for value in point.quantile_values}
    return {**_point(point), "count": point.count, "sum": point.sum, "quantiles": quantiles}


_POINTS: Mapping[str, Callable[[Any], Item]] = {
    "gauge": _number,
    "sum": _number,
    "histogram": _histogram,
    "exponential_histogram": _exponential_histogram,
    "summary": _summary,
}


def _exemplar(exemplar: Any) -> Item:
    return {
        "time_ns": exemplar.time_unix_nano,
        "value": one_of(exemplar, "value"),
        "trace_id": hex_id(exemplar.trace_id),
        "span_id": hex_id(exemplar.span_id),
        "attributes": attributes(exemplar.filtered_attributes),
    }
