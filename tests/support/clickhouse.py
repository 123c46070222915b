"""Hides a ClickHouse for tests: chDB behind the HTTP interface, with the tables of the collector's exporter.

The statements that make the tables and insert are those of ``exporter/clickhouseexporter/internal/sqltemplates`` of
opentelemetry-collector-contrib v0.161.0 (``traces_table.sql``, ``logs_table.sql``, ``*_insert.sql``), column for column, for
where the exporter itself cannot be had; values become texts as its ``AttributesToMap`` makes them.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from otel_agentlog.testing.otlp.values import Item
from tests.support.clickhouse_server import PASSWORD, USER
from tests.support.ports import LOOPBACK, accepts, free_ports
from tests.support.process import ServerProcess

DATABASE = "otel"
_ATTRIBUTES = "Map(LowCardinality(String), String) CODEC(ZSTD(1))"
_WORD, _TEXT = "LowCardinality(String) CODEC(ZSTD(1))", "String CODEC(ZSTD(1))"
TRACES_TABLE = f"""
CREATE TABLE IF NOT EXISTS "otel"."otel_traces" (
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)), TraceId {_TEXT}, SpanId {_TEXT}, ParentSpanId {_TEXT}, TraceState {_TEXT},
    SpanName {_WORD}, SpanKind {_WORD}, ServiceName {_WORD}, ResourceAttributes {_ATTRIBUTES}, ScopeName {_TEXT},
    ScopeVersion {_TEXT}, SpanAttributes {_ATTRIBUTES}, Duration UInt64 CODEC(ZSTD(1)), StatusCode {_WORD}, StatusMessage {_TEXT},
    Events Nested (
        Timestamp DateTime64(9), Name LowCardinality(String), Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    Links Nested (
        TraceId String, SpanId String, TraceState String, Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1
) ENGINE = MergeTree() PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
SETTINGS index_granularity=8192, ttl_only_drop_parts = 1
"""
LOGS_TABLE = f"""
CREATE TABLE IF NOT EXISTS "otel"."otel_logs" (
    Timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)), TraceId {_TEXT}, SpanId {_TEXT}, TraceFlags UInt8, SeverityText {_WORD},
    SeverityNumber UInt8, ServiceName {_WORD}, Body {_TEXT}, ResourceSchemaUrl {_WORD}, ResourceAttributes {_ATTRIBUTES},
    ScopeSchemaUrl {_WORD}, ScopeName {_TEXT}, ScopeVersion {_WORD}, ScopeAttributes {_ATTRIBUTES}, LogAttributes {_ATTRIBUTES},
    EventName {_TEXT},
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_log_attr_key mapKeys(LogAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_log_attr_value mapValues(LogAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_lower_body lower(Body) TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 8
) ENGINE = MergeTree() PARTITION BY toDate(Timestamp) ORDER BY (toStartOfFiveMinutes(Timestamp), ServiceName, Timestamp)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1
"""


def find_clickhouse() -> bool:
    """Whether chDB is installed."""
    return importlib.util.find_spec("chdb") is not None


class ClickHouseServer:
    """A running ClickHouse on a free loopback port; a context manager."""

    def __init__(self, folder: Path) -> None:
        (self.port,) = free_ports(1)
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "tests.support.clickhouse_server", str(self.port), str(folder / "data")]
        self._process = ServerProcess(command, folder / "clickhouse.log")

    def __enter__(self) -> ClickHouseServer:
        self._process.start(lambda: accepts(self.port))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._process.stop()

    @property
    def url(self) -> str:
        """For ``--from``."""
        return f"clickhouse://{USER}:{quote(PASSWORD, safe='')}@{LOOPBACK}:{self.port}/{DATABASE}"

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def run(self, statement: str, body: bytes = b"") -> bytes:
        """Run one statement, with what it inserts; returns the answer."""
        url = f"http://{LOOPBACK}:{self.port}/?{urlencode({'query': statement})}"
        headers = {"X-ClickHouse-User": USER, "X-ClickHouse-Key": PASSWORD}
        with urlopen(Request(url, body, headers, method="POST"), timeout=600) as answer:
            return bytes(answer.read())

    def make_tables(self) -> None:
        """Make the tables of the exporter."""
        for statement in (f'CREATE DATABASE IF NOT EXISTS "{DATABASE}"', TRACES_TABLE, LOGS_TABLE):
            self.run(statement)

    def insert(self, spans: Iterable[Item], logs: Iterable[Item]) -> None:
        """Insert what an OTLP receiver got, as the exporter does."""
        for table, rows in (("otel_traces", map(_span_row, spans)), ("otel_logs", map(_log_row, logs))):
            body = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
            self.run(f"INSERT INTO {DATABASE}.{table} FORMAT JSONEachRow", body)


def _as_string(value: Any) -> str:
    """As ``pcommon.Value.AsString``: texts as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _as_map(attributes: Mapping[str, Any]) -> dict[str, str]:
    return {key: _as_string(value) for key, value in attributes.items()}


def _moment(time_ns: int) -> str:
    return f"{time_ns // 10**9}.{time_ns % 10**9:09}"


def _span_row(span: Item) -> dict[str, Any]:
    return {
        "Timestamp": _moment(span["start_time_ns"]),
        "TraceId": span["trace_id"],
        "SpanId": span["span_id"],
        "ParentSpanId": span["parent_span_id"] or "",
        "TraceState": span["trace_state"],
        "SpanName": span["name"],
        "SpanKind": str(span["kind"]).capitalize(),
        "ServiceName": span["resource"].get("service.name", ""),
        "ResourceAttributes": _as_map(span["resource"]),
        "ScopeName": span["scope"]["name"],
        "ScopeVersion": span["scope"]["version"] or "",
        "SpanAttributes": _as_map(span["attributes"]),
        "Duration": span["end_time_ns"] - span["start_time_ns"],
        "StatusCode": str(span["status"]["code"]).capitalize(),
        "StatusMessage": span["status"]["message"] or "",
        "Events.Timestamp": [_moment(event["time_ns"]) for event in span["events"]],
        "Events.Name": [event["name"] for event in span["events"]],
        "Events.Attributes": [_as_map(event["attributes"]) for event in span["events"]],
        "Links.TraceId": [link["trace_id"] for link in span["links"]],
        "Links.SpanId": [link["span_id"] for link in span["links"]],
        "Links.TraceState": [link.get("trace_state", "") for link in span["links"]],
        "Links.Attributes": [_as_map(link["attributes"]) for link in span["links"]],
    }


def _log_row(record: Item) -> dict[str, Any]:
    return {
        "Timestamp": _moment(record["time_ns"] or record["observed_time_ns"]),
        "TraceId": record["trace_id"] or "",
        "SpanId": record["span_id"] or "",
        "TraceFlags": record["flags"] & 255,
        "SeverityText": record["severity_text"] or "",
        "SeverityNumber": record["severity_number"],
        "ServiceName": record["resource"].get("service.name", ""),
        "Body": "" if record["body"] is None else _as_string(record["body"]),
        "ResourceSchemaUrl": "",
        "ResourceAttributes": _as_map(record["resource"]),
        "ScopeSchemaUrl": record["scope"].get("schema_url") or "",
        "ScopeName": record["scope"]["name"],
        "ScopeVersion": record["scope"]["version"] or "",
        "ScopeAttributes": _as_map(record["scope"].get("attributes") or {}),
        "LogAttributes": _as_map(record["attributes"]),
        "EventName": record["event_name"] or "",
    }
