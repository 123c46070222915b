"""The side that speaks gRPC. Messages come as bytes: compressed ones are unpacked here, within bounds, not by the library."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # no stubs exist
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # no stubs exist

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.export.transport.services import SERVICES
from otel_agentlog.tools.collect.intake import PROTOBUF, BusyError, Intake, MalformedError, MemoryBudget
from otel_agentlog.view.collect import answers

WORKERS = 8
"""Requests that are answered at a time; `CONCURRENT` may wait for that, any more are refused."""

CONCURRENT = 32
END_S = 5.0
"""Longest time, in seconds, that the end waits for requests under way."""

_GZIP = b"\x1f\x8b"
"""How gzip begins; no message of these services does: its first byte is that of field 1."""


class GrpcSide:
    """Listens at an address from its making to `stop`."""

    def __init__(
        self, intake: Intake, host: str, port: int, max_body_bytes: int, budget: MemoryBudget, say: Callable[[str], None]
    ) -> None:
        """The address is one that can be listened at: for one in use the library prints lines of its own, too.

        ``say`` gets what people have to know.
        """
        self._intake, self._max_body_bytes, self._budget, self._say = intake, max_body_bytes, budget, say
        options = [
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", max_body_bytes),
            ("grpc.per_message_decompression", 0),
        ]
        self._workers = ThreadPoolExecutor(WORKERS, "agentlog-collect-grpc")
        self._server = grpc.server(self._workers, options=options, maximum_concurrent_rpcs=CONCURRENT)
        for signal, service in SERVICES.items():
            handler: Any = grpc.unary_unary_rpc_method_handler(self._export(signal))
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
        name = f"[{host}]" if ":" in host and not host.startswith("[") else host
        self.port = self._server.add_insecure_port(f"{name}:{port}")
        self._server.start()

    def stop(self) -> None:
        """Take no more requests; those under way are answered."""
        self._server.stop(END_S).wait()
        self._workers.shutdown()

    def _export(self, signal: str) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        def export(body: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                with self._budget.share() as take:
                    take(len(body))
                    plain = answers.unpacked(body, "gzip" if body.startswith(_GZIP) else "", self._max_body_bytes, take)
                    message = answers.response(signal, self._intake.take(signal, PROTOBUF, plain))
            except answers.TooLargeError as error:
                self._refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
            except MalformedError as error:
                self._refuse(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
            except BusyError as error:
                context.set_trailing_metadata((("grpc-status-details-bin", _later(str(error))),))
                self._refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
            except Exception as error:  # noqa: BLE001 - whatever a body is made of; else it would be a code of the library's
                raise_interrupt()
                self._say(text := answers.unreadable(signal, error))
                self._refuse(context, grpc.StatusCode.INVALID_ARGUMENT, text)
            encoded: bytes = message.SerializeToString()
            return encoded

        return export

    def _refuse(self, context: Any, code: grpc.StatusCode, text: str) -> NoReturn:
        self._intake.refuse()
        context.abort(code, text)
        raise AssertionError("abort raises")


def _later(text: str) -> bytes:
    """The details by which a sender tries again, without which this code is final (OTLP 1.9, "OTLP/gRPC Throttling")."""
    packed = AnyMessage()
    packed.Pack(RetryInfo(retry_delay=Duration(seconds=answers.RETRY_AFTER_S)))
    code: int = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    details: bytes = Status(code=code, message=text, details=[packed]).SerializeToString()
    return details
