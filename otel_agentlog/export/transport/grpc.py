"""Sends OTLP over gRPC with a call of our own, because the official exporter returns only success or failure.

A channel is made from the standard settings; a status may carry a ``RetryInfo`` in its details. Imported only when something is
to be sent by gRPC.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # no stubs exist
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # no stubs exist

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.export.transport import otlp
from otel_agentlog.export.transport.headers import GRPC, headers_of
from otel_agentlog.export.transport.result import DELIVERED, SendResult, Verdict, grpc_result
from otel_agentlog.export.transport.services import SERVICES
from otel_agentlog.export.transport.suppression import suppressed_logging
from otel_agentlog.settings.parsers import Connection
from otel_agentlog.settings.version import __version__

_OPTIONS = (
    ("grpc.primary_user_agent", f"otel_agentlog/{__version__}"),
    # By default a channel that failed waits up to two minutes before it reconnects; our own backoff decides when to try.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_TOO_LARGE = re.compile(r"eceived message larger than max \((\d+) vs")


class GrpcSender:
    """Sends batches of one signal, ``traces`` or ``logs``."""

    def __init__(self, signal: str, endpoint: str, connection: Connection) -> None:
        self._signal, self._connection = signal, connection
        self._headers = tuple(headers_of(connection, GRPC).items())
        self._channel = _channel(endpoint, connection)
        self._export = _call(signal, self._channel)
        self._is_closed = False
        self.deadline: float | None = None
        """When the last request must be over, on the monotonic clock; ``None`` as long as the process does not end."""

    def send(self, batch: Sequence[Any]) -> SendResult:
        """Send spans or log records, once."""
        import grpc

        timeout_s = self._connection.timeout_s
        if self.deadline is not None:
            timeout_s = max(0.001, min(timeout_s, self.deadline - time.monotonic()))
        try:
            with suppressed_logging():
                request = otlp.encode(self._signal, batch)
        except Exception as error:  # noqa: BLE001 - encoders raise many kinds, and each is about something in the batch
            raise_interrupt()
            return SendResult(Verdict.REJECTED, "encoding", type(error).__name__)
        try:
            return otlp.read_message(self._signal, self._export(request, metadata=self._headers, timeout=timeout_s))
        except grpc.RpcError as error:
            return _result(error, len(request))
        except ValueError:
            raise_interrupt()
            if not self._is_closed:
                raise
            return SendResult(Verdict.LATER, "closed")

    def shutdown(self) -> None:
        """Close the connection; a request under way is given up, and one that comes after it is not made."""
        self._is_closed = True
        self._channel.close()


def _call(signal: str, channel: Any) -> Any:
    """What the official stub does, for a request that is bytes already."""
    return channel.unary_unary(f"/{SERVICES[signal]}/Export", response_deserializer=lambda body: otlp.response_of(signal, body))


def _channel(endpoint: str, connection: Connection) -> Any:
    import grpc

    parts = urlsplit(endpoint)
    compression = grpc.Compression.Gzip if connection.compression == "gzip" else grpc.Compression.NoCompression
    if parts.scheme == "http":
        return grpc.insecure_channel(parts.netloc, options=_OPTIONS, compression=compression)
    files = (connection.certificate, connection.client_key, connection.client_certificate)
    credentials = grpc.ssl_channel_credentials(*(None if file is None else Path(file).read_bytes() for file in files))
    return grpc.secure_channel(parts.netloc, credentials, options=_OPTIONS, compression=compression)


def _result(error: Any, request_bytes: int) -> SendResult:
    details = error.details() or ""
    complaint = _TOO_LARGE.search(details)
    if complaint is not None and int(complaint[1]) > request_bytes:
        # From our own side, about the response: the server has taken the batch, only its response was too large.
        return DELIVERED
    return grpc_result(error.code().name, details, _retry_delay_s(error))


def _retry_delay_s(error: Any) -> float | None:
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        try:
            return _delay_in(Status.FromString(value))
        except DecodeError:
            return None
    return None


def _delay_in(status: Any) -> float | None:
    info = RetryInfo()
    for detail in status.details:
        if detail.Unpack(info):
            return float(info.retry_delay.seconds) + float(info.retry_delay.nanos) / 1e9
    return None
