"""What a function, or whatever else can be called, is called where people read it."""

from __future__ import annotations

from typing import Any


def name_of(function: Any) -> str:
    """``Class.method``, without the functions it was defined in; of what has no name its type's."""
    name = getattr(function, "__qualname__", None) or getattr(getattr(function, "func", None), "__qualname__", None)
    return str(name or type(function).__name__).rpartition("<locals>.")[2]
