"""What came of a request is told apart, over http and gRPC, and none takes longer than it may."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_agentlog.export.transport import headers as headers_module
from otel_agentlog.export.transport import otlp
from otel_agentlog.export.transport.result import MAX_RETRY_AFTER_S, SendResult, Verdict, http_result, retry_after
from otel_agentlog.export.transport.senders import Sender, make_sender
from otel_agentlog.settings.fields import load
from otel_agentlog.testing.otlp.answers import Answer, Hang, HugeReply, Ok, PartialSuccess, Redirect, Refuse, Reset, SlowLoris
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from tests.support.ports import LOOPBACK

HTTP, GRPC = "http/protobuf", "grpc"
BOTH = pytest.mark.parametrize("protocol", [HTTP, GRPC])


@pytest.fixture(scope="module")
def spans() -> Sequence[ReadableSpan]:
    """Ten finished spans."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    for number in range(10):
        provider.get_tracer("test").start_span(f"span {number}").end()
    return kept.get_finished_spans()


def _sender(endpoint: str, protocol: str, timeout_s: float = 5.0) -> Sender:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", str(timeout_s))
        return make_sender(load({"endpoint": endpoint, "protocol": protocol}), "traces")


def _of(receiver: OtlpReceiver, protocol: str) -> str:
    return receiver.http_endpoint if protocol == HTTP else receiver.grpc_endpoint


def _known(result: SendResult) -> tuple[Verdict, str]:
    return result.verdict, result.reason


@pytest.mark.parametrize(
    ("answer", "verdict", "reason"),
    [
        (Ok(), Verdict.DELIVERED, "ok"),
        (PartialSuccess(7), Verdict.DELIVERED, "partial_success"),
        (HugeReply(8 * 1024 * 1024), Verdict.DELIVERED, "ok"),
        (SlowLoris(0.05, 10_000), Verdict.DELIVERED, "ok"),
        (Refuse(400), Verdict.REJECTED, "http_400"),
        (Refuse(400, {"Content-Type": "text/html"}, b"<html>"), Verdict.REFUSED, "http_400"),
        (Refuse(401), Verdict.REFUSED, "http_401"),
        (Refuse(403), Verdict.REFUSED, "http_403"),
        (Refuse(404), Verdict.REFUSED, "http_404"),
        (Refuse(408), Verdict.LATER, "http_408"),
        (Refuse(413), Verdict.TOO_LARGE, "http_413"),
        (Refuse(429), Verdict.LATER, "http_429"),
        (Refuse(500), Verdict.BROKEN, "http_500"),
        (Refuse(502), Verdict.LATER, "http_502"),
        (Refuse(503), Verdict.LATER, "http_503"),
        (Refuse(504), Verdict.LATER, "http_504"),
        (Redirect("http://127.0.0.1:9/elsewhere"), Verdict.REFUSED, "http_307"),
        (Reset(), Verdict.LATER, "connection"),
        (Reset(ingest=True), Verdict.LATER, "connection"),
        (Refuse(200, {"Content-Type": "text/html"}, b"<html>sign in</html>"), Verdict.REFUSED, "not_otlp"),
        (Refuse(200, {"Content-Type": "text/plain"}, b"junk \xff"), Verdict.DELIVERED, "ok"),
        (Refuse(204), Verdict.DELIVERED, "ok"),
    ],
)
def test_http_answers_are_told_apart(
    otlp_receiver: OtlpReceiver, spans: Sequence[Any], answer: Answer, verdict: Verdict, reason: str
) -> None:
    """One request each, no second try, and the truth."""
    otlp_receiver.answer = answer
    sender = _sender(otlp_receiver.http_endpoint, HTTP)

    assert _known(sender.send(spans)) == (verdict, reason)
    assert len(otlp_receiver.requests()) == 1


