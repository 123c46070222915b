"""The gRPC side of the in-test OTLP receiver: carries out the answers as gRPC status codes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # no stubs exist
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # no stubs exist
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

from tests.support.otlp.answers import Hang, Redirect, Refuse, Reset, SlowLoris
from tests.support.otlp.decode import Export
from tests.support.otlp.http_server import response
from tests.support.otlp.incoming import Incoming, Verdict
from tests.support.ports import LOOPBACK, free_ports

if TYPE_CHECKING:
    from tests.support.otlp.receiver import OtlpReceiver

_STATUS_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.UNIMPLEMENTED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    502: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_WORKERS = 16


class GrpcFront:
    """Listens on one loopback port, which stays the same when it is closed and opened again."""

    def __init__(self, receiver: OtlpReceiver) -> None:
        self.port = 0
        self._receiver = receiver
        self._server: grpc.Server | None = None
        self._workers: ThreadPoolExecutor | None = None

    def open(self) -> None:
        """Start to accept connections."""
        if self._server is None:
            # No port sharing: a second server on the same port is an error, not a coin toss.
            options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
            self._workers = ThreadPoolExecutor(_WORKERS)
            server = grpc.server(self._workers, options=options)
            for signal, (register, servicer) in _SERVICES.items():
                register(servicer(self._receiver, signal), server)
            self.port = server.add_insecure_port(f"{LOOPBACK}:{self.port or free_ports(1)[0]}")
            server.start()
            self._server = server

    def close(self) -> None:
        """Close the port and cut open connections."""
        server, self._server = self._server, None
        if server is not None:
            server.stop(grace=0).wait()
        if self._workers is not None:
            self._workers.shutdown(wait=False)


class _Exports:
    """One of the three OTLP services; all have the one method ``Export``."""

    def __init__(self, receiver: OtlpReceiver, signal: str) -> None:
        self._receiver = receiver
        self._signal = signal

    def Export(self, request: Export, context: grpc.ServicerContext) -> Any:
        size_bytes = request.ByteSize()
        headers = {str(key): str(value) for key, value in context.invocation_metadata()}
        try:
            verdict = self._receiver.handle(Incoming("grpc", self._signal, request, headers, size_bytes, size_bytes))
        except ValueError as error:
            self._receiver.failed_to_decode(error)
            _abort(context, Refuse(400, body=repr(error).encode()))
        return self._carry_out(verdict, context)

    def _carry_out(self, verdict: Verdict, context: grpc.ServicerContext) -> Any:
        answer = verdict.answer
        if isinstance(answer, (Hang, SlowLoris)):
            self._receiver.hold(verdict)
            _abort(context, Refuse(503))
        if isinstance(answer, Reset):
            _abort(context, Refuse(503, body=b"Connection reset by peer"))
        if isinstance(answer, Redirect):
            raise NotImplementedError("gRPC has no redirects")
        if isinstance(answer, Refuse):
            _abort(context, answer)
        return response(self._signal, answer)


def _abort(context: grpc.ServicerContext, refusal: Refuse) -> NoReturn:
    code = _STATUS_CODES[refusal.status]
    details = refusal.body.decode() or code.name
    if "Retry-After" in refusal.headers:
        status = Status(code=code.value[0], message=details, details=[_retry_info(refusal.headers["Retry-After"])])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, details)
    raise AssertionError("abort raises")


def _retry_info(retry_after_s: str) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(RetryInfo(retry_delay=Duration(seconds=int(retry_after_s))))
    return packed


class _Traces(_Exports, trace_service_pb2_grpc.TraceServiceServicer): ...


class _Logs(_Exports, logs_service_pb2_grpc.LogsServiceServicer): ...


class _Metrics(_Exports, metrics_service_pb2_grpc.MetricsServiceServicer): ...


_SERVICES: dict[str, tuple[Any, type[_Exports]]] = {
    "traces": (trace_service_pb2_grpc.add_TraceServiceServicer_to_server, _Traces),
    "logs": (logs_service_pb2_grpc.add_LogsServiceServicer_to_server, _Logs),
    "metrics": (metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server, _Metrics),
}
