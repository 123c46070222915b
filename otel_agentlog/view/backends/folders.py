"""Brings tasks from ClickHouse into task folders of their own root: those that are asked about and changed since.

A trace is the unit: it is fetched again when it has other numbers of spans or log records than last time. Memory is that of one
batch of traces, or of the largest trace. The root is a cache: deleting it costs only time.
"""

# Statements consist of constants of ours; foreign text is a parameter.
# ruff: noqa: S608

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import field
from pathlib import Path
from typing import Any

import otel_agentlog._platform as system
from otel_agentlog._platform.fork import random_bits
from otel_agentlog._startup import dataclass
from otel_agentlog.export.semconv import names
from otel_agentlog.settings.version import __version__
from otel_agentlog.store.folder.documents import final_result
from otel_agentlog.store.folder.layout import (
    AGENT_OUTPUT,
    FINAL_RESULT,
    METADATA,
    WEBHOOK_FLOW,
    encode_document,
    folder_name,
    temp_name,
)
from otel_agentlog.store.folder.metadata import METADATA_KEYS
from otel_agentlog.store.folder.totals import Tally
from otel_agentlog.view.backends.clickhouse import ClickHouse
from otel_agentlog.view.backends.lines import (
    LogRecord,
    Span,
    details_of,
    implicit_task,
    is_exception,
    is_hand_over,
    line_type,
    log_line,
    process_line,
    span_lines,
    stage_lines,
    subtask_lines,
)
from otel_agentlog.view.backends.views import around, find_views
from otel_agentlog.view.backends.wanted import Wanted
from otel_agentlog.vocabulary.lines import FORMAT_VERSION, Line, timestamp
from otel_agentlog.vocabulary.states import ENDED, State

BATCH_RECORDS, BATCH_TRACES = 20_000, 500
"""Spans and log records, and traces, that are fetched at once."""

READING = 2
"""Raised where the same records become other folders, so that what was brought before is brought again."""

FETCHED = ".fetched.sqlite"
"""File in the root: what was fetched."""

Progress = Callable[[int, int], None]
_TRACE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


def bring(source: ClickHouse, cache: Path, wanted: Wanted, progress: Progress | None = None) -> Path:
    """Return the root of the folders of the tasks in ClickHouse, with all that are wanted as they are there now.

    Raises:
        AgentlogError: ClickHouse does not answer, or has no such tables.
        OSError: the folders cannot be written.
    """
    root = root_of(source, cache)
    with closing(sqlite3.connect(root / FETCHED, timeout=60, isolation_level=None)) as connection:
        fetched = _Fetched(connection)
        listed = _listed(source, wanted)
        begins = not listed and wanted.task is not None
        if begins:
            # No index of the tables helps here: every task is looked at.
            listed = _listed(source, wanted, begins=True)
        for task_id in fetched.forget(fetched.sought(wanted, begins=begins).difference(trace.trace_id for trace in listed)):
            shutil.rmtree(root / folder_name(task_id), ignore_errors=True)
        changed = [trace for trace in listed if not fetched.has(trace)]
        done = 0
        for batch in _batches(changed):
            _fetch(source, root, fetched, batch)
            done += len(batch)
            if progress is not None:
                progress(done, len(changed))
    return root


def root_of(source: ClickHouse, cache: Path) -> Path:
    """The root of the folders of the tasks in ClickHouse. Raises `OSError`."""
    root = cache / hashlib.sha256(source.name.encode()).hexdigest()[:16]
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    return root


@dataclass(slots=True)
class _Trace:
    trace_id: str
    spans: int
    logs: int
    first_ns: int
    last_ns: int

    @property
    def mark(self) -> str:
        """What is another text when the trace has changed, or would be read in another way."""
        return f"{__version__}:{READING}:{self.spans}:{self.logs}:{self.last_ns}"


