"""Hides how a task becomes its card: what its row and its lines say, in the catalogue's words."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from otel_agentlog.query.rows import ENDS, TaskRow, row_of, standing
from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.store.folder.totals import replay
from otel_agentlog.store.index.extract import Gist, gist_of
from otel_agentlog.store.index.row import COST_UNITS_PER_USD, Card, amount, bounded_time, gather, storable
from otel_agentlog.vocabulary.coerce import text

MAX_TEXT = 20_000
"""Characters of the input and of the result that are looked at for words."""

_US = 1_000_000


def scan(root: Path) -> Iterator[Card]:
    """Yield the cards of all tasks below a root. Reads everything: the slow way, which needs no catalogue."""
    for task in list_tasks(root):
        yield card_of(task)


def card_of(task: TaskReader) -> Card:
    """Return the card of one task, as it stands now."""
    row, gist = row_of(task), gist_of(task)
    metadata, metrics = row.metadata, row.metrics
    settled = row.has_ended and not row.process_gone
    told = metrics.get("duration_seconds") if settled else replay(task).metrics().get("duration_seconds")
    tags = tuple(tag for tag in _list(metadata.get("tags")) if isinstance(tag, str))
    memory = amount(metrics.get("memory_peak_mb"), 1000)
    return Card(
        folder=task.folder.name,
        task_id=storable(row.task_id),
        name=storable(row.name),
        status=row.status,
        settled=settled,
        host=gist.host,
        created_ns=_created(row),
        started_ns=None if (started := row.time_ns("started_at")) is None else bounded_time(started),
        agent=text(metadata, "assigned_agent"),
        agent_type=text(metadata, "agent_type"),
        model=text(metadata, "model"),
        provider=text(metadata, "provider"),
        source=text(metadata, "source"),
        tags=tags,
        parent_task_id=row.parent_task_id,
        user=_tagged(tags, "user") or gist.user(),
        specialist=_tagged(tags, "specialist") or gist.specialist() or text(metadata, "agent_type"),
        session_id=text(metadata, "session_id"),
        correlation_id=text(metadata, "correlation_id"),
        told_duration_us=amount(told, _US),
        duration_us=amount(metrics.get("duration_seconds"), _US),
        cost=amount(metrics.get("cost_usd"), COST_UNITS_PER_USD),
        memory_kb=memory,
        error_type=None if row.error is None else text(row.error, "type"),
        parts=gist.parts,
        failures=gist.failures,
        words=gather(_texts(task, row, gist, tags)),
        **{key: amount(metrics.get(key)) or 0 for key in _COUNTS},
    )


_COUNTS = ("input_tokens", "output_tokens", "ai_calls", "tool_runs", "steps", "retries", "errors")


def _created(row: TaskRow) -> int:
    created = row.time_ns("created_at")
    if created is not None:
        return bounded_time(created)
    try:
        return os.stat(row.folder, follow_symlinks=False).st_mtime_ns
    except OSError:
        return 0


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _tagged(tags: tuple[str, ...], key: str) -> str | None:
    """What stands behind ``key:`` in a tag."""
    return next((tag[len(key) + 1 :] for tag in tags if tag.startswith(f"{key}:") and len(tag) > len(key) + 1), None)


def _texts(task: TaskReader, row: TaskRow, gist: Gist, tags: tuple[str, ...]) -> Iterator[Any]:
    yield from (storable(row.task_id), storable(row.folder.name), storable(row.name), *tags)
    yield from (text(row.metadata, key) for key in ("assigned_agent", "model", "correlation_id", "session_id", "trace_id"))
    if row.error is not None:
        yield from (text(row.error, key) for key in ("type", "message", "error_id", "category"))
    yield from (failure.message for failure in gist.failures)
    for value in ((task.input() or {}).get("input"), (task.final_result() or {}).get("result")):
        yield value[:MAX_TEXT] if isinstance(value, str) else _as_text(value)
    yield from gist.texts


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    try:
        return orjson.dumps(value, default=str).decode()[:MAX_TEXT]
    except TypeError:
        return str(value)[:MAX_TEXT]


def freshened(card: Card, task: TaskReader) -> Card:
    """The card of a task that goes on and whose files have not changed, as it stands now: time passes, processes die."""
    row_status, _ = standing(task)
    if row_status in ENDS or card.started_ns is None:
        return replace(card, status=row_status, duration_us=card.told_duration_us)
    return replace(card, status=row_status, duration_us=amount(max(0, time.time_ns() - card.started_ns) // 1000))
