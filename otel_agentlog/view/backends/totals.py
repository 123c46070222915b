"""Figures of tasks by the totals on the spans that they ended with: one narrow row a task, and no folder.

That is what ``cost`` and ``stats`` need where nothing is asked about single calls, tools, errors or words. What the rows sum up
to, and what a filter means, is said by the index that the folders' rows are in, too.
"""

# Statements consist of constants of ours; foreign text is a parameter.
# ruff: noqa: S608

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from otel_agentlog.export.semconv import fields, names
from otel_agentlog.query import Filter
from otel_agentlog.query.index_rows import index_row_of
from otel_agentlog.store.folder.layout import folder_name
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.index.condition import All, Compared, Condition, Either, Is, Named, Not
from otel_agentlog.store.index.row import COST_UNITS_PER_USD, IndexRow, ScoreRow, amount, bounded_time
from otel_agentlog.view.backends.clickhouse import ClickHouse
from otel_agentlog.view.backends.folders import bring, log_of, root_of
from otel_agentlog.view.backends.lines import OWN_SCOPE, Span, log_line, span_lines
from otel_agentlog.view.backends.wanted import Wanted, wanted_of
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.scores import latest_scores
from otel_agentlog.vocabulary.states import ENDED

Row = tuple[str, IndexRow]
"""The name that the folder of a task would have, and what the index would keep of it."""

GROUPS = frozenset({None, "agent", "day", "status"})
"""What can be grouped by."""

_FIELDS = frozenset({"status", "agent", "type", "tag", "source", "name", "id", "session", "correlation"})
"""Names in a filter that the span of a task has; all amounts and moments are there."""
_FLAGS = frozenset({"active", "unpriced", "unsuccessful", "ended"})
_ELSEWHERE = ("text", "provider", "model", "error_category", "parent_task_id", "specialist", "user", "tool", "scores")
"""Fields of `Filter` about what the span does not have."""

_KEPT = (
    *(names.TASK_NAME, names.TASK_SOURCE, names.TASK_TAGS, names.OWN_AGENT_TYPE, names.AGENT_NAME, names.OPERATION),
    *(names.SESSION_ID, names.CORRELATION_ID, names.OUTCOME),
    *(attribute for _, attribute, _ in fields.TASK_END),
)
_RESUMED_WITHIN_NS = 86_400 * 10**9
"""How long before the time that is asked about the first span of a task is looked for, of which a later one is within it."""

_ENDED = f"mapContains(SpanAttributes, '{names.TASK_STEPS}')"
_TASKS = f"""
SELECT SpanAttributes['{names.TASK_ID}'] AS task, toUnixTimestamp64Nano(min(Timestamp)) AS began_ns,
    max({_ENDED}) AS has_ended, min({_ENDED}) AS only_ends,
    argMaxIf(toUnixTimestamp64Nano(Timestamp), {{at}}, {_ENDED}) AS start_ns, argMaxIf(Duration, {{at}}, {_ENDED}) AS duration_ns,
    argMaxIf(SpanName, {{at}}, {_ENDED}) AS name, argMaxIf(StatusCode, {{at}}, {_ENDED}) AS status,
    argMaxIf(mapFilter((key, value) -> has({{kept:Array(String)}}, key), SpanAttributes), {{at}}, {_ENDED}) AS attributes
FROM otel_traces
WHERE mapContains(SpanAttributes, '{names.TASK_NAME}') AND mapContains(SpanAttributes, '{names.TASK_ID}')
    AND NOT mapContains(SpanAttributes, '{names.WEBHOOK_PROVIDER}'){{when}}
GROUP BY task
""".replace("{at}", "Timestamp + toIntervalNanosecond(Duration)")

_OPEN = f"""
SELECT DISTINCT task FROM (
    SELECT SpanAttributes['{names.TASK_ID}'] AS task FROM otel_traces WHERE mapContains(SpanAttributes, '{names.TASK_ID}'){{when}}
    UNION ALL
    SELECT LogAttributes['{names.TASK_ID}'] AS task FROM otel_logs WHERE mapContains(LogAttributes, '{names.TASK_ID}'){{when}}
)
WHERE task NOT IN (
    SELECT SpanAttributes['{names.TASK_ID}'] FROM otel_traces WHERE mapContains(SpanAttributes, '{names.TASK_NAME}')
)
"""

_SCORES = f"""
SELECT DISTINCT TraceId AS trace_id, SpanId AS span_id, toUnixTimestamp64Nano(Timestamp) AS time_ns, SeverityText AS level,
    Body AS body, LogAttributes AS attributes, ResourceAttributes AS resource, EventName AS event_name
FROM otel_logs WHERE EventName = '{names.EVENT_EVALUATION}'
"""


def can_sum(wanted: Filter, group_by: str | None) -> bool:
    """Whether the totals of tasks answer the question."""
    narrow = not any(getattr(wanted, key) for key in _ELSEWHERE)
    return group_by in GROUPS and narrow and (wanted.condition is None or _is_narrow(wanted.condition))


