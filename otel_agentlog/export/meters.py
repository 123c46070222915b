"""The `MeterProvider` that our metrics go to: joined where somebody has set one, else made here.

Hides that OpenTelemetry lets it be set once: where a second `configure` sends elsewhere, our metrics go through a provider of
their own, and the global one, which others may use by now, stays what it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from otel_agentlog.export import otlp
from otel_agentlog.export.hands import Hand
from otel_agentlog.settings import Settings


@dataclass(frozen=True)
class _Way:
    """Where metrics go, and in whose name."""

    exporter: str
    protocol: str
    endpoint: str | None
    service_name: str


_made_global: MeterProvider | None = None
_current: tuple[_Way, MeterProvider] | None = None
"""The last one that was made here."""


def meter_provider(settings: Settings, resource: Resource) -> MeterProvider | None:
    """The provider for these settings; ``None`` if no metrics are wanted and nobody else wants any."""
    found = metrics.get_meter_provider()
    if isinstance(found, MeterProvider) and found is not _made_global:
        return found
    if settings.exporter("metrics") == "none":
        return None
    return _own(settings, resource)


def _own(settings: Settings, resource: Resource) -> MeterProvider:
    global _made_global, _current
    way = _Way(
        settings.exporter("metrics"),
        settings.protocol_of("metrics"),
        settings.metrics_endpoint or settings.endpoint,
        settings.service_name,
    )
    before = _current
    if before is not None and before[0] == way:
        return before[1]
    reader = PeriodicExportingMetricReader(otlp.make_metric_exporter(settings))
    made = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    _current = way, made
    if _made_global is None:
        metrics.set_meter_provider(made)
        _made_global = made
    elif before is not None and before[1] is not _made_global:
        # Nobody else has it. Its last export may take its time.
        Hand("agentlog-metrics").do(lambda: _let_go(before[1]))
    return made


def _let_go(provider: MeterProvider) -> None:
    try:
        provider.shutdown()
    except Exception:  # noqa: BLE001, S110 - the SDK raises whatever a reader does; what was counted was flushed before
        pass


def any_made() -> bool:
    """Whether there is a provider here to be flushed."""
    return _current is not None


def flush(timeout_s: float) -> None:
    """Export what was counted. Raises whatever the SDK does where that was not possible in time."""
    ours = {id(each): each for each in (_made_global, _current and _current[1]) if each is not None}
    for provider in ours.values():
        provider.force_flush(int(timeout_s * 1000))
