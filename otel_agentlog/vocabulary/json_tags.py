"""Values that JSON has no form for, as they are written in lines: objects with one key that begins with a dollar sign.

``{"$bytes": "<base64>"}``, ``{"$float": "NaN"|"Infinity"|"-Infinity"}``. A user's own object of that form has one more
dollar sign in its key, which is taken away here.
"""

from __future__ import annotations

import base64
import math
from typing import Any

from otel_agentlog._interrupts import raise_interrupt

_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def untagged(value: Any) -> Any:
    """The value as it was before it was written; an object that is not a well-formed tag is returned unchanged."""
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