def _is_narrow(condition: Condition) -> bool:
    if isinstance(condition, (All, Either)):
        return all(map(_is_narrow, condition.conditions))
    if isinstance(condition, Not):
        return _is_narrow(condition.condition)
    if isinstance(condition, Is):
        return condition.flag in _FLAGS
    return isinstance(condition, Compared) or (isinstance(condition, Named) and condition.field in _FIELDS)


def rows_of(source: ClickHouse, cache: Path, asked: Filter) -> list[Row]:
    """The tasks that a filter may mean, and others: by the totals on their spans, without these from folders, which are brought.

    Raises:
        AgentlogError: ClickHouse does not answer, or has no such tables.
        OSError: the folders cannot be written.
    """
    wanted, parameters = wanted_of(asked), dict[str, str | int | list[str]](kept=list(_KEPT))
    when = ""
    if wanted.since_ns is not None:
        when += " AND Timestamp >= fromUnixTimestamp64Nano({since:Int64})"
        parameters["since"] = max(0, wanted.since_ns - _RESUMED_WITHIN_NS)
    if wanted.until_ns is not None:
        when += " AND Timestamp < fromUnixTimestamp64Nano({until:Int64})"
        parameters["until"] = wanted.until_ns
    found = list(source.rows(_TASKS.replace("{when}", when), parameters))
    whole = [row for row in found if row["has_ended"]]
    scores = _scores(source) if whole else {}
    rows = [(folder_name(row["task"]), _row(row, scores.get(row["task"], []))) for row in whole]
    others = [row["task"] for row in found if not row["has_ended"]]
    if not asked.wanted or not asked.wanted <= ENDED:
        del parameters["kept"]
        others += [row["task"] for row in source.rows(_OPEN.replace("{when}", when), parameters)]
    return rows + list(_brought(source, cache, others))


def _brought(source: ClickHouse, cache: Path, tasks: list[str]) -> Iterator[Row]:
    """What has no totals: tasks that go on, were begun for another library's span, or sent by an earlier version."""
    root = root_of(source, cache)
    for done in range(0, len(tasks), _AT_ONCE):
        chunk = tasks[done : done + _AT_ONCE]
        bring(source, cache, Wanted(tasks=tuple(chunk)))
        for task in chunk:
            reader = TaskReader(root / folder_name(task))
            yield reader.folder.name, index_row_of(reader)


_AT_ONCE = 1000


def _scores(source: ClickHouse) -> dict[str, list[Line]]:
    """The scores of each task, as lines."""
    found: dict[str, list[Line]] = defaultdict(list)
    if not any(row.get("name") == "EventName" for row in source.rows("DESCRIBE TABLE otel_logs")):
        return found
    for record in map(log_of, source.rows(_SCORES)):
        task = record.attributes.get(names.TASK_ID)
        if task is not None and (line := log_line(record, task)) is not None:
            found[task].append(line)
    return found


def _row(found: Mapping[str, Any], scores: Iterable[Line]) -> IndexRow:
    """What the index would keep of a task, of what can be asked here."""
    task, start_ns, end_ns = found["task"], found["start_ns"], found["start_ns"] + found["duration_ns"]
    given: Mapping[str, str] = found["attributes"]
    span = Span("", "", "", found["name"], "Internal", start_ns, end_ns, given, {}, OWN_SCOPE, "", found["status"] == "Error", "")
    _, end = span_lines(span, task, None, None)
    details = end["details"]
    # One that was handed over took from its first start to this end.
    took_ns = end_ns - (start_ns if found["only_ends"] else found["began_ns"])
    counts: dict[str, Any] = {key: amount(details.get(key)) or 0 for key, _, _ in fields.TASK_END if key != "cost_usd"}
    # Without an AI call it costs nothing.
    cost = amount(details.get("cost_usd") if "input_tokens" in details else 0.0, COST_UNITS_PER_USD)
    latest = latest_scores(sorted(scores, key=lambda line: str(line["timestamp"])))
    return IndexRow(
        status=end["outcome"],
        task_id=None if folder_name(task) == task else task,
        name=given.get(names.TASK_NAME),
        created_ns=bounded_time(found["began_ns"]),
        started_ns=bounded_time(found["began_ns"]),
        duration_us=amount(round(took_ns / 1e6, 3) / 1000, 1_000_000),
        cost=cost,
        unpriced=cost is None,  # a span says nothing of calls without a price beside others
        **counts,
        agent=details.get("agent"),
        agent_type=details.get("agent_type"),
        source=details.get("source"),
        session_id=given.get(names.SESSION_ID),
        correlation_id=given.get(names.CORRELATION_ID),
        tags=tuple(details.get("tags", ())),
        scores=[ScoreRow(name=each.name, value=each.value, label=each.label) for each in latest],
    )
