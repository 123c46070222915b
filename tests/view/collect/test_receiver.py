"""The program `agentlog collect`, as senders meet it: every protocol, every refusal, `kill -9`, forwarding, its end."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # no stubs exist
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from otel_agentlog.settings.fields import load
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.testing.otlp.answers import Ok, Refuse
from otel_agentlog.testing.otlp.decode import decode_json, decode_request
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from otel_agentlog.tools.collect.intake import Intake, MemoryBudget
from otel_agentlog.view.collect.grpc_side import GrpcSide
from otel_agentlog.view.collect.http import HttpSide
from otel_agentlog.wiring.importing import part_cleaning
from tests.support.collector import Collector, find_collector
from tests.support.memory import peak_kib
from tests.support.receiving import RunningCollect, node_packages, trace_body
from tests.support.sdk_telemetry import providers
from tests.support.waiting import wait_until
from tests.tools.collect.collecting import spans_of
from tests.tools.imports.importing import tasks_of
from tests.tools.imports.samples import request, span

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCollect]:
    """One for all tests that do not end it."""
    with RunningCollect(tmp_path_factory.mktemp("collect"), "--max-body", "1MiB") as found:
        yield found


def task_of(running: RunningCollect, trace: int | str) -> TaskReader:
    """The task of a trace, as soon as it is filed."""
    name = f"trace-{trace:032x}" if isinstance(trace, int) else f"trace-{trace}"
    reader = TaskReader(running.root / name)
    wait_until(lambda: reader.final_result() is not None, f"task {name} in {running.log()}", timeout_s=60.0)
    return reader


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_exporters_of_python(running: RunningCollect, protocol: str) -> None:
    """A program with the plain SDK and nothing of ours."""
    exporter: SpanExporter = (
        HttpExporter(f"{running.url}/v1/traces") if protocol == "http" else GrpcExporter(running.grpc_url, insecure=True)
    )
    provider = TracerProvider(resource=Resource.create({"service.name": "plain"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("plain")
    with tracer.start_as_current_span("invoke_agent", attributes={"gen_ai.agent.name": protocol}) as root:
        usage = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 7}
        tracer.start_span("chat gpt-4o", attributes=usage).end()
    provider.shutdown()

    task = task_of(running, f"{root.get_span_context().trace_id:032x}")
    assert ((task.final_result() or {})["metrics"]["input_tokens"], (task.metadata() or {})["assigned_agent"]) == (7, protocol)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_logs_and_metrics_of_the_exporters_of_python(running: RunningCollect, protocol: str) -> None:
    """A session of log records and data points, and a log record of a trace; with gzip over http."""
    endpoint, session = running.url if protocol == "http" else running.grpc_url, {"session.id": f"exporters-{protocol}"}
    with providers(protocol, endpoint, resource={"service.name": "plain"}) as sender:
        record = LogRecord(severity_number=SeverityNumber.WARN, body="it is late", attributes={"files": 3, **session})
        sender.logger.get_logger("app").emit(record)
        meter = sender.meter.get_meter("app")
        counter = meter.create_counter("requests", unit="1")
        counter.add(2, session)
        meter.create_histogram("took", unit="s").record(1.5, session)
        sender.meter.force_flush()
        counter.add(3, session)
        with sender.tracer.get_tracer("app").start_as_current_span("agent") as root:
            sender.logger.get_logger("app").emit(LogRecord(body="in a trace"))

    inside = task_of(running, f"{root.get_span_context().trace_id:032x}")
    wait_until(lambda: "in a trace" in _messages(inside), "the record of the trace", timeout_s=60.0)
    found = TaskReader(running.root / f"session-exporters-{protocol}")
    wait_until(lambda: {"it is late", "requests", "took"} <= _messages(found).keys(), "the session", timeout_s=60.0)
    lines = _messages(found)
    assert (lines["it is late"]["level"], lines["it is late"]["details"]["files"]) == ("WARNING", 3)
    wait_until(lambda: _messages(found)["requests"]["details"]["value"] == 5, "the last report of the sum", timeout_s=60.0)
    assert (lines["took"]["details"]["sum"], lines["took"]["details"]["kind"], lines["took"]["details"]["unit"]) == (
        1.5,
        "histogram",
        "s",
    )


def _messages(task: TaskReader) -> dict[str, Any]:
    """The log lines of a task, by what they say."""
    return {str(line["message"]): line for line in task.events() if line.get("type") == "log"}


@pytest.mark.parametrize("kind", ["http", "proto", "grpc"])
def test_the_sdk_of_node(running: RunningCollect, kind: str) -> None:
    """The example of the page, which has nothing of ours either: JSON, protobuf, gRPC."""
    packages = node_packages()
    if packages is None:
        pytest.skip("npm, or the packages of OpenTelemetry for Node, are not there: NODE IS NOT TRIED")
    shutil.copy(EXAMPLES / "collected_agent.js", packages / "collected_agent.js")
    endpoint = running.grpc_url if kind == "grpc" else running.url
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    done = subprocess.run(
        ["node", "collected_agent.js", kind], cwd=packages, env=env, capture_output=True, text=True, timeout=60, check=True
    )

    task = task_of(running, done.stdout.strip())
    metrics = (task.final_result() or {})["metrics"]
    assert (metrics["ai_calls"], metrics["tool_runs"], metrics["input_tokens"], metrics["output_tokens"]) == (2, 1, 320, 96)
    assert (task.metadata() or {})["session_id"] == "conversation-7"


@pytest.mark.collector
def test_the_real_collector_as_sender(running: RunningCollect, tmp_path: Path) -> None:
    """By gRPC with gzip, as it sends by default."""
    binary = find_collector()
    if binary is None:
        pytest.skip("no collector")
    netloc = urlsplit(running.grpc_url).netloc
    with Collector(binary, tmp_path, extra_config=_COLLECTOR.format(netloc=netloc)) as collector:
        connection = RunningCollect(tmp_path / "unused")
        connection.where = {"url": collector.http_endpoint}
        assert connection.post(trace_body(77))[0] == 200
        task = task_of(running, 77)
    assert len(spans_of(task)) == 3


_COLLECTOR = """
exporters:
  otlp/collect:
    endpoint: {netloc}
    tls:
      insecure: true
