"""Where the parts of traces wait until all of a trace is there: a database on disk.

In files spans stand in the order in which they ended, those of one trace far apart or in several files.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from otel_agentlog.tools.imports.readers.spans import Resource, TracedLog, TracedScore, TracedSpan, TraceFacts
from otel_agentlog.vocabulary.lines import RESOURCE_ID

MOST_RESOURCES_BYTES = 64 * 1024
"""Of the resources of one task that are recorded: they are in one line. What names a further one has that of the process that
records it."""


class Spool:
    """The parts of traces, on disk, until they are recorded. Memory does not grow with them."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
            "CREATE TABLE part (trace TEXT, kind TEXT, id TEXT, at INTEGER, data BLOB, PRIMARY KEY (trace, kind, id));"
            "CREATE TABLE changed (trace TEXT PRIMARY KEY) WITHOUT ROWID;"
            "BEGIN"
        )

    def close(self) -> None:
        """Close it; the file may be deleted then."""
        self._database.close()

    def add(self, part: TracedSpan | TracedLog | TracedScore | TraceFacts, resource: Resource | None = None) -> None:
        """Keep a part, and its resource once; one with the id of an earlier one replaces it."""
        trace, kind, id_, at = _place(part)
        if resource is not None and resource.id is not None:
            part = _naming(part, resource.id)
            query = "INSERT OR IGNORE INTO part VALUES (?, 'resource', ?, ?, ?)"
            self._database.execute(query, (trace, resource.id, at, resource.data))
        data = orjson.dumps(part, option=orjson.OPT_NON_STR_KEYS)
        id_ = id_ or hashlib.sha256(data).hexdigest()
        self._database.execute("INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?)", (trace, kind, id_, at, data))
        self._database.execute("INSERT OR IGNORE INTO changed VALUES (?)", (trace,))

    def changed(self) -> Iterator[str]:
        """Yield the traces with new parts, each once."""
        while (row := self._database.execute("SELECT trace FROM changed LIMIT 1").fetchone()) is not None:
            self._database.execute("DELETE FROM changed WHERE trace = ?", row)
            yield row[0]

    def facts(self, trace: str) -> TraceFacts:
        """What is known of a trace as a whole."""
        row = self._database.execute("SELECT data FROM part WHERE trace = ? AND kind = 'facts'", (trace,)).fetchone()
        return TraceFacts(**orjson.loads(row[0])) if row is not None else TraceFacts(trace)

    def resources(self, trace: str) -> dict[str, Any]:
        """The resources of its parts, by their ids; the first ones, up to `MOST_RESOURCES_BYTES`."""
        found, size = dict[str, Any](), 0
        query = "SELECT id, data FROM part WHERE trace = ? AND kind = 'resource' ORDER BY at, id"
        for id_, data in self._database.execute(query, (trace,)):
            size += len(data)
            if size > MOST_RESOURCES_BYTES:
                break
            found[id_] = orjson.loads(data)
        return found

    def begins_ns(self, trace: str) -> int:
        """When the first span of a trace begins."""
        found = self._database.execute("SELECT MIN(at) FROM part WHERE trace = ? AND kind = 'span'", (trace,)).fetchone()
        return int(found[0] or 0)

    def has_span(self, trace: str, span_id: str) -> bool:
        """Whether a span is there."""
        found = self._database.execute("SELECT 1 FROM part WHERE trace = ? AND kind = 'span' AND id = ?", (trace, span_id))
        return found.fetchone() is not None

    def parts(self, trace: str) -> Iterator[TracedSpan | TracedLog | TracedScore]:
        """Yield the parts of a trace by their times, of one time those around others first."""
        kinds = {"span": TracedSpan, "log": TracedLog, "score": TracedScore}
        query = """SELECT kind, data FROM part WHERE trace = ? AND kind IN ('span', 'log', 'score') AND data IS NOT NULL
            ORDER BY at, kind = 'score', kind = 'log', id"""
        for kind, data in self._database.execute(query, (trace,)):
            yield self._part(kinds[kind], orjson.loads(data))

    def _part(self, kind: Any, fields: dict[str, Any]) -> Any:
        return kind(**fields)


def _naming(part: TracedSpan | TracedLog | TracedScore | TraceFacts, resource_id: str) -> Any:
    """A part that names its resource; scores and facts have none."""
    if isinstance(part, TracedSpan):
        return replace(part, start={**part.start, RESOURCE_ID: resource_id})
    return replace(part, resource=resource_id) if isinstance(part, TracedLog) else part


def _place(part: TracedSpan | TracedLog | TracedScore | TraceFacts) -> tuple[str, str, str, int]:
    """Trace, kind, id and time of a part."""
    if isinstance(part, TracedSpan):
        return part.start["trace_id"], "span", part.start["span_id"], part.start["start_ns"]
    if isinstance(part, TraceFacts):
        return part.trace_id, "facts", "facts", part.at_ns
    return part.trace_id, "log" if isinstance(part, TracedLog) else "score", "", part.at_ns
