"""Makes the fixtures of ``tests/support/peers.py`` known here."""

from __future__ import annotations

from tests.support.peers import collector, otelcol_binary, prometheus_binary, pytest_collection_finish

__all__ = ["collector", "otelcol_binary", "prometheus_binary", "pytest_collection_finish"]
