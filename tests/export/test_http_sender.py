"""OTLP over http: proxies, TLS, credentials and compression by the standard variables, and metrics with their own preferences."""

from __future__ import annotations

import base64
import http.server
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, TraceFlags

from otel_agentlog.export.transport import http as http_transport
from otel_agentlog.export.transport.http import proxy_of
from otel_agentlog.export.transport.result import DELIVERED, Verdict
from otel_agentlog.export.transport.senders import make_metric_exporter, make_sender
from otel_agentlog.settings.fields import load
from otel_agentlog.testing.otlp.answers import Hang, Redirect, Refuse
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from tests.support.ports import LOOPBACK

SPANS = [ReadableSpan("a span", context=SpanContext(1, 2, False, TraceFlags(1)), start_time=1, end_time=2)]


class Server:
    """Answers every POST with 200 and keeps it; also a proxy, as far as a client can tell."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        keep = self.requests

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                keep.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_CONNECT(self) -> None:
                keep.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                host, _, port = self.path.rpartition(":")
                self.send_response(200)
                self.end_headers()
                with socket.create_connection((host, int(port))) as onward:
                    back = threading.Thread(target=_pour, args=(onward, self.connection), daemon=True)
                    back.start()
                    _pour(self.connection, onward)
                    back.join()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def _pour(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start a server."""
    servers: list[Server] = []

    def start(tls: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Issues certificates that only those trust who are told to."""
    return trustme.CA()


def _send(endpoint: str, **environment: str) -> tuple[Verdict, str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        sender = make_sender(load({"endpoint": endpoint}), "traces")
        result = sender.send(SPANS)
        sender.shutdown()
    return result.verdict, result.reason


def _basic(user: str) -> str:
    return "Basic " + base64.b64encode(user.encode()).decode()


def test_a_proxy_gets_the_whole_url(serve: Callable[..., Server]) -> None:
    """``HTTP_PROXY``, with name and password in it."""
    proxy = serve()
    environment = {"HTTP_PROXY": f"http://me:pa%40ss@{LOOPBACK}:{proxy.port}", "NO_PROXY": "elsewhere.example"}
    assert _send("http://collector.example:4318", **environment) == (Verdict.DELIVERED, "ok")

    ((path, headers),) = proxy.requests
    assert path == "http://collector.example:4318/v1/traces"
    assert headers["proxy-authorization"] == _basic("me:pa@ss")


def test_tls_goes_through_a_proxy(serve: Callable[..., Server], authority: trustme.CA, tmp_path: Path) -> None:
    """``HTTPS_PROXY``: a tunnel, in which the certificate is checked as without one."""
    proxy, server = serve(), serve(_tls(authority))
    environment = {"HTTPS_PROXY": f"{LOOPBACK}:{proxy.port}", "NO_PROXY": "", "no_proxy": ""}
    endpoint = f"https://{LOOPBACK}:{server.port}"
    trusting = {"OTEL_EXPORTER_OTLP_CERTIFICATE": _file(authority, tmp_path)}

    assert _send(endpoint, **environment, **trusting) == (Verdict.DELIVERED, "ok")
    assert _send(endpoint, **environment)[1] == "connection"
    assert [path for path, _ in proxy.requests] == [f"{LOOPBACK}:{server.port}"] * 2
    assert [path for path, _ in server.requests] == ["/v1/traces"]


@pytest.mark.parametrize(
    ("endpoint", "no_proxy", "expected"),
    [
        ("http://collector.example", "", "http://proxy:3128"),
        ("http://collector.example", "other.example", "http://proxy:3128"),
        ("http://collector.example", "collector.example", None),
        ("http://collector.example", ".example", None),
        ("http://collector.example:4318", "collector.example:4318", None),
        ("http://collector.example:4319", "collector.example:4318", "http://proxy:3128"),
        ("http://collector.example", "*", None),
        ("http://10.1.2.3:4318", "10.0.0.0/8", None),
        ("http://11.1.2.3:4318", "10.0.0.0/8, junk/x", "http://proxy:3128"),
        ("http://[::1]:4318", "::1", None),
        ("https://collector.example", "", "http://all:1"),
    ],
)
def test_proxies_are_chosen_as_the_variables_say(
    endpoint: str, no_proxy: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By scheme, and none for the hosts, ports, domains and networks of ``NO_PROXY``."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", "proxy:3128")
    monkeypatch.setenv("ALL_PROXY", "http://all:1")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert proxy_of(endpoint) == expected


@pytest.mark.parametrize(
    "proxy", ["socks5://me:hunter2@127.0.0.1:1080", "socks5h://h", "ftp://h", "::::bad", "http://h:abc", "http://[::1", "http://"]
)
def test_a_proxy_that_cannot_be_used_is_told_and_left_out(
    proxy: str, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It was set for other programs: nothing raises, what is sent goes without it, and its password is not in the warning."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    http_transport._warn_of_proxy.cache_clear()
    monkeypatch.setenv("ALL_PROXY", proxy)
    server = serve()

    assert _send(f"http://{LOOPBACK}:{server.port}") == (Verdict.DELIVERED, "ok")
    assert "ALL_PROXY" in caplog.text
    assert "hunter2" not in caplog.text


def test_credentials_in_the_url_are_sent(serve: Callable[..., Server]) -> None:
    """As basic authentication; the user agent names both packages."""
    server = serve()
    assert _send(f"http://me:secret@{LOOPBACK}:{server.port}") == (Verdict.DELIVERED, "ok")
    ((_, headers),) = server.requests
    assert headers["authorization"] == _basic("me:secret")
    assert headers["user-agent"].startswith("otel_agentlog/")
    assert " OTel-OTLP-Exporter-Python/" in headers["user-agent"]


@pytest.mark.parametrize("compression", ["gzip", "deflate", "none", "junk"])
def test_compression_by_the_variable(otlp_receiver: OtlpReceiver, compression: str) -> None:
    """What is not known is not compressed."""
    assert _send(otlp_receiver.http_endpoint, OTEL_EXPORTER_OTLP_COMPRESSION=compression) == (Verdict.DELIVERED, "ok")
    (request,) = otlp_receiver.requests()
    known = compression if compression in ("gzip", "deflate") else None
    assert request.headers.get("content-encoding") == known


def _tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(LOOPBACK).configure_cert(context)
    return context


def _file(authority: trustme.CA, folder: Path) -> str:
    path = folder / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_CERTIFICATE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_certificate_must_be_trusted(
    serve: Callable[..., Server], authority: trustme.CA, tmp_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told whom to trust it delivers; else it sends nothing."""
    server = serve(_tls(authority))
    endpoint = f"https://{LOOPBACK}:{server.port}"
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)

    assert _send(endpoint)[0] is Verdict.LATER
    assert server.requests == []
    assert _send(endpoint, **{variable: _file(authority, tmp_path)}) == (Verdict.DELIVERED, "ok")


