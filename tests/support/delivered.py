"""What a delivery must come to: the folders' items, the receiver's truth, and the receipts, side by side."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from otel_agentlog.store.folder.reader import list_tasks
from otel_agentlog.store.spans.rebuild import records
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from otel_agentlog.vocabulary.records import LogRecordLine, SpanRecord


def recorded_ids(root: Path) -> set[str]:
    """The ids of all items in the folders: span ids, and the uids of log records."""
    found: set[str] = set()
    for task in list_tasks(root):
        task_id = task.task_id
        for record in records(task):
            if isinstance(record, SpanRecord) and record.end_ns is not None:
                found.add(record.span_id)
            elif isinstance(record, LogRecordLine):
                suffix = "" if record.kind == "log" else f"#{record.kind}"
                found.add(f"{task_id}/{record.event_id}{suffix}")
    return found


def received_ids(receiver: OtlpReceiver) -> Counter[str]:
    """How often the receiver ingested each item."""
    spans = (str(span["span_id"]) for span in receiver.spans())
    logs = (str(log["attributes"].get("log.record.uid")) for log in receiver.log_records())
    return Counter([*spans, *logs])


def receipts(root: Path) -> dict[str, int]:
    """The sum of all receipts."""
    total: Counter[str] = Counter()
    for task in list_tasks(root):
        total.update((task.metadata() or {}).get("delivery") or {})
    return dict(total)
