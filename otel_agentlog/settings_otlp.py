"""What the standard ``OTEL_EXPORTER_OTLP_*`` variables say about connections: for gRPC, whose exporter keeps what it learns to
itself, so that we send in its stead. Over http the official exporter reads them.

Meanings are those of the official Python exporters: timeouts in seconds, a variable of a signal before the general one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Connection:
    """How the connection of one signal is made."""

    headers: str = ""
    """``key=value`` pairs with commas, as they stand in the variable."""
    timeout_s: float = DEFAULT_TIMEOUT_S
    compression: str = "none"
    """``none`` or ``gzip``."""
    certificate: str | None = None
    """File of the certificates that are trusted."""
    client_key: str | None = None
    client_certificate: str | None = None


def connection(signal: str, environment: Mapping[str, str]) -> Connection:
    """The connection of ``traces``, ``logs`` or ``metrics``; what cannot be used counts as not said, as the standard asks."""

    def value(name: str) -> str | None:
        return environment.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}") or environment.get(f"OTEL_EXPORTER_OTLP_{name}")

    return Connection(
        headers=value("HEADERS") or "",
        timeout_s=_seconds(value("TIMEOUT")),
        compression="gzip" if (value("COMPRESSION") or "").strip().lower() == "gzip" else "none",
        certificate=value("CERTIFICATE"),
        client_key=value("CLIENT_KEY"),
        client_certificate=value("CLIENT_CERTIFICATE"),
    )


def _seconds(text: str | None) -> float:
    try:
        seconds = float(text or DEFAULT_TIMEOUT_S)
    except ValueError:
        return DEFAULT_TIMEOUT_S
    return seconds if 0 < seconds < float("inf") else DEFAULT_TIMEOUT_S
