"""The local server, the way to the real provider, and what is refused in the program: where something goes wrong."""

from __future__ import annotations

import http.client
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

import otel_agentlog as agentlog
from otel_agentlog.tools.replay.forwarding import Upstream, forwarded
from otel_agentlog.tools.replay.inside import RecordedError, answer_decorated, client_of, refuse_connections
from otel_agentlog.tools.replay.recorded import Record, RecordedRun
from otel_agentlog.tools.replay.server import ReplayServer
from tests.support.ports import free_ports
from tests.tools.replay.test_matching import call, record_of


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[str]:
    """The address of a server that is at work."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def live() -> Record:
    """Nothing is on record, so each request goes on."""
    return record_of(live_from=1)


# -- the real provider ---------------------------------------------------------------------------------------------------------


class _Elsewhere(BaseHTTPRequestHandler):
    """Answers with a redirect to the other server, which notes what it gets."""

    to: str | None = None
    came: list[dict[str, str]]

    def do_GET(self) -> None:
        type(self).came.append(dict(self.headers.items()))
        self.send_response(302 if self.to else 200)
        if self.to:
            self.send_header("Location", self.to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


def elsewhere(to: str | None = None) -> type[_Elsewhere]:
    """A server's handler, which has noted nothing yet."""

    class Handler(_Elsewhere):
        pass

    Handler.to, Handler.came = to, []
    return Handler


def test_a_redirect_of_the_provider_is_not_followed() -> None:
    """The key of the user is for the address that the user has set, and for no other."""
    given = {"Authorization": "Bearer agentlog-replay"}
    other = elsewhere()
    with serving(HTTPServer(("127.0.0.1", 0), other)) as target:
        first = elsewhere(target)
        with (
            serving(HTTPServer(("127.0.0.1", 0), first)) as url,
            forwarded(Upstream(url, {"Authorization": "Bearer key"}), f"{url}/v1/chat/completions", given, b"{}") as answer,
        ):
            assert answer.status == 302

    assert [each["Authorization"] for each in first.came] == ["Bearer key"]
    assert other.came == []


class _Garbage(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.request.recv(65536)
        self.wfile.write(b"this is no answer\r\n\r\n")


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
@pytest.mark.parametrize("is_there", [True, False], ids=["garbage", "not there"])
def test_a_provider_that_cannot_be_asked_is_an_answer(is_there: bool, connection: str) -> None:
    """502, whatever is wrong with it, also for a client that wants the connection to be closed."""

    def status(url: str) -> int:
        with ReplayServer(live(), upstream={"openai": Upstream(url, {})}) as server:
            parts = urlsplit(server.url)
            client = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
            client.request("POST", f"{parts.path}/openai/v1/chat/completions", b"{}", {"Connection": connection})
            found = client.getresponse().status
            client.close()
            return found

    if not is_there:
        assert status(f"http://127.0.0.1:{free_ports(1)[0]}") == 502
        return
    with serving(socketserver.TCPServer(("127.0.0.1", 0), _Garbage)) as url:
        assert status(url) == 502


# -- in the program ------------------------------------------------------------------------------------------------------------


def test_a_server_that_refuses_to_answer_lets_the_function_run() -> None:
    """What it says then is no result, and no error of the function."""

    @agentlog.tool
    def own() -> str:
        return "ran"

    with ReplayServer(record_of(), tools=True) as server:
        ask = client_of(f"{server.url}x")
        assert ask({"kind": "tool", "name": "own"}) == {}
        end = answer_decorated(ask)
        try:
            assert own() == "ran"
        finally:
            end()


def test_what_cannot_be_given_again_fails() -> None:
    """Where the replay was begun all the same: the error says why, in the place of half a result."""
    cut = RecordedRun(1, "read", {}, "begin[truncated: 9]", "completed", {}, "task-1", 1, missing=["its result was cut"])
    open_call = call(1, "a")
    open_call.provider, open_call.missing = "groq", ["it has no end"]
    record = record_of(open_call)
    record.runs = [cut]
    with ReplayServer(record, tools=True) as server:
        end = answer_decorated(server.answer_inside)
        try:
            with pytest.raises(RecordedError, match=r"tool run 1 .* cannot be given again: its result was cut"):
                agentlog.tool("read")(lambda: "ran")()
            with pytest.raises(RecordedError, match=r"AI call 1 .* cannot be given again: it has no end"):
                agentlog.ai_call("m", provider="groq")(lambda: "ran")()
        finally:
            end()


@pytest.fixture
def offline() -> Iterator[None]:
    """Connections to other machines are refused."""
    end = refuse_connections()
    yield
    end()


@pytest.mark.usefixtures("offline")
def test_the_host_is_named_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    """What the program wants to connect to may be any text."""
    with pytest.raises(ConnectionRefusedError):
        socket.getaddrinfo("evil\x1b[31m\n.example", 80)
    assert capsys.readouterr().err == "agentlog replay: refused a connection to evil .example\n"


def _sendmsg(to: socket.socket) -> Any:
    return to.sendmsg([b"x"], [], 0, ("192.0.2.1", 9))


def _sendto(to: socket.socket) -> Any:
    return to.sendto(b"x", ("192.0.2.1", 9))


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("send", [_sendto, _sendmsg])
def test_datagrams_are_refused(send: Any) -> None:
    """By whatever call they are sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, pytest.raises(ConnectionRefusedError):
        send(sender)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_addresses_of_this_machine_are_not_refused(host: str) -> None:
    """By name, by IPv4 and IPv6, and IPv4 in IPv6."""
    assert socket.getaddrinfo(host, 80)
