"""Sends over gRPC with the official encoders and stubs, because the official exporter says only yes or no.

Hides how a channel is made from the standard settings, and where a status keeps the wish to be left alone. Imported only when
something is to be sent by gRPC.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # no stubs exist
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # no stubs exist
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.util.re import parse_env_headers

from otel_agentlog._version import __version__
from otel_agentlog.export.transport import response as outcomes
from otel_agentlog.export.transport.quiet import quiet
from otel_agentlog.export.transport.response import Outcome, Verdict, read_message
from otel_agentlog.settings.parsers import Connection

_ENCODERS: dict[str, Callable[[Any], Any]] = {"traces": encode_spans, "logs": encode_logs}
_OPTIONS = (
    ("grpc.primary_user_agent", f"otel_agentlog/{__version__}"),
    # By default a channel that failed waits up to two minutes before it looks again; when to try is for us to say.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_TOO_LARGE = re.compile(r"eceived message larger than max \((\d+) vs")


class GrpcSender:
    """Sends batches of one signal, ``traces`` or ``logs``."""

    def __init__(self, signal: str, endpoint: str, connection: Connection) -> None:
        self._signal, self._connection = signal, connection
        self._encode = _ENCODERS[signal]
        self._headers = tuple(parse_env_headers(connection.headers, liberal=True).items())
        self._channel = _channel(endpoint, connection)
        self._stub = _stub(signal)(self._channel)
        self.until: float | None = None
        """When the last request must be over, on the monotonic clock."""

    def send(self, batch: Sequence[Any]) -> Outcome:
        """Send spans or log records of the SDK, once; what came of it."""
        import grpc

        timeout_s = self._connection.timeout_s
        if self.until is not None:
            timeout_s = max(0.001, min(timeout_s, self.until - time.monotonic()))
        try:
            with quiet():
                request = self._encode(batch)
        except Exception as error:  # noqa: BLE001 - encoders raise many kinds, and each is about something in the batch
            return Outcome(Verdict.REJECTED, "encoding", type(error).__name__)
        try:
            return read_message(self._signal, self._stub.Export(request, metadata=self._headers, timeout=timeout_s))
        except grpc.RpcError as error:
            return _outcome(error, request.ByteSize())

    def shutdown(self) -> None:
        """Let go of the connection; a request under way is given up."""
        self._channel.close()


def _stub(signal: str) -> Any:
    if signal == "traces":
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

        return TraceServiceStub
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub

    return LogsServiceStub


def _channel(endpoint: str, connection: Connection) -> Any:
    import grpc

    parts = urlsplit(endpoint)
    compression = grpc.Compression.Gzip if connection.compression == "gzip" else grpc.Compression.NoCompression
    if parts.scheme == "http":
        return grpc.insecure_channel(parts.netloc, options=_OPTIONS, compression=compression)
    files = (connection.certificate, connection.client_key, connection.client_certificate)
    credentials = grpc.ssl_channel_credentials(*(None if file is None else Path(file).read_bytes() for file in files))
    return grpc.secure_channel(parts.netloc, credentials, options=_OPTIONS, compression=compression)


def _outcome(error: Any, request_bytes: int) -> Outcome:
    details = error.details() or ""
    complaint = _TOO_LARGE.search(details)
    if complaint is not None and int(complaint[1]) > request_bytes:
        # Said by our own side, about the answer: the server has taken the batch, only what it had to say was too much.
        return outcomes.DELIVERED
    return outcomes.of_grpc(error.code().name, details, _retry_delay_s(error))


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
