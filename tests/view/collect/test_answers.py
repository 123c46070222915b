"""Bodies of requests, within bounds."""

from __future__ import annotations

import gzip
import zlib

import pytest

from otel_agentlog.tools.collect.intake import MalformedError
from otel_agentlog.view.collect.answers import MAX_MEMBERS, unpacked

MIB = 1024 * 1024


def test_members_of_gzip_are_counted() -> None:
    """Each one costs a copy of what is behind it: a body of nothing but empty ones is refused after the first few."""
    taken: list[int] = []
    body = gzip.compress(b"") * (MIB // len(gzip.compress(b"")))
    with pytest.raises(MalformedError, match="at most 16 members"):
        unpacked(body, "gzip", MIB, taken.append)
    assert len(taken) <= MAX_MEMBERS
    whole = b"".join(gzip.compress(bytes([each])) for each in range(MAX_MEMBERS))
    assert unpacked(whole, "gzip", MIB, taken.append) == bytes(range(MAX_MEMBERS))
    with pytest.raises(MalformedError):
        unpacked(whole + gzip.compress(b""), "gzip", MIB, taken.append)
    with pytest.raises(MalformedError):
        unpacked(zlib.compress(b"") * (MAX_MEMBERS + 1), "deflate", MIB, taken.append)