class _Fetched:
    """What was fetched, so that it is not fetched again; and in which traces each task is."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute(
            "CREATE TABLE IF NOT EXISTS trace (id TEXT PRIMARY KEY, mark TEXT, first_ns INTEGER, last_ns INTEGER) WITHOUT ROWID"
        )
        connection.execute("CREATE TABLE IF NOT EXISTS part (task TEXT, trace TEXT, PRIMARY KEY (task, trace)) WITHOUT ROWID")

    def has(self, trace: _Trace) -> bool:
        """Whether it was fetched as it is now."""
        found = self._connection.execute("SELECT mark FROM trace WHERE id = ?", (trace.trace_id,)).fetchone()
        return found is not None and found[0] == trace.mark

    def other_traces(self, tasks: Collection[str], known: Collection[str]) -> set[str]:
        """The traces besides `known` that some of these tasks are in, too."""
        found = (row[0] for task in tasks for row in self._connection.execute("SELECT trace FROM part WHERE task = ?", (task,)))
        return set(found).difference(known)

    def sought(self, wanted: Wanted, *, begins: bool) -> set[str]:
        """The known traces that a question would find if they were still there; `begins`: by how the ids of tasks begin, too."""
        if wanted.task is not None:
            length = "length(:id)" if begins else "length(task)"
            # By name: Python 3.12 warned of numbered places until 3.12.4.
            alike = f"substr(task, 1, {length}) = :id OR substr(task, 1, 5 + {length}) = 'task-' || :id"
            return {row[0] for row in self._connection.execute(f"SELECT trace FROM part WHERE {alike}", {"id": wanted.task})}
        if wanted.tasks or wanted.newest or wanted.error_id is not None or wanted.active_since_ns is not None:
            return set()
        bounds = wanted.since_ns or 0, wanted.until_ns or 2**63 - 1
        return {row[0] for row in self._connection.execute("SELECT id FROM trace WHERE first_ns >= ? AND last_ns < ?", bounds)}

    def forget(self, traces: Collection[str]) -> list[str]:
        """Forget traces that are gone; returns the tasks of which nothing is left. Those that went on elsewhere are made anew."""
        gone: list[str] = []
        self._connection.execute("BEGIN IMMEDIATE")
        for trace in traces:
            tasks = [row[0] for row in self._connection.execute("SELECT task FROM part WHERE trace = ?", (trace,))]
            self._connection.execute("DELETE FROM part WHERE trace = ?", (trace,))
            self._connection.execute("DELETE FROM trace WHERE id = ?", (trace,))
            for task in tasks:
                others = self.other_traces([task], ())
                self._connection.executemany("DELETE FROM trace WHERE id = ?", [(each,) for each in others])
                gone += [] if others else [task]
        self._connection.execute("COMMIT")
        return gone

    def add(self, traces: Iterable[_Trace], parts: Iterable[tuple[str, str]]) -> None:
        """Note what was fetched."""
        self._connection.execute("BEGIN IMMEDIATE")
        rows = [(each.trace_id, each.mark, each.first_ns, each.last_ns) for each in traces]
        self._connection.executemany("INSERT OR REPLACE INTO trace VALUES (?, ?, ?, ?)", rows)
        self._connection.executemany("INSERT OR IGNORE INTO part VALUES (?, ?)", list(parts))
        self._connection.execute("COMMIT")


def _batches(traces: Iterable[_Trace]) -> Iterator[list[_Trace]]:
    batch: list[_Trace] = []
    records = 0
    for trace in traces:
        size = trace.spans + trace.logs
        if batch and (records + size > BATCH_RECORDS or len(batch) >= BATCH_TRACES):
            yield batch
            batch, records = [], 0
        batch.append(trace)
        records += size
    if batch:
        yield batch


# -- what is asked of ClickHouse: the tables of the collector's exporter ---------------------------------------------------

_LISTED = """
WITH chosen AS (
    (SELECT TraceId FROM otel_traces WHERE mapContains(SpanAttributes, '{span_key}'){of_spans})
    UNION DISTINCT
    (SELECT TraceId FROM otel_logs WHERE mapContains(LogAttributes, 'agentlog.task.id'){of_logs})
)
SELECT TraceId AS trace, sum(spans) AS spans, sum(logs) AS logs,
    toUnixTimestamp64Nano(min(first)) AS first_ns, toUnixTimestamp64Nano(max(last)) AS last_ns
