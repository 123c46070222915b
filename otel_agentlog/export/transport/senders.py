"""Which sender a signal gets, by exporter and protocol. Nothing of a sender is imported until one is made."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.export.transport.result import DELIVERED, SendResult
from otel_agentlog.settings.fields import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter

_DEFAULT_GRPC_ENDPOINT = "http://localhost:4317"
_DEFAULT_HTTP_ENDPOINT = "http://localhost:4318"


class Sender(Protocol):
    """Sends batches of one signal; for one thread."""

    deadline: float | None
    """When the last request must be over, on the monotonic clock; ``None`` as long as the process does not end."""

    def send(self, batch: Sequence[Any]) -> SendResult: ...
    def shutdown(self) -> None: ...


def check(settings: Settings, signal: str) -> None:
    """Raises `ConfigurationError` if the sender of a signal cannot be made later."""
    if settings.exporter(signal) == "statsd" and importlib.util.find_spec("datadog") is None:
        raise ConfigurationError("metrics_exporter", "statsd", "the package datadog: pip install 'otel_agentlog[statsd]'")
    if settings.exporter(signal) != "otlp" or settings.protocol_of(signal) != "grpc":
        return
    try:
        found = importlib.util.find_spec("opentelemetry.exporter.otlp.proto.grpc") is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise ConfigurationError("protocol", "grpc", "the package opentelemetry-exporter-otlp, which is not installed")


def make_sender(settings: Settings, signal: str) -> Sender:
    """The sender of ``traces`` or ``logs``, by the settings and the standard ``OTEL_EXPORTER_OTLP_*`` variables."""
    if settings.exporter(signal) == "console":
        return ConsoleSender(signal)
    endpoint, connection = endpoint_of(settings, signal), settings.connection_of(signal)
    if settings.protocol_of(signal) == "grpc":
        from otel_agentlog.export.transport.grpc import GrpcSender

        return GrpcSender(signal, endpoint, connection)
    from otel_agentlog.export.transport.http import HttpSender

    return HttpSender(signal, endpoint, connection)


def make_metric_exporter(settings: Settings, clean: Callable[[Any], Any] = lambda data: data) -> MetricExporter:
    """The exporter for the SDK's metric reader; over gRPC it is the official one. ``clean`` gets all data before it is sent."""
    if settings.exporter("metrics") == "console":
        from opentelemetry.sdk.metrics.export import ConsoleMetricExporter

        return _cleaning(ConsoleMetricExporter, clean)()
    if settings.exporter("metrics") == "statsd":
        from otel_agentlog.export.transport.statsd import StatsdMetricExporter

        make_statsd = _cleaning(StatsdMetricExporter, clean)
        return make_statsd(settings.statsd_host or "localhost", settings.statsd_port, settings.statsd_prefix)
    endpoint = endpoint_of(settings, "metrics")
    if settings.protocol_of("metrics") == "http/protobuf":
        from otel_agentlog.export.transport.metric_exporter import HttpMetricExporter

        return _cleaning(HttpMetricExporter, clean)(endpoint, settings.connection_of("metrics"))
    from grpc import Compression
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    from otel_agentlog.export.transport.headers import GRPC, headers_of

    # Both given, as the exporter raises for compressions that are for http alone, and takes headers that gRPC refuses.
    connection = settings.connection_of("metrics")
    is_gzip, headers = connection.compression == "gzip", headers_of(connection, GRPC)
    compression = Compression.Gzip if is_gzip else Compression.NoCompression
    make = _cleaning(OTLPMetricExporter, clean)
    return make(endpoint=endpoint, insecure=endpoint.startswith("http://"), compression=compression, headers=headers)


def takes_plain_histograms(settings: Settings) -> bool:
    """Whether histograms are sent as by default: explicit buckets, cumulative, with exemplars of sampled spans, over http."""
    connection = settings.connection_of("metrics")
    usual = connection.temporality not in ("delta", "lowmemory") and connection.exemplars in ("", "trace_based")
    usual = usual and connection.histogram_aggregation != "base2_exponential_bucket_histogram"
    return usual and settings.exporter("metrics") == "otlp" and settings.protocol_of("metrics") == "http/protobuf"


def _cleaning(exporter: Any, clean: Callable[[Any], Any]) -> Callable[..., MetricExporter]:
    """A class of exporters like this one that cleans what it exports."""

    def export(self: Any, metrics_data: Any, *args: Any, **kwargs: Any) -> Any:
        return exporter.export(self, clean(metrics_data), *args, **kwargs)

    return type(exporter.__name__, (exporter,), {"export": export})


class ConsoleSender:
    """Prints each batch as a line of OTLP JSON on stdout."""

    def __init__(self, signal: str) -> None:
        self._signal = signal
        self.deadline: float | None = None

    def send(self, batch: Sequence[Any]) -> SendResult:
        """Print."""
        from otel_agentlog.export.transport.otlp import json_line

        if sys.stdout is not None:
            sys.stdout.write(json_line(self._signal, batch).decode())
            sys.stdout.flush()
        return DELIVERED

    def shutdown(self) -> None:
        """Nothing."""


def endpoint_of(settings: Settings, signal: str) -> str:
    """The URL for a signal: over http with its path."""
    own: str | None = getattr(settings, f"{signal}_endpoint")
    if settings.protocol_of(signal) == "grpc":
        return own or settings.endpoint or _DEFAULT_GRPC_ENDPOINT
    return own or f"{(settings.endpoint or _DEFAULT_HTTP_ENDPOINT).rstrip('/')}/v1/{signal}"
