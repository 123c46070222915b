"""A model provider on 127.0.0.1 that real clients talk to: Anthropic and OpenAI by path, plain and streaming.

    with ProviderServer() as server:
        server.script(Refuse(429), Reply())
        client = anthropic.Anthropic(base_url=server.anthropic_url, api_key="test")
        client.messages.create(...)
        assert server.requests[-1].headers["traceparent"]

Each request takes the next answer of the script; when there is none left, a good reply.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

from tests.support.ports import LOOPBACK
from tests.support.providers.replies import (
    ANTHROPIC_MESSAGE,
    API_RESPONSE,
    CHAT_COMPLETION,
    EMBEDDINGS,
    Event,
    Json,
    anthropic_events,
    chat_events,
    error_body,
    response_events,
)


@dataclass(frozen=True)
class Reply:
    """Answer well, with the usual body of the path or this one; a stream if the request asks for one."""

    body: Json | None = None
    size: int = 7
    """Characters in a piece of a stream."""


@dataclass(frozen=True)
class Refuse:
    """Answer with an HTTP error in the provider's words. By default the client is told to retry after a millisecond."""

    status: int = 429
    headers: tuple[tuple[str, str], ...] = (("retry-after-ms", "1"),)
    message: str = "refused by the test"


@dataclass(frozen=True)
class Cut:
    """Stream so many events, then cut the connection; of a plain answer send only half."""

    events: int = 3


@dataclass(frozen=True)
class Break:
    """Stream so many events, then an ``error`` event, and end the stream in good order."""

    events: int = 3


@dataclass(frozen=True)
class Hang:
    """Stream so many events, or nothing at all, then say no more until the client goes or the server stops."""

    events: int | None = None


Answer: TypeAlias = Reply | Refuse | Cut | Break | Hang


@dataclass(frozen=True)
class Request:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    """By lower-case name."""
    body: Json = field(repr=False)
    received_s: float = field(default_factory=time.monotonic)
    """When it came, by the monotonic clock."""


_BODIES: dict[str, Json] = {
    "/v1/messages": ANTHROPIC_MESSAGE,
    "/v1/chat/completions": CHAT_COMPLETION,
    "/v1/responses": API_RESPONSE,
    "/v1/embeddings": EMBEDDINGS,
}


class ProviderServer:
    """Listens from ``with`` to the end of it; ``requests`` grows with every request. Safe from any thread."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._script: deque[Answer] = deque()
        self._stopped = threading.Event()
        self._server = _Server((LOOPBACK, 0), _Handler)
        self._server.provider = self

    @property
    def anthropic_url(self) -> str:
        """``base_url`` for the Anthropic client."""
        return f"http://{LOOPBACK}:{self._server.server_address[1]}"

    @property
    def openai_url(self) -> str:
        """``base_url`` for the OpenAI client."""
        return f"{self.anthropic_url}/v1"

    def script(self, *answers: Answer) -> None:
        """Append answers, one for each request to come."""
        self._script.extend(answers)

    def __enter__(self) -> ProviderServer:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, request: Request) -> Answer:
        """Keep a request and give the answer that is due."""
        self.requests.append(request)
        try:
            return self._script.popleft()
        except IndexError:
            return Reply()

    def wait_for_stop(self) -> None:
        """Block a handler until the server stops."""
        self._stopped.wait()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A handler may hang on purpose; it goes when the server stops.
    block_on_close = False
    provider: ProviderServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay quiet about clients that went away: that is what some tests are for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: the server keeps all requests."""

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.provider.take(Request(path, headers, body))
        if path not in _BODIES and not (isinstance(answer, Reply) and answer.body):
            self._send(404, error_body(path, 404, f"no such path: {path}"))
        elif isinstance(answer, Refuse):
            self._send(answer.status, error_body(path, answer.status, answer.message), dict(answer.headers))
        elif body.get("stream"):
            self._stream(path, body, answer)
        else:
            self._plain(path, answer)

    def _plain(self, path: str, answer: Answer) -> None:
        if isinstance(answer, Hang):
            self._hang()
            return
        body = answer.body if isinstance(answer, Reply) else None
        self._send(200, body or _BODIES[path], whole=not isinstance(answer, Cut))

    def _send(self, status: int, body: Json, headers: dict[str, str] | None = None, *, whole: bool = True) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "request-id": "req_01", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data if whole else data[: len(data) // 2])
        self.close_connection = not whole

    def _stream(self, path: str, request: Json, answer: Answer) -> None:
        if isinstance(answer, Hang) and answer.events is None:
            self._hang()
            return
        reply = answer if isinstance(answer, Reply) else Reply()
        events = stream_of(path, request, reply.body, reply.size)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events[: getattr(answer, "events", None)]:
            self._chunk(_encoded(event))
        self._finish(path, answer)

    def _finish(self, path: str, answer: Answer) -> None:
        if isinstance(answer, Cut):
            self.close_connection = True
            return
        if isinstance(answer, Hang):
            self._hang()
            return
        if isinstance(answer, Break):
            self._chunk(_encoded(("error", error_body(path, 529, "overloaded in mid-stream"))))
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _hang(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.server.provider.wait_for_stop()


def stream_of(path: str, request: Json, body: Json | None = None, size: int = 7) -> list[Event]:
    """The events that answer a request, as the server sends them."""
    whole = deepcopy(body or _BODIES[path])
    if path == "/v1/messages":
        return anthropic_events(whole, size)
    if path == "/v1/chat/completions":
        options = request.get("stream_options") or {}
        return chat_events(whole, size, include_usage=bool(options.get("include_usage")))
    return response_events(whole, size)


def _encoded(event: Event) -> bytes:
    name, data = event
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()
