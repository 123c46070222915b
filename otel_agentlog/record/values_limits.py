"""How much of a value is kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How much of one value is kept."""

    max_depth: int = 16
    """Containers within containers."""
    max_items: int = 1000
    """Items of one container."""
    max_nodes: int = 20_000
    """Items of all containers of one value."""
    max_string_bytes: int | None = 32 << 20
    """UTF-8 bytes of one text, or bytes of one binary value; ``None`` for no bound."""
    max_total_bytes: int = 64 << 20
    """Bytes of all long texts of one value."""