FROM (
    SELECT TraceId, count() AS spans, 0 AS logs, min(Timestamp) AS first, max(Timestamp) AS last
    FROM otel_traces WHERE TraceId IN (SELECT TraceId FROM chosen) GROUP BY TraceId
    UNION ALL
    SELECT TraceId, 0 AS spans, count() AS logs, min(Timestamp) AS first, max(Timestamp) AS last
    FROM otel_logs WHERE TraceId IN (SELECT TraceId FROM chosen) GROUP BY TraceId
)
GROUP BY TraceId ORDER BY first_ns
"""

_NEWEST = " ORDER BY Timestamp DESC LIMIT 20"

_OF_TRACES = """
WHERE TraceId IN {traces:Array(String)}
    AND Timestamp BETWEEN fromUnixTimestamp64Nano({first:Int64}) AND fromUnixTimestamp64Nano({last:Int64})
"""

_SPANS = f"""
SELECT TraceId AS trace_id, SpanId AS span_id, ParentSpanId AS parent_span_id, SpanName AS name, SpanKind AS kind,
    toUnixTimestamp64Nano(Timestamp) AS start_ns, Duration AS duration_ns, SpanAttributes AS attributes,
    ResourceAttributes AS resource, ScopeName AS scope, ScopeVersion AS scope_version, StatusCode AS status,
    StatusMessage AS description, `Events.Name` AS event_names, `Events.Attributes` AS event_attributes,
    arrayMap(at -> toUnixTimestamp64Nano(at), `Events.Timestamp`) AS event_times
FROM otel_traces {_OF_TRACES} LIMIT 1 BY TraceId, SpanId
"""

_LOGS = f"""
SELECT DISTINCT TraceId AS trace_id, SpanId AS span_id, toUnixTimestamp64Nano(Timestamp) AS time_ns, SeverityText AS level,
    Body AS body, LogAttributes AS attributes, ResourceAttributes AS resource
FROM otel_logs {_OF_TRACES}
"""


def _listed(source: ClickHouse, wanted: Wanted, *, begins: bool = False) -> list[_Trace]:
    parts, parameters = _conditions(wanted, begins)
    of_spans, of_logs = (
        "".join(f" AND {part.replace('@', attributes).replace('$', lasts)}" for part in parts)
        + (_NEWEST if wanted.newest else "")
        for attributes, lasts in (("SpanAttributes", "toInt64(Duration)"), ("LogAttributes", "0"))
    )
    span_key = names.TASK_NAME if wanted.newest else names.TASK_ID
    rows = source.rows(_LISTED.format(of_spans=of_spans, of_logs=of_logs, span_key=span_key), parameters)
    # Ids are put into statements: what is none was not sent by an SDK.
    return [_Trace(*map(row.__getitem__, _LISTED_KEYS)) for row in rows if _TRACE_ID.fullmatch(row["trace"])]


_LISTED_KEYS = ("trace", "spans", "logs", "first_ns", "last_ns")


def _conditions(wanted: Wanted, begins: bool) -> tuple[list[str], dict[str, str | int | list[str]]]:
    """Conditions that all hold, with ``@`` for the column of attributes and ``$`` for the duration, and their parameters."""
    parts: list[str] = []
    parameters: dict[str, str | int | list[str]] = {}
    for name, value, operator in (("since", wanted.since_ns, ">="), ("until", wanted.until_ns, "<")):
        if value is not None:
            parts.append(f"Timestamp {operator} fromUnixTimestamp64Nano({{{name}:Int64}})")
            parameters[name] = value
    if wanted.active_since_ns is not None:
        parts.append("toUnixTimestamp64Nano(Timestamp) + $ >= {active:Int64}")
        parameters["active"] = wanted.active_since_ns
    if wanted.task is not None:
        task, ids = f"@['{names.TASK_ID}']", ("{task:String}", "concat('task-', {task:String})")
        parts.append("(" + " OR ".join(f"startsWith({task}, {each})" if begins else f"{task} = {each}" for each in ids) + ")")
        parameters["task"] = wanted.task
    if wanted.tasks:
        parts.append(f"@['{names.TASK_ID}'] IN {{tasks:Array(String)}}")
        parameters["tasks"] = list(wanted.tasks)
    if wanted.error_id is not None:
        parts.append(f"@['{names.ERROR_ID}'] = {{error:String}}")
        parameters["error"] = wanted.error_id
    return parts, parameters


# -- from records to folders -----------------------------------------------------------------------------------------------


def _fetch(source: ClickHouse, root: Path, fetched: _Fetched, batch: list[_Trace]) -> None:
    tasks, here = _tasks_of(source, batch), {trace.trace_id for trace in batch}
    others = fetched.other_traces(tasks, here)
    if others:
        # A task that went on in a trace of its own: its folder is made of all that is known of it.
        whole = [*batch, *(_Trace(each, 0, 0, 0, 2**62) for each in others)]
        tasks = {task_id: task for task_id, task in _tasks_of(source, whole).items() if task_id in tasks}
    for task in tasks.values():
        _write(root, task)
    fetched.add(batch, [(task.task_id, trace) for task in tasks.values() for trace in task.traces])


@dataclass(slots=True)
class _Task:
    task_id: str
    lines: list[tuple[int, int, Line]] = field(default_factory=list)
    """Time, order among lines of one time, line."""
    stages: list[Line] = field(default_factory=list)
    traces: set[str] = field(default_factory=set)
    span: Span | None = None
    """The task's own, once it has ended, or a part of it that gave its end away."""
    began_ns: int = 0
    """When the first of its own began; 0 where none has ended."""
    inside: str | None = None
    """The task that it is a sub-task of."""
    first: Span | LogRecord | None = None
    resource: Mapping[str, str] = field(default_factory=dict)

    def add(self, time_ns: int, order: int, line: Line) -> None:
        """Add one line."""
        self.lines.append((time_ns, order, line))

    def take(self, span: Span) -> None:
        """Take a span of its own. Of several, after a resumption, the last one says how it ended."""
        known = self.span
        if known is None or (not span.gave_away, span.end_ns) >= (not known.gave_away, known.end_ns):
            self.span = span
        self.began_ns = min(self.began_ns or span.start_ns, span.start_ns)


