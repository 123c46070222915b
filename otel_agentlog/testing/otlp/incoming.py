"""One request as a side of the receiver hands it on, and what it gets back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from otel_agentlog.testing.otlp.answers import Answer
from otel_agentlog.testing.otlp.decode import Export

LOOPBACK = "127.0.0.1"
"""Where all sides listen."""


@dataclass(frozen=True)
class Incoming:
    """A decoded request and how it came."""

    protocol: str
    """``http/protobuf``, ``http/json`` or ``grpc``."""
    signal: str
    """``traces``, ``logs`` or ``metrics``."""
    export: Export
    headers: Mapping[str, str]
    """Names in lower case; over gRPC the metadata."""
    wire_bytes: int
    """Size of the body as it was sent."""
    body_bytes: int
    """Size after decompression."""


class Decision(NamedTuple):
    """What to answer."""

    answer: Answer
    epoch: int
    """Of the receiver when it decided; once it has moved on, nobody is held up any longer."""
