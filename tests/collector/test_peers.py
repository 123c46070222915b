"""Whatever the official SDK sends arrives unchanged, at the in-test receiver and through two real collectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import pytest

from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from otel_agentlog.testing.otlp.values import Item
from tests.support.collector import Collector
from tests.support.rotel import Rotel
from tests.support.sdk_telemetry import ATTRIBUTES, RESOURCE, providers, record_everything
from tests.support.waiting import wait_until

NANOSECONDS = 1_700_000_000_123_456_789


class Peer(Protocol):
    """What all peers offer: where they listen, and what arrived."""

    @property
    def http_endpoint(self) -> str: ...
    @property
    def grpc_endpoint(self) -> str: ...


class Ends(Protocol):
    """Where telemetry ends."""

    def spans(self) -> list[Item]: ...
    def log_records(self) -> list[Item]: ...
    def metrics(self) -> list[Item]: ...


def _send(protocol: str, peer: Peer) -> None:
    with providers(protocol, peer.grpc_endpoint if protocol == "grpc" else peer.http_endpoint) as made:
        record_everything(made)


def _assert_all_arrived(end: Ends) -> None:
    wait_until(lambda: len(end.spans()) == 2 and end.log_records() and len(end.metrics()) == 2, "two spans, a log, two metrics")
    spans = {span["name"]: span for span in end.spans()}
    _assert_spans(spans["parent"], spans["child"])
    _assert_log_record(end.log_records(), spans["child"])
    _assert_metrics({metric["name"]: metric for metric in end.metrics()})


def _assert_spans(parent: Item, child: Item) -> None:
    assert (parent["kind"], child["kind"]) == ("SERVER", "CLIENT")
    assert parent["parent_span_id"] is None
    assert child["parent_span_id"] == parent["span_id"]
    assert child["trace_id"] == parent["trace_id"]
    assert (len(child["trace_id"]), len(child["span_id"])) == (32, 16)
    assert child["attributes"] == ATTRIBUTES
    assert [type(child["attributes"][key]) for key in ("int", "whole_double", "bool")] == [int, float, bool]
    assert child["status"] == {"code": "ERROR", "message": "broken"}
    assert parent["start_time_ns"] < child["start_time_ns"] <= child["end_time_ns"] <= parent["end_time_ns"]
    assert [(event["name"], event["time_ns"], event["attributes"]) for event in child["events"]] == [
        ("something", NANOSECONDS, {"n": 1})
    ]
    assert [(link["trace_id"], link["span_id"], link["attributes"]) for link in child["links"]] == [
        (parent["trace_id"], parent["span_id"], {"why": "test"})
    ]
    assert {key: child["resource"][key] for key in RESOURCE} == RESOURCE
    assert child["scope"] == {
        "name": "peer.scope",
        "version": "1.2.3",
        "attributes": {},
        "schema_url": "https://example.test/schema",
    }


def _assert_log_record(records: list[Item], child: Item) -> None:
    [record] = records
    assert (record["trace_id"], record["span_id"]) == (child["trace_id"], child["span_id"])
    assert record["time_ns"] == NANOSECONDS
    assert (record["severity_number"], record["severity_text"], record["event_name"]) == (13, "WARNING", "peer.event")
    assert record["body"] == {"nested": {"list": [1, 2.5, "x", None, True]}, "raw": b"\x00\xff"}
    assert record["attributes"] == {**ATTRIBUTES, "deep": {"a": {"b": 1}}}


def _assert_metrics(metrics: dict[str, Item]) -> None:
    count, duration = metrics["peer.count"], metrics["peer.duration"]
    assert (count["instrument"], count["unit"], count["temporality"]) == ("counter", "{item}", "CUMULATIVE")
    assert [(point["value"], point["attributes"]) for point in count["points"]] == [(3, {"kind": "a"})]
    assert (duration["instrument"], duration["unit"]) == ("histogram", "s")
    [point] = duration["points"]
    assert (point["count"], point["sum"], point["boundaries"]) == (1, 0.5, [0.1, 1.0, 10.0])
    assert point["bucket_counts"] == [0, 1, 0, 0]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_sdk_to_receiver(protocol: str, otlp_receiver: OtlpReceiver) -> None:
    """The in-test receiver keeps all that the official exporters send, field by field."""
    _send(protocol, otlp_receiver)

    _assert_all_arrived(otlp_receiver)
    assert {request.protocol for request in otlp_receiver.requests()} == {"grpc" if protocol == "grpc" else "http/protobuf"}


@pytest.mark.collector
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_sdk_to_collector(protocol: str, collector: Collector) -> None:
    """The real collector writes all that the official exporters send into its files, field by field."""
    _send(protocol, collector)

    _assert_all_arrived(collector)


@pytest.mark.parametrize("onward", ["http", "grpc"])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_sdk_to_rotel_to_receiver(
    protocol: str, onward: str, rotel_binary: Path, otlp_receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """A second real collector passes everything on to the in-test receiver, unchanged."""
    forward_to = otlp_receiver.grpc_endpoint if onward == "grpc" else otlp_receiver.http_endpoint
    with Rotel(rotel_binary, tmp_path, forward_to=forward_to, protocol=onward) as rotel:
        _send(protocol, rotel)

        _assert_all_arrived(otlp_receiver)


@pytest.mark.collector
def test_collector_and_receiver_see_the_same(otelcol_binary: Path, otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """What the collector wrote to its files equals, as plain dicts, what it sent on to the in-test receiver."""
    env: dict[str, str] = {
        "AGENTLOG_COLLECTOR_TRACES_EXPORTERS": "[file/traces, otlp_http/forward]",
        "AGENTLOG_COLLECTOR_LOGS_EXPORTERS": "[file/logs, otlp_http/forward]",
        "AGENTLOG_COLLECTOR_METRICS_EXPORTERS": "[file/metrics, otlp_http/forward]",
        "AGENTLOG_COLLECTOR_FORWARD_ENDPOINT": otlp_receiver.http_endpoint,
    }
    with Collector(otelcol_binary, tmp_path, env=env) as collector:
        _send("http", collector)
        _assert_all_arrived(collector)
        _assert_all_arrived(otlp_receiver)

        assert _sorted(collector.spans()) == _sorted(otlp_receiver.spans())
        assert collector.log_records() == otlp_receiver.log_records()
        assert _sorted(collector.metrics()) == _sorted(otlp_receiver.metrics())


def _sorted(items: list[Item]) -> list[Any]:
    return sorted(items, key=lambda item: str(item["name"]))
