"""The gRPC side of the receiver: carries out the answers as gRPC status codes. Nothing of gRPC is imported before it opens."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NoReturn

from otel_agentlog.export.transport.services import SERVICES
from otel_agentlog.testing.otlp.answers import Hang, Redirect, Refuse, Reset, SlowLoris
from otel_agentlog.testing.otlp.decode import REQUEST_TYPES, Export
from otel_agentlog.testing.otlp.http_server import response
from otel_agentlog.testing.otlp.incoming import LOOPBACK, Decision, Incoming

if TYPE_CHECKING:
    import grpc

    from otel_agentlog.testing.otlp.receiver import OtlpReceiver

_STATUS_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "UNIMPLEMENTED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_WORKERS = 16


class GrpcEndpoint:
    """Listens on one loopback port, which stays the same when it is closed and opened again."""

    def __init__(self, receiver: OtlpReceiver) -> None:
        self.port = 0
        self._receiver = receiver
        self._server: grpc.Server | None = None
        self._workers: ThreadPoolExecutor | None = None

    def open(self) -> None:
        """Start to accept connections."""
        import grpc

        if self._server is not None:
            return
        # No port sharing: a second server on the same port is an error, not a coin toss.
        options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._workers = ThreadPoolExecutor(_WORKERS)
        server = grpc.server(self._workers, options=options)
        server.add_generic_rpc_handlers(
            [
                grpc.method_handlers_generic_handler(
                    service,
                    {
                        "Export": grpc.unary_unary_rpc_method_handler(
                            self._export(signal),
                            request_deserializer=REQUEST_TYPES[signal].FromString,
                            response_serializer=lambda message: message.SerializeToString(),
                        )
                    },
                )
                for signal, service in SERVICES.items()
            ]
        )
        self.port = server.add_insecure_port(f"{LOOPBACK}:{self.port}")
        server.start()
        self._server = server

    def close(self) -> None:
        """Close the port and cut open connections."""
        server, self._server = self._server, None
        if server is not None:
            server.stop(grace=0).wait()
        if self._workers is not None:
            self._workers.shutdown(wait=False)

    def _export(self, signal: str) -> Callable[[Export, grpc.ServicerContext], Any]:
        def export(request: Export, context: grpc.ServicerContext) -> Any:
            size_bytes = request.ByteSize()
            headers = {str(key): str(value) for key, value in context.invocation_metadata()}
            try:
                decision = self._receiver.handle(Incoming("grpc", signal, request, headers, size_bytes, size_bytes))
            except ValueError as error:
                self._receiver.failed_to_decode(error)
                _abort(context, Refuse(400, body=repr(error).encode()))
            return self._carry_out(signal, decision, context)

        return export

    def _carry_out(self, signal: str, decision: Decision, context: grpc.ServicerContext) -> Any:
        answer = decision.answer
        if isinstance(answer, (Hang, SlowLoris)):
            self._receiver.hold(decision)
            _abort(context, Refuse(503))
        if isinstance(answer, Reset):
            _abort(context, Refuse(503, body=b"Connection reset by peer"))
        if isinstance(answer, Redirect):
            raise NotImplementedError("gRPC has no redirects")
        if isinstance(answer, Refuse):
            _abort(context, answer)
        return response(signal, answer)


def _abort(context: grpc.ServicerContext, refusal: Refuse) -> NoReturn:
    import grpc

    code = grpc.StatusCode[_STATUS_CODES[refusal.status]]
    details = refusal.body.decode() or code.name
    if "Retry-After" in refusal.headers:
        context.set_trailing_metadata((("grpc-status-details-bin", _details(code, details, refusal.headers["Retry-After"])),))
    context.abort(code, details)
    raise AssertionError("abort raises")


def _details(code: grpc.StatusCode, message: str, retry_after_s: str) -> bytes:
    from google.protobuf.any_pb2 import Any as AnyMessage
    from google.protobuf.duration_pb2 import Duration
    from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # no stubs exist
    from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # no stubs exist

    packed = AnyMessage()
    packed.Pack(RetryInfo(retry_delay=Duration(seconds=int(retry_after_s))))
    encoded: bytes = Status(code=code.value[0], message=message, details=[packed]).SerializeToString()
    return encoded