service:
  pipelines:
    traces/collect:
      receivers: [otlp]
      exporters: [otlp/collect]
"""


# -- refusals -----------------------------------------------------------------------------------------------------------------


def test_what_is_refused_over_http(running: RunningCollect) -> None:
    """With the status of the specification, and a message that says what was expected."""
    body = trace_body(1)
    assert running.post(body, "/v2/traces")[0] == 404
    assert running.post(b"", method="GET")[0] == 405
    assert running.post(body, Content_Type="text/plain")[0] == 415
    assert running.post(body, Content_Encoding="zstd")[0] == 415
    assert running.post(body, Origin="http://evil.example")[0] == 403
    assert running.post(b"\xff\xff", Content_Encoding="gzip")[0] == 400
    assert running.post(gzip.compress(body)[:-9], Content_Encoding="gzip")[0] == 400
    status, headers, answer = running.post(b"\xff\xff")
    assert (status, headers["Content-Type"]) == (400, "application/x-protobuf")
    assert "in protobuf" in Status.FromString(answer).message
    status, headers, answer = running.post(b"{", Content_Type="application/json")
    assert (status, headers["Content-Type"], "JSON" in json.loads(answer)["message"]) == (400, "application/json", True)
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(bomb.compress(bytes(MIB)) for _ in range(64)) + bomb.flush()
    assert running.post(packed, Content_Encoding="gzip")[0] == 413
    assert running.post(gzip.compress(body) + gzip.compress(b""), Content_Encoding="gzip")[0] == 200
    assert running.post(gzip.compress(b"") * 50_000, Content_Encoding="gzip")[0] == 400


def test_part_of_a_request(running: RunningCollect) -> None:
    """What cannot be used is told as a partial success, in the form of the request."""
    body = json.dumps(request(span(1, trace=f"{91:032x}"), {**span(2), "traceId": "poison"})).encode()
    status, _, answer = running.post(body, Content_Type="application/json")
    told = json.loads(answer)["partialSuccess"]
    assert (status, told["rejectedSpans"], "poison" in told["errorMessage"]) == (200, "1", True)
    task_of(running, 91)


_POINT = {
    "timeUnixNano": "1790000000000000000",
    "asInt": "1",
    "startTimeUnixNano": "1",
    "attributes": [_PAIR := {"key": "k", "value": {"kvlistValue": {"values": [{"key": "a", "value": {"intValue": "1"}}]}}}],
}
_LOG = {
    "timeUnixNano": "1790000000000000000",
    "severityNumber": 9,
    "body": {"stringValue": "b"},
    "attributes": [_PAIR],
    "traceId": f"{9:032x}",
    "spanId": f"{9:016x}",
}
_SPAN = {
    **span(7, trace=f"{98:032x}"),
    "kind": 3,
    "flags": 1,
    "attributes": [_PAIR],
    "status": {"code": 2, "message": "m"},
    "events": [{"timeUnixNano": "1790000000000000000", "name": "e", "attributes": [_PAIR]}],
    "links": [{"traceId": f"{9:032x}", "spanId": f"{9:016x}"}],
}
_RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "s"}}]}
_SCOPE = {"name": "scope", "version": "1", "attributes": [_PAIR]}
_WHOLE: dict[str, Any] = {
    "traces": {"resourceSpans": [{"resource": _RESOURCE, "scopeSpans": [{"scope": _SCOPE, "spans": [_SPAN]}]}]},
    "logs": {"resourceLogs": [{"resource": _RESOURCE, "scopeLogs": [{"scope": _SCOPE, "logRecords": [_LOG]}]}]},
    "metrics": {
        "resourceMetrics": [
            {
                "resource": _RESOURCE,
                "scopeMetrics": [
                    {
                        "scope": _SCOPE,
                        "metrics": [
                            {"name": "m", "unit": "u", "sum": {"aggregationTemporality": 2, "dataPoints": [_POINT]}},
                            {
                                "name": "h",
                                "histogram": {
                                    "dataPoints": [
                                        {**_POINT, "count": "2", "sum": 1.5, "bucketCounts": ["1", "1"], "explicitBounds": [1]}
                                    ]
                                },
                            },
                        ],
                    }
                ],
            }
        ]
    },
}


def _paths(value: Any) -> Iterator[tuple[str | int, ...]]:
    """Where in a JSON value something stands, itself first."""
    yield ()
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from ((key, *path) for path in _paths(each))


def _body(signal: str, path: tuple[str | int, ...], value: str) -> bytes:
    """The request of a signal with another value, in JSON, at a place."""
    return json.dumps(_with(_WHOLE[signal], path, "@@")).replace('"@@"', value).encode()


def _with(value: Any, path: tuple[str | int, ...], other: Any) -> Any:
    if not path:
        return other
    if isinstance(value, list):
        return [_with(each, path[1:], other) if number == path[0] else each for number, each in enumerate(value)]
    return {key: _with(each, path[1:], other) if key == path[0] else each for key, each in value.items()}


_PLACES = [(signal, path) for signal, whole in _WHOLE.items() for path in _paths(whole)]
_SIMPLE = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
_ANY_JSON = st.recursive(
    _SIMPLE, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
)


_STRANGE = [
    *("[" * depth + "]" * depth for depth in (40, 300, 900)),
    f'"{"9" * 5000}"',
    "1" + "0" * 400,
    "1e400",
    '{"a":' * 300 + "1" + "}" * 300,
]
_START = ("resourceMetrics", 0, "scopeMetrics", 0, "metrics", 0, "sum", "dataPoints", 0, "startTimeUnixNano")


@given(st.sampled_from(_PLACES), _ANY_JSON.map(json.dumps) | st.sampled_from(_STRANGE))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(("metrics", _START), _STRANGE[1])
@example(("traces", ("resourceSpans", 0, "scopeSpans", 0, "spans", 0, "kind")), _STRANGE[2])
@example(("traces", ("resourceSpans", 0, "scopeSpans", 0, "spans", 0, "traceId")), _STRANGE[2])
def test_whatever_stands_in_a_request_is_no_error_of_ours(
    running: RunningCollect, place: tuple[str, tuple[str | int, ...]], value: str
) -> None:
    """A status that says to come again, or none of the specification, would make a sender drop or repeat all of it."""
    body = _body(*place, value)
    assert running.post(body, f"/v1/{place[0]}", Content_Type="application/json")[0] in (200, 400), body


def test_a_point_with_a_start_that_is_no_time_costs_no_other_one(running: RunningCollect) -> None:
    """It is taken, as its own time is what counts."""
    assert running.post(_body("metrics", _START, _STRANGE[1]), "/v1/metrics", Content_Type="application/json")[0] == 200


def test_an_error_of_ours_is_told_and_final(running: RunningCollect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Over http and gRPC: 400 and ``INVALID_ARGUMENT``, and a line for people that has nothing of the request."""
    said: list[str] = []
    taking = Intake(tmp_path, part_cleaning(load({})), forwards=False, max_spool_bytes=1 << 30, forwarding=lambda: None)

    def fail(*given: object) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(taking, "take", fail)
    budget = MemoryBudget(MIB)
    listener = socket.create_server(("127.0.0.1", 0))
    http_side = HttpSide(taking, listener, MIB, budget, said.append)
    grpc_side = GrpcSide(taking, "127.0.0.1", 0, MIB, budget, said.append)
    here = RunningCollect(tmp_path / "here")
    here.where = {"url": http_side.url, "grpc_url": f"http://127.0.0.1:{grpc_side.port}"}
    try:
        assert here.post(trace_body(1))[0] == 400
        with pytest.raises(grpc.RpcError) as raised:
            _export(here, trace_body(1))
        assert raised.value.code().name == "INVALID_ARGUMENT"
    finally:
        http_side.stop()
        grpc_side.stop()
        taking.close()
    assert said == ["a request of traces was refused, as it cannot be read: KeyError"] * 2


