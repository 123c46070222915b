"""Fixtures for real peers on the wire: ``otelcol_binary``, ``collector``, ``agent_binary``, ``gateway_binary``, ``clickhouse``,
``rotel_binary``, ``prometheus_binary``, ``otlp_receiver``.

A pytest plugin: ``pytest_plugins = ["tests.support.peers"]`` in the top conftest makes them known everywhere. Where a peer cannot
be had its tests are skipped and say why; where ``CI=true`` they fail instead, because there every peer must be had. Those of the
set for many machines take ten minutes and a gigabyte more to get: without them their tests are skipped but in ``.ci/stack``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from tests.support.clickhouse import find_clickhouse
from tests.support.collector import Collector, find_collector, is_collector_cached
from tests.support.gateway import WANTED as STACK_WANTED
from tests.support.gateway import find_built
from tests.support.prometheus import find_prometheus
from tests.support.rotel import find_rotel


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the collector before the first test that needs it, where no test's time limit runs."""
    names = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if session.config.option.collectonly:
        return
    if "otelcol_binary" not in names or is_collector_cached():
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line("building the OpenTelemetry Collector by .ci/collector: minutes, once")
    find_collector()


@pytest.fixture(scope="session")
def otelcol_binary() -> Path:
    """The OpenTelemetry Collector."""
    return find_collector() or lack("no OpenTelemetry Collector: OTELCOL_BIN, PATH, a build with Go and docker all failed")


@pytest.fixture(scope="session")
def agent_binary() -> Path:
    """The collector beside agents of docs/stack/gateway/."""
    return find_built("agent") or lack("no collector for beside agents: .ci/stack builds it", wanted=STACK_WANTED)


@pytest.fixture(scope="session")
def gateway_binary() -> Path:
    """The collector of docs/stack/gateway/; start both with ``Gateway(agent_binary, gateway_binary, tmp_path, server)``."""
    return find_built("gateway") or lack("no collector for the gateway: .ci/stack builds it", wanted=STACK_WANTED)


@pytest.fixture(scope="session")
def clickhouse() -> None:
    """ClickHouse can be started: ``ClickHouseServer(tmp_path)``."""
    if not find_clickhouse():
        lack("no ClickHouse: .ci/stack installs it", wanted=STACK_WANTED)


@pytest.fixture
def collector(otelcol_binary: Path, tmp_path: Path) -> Iterator[Collector]:
    """A running collector that keeps what it receives in files of the test."""
    with Collector(otelcol_binary, tmp_path / "collector") as running:
        yield running


@pytest.fixture(scope="session")
def rotel_binary() -> Path:
    """The rotel agent; start it with ``Rotel(rotel_binary, tmp_path, forward_to=…)``."""
    return find_rotel() or lack("no rotel: pip install --pre rotel")


@pytest.fixture(scope="session")
def prometheus_binary() -> Path:
    """The Prometheus server; start it with ``Prometheus(prometheus_binary, tmp_path, …)``."""
    return find_prometheus() or lack("no prometheus on PATH: apt-get install --no-install-recommends prometheus")


@pytest.fixture
def otlp_receiver(agentlog_receiver: OtlpReceiver) -> OtlpReceiver:
    """A running OTLP receiver inside the test, http and gRPC: the one that users get."""
    return agentlog_receiver


def lack(reason: str, *, wanted: bool = os.environ.get("CI") == "true") -> NoReturn:
    """Say that a test cannot run here: a failure where every peer is wanted, elsewhere a skip."""
    if wanted:
        pytest.fail(f"every peer must be had here; {reason}")
    pytest.skip(reason)
