"""The local server that clients ask in the place of the provider. It listens on the loopback interface alone.

A client that does not know its random path gets nothing of what is on record. A thread for each connection; no request is kept.
"""

from __future__ import annotations

import _thread
import hashlib
import json
import secrets
import socket
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from otel_agentlog._interrupts import raise_interrupt, started_in_try
from otel_agentlog.tools.replay import answers
from otel_agentlog.tools.replay.forwarding import Upstream, address, forwarded
from otel_agentlog.tools.replay.matching import Matching
from otel_agentlog.tools.replay.prompts import ProgramRequest, read_request
from otel_agentlog.tools.replay.recorded import Record, RecordedCall, RecordedRun
from otel_agentlog.tools.replay.refusals import Refusal, error_body
from otel_agentlog.tools.replay.streams import events
from otel_agentlog.vocabulary.coerce import mapping, text

LOOPBACK = "127.0.0.1"
MAX_BODY_BYTES = 256 * 1024 * 1024
_NONE_LEFT = 424
"""Status where the record has no answer: no client tries again."""
_APIS = {
    "/messages": ("anthropic", answers.MESSAGES),
    "/chat/completions": ("openai", answers.CHAT),
    "/responses": ("openai", answers.RESPONSES),
}
RECORDED_ERROR = "otel_agentlog.tools.replay.inside.RecordedError"
"""The class, as on record, of an error of the replay itself."""
ASK = "/ask"
"""Where the program's own process asks for what a decorated function returned (`inside.py`)."""


