"""Tool runs, and tasks around them, that are recorded when they are over: they began as long ago as they took."""

from __future__ import annotations

from typing import Any

from otel_agentlog.record.operations.operation import Operation
from otel_agentlog.record.operations.task import Task
from otel_agentlog.record.operations.tool_run import ToolRun
from otel_agentlog.vocabulary.lines import timestamp


class _Past(Operation):
    took_s: float = 0.0
    """How long it took, in seconds; set before it is started."""

    def _start_fields(self) -> dict[str, Any]:
        took_ns = int(self.took_s * 1e9)
        self.start_ns, self._monotonic_start = self.start_ns - took_ns, self._monotonic_start - took_ns
        return super()._start_fields()


class PastToolRun(_Past, ToolRun):
    """A tool run that is over."""


class PastTask(_Past, Task):
    """A task that is over."""

    def _start_fields(self) -> dict[str, Any]:
        fields = super()._start_fields()
        if self.task is not None:
            self.task.header["created_at"] = timestamp(self.start_ns)
        return fields
