"""The folder and the collector hold the same things: every id, every field, live and rebuilt."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

from otel_agentlog.store.folder.layout import parse_timestamp
from otel_agentlog.store.folder.reader import list_tasks
from otel_agentlog.store.spans.rebuild import records
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from otel_agentlog.vocabulary.records import LogRecordLine, SpanRecord
from tests.support.collector import Collector
from tests.support.conformance.spans import Checker
from tests.support.forking import STRICT
from tests.support.sdk_records import readable_log, readable_span

WORKLOAD = Path(__file__).parent / "workload.py"
Item = dict[str, Any]


def _run(root: Path, endpoint: str, protocol: str, program: str = "workload", **more: str) -> None:
    env = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        "AGENTLOG_SHUTDOWN_TIMEOUT": "30",
        **more,
    }
    if program == "demo":
        command = [sys.executable, "-m", "otel_agentlog", "demo", "--root", str(root)]
        subprocess.run(command, env=env, check=True, timeout=60, stdout=subprocess.DEVNULL)
        return
    done = STRICT.run([WORKLOAD, root], env=env, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def _endpoint(collector: Collector, protocol: str) -> str:
    return collector.grpc_endpoint if protocol == "grpc" else collector.http_endpoint


def _from_folders(root: Path) -> tuple[list[SpanRecord], list[LogRecordLine]]:
    found = [record for task in list_tasks(root) for record in records(task)]
    return [r for r in found if isinstance(r, SpanRecord)], [r for r in found if isinstance(r, LogRecordLine)]


def _sorted(items: list[Item], *keys: str) -> list[Item]:
    return sorted(items, key=lambda item: [str(item.get(key)) for key in keys] + [str(item["attributes"].get("log.record.uid"))])


@pytest.mark.collector
@pytest.mark.parametrize("program", ["workload", "demo"])
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_every_span_and_log_of_the_folder_is_in_the_collector_and_nothing_else(
    collector: Collector, tmp_path: Path, protocol: str, program: str
) -> None:
    """Through http and gRPC: ids of both homes are the same sets, and the receipt says that all was delivered."""
    root = tmp_path / "tasks"
    _run(root, _endpoint(collector, protocol), protocol, program)

    spans, logs = _from_folders(root)
    collector.wait_for(lambda c: len(c.spans()) >= len(spans) and len(c.log_records()) >= len(logs))
    assert {(s.trace_id, s.span_id) for s in spans} == {(s["trace_id"], s["span_id"]) for s in collector.spans()}
    assert len(spans) == len(collector.spans())
    assert len(logs) == len(collector.log_records())
    ids = {s.span_id for s in spans}
    assert all(s.parent_span_id in ids for s in spans if s.parent_span_id)
    collector.wait_for(
        lambda c: {"agentlog.task.duration", "agentlog.tasks", "agentlog.cost"} <= {m["name"] for m in c.metrics()}
    )
    for task in list_tasks(root):
        delivery = (task.metadata() or {})["delivery"]
        assert delivery["recorded"] == delivery["delivered"] > 0
        assert delivery["pending"] == delivery["dropped"] == 0


@pytest.mark.collector
@pytest.mark.parametrize(
    "content",
    [
        {"AGENTLOG_CONTENT": "off"},
        {"AGENTLOG_CONTENT": "preview", "AGENTLOG_SEMCONV_PROFILE": "legacy"},
        {"AGENTLOG_CONTENT": "full"},
        {"AGENTLOG_CONTENT": "preview", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "EVENT_ONLY"},
        {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_AND_EVENT", "AGENTLOG_SEMCONV_PROFILE": "both"},
    ],
)
def test_what_is_rebuilt_from_the_folder_equals_what_was_sent(
    collector: Collector, otlp_receiver: OtlpReceiver, tmp_path: Path, content: dict[str, str]
) -> None:
    """Spans and log records made from the folder alone, sent again, equal those the collector got, field by field."""
    root = tmp_path / "tasks"
    _run(root, collector.http_endpoint, "http/protobuf", **content)
    spans, logs = _from_folders(root)
    collector.wait_for(lambda c: len(c.spans()) >= len(spans) and len(c.log_records()) >= len(logs))

    OTLPSpanExporter(f"{otlp_receiver.http_endpoint}/v1/traces").export([readable_span(span) for span in spans])
    records_ = [readable_log(log, parse_timestamp(log.line["timestamp"])) for log in logs]
    OTLPLogExporter(f"{otlp_receiver.http_endpoint}/v1/logs").export(records_)

    assert _sorted(otlp_receiver.spans(), "span_id") == _sorted(collector.spans(), "span_id")
    by = ("time_ns", "span_id", "event_name")
    assert _sorted(otlp_receiver.log_records(), *by) == _sorted(collector.log_records(), *by)


@pytest.mark.collector
def test_what_the_collector_gets_follows_the_conventions(collector: Collector, tmp_path: Path) -> None:
    """The conformance checker finds no violation in spans, log events and metrics of the workload."""
    _run(tmp_path / "tasks", collector.http_endpoint, "http/protobuf", AGENTLOG_CONTENT="full")
    collector.wait_for(lambda c: c.spans() and c.log_records() and c.metrics())

    found = Checker().check(collector.spans(), collector.metrics(), collector.log_records())
    assert [str(violation) for violation in found] == []
