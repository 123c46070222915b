"""Hides a running ``agentlog collect``: where it listens, how it ends, what it filed; and what is sent to it."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.process import ServerProcess

Reply = tuple[int, Mapping[str, str], bytes]


class RunningCollect:
    """One, on free ports; a context manager. May be killed and started again on the same root."""

    def __init__(self, folder: Path, *words: str, command: str = "collect", env: Mapping[str, str] | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.root, self._log = folder / "tasks", folder / "collect.log"
        ports = ["--port", "0", "--grpc-port", "0"]
        if command == "serve":
            ports = ["--port", "0", "--collect", "--collect-port", "0", "--collect-grpc-port", "0"]
        self._command = [sys.executable, "-m", "otel_agentlog", "--root", self.root, "--json", command, *ports, *words]
        self._env = env
        self._process: ServerProcess | None = None
        self.where: dict[str, Any] = {}

    def __enter__(self) -> RunningCollect:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._process is not None:
            self._process.stop()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._log.write_bytes(b"")
        self._process = ServerProcess(self._command, self._log, self._env)
        self._process.start(self._json_lines, timeout_s=90.0)
        found = json.loads(self._json_lines()[0])
        self.where = found.get("collect", found)

    def _json_lines(self) -> list[bytes]:
        return [line for line in self._log.read_bytes().split(b"\n")[:-1] if line.startswith(b"{")]

    def kill(self) -> None:
        """End it by ``kill -9``."""
        assert self._process is not None
        self._process.kill()

    def stop(self) -> dict[str, Any]:
        """End it by SIGTERM; what it says that it did."""
        assert self._process is not None
        self._process.stop()
        found: dict[str, Any] = json.loads(self._json_lines()[-1])
        return found

    @property
    def pid(self) -> int:
        """Of the process that receives."""
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        """What it printed."""
        return self._log.read_text()

    @property
    def url(self) -> str:
        """Where http is spoken."""
        return str(self.where["url"])

    @property
    def grpc_url(self) -> str:
        """Where gRPC is spoken."""
        return str(self.where["grpc_url"])

    def post(
        self, body: bytes, path: str = "/v1/traces", *, timeout_s: float = 60.0, method: str = "POST", **headers: str
    ) -> Reply:
        """A request as it is."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=timeout_s)
        sent = {"Content-Type": "application/x-protobuf", **{key.replace("_", "-"): value for key, value in headers.items()}}
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


def trace_body(trace: int, spans: int = 3, *, root: bool = True, note: str = "") -> bytes:
    """A request with one trace in protobuf: a root and its children, which come first."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "sender"
    scoped = group.scope_spans.add()
    scoped.scope.name = "lib"
    begins = 1_790_000_000_000_000_000 + trace * 1_000_000
    for number in range(spans, 0 if root else 1, -1):
        span = scoped.spans.add(
            trace_id=trace.to_bytes(16, "big"),
            span_id=(trace * 1_000 + number).to_bytes(8, "big"),
            name="agent" if number == 1 else "chat m-1",
            start_time_unix_nano=begins + number,
            end_time_unix_nano=begins + 10_000 - number,
        )
        if number > 1:
            span.parent_span_id = (trace * 1_000 + 1).to_bytes(8, "big")
            span.attributes.add(key="gen_ai.operation.name").value.string_value = "chat"
            span.attributes.add(key="gen_ai.usage.input_tokens").value.int_value = 10
        if note:
            span.attributes.add(key="note").value.string_value = note
    return request.SerializeToString()


def node_packages() -> Path | None:
    """The folder with OpenTelemetry's packages for Node, installed now if need be, once; ``None`` without npm, or a network."""
    import shutil

    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        return None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otel_agentlog" / "node-otel"
    cache.mkdir(parents=True, exist_ok=True)
    # One process installs, the others wait for it.
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return cache if _is_installed(cache, npm) else None


def _is_installed(cache: Path, npm: str) -> bool:
    """Whether the packages are there, now at the latest."""
    import subprocess

    if not (cache / "node_modules" / "@opentelemetry" / "sdk-node").is_dir():
        names = [f"exporter-trace-otlp-{kind}" for kind in ("http", "proto", "grpc")]
        packages = [f"@opentelemetry/{name}" for name in ("api", "sdk-node", *names)]
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(cache)]
        done = subprocess.run([npm, "install", *options, *packages], capture_output=True, timeout=100, check=False)
        return done.returncode == 0
    return True
