"""Takes what would be sent to a collector: keeps it in memory, or sends it to a test's receiver. For `otel_agentlog.testing`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from otel_agentlog.export.transport import senders
from otel_agentlog.export.transport.result import DELIVERED, SendResult
from otel_agentlog.export.transport.senders import Sender
from otel_agentlog.settings.fields import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricReader


class MemoryOutlet:
    """Keeps everything, as the bytes that a collector would get, or sends it where ``target`` says. Safe from any thread."""

    def __init__(self) -> None:
        self.target: Settings | None = None
        """Settings of endpoint and protocol; senders that are made afterwards send there."""
        self._requests: list[tuple[str, bytes]] = []
        self._readers: list[tuple[InMemoryMetricReader, Callable[[Any], Any]]] = []

    def sender(self, signal: str) -> Sender:
        """A sender of ``traces`` or ``logs``."""
        return _MemorySender(signal, self._requests) if self.target is None else senders.make_sender(self.target, signal)

    def metric_reader(self, clean: Callable[[Any], Any]) -> MetricReader:
        """A reader that is read by `requests`, or exports when it is flushed."""
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader

        if self.target is not None:
            return PeriodicExportingMetricReader(senders.make_metric_exporter(self.target, clean))
        reader = InMemoryMetricReader()
        self._readers.append((reader, clean))
        return reader

    def requests(self) -> list[tuple[str, bytes]]:
        """Signal and body of each request so far, and of one with each reader's metrics as they are now."""
        from otel_agentlog.export.transport import otlp

        read = [(clean, reader.get_metrics_data()) for reader, clean in self._readers]
        metrics = [("metrics", otlp.encode("metrics", clean(data))) for clean, data in read if data is not None]
        return [*self._requests, *metrics]


class _MemorySender:
    def __init__(self, signal: str, requests: list[tuple[str, bytes]]) -> None:
        self._signal, self._requests = signal, requests
        self.deadline: float | None = None

    def send(self, batch: Sequence[Any]) -> SendResult:
        from otel_agentlog.export.transport import otlp

        self._requests.append((self._signal, otlp.encode(self._signal, batch)))
        return DELIVERED

    def shutdown(self) -> None:
        """Nothing is held."""
