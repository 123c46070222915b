"""Hides rotel, a second real OTLP collector (PyPI package ``rotel``), which forwards all it gets to a receiver of ours.

It answers 200 from memory, batches, and retries; nothing survives a kill.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import TracebackType

from tests.support.ports import LOOPBACK, accepts, free_ports
from tests.support.process import ServerProcess

_BATCH_TIMEOUT = "50ms"


def find_rotel() -> Path | None:
    """The ``rotel-agent`` binary inside the installed package, or ``None`` where the package has none for this platform."""
    spec = importlib.util.find_spec("rotel")
    if spec is None or spec.origin is None:
        return None
    binary = Path(spec.origin).with_name("rotel-agent")
    return binary if binary.exists() else None


class Rotel:
    """A running rotel on free loopback ports that sends what it gets to ``forward_to``; a context manager."""

    def __init__(self, binary: Path, folder: Path, *, forward_to: str, protocol: str = "http") -> None:
        """``forward_to`` is an OTLP base URL; ``protocol`` is ``http`` or ``grpc`` and must fit it."""
        self._grpc_port, self._http_port = free_ports(2)
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            *(str(binary), "start"),
            *("--otlp-grpc-endpoint", f"{LOOPBACK}:{self._grpc_port}"),
            *("--otlp-http-endpoint", f"{LOOPBACK}:{self._http_port}"),
            *("--exporter", "otlp"),
            *("--otlp-exporter-endpoint", forward_to),
            *("--otlp-exporter-protocol", protocol),
            *("--batch-timeout", _BATCH_TIMEOUT),
            *("--pid-file", str(folder / "rotel.pid")),
            *("--log-file", str(folder / "rotel-daemon.log")),
        ]
        self._process = ServerProcess(command, folder / "rotel.log")

    def __enter__(self) -> Rotel:
        self._process.start(lambda: accepts(self._grpc_port) and accepts(self._http_port))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()

    @property
    def http_endpoint(self) -> str:
        """Base URL for OTLP over http."""
        return f"http://{LOOPBACK}:{self._http_port}"

    @property
    def grpc_endpoint(self) -> str:
        """URL for OTLP over gRPC, without TLS."""
        return f"http://{LOOPBACK}:{self._grpc_port}"

    def stop(self) -> None:
        """End it; what it holds in memory is sent first."""
        self._process.stop()

    def kill(self) -> None:
        """End it as ``kill -9`` would; what it holds in memory is lost."""
        self._process.kill()

    def log(self) -> str:
        """The end of what it printed."""
        return self._process.log_tail()
