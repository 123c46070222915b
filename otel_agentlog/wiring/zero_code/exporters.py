"""What OpenTelemetry loads by the name ``agentlog``, for ``OTEL_TRACES_EXPORTER`` and ``OTEL_PYTHON_CONFIGURATOR``."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from otel_agentlog.export.folder_exporters import InFolders, LogsInFolders, SpansInFolders
from otel_agentlog.settings.fields import inherited
from otel_agentlog.wiring import flush
from otel_agentlog.wiring.zero_code.start import begin

NAME = "agentlog"


class _Begins(InFolders):
    def begin(self) -> None:
        begin()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return flush(timeout_millis / 1000).in_time


class FolderSpanExporter(_Begins, SpansInFolders):
    """``OTEL_TRACES_EXPORTER=agentlog``."""


class FolderLogExporter(_Begins, LogsInFolders):
    """``OTEL_LOGS_EXPORTER=agentlog``."""


class Configurator:
    """``OTEL_PYTHON_CONFIGURATOR=agentlog``: sets up this package in the place of the SDK.

    OpenTelemetry takes the first configurator that is installed where none is named. Then this one steps aside for the next.
    """

    def configure(self, **given: Any) -> None:
        """Called by ``opentelemetry-instrument``."""
        if inherited().get("OTEL_PYTHON_CONFIGURATOR") != NAME:
            for entry in entry_points(group="opentelemetry_configurator"):
                if entry.name != NAME:
                    entry.load()().configure(**given)
                    return
        begin()
