"""An OTLP receiver in a process of its own: takes every request over http/protobuf, and counts by id when it is asked.

Bodies are kept as they came and read only when asked, so that it takes little from the processors that are measured.
Spans are counted by their id, log records by their attribute ``seq``, as are spans that have one (Logfire's log calls).
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

LOOPBACK = "127.0.0.1"
_UNPACK = {"gzip": gzip.decompress, "deflate": zlib.decompress}

_bodies: list[tuple[str, str, bytes]] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        _bodies.append((self.path, self.headers.get("Content-Encoding", ""), body))
        self._answer(b"", "application/x-protobuf")

    def do_GET(self) -> None:
        """What came since the last time it was asked."""
        taken = _bodies[:]
        del _bodies[: len(taken)]
        self._answer(json.dumps(count(taken)).encode(), "application/json")

    def _answer(self, body: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def count(bodies: list[tuple[str, str, bytes]]) -> dict[str, int]:
    """How many spans and log records these requests hold, how many different ones, and the bytes on the wire."""
    spans: list[bytes] = []
    logs: list[int] = []
    for path, encoding, body in bodies:
        plain = _UNPACK.get(encoding, bytes)(body)
        if path.endswith("/v1/traces"):
            for span in _items(ExportTraceServiceRequest.FromString(plain).resource_spans, "scope_spans", "spans"):
                seq = _seq(span)
                spans.append(span.span_id) if seq is None else logs.append(seq)
        elif path.endswith("/v1/logs"):
            for record in _items(ExportLogsServiceRequest.FromString(plain).resource_logs, "scope_logs", "log_records"):
                logs.append(-1 if (seq := _seq(record)) is None else seq)
    return {
        "spans": len(set(spans)),
        "logs": len(set(logs) - {-1}),
        "other_logs": logs.count(-1),
        "twice": len(spans) - len(set(spans)) + len(logs) - logs.count(-1) - len(set(logs) - {-1}),
        "requests": len(bodies),
        "bytes": sum(len(body) for _, _, body in bodies),
    }


def _items(resources: Any, scopes: str, items: str) -> Iterator[Any]:
    return (item for resource in resources for scope in getattr(resource, scopes) for item in getattr(scope, items))


def _seq(item: Any) -> int | None:
    """The number of a log record: an attribute, or in a map that is one."""
    for each in item.attributes:
        if each.key == "seq":
            return int(each.value.int_value)
    for each in item.attributes:
        for inner in each.value.kvlist_value.values:
            if inner.key == "seq":
                return int(inner.value.int_value)
    return None


class Receiver:
    """The receiver as the process sees it that started it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.endpoint = f"http://{LOOPBACK}:{int(process.stdout.readline())}"

    def counts(self) -> dict[str, int]:
        """What came since the last call."""
        with urllib.request.urlopen(self.endpoint, timeout=120) as answer:
            found: dict[str, int] = json.load(answer)
        return found


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that runs for this block."""
    command = [sys.executable, "-m", "benchmarks.systems.receiver"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Receiver(process)
        finally:
            process.terminate()


def main() -> None:
    """Say the port, and answer until whoever started this is gone."""
    server = ThreadingHTTPServer((LOOPBACK, 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