def _tasks_of(source: ClickHouse, traces: list[_Trace]) -> dict[str, _Task]:
    parameters: dict[str, str | int | list[str]] = {
        "traces": [trace.trace_id for trace in traces],
        "first": min(trace.first_ns for trace in traces),
        "last": max(trace.last_ns for trace in traces),
    }
    event_name = any(row.get("name") == "EventName" for row in source.rows("DESCRIBE TABLE otel_logs"))
    spans = {row["span_id"]: _span_of(row) for row in source.rows(_SPANS, parameters)}
    logs_query = _LOGS.replace("SELECT DISTINCT", "SELECT DISTINCT EventName AS event_name,") if event_name else _LOGS
    logs = [log_of(row) for row in source.rows(logs_query, parameters)]
    return _Sorting(spans, logs).tasks


def _span_of(row: Mapping[str, Any]) -> Span:
    events = list(zip(row["event_names"], row["event_times"], row["event_attributes"], strict=False))
    kept = ("trace_id", "span_id", "parent_span_id", "name", "kind", "start_ns")
    return Span(
        **{key: row[key] for key in kept},
        end_ns=row["start_ns"] + row["duration_ns"],
        attributes=row["attributes"],
        resource=row["resource"],
        scope=row["scope"],
        scope_version=row["scope_version"],
        failed=row["status"] == "Error",
        description=row["description"],
        events=events,
    )


def log_of(row: Mapping[str, Any]) -> LogRecord:
    """A log record of a row."""
    return LogRecord(**{"event_name": "", **row})


