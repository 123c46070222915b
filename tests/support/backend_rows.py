"""Task folders as rows of the collector's ClickHouse tables, and a backend that answers from them: no server, no collector.

A row is what the exporter writes of what the SDK makes of a folder's records: attributes are texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from otel_agentlog.store.folder.reader import list_tasks
from otel_agentlog.store.spans.rebuild import records
from otel_agentlog.view.backends.clickhouse import ClickHouse
from otel_agentlog.vocabulary.records import LogRecordLine, SpanRecord
from tests.support.sdk_records import readable_log, readable_span

_STATUS = {"ERROR": "Error", "OK": "Ok", "UNSET": "Unset"}


def text_of(value: Any) -> str:
    """A value as the exporter writes it into a column of type ``Map(String, String)``."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Mapping):
        return orjson.dumps(dict(value)).decode()
    return orjson.dumps(list(value) if isinstance(value, tuple) else value).decode()


def _texts(attributes: Any) -> dict[str, str]:
    return {key: text_of(value) for key, value in dict(attributes or {}).items()}


def _span(record: SpanRecord) -> dict[str, Any]:
    span = readable_span(record)
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.instrumentation_scope is not None
    return {
        "trace_id": record.trace_id,
        "span_id": record.span_id,
        "parent_span_id": record.parent_span_id or "",
        "name": span.name,
        "kind": span.kind.name.capitalize(),
        "start_ns": span.start_time,
        "duration_ns": span.end_time - span.start_time,
        "attributes": _texts(span.attributes),
        "resource": _texts(span.resource.attributes),
        "scope": span.instrumentation_scope.name,
        "scope_version": span.instrumentation_scope.version or "",
        "status": _STATUS[span.status.status_code.name],
        "description": span.status.description or "",
        "event_names": [event.name for event in span.events],
        "event_times": [event.timestamp for event in span.events],
        "event_attributes": [_texts(event.attributes) for event in span.events],
    }


def _log(record: LogRecordLine) -> dict[str, Any]:
    readable = readable_log(record)
    made = readable.log_record
    return {
        "trace_id": format(made.trace_id or 0, "032x"),
        "span_id": format(made.span_id or 0, "016x"),
        "time_ns": made.timestamp,
        "level": made.severity_text or "",
        "body": "" if made.body is None else text_of(made.body),
        "attributes": _texts(made.attributes),
        "resource": _texts(readable.resource.attributes),
        "event_name": made.event_name or "",
    }


class Tables(ClickHouse):
    """Answers from the rows of the folders below a root, as they were when it was made; notes which statements it was asked."""

    def __init__(self, root: Path, *, unsampled: bool = False) -> None:
        """`unsampled`: with what no sampler chose, as where failed tasks are kept."""
        super().__init__("clickhouse://nobody@nowhere/otel")
        spans: dict[str, dict[str, Any]] = {}
        self.logs: list[dict[str, Any]] = []
        self.asked: list[str] = []
        for task in list_tasks(root):
            for record in records(task):
                if not (record.sampled or unsampled):
                    continue
                if isinstance(record, LogRecordLine):
                    self.logs.append(_log(record))
                elif record.end_ns is not None:
                    spans[record.span_id] = _span(record)
        self.spans = list(spans.values())

    def rows(self, statement: str, parameters: Any = None) -> Any:
        """The rows that the statement asks for; of its conditions only those on traces and ids of tasks are met."""
        self.asked.append(statement)
        if statement.startswith("DESCRIBE"):
            return iter([{"name": "EventName"}])
        if "chosen" in statement:
            return iter(self._listed(parameters or {}, "startsWith" in statement))
        if "task NOT IN" in statement:
            return iter([{"task": task} for task in self._open()])
        if "GROUP BY task" in statement:
            return iter(self._tasks(parameters["kept"]))
        if "EventName = " in statement:
            return iter([row for row in self.logs if row["event_name"] == "gen_ai.evaluation.result"])
        table = self.spans if "otel_traces" in statement else self.logs
        return iter(orjson.loads(orjson.dumps([row for row in table if row["trace_id"] in parameters["traces"]])))

    def _tasks(self, kept: list[str]) -> list[dict[str, Any]]:
        named: dict[str, list[dict[str, Any]]] = {}
        for row in self.spans:
            given = row["attributes"]
            if "agentlog.task.id" in given and "agentlog.task.name" in given and "agentlog.webhook.provider" not in given:
                named.setdefault(given["agentlog.task.id"], []).append(row)
        return [self._task(task, rows, kept) for task, rows in named.items()]

    def _open(self) -> set[str]:
        known = {row["attributes"].get("agentlog.task.id") for row in (*self.spans, *self.logs)} - {None}
        return known - {
            row["attributes"].get("agentlog.task.id") for row in self.spans if "agentlog.task.name" in row["attributes"]
        }

    def _task(self, task: str, rows: list[dict[str, Any]], kept: list[str]) -> dict[str, Any]:
        ends = [row for row in rows if "agentlog.task.steps" in row["attributes"]]
        nothing: dict[str, Any] = {"start_ns": 0, "duration_ns": 0, "name": "", "status": "", "attributes": {}}
        last = max(ends, key=lambda row: row["start_ns"] + row["duration_ns"], default=nothing)
        return {
            "task": task,
            "began_ns": min(row["start_ns"] for row in rows),
            "has_ended": int(bool(ends)),
            "only_ends": int(len(ends) == len(rows)),
            **{key: last[key] for key in ("start_ns", "duration_ns", "name", "status")},
            "attributes": {key: value for key, value in last["attributes"].items() if key in kept},
        }

    def forget(self, trace_id: str) -> None:
        """Delete a trace."""
        for rows in (self.spans, self.logs):
            rows[:] = [row for row in rows if row["trace_id"] != trace_id]

    def _listed(self, parameters: dict[str, Any], begins: bool) -> list[dict[str, Any]]:
        everything, asked = [*self.spans, *self.logs], parameters.get("tasks")
        if (named := parameters.get("task")) is not None:
            asked = (named, f"task-{named}")
        chosen = [row for row in everything if _time(row) >= parameters.get("since", 0)]
        known = [(row["trace_id"], row["attributes"].get("agentlog.task.id")) for row in chosen]
        traces = {
            trace
            for trace, task in known
            if task is not None and (asked is None or task in asked or (begins and task.startswith(tuple(asked))))
        }
        return [self._trace(trace, [_time(row) for row in everything if row["trace_id"] == trace]) for trace in sorted(traces)]

    def _trace(self, trace: str, times: list[int]) -> dict[str, Any]:
        spans, logs = (sum(row["trace_id"] == trace for row in rows) for rows in (self.spans, self.logs))
        return {"trace": trace, "spans": spans, "logs": logs, "first_ns": min(times), "last_ns": max(times)}


def _time(row: dict[str, Any]) -> int:
    time_ns: int = row.get("start_ns", row.get("time_ns"))
    return time_ns
