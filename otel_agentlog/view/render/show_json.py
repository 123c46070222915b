"""Hides how all about one task becomes JSON, in the words of the folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from otel_agentlog.query import Entry, TaskReport


def report_as_json(report: TaskReport) -> dict[str, Any]:
    """One object: the task's row, what was asked and came out, the webhook flow, the tree."""
    return {
        **report.row.as_json(),
        "input": report.input,
        "result": report.result,
        "webhook_flow": report.stages,
        "said": dict(report.said),
        "log_levels": dict(report.levels),
        "problems": report.problems,
        "tree": list(_flat(report.roots)),
    }


def page_of_task(report: TaskReport, trace_url: str | None) -> dict[str, Any]:
    """The same for the web page: with the key it asks by, and where its trace can be looked at (template with ``{trace_id}``)."""
    found = {**report_as_json(report), "key": report.row.folder.name}
    trace_id = found.get("trace_id")
    if trace_url is not None and isinstance(trace_id, str) and trace_id.isalnum():
        found["trace_url"] = trace_url.replace("{trace_id}", trace_id)
    return found


def _flat(roots: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    """Every part after the one it belongs to, with its depth: easier to ask of than a tree, and of any depth."""
    waiting = [(0, root) for root in reversed(roots)]
    while waiting:
        depth, entry = waiting.pop()
        yield {"depth": depth, **_entry(entry)}
        waiting += [(depth + 1, child) for child in reversed(entry.children)]


def _entry(entry: Entry) -> dict[str, Any]:
    """One part; figures include everything below it, keys that say nothing are left out."""
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
        **entry.total.tokens,
        "cost_usd": entry.total.cost_usd,
        "ai_calls": entry.total.ai_calls,
        "tool_runs": entry.total.tool_runs,
        "errors": entry.total.errors,
        "details": entry.details,
        "exception": None if entry.exception is None else dict(entry.exception),
        "attempts": [dict(attempt) for attempt in entry.attempts],
        "lines": entry.lines,
        "task": None if entry.task is None else entry.task.as_json(),
    }
    return {key: value for key, value in found.items() if value not in (None, [], {})}
