"""Notifications reach public addresses only, whatever a URL, a name or a redirect says."""

from __future__ import annotations

import ipaddress
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.query import Alert
from otel_agentlog.view.notify import Notifier, _only_outside, is_internal

INTERNAL = (
    *(
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
    ),
    *(
        "100.64.0.1",
        "100.127.255.255",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "198.18.0.1",
        "192.0.2.1",
    ),
    *(
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
    ),
    *(
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "100::1",
    ),
    *(
        "2001:db8::1",
        "3fff::1",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "::127.0.0.1",
        "::ffff:0:10.0.0.1",
    ),
    *(
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::808:808",
        "64:ff9b::c0a8:101",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
    ),
    *(
        "2002:c0a8:101:1::1",
        "2001:0:7f00:1::1",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "2606:4700::5efe:a00:1",
        "2606:4700::200:5efe:7f00:1",
    ),
)
PUBLIC = (
    *(
        "8.8.8.8",
        "93.184.216.34",
        "100.63.255.255",
        "100.128.0.1",
        "172.32.0.1",
        "192.167.1.1",
    ),
    *(
        "2606:4700:4700::1111",
        "2a00:1450:4001:81b::200e",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ),
)


@pytest.mark.parametrize("address", INTERNAL)
def test_addresses_of_this_network_are_known(address: str) -> None:
    """In every form, also inside of one of IPv6 that a translator or a tunnel unpacks."""
    assert is_internal(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_known(address: str) -> None:
    """Those may be told."""
    assert not is_internal(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host",
    [
        "0177.0.0.1",
        "0x7f.1",
        "2130706433",
        "127.1",
        "0",
        "localhost",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ],
)
def test_urls_of_this_network_are_refused(host: str) -> None:
    """However the address is written."""
    pytest.importorskip("apprise")

    with pytest.raises(ConfigurationError):
        Notifier([f"json://{host}/secret"]).close()


class _Answers(BaseHTTPRequestHandler):
    """Leads every request to where the server says, and counts."""

    def do_POST(self) -> None:
        self.server.asked += 1  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(307)
        self.send_header("location", self.server.leads_to)  # type: ignore[attr-defined]
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def test_a_redirect_into_this_network_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A public address, here behind a proxy, answers with an address of this machine: nothing arrives there."""
    pytest.importorskip("apprise")
    outside = HTTPServer(("127.0.0.1", 0), _Answers)
    with socket.create_server(("127.0.0.1", 0)) as inside:
        inside.setblocking(False)
        # Only plain HTTP has a proxy, so that what the answer leads to is asked directly.
        outside.asked, outside.leads_to = 0, f"https://127.0.0.1:{inside.getsockname()[1]}/"  # type: ignore[attr-defined]
        threading.Thread(target=outside.serve_forever, daemon=True).start()
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{outside.server_port}")
        problems: list[str] = []
        notifier = Notifier(["json://93.184.216.34/hook"], failed=problems.append)
        notifier(
            Alert(
                timestamp="2026-11-21T05:22:05Z", type="high_cost", severity="warning", message="much", value=2.0, threshold=1.0
            )
        )
        notifier.close(60)
        outside.shutdown()
        outside.server_close()

        assert (outside.asked, notifier.sent, len(problems)) == (1, 0, 1)  # type: ignore[attr-defined]
        with pytest.raises(BlockingIOError):
            inside.accept()


def connects(address: tuple[str, int]) -> bool:
    """Whether a connection can be made."""
    with socket.create_connection(address) as link:
        return link.fileno() >= 0


def test_other_threads_connect_as_before() -> None:
    """The guard is of the thread that sends, while it sends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with _only_outside(True):
            with pytest.raises(PermissionError):
                socket.create_connection(address)
            done: list[bool] = []
            other = threading.Thread(target=lambda: done.append(connects(address)))
            other.start()
            other.join()
        assert connects(address)

    assert done == [True]
