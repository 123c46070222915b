"""The headers of ``OTEL_EXPORTER_OTLP_HEADERS``, without those that no request can have.

One that is wrong would keep every request from being sent; one that says how long the body is, or of what type, has the collector
read another body than the one sent, and answer that all is well.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import Final

from opentelemetry.util.re import parse_env_headers

from otel_agentlog.settings.parsers import Connection

_logger = logging.getLogger(__name__)

HTTP: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+=[\t\x20-\x7e\xa0-\xff]*")
"""``name=value`` as http has it (RFC 9110)."""
GRPC: Final = re.compile(r"(?!grpc-)[0-9a-z_.-]+(?<!-bin)=[\x20-\x7e]*")
"""The same as gRPC has it: names that begin with ``grpc-`` are its own, and bytes of ``-bin`` have no form in the variable."""

_OF_THE_BODY = frozenset({"content-encoding", "content-length", "content-type", "te", "trailer", "transfer-encoding"})


def headers_of(connection: Connection, form: re.Pattern[str]) -> dict[str, str]:
    """Names in lower case and values; what is left out a warning says once, by its name."""
    given = parse_env_headers(connection.headers, liberal=True)
    left_out = {name for name, value in given.items() if name in _OF_THE_BODY or not form.fullmatch(f"{name}={value}")}
    for name in sorted(left_out):
        _warn_of_header(name)
    return {name: value for name, value in given.items() if name not in left_out}


@lru_cache
def _warn_of_header(name: str) -> None:
    # Without its value, which may be a secret.
    _logger.warning("OTEL_EXPORTER_OTLP_HEADERS: expected headers that a request can have, found %r; it is left out", name)