class _Sorting:
    """Which records belong to which task."""

    def __init__(self, spans: Mapping[str, Span], logs: Iterable[LogRecord]) -> None:
        self._spans = spans
        self.tasks: dict[str, _Task] = {}
        self._owners: dict[str, str | None] = {}
        roots = sorted((span for span in spans.values() if names.TASK_ID in span.attributes), key=lambda span: span.start_ns)
        self._first_in: dict[str, str] = {}
        for span in roots:
            self._first_in.setdefault(span.trace_id, span.attributes[names.TASK_ID])
        exceptions = {record.span_id: record for record in logs if is_exception(record)}
        given_away = {record.span_id for record in logs if is_hand_over(record)}
        # Where failed tasks are kept whatever the sampler says, the span of one that was begun for another's is there, too.
        own = [span for span in spans.values() if span.is_own and line_type(span) == "task"]
        self._trunks = {span.attributes.get(names.TASK_ID, ""): span for span in own}
        """A span of each task's own, by its id."""
        find_views(spans)
        implicit: list[Span] = []
        for span in spans.values():
            # One that decided on the end after all has its figures.
            span.gave_away = span.span_id in given_away and names.TASK_AI_CALLS not in span.attributes
            if (task := implicit_task(span)) is not None and task.attributes[names.TASK_ID] not in self._trunks:
                implicit.append(task)
        self._trunks |= {task.attributes[names.TASK_ID]: task for task in implicit}
        for span in spans.values():
            self._add_span(span, exceptions.get(span.span_id))
        for task in implicit:
            self._add_implicit(task)
        for record in logs:
            self._add_log(record)

    def _add_span(self, span: Span, exception: LogRecord | None) -> None:
        owner = self._owner(span)
        if owner is None:
            return
        task, kind = self._task(owner, span), line_type(span)
        start, end = span_lines(span, owner, self._spans.get(span.parent_span_id), exception)
        depth = self._depth(span)
        task.add(span.start_ns, depth, start)
        task.add(span.end_ns, 2 * _DEEPEST - depth, end)
        if kind == "webhook":
            task.stages += stage_lines(span, owner)
        elif kind == "task":
            task.take(span)
            self._point(span, owner)

    def _add_implicit(self, span: Span) -> None:
        """The lines of a task around all else that is in its folder."""
        owner = span.attributes[names.TASK_ID]
        task = self._task(owner, span)
        start, end = span_lines(span, owner, None, None)
        task.add(span.start_ns, -1, start)
        task.add(span.end_ns, 2 * _DEEPEST + 1, end)
        task.take(span)

    def _point(self, span: Span, owner: str) -> None:
        above = self._spans.get(span.parent_span_id)
        inside = None if above is None else self._owner(above)
        if above is not None and inside is not None and inside != owner:
            self._task(owner, span).inside = inside
            task = self._task(inside, above)
            started, ended = subtask_lines(span, inside, self._own_around(above, inside))
            task.add(span.start_ns, self._depth(span), started)
            task.add(span.end_ns, 2 * _DEEPEST, ended)

    def _own_around(self, span: Span, owner: str) -> Span | None:
        """The operation of a task that a span of it is, or lies in."""
        own = next((each for each in (span, *around(span, self._spans)) if each.is_own), None)
        return own if own is not None and self._owner(own) == owner else self._trunks.get(owner)

    def _add_log(self, record: LogRecord) -> None:
        above = self._spans.get(record.span_id)
        owner = record.attributes.get(names.TASK_ID) or (None if above is None else self._owner(above))
        line = None if owner is None else log_line(record, owner)
        if owner is not None and line is not None:
            self._task(owner, record).add(record.time_ns, _DEEPEST, line)

    def _task(self, task_id: str, record: Span | LogRecord) -> _Task:
        task = self.tasks.setdefault(task_id, _Task(task_id))
        task.traces.add(record.trace_id)
        if task.first is None or _time(record) < _time(task.first):
            task.first, task.resource = record, record.resource
        return task

    def _owner(self, span: Span) -> str | None:
        """The task that a span belongs to: its own, that of what is around it, or the first one in its trace."""
        way: list[str] = []
        found: str | None = None
        each: Span | None = span
        while each is not None and each.span_id not in self._owners and each.span_id not in way:
            way.append(each.span_id)
            if names.TASK_ID in each.attributes:
                found = each.attributes[names.TASK_ID]
                break
            each = self._spans.get(each.parent_span_id)
        else:
            found = self._owners.get(each.span_id) if each is not None else self._first_in.get(span.trace_id)
            if each is None and not self._spans[way[-1]].is_own:
                found = None  # the work of others around ours
        for identity in way:
            self._owners[identity] = found
        return found

    def _depth(self, span: Span) -> int:
        depth, each = 0, self._spans.get(span.parent_span_id)
        while each is not None and depth < _DEEPEST - 1:
            depth, each = depth + 1, self._spans.get(each.parent_span_id)
        return depth