def test_a_server_may_ask_for_a_certificate(serve: Callable[..., Server], authority: trustme.CA, tmp_path: Path) -> None:
    """``CLIENT_CERTIFICATE`` and ``CLIENT_KEY``."""
    tls = _tls(authority)
    tls.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(tls)
    server = serve(tls)
    own = authority.issue_cert("client.example")
    own.private_key_pem.write_to_path(tmp_path / "key.pem")
    own.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    trust = {"OTEL_EXPORTER_OTLP_CERTIFICATE": _file(authority, tmp_path)}
    client = {
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(tmp_path / "key.pem"),
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE": str(tmp_path / "certificate.pem"),
    }

    assert _send(f"https://{LOOPBACK}:{server.port}", **trust)[0] is Verdict.LATER
    assert _send(f"https://{LOOPBACK}:{server.port}", **trust, **client) == (Verdict.DELIVERED, "ok")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_child_leaves_the_parents_connection(otlp_receiver: OtlpReceiver) -> None:
    """Both deliver, each on a connection of its own."""
    sender = make_sender(load({"endpoint": otlp_receiver.http_endpoint}), "traces")
    assert sender.send(SPANS) == DELIVERED
    child = os.fork()
    if not child:
        os._exit(0 if sender.send(SPANS) == DELIVERED else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert sender.send(SPANS) == DELIVERED
    assert len(otlp_receiver.requests()) == 3


def _sums(receiver: OtlpReceiver) -> list[Any]:
    return [point["value"] for metric in receiver.metrics() for point in metric["points"]]


@pytest.mark.parametrize(("preference", "expected"), [("", [1, 3]), ("delta", [1, 2]), ("LowMemory", [1, 2]), ("junk", [1, 3])])
def test_metrics_are_cumulative_unless_the_variable_says_otherwise(
    otlp_receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, preference: str, expected: list[int]
) -> None:
    """``OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE``, for counters."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", preference)
    reader = PeriodicExportingMetricReader(make_metric_exporter(load({"endpoint": otlp_receiver.http_endpoint})))
    provider = MeterProvider([reader], shutdown_on_exit=False)
    counter = provider.get_meter("test").create_counter("n")
    for amount in (1, 2):
        counter.add(amount)
        provider.force_flush()
    assert _sums(otlp_receiver)[:2] == expected
    provider.shutdown()


@pytest.mark.parametrize(
    ("aggregation", "kind"),
    [("", "histogram"), ("base2_exponential_bucket_histogram", "exponential_histogram"), ("junk", "histogram")],
)
def test_histograms_have_the_buckets_that_the_variable_names(
    otlp_receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, aggregation: str, kind: str
) -> None:
    """``OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION``."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", aggregation)
    reader = PeriodicExportingMetricReader(make_metric_exporter(load({"endpoint": otlp_receiver.http_endpoint})))
    provider = MeterProvider([reader], shutdown_on_exit=False)
    provider.get_meter("test").create_histogram("n").record(1.0)
    provider.shutdown()
    assert [metric["type"] for metric in otlp_receiver.metrics()] == [kind]


