"""Who sends a signal, made late: nothing of the exporters is imported until something is to be sent.

Hides which package serves which protocol. Over http the official exporters send through a session of ours that tells what
really happened; over gRPC we send ourselves, with the official encoders (``docs/decisions/0006-delivery.md``).
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from typing import Any, Protocol

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.export.transport.quiet import quiet
from otel_agentlog.export.transport.response import Outcome, Verdict, of_count
from otel_agentlog.settings.fields import Settings

_MODULES = {
    ("traces", "http/protobuf"): ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "OTLPSpanExporter"),
    ("logs", "http/protobuf"): ("opentelemetry.exporter.otlp.proto.http._log_exporter", "OTLPLogExporter"),
    ("metrics", "http/protobuf"): ("opentelemetry.exporter.otlp.proto.http.metric_exporter", "OTLPMetricExporter"),
    ("metrics", "grpc"): ("opentelemetry.exporter.otlp.proto.grpc.metric_exporter", "OTLPMetricExporter"),
}
_CONSOLE = {
    "traces": ("opentelemetry.sdk.trace.export", "ConsoleSpanExporter"),
    "logs": ("opentelemetry.sdk._logs.export", "ConsoleLogRecordExporter"),
    "metrics": ("opentelemetry.sdk.metrics.export", "ConsoleMetricExporter"),
}
_DEFAULT_GRPC_ENDPOINT = "http://localhost:4317"


class Sender(Protocol):
    """Sends batches of one signal; for one thread."""

    until: float | None
    """When the last request must be over, on the monotonic clock; ``None`` as long as nobody is in a hurry."""

    def send(self, batch: Sequence[Any]) -> Outcome: ...
    def shutdown(self) -> None: ...


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


def make_sender(settings: Settings, signal: str) -> Sender:
    """What sends ``traces`` or ``logs``, as the settings and the standard ``OTEL_EXPORTER_OTLP_*`` variables say."""
    if settings.exporter(signal) == "console":
        return ExporterSender(_console(signal), None)
    if settings.protocol_of(signal) == "grpc":
        from otel_agentlog.export.transport.grpc import GrpcSender

        endpoint = _endpoint(settings, signal) or _DEFAULT_GRPC_ENDPOINT
        return GrpcSender(signal, endpoint, settings.connection_of(signal))
    return _over_http(settings, signal)


def make_metric_exporter(settings: Settings) -> Any:
    """The official exporter of metrics; nothing it does takes longer than its timeout."""
    if settings.exporter("metrics") == "console":
        return _console("metrics")
    if settings.protocol_of("metrics") == "http/protobuf":
        return _over_http(settings, "metrics").exporter
    endpoint = _endpoint(settings, "metrics")
    if endpoint is None:
        return _official("metrics", "grpc")()
    return _official("metrics", "grpc")(endpoint=endpoint, insecure=endpoint.startswith("http://"))


class ExporterSender:
    """Sends batches through one of the official exporters."""

    def __init__(self, exporter: Any, session: Any) -> None:
        self.exporter = exporter
        self._session = session
        self._closed = False
        self.until: float | None = None

    def send(self, batch: Sequence[Any]) -> Outcome:
        """Export once; what came of it."""
        if self._session is None:
            return of_count(self.exporter.export(batch))
        self._session.until = self.until
        self._session.take()
        with quiet():
            result = self.exporter.export(batch)
        outcome: Outcome | None = self._session.take()
        if outcome is None and self._closed:
            return Outcome(Verdict.LATER, "stopped")
        if outcome is None:
            # It did not come to a request: something in the batch cannot be encoded, or it is larger than exporters send.
            return of_count(result) if result.name == "SUCCESS" else Outcome(Verdict.REJECTED, "encoding")
        return outcome

    def shutdown(self) -> None:
        """Let go of connections."""
        self._closed = True
        self.exporter.shutdown()


def _over_http(settings: Settings, signal: str) -> ExporterSender:
    from otel_agentlog.export.transport.http import ReportingSession

    session = ReportingSession(signal)
    endpoint = _endpoint(settings, signal)
    make = _official(signal, "http/protobuf")
    exporter = make(session=session) if endpoint is None else make(endpoint=endpoint, session=session)
    return ExporterSender(exporter, session)


def _endpoint(settings: Settings, signal: str) -> str | None:
    """The URL for a signal; ``None`` if the exporter's default is meant."""
    own: str | None = getattr(settings, f"{signal}_endpoint")
    if own is not None or settings.endpoint is None or settings.protocol_of(signal) == "grpc":
        return own or settings.endpoint
    return f"{settings.endpoint.rstrip('/')}/v1/{signal}"


def _official(signal: str, protocol: str) -> Any:
    module, name = _MODULES[signal, protocol]
    return getattr(importlib.import_module(module), name)


def _console(signal: str) -> Any:
    module, name = _CONSOLE[signal]
    return getattr(importlib.import_module(module), name)()
