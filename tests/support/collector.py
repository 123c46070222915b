"""Hides the real OpenTelemetry Collector: where its binary comes from, how it runs, what it received.

It runs with the ``collector-config.yaml`` that production runs with; only exporters, ports and its directory are swapped, by
environment, so that everything it received ends in OTLP JSON files of the test.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from urllib.request import Request, urlopen

from otel_agentlog.testing.otlp.decode import complete_lines, decode_json
from otel_agentlog.testing.otlp.values import Item
from tests.support.ports import LOOPBACK, free_ports
from tests.support.process import ServerProcess
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "collector-config.yaml"

_START_ATTEMPTS = 3
_PORTS = ("GRPC", "HTTP", "HEALTH", "PROMETHEUS", "TELEMETRY")


@functools.cache
def find_collector() -> Path | None:
    """The collector's binary, built now if need be (minutes, once); ``None`` if there is none to be had.

    Looks at ``OTELCOL_BIN``, then on ``PATH``, then in the cache, then builds: all of it is the script ``.ci/collector``.
    """
    bash = shutil.which("bash")
    if bash is None:
        return None
    found = subprocess.run([bash, str(ROOT / ".ci" / "collector")], stdout=subprocess.PIPE, check=False)
    return Path(found.stdout.decode().strip()) if found.returncode == 0 else None


def is_collector_cached() -> bool:
    """Whether `find_collector` answers at once, without building."""
    bash = shutil.which("bash")
    command = [str(bash), str(ROOT / ".ci" / "collector"), "--cached"]
    return bash is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0


def validate(binary: Path, *configs: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``otelcol validate`` on a configuration."""
    command = [str(binary), "validate", *(f"--config={config}" for config in configs)]
    return subprocess.run(command, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False)


class Collector:
    """A running collector; a context manager.

    ``env`` adds to the variables of ``collector-config.yaml`` (listed at its top); ``extra_config`` is YAML merged over it.
    What it received is read from its files: `spans`, `log_records`, `metrics`, `span_metrics`; shapes: ``otlp/decode.py``.
    Files of an earlier run in the same folder are kept, so a restarted collector goes on where the killed one stopped.
    """

    def __init__(self, binary: Path, folder: Path, *, env: Mapping[str, str] | None = None, extra_config: str = "") -> None:
        self.binary = binary
        self.folder = folder
        self._env = dict(env or {})
        self._extra_config = extra_config
        self._ports: dict[str, int] = {}
        self._process: ServerProcess | None = None

    def __enter__(self) -> Collector:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()

    @property
    def http_endpoint(self) -> str:
        """Base URL for OTLP over http; ``/v1/traces`` and so on are added by exporters."""
        return f"http://{LOOPBACK}:{self._ports['HTTP']}"

    @property
    def grpc_endpoint(self) -> str:
        """URL for OTLP over gRPC, without TLS."""
        return f"http://{LOOPBACK}:{self._ports['GRPC']}"

    @property
    def prometheus_port(self) -> int:
        """Where Prometheus scrapes what we sent as metrics."""
        return self._ports["PROMETHEUS"]

    @property
    def telemetry_port(self) -> int:
        """Where Prometheus scrapes the collector's own metrics."""
        return self._ports["TELEMETRY"]

    def start(self) -> None:
        """Start on the ports of the earlier start, or else on free ones, and wait until it is healthy."""
        for attempt in range(_START_ATTEMPTS):
            ports = self._ports or dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
            try:
                self._start_on(ports)
            except RuntimeError as error:
                if self._ports or "address already in use" not in str(error) or attempt + 1 == _START_ATTEMPTS:
                    raise
            else:
                self._ports = ports
                return

    def stop(self) -> None:
        """End it in peace: queues are kept, files are complete."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End it as ``kill -9`` would."""
        assert self._process is not None, "the collector was not started"
        self._process.kill()

    def restart(self) -> None:
        """Stop (if it runs) and start again, same ports, same folder."""
        self.stop()
        self.start()

    def spans(self) -> list[Item]:
        """All spans received so far."""
        return self._read("traces", "traces.jsonl")

    def log_records(self) -> list[Item]:
        """All log records received so far."""
        return self._read("logs", "logs.jsonl")

    def metrics(self) -> list[Item]:
        """All metrics received so far, every export of each."""
        return self._read("metrics", "metrics.jsonl")

    def span_metrics(self) -> list[Item]:
        """The metrics the collector made out of spans."""
        return self._read("metrics", "span_metrics.jsonl")

    def wait_for(self, check: Callable[[Collector], object], what: str = "telemetry", *, timeout_s: float = 15.0) -> None:
        """Wait until ``check`` of this collector is true."""
        wait_until(lambda: check(self), f"{what} in the collector", timeout_s=timeout_s)

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None, "the collector was not started"
        return self._process.pid

    def scrape(self) -> str:
        """What Prometheus would read: our metrics in the OpenMetrics text format, exemplars included."""
        url = f"http://{LOOPBACK}:{self.prometheus_port}/metrics"
        with urlopen(Request(url, headers={"Accept": "application/openmetrics-text; version=1.0.0"}), timeout=5) as answer:
            return str(answer.read().decode())

    def log(self) -> str:
        """The end of what the collector printed."""
        assert self._process is not None, "the collector was not started"
        return self._process.log_tail()

    def _start_on(self, ports: Mapping[str, int]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        configs = [CONFIG]
        if self._extra_config:
            configs.append(self.folder / "extra-config.yaml")
            configs[-1].write_text(self._extra_config)
        command = [str(self.binary), *(f"--config={config}" for config in configs)]
        self._process = ServerProcess(command, self.folder / "collector.log", self._environment(ports))
        self._process.start(lambda: _answers(f"http://{LOOPBACK}:{ports['HEALTH']}/"))

    def _environment(self, ports: Mapping[str, int]) -> dict[str, str]:
        settings = {
            "DIRECTORY": str(self.folder),
            "FLUSH_INTERVAL": "100ms",
            "TRACES_EXPORTERS": "[file/traces]",
            "LOGS_EXPORTERS": "[file/logs]",
            "METRICS_EXPORTERS": "[file/metrics, prometheus]",
            "SPAN_METRICS_EXPORTERS": "[file/span_metrics, prometheus]",
            **{f"{name}_PORT": str(port) for name, port in ports.items()},
        }
        return {**{f"AGENTLOG_COLLECTOR_{name}": value for name, value in settings.items()}, **self._env}

    def _read(self, signal: str, name: str) -> list[Item]:
        path = self.folder / name
        raw = path.read_bytes() if path.exists() else b""
        return [item for line in complete_lines(raw) for item in decode_json(signal, line)]


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
