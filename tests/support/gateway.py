"""Hides the collectors of docs/stack/gateway/, writing into a ClickHouse of the test."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from urllib.request import urlopen

from tests.support.clickhouse import DATABASE, ClickHouseServer
from tests.support.clickhouse_server import PASSWORD, USER
from tests.support.collector import ROOT
from tests.support.ports import LOOPBACK, free_ports
from tests.support.process import ServerProcess
from tests.support.waiting import wait_until

FILES = ROOT / "docs" / "stack" / "gateway"
MANIFESTS = ROOT / "tests" / "stack"
WANTED = os.environ.get("CI_STACK") == "true"
"""Whether every peer of this set must be there, as in ``.ci/stack``; elsewhere those that are there are used."""
_PORTS = ("GRPC", "HTTP", "HEALTH", "PROMETHEUS", "TELEMETRY")


@functools.cache
def find_built(name: str) -> Path | None:
    """The collector of ``tests/stack/<name>-builder.yaml``; ``None`` if there is none. ``.ci/stack`` builds both."""
    bash = shutil.which("bash")
    if bash is None:
        return None
    command = [bash, str(ROOT / ".ci" / "collector"), "--cached", str(MANIFESTS / f"{name}-builder.yaml")]
    found = subprocess.run(command, capture_output=True, check=False)
    return Path(found.stdout.decode().strip()) if found.returncode == 0 else None


class _Running:
    """A collector with one of the files, on free ports."""

    def __init__(self, binary: Path, folder: Path, config: str, env: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
        own = {f"AGENTLOG_COLLECTOR_{name}_PORT": str(port) for name, port in self.ports.items()}
        env = {**own, "AGENTLOG_COLLECTOR_DIRECTORY": str(folder / "data"), **env}
        self.process = ServerProcess([binary, f"--config={FILES / config}"], folder / "collector.log", env)

    def start(self) -> None:
        """Start and wait until it is healthy."""
        self.process.start(self._is_healthy)

    def _is_healthy(self) -> bool:
        try:
            with urlopen(f"http://{LOOPBACK}:{self.ports['HEALTH']}/", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class Gateway:
    """A collector as it runs beside agents, which sends to a running gateway, which writes into ClickHouse; a context manager.

    The exporter makes database and tables when it starts.
    """

    def __init__(self, beside_agents: Path, binary: Path, folder: Path, server: ClickHouseServer) -> None:
        self._server = server
        into = {
            "AGENTLOG_GATEWAY_WAIT": "200ms",
            "AGENTLOG_CLICKHOUSE": f"http://{LOOPBACK}:{server.port}",
            "AGENTLOG_CLICKHOUSE_USER": USER,
            "AGENTLOG_CLICKHOUSE_PASSWORD": PASSWORD,
            "AGENTLOG_CLICKHOUSE_DATABASE": DATABASE,
            "AGENTLOG_CLICKHOUSE_COMPRESS": "none",
        }
        self._gateway = _Running(binary, folder / "gateway", "gateway.yaml", into)
        there = {"AGENTLOG_GATEWAY": LOOPBACK, "AGENTLOG_GATEWAY_PORT": str(self._gateway.ports["GRPC"])}
        self._agent = _Running(beside_agents, folder / "agent", "agent.yaml", there)

    def __enter__(self) -> Gateway:
        self._gateway.start()
        self._agent.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._agent.process.stop()
        self._gateway.process.stop()

    @property
    def http_endpoint(self) -> str:
        """Base URL for OTLP over http of the collector beside agents."""
        return f"http://{LOOPBACK}:{self._agent.ports['HTTP']}"

    def wait_for_rows(self, expected: int) -> None:
        """Wait until so many spans and log records are in ClickHouse."""
        counted = f"SELECT (SELECT count() FROM {DATABASE}.otel_traces) + (SELECT count() FROM {DATABASE}.otel_logs)"
        wait_until(lambda: int(self._server.run(counted)) >= expected, f"{expected} rows in ClickHouse", timeout_s=30.0)
