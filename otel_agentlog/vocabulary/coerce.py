"""Reads values that may be of any type, such as those of a line read back: a value of the wrong type reads as absent.

`text`, `number`, `mapping` and `objects` read what a line has under a key. The ``as_`` functions take a value, and give one that
OTLP has a form for.
"""

from __future__ import annotations

import ast
import base64
import math
from collections.abc import Mapping
from typing import Any

from otel_agentlog._interrupts import raise_interrupt

_NOTHING: Mapping[str, Any] = {}
_INT64 = 1 << 63
_ATTEMPTS = 100
"""Python 3.11 keeps one depth for the trees of all threads: another thread that parses in the middle of ours makes ours a
SystemError (python/cpython#106905)."""


def text(line: Mapping[str, Any], key: str) -> str | None:
    """Return a string."""
    value = line.get(key)
    return value if isinstance(value, str) else None


_MOST = 1e290
"""What is a float in any unit, and in sum."""


def number(line: Mapping[str, Any], key: str) -> float | None:
    """Return an integer or float; truth values are none, and so is what is no float once it is multiplied or added up."""
    value = line.get(key)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) and -_MOST <= value <= _MOST else None


def mapping(line: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return an object; an empty one if there is none."""
    value = line.get(key)
    # The check by type comes first because that of an abstract class costs 0.3 µs.
    return value if type(value) is dict or isinstance(value, Mapping) else _NOTHING


def objects(line: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the objects in an array."""
    value = line.get(key)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def texts(line: Mapping[str, Any], key: str) -> list[str]:
    """Return the strings in an array."""
    value = line.get(key)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def as_text(value: Any) -> str | None:
    """A string that is not empty."""
    return value if isinstance(value, str) and value else None


def as_texts(value: Any) -> list[str] | None:
    """The strings of a list; a string that is not empty is a list of one."""
    if isinstance(value, str):
        return [value] if value else None
    if isinstance(value, (list, tuple)) and value:
        return [item for item in value if isinstance(item, str)] or None
    return None


def as_integer(value: Any) -> int | None:
    """An integer of 64 bits; truth values are none."""
    return value if type(value) is int and -_INT64 <= value < _INT64 else None


def bounded(count: int) -> int:
    """The nearest integer of 64 bits: sums of what only damage writes may be larger than any file or receiver takes."""
    return max(-_INT64, min(count, _INT64 - 1))


def as_number(value: Any) -> float | None:
    """A float, also of an integer of 64 bits; truth values are none."""
    kind = type(value)
    return value if kind is float else float(value) if kind is int and -_INT64 <= value < _INT64 else None


def parse_float(value: Any) -> float:
    """``float(value)``, which raises a `ValueError` with a message for every text that is no number.

    In Python 3.10 that of a subclass whose ``repr`` raises has none, and then looks like an interrupt (`_interrupts`).
    """
    return float(str.__str__(value) if isinstance(value, str) else value)


_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def python_literal(written: str, otherwise: Any) -> Any:
    """The value that a Python literal stands for, as ``repr`` writes it; ``otherwise`` where the text is none."""
    for _ in range(_ATTEMPTS):
        try:
            return ast.literal_eval(written)
        except SystemError:
            raise_interrupt()
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise_interrupt()
            break
    return otherwise


def untagged(value: Any) -> Any:
    """The value as it was before it was written; an object that is not a well-formed tag is returned unchanged.

    What JSON has no form for is an object with one key: ``{"$bytes": "<base64>"}``, ``{"$float": "NaN"|"Infinity"|"-Infinity"}``.
    A user's own object of that form has one more dollar sign in its key, which is taken away here.
    """
    kind = type(value)
    if kind is list:
        return [untagged(item) for item in value]
    if kind is not dict:
        return value
    if len(value) == 1:
        ((key, content),) = value.items()
        if key[:1] == "$":
            return _meant(key, content)
    return {key: untagged(item) for key, item in value.items()}


def _meant(key: str, content: Any) -> Any:
    if key == "$float" and isinstance(content, str) and content in _FLOATS:
        return _FLOATS[content]
    if key == "$bytes" and isinstance(content, str):
        try:
            return base64.b64decode(content, validate=True)
        except ValueError:
            raise_interrupt()
    return {key[1:] if key.startswith("$$") else key: untagged(content)}
