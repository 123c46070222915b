"""The SDK's metrics go through the real collector into a real Prometheus, and every panel of the dashboard shows them."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from opentelemetry import trace

from otel_agentlog.export.metrics import METRICS, Metrics
from tests.stack.dashboard import GRAFANA, expressions, span_links
from tests.support.collector import ROOT, Collector
from tests.support.ports import LOOPBACK, free_ports
from tests.support.prometheus import Prometheus, prometheus_names
from tests.support.sdk_telemetry import providers
from tests.support.waiting import wait_until

pytestmark = pytest.mark.collector

_EXCEPTION = {"type": "OSError", "message": "no such file", "traceback": ["OSError: no such file"]}
_AI = {
    "provider": "anthropic",
    "model": "claude-opus-4-5",
    "operation": "chat",
    "input_tokens": 1200,
    "output_tokens": 850,
    "cache_read_input_tokens": 100,
    "cache_write_input_tokens": 50,
    "reasoning_output_tokens": 300,
    "cost_usd": 0.25,
    "time_to_first_chunk_ms": 300.0,
    "agent": "brain",
}

LINES: list[dict[str, Any]] = [
    {"type": "task", "phase": "start", "task_id": "a", "details": {"agent": "brain"}},
    {"type": "task", "phase": "start", "task_id": "b", "details": {"name": "nightly"}},
    {"type": "task", "phase": "start", "task_id": "c", "details": {"agent": "brain"}},
    {"type": "task", "phase": "start", "task_id": "d", "details": {"agent": "brain"}},
    {"type": "ai_response", "phase": "end", "outcome": "completed", "duration_ms": 1850.0, "details": _AI},
    {"type": "attempt", "action": "attempt_failed", "details": {"number": 1, "maximum": 3, "error_type": "OSError"}},
    {"type": "tool_result", "phase": "end", "outcome": "completed", "content": "Read", "duration_ms": 12.4, "details": {}},
    {
        "type": "tool_result",
        "phase": "end",
        "outcome": "failed",
        "content": "Read",
        "duration_ms": 12.4,
        "exception": _EXCEPTION,
    },
    {"type": "task", "phase": "end", "task_id": "a", "outcome": "completed", "duration_ms": 3e3, "details": {"agent": "brain"}},
    {"type": "task", "phase": "end", "task_id": "b", "outcome": "failed", "duration_ms": 9e3, "details": {"name": "nightly"}},
    {"type": "task", "phase": "end", "task_id": "d", "outcome": "cancelled", "duration_ms": 1e3, "details": {"agent": "brain"}},
]
"""Three tasks that ended, one still at work, one AI call, two tool runs: enough for every panel."""


def _run_a_process(endpoint: str, service: str, instance: str = "one") -> str:
    """Send the metrics of a short-lived process: one export, then gone. Returns the trace id of its span."""
    with providers("http", endpoint, resource={"service.name": service, "service.instance.id": instance}) as made:
        metrics = Metrics(made.meter.get_meter("otel_agentlog"))
        with made.tracer.get_tracer("otel_agentlog").start_as_current_span("invoke_agent brain") as span:
            own = span.get_span_context()
            ids = {"trace_id": trace.format_trace_id(own.trace_id), "span_id": trace.format_span_id(own.span_id)}
            for line in LINES:
                metrics.on_line({**line, **ids})
        for signal in ("span", "log"):
            metrics.on_delivery(signal, "recorded", 5)
            metrics.on_delivery(signal, "delivered", 4)
            metrics.on_delivery(signal, "dropped", 1, "rejected")
        return f"{span.get_span_context().trace_id:032x}"


class Stack(NamedTuple):
    """The metrics half of docker-compose.yml, running."""

    collector: Collector
    prometheus: Prometheus


@pytest.fixture(scope="module")
def stack(otelcol_binary: Path, prometheus_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One collector and one Prometheus for all tests, which tell themselves apart by their service's name."""
    folder = tmp_path_factory.mktemp("stack")
    # A queue in front of a backend that is not there, as panels show it.
    (nobody,) = free_ports(1)
    env = {
        "AGENTLOG_COLLECTOR_TRACES_EXPORTERS": "[file/traces, otlp_http/forward]",
        "AGENTLOG_COLLECTOR_FORWARD_ENDPOINT": f"http://{LOOPBACK}:{nobody}",
    }
    with Collector(otelcol_binary, folder / "collector", env=env) as collector:
        targets = {
            "collector:8889": f"{LOOPBACK}:{collector.prometheus_port}",
            "collector:8888": f"{LOOPBACK}:{collector.telemetry_port}",
        }
        config = ROOT / "docs" / "stack" / "prometheus.yml"
        with Prometheus(prometheus_binary, folder / "prometheus", config=config, targets=targets) as prometheus:
            yield Stack(collector, prometheus)