@pytest.mark.parametrize("answer", [Refuse(503), Refuse(400), Hang()])
def test_an_export_of_metrics_that_fails_ends_in_time(
    otlp_receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, answer: Any
) -> None:
    """No second try, no line of the SDK's, and no longer than the timeout."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "0.3")
    otlp_receiver.answer = answer
    reader = PeriodicExportingMetricReader(make_metric_exporter(load({"endpoint": otlp_receiver.http_endpoint})))
    provider = MeterProvider([reader], shutdown_on_exit=False)
    provider.get_meter("test").create_counter("n").add(1)
    began = time.monotonic()
    provider.force_flush()
    assert time.monotonic() - began < 5
    assert caplog.records == []
    assert len(otlp_receiver.requests()) == 1
    otlp_receiver.answer = Refuse(503)
    provider.shutdown()


NETRC_PROGRAM = """
import otel_agentlog as a
a.configure(service_name="x", console="off")
with a.task("t"):
    a.get_logger("l").info("line")
a.flush(timeout_s=2)
a.shutdown()
"""


@pytest.mark.parametrize("headers", [None, "Authorization=Bearer%20collector-token"])
@pytest.mark.parametrize("place", ["NETRC", "HOME"])
@pytest.mark.parametrize("redirected", [False, True])
def test_a_netrc_is_not_read(headers: str | None, place: str, redirected: bool, tmp_path: Path) -> None:
    """Spans, logs and metrics carry the given credentials or none; a redirect takes them nowhere."""
    name = "elsewhere" if place == "NETRC" else ".netrc"
    (tmp_path / name).write_text(f"machine {LOOPBACK} login someone password pw\ndefault login someone password pw\n")
    (tmp_path / name).chmod(0o600)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "AGENTLOG_", "TASK_LOGS"))}
    environment |= {"TASK_LOGS_DIR": str(tmp_path / "tasks"), "AGENTLOG_LOG_DIR": str(tmp_path / "logs")}
    environment |= {"AGENTLOG_SHUTDOWN_TIMEOUT": "2" if redirected else "30"}
    environment[place] = str(tmp_path / name if place == "NETRC" else tmp_path)
    with OtlpReceiver() as collector, OtlpReceiver() as other:
        if redirected:
            collector.answer = Redirect(f"{other.http_endpoint}{{path}}")
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.http_endpoint
        if headers is not None:
            environment["OTEL_EXPORTER_OTLP_HEADERS"] = headers
        subprocess.run([sys.executable, "-c", NETRC_PROGRAM], env=environment, cwd=tmp_path, check=True, timeout=120)
        sent = [(request.signal, request.headers.get("authorization")) for request in collector.requests()]
        went_on = other.requests()

    assert {signal for signal, _ in sent} >= ({"traces"} if redirected else {"traces", "logs", "metrics"})
    assert {value for _, value in sent} == {None if headers is None else "Bearer collector-token"}
    assert went_on == []