@pytest.mark.parametrize(
    ("answer", "verdict", "reason"),
    [
        (Ok(), Verdict.DELIVERED, "ok"),
        (PartialSuccess(7), Verdict.DELIVERED, "partial_success"),
        (HugeReply(8 * 1024 * 1024), Verdict.DELIVERED, "ok"),
        (Refuse(400), Verdict.REJECTED, "grpc_invalid_argument"),
        (Refuse(401), Verdict.REFUSED, "grpc_unauthenticated"),
        (Refuse(403), Verdict.REFUSED, "grpc_permission_denied"),
        (Refuse(404), Verdict.REFUSED, "grpc_unimplemented"),
        (Refuse(413), Verdict.TOO_LARGE, "grpc_resource_exhausted"),
        (Refuse(429, {"Retry-After": "2"}), Verdict.LATER, "grpc_resource_exhausted"),
        (Refuse(500), Verdict.BROKEN, "grpc_internal"),
        (Refuse(503), Verdict.LATER, "connection"),
        (Refuse(503, {"Retry-After": "2"}), Verdict.LATER, "grpc_unavailable"),
        (Refuse(504), Verdict.LATER, "timeout"),
        (Reset(), Verdict.LATER, "connection"),
    ],
)
def test_grpc_answers_are_told_apart(
    otlp_receiver: OtlpReceiver, spans: Sequence[Any], answer: Answer, verdict: Verdict, reason: str
) -> None:
    """By status code, and by the RetryInfo in its details."""
    otlp_receiver.answer = answer
    sender = _sender(otlp_receiver.grpc_endpoint, GRPC)

    assert _known(sender.send(spans)) == (verdict, reason)
    assert len(otlp_receiver.requests()) == 1
    sender.shutdown()


@BOTH
def test_how_many_were_not_taken_and_why_is_kept(otlp_receiver: OtlpReceiver, spans: Sequence[Any], protocol: str) -> None:
    """Partial success: the number and the server's words."""
    otlp_receiver.answer = PartialSuccess(7, "too \x1b[31mold")
    result = _sender(_of(otlp_receiver, protocol), protocol).send(spans)

    assert (result.rejected, result.message) == (7, "too  [31mold")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    count=_JSON | st.sampled_from(["7", "-1", "9" * 5000, "1e3", "NaN"]),
    message=_JSON,
    signal=st.sampled_from(["traces", "logs"]),
)
@example(count=float("inf"), message="", signal="traces")
@example(count=True, message="", signal="logs")
def test_whatever_json_says_of_a_success_it_is_one(count: Any, message: Any, signal: str) -> None:
    """The status is the acknowledgement; what is no number takes nothing back, or the same would be sent for ever."""
    key = {"traces": "rejectedSpans", "logs": "rejectedLogRecords"}[signal]
    body = json.dumps({"partialSuccess": {key: count, "errorMessage": message}}).encode()
    result = otlp.read_response(signal, "application/json", body)

    assert result.verdict is Verdict.DELIVERED
    is_number = isinstance(count, (int, float)) and not isinstance(count, bool) and abs(count) < float("inf")
    assert isinstance(count, str) or result.rejected == (max(0, int(count)) if is_number else 0)


@BOTH
def test_nobody_there_is_said_at_once_and_found_again(otlp_receiver: OtlpReceiver, spans: Sequence[Any], protocol: str) -> None:
    """Refused connections; the same sender delivers as soon as somebody listens again."""
    otlp_receiver.refuse()
    sender = _sender(_of(otlp_receiver, protocol), protocol)
    assert _known(sender.send(spans)) == (Verdict.LATER, "connection")

    otlp_receiver.accept()
    deadline = time.monotonic() + 10
    while sender.send(spans).verdict is not Verdict.DELIVERED:
        assert time.monotonic() < deadline
    assert len(otlp_receiver.spans()) == 10


@BOTH
def test_silence_is_waited_for_as_long_as_the_timeout_says(
    otlp_receiver: OtlpReceiver, spans: Sequence[Any], protocol: str
) -> None:
    """A server that takes the request and never answers: it may have arrived."""
    otlp_receiver.answer = Hang(ingest=True)

    assert _known(_sender(_of(otlp_receiver, protocol), protocol, 0.3).send(spans)) == (Verdict.LATER, "timeout")


def test_who_is_in_a_hurry_waits_no_longer(otlp_receiver: OtlpReceiver, spans: Sequence[Any]) -> None:
    """The end of the process bounds the last request, whatever the timeout."""
    otlp_receiver.answer = Hang()
    for protocol in (HTTP, GRPC):
        sender = _sender(_of(otlp_receiver, protocol), protocol, 1000.0)
        sender.deadline = time.monotonic() + 0.2
        assert _known(sender.send(spans)) == (Verdict.LATER, "timeout")


