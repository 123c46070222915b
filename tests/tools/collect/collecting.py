"""Takes requests and files them, in this process, with prices of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from otel_agentlog.settings.fields import Settings, load
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.tools.collect.filing import Filer, FilingReport
from otel_agentlog.tools.collect.intake import JSON, Accepted, Intake
from otel_agentlog.wiring.importing import import_recorder, part_cleaning
from tests.tools.imports.importing import tasks_of
from tests.tools.imports.samples import PRICES, Row


def settings(**more: Any) -> Settings:
    """Those of a test."""
    return load({"prices": PRICES, "service_name": "test", **more})


class Collecting:
    """What is collected below a root."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.root = root
        self.settings = settings(**options.pop("settings", {}))
        self.filing = options

    def take(
        self, *requests: Row, signal: str = "traces", forwards: bool = False, max_spool_bytes: int = 1 << 30
    ) -> list[Accepted]:
        """Take requests as JSON, one after the other."""
        intake = self.intake(forwards=forwards, max_spool_bytes=max_spool_bytes)
        try:
            return [intake.take(signal, JSON, orjson.dumps(request)) for request in requests]
        finally:
            intake.close()

    def intake(self, *, forwards: bool = False, max_spool_bytes: int = 1 << 30) -> Intake:
        """One that is to be closed."""
        clean = part_cleaning(self.settings)
        return Intake(self.root, clean, forwards=forwards, max_spool_bytes=max_spool_bytes, forwarding=lambda: None)

    def filer(self) -> Filer:
        """One that is not entered yet."""
        return Filer(
            self.root,
            lambda sink, clock, failures: import_recorder(self.settings, sink, clock, failures, send=False),
            **self.filing,
        )

    def file(self) -> FilingReport:
        """File everything."""
        with self.filer() as filer:
            filer.file_all()
        return filer.report

    def tasks(self) -> dict[str, TaskReader]:
        """By their ids; each is valid."""
        return {task.task_id: task for task in tasks_of(self.root)}


def spans_of(task: TaskReader) -> list[str]:
    """The ids of the spans of others that a folder has, one for each end."""
    return [line["span_id"] for line in task.events() if line.get("phase") == "end" and line.get("type") != "task"]
