"""What one can ask: tasks, one task's report, its lines as they come. Plain data in, plain data out.

Texts are handed on as they stand in the folder; who shows them makes them safe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_agentlog.doors import load_when_used

if TYPE_CHECKING:
    from otel_agentlog.query.lines import LineStream
    from otel_agentlog.query.naming import LAST, resolve
    from otel_agentlog.query.report import Entry, TaskReport, report, time_of
    from otel_agentlog.query.rows import UNSUCCESSFUL, Found, TaskRow, find_rows, row_of

__all__ = [
    "LAST",
    "UNSUCCESSFUL",
    "Entry",
    "Found",
    "LineStream",
    "TaskReport",
    "TaskRow",
    "find_rows",
    "report",
    "resolve",
    "row_of",
    "time_of",
]

load_when_used(
    __name__,
    {
        "lines": ("LineStream",),
        "naming": ("LAST", "resolve"),
        "report": ("Entry", "TaskReport", "report", "time_of"),
        "rows": ("Found", "TaskRow", "UNSUCCESSFUL", "find_rows", "row_of"),
    },
)
