"""Requests that go on to the real provider: with the user's key, so to nobody else."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st

from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.tools.replay.forwarding import KEY, Upstream, address, upstreams
from otel_agentlog.tools.replay.recorded import Record
from otel_agentlog.tools.replay.server import ReplayServer
from tests.support.ports import LOOPBACK
from tests.support.providers.server import ProviderServer


def ask(anthropic_url: str, below: str) -> int:
    """The status of a request for ``<replay>/<below>``, where all go on to this address."""
    upstream = upstreams({"ANTHROPIC_BASE_URL": anthropic_url, "ANTHROPIC_API_KEY": "sk-of-the-user"})
    record = Record(TaskReader.__new__(TaskReader), [], [], [], [], [], live_from=1)
    with ReplayServer(record, upstream=upstream) as server:
        parts = urlsplit(server.url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=30)
        connection.request("POST", f"{parts.path}{below}", b"{}", {"x-api-key": KEY, "Content-Type": "application/json"})
        status = connection.getresponse().status
        connection.close()
        return status


def test_a_path_cannot_name_another_host() -> None:
    """What follows the name of the provider is a path below its address, or nothing that is answered."""
    with ProviderServer() as other:
        port = str(urlsplit(other.anthropic_url).port)
        assert ask(f"http://{LOOPBACK}:{port[0]}", f"/anthropic{port[1:]}/v1/messages") == 404
        assert ask(f"http://{LOOPBACK}:1", f"/anthropic@{LOOPBACK}:{port}/v1/messages") == 404
        assert ask(f"http://{LOOPBACK}:1", f"/{LOOPBACK}:{port}/v1/messages") == 404
        assert ask(f"http://{LOOPBACK}:1", f"/anthropic//{LOOPBACK}:{port}/v1/messages") == 502
        assert other.requests == []
        assert ask(other.anthropic_url, "/anthropic/v1/messages?beta=true") == 200
        (request,) = other.requests
        assert (request.path, request.headers["x-api-key"]) == ("/v1/messages", "sk-of-the-user")


@given(st.text(st.sampled_from("/.@:?#[]\\%2fea-"), max_size=20))
def test_any_path_is_of_the_host(path: str) -> None:
    """Or is refused."""
    assert address(Upstream("http://h/proxy?key=1", {}), "/v1/messages?beta=true") == "http://h/proxy/v1/messages?key=1&beta=true"
    for url in ("https://api.anthropic.com", "http://127.0.0.1:4000/proxy", "http://[::1]:80/v1?key=1"):
        found = address(Upstream(url, {}), path)
        assert found is None or urlsplit(found)[:2] == urlsplit(url)[:2]
        assert (found is None) == (not path.startswith("/"))
