"""One request as a server of the in-test OTLP receiver hands it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.otlp_decode import Export


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