def test_a_body_of_a_gibibyte_takes_no_memory(running: RunningCollect) -> None:
    """Neither one that says how long it is, nor one in chunks without end."""
    before = peak_kib(running.pid)
    for head in ("Content-Length: 1073741824\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"):
        sent, answer = _pour(running, head)
        assert answer.startswith(b"HTTP/1.1 413") or (not answer and sent < 256 * MIB), (sent, answer[:100])
    assert peak_kib(running.pid) - before < 30_000
    assert running.post(trace_body(2))[0] == 200


def _pour(running: RunningCollect, head: str) -> tuple[int, bytes]:
    """Send up to 1 GiB; how much went out, and the beginning of the answer."""
    parts = urlsplit(running.url)
    sent, piece = 0, bytes(MIB)
    chunk = b"100000\r\n" + piece + b"\r\n" if "chunked" in head else piece
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=30) as connection:
        connection.sendall(f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n{head}".encode())
        try:
            while sent < 1024 * MIB:
                connection.sendall(chunk)
                sent += len(piece)
        except OSError:
            pass
        try:
            return sent, connection.recv(4096)
        except OSError:
            return sent, b""


def _export(running: RunningCollect, body: bytes, **options: Any) -> bytes:
    """One call of gRPC with these bytes."""
    with grpc.insecure_channel(urlsplit(running.grpc_url).netloc) as channel:
        call = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        answer: bytes = call(body, timeout=30, **options)
        return answer


def test_what_is_refused_over_grpc(running: RunningCollect) -> None:
    """Too long on the wire, too long unpacked, no request at all; and what is packed is taken."""
    codes = []
    bomb = ExportTraceServiceRequest()
    bomb.resource_spans.add().scope_spans.add().scope.name = "x" * 4 * MIB
    packed: dict[str, Any] = {"compression": grpc.Compression.Gzip}
    for body, more in ((bytes(2 * MIB), {}), (bomb.SerializeToString(), packed), (b"\xff\xff", {})):
        with pytest.raises(grpc.RpcError) as raised:
            _export(running, body, **more)
        codes.append(raised.value.code().name)
    assert codes == ["RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"]

    answer = _export(running, trace_body(3), compression=grpc.Compression.Gzip)
    assert not ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans
    task_of(running, 3)


def test_a_port_in_use_is_an_error_of_one_line(running: RunningCollect, tmp_path: Path) -> None:
    """So is a URL to forward to that cannot be used."""
    grpc_port = str(urlsplit(running.grpc_url).port)
    for words in (
        ["--port", "0", "--grpc-port", grpc_port],
        ["--port", "0", "--grpc-port", "0", "--forward", "nowhere"],
    ):
        command = [sys.executable, "-m", "otel_agentlog", "--root", str(tmp_path), "collect", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


# -- nothing acknowledged is lost -----------------------------------------------------------------------------------------------


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Killed five times while two senders send; what was acknowledged is in valid folders, once.

    `benchmarks/collect.py` kills it a hundred times.
    """
    acknowledged: set[int] = set()
    running = RunningCollect(tmp_path)
    for round_number in range(5):
        running.start()
        threads = [
            threading.Thread(target=_send_until_it_fails, args=(running, 1 + round_number * 20_000 + each * 10_000, acknowledged))
            for each in range(2)
        ]
        for thread in threads:
            thread.start()
        first = 1 + round_number * 20_000
        wait_until(lambda first=first: any(each >= first for each in [*acknowledged]), "an acknowledgement", timeout_s=60.0)
        time.sleep(random.uniform(0.0, 0.6))
        running.kill()
        for thread in threads:
            thread.join()
    assert acknowledged

    command = [sys.executable, "-m", "otel_agentlog", "--root", str(running.root), "recover"]
    subprocess.run(command, timeout=110, check=True)
    tasks = {task.task_id: task for task in tasks_of(running.root)}
    assert {f"trace-{trace:032x}" for trace in acknowledged} <= tasks.keys()
    assert {len(spans_of(task)) for task in tasks.values()} == {3}
    assert all(len(set(spans_of(task))) == 3 for task in tasks.values())


def _send_until_it_fails(running: RunningCollect, first: int, acknowledged: set[int]) -> None:
    trace = first
    try:
        while running.post(trace_body(trace), timeout_s=20)[0] == 200:
            acknowledged.add(trace)
            trace += 1
    except OSError:
        return
    except Exception:
        return


def test_a_full_spool_sends_senders_away_and_the_end_files_everything(tmp_path: Path) -> None:
    """429 with ``Retry-After``, ``RESOURCE_EXHAUSTED`` with a ``RetryInfo``; SIGTERM: also what would still be waited for."""
    with RunningCollect(tmp_path, "--max-spool", "1") as running:
        # Messages of one type one behind the other are one.
        assert running.post(trace_body(1) + trace_body(2, root=False))[0] == 200
        status, headers, _ = running.post(trace_body(3))
        assert (status, headers["Retry-After"]) == (429, "5")
        with pytest.raises(grpc.RpcError) as raised:
            _export(running, trace_body(3))
        details = dict(raised.value.trailing_metadata())
        assert raised.value.code().name == "RESOURCE_EXHAUSTED"
        assert Status.FromString(details["grpc-status-details-bin"]).details[0].type_url.endswith("RetryInfo")
        told = running.stop()
    assert (told["spans"], told["refused_requests"], told["filed"]["tasks"], told["filed"]["problems"]) == (5, 2, 2, {})
    found = {task.task_id[-1]: (task.metadata() or {})["status"] for task in tasks_of(running.root)}
    assert found == {"1": "completed", "2": "interrupted"}


def test_the_filer_is_started_anew(running: RunningCollect) -> None:
    """Should somebody kill the process that files, another one goes on."""
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    filer = wait_until(lambda: children.read_text().split(), "the filer")[0]
    os.kill(int(filer), 9)
    assert running.post(trace_body(31))[0] == 200
    task_of(running, 31)
    assert "was started anew" in running.log()


def test_a_service_that_is_stopped_files_everything(tmp_path: Path) -> None:
    """By SIGTERM to all of its processes at once, as systemd sends it: that which files ends last."""
    with RunningCollect(tmp_path) as running:
        assert running.post(trace_body(1))[0] == 200
        task_of(running, 1)
        filer = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()[0]
        assert running.post(trace_body(2, root=False))[0] == 200
        os.kill(int(filer), signal.SIGTERM)
        told = running.stop()
    assert told["filed"] is not None, running.log()
    assert (told["filed"]["tasks"], told["filed"]["problems"]) == (2, {})


@pytest.mark.parametrize("command", ["filer", "recover"])
def test_a_spool_that_cannot_be_read_is_told_in_one_line(tmp_path: Path, command: str) -> None:
    """By the process that files, which waits for its end at the time, and by recovery, which goes on."""
    spool = tmp_path / ".collect" / "spool.db"
    spool.parent.mkdir(mode=0o700)
    spool.write_bytes(b"no database, but long enough to be taken for one" * 100)
    filer = ["-m", "otel_agentlog.view.collect.filer", str(tmp_path), "1", "1", "1", "1"]
    words = filer if command == "filer" else ["-m", "otel_agentlog", "--root", str(tmp_path), "recover"]
    with subprocess.Popen(
        [sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.wait(60) == 1
        assert process.stderr is not None
        told = process.stderr.read().decode().splitlines()
    assert len(told) == 1
    assert "file is not a database" in told[0]


def test_serve_collects_too(tmp_path: Path) -> None:
    """The page and the receiver in one process; both end by one signal."""
    with RunningCollect(tmp_path, command="serve") as running:
        assert running.post(trace_body(1))[0] == 200
        told = running.stop()
    assert told["filed"]["tasks"] == 1
    assert len(tasks_of(running.root)) == 1


# -- forwarding --------------------------------------------------------------------------------------------------------------


def test_what_is_forwarded_equals_what_came(tmp_path: Path) -> None:
    """Of every protocol, while the further collector is down and after a kill; what it refuses for good stops nothing."""
    note = f"sk-proj-{'a1B2' * 10}"
    bodies = [trace_body(number, note=note) for number in range(1, 5)]
    as_json = json.dumps(request(span(9, trace=f"{9:032x}"))).encode()
    with OtlpReceiver() as further:
        further.answer = Refuse(503)
        running = RunningCollect(tmp_path, "--forward", further.http_endpoint)
        running.start()
        assert running.post(bodies[0])[0] == 200
        _export(running, bodies[1])
        assert running.post(gzip.compress(bodies[2]), Content_Encoding="gzip")[0] == 200
        assert running.post(as_json, Content_Type="application/json")[0] == 200
        running.kill()
        further.answer = Ok()
        further.answer_next(Refuse(400))
        running.start()
        assert running.post(bodies[3])[0] == 200
        further.wait_for(lambda got: len(got.spans()) >= 10, "what is forwarded", timeout_s=60.0)
        told = running.stop()
        got = further.spans()

    assert told["forwarded"] == 4
    wanted = [decode_request(ExportTraceServiceRequest.FromString(body)) for body in (bodies[1], bodies[2])]
    wanted += [decode_json("traces", as_json), decode_request(ExportTraceServiceRequest.FromString(bodies[3]))]
    assert got == [item for items in wanted for item in items]
    files = [path for path in running.root.rglob("*") if path.is_file() and ".collect" not in path.parts]
    assert [path for path in files if note.encode() in path.read_bytes()] == []
    assert "not forwarded: http_400" in running.log()
