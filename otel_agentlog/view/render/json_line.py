"""JSON on one line, safe to print on any terminal."""

from __future__ import annotations

from typing import Any

import orjson

from otel_agentlog.vocabulary.terminal_text import safe_json


def json_line(value: Any) -> bytes:
    """Return a value as one line of JSON with a line feed; what has no form in JSON, such as a path, as its text."""
    try:
        encoded = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # Integers beyond 64 bits, and nesting beyond orjson's limit: rare, and the standard library encodes both.
        encoded = _encode_slowly(value)
    return safe_json(encoded.decode()).encode() + b"\n"


def _encode_slowly(value: Any) -> bytes:
    # Imported here, as commands that read start fast.
    import json

    encoded = json.dumps(value, default=str)
    # What is no number is null, as orjson has it: JSON has no NaN.
    numbers = json.loads(encoded, parse_constant=lambda name: None)
    return json.dumps(numbers).encode()
