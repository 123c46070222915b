"""The result of one request to a collector: what to do next, a reason for counters, and what the collector wrote.

Status codes of http and gRPC become verdicts here. The rules are those of the OTLP specification 1.9, "Failures", with one
addition: where it requires that the client drops what was not taken, only a record that was itself refused is dropped here.
Everything else stays in its task's folder until a collector takes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timezone
from enum import Enum

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass

MAX_RETRY_AFTER_S = 300.0
"""Longest time, in seconds, that a server's ``Retry-After`` is honoured; what waits is safe in the folder meanwhile."""

MAX_MESSAGE_CHARACTERS = 200


class Verdict(Enum):
    """What to do next."""

    DELIVERED = "delivered"
    """The collector has it (but for `SendResult.rejected` items)."""
    REJECTED = "rejected"
    """The data is refused for good; where it is a batch, by something in it."""
    TOO_LARGE = "too_large"
    """The request is larger than the collector takes."""
    BROKEN = "broken"
    """The collector failed over it, for a reason that may lie in the data or not; not to be sent again soon."""
    LATER = "later"
    """No server, no time, or no answer: it may have arrived or not. To be sent again."""
    REFUSED = "refused"
    """The server takes nothing as things are (wrong address, no permission); not to be sent again soon."""


@dataclass(frozen=True)
class SendResult:
    """What one request led to."""

    verdict: Verdict
    reason: str
    """One of a few words, for counters: ``http_503``, ``grpc_unavailable``, ``timeout``, ``connection`` …"""
    message: str = ""
    """What the collector wrote, shortened."""
    retry_after_s: float | None = None
    """Seconds in which the collector wants no further request (``Retry-After``); between 0 and `MAX_RETRY_AFTER_S`."""
    rejected: int = 0
    """With `Verdict.DELIVERED`: how many items were not taken. The protocol does not carry which."""

    @property
    def answered(self) -> bool:
        """Whether a server answered, so that a short wait makes sense."""
        return self.verdict is not Verdict.LATER or self.reason not in ("timeout", "connection", "export_failed")


DELIVERED = SendResult(Verdict.DELIVERED, "ok")
UNTRIED = SendResult(Verdict.LATER, "untried")
"""The result of the rest of a batch that took too long, or too many requests."""

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
_HTML = "text/html"


def http_result(status: int, headers: Mapping[str, str], body: bytes, now_s: float) -> SendResult:
    """The result of a response over http that is no success.

    ``headers`` are looked up without regard to case, ``now_s`` is Unix time.
    """
    verdict = _HTTP.get(status, Verdict.BROKEN if status >= 500 else Verdict.REFUSED)
    if verdict is Verdict.REJECTED and headers.get("Content-Type", "").startswith(_HTML):
        # A web server or proxy that does not implement OTLP has not checked the data.
        verdict = Verdict.REFUSED
    retry_after_s = retry_after(headers.get("Retry-After"), now_s) if verdict is Verdict.LATER else None
    return SendResult(verdict, f"http_{status}", readable(body), retry_after_s)


def is_not_otlp(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a success comes from something that does not implement OTLP, such as the sign-in page of a network."""
    return bool(body) and headers.get("Content-Type", "").startswith(_HTML)


def grpc_result(code: str, details: str, retry_delay_s: float | None) -> SendResult:
    """The result of a gRPC status that is not OK; ``retry_delay_s`` is that of its ``RetryInfo``."""
    verdict = _GRPC.get(code, Verdict.REFUSED)
    if code == "RESOURCE_EXHAUSTED" and retry_delay_s is None:
        # The specification: to be sent again only with a ``Retry-After``. Without that it is the size that is too much.
        verdict = Verdict.TOO_LARGE
    reason = "timeout" if code == "DEADLINE_EXCEEDED" else f"grpc_{code.lower()}"
    if code == "UNAVAILABLE" and retry_delay_s is None:
        # The status that gRPC itself gives when no server is there.
        reason = "connection"
    return SendResult(verdict, reason, readable(details.encode("utf-8", "replace")), bounded_wait(retry_delay_s))


def partial_success(rejected: object, message: object) -> SendResult:
    """The result of a success with the number of items that were not taken; a plain success for no number above 0."""
    count = max(0, rejected) if isinstance(rejected, int) else 0
    if not count:
        return DELIVERED
    return SendResult(Verdict.DELIVERED, "partial_success", readable(str(message).encode("utf-8", "replace")), rejected=count)


def retry_after(value: str | None, now_s: float) -> float | None:
    """Seconds to wait by a ``Retry-After`` header, a number or a date (RFC 9110); ``None`` for what is neither."""
    if value is None:
        return None
    try:
        return bounded_wait(float(value.strip()))
    except ValueError:
        raise_interrupt()
    from email.utils import parsedate_to_datetime  # takes longer to import than all of this package's transport

    try:
        moment = parsedate_to_datetime(value)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
        return bounded_wait(moment.timestamp() - now_s)
    except (ValueError, TypeError, OverflowError):
        raise_interrupt()
        return None


def bounded_wait(seconds: float | None) -> float | None:
    """Seconds between 0 and `MAX_RETRY_AFTER_S`; ``None`` for what is no number."""
    if seconds is None or math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)


def readable(body: bytes) -> str:
    """The printable part of a response, shortened; safe for a terminal."""
    text = body[: 4 * MAX_MESSAGE_CHARACTERS].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else " " for character in text)[:MAX_MESSAGE_CHARACTERS].strip()
