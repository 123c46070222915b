"""Bodies of requests within bounds, and the messages that answer them, for http and gRPC alike.

Formats: https://opentelemetry.io/docs/specs/otlp/ (OTLP 1.9), "OTLP/HTTP Response" and "Partial Success".
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from google.protobuf.json_format import MessageToJson
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # no stubs exist

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.export.transport.services import RESPONSES, partly
from otel_agentlog.tools.collect.intake import JSON, Accepted, MalformedError

MAX_BODY_BYTES = 16 * 1024 * 1024
"""Longest body, also after it was unpacked."""

MAX_MEMBERS = 16
"""Most members of a packed body: for each one what is behind it is copied, so thousands of empty ones cost seconds of CPU."""

RETRY_AFTER_S = 5
"""Seconds after which a sender is to try again that was sent away."""

_PIECE = 1024 * 1024
_WINDOW_BITS = {"gzip": 31, "deflate": 15}
PLAIN = ("", "identity")
ENCODINGS = (*PLAIN, *_WINDOW_BITS)


class TooLargeError(Exception):
    """A body, packed or unpacked, is longer than it may be."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"expected a body of at most {limit:,} bytes; --max-body takes longer ones")


def unpacked(body: bytes, encoding: str, limit: int, take: Callable[[int], None]) -> bytes:
    """The body before it was compressed; ``take`` is called with the size of each piece before it is kept.

    Raises:
        TooLargeError: it is longer than ``limit``; not more than that was unpacked.
        MalformedError: it is no body of this encoding.
    """
    if encoding in PLAIN:
        return body
    pieces, size, members = [], 0, 0
    rest = body
    try:
        while rest:
            members += 1
            if members > MAX_MEMBERS:
                raise MalformedError(f"expected a body of at most {MAX_MEMBERS} members in {encoding}, found more")
            unpacker = zlib.decompressobj(_WINDOW_BITS[encoding])
            while not unpacker.eof:
                piece = unpacker.decompress(rest, _PIECE)
                rest = unpacker.unconsumed_tail
                size += len(piece)
                if size > limit:
                    raise TooLargeError(limit)
                take(len(piece))
                pieces.append(piece)
                if not piece and not rest and not unpacker.eof:
                    raise MalformedError(f"expected a whole body in {encoding}, found the beginning of one")
            rest = unpacker.unused_data
    except zlib.error as error:
        raise_interrupt()
        raise MalformedError(f"expected a body in {encoding}, found {error}") from None
    return b"".join(pieces)


def response(signal: str, accepted: Accepted) -> Any:
    """The message that acknowledges a request."""
    return partly(signal, accepted.rejected, accepted.reason) if accepted.rejected else RESPONSES[signal][0]()


def unreadable(signal: str, error: Exception) -> str:
    """The message, for people and the sender, of a request that raised an unexpected error, without any of its content."""
    return f"a request of {signal} was refused, as it cannot be read: {type(error).__name__}"


def status(text: str) -> Any:
    """The message that refuses one."""
    return Status(message=text)


def encoded(message: Any, content_type: str) -> bytes:
    """A message in the form that the request had."""
    if content_type == JSON:
        return MessageToJson(message, indent=None).encode()
    data: bytes = message.SerializeToString()
    return data
