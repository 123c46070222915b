"""``agentlog serve`` in a process of its own, and requests to it over real sockets."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.support.process import ServerProcess
from tests.support.waiting import wait_until

TIMEOUT_S = 60.0


class Served:
    """``agentlog serve`` on a free port, as a context."""

    def __init__(self, root: Path, scratch: Path, *options: str) -> None:
        self.root = root
        self._log = scratch / "serve.log"
        command = [sys.executable, "-m", "otel_agentlog", "--root", str(root), "--json", "serve", "--port", "0", *options]
        self._process = ServerProcess(command, self._log)

    def __enter__(self) -> Served:
        self._process.start(self._said, timeout_s=TIMEOUT_S)
        self.said = self._said()
        self.url = self.said["url"]
        self.port = urlsplit(self.url).port or 0
        self.token = Path(self.said["token_file"]).read_text().strip()
        self.headers = {"authorization": f"Bearer {self.token}"}
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def log(self) -> str:
        """What it printed."""
        return self._log.read_text()

    def _said(self) -> dict[str, Any]:
        if not self._log.exists() or "\n" not in self._log.read_text():
            return {}
        try:
            found: dict[str, Any] = json.loads(self._log.read_text().splitlines()[0])
        except ValueError:
            raise AssertionError(f"expected JSON, found {self._log.read_text()}") from None
        return found

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Ask it, as any client would."""
        return httpx.get(self.url + path, timeout=TIMEOUT_S, **options)

    def raw(self, request: bytes) -> bytes:
        """Send bytes, and return all that comes back until the server closes or has answered whole."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S) as link:
            try:
                link.sendall(request)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before it was sent whole
            return received(link)

    def ask(self, line: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> bytes:
        """One request, head by head, with the headers given and no others than these and ``Host``."""
        sent = {"Host": f"127.0.0.1:{self.port}", "Connection": "close", **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        return self.raw(f"{line} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)


def received(link: socket.socket) -> bytes:
    """All bytes until the other side closes."""
    found = bytearray()
    try:
        while chunk := link.recv(65536):
            found += chunk
    except ConnectionResetError:
        pass  # closed before it had read all that was sent
    return bytes(found)


def status_of(answer: bytes) -> int:
    """The status of an HTTP answer; 0 if none came through."""
    return int(answer.split(b" ", 2)[1]) if answer else 0


__all__ = ["Served", "received", "status_of", "wait_until"]