def _read_request(client: socket.socket) -> None:
    with client.makefile("rb") as stream:
        headers = [line.lower() for line in iter(stream.readline, b"\r\n")]
        stream.read(next(int(line.split(b":")[1]) for line in headers if line.startswith(b"content-length")))


class _Raw:
    """A server that sends bytes of its own, piece by piece, as long as its client is there."""

    def __init__(self, pieces: Sequence[bytes], *, for_ever: bytes = b"") -> None:
        self._pieces, self._for_ever = pieces, for_ever
        self._listener = socket.create_server((LOOPBACK, 0))
        self.endpoint = f"http://{LOOPBACK}:{self._listener.getsockname()[1]}"
        self.ended = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        try:
            _read_request(client)
            for piece in self._pieces:
                client.sendall(piece)
            while self._for_ever and not self.ended.wait(0.02):
                client.sendall(self._for_ever)
        except OSError:
            pass
        client.close()
        self._listener.close()


def test_headers_that_drip_for_ever_end_with_the_timeout(spans: Sequence[Any]) -> None:
    """A header each few milliseconds keeps every single read short; the whole is bounded all the same."""
    server = _Raw([b"HTTP/1.1 200 OK\r\n"], for_ever=b"X-More: 1\r\nX-")

    assert _known(_sender(server.endpoint, HTTP, 0.5).send(spans)) == (Verdict.LATER, "timeout")


def test_an_answer_without_end_is_not_read(spans: Sequence[Any]) -> None:
    """200 and then megabytes: what was taken counts as taken, and the connection is given up."""
    server = _Raw([b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"], for_ever=b"x" * (1 << 20))

    assert _known(_sender(server.endpoint, HTTP).send(spans)) == (Verdict.DELIVERED, "ok")


@pytest.mark.parametrize(
    ("pieces", "verdict"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort"], Verdict.DELIVERED),
        ([b"HTTP/1.1 503 No\r\nContent-Length: 50\r\n\r\nshort"], Verdict.LATER),
        ([b"\x00\x01 no http \xff\r\n\r\n"], Verdict.LATER),
        ([b"HTTP/1.1 200 OK\r\nConte"], Verdict.DELIVERED),
        ([b"HTTP/1.1 20"], Verdict.LATER),
        ([b""], Verdict.LATER),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], Verdict.DELIVERED),
    ],
)
def test_the_status_is_the_acknowledgement(spans: Sequence[Any], pieces: list[bytes], verdict: Verdict) -> None:
    """A body that ends too early takes no success back; no status, no success."""
    assert _sender(_Raw(pieces).endpoint, HTTP).send(spans).verdict is verdict


def test_a_connection_that_was_closed_meanwhile_is_made_anew(spans: Sequence[Any]) -> None:
    """Servers close idle connections without a word; the first request after that is not lost."""
    listener = socket.create_server((LOOPBACK, 0))
    port = listener.getsockname()[1]
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    def serve() -> None:
        for _ in range(2):
            client, _ = listener.accept()
            _read_request(client)
            client.sendall(answer)
            client.recv(1)  # the beginning of the next request on it, which is not answered
            client.close()

    threading.Thread(target=serve, daemon=True).start()
    sender = _sender(f"http://{LOOPBACK}:{port}", HTTP)

    assert [sender.send(spans).verdict for _ in range(2)] == [Verdict.DELIVERED] * 2
    listener.close()


def test_what_cannot_be_encoded_is_no_fault_of_the_collectors(otlp_receiver: OtlpReceiver, spans: Sequence[Any]) -> None:
    """One item that has no form in OTLP: rejected before anything was sent."""
    bad = ReadableSpan("\ud800", context=spans[0].context)
    for protocol in (HTTP, GRPC):
        sender = _sender(_of(otlp_receiver, protocol), protocol)
        assert _known(sender.send([*spans, bad])) == (Verdict.REJECTED, "encoding")
    assert otlp_receiver.requests() == []


@BOTH
def test_the_standard_variables_are_followed(
    otlp_receiver: OtlpReceiver, spans: Sequence[Any], protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Headers and compression, those of the signal before the general ones."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20x,x-team=blue")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-team=red")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")

    assert _sender(_of(otlp_receiver, protocol), protocol).send(spans).verdict is Verdict.DELIVERED
    (request,) = otlp_receiver.requests()
    assert request.headers["x-team"] == "red"
    assert "authorization" not in request.headers
    assert protocol == GRPC or request.headers["content-encoding"] == "gzip"


