"""Exporters that export nothing: what they would send is in the folders already. Being made, they begin to record.

OpenTelemetry makes exporters by name (``OTEL_TRACES_EXPORTER=otlp,agentlog``), each in a provider that it has just set; what they
begin puts a span processor of ours there, so that a folder is written while a span runs. What is exported has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult


class InFolders:
    """What both have in common."""

    def __init__(self, **given: Any) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin to record in this process."""
        raise NotImplementedError

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Bring what is recorded to the disk; whether that was done in time."""
        raise NotImplementedError


class SpansInFolders(InFolders, SpanExporter):
    """Of spans."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Nothing is left to be done."""
        return SpanExportResult.SUCCESS


class LogsInFolders(InFolders, LogRecordExporter):
    """Of log records: log calls of the standard library are in the folders by our own handler."""

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Nothing is left to be done."""
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing: the end of the process brings everything to the disk."""
