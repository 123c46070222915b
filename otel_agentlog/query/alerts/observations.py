"""The observations in a line, which a watch counts; the same for lines as they are recorded and as they are read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.vocabulary.coerce import mapping, number, text
from otel_agentlog.vocabulary.lines import time_of
from otel_agentlog.vocabulary.states import ERROR_LEVELS, EXECUTION
from otel_agentlog.vocabulary.usage import USAGE_FIELDS

_KINDS = {"task": "task", "tool_result": "tool_run", "ai_response": "ai_call", "step": "step"}
_SPENT = USAGE_FIELDS[:2]

DATABASES = frozenset(
    {"MySQLdb", "aiomysql", "aiosqlite", "asyncpg", "cassandra", "clickhouse_connect", "duckdb", "mysql", "oracledb", "peewee"}
    | {"psycopg", "psycopg2", "pymongo", "pymysql", "pyodbc", "redis", "sqlalchemy", "sqlite3", "tortoise"}
)
"""Packages whose errors are database errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Something that ended, or an error that was seen."""

    time_ns: int
    kind: str
    """``task``, ``tool_run``, ``ai_call``, ``step``, ``error``, ``database_error``, ``session_error`` or ``channel_timeout``."""
    task_id: str | None = None
    source: str | None = None
    """The specialist, tool or agent it was; of a ``channel_timeout`` the channel."""
    outcome: str | None = None
    duration_s: float | None = None
    memory_mb: float | None = None
    cost_usd: float | None = None
    tokens: int = 0


def says_something(line: Mapping[str, Any]) -> bool:
    """Whether `observations` would yield anything; cheap enough for every line that is recorded."""
    if "exception" in line or line.get("component") == "database":
        return True
    return line.get("phase") == "end" and text(line, "type") in _KINDS


def observations(line: Mapping[str, Any]) -> Iterator[Observation]:
    """Yield the observations in a line: something that ended, an error seen for the first time."""
    time_ns = time_of(line)
    if time_ns is None:
        return
    task_id = text(line, "task_id")
    exception = mapping(line, "exception")
    if line.get("level") in ERROR_LEVELS:
        yield from (Observation(time_ns=time_ns, kind=kind, source=source) for kind, source in _errors(line, exception))
    kind = _KINDS.get(text(line, "type") or "")
    if kind is None or line.get("phase") != "end":
        return
    details = mapping(line, "details")
    if kind == "task" and details.get("source") == EXECUTION:
        return
    measured = mapping(details, "metrics") or mapping(details, "resources")
    duration_ms = number(line, "duration_ms")
    yield Observation(
        time_ns=time_ns,
        kind=kind,
        task_id=task_id,
        source=_source(line, details),
        outcome=text(line, "outcome"),
        duration_s=None if duration_ms is None else duration_ms / 1000,
        memory_mb=number(measured, "memory_peak_mb"),
        cost_usd=number(details, "cost_usd"),
        tokens=int(sum(number(details, field) or 0 for field in _SPENT)) if kind == "ai_call" else 0,
    )


def _errors(line: Mapping[str, Any], exception: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Kind and source of each observation about the error in a line; of a known one, only that a user is shown it."""
    component = text(line, "component")
    first = bool(exception.get("traceback"))
    if first:
        yield "error", component
    package, _, name = (text(exception, "type") or "").rpartition(".")
    of_database = name == "DatabaseError" or package.partition(".")[0] in DATABASES
    if (first and of_database) or (component == "database" and (first or not exception)):
        yield "database_error", None
    details = mapping(line, "details")
    error_type = text(details, "error_type")
    if error_type == "session_error":
        yield "session_error", None
    channel = details.get("channel_id") or mapping(details, "context").get("channel_id")
    if error_type == "timeout" and isinstance(channel, (str, int)):
        yield "channel_timeout", f"channel {channel}"


def _source(line: Mapping[str, Any], details: Mapping[str, Any]) -> str | None:
    for found in (text(details, "specialist"), text(details, "agent") if line.get("type") == "task" else None):
        if found:
            return found
    return text(line, "content") or text(details, "model") or text(line, "message")
