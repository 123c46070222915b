"""The keys of a script in ``registry.json``: what each accepts and how that is said."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from otel_agentlog.guard import ErrorCategory

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CATEGORIES = tuple(category.value for category in ErrorCategory)


@dataclass(frozen=True)
class Field:
    """One key."""

    accepts: Callable[[Any], bool]
    expected: str


def _number(least: float, most: float = math.inf, *, above: bool = False, whole: bool = False) -> Callable[[Any], bool]:
    def accepts(value: Any) -> bool:
        kinds = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
            return False
        return (least < value if above else least <= value) and value <= most

    return accepts


def _text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _some_text(value: Any) -> bool:
    return _text(value) and bool(value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _variables(value: Any) -> bool:
    return _texts(value) and all(_VARIABLE.fullmatch(name) for name in value)


def _one_of(*known: str) -> Field:
    return Field(lambda value: isinstance(value, str) and value in known, " or ".join(repr(word) for word in known))


FIELDS: Mapping[str, Field] = {
    "path": Field(_some_text, "the path of a file that can be executed"),
    "argv": Field(lambda value: _texts(value) and bool(value) and bool(value[0]), "a list of texts, the program first"),
    "specialist": Field(_text, "a text"),
    "description": Field(_text, "a text"),
    "input_schema": Field(lambda value: isinstance(value, dict), "a schema: an object"),
    "inputs_by": _one_of("stdin", "environment"),
    "output": _one_of("text", "json"),
    "timeout_s": Field(_number(0, 86_400, above=True), "a number of seconds above 0, at most 86400"),
    "grace_s": Field(_number(0, 60), "a number of seconds from 0 to 60"),
    "retries": Field(_number(0, 20, whole=True), "a whole number from 0 to 20"),
    "retry_on": Field(
        lambda value: _texts(value) and all(name in _CATEGORIES for name in value), f"a list of {', '.join(_CATEGORIES)}"
    ),
    "retry_wait_s": Field(_number(0, 3600), "a number of seconds from 0 to 3600"),
    "memory_limit_mb": Field(_number(1), "a number of MB, 1 or more"),
    "max_output_bytes": Field(_number(1, 1 << 30, whole=True), "a whole number of bytes from 1 to 1073741824"),
    "on_too_much_output": _one_of("discard", "stop"),
    "environment": Field(_variables, "a list of names of environment variables"),
    "cwd": Field(_some_text, "the path of a folder"),
    "sandbox": Field(lambda value: isinstance(value, dict), "an object"),
    "$comment": Field(lambda value: True, "anything"),
}

SANDBOX: Mapping[str, Field] = {
    "read": Field(_texts, "a list of paths"),
    "write": Field(_texts, "a list of paths"),
    "network": Field(lambda value: isinstance(value, bool), "true or false"),
    "best_effort": Field(lambda value: isinstance(value, bool), "true or false"),
}
