"""All about one task as a JSON object, with the names of docs/format.md: for ``agentlog show --json``, REST and the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from otel_agentlog.query import Entry, TaskReport

MAX_PROBLEMS = 3
"""Problems that the page shows."""


def report_as_json(report: TaskReport) -> dict[str, Any]:
    """The task's row, input and result, the webhook flow, and the tree as a list."""
    return {
        **report.row.as_json(),
        "input": report.input,
        "result": report.result,
        "webhook_flow": report.stages,
        "said": dict(report.said),
        "log_levels": dict(report.levels),
        "problems": report.problems,
        "scores": {name: sum(values) / len(values) if values else None for name, values in _values(report).items()},
        "noted": report.noted,
        "tree": list(_flat(report.roots)),
    }


def _values(report: TaskReport) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for each in report.scores:
        found.setdefault(each.name, []).extend([] if each.value is None else [each.value])
    return found


def page_of_task(report: TaskReport, trace_url: str | None) -> dict[str, Any]:
    """`report_as_json` with the folder's name as key, and the URL of the trace by a template with ``{trace_id}``."""
    return {**report_as_json(report), **_of_page(report, trace_url)}


def page_of_row(report: TaskReport, trace_url: str | None) -> dict[str, Any]:
    """`page_of_task` without the tree and all else that is long; without the time that a task has taken that goes on."""
    row = report.row
    found = {**row.as_json(), **_of_page(report, trace_url), "problems": report.problems[:MAX_PROBLEMS]}
    return found if row.has_ended else {**found, "duration_seconds": None}


def _of_page(report: TaskReport, trace_url: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"key": report.row.folder.name}
    trace_id = report.row.metadata.get("trace_id")
    if trace_url is not None and isinstance(trace_id, str) and trace_id.isalnum():
        found["trace_url"] = trace_url.replace("{trace_id}", trace_id)
    return found


def _flat(roots: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    """Every part after the one it belongs to, with its depth, as nested JSON has a limit of depth."""
    waiting = [(0, root) for root in reversed(roots)]
    while waiting:
        depth, entry = waiting.pop()
        yield {"depth": depth, **entry_as_json(entry)}
        waiting += [(depth + 1, child) for child in reversed(entry.children)]


def figures_as_json(entry: Entry) -> dict[str, Any]:
    """What a part and everything below it sum up to."""
    return {
        **entry.total.tokens,
        "cost_usd": entry.total.cost_usd,
        "unpriced": entry.total.unpriced,
        "ai_calls": entry.total.ai_calls,
        "tool_runs": entry.total.tool_runs,
        "errors": entry.total.errors,
    }


def entry_as_json(entry: Entry) -> dict[str, Any]:
    """One part; figures include everything below it, empty values are left out."""
    found: dict[str, Any] = {
        "kind": entry.kind,
        "name": entry.name,
        "status": entry.status,
        "reason": entry.reason,
        "span_id": entry.span_id,
        "step_id": entry.step_id,
        "component": entry.component,
        "start_ns": entry.start_ns,
        "end_ns": entry.end_ns,
        "duration_ms": entry.duration_ms,
        **figures_as_json(entry),
        "details": entry.details,
        "exception": None if entry.exception is None else dict(entry.exception),
        "attempts": [dict(attempt) for attempt in entry.attempts],
        "lines": entry.lines,
        "task": None if entry.task is None else entry.task.as_json(),
    }
    return {key: value for key, value in found.items() if value not in (None, [], {})}
