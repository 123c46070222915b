"""What OpenTelemetry loads by the name ``agentlog``, in ``OTEL_TRACES_EXPORTER`` and in the file of ``OTEL_CONFIG_FILE``."""

from __future__ import annotations

from otel_agentlog.export.folder_exporters import InFolders, LogsInFolders, SpansInFolders
from otel_agentlog.wiring import flush
from otel_agentlog.wiring.zero_code.start import begin


class _Begins(InFolders):
    def begin(self) -> None:
        begin()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return flush(timeout_millis / 1000).in_time


class FolderSpanExporter(_Begins, SpansInFolders):
    """``OTEL_TRACES_EXPORTER=agentlog``."""


class FolderLogExporter(_Begins, LogsInFolders):
    """``OTEL_LOGS_EXPORTER=agentlog``."""
