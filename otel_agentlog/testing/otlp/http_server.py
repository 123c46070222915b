"""The http side of the receiver: a threaded server of the standard library that carries out the answers."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import MessageToJson

from otel_agentlog.export.transport.services import RESPONSES, partly
from otel_agentlog.testing.otlp.answers import Answer, Hang, HugeReply, PartialSuccess, Redirect, Refuse, Reset, SlowLoris
from otel_agentlog.testing.otlp.decode import REQUEST_TYPES, request_from_json
from otel_agentlog.testing.otlp.incoming import LOOPBACK, Decision, Incoming

if TYPE_CHECKING:
    from otel_agentlog.testing.otlp.receiver import OtlpReceiver

_PROTOBUF = "application/x-protobuf"
_JSON = "application/json"
_DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "identity": bytes,
}
_SIGNALS = {"/v1/traces": "traces", "/v1/logs": "logs", "/v1/metrics": "metrics"}

_POURED_BYTES = 1 << 20


def response(signal: str, answer: Answer) -> Any:
    """The response message that an answer sends back, for both protocols."""
    if isinstance(answer, PartialSuccess):
        return partly(signal, answer.rejected, answer.message)
    message = RESPONSES[signal][0]()
    if isinstance(answer, HugeReply):
        message.partial_success.error_message = "x" * answer.size_bytes
    return message


class HttpEndpoint:
    """Listens on one loopback port, which stays the same when it is closed and opened again."""

    def __init__(self, receiver: OtlpReceiver) -> None:
        self.port = 0
        self._receiver = receiver
        self._server: _Server | None = None
        self._reserved: socket.socket | None = None
        """Holds the port, without listening, while it is closed: nobody else gets it meanwhile."""

    def open(self) -> None:
        """Start to accept connections."""
        if self._server is None:
            self._server = _Server((LOOPBACK, self.port), self._receiver)
            self.port = self._server.server_address[1]
            self.free()
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def free(self) -> None:
        """Let others have the port."""
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    def close(self) -> None:
        """Close the port and cut open connections."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.cut_connections()
            server.server_close()
            self._reserved = socket.socket()
            self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._reserved.bind((LOOPBACK, self.port))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Handler threads may be held up by a fault; closing must not wait for them.
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], receiver: OtlpReceiver) -> None:
        self.receiver = receiver
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay quiet about clients that went away: that is what some faults are for."""

    def cut_connections(self) -> None:
        with self._open_lock:
            for connection in self._open:
                _cut(connection)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: the receiver keeps all requests."""

    def do_GET(self) -> None:
        self._send(405)

    def do_POST(self) -> None:
        signal = _SIGNALS.get(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if signal is None:
            self._send(404)
            return
        try:
            decision = self._take(signal, raw)
        except Exception as error:  # noqa: BLE001 - whatever a sender can get wrong, it shall hear of it and the test shall fail
            self.server.receiver.failed_to_decode(error)
            self._send(400, body=repr(error).encode())
        else:
            self._carry_out(signal, decision)

    def _take(self, signal: str, raw: bytes) -> Decision:
        body = _DECOMPRESS[self.headers.get("Content-Encoding", "identity")](raw)
        if self._is_json():
            protocol, export = "http/json", request_from_json(signal, body)
        else:
            protocol, export = "http/protobuf", REQUEST_TYPES[signal].FromString(body)
        headers = {key.lower(): value for key, value in self.headers.items()}
        return self.server.receiver.handle(Incoming(protocol, signal, export, headers, len(raw), len(body)))

    def _is_json(self) -> bool:
        return str(self.headers.get("Content-Type", "")).startswith(_JSON)

    def _carry_out(self, signal: str, decision: Decision) -> None:
        answer = decision.answer
        if isinstance(answer, Refuse):
            self._send(answer.status, dict(answer.headers), answer.body)
        elif isinstance(answer, Redirect):
            self._send(answer.status, {"Location": answer.location.format(path=self.path)})
        elif isinstance(answer, Reset):
            self._reset()
        elif isinstance(answer, Hang):
            self.server.receiver.hold(decision)
            self._reset()
        elif isinstance(answer, SlowLoris):
            self._drip(answer, decision)
        else:
            self._send_response(signal, answer)

    def _send_response(self, signal: str, answer: Answer) -> None:
        if isinstance(answer, HugeReply) and not self._is_json():
            self._pour(answer.size_bytes)
            return
        message = response(signal, answer)
        if self._is_json():
            self._send(200, {"Content-Type": _JSON}, json.dumps(json.loads(MessageToJson(message))).encode())
        else:
            self._send(200, {"Content-Type": _PROTOBUF}, message.SerializeToString())

    def _send(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _pour(self, size_bytes: int) -> None:
        """A valid response with a message of that size, without having it in memory."""
        message = b"\x12" + _varint(size_bytes)
        head = b"\x0a" + _varint(len(message) + size_bytes) + message
        self.send_response(200)
        self.send_header("Content-Type", _PROTOBUF)
        self.send_header("Content-Length", str(len(head) + size_bytes))
        self.end_headers()
        self.wfile.write(head)
        for start in range(0, size_bytes, _POURED_BYTES):
            self.wfile.write(b"x" * min(_POURED_BYTES, size_bytes - start))

    def _drip(self, answer: SlowLoris, decision: Decision) -> None:
        self.send_response(200)
        self.send_header("Content-Type", _PROTOBUF)
        self.send_header("Content-Length", str(answer.length))
        self.end_headers()
        for _ in range(answer.length):
            self.wfile.write(b"\0")
            if self.server.receiver.hold(decision, answer.interval_s):
                break
        self._reset()

    def _reset(self) -> None:
        self.close_connection = True
        _reset_on_close(self.connection)
        self.connection.close()


def _varint(number: int) -> bytes:
    """As protobuf writes lengths."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _reset_on_close(connection: socket.socket) -> None:
    """Make closing send RST: the client sees a reset, not an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _cut(connection: socket.socket) -> None:
    # An error means that the other side, or the thread that serves it, was faster.
    with suppress(OSError):
        _reset_on_close(connection)
        connection.shutdown(socket.SHUT_RDWR)
