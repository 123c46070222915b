"""Hides the collector of docs/stack/gateway/, writing into a ClickHouse of the test."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from urllib.request import urlopen

from tests.support.clickhouse import DATABASE, ClickHouseServer
from tests.support.clickhouse_server import PASSWORD, USER
from tests.support.collector import ROOT
from tests.support.ports import LOOPBACK, free_ports
from tests.support.process import ServerProcess
from tests.support.waiting import wait_until

CONFIG = ROOT / "docs" / "stack" / "gateway" / "gateway.yaml"
MANIFEST = ROOT / "tests" / "stack" / "gateway-builder.yaml"


@functools.cache
def find_gateway() -> Path | None:
    """The binary, built now if need be (minutes, once); ``None`` if there is none to be had."""
    bash = shutil.which("bash")
    if bash is None:
        return None
    found = subprocess.run([bash, str(ROOT / ".ci" / "collector"), str(MANIFEST)], stdout=subprocess.PIPE, check=False)
    return Path(found.stdout.decode().strip()) if found.returncode == 0 else None


class Gateway:
    """A running gateway; a context manager. The exporter makes database and tables when it starts."""

    def __init__(self, binary: Path, folder: Path, server: ClickHouseServer) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._server = server
        self._ports = dict(zip(("GRPC", "HTTP", "HEALTH", "PROMETHEUS", "TELEMETRY"), free_ports(5), strict=True))
        env = {f"AGENTLOG_COLLECTOR_{name}_PORT": str(port) for name, port in self._ports.items()} | {
            "AGENTLOG_COLLECTOR_DIRECTORY": str(folder / "data"),
            "AGENTLOG_GATEWAY_WAIT": "200ms",
            "AGENTLOG_CLICKHOUSE": f"http://{LOOPBACK}:{server.port}",
            "AGENTLOG_CLICKHOUSE_USER": USER,
            "AGENTLOG_CLICKHOUSE_PASSWORD": PASSWORD,
            "AGENTLOG_CLICKHOUSE_DATABASE": DATABASE,
            "AGENTLOG_CLICKHOUSE_COMPRESS": "none",
        }
        self._process = ServerProcess([binary, f"--config={CONFIG}"], folder / "gateway.log", env)

    def __enter__(self) -> Gateway:
        self._process.start(self._is_healthy)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._process.stop()

    @property
    def http_endpoint(self) -> str:
        """Base URL for OTLP over http."""
        return f"http://{LOOPBACK}:{self._ports['HTTP']}"

    def wait_for_rows(self, expected: int) -> None:
        """Wait until so many spans and log records are in ClickHouse."""
        counted = f"SELECT (SELECT count() FROM {DATABASE}.otel_traces) + (SELECT count() FROM {DATABASE}.otel_logs)"
        wait_until(lambda: int(self._server.run(counted)) >= expected, f"{expected} rows in ClickHouse", timeout_s=30.0)

    def _is_healthy(self) -> bool:
        try:
            with urlopen(f"http://{LOOPBACK}:{self._ports['HEALTH']}/", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
