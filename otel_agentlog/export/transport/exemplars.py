"""Exemplars in every export of metrics, and not only in the first after they were measured.

The SDK gives each exemplar once. Whoever keeps the last export only, as a collector that Prometheus reads does, would have none
of a process that exports several times within a moment: at a flush, and at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import AggregationTemporality, Metric, MetricsData

MAX_KEPT = 10_000
"""Series whose exemplars are kept."""


class KeptExemplars:
    """The exemplars of each series that were exported last. For one thread at a time, as a reader's exports are."""

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
