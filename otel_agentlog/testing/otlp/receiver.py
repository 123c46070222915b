"""An OTLP receiver inside the test: http (protobuf and JSON, gzip) and gRPC, with faults that can be set while it runs.

It keeps what it really ingested, *the receiver's truth*, apart from what it answered: after `Reset(ingest=True)` the items are
there although the sender saw a failure. Shapes of items: ``decode.py``. All methods may be called from any thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType

from otel_agentlog.testing.otlp.answers import Answer, Ok, Refuse, ingested, settle
from otel_agentlog.testing.otlp.decode import decode_request
from otel_agentlog.testing.otlp.grpc_server import GrpcEndpoint
from otel_agentlog.testing.otlp.http_server import HttpEndpoint
from otel_agentlog.testing.otlp.incoming import LOOPBACK, Decision, Incoming
from otel_agentlog.testing.otlp.values import Item


@dataclass(frozen=True)
class ReceivedRequest:
    """One request as it came in, whatever was answered."""

    protocol: str
    """``http/protobuf``, ``http/json`` or ``grpc``."""
    signal: str
    """``traces``, ``logs`` or ``metrics``."""
    items: tuple[Item, ...]
    answer: Answer
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case; over gRPC the metadata."""
    wire_bytes: int
    """Size on the wire (compressed, if it was); over gRPC the size of the message."""


class OtlpReceiver:
    """A running receiver on free loopback ports; a context manager.

    Set ``answer`` at any time, or queue answers for the next requests with `answer_next`. Leaving the context raises if a
    request could not be decoded, so that a sender's bug cannot hide.
    """

    def __init__(self, *, max_body_bytes: int | None = None) -> None:
        self.max_body_bytes = max_body_bytes
        """Larger requests get 413 (gRPC: ``RESOURCE_EXHAUSTED``); measured after decompression. ``None``: no limit."""
        self._changed = threading.Condition()
        self._answer: Answer = Ok()
        self._next: deque[Answer] = deque()
        self._epoch = 0
        self._closed = self._accepting = False
        self._ingested: dict[str, list[Item]] = {"traces": [], "logs": [], "metrics": []}
        self._requests: list[ReceivedRequest] = []
        self._errors: list[str] = []
        self._http = HttpEndpoint(self)
        self._grpc = GrpcEndpoint(self)

    def __enter__(self) -> OtlpReceiver:
        self.accept()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()
        if error is None and self._errors:
            raise AssertionError(f"requests that could not be decoded: {self._errors}")

    # --- where it listens ---

    @property
    def http_endpoint(self) -> str:
        """Base URL for OTLP over http."""
        return f"http://{LOOPBACK}:{self._http.port}"

    @property
    def grpc_endpoint(self) -> str:
        """URL for OTLP over gRPC, without TLS. It listens there from the first time on that this is asked."""
        if not self._grpc.port:
            self._grpc.open()
            if not self._accepting:
                self._grpc.close()
        return f"http://{LOOPBACK}:{self._grpc.port}"

    def accept(self) -> None:
        """Listen, on the same ports as before if it did before."""
        self._accepting = True
        self._http.open()
        if self._grpc.port:
            self._grpc.open()

    def refuse(self) -> None:
        """Close the ports, so that connecting fails, and cut open connections; `accept` opens them again."""
        self._accepting = False
        self._release()
        self._http.close()
        self._grpc.close()

    def stop(self) -> None:
        """Close for good and let go of hanging requests."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.refuse()
        self._http.free()

    # --- how it answers ---

    @property
    def answer(self) -> Answer:
        """How requests are answered from now on, once the answers of `answer_next` are used up."""
        return self._answer

    @answer.setter
    def answer(self, answer: Answer) -> None:
        with self._changed:
            self._answer = answer
        self._release()

    def answer_next(self, *answers: Answer) -> None:
        """Answers for the next requests, one each, in this order."""
        with self._changed:
            self._next.extend(answers)

    # --- what it got ---

    def spans(self) -> list[Item]:
        """All spans ingested."""
        return self._items("traces")

    def log_records(self) -> list[Item]:
        """All log records ingested."""
        return self._items("logs")

    def metrics(self) -> list[Item]:
        """All metrics ingested, every export of each."""
        return self._items("metrics")

    def requests(self, signal: str | None = None) -> list[ReceivedRequest]:
        """All requests that came in, refused ones too, optionally of one signal only."""
        with self._changed:
            return [request for request in self._requests if signal in (None, request.signal)]

    def wait_for(self, check: Callable[[OtlpReceiver], object], what: str = "telemetry", *, timeout_s: float = 15.0) -> None:
        """Wait until ``check`` of this receiver is true; it is asked after every request.

        Raises:
            AssertionError: it was still false after ``timeout_s``.
        """
        with self._changed:
            arrived = self._changed.wait_for(lambda: bool(check(self)), timeout_s)
        if not arrived:
            counts = {signal: len(items) for signal, items in self._ingested.items()}
            raise AssertionError(f"waited {timeout_s} s for {what} in the receiver; {len(self._requests)} requests, {counts}")

    # --- for the fronts: one call per request, and one to be held up ---

    def handle(self, incoming: Incoming) -> Decision:
        """Record a request, ingest what its answer says, and return the answer to carry out."""
        items = decode_request(incoming.export)
        with self._changed:
            answer = self._choose(incoming, items)
            request = ReceivedRequest(
                incoming.protocol, incoming.signal, tuple(items), answer, incoming.headers, incoming.wire_bytes
            )
            self._requests.append(request)
            self._ingested[incoming.signal].extend(ingested(answer, items))
            self._changed.notify_all()
            return Decision(answer, self._epoch)

    def failed_to_decode(self, error: Exception) -> None:
        """Remember a request that was no OTLP; leaving the context will raise."""
        with self._changed:
            self._errors.append(repr(error))

    def hold(self, decision: Decision, timeout_s: float | None = None) -> bool:
        """Wait until the receiver closes or was given another answer since, or for ``timeout_s``; true if it is over."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed or self._epoch != decision.epoch, timeout_s)

    def _choose(self, incoming: Incoming, items: list[Item]) -> Answer:
        if self.max_body_bytes is not None and incoming.body_bytes > self.max_body_bytes:
            return Refuse(413, body=b"too large")
        return settle(self._next.popleft() if self._next else self._answer, items)

    def _release(self) -> None:
        with self._changed:
            self._epoch += 1
            self._changed.notify_all()

    def _items(self, signal: str) -> list[Item]:
        with self._changed:
            return list(self._ingested[signal])
