"""What the index keeps of a task, from its row and its lines."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.query.rows import TaskRow, row_of, standing, tally_of
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, FINAL_RESULT, METADATA
from otel_agentlog.store.folder.metadata import METADATA_KEYS
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.folder.totals import METRICS
from otel_agentlog.store.index.extract import Extract, extract_from
from otel_agentlog.store.index.live_lines import lines_read
from otel_agentlog.store.index.row import COST_UNITS_PER_USD, COUNTS, IndexRow, amount, bounded_time
from otel_agentlog.store.index.tables import LiveTask
from otel_agentlog.store.index.words import as_text, distinct_words, storable, words_of
from otel_agentlog.vocabulary.coerce import mapping, text, texts
from otel_agentlog.vocabulary.states import ENDED

MAX_TEXT = 20_000
"""Characters of the input and of the result that are indexed."""

MAX_DAMAGE = 200
"""Characters of what is wrong about a folder."""

_US = 1_000_000


def index_row_of(task: TaskReader) -> IndexRow:
    """Return what the index keeps of one task, as it is now."""
    row = row_of(task)
    metadata, metrics = row.metadata, row.metrics
    settled = row.has_ended and not row.process_gone
    # Of a task that goes on only what is new is read; of one whose process has died the torn line at the end, too.
    extract, said = (extract_from(task), []) if row.has_ended else lines_read(task).extract()
    said += words_of("\n".join(extract.texts))
    recorded = metrics.get("duration_seconds") if settled else tally_of(task).metrics().get("duration_seconds")
    cost = amount(metrics.get("cost_usd"), COST_UNITS_PER_USD)
    without_price = (run for run in extract.runs if run.kind == "ai_call" and run.cost is None and run.outcome != "running")
    tags = tuple(tag for tag in _list(metadata.get("tags")) if isinstance(tag, str))
    return IndexRow(
        status=row.status,
        settled=settled,
        task_id=None if row.task_id == task.folder.name else row.task_id,
        name=text(metadata, "name"),
        created_ns=_created(row),
        started_ns=None if (started := row.time_ns("started_at")) is None else bounded_time(started),
        duration_us=amount(metrics.get("duration_seconds"), _US),
        recorded_duration_us=amount(recorded, _US),
        cost=cost,
        unpriced=cost is None or any(without_price),
        **{key: amount(metrics.get(key)) or 0 for key in COUNTS},
        agent=text(metadata, "assigned_agent"),
        agent_type=text(metadata, "agent_type"),
        user=_tagged(tags, "user") or extract.user(),
        specialist=_tagged(tags, "specialist")
        or extract.specialist()
        or text(metadata, "agent_type")
        or extract.specialist_of_tools(),
        source=text(metadata, "source"),
        provider=text(metadata, "provider"),
        model=text(metadata, "model"),
        parent_task_id=row.parent_task_id,
        session_id=text(metadata, "session_id"),
        correlation_id=text(metadata, "correlation_id"),
        tags=tags,
        runs=extract.runs,
        scores=extract.scores,
        error_categories=extract.error_categories,
        error_ids=frozenset(extract.error_ids),
        words=distinct_words(_texts(task, row, extract, tags), said),
        damage=_damage(task, row),
    )


def now_of(live: LiveTask, task: TaskReader) -> tuple[str, int | None]:
    """Status and duration, in microseconds, of a task that goes on, now: time passes, and processes die."""
    status, _ = standing(task)
    if status in ENDED or live.started_ns is None:
        return status, live.recorded_duration_us
    return status, amount(max(0, time.time_ns() - live.started_ns) // 1000)


def _damage(task: TaskReader, row: TaskRow) -> str | None:
    """What first is wrong about the files that were read; only of tasks that no process works on."""
    if not (row.has_ended or row.process_gone):
        return None
    return next((storable(each)[:MAX_DAMAGE] for each in _complaints(task, row)), None)


def _complaints(task: TaskReader, row: TaskRow) -> Iterator[str]:
    yield from map(str, task.problems)
    if not row.metadata:
        yield f"{METADATA}: not there"
    yield from _wrong_metadata(row)
    final = task.final_result() or {}
    for key, kind in (("metrics", dict), ("error", dict), ("outcome", str)):
        if final.get(key) is not None and not isinstance(final[key], kind):
            yield f"{FINAL_RESULT}: {key}: expected {kind.__name__}, found {type(final[key]).__name__}"
    for key in METRICS:
        value = mapping(final, "metrics").get(key)
        if value is not None and amount(value) is None:
            yield f"{FINAL_RESULT}: {key}: expected a number, found {type(value).__name__}"
    if row.has_ended and not row.process_gone:
        yield from (f"{name}: not there" for name in (AGENT_OUTPUT, FINAL_RESULT) if not task.stamp(name))


def _wrong_metadata(row: TaskRow) -> Iterator[str]:
    for key in METADATA_KEYS:
        value = row.metadata.get(key)
        if key == "tags" or value is None:
            continue
        if not isinstance(value, str):
            yield f"{METADATA}: {key}: expected a text, found {type(value).__name__}"
        elif key.endswith("_at") and row.time_ns(key) is None:
            yield f"{METADATA}: {key}: expected a time, found {value[:40]!r}"
    tags = row.metadata.get("tags")
    if tags is not None and (not isinstance(tags, list) or len(texts(row.metadata, "tags")) != len(tags)):
        yield f"{METADATA}: tags: expected a list of texts, found {type(tags).__name__}"


def _created(row: TaskRow) -> int:
    created = row.time_ns("created_at")
    if created is not None:
        return bounded_time(created)
    try:
        return os.stat(row.folder, follow_symlinks=False).st_mtime_ns
    except OSError:
        raise_interrupt()
        return 0


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _tagged(tags: tuple[str, ...], key: str) -> str | None:
    """What follows ``key:`` in a tag."""
    return next((tag[len(key) + 1 :] for tag in tags if tag.startswith(f"{key}:") and len(tag) > len(key) + 1), None)


def _texts(task: TaskReader, row: TaskRow, extract: Extract, tags: tuple[str, ...]) -> Iterator[str | None]:
    yield from (storable(row.task_id), storable(row.folder.name), storable(row.name), *tags)
    yield from (text(row.metadata, key) for key in ("assigned_agent", "model", "correlation_id", "session_id", "trace_id"))
    if row.error is not None:
        yield from (text(row.error, key) for key in ("type", "message", "error_id", "category"))
    yield from extract.error_messages
    for value in ((task.input() or {}).get("input"), (task.final_result() or {}).get("result")):
        yield as_text(value)[:MAX_TEXT]