_DEEPEST = 1000


def _time(record: Span | LogRecord) -> int:
    return record.start_ns if isinstance(record, Span) else record.time_ns


def _write(root: Path, task: _Task) -> None:
    """Write the folder of a task anew; readers see each file as it was or as it is."""
    folder = root / folder_name(task.task_id)
    folder.mkdir(mode=0o700, exist_ok=True)
    task.lines.sort(key=lambda entry: entry[:2])
    assert task.first is not None
    lines = [process_line(task.first, task.resource, task.task_id), *(line for _, _, line in task.lines)]
    tally = Tally()
    for line in lines:
        tally.add(line)
    end = _last_end(lines)
    _replace(folder / AGENT_OUTPUT, map(encode_document, lines))
    if task.stages:
        _replace(folder / WEBHOOK_FLOW, map(encode_document, sorted(task.stages, key=lambda line: str(line["timestamp"]))))
    if end is not None:
        _replace(folder / FINAL_RESULT, [encode_document(final_result(end, None, tally, task.task_id))])
    else:
        (folder / FINAL_RESULT).unlink(missing_ok=True)
    _replace(folder / METADATA, [encode_document(_metadata(task, lines, end))])


def _last_end(lines: list[Line]) -> Line | None:
    """The line that ended a task: that of its span, or of recovery, which found that no job took it up."""
    ends = [line for line in lines if line["type"] == "task" and line.get("phase") == "end"]
    if ends:
        return ends[-1]
    moved = next(reversed(_moves(lines)), {})
    return {**moved, "outcome": moved["state_after"]} if moved.get("state_after") in ENDED else None


def _metadata(task: _Task, lines: list[Line], end: Line | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        **dict.fromkeys(METADATA_KEYS),
        "task_id": task.task_id,
        "tags": [],
    }
    found |= {key: lines[0].get(key) for key in ("correlation_id", "session_id", "instance_id")}
    assert task.first is not None
    found |= {"created_at": timestamp(_time(task.first)), "trace_id": task.first.trace_id, "status": _state(lines)}
    found |= {"started_at": found["created_at"], "updated_at": timestamp(task.lines[-1][0])}
    span = task.span
    if span is None:
        return found
    details = details_of(span, "task")
    found |= {key: details.get(key) for key in ("source", "provider", "agent_type", "model", "parent_task_id")}
    found |= {"assigned_agent": details.get("agent"), "tags": details.get("tags", [])}
    found["parent_task_id"] = found["parent_task_id"] or task.inside
    for key, attribute in (
        ("correlation_id", names.CORRELATION_ID),
        ("session_id", names.SESSION_ID),
        ("instance_id", names.INSTANCE_ID),
    ):
        found[key] = span.attributes.get(attribute)
    found |= {"created_at": timestamp(task.began_ns), "started_at": timestamp(task.began_ns)}
    found |= {"trace_id": span.trace_id, "traceparent": f"00-{span.trace_id}-{span.span_id}-01"}
    found["name"] = span.attributes.get(names.TASK_NAME, span.name)
    if end is not None:
        found |= {"completed_at": end["timestamp"], "status": end["outcome"]}
    return found


def _state(lines: list[Line]) -> str:
    """Where a task stands that has not ended."""
    moved = _moves(lines)
    return str(moved[-1].get("state_after") or State.RUNNING.value) if moved else State.RUNNING.value


def _moves(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line["type"] == "state" and str(line.get("action")).startswith("task_")]


def _replace(path: Path, chunks: Iterable[bytes]) -> None:
    # A name of its own: several threads of `agentlog mcp` may bring the same task.
    temp = path.with_name(temp_name(path.name, f"{random_bits(64):016x}"))
    try:
        with open(system.open(temp, system.UPDATE | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.writelines(chunks)
        temp.replace(path)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
