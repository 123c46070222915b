"""What came of one request to a collector, told apart as far as the protocol lets us know.

Hides the status codes of both protocols behind a few verdicts. The rules are those of the OTLP specification 1.9, "Failures",
with one addition: where it says that the client must drop what was not taken, only a record that was itself refused is dropped
here. Everything else stays in its task's folder and waits for a collector that takes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

MAX_RETRY_AFTER_S = 300.0
"""Longest time, in seconds, that a server's wish to be left alone is honoured; what waits is safe in the folder meanwhile."""

MAX_MESSAGE_CHARACTERS = 200


class Verdict(Enum):
    """What to do next."""

    DELIVERED = "delivered"
    """The collector has it (but for `Outcome.rejected` items)."""
    REJECTED = "rejected"
    """The data is refused for good; where it is a batch, by something in it."""
    TOO_LARGE = "too_large"
    """The request is larger than the collector takes."""
    BROKEN = "broken"
    """The collector failed over it, for a reason that may lie in the data or not; not to be sent again soon."""
    LATER = "later"
    """Nobody there, no time, or no answer: it may have arrived or not. To be sent again."""
    REFUSED = "refused"
    """Whoever is there takes nothing as things stand (wrong address, no permission); not to be sent again soon."""


@dataclass(frozen=True)
class Outcome:
    """What came of one request."""

    verdict: Verdict
    reason: str
    """One of a few words, for counters: ``http_503``, ``grpc_unavailable``, ``timeout``, ``connection`` …"""
    message: str = ""
    """What the collector said, shortened."""
    retry_after_s: float | None = None
    """How long, in seconds, the collector asked to be left alone; between 0 and `MAX_RETRY_AFTER_S`."""
    rejected: int = 0
    """With `Verdict.DELIVERED`: how many items were not taken. The protocol does not say which."""

    @property
    def answered(self) -> bool:
        """Whether a server was there to answer, so that waiting for a moment is worth while."""
        return self.verdict is not Verdict.LATER or self.reason not in ("timeout", "connection", "export_failed")


DELIVERED = Outcome(Verdict.DELIVERED, "ok")
UNTRIED = Outcome(Verdict.LATER, "untried")
"""What is said of the rest of a batch that took too long, or too many requests."""

_HTTP: Mapping[int, Verdict] = {
    400: Verdict.REJECTED,
    408: Verdict.LATER,
    413: Verdict.TOO_LARGE,
    422: Verdict.REJECTED,
    425: Verdict.LATER,
    429: Verdict.LATER,
    502: Verdict.LATER,
    503: Verdict.LATER,
    504: Verdict.LATER,
}
_HTML = "text/html"


def of_http(status: int, headers: Mapping[str, str], body: bytes, now_s: float) -> Outcome:
    """The outcome of an answer over http that is no success; ``headers`` know no case, ``now_s`` is Unix time."""
    verdict = _HTTP.get(status, Verdict.BROKEN if status >= 500 else Verdict.REFUSED)
    if verdict is Verdict.REJECTED and headers.get("Content-Type", "").startswith(_HTML):
        # A web server or proxy that does not know what to do with us has not judged the data.
        verdict = Verdict.REFUSED
    retry_after_s = retry_after(headers.get("Retry-After"), now_s) if verdict is Verdict.LATER else None
    return Outcome(verdict, f"http_{status}", said(body), retry_after_s)


def is_foreign(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a success comes from something that speaks no OTLP, such as the sign-in page of a network."""
    return bool(body) and headers.get("Content-Type", "").startswith(_HTML)


_GRPC: Mapping[str, Verdict] = {
    "CANCELLED": Verdict.LATER,
    "DEADLINE_EXCEEDED": Verdict.LATER,
    "ABORTED": Verdict.LATER,
    "OUT_OF_RANGE": Verdict.LATER,
    "UNAVAILABLE": Verdict.LATER,
    "DATA_LOSS": Verdict.LATER,
    "RESOURCE_EXHAUSTED": Verdict.LATER,
    "INVALID_ARGUMENT": Verdict.REJECTED,
    "INTERNAL": Verdict.BROKEN,
    "UNKNOWN": Verdict.BROKEN,
}


def of_grpc(code: str, details: str, retry_delay_s: float | None) -> Outcome:
    """The outcome of a gRPC status that is not OK."""
    verdict = _GRPC.get(code, Verdict.REFUSED)
    if code == "RESOURCE_EXHAUSTED" and retry_delay_s is None:
        # The specification: to be sent again only if the server says when. Without that it is the size that is too much.
        verdict = Verdict.TOO_LARGE
    reason = "timeout" if code == "DEADLINE_EXCEEDED" else f"grpc_{code.lower()}"
    if code == "UNAVAILABLE" and retry_delay_s is None:
        # What gRPC itself says when nobody is there.
        reason = "connection"
    return Outcome(verdict, reason, said(details.encode("utf-8", "replace")), bounded_wait(retry_delay_s))


def delivered_but(rejected: object, message: object) -> Outcome:
    """The outcome of a success that names items which were not taken."""
    count = max(0, rejected) if isinstance(rejected, int) else 0
    if not count:
        return DELIVERED
    return Outcome(Verdict.DELIVERED, "partial_success", said(str(message).encode("utf-8", "replace")), rejected=count)


def retry_after(value: str | None, now_s: float) -> float | None:
    """Seconds to wait by a ``Retry-After`` header, a number or a date (RFC 9110); ``None`` for what is neither."""
    if value is None:
        return None
    try:
        return bounded_wait(float(value.strip()))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(value)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
        return bounded_wait(moment.timestamp() - now_s)
    except (ValueError, TypeError, OverflowError):
        return None


def bounded_wait(seconds: float | None) -> float | None:
    """Seconds between 0 and `MAX_RETRY_AFTER_S`; ``None`` for what is no number."""
    if seconds is None or math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)


def said(body: bytes) -> str:
    """The readable part of what a server said, shortened; safe for a terminal."""
    text = body[: 4 * MAX_MESSAGE_CHARACTERS].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else " " for character in text)[:MAX_MESSAGE_CHARACTERS].strip()


def of_count(result: Any) -> Outcome:
    """The outcome of an exporter that says only yes or no."""
    return DELIVERED if getattr(result, "name", "") == "SUCCESS" else Outcome(Verdict.LATER, "export_failed")


# -- What the answer to a successful request says: that all was taken, or how many items were not.
# Shapes: ``Export<Signal>ServiceResponse`` of OTLP 1.9, as protobuf or JSON. Imported only when something is to be sent.

_RESPONSES: dict[str, tuple[Any, str]] = {
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points"),
}


def read_reply(signal: str, content_type: str, body: bytes) -> Outcome:
    """The outcome by the body of an answer with a successful status; a body that cannot be read takes nothing back."""
    if content_type.startswith("application/json"):
        return _read_json(signal, body)
    try:
        return read_message(signal, _RESPONSES[signal][0].FromString(body))
    except DecodeError:
        return DELIVERED


def read_message(signal: str, message: Any) -> Outcome:
    """The outcome by a response message of a signal."""
    partial = message.partial_success
    return delivered_but(getattr(partial, _RESPONSES[signal][1]), partial.error_message)


def _read_json(signal: str, body: bytes) -> Outcome:
    first, *rest = _RESPONSES[signal][1].split("_")
    key = first + "".join(word.capitalize() for word in rest)
    try:
        partial = json.loads(body)["partialSuccess"]
        # 64-bit integers stand as strings in protobuf's JSON.
        return delivered_but(int(partial[key]), partial.get("errorMessage", ""))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return DELIVERED
