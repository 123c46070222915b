"""The subset of JSON Schema that the inputs of scripts are described in.

    check_schema(schema)                    # what is wrong with the schema itself
    violations(schema, {"path": 3})         # ["inputs.path: expected string, found number 3"]

Keywords that have an effect are those of `_ARGUMENTS`; `NOTES` have none. ``writeOnly`` marks a secret. Patterns take linear
time, whatever a model gives. Any other keyword is an error of the schema: a rule that nothing checks is worse than none.
Messages never repeat a text that was given: it may be secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.store.validation.schema import NOTES, Schema, Wording, compiled, type_name

_TYPES = ("string", "number", "integer", "boolean", "null", "array", "object")
_MAX_DEPTH = 32
_CLASS = re.compile(r"\[:\^?[a-z]+:\]")
"""Like ``[:alpha:]``: a class in RE2, plain characters in JSON Schema."""
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")


def _is_number(value: Any) -> bool:
    return type_name(value) == "number"


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_pattern(value: Any) -> bool:
    import re2  # type: ignore[import-untyped]  # publishes no types

    try:
        re2.compile(value)
        compiled({"pattern": value})
    except Exception:  # noqa: BLE001 - re2.error, TypeError, ValueError: whatever it is, it is no pattern
        raise_interrupt()
        return False
    return _CLASS.search(value) is None


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in _TYPES for name in names)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


_ARGUMENTS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "type": (_is_type, f"one or a list of {', '.join(_TYPES)}"),
    "enum": (lambda value: isinstance(value, list) and bool(value), "a list of values"),
    "const": (lambda value: True, "a value"),
    "properties": (lambda value: isinstance(value, dict), "an object of schemas"),
    "required": (_are_names, "a list of names"),
    "additionalProperties": (lambda value: isinstance(value, (bool, dict)), "true, false or a schema"),
    "items": (lambda value: isinstance(value, dict), "a schema"),
    "pattern": (_is_pattern, "a pattern in RE2 syntax"),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), (_is_number, "a number")),
    **dict.fromkeys(_COUNTS, (_is_count, "a whole number, 0 or more")),
}
"""Of each keyword: a predicate for its arguments, and the text that describes them."""


def check_schema(schema: Any) -> Iterator[tuple[str, str, Any]]:
    """What is wrong with a schema: where (``.properties.path.type``), what was expected, what was found."""
    wrong = list(_wrong(schema))
    yield from wrong
    if not wrong:
        try:
            compiled(schema)
        except ValueError as error:
            raise_interrupt()
            yield "", "JSON Schema of draft 2020-12", " ".join(str(error).split())


def _wrong(schema: Any, at: str = "", depth: int = 0) -> Iterator[tuple[str, str, Any]]:
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        yield at, f"a schema: an object, at most {_MAX_DEPTH} deep", schema
        return
    for keyword, value in schema.items():
        if keyword in NOTES:
            continue
        if keyword not in _ARGUMENTS:
            yield f"{at}.{keyword}", f"one of the keywords {', '.join([*_ARGUMENTS, *sorted(NOTES)])}", value
        elif not _ARGUMENTS[keyword][0](value):
            yield f"{at}.{keyword}", _ARGUMENTS[keyword][1], value
    for name, below in _below(schema):
        yield from _wrong(below, f"{at}.{name}", depth + 1)


def _below(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    properties = schema.get("properties")
    if isinstance(properties, dict):
        for name, below in properties.items():
            yield f"properties.{name}", below
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield keyword, schema[keyword]


def violations(schema: Mapping[str, Any], value: Any) -> list[str]:
    """What is wrong with a value, one sentence each; empty if it is valid.

    Args:
        schema: one that `check_schema` finds nothing wrong with.
        value: as `json` reads it.
    """
    check = compiled(schema, _InputWording(), "inputs")
    return [
        f"{path}: expected {expected}, found {found}" if found else f"{path}{expected}" for path, expected, found in check(value)
    ]


class _InputWording(Wording):
    """Members as JSON, and nothing of a text that was given."""

    def members(self, members: list[Any]) -> str:
        return json.dumps(members[0]) if len(members) == 1 else f"one of {json.dumps(members)}"

    def pattern(self, pattern: str) -> str:
        return f"a text that matches {pattern!r}"

    def found(self, value: Any, schema: Schema) -> str:
        name, secret = type_name(value), bool(schema.get("writeOnly"))
        if secret or not isinstance(value, (int, float)):
            return f"{name} of {len(value)} characters" if isinstance(value, str) and not secret else name
        return f"{name} {json.dumps(value)}"

    def unknown(self, name: str, schema: Schema) -> tuple[str, str]:
        return f".{name[:80]}: not expected; known are {', '.join(sorted(schema.get('properties', ()))) or 'no names'}", ""
