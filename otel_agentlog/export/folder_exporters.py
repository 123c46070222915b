"""Exporters that export nothing: what they would send is in the folders already. They begin to record.

OpenTelemetry makes exporters by name. By ``OTEL_TRACES_EXPORTER=otlp,agentlog`` each is made for a provider that has just been
set: it begins at once, and what it begins puts a span processor of ours there, so that a folder is written while a span runs, as
what is exported has ended. By a declarative configuration it is made before its provider is set, and to begin would set another
one: it begins when ``opentelemetry-instrument`` has set them all, or else with the first export.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry import _logs, trace
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_agentlog.export.providers import is_proxy_of_logs


class InFolders:
    """What both have in common."""

    def __init__(self, **given: Any) -> None:
        self._has_begun = False
        if self.provider_is_set():
            self.begin_once()

    def begin_once(self) -> None:
        """Begin to record in this process, or say why not, if this has not done so."""
        if not self._has_begun:
            self._has_begun = True
            self.begin()

    def begin(self) -> None:
        """Begin to record in this process."""
        raise NotImplementedError

    def provider_is_set(self) -> bool:
        """Whether there is a provider of the signal."""
        raise NotImplementedError

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Bring what is recorded to the disk; whether that was done in time."""
        raise NotImplementedError


class SpansInFolders(InFolders, SpanExporter):
    """Of spans."""

    def provider_is_set(self) -> bool:
        """Whether there is a provider of spans."""
        return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Nothing is left to be done."""
        self.begin_once()
        return SpanExportResult.SUCCESS


class LogsInFolders(InFolders, LogRecordExporter):
    """Of log records: log calls of the standard library are in the folders by our own handler."""

    def provider_is_set(self) -> bool:
        """Whether there is a provider of log records."""
        return not is_proxy_of_logs(_logs.get_logger_provider())

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Nothing is left to be done."""
        self.begin_once()
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing: the end of the process brings everything to the disk."""
