"""Makes the fixtures of ``tests/support/peers.py`` known here."""

from __future__ import annotations

from tests.support.peers import collector, otelcol_binary, otlp_receiver, pytest_collection_finish, rotel_binary

__all__ = ["collector", "otelcol_binary", "otlp_receiver", "pytest_collection_finish", "rotel_binary"]
