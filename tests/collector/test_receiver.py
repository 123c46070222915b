"""The in-test OTLP receiver misbehaves exactly as told, and keeps the truth about what it ingested."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # no stubs exist
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # no stubs exist
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from otel_agentlog.testing.otlp.answers import (
    Answer,
    Hang,
    HugeReply,
    Ok,
    PartialSuccess,
    Poison,
    Redirect,
    Refuse,
    Reset,
    SlowLoris,
)
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from tests.support.ports import accepts

SHORT_TIMEOUT_S = 1.0
Reply = tuple[int, dict[str, str], bytes]


def _request(*names: str) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    scope_spans = request.resource_spans.add().scope_spans.add()
    for name in names:
        scope_spans.spans.add(name=name, trace_id=b"\1" * 16, span_id=b"\2" * 8)
    return request


def _post(receiver: OtlpReceiver, body: bytes, *, timeout_s: float = 30, path: str = "/v1/traces", **headers: str) -> Reply:
    connection = http.client.HTTPConnection(urlsplit(receiver.http_endpoint).netloc, timeout=timeout_s)
    sent = {"Content-Type": "application/x-protobuf", **{key.replace("_", "-"): value for key, value in headers.items()}}
    try:
        connection.request("POST", path, body, sent)
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()
    finally:
        connection.close()


def _call(receiver: OtlpReceiver, *names: str, timeout_s: float = 30) -> ExportTraceServiceResponse:
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(urlsplit(receiver.grpc_endpoint).netloc, options=options) as channel:
        stub: Any = TraceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated without types
        answer: ExportTraceServiceResponse = stub.Export(_request(*names), timeout=timeout_s)
        return answer


def _names(receiver: OtlpReceiver) -> list[str]:
    return [span["name"] for span in receiver.spans()]


@pytest.mark.parametrize("answer", [Refuse(status) for status in (400, 401, 403, 404, 413, 429, 500, 502, 503, 504)])
def test_refuse_over_http(answer: Refuse, otlp_receiver: OtlpReceiver) -> None:
    """A refusing receiver answers the status with its headers and ingests nothing, but counts the request."""
    otlp_receiver.answer = Refuse(answer.status, {"Retry-After": "7"}, b"no")

    status, headers, body = _post(otlp_receiver, _request("a").SerializeToString())

    assert (status, headers["Retry-After"], body) == (answer.status, "7", b"no")
    assert (otlp_receiver.spans(), len(otlp_receiver.requests("traces"))) == ([], 1)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, grpc.StatusCode.INVALID_ARGUMENT),
        (401, grpc.StatusCode.UNAUTHENTICATED),
        (429, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (503, grpc.StatusCode.UNAVAILABLE),
    ],
)
def test_refuse_over_grpc(status: int, code: grpc.StatusCode, otlp_receiver: OtlpReceiver) -> None:
    """Over gRPC a refusal is the status code of OTLP's table, with the delay to retry after in its details."""
    otlp_receiver.answer = Refuse(status, {"Retry-After": "7"})

    with pytest.raises(grpc.RpcError) as caught:
        _call(otlp_receiver, "a")

    assert caught.value.code() == code
    metadata: dict[str, Any] = {item.key: item.value for item in caught.value.trailing_metadata()}
    details = Status.FromString(metadata["grpc-status-details-bin"])
    retry_info = RetryInfo()
    assert details.details[0].Unpack(retry_info)
    assert (retry_info.retry_delay.seconds, otlp_receiver.spans()) == (7, [])


def test_partial_success(otlp_receiver: OtlpReceiver) -> None:
    """The receiver says how many items it rejected, and keeps only the others."""
    otlp_receiver.answer = PartialSuccess(rejected=1, message="too old")

    status, _, body = _post(otlp_receiver, _request("a", "b").SerializeToString())
    over_grpc = _call(otlp_receiver, "c", "d")

    for partial in (ExportTraceServiceResponse.FromString(body).partial_success, over_grpc.partial_success):
        assert (status, partial.rejected_spans, partial.error_message) == (200, 1, "too old")
    assert _names(otlp_receiver) == ["b", "d"]


def test_poison(otlp_receiver: OtlpReceiver) -> None:
    """One bad item costs its batch and no other."""
    otlp_receiver.answer = Poison(lambda span: span["name"] == "bad")

    statuses = [_post(otlp_receiver, _request(*names).SerializeToString())[0] for names in (("a", "bad"), ("b",))]

    assert (statuses, _names(otlp_receiver)) == ([400, 200], ["b"])
    with pytest.raises(grpc.RpcError) as caught:
        _call(otlp_receiver, "bad")
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (Reset(), []),
        (Reset(ingest=True), ["a"]),
        (Hang(), []),
        (Hang(ingest=True), ["a"]),
        (SlowLoris(interval_s=5), ["a"]),
    ],
)
def test_sender_sees_a_failure_whatever_was_ingested(answer: Answer, kept: list[str], otlp_receiver: OtlpReceiver) -> None:
    """A cut or never-ending answer fails for the sender, while the truth may be that the item is stored."""
    otlp_receiver.answer = answer

    with pytest.raises(OSError):
        _post(otlp_receiver, _request("a").SerializeToString(), timeout_s=SHORT_TIMEOUT_S)

    otlp_receiver.wait_for(lambda r: len(r.spans()) >= len(kept))
    assert _names(otlp_receiver) == kept
    with pytest.raises(grpc.RpcError):
        _call(otlp_receiver, "a", timeout_s=SHORT_TIMEOUT_S)
    otlp_receiver.wait_for(lambda r: len(r.spans()) >= 2 * len(kept))
    assert _names(otlp_receiver) == kept * 2


