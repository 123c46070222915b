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
_LAST_NS = 2**62


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

    def __init__(self, root: Path) -> None:
        super().__init__("clickhouse://nobody@nowhere/otel")
        spans: dict[str, dict[str, Any]] = {}
        self.logs: list[dict[str, Any]] = []
        self.asked: list[str] = []
        for task in list_tasks(root):
            for record in records(task):
                if not record.sampled:
                    continue
                if isinstance(record, LogRecordLine):
                    self.logs.append(_log(record))
                elif record.end_ns is not None:
                    spans[record.span_id] = _span(record)
        self.spans = list(spans.values())

    def rows(self, statement: str, parameters: Any = None) -> Any:
        """The rows that the statement asks for; of its conditions only the traces are met."""
        self.asked.append(statement)
        if statement.startswith("DESCRIBE"):
            return iter([{"name": "EventName"}])
        if "chosen" in statement:
            return iter(self._listed())
        table = self.spans if "otel_traces" in statement else self.logs
        return iter(orjson.loads(orjson.dumps([row for row in table if row["trace_id"] in parameters["traces"]])))

    def _listed(self) -> list[dict[str, Any]]:
        everything = [*self.spans, *self.logs]
        traces = {row["trace_id"] for row in everything if "agentlog.task.id" in row["attributes"]}
        return [
            {
                "trace": trace,
                "spans": sum(row["trace_id"] == trace for row in self.spans),
                "logs": sum(row["trace_id"] == trace for row in self.logs),
                "first_ns": 0,
                "last_ns": _LAST_NS,
            }
            for trace in sorted(traces)
        ]
