"""Lines of spans and log records, for tests of what is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from otel_agentlog.store.folder import layout
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.vocabulary.lines import encode

TRACE = "ab" * 16
NS = 1_795_238_521_000_000_000


def span_id(number: int) -> str:
    """16 hex digits."""
    return f"{number:016x}"


def process(tag: str = "aa", **keys: Any) -> dict[str, Any]:
    """A process line."""
    resource, scope = {"service.name": f"service-{tag}"}, {"name": "otel_agentlog", "version": "1"}
    known = {"resource": resource, "scope": scope, "content_policy": "full", "pid": 7, "host": "h"}
    return {"timestamp": layout.timestamp(NS), "type": "process", **known, **keys, "event_id": f"{tag}-0"}


def start(number: int, at: int, parent: int | None = None, tag: str = "aa", **keys: Any) -> dict[str, Any]:
    """A start line `at` nanoseconds after the beginning."""
    line: dict[str, Any] = {
        "timestamp": layout.timestamp(NS + at),
        "type": "step",
        "phase": "start",
        "name": f"step {number}",
        "kind": "INTERNAL",
    }
    line |= {"trace_id": TRACE, "span_id": span_id(number), "trace_flags": 1, "event_id": f"{tag}-1"}
    return line | ({} if parent is None else {"parent_span_id": span_id(parent)}) | keys


def end(number: int, at: int, tag: str = "aa", **keys: Any) -> dict[str, Any]:
    """An end line `at` nanoseconds after the beginning."""
    line = {"timestamp": layout.timestamp(NS + at), "type": "step", "phase": "end", "trace_id": TRACE, "span_id": span_id(number)}
    return line | {"outcome": "completed", "event_id": f"{tag}-2"} | keys


def log(number: int | None = None, tag: str = "aa", **keys: Any) -> dict[str, Any]:
    """A log line in a span."""
    line = {"timestamp": layout.timestamp(NS + 5), "type": "log", "level": "INFO", "message": "m", "event_id": f"{tag}-3"}
    return line | ({} if number is None else {"span_id": span_id(number)}) | keys


def task_of(folder: Path, events: list[dict[str, Any]], stages: list[dict[str, Any]] | None = None) -> TaskReader:
    """A folder that holds these lines."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / layout.AGENT_OUTPUT).write_bytes(b"".join(map(encode, events)))
    if stages is not None:
        (folder / layout.WEBHOOK_FLOW).write_bytes(b"".join(map(encode, stages)))
    return TaskReader(folder)