def test_slow_loris_drips(otlp_receiver: OtlpReceiver) -> None:
    """A slow answer is complete in the end, so only a limit on the whole time catches it."""
    otlp_receiver.answer = SlowLoris(interval_s=0.001, length=20)

    status, headers, body = _post(otlp_receiver, _request("a").SerializeToString())

    assert (status, headers["Content-Length"], body) == (200, "20", b"\0" * 20)


def test_huge_reply(otlp_receiver: OtlpReceiver) -> None:
    """The answer is a valid response, only very large."""
    otlp_receiver.answer = HugeReply(size_bytes=5_000_000)

    status, _, body = _post(otlp_receiver, _request("a").SerializeToString())

    assert (status, len(body) > 5_000_000, _names(otlp_receiver)) == (200, True, ["a"])
    assert len(_call(otlp_receiver, "b").partial_success.error_message) == 5_000_000


def test_redirect(otlp_receiver: OtlpReceiver) -> None:
    """The receiver points elsewhere and ingests nothing."""
    otlp_receiver.answer = Redirect("http://127.0.0.1:1{path}")

    status, headers, _ = _post(otlp_receiver, _request("a").SerializeToString())

    assert (status, headers["Location"], otlp_receiver.spans()) == (307, "http://127.0.0.1:1/v1/traces", [])


def test_too_large() -> None:
    """A body over the limit is refused by its size after decompression."""
    with OtlpReceiver(max_body_bytes=1000) as receiver:
        body = gzip.compress(_request("a" * 5000).SerializeToString())
        assert len(body) < 1000

        assert _post(receiver, body, Content_Encoding="gzip")[0] == 413
        with pytest.raises(grpc.RpcError) as caught:
            _call(receiver, "a" * 5000)

        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (receiver.spans(), len(receiver.requests())) == ([], 2)


@pytest.mark.parametrize("send", [lambda r: _post(r, _request("a").SerializeToString()), lambda r: _call(r, "a")])
def test_closed_port_and_back(send: Callable[[OtlpReceiver], object], otlp_receiver: OtlpReceiver) -> None:
    """A receiver that went away refuses connections, and comes back on the same ports."""
    endpoints = (otlp_receiver.http_endpoint, otlp_receiver.grpc_endpoint)
    send(otlp_receiver)

    otlp_receiver.refuse()
    with pytest.raises((ConnectionRefusedError, grpc.RpcError)):
        send(otlp_receiver)
    otlp_receiver.accept()
    send(otlp_receiver)

    assert (otlp_receiver.http_endpoint, otlp_receiver.grpc_endpoint) == endpoints
    assert len(otlp_receiver.spans()) == 2


def test_answers_in_order(otlp_receiver: OtlpReceiver) -> None:
    """Queued answers are used once each, then the standing answer counts again."""
    otlp_receiver.answer = Ok()
    otlp_receiver.answer_next(Refuse(503), Refuse(429))

    statuses = [_post(otlp_receiver, _request("a").SerializeToString())[0] for _ in range(3)]

    assert statuses == [503, 429, 200]
    assert [type(request.answer) for request in otlp_receiver.requests()] == [Refuse, Refuse, Ok]


def test_json_and_gzip(otlp_receiver: OtlpReceiver) -> None:
    """OTLP JSON, ids in hex, is understood too, compressed or not, and answered in JSON."""
    span = {"traceId": "0a" * 16, "spanId": "0b" * 8, "name": "j", "startTimeUnixNano": "1700000000123456789"}
    document = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}], "unknown": 1}).encode()

    status, headers, body = _post(
        otlp_receiver, gzip.compress(document), Content_Type="application/json", Content_Encoding="gzip"
    )

    [received] = otlp_receiver.spans()
    assert (status, headers["Content-Type"], json.loads(body)) == (200, "application/json", {})
    assert (received["trace_id"], received["span_id"], received["start_time_ns"]) == ("0a" * 16, "0b" * 8, 1700000000123456789)


def test_garbage_fails_the_test() -> None:
    """A sender that sends no OTLP is told so, and the test that used it fails."""
    with pytest.raises(AssertionError, match="could not be decoded"), OtlpReceiver() as receiver:
        assert _post(receiver, b"\xff\xff\xff")[0] == 400


def test_repeated_attribute_fails_the_test() -> None:
    """An attribute key that stands twice is a sender's bug and does not pass in silence."""
    request = _request("a")
    span = request.resource_spans[0].scope_spans[0].spans[0]
    for number in (1, 2):
        span.attributes.add(key="twice").value.int_value = number

    with pytest.raises(AssertionError, match="sent twice"), OtlpReceiver() as receiver:
        assert _post(receiver, request.SerializeToString())[0] == 400


def test_concurrent_senders_are_all_counted(otlp_receiver: OtlpReceiver) -> None:
    """Nothing is lost or mixed up when many threads send at once."""
    names = {f"span-{number}" for number in range(64)}
    threads = [threading.Thread(target=_post, args=(otlp_receiver, _request(name).SerializeToString())) for name in names]
    for thread in threads:
        thread.start()

    otlp_receiver.wait_for(lambda r: len(r.spans()) == len(names))

    for thread in threads:
        thread.join()
    assert set(_names(otlp_receiver)) == names
    assert len(otlp_receiver.requests("traces")) == len(names)


def test_grpc_listens_from_the_first_time_on_that_it_is_asked_for() -> None:
    """Unless the receiver refuses just then; it has its port all the same."""
    with OtlpReceiver() as receiver:
        receiver.refuse()
        port = int(receiver.grpc_endpoint.rpartition(":")[2])
        refused = accepts(port)
        receiver.accept()

        assert (refused, accepts(port)) == (False, True)