class ReplayServer:
    """Answers from a record, from ``with`` to the end of it."""

    def __init__(self, record: Record, *, tools: bool = False, upstream: Mapping[str, Upstream] | None = None) -> None:
        """``tools``: decorated tools are answered, too; ``upstream`` is where requests go that are not on record."""
        self.matching = Matching(record)
        self.tools = tools
        self.upstream = dict(upstream or {})
        self._secret = secrets.token_hex(16)
        self._server = _Server((LOOPBACK, 0), _Handler)
        self._server.replay = self

    @property
    def url(self) -> str:
        """Its address, with the random path."""
        return f"http://{LOOPBACK}:{self._server.server_address[1]}/{self._secret}"

    def __enter__(self) -> ReplayServer:
        _thread.start_new_thread(started_in_try(lambda: self._server.serve_forever(0.05)), ())
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def path_of(self, path: str) -> str | None:
        """The path behind the secret; ``None`` for a client that does not know it."""
        _, given, *rest = path.split("/", 2) if path.startswith("/") else ("", "")
        return f"/{rest[0] if rest else ''}" if secrets.compare_digest(given.encode(), self._secret.encode()) else None

    def answer_inside(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """What a decorated function returned; empty where it is to run."""
        if question.get("kind") == "tool":
            run = self.matching.tool(text(question, "name") or "", question.get("arguments")) if self.tools else None
            return {} if run is None else _inside(run, run.result)
        request = ProgramRequest(text(question, "model") or "", [], [])
        match = self.matching.match(request, "", is_retry=False, by_server=False)
        return {} if match.call is None else _inside(match.call, _returned(match.call))


def _inside(given: RecordedCall | RecordedRun, result: Any) -> dict[str, Any]:
    """The answer to the program's own process: a result, or an error."""
    if given.missing:
        message = f"agentlog replay: {given.place} cannot be given again: {given.missing[0]}"
        return {"error": {"type": RECORDED_ERROR, "message": message}}
    return {"result": result, "error": dict(given.exception) or None}


def _returned(call: RecordedCall) -> Any:
    """What a function returned that an AI call decorates: its text, where it is no more than that, else an answer's shape."""
    only_text = call.response_id is None and not call.usage and len(call.parts) == 1 and call.parts[0].get("type") == "text"
    return call.parts[0].get("content") if only_text else answers.answer(answers.CHAT, call, {})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    replay: ReplayServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed into the program's output."""

    def do_GET(self) -> None:
        self._not_there(self.path)

    def do_POST(self) -> None:
        path = self.server.replay.path_of(self.path)
        body = self._body()
        if path is None or body is None:
            self._not_there(self.path)
            return
        plain = path.partition("?")[0]
        given = _decoded(body)
        found = next((api for suffix, api in _APIS.items() if plain.endswith(suffix)), None)
        if plain == ASK:
            self._send(200, self.server.replay.answer_inside(given))
        elif found is None:
            self._not_there(plain)
        else:
            self._ask(path, *found, given, body)

    def _body(self) -> bytes | None:
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            raise_interrupt()
            length = -1
        if not 0 <= length <= MAX_BODY_BYTES or self.headers.get("Content-Encoding", "identity") != "identity":
            self.close_connection = True
            return None
        return self.rfile.read(length)

    def _ask(self, path: str, provider: str, api: str, given: dict[str, Any], body: bytes) -> None:
        retries = self.headers.get("x-stainless-retry-count", "0")
        key = hashlib.sha256(api.encode() + body).hexdigest()
        match = self.server.replay.matching.match(read_request(given), key, is_retry=retries not in ("", "0"))
        if match.is_live:
            self._forward(provider, path, body)
        elif match.refusal is not None:
            self._refuse(provider, match.refusal)
        elif match.call is None:
            message = "agentlog replay: the record has no answer to this request: all of its AI calls are answered"
            self._refuse(provider, Refusal(_NONE_LEFT, error_body(provider, _NONE_LEFT, message)))
        elif match.call.missing:
            message = f"agentlog replay: {match.call.place} cannot be given again: {match.call.missing[0]}"
            self._refuse(provider, Refusal(_NONE_LEFT, error_body(provider, _NONE_LEFT, message)))
        else:
            self._answer(api, match.call, given)

    def _answer(self, api: str, call: RecordedCall, given: dict[str, Any]) -> None:
        whole = answers.answer(api, call, given)
        if isinstance(whole.get("usage"), dict):
            whole["usage"]["cost"] = 0  # nothing is paid for it: what the replay records must not say so
        if given.get("stream") is True:
            self._stream(200, {"Content-Type": "text/event-stream"}, events(api, whole, given))
        else:
            self._send(200, whole)

    def _refuse(self, provider: str, refusal: Refusal) -> None:
        if refusal.status is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        body = error_body(provider, refusal.status, "") if refusal.body is None else refusal.body
        # The program's client is not to wait and try again: what came then is a call of its own on record.
        self._send(refusal.status, body, {"x-should-retry": "false"})

    def _not_there(self, path: str) -> None:
        message = f"agentlog replay: {path.rpartition('/')[2][:100]!r} is nothing that is on record"
        self._send(404, {"type": "error", "error": {"type": "not_found_error", "message": message}}, {"x-should-retry": "false"})

    def _forward(self, provider: str, path: str, body: bytes) -> None:
        upstream, below = self.server.replay.upstream[provider], _below(provider)
        url = address(upstream, path.removeprefix(below)) if path.startswith(below) else None
        if url is None:
            self._not_there(path)
            return
        with ExitStack() as stack:
            sent = forwarded(upstream, url, dict(self.headers.items()), body)
            try:
                answer = stack.enter_context(sent)
            except (OSError, HTTPException) as error:
                raise_interrupt()
                self._send(502, error_body(provider, 502, f"agentlog replay: {error}"))
                return
            self._stream(answer.status, answer.headers, answer.chunks())

    def _send(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        kind = "text/plain" if isinstance(body, str) else "application/json"
        self._head(status, {"Content-Type": kind, **(headers or {}), "Content-Length": str(len(data))})
        self.wfile.write(data)

    def _stream(self, status: int, headers: Mapping[str, str], chunks: Iterable[bytes]) -> None:
        # From here on nothing else can be said on this connection.
        self.close_connection = True
        self._head(status, {**headers, "Transfer-Encoding": "chunked", "Connection": "close"})
        for chunk in chunks:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _below(provider: str) -> str:
    """Where the paths of a provider begin (`variables.py`); its own base address is put in the place of it."""
    return f"/{provider}/v1" if provider == "openai" else f"/{provider}"


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        return dict(mapping({"body": orjson.loads(body)}, "body"))
    except ValueError:
        raise_interrupt()
        return {}