WRONG_HEADERS = {
    **dict.fromkeys(["content-length", "Transfer-Encoding", "content-type", "CONTENT-ENCODING", "te", "trailer"], "chunked"),
    "x-nul": "%00",
    "x-line": "a%0d%0ab",
    "x-euro": "%e2%82%ac",
    "x%0d%0ay": "1",
    "x%20space": "1",
    "x%c3%a9": "1",
}


@BOTH
@pytest.mark.parametrize("name", [*WRONG_HEADERS, "all"])
def test_headers_that_no_request_can_have_are_left_out(
    otlp_receiver: OtlpReceiver,
    spans: Sequence[Any],
    protocol: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The others are sent, the batch arrives as it is, and the warning has the name alone."""
    headers_module._warn_of_header.cache_clear()
    wrong = {each: value for each, value in WRONG_HEADERS.items() if name in (each, "all")}
    given = {"x-before": "1", **wrong, "x-after": "hunter2"}
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", ",".join(f"{each}={value}" for each, value in given.items()))

    assert _sender(_of(otlp_receiver, protocol), protocol).send(spans).verdict is Verdict.DELIVERED
    assert len(otlp_receiver.spans()) == len(spans)
    (request,) = otlp_receiver.requests()
    assert (request.headers["x-before"], request.headers["x-after"]) == ("1", "hunter2")
    assert len([record for record in caplog.records if "left out" in record.message]) == len(wrong)
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("header", ["X-data-bin=abc", "grpc-timeout=1", "grpc-encoding=snappy", "x-latin=%c3%a9"])
def test_what_only_grpc_cannot_have_is_left_out_there(
    otlp_receiver: OtlpReceiver, spans: Sequence[Any], header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over http it is a header like any other."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", header)
    for protocol in (HTTP, GRPC):
        assert _sender(_of(otlp_receiver, protocol), protocol).send(spans).verdict is Verdict.DELIVERED
    by_http, by_grpc = otlp_receiver.requests()
    name = header.partition("=")[0].lower()
    assert name in by_http.headers
    assert by_grpc.headers.get(name) is None


def test_exporters_say_nothing_while_we_send(
    otlp_receiver: OtlpReceiver, spans: Sequence[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Each failure is counted by us; lines and tracebacks of theirs would only repeat it."""
    caplog.set_level(logging.DEBUG)
    said: list[Any] = []

    def send() -> None:
        otlp_receiver.answer = Refuse(503)
        said.append(_sender(otlp_receiver.http_endpoint, HTTP).send(spans))

    thread = threading.Thread(target=send)
    thread.start()
    thread.join()
    assert said[0].verdict is Verdict.LATER
    assert caplog.records == []


@given(st.text() | st.floats().map(str) | st.integers().map(str) | st.datetimes().map(str))
def test_any_retry_after_is_bounded_or_ignored(value: str) -> None:
    """Numbers, dates, junk: between 0 and the longest wait, or nothing."""
    wait_s = retry_after(value, 0.0)
    assert wait_s is None or 0 <= wait_s <= MAX_RETRY_AFTER_S


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2", 2.0),
        ("0", 0.0),
        ("-5", 0.0),
        ("3600", MAX_RETRY_AFTER_S),
        ("junk", None),
        ("nan", None),
        ("Thu, 01 Jan 1970 00:00:07 GMT", 7.0),
        ("Thu, 01 Jan 1970 00:00:07", 7.0),
        (None, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str | None, expected: float | None) -> None:
    """As RFC 9110 says."""
    assert retry_after(value, 0.0) == expected


@given(
    st.integers(100, 599), st.binary(max_size=64), st.dictionaries(st.sampled_from(["Content-Type", "Retry-After"]), st.text())
)
def test_every_status_has_a_verdict(status: int, body: bytes, headers: dict[str, str]) -> None:
    """Whatever a server answers, nothing raises, and only the data's own fault drops data."""
    result = http_result(status, headers, body, 0.0)
    assert result.verdict is not Verdict.DELIVERED
    assert (result.verdict is Verdict.REJECTED) <= (status in (400, 422))