def test_every_metric_is_named_as_the_dashboard_expects(collector: Collector) -> None:
    """What the collector's prometheus exporter shows bears exactly the names that our translation predicts."""
    _run_a_process(collector.http_endpoint, "names")
    collector.wait_for(lambda c: c.metrics() and "agentlog_tasks_total" in c.scrape(), "the metrics")
    scraped = {line.partition("{")[0] for line in collector.scrape().splitlines() if not line.startswith("#")}

    sent = {metric["name"] for metric in collector.metrics()}
    expected = [prometheus_names(m.name, m.kind, m.unit) for m in METRICS if "latest" in m.profiles and m.name in sent]
    assert {name for name in scraped if name.startswith(("agentlog", "gen_ai"))} == set().union(*expected)


def test_every_panel_shows_data(stack: Stack) -> None:
    """Prometheus understands every expression of the dashboards and answers it with numbers."""
    _run_a_process(stack.collector.http_endpoint, "panels")

    panels = {expression.panel: expression.promql for expression in expressions("panels")}

    def empty_panels() -> list[str]:
        return [panel for panel, promql in panels.items() if not stack.prometheus.query(promql)]

    # One scrape may fall into the middle of an export; the next has all of it.
    with suppress(AssertionError):
        wait_until(lambda: not empty_panels(), "data in all panels")

    assert empty_panels() == []
    values = [float(series["value"][1]) for promql in panels.values() for series in stack.prometheus.query(promql)]
    assert all(math.isfinite(value) and value >= 0 for value in values)


def test_short_lived_processes_are_counted_in_full(stack: Stack) -> None:
    """A process that exports once and ends, too short for ``increase()``, counts with all it did; two count twice."""
    overview = [GRAFANA / "dashboards" / "agents.json"]
    panels = {expression.panel: expression.promql for expression in expressions("short", overview)}
    for instance in ("one", "two"):
        _run_a_process(stack.collector.http_endpoint, "short", instance)
    expected = {"Completed": 2, "Started": 8, "Failed": 2, "At work now": 2, "Cost": 0.5, "Tokens in and out": 2 * 2050}

    def totals() -> dict[str, float | None]:
        return {title: stack.prometheus.value(panels[f"{title} A"]) for title in expected}

    # One scrape may fall into the middle of an export; the next has all of it.
    with suppress(AssertionError):
        wait_until(lambda: totals() == expected, "both processes in Prometheus")

    assert totals() == expected


def test_demo_runs_of_a_moment_fill_the_dashboards(stack: Stack, tmp_path: Path) -> None:
    """A real program that has ended before the first scrape is on every panel."""
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": stack.collector.http_endpoint, "TASK_LOGS_DIR": str(tmp_path)}
    for _ in range(2):
        subprocess.run([sys.executable, "-m", "otel_agentlog", "demo"], env=env, check=True, capture_output=True, timeout=60)
    panels = {expression.panel: expression.promql for expression in expressions("demo-reviewer")}

    # It has no workflows, only agents.
    panels.pop("Agent and workflow duration p95 B", None)

    def empty_panels() -> list[str]:
        return [panel for panel, promql in panels.items() if not stack.prometheus.query(promql)]

    with suppress(AssertionError):
        wait_until(lambda: not empty_panels(), "data in all panels")

    assert empty_panels() == []


def test_links_from_a_span_show_what_short_processes_did(stack: Stack) -> None:
    """The first process of a service counts, too: its series appear once, which no ``rate`` sees."""
    _run_a_process(stack.collector.http_endpoint, "linked")
    links = {expression.panel: expression.promql for expression in span_links("linked")}
    assert len(links) == 2

    def shown() -> list[float]:
        return [float(series["value"][1]) for promql in links.values() for series in stack.prometheus.query(promql)]

    # The connector tells the calls of a new series as 0 first, and counts from the next export on.
    with suppress(AssertionError):
        wait_until(lambda: len(found := shown()) == 2 and found[0] > 0, "both links to show data")

    calls, p95_s = shown()
    assert calls == 1
    assert 0 < p95_s < math.inf


def test_exemplars_lead_from_a_metric_to_its_trace(stack: Stack) -> None:
    """Prometheus keeps the trace id with a task's duration, which is what Grafana's link to Jaeger needs."""
    started_s = time.time() - 60
    trace_id = _run_a_process(stack.collector.http_endpoint, "exemplars")

    def exemplars() -> list[dict[str, Any]]:
        query = 'agentlog_task_duration_seconds_bucket{job="exemplars"}'
        return stack.prometheus.exemplars(query, started_s, time.time() + 60)

    labels = wait_until(exemplars, "exemplars in Prometheus")

    assert {label["trace_id"] for label in labels} == {trace_id}
