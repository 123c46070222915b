"""The collector configuration is valid, and keeps what it acknowledged, in production's environment and in the tests'."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_agentlog.testing.otlp.answers import Ok, Refuse
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from tests.support.collector import CONFIG, ROOT, Collector, validate
from tests.support.sdk_telemetry import providers, record_everything

pytestmark = pytest.mark.collector


def _compose_environment() -> dict[str, str]:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return {str(key): str(value) for key, value in compose["services"]["collector"]["environment"].items()}


@pytest.mark.parametrize(
    "env",
    [
        pytest.param({}, id="bare"),
        pytest.param(_compose_environment(), id="compose"),
        pytest.param(
            {
                "AGENTLOG_COLLECTOR_TRACES_EXPORTERS": "[file/traces, debug]",
                "AGENTLOG_COLLECTOR_LOGS_EXPORTERS": "[file/logs]",
                "AGENTLOG_COLLECTOR_METRICS_EXPORTERS": "[file/metrics, prometheus]",
                "AGENTLOG_COLLECTOR_SPAN_METRICS_EXPORTERS": "[file/span_metrics]",
                "AGENTLOG_COLLECTOR_QUEUE_STORAGE": "",
            },
            id="tests",
        ),
    ],
)
def test_otelcol_validates_the_configuration(env: dict[str, str], otelcol_binary: Path) -> None:
    """``otelcol validate`` has nothing to say about collector-config.yaml, not even a warning of deprecation."""
    checked = validate(otelcol_binary, CONFIG, env=env)

    assert (checked.returncode, "deprecat" in checked.stderr.lower(), checked.stdout) == (0, False, ""), checked.stderr


def test_every_variable_is_documented() -> None:
    """The list at the top of collector-config.yaml names each variable that the file uses, and no other."""
    comment, _, body = CONFIG.read_text().partition("\nextensions:")
    used = {part.split("}")[0].split(":-")[0] for part in body.split("${env:")[1:]}
    listed = {word for word in comment.split() if word.startswith("AGENTLOG_COLLECTOR_")}

    assert used == listed


def test_bare_configuration_listens_on_loopback_only(otelcol_binary: Path) -> None:
    """Whoever starts the file without any environment opens nothing to the network."""
    hosts = {line.split("${env:AGENTLOG_COLLECTOR_HOST:-")[1].split("}")[0] for line in _lines_with_host()}

    assert hosts == {"127.0.0.1"}


def _lines_with_host() -> list[str]:
    return [line for line in CONFIG.read_text().splitlines() if "${env:AGENTLOG_COLLECTOR_HOST" in line]


def test_acknowledged_items_survive_kill_9_of_the_collector(
    otelcol_binary: Path, otlp_receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """What the collector took while its backend was down is delivered after the collector was killed and started again."""
    otlp_receiver.answer = Refuse(503)
    env = {
        "AGENTLOG_COLLECTOR_TRACES_EXPORTERS": "[otlp_http/forward]",
        "AGENTLOG_COLLECTOR_FORWARD_ENDPOINT": otlp_receiver.http_endpoint,
    }
    with Collector(otelcol_binary, tmp_path, env=env) as collector:
        with providers("http", collector.http_endpoint) as made:
            record_everything(made)
        otlp_receiver.wait_for(lambda r: r.requests("traces"), "a first attempt")
        collector.kill()
        assert otlp_receiver.spans() == []

        otlp_receiver.answer = Ok()
        collector.restart()

        otlp_receiver.wait_for(lambda r: {span["name"] for span in r.spans()} == {"parent", "child"}, "both spans")


def test_a_killed_collector_goes_on_where_it_stopped(collector: Collector) -> None:
    """After kill -9 the collector listens on the same ports, and its files keep what came before."""
    endpoint = collector.grpc_endpoint
    with providers("grpc", endpoint) as made:
        record_everything(made)
        made.flush()
        collector.wait_for(lambda c: len(c.spans()) == 2, "the first two spans")

        collector.kill()
        collector.restart()

        assert collector.grpc_endpoint == endpoint
        record_everything(made)
        made.flush()
        collector.wait_for(lambda c: len(c.spans()) == 4, "two more spans")


def test_a_thousand_short_processes_do_not_fill_prometheus(collector: Collector) -> None:
    """Each process is a resource of its own: what is kept for the span metrics does not grow with their number."""
    names = [f"step {number}" for number in range(20)]
    for process in range(1_000):
        _send_spans(collector.http_endpoint, f"process-{process}", names)
    wanted = f'span_name="{names[-1]}"'
    counted = re.compile(r"traces_span_metrics_calls_total\{[^}]*" + re.escape(wanted) + r"[^}]*\} (\S+)")
    collector.wait_for(
        lambda c: (found := counted.search(c.scrape())) and float(found[1]) == 1_000, "all processes to be counted"
    )

    assert len(collector.scrape()) <= 1_000_000
    status = Path(f"/proc/{collector.pid}/status").read_text()
    assert int(re.search(r"VmRSS:\s+(\d+)", status)[1]) <= 150_000  # type: ignore[index]  # every status has it


def _send_spans(endpoint: str, instance: str, names: list[str]) -> None:
    """As a process does that lives for a moment."""
    request = ExportTraceServiceRequest()
    of_process = request.resource_spans.add()
    for key, value in (("service.name", "flood"), ("service.instance.id", instance)):
        of_process.resource.attributes.add(key=key).value.string_value = value
    spans, now, trace_id = of_process.scope_spans.add().spans, time.time_ns(), os.urandom(16)
    for name in names:
        spans.add(name=name, trace_id=trace_id, span_id=os.urandom(8), start_time_unix_nano=now, end_time_unix_nano=now + 10**6)
    headers = {"Content-Type": "application/x-protobuf"}
    urlopen(Request(f"{endpoint}/v1/traces", request.SerializeToString(), headers), timeout=30).close()


def test_span_metrics_are_in_seconds_with_exemplars(collector: Collector) -> None:
    """The collector counts and times every kind of span, and each duration leads to a trace."""
    with providers("http", collector.http_endpoint) as made:
        record_everything(made)
    collector.wait_for(lambda c: c.span_metrics() and c.spans() and c.metrics(), "span metrics, spans and our own metrics")

    # Exemplars are in the first export after their spans alone.
    durations = [metric for metric in collector.span_metrics() if metric["name"] == "traces.span.metrics.duration"]
    points = [point for duration in durations for point in duration["points"]]
    assert {duration["unit"] for duration in durations} == {"s"}
    assert {point["attributes"]["span.name"] for point in points} == {"parent", "child"}
    trace_ids = {exemplar["trace_id"] for point in points for exemplar in point["exemplars"]}
    assert trace_ids == {span["trace_id"] for span in collector.spans()}
    assert collector.metrics(), "our own metrics stand in their own file"
    assert not any(metric["name"].startswith("traces.span") for metric in collector.metrics())
