"""Hides that a line read back may hold anything under any key: a value of the wrong kind reads as absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NOTHING: Mapping[str, Any] = {}


def text(line: Mapping[str, Any], key: str) -> str | None:
    """Return a string."""
    value = line.get(key)
    return value if isinstance(value, str) else None


def number(line: Mapping[str, Any], key: str) -> float | None:
    """Return an integer or float; truth values are none."""
    value = line.get(key)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def mapping(line: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return an object; an empty one if there is none."""
    value = line.get(key)
    return value if isinstance(value, Mapping) else _NOTHING


def objects(line: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the objects in an array."""
    value = line.get(key)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
