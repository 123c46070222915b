"""The official exporters, made late: nothing of them is imported until something is to be sent.

Hides which package serves which protocol, and that their results say only yes or no.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.settings import Settings

_MODULES = {
    ("traces", "http/protobuf"): ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "OTLPSpanExporter"),
    ("logs", "http/protobuf"): ("opentelemetry.exporter.otlp.proto.http._log_exporter", "OTLPLogExporter"),
    ("metrics", "http/protobuf"): ("opentelemetry.exporter.otlp.proto.http.metric_exporter", "OTLPMetricExporter"),
    ("traces", "grpc"): ("opentelemetry.exporter.otlp.proto.grpc.trace_exporter", "OTLPSpanExporter"),
    ("logs", "grpc"): ("opentelemetry.exporter.otlp.proto.grpc._log_exporter", "OTLPLogExporter"),
    ("metrics", "grpc"): ("opentelemetry.exporter.otlp.proto.grpc.metric_exporter", "OTLPMetricExporter"),
}
_CONSOLE = {
    "traces": ("opentelemetry.sdk.trace.export", "ConsoleSpanExporter"),
    "logs": ("opentelemetry.sdk._logs.export", "ConsoleLogRecordExporter"),
    "metrics": ("opentelemetry.sdk.metrics.export", "ConsoleMetricExporter"),
}


def check(settings: Settings, signal: str) -> None:
    """Fail now if the exporter of a signal cannot be made later. Raises `ConfigurationError`."""
    if settings.exporter(signal) != "otlp" or settings.protocol_of(signal) != "grpc":
        return
    try:
        found = importlib.util.find_spec("opentelemetry.exporter.otlp.proto.grpc") is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise ConfigurationError("protocol", "grpc", "the package opentelemetry-exporter-otlp: pip install 'otel_agentlog[grpc]'")


def make_exporter(settings: Settings, signal: str) -> Any:
    """The exporter of a signal, as the settings and the standard ``OTEL_EXPORTER_OTLP_*`` variables say."""
    if settings.exporter(signal) == "console":
        module, name = _CONSOLE[signal]
        return getattr(importlib.import_module(module), name)()
    protocol = settings.protocol_of(signal)
    module, name = _MODULES[signal, protocol]
    make = getattr(importlib.import_module(module), name)
    own: str | None = getattr(settings, f"{signal}_endpoint")
    if own is not None:
        return make(endpoint=own)
    if settings.endpoint is None:
        return make()
    if protocol == "grpc":
        return make(endpoint=settings.endpoint, insecure=settings.endpoint.startswith("http://"))
    return make(endpoint=f"{settings.endpoint.rstrip('/')}/v1/{signal}")


class ExporterSender:
    """Sends batches through one of the official exporters."""

    def __init__(self, exporter: Any) -> None:
        self._exporter = exporter

    def send(self, batch: Sequence[Any]) -> str | None:
        """``None`` if the collector acknowledged the batch, else ``export_failed``."""
        result = self._exporter.export(batch)
        return None if result.name == "SUCCESS" else "export_failed"

    def shutdown(self) -> None:
        """Let go of connections; a retry that waits is given up."""
        self._exporter.shutdown()
