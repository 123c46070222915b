"""The subset of JSON Schema that inputs are described in, checked by this module alone.

    check_schema(schema)                    # what is wrong with the schema itself
    violations(schema, {"path": 3})         # ["inputs.path: expected string, found number 3"]

Known keywords: ``type enum const properties required additionalProperties minProperties maxProperties items minItems maxItems
minimum maximum exclusiveMinimum exclusiveMaximum minLength maxLength pattern`` and, without effect on what is valid, ``title
description default examples writeOnly $schema $id $comment``. ``writeOnly`` marks a secret. Patterns are RE2's and may match
anywhere. Any other keyword is an error of the schema: a rule that nobody checks is worse than none. Messages never repeat a text
that was given: it may be secret.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

NOTES = frozenset({"title", "description", "default", "examples", "writeOnly", "$schema", "$id", "$comment"})
_MAX_DEPTH = 32
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and float(value).is_integer(),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, (list, tuple)),
    "object": lambda value: isinstance(value, Mapping),
}


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_pattern(value: Any) -> bool:
    import re2  # type: ignore[import-untyped]  # publishes no types

    try:
        re2.compile(value)
    except Exception:  # noqa: BLE001 - re2.error, TypeError: whatever it is, it is no pattern
        return False
    return True


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in _TYPES for name in names)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


_KEYWORDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
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


def check_schema(schema: Any, at: str = "", depth: int = 0) -> Iterator[tuple[str, str, Any]]:
    """What is wrong with a schema: where (``.properties.path.type``), what was expected, what was found."""
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        yield at, f"a schema: an object, at most {_MAX_DEPTH} deep", schema
        return
    for keyword, value in schema.items():
        if keyword in NOTES:
            continue
        if keyword not in _KEYWORDS:
            yield f"{at}.{keyword}", f"one of the keywords {', '.join([*_KEYWORDS, *sorted(NOTES)])}", value
        elif not _KEYWORDS[keyword][0](value):
            yield f"{at}.{keyword}", _KEYWORDS[keyword][1], value
    for name, below in _below(schema):
        yield from check_schema(below, f"{at}.{name}", depth + 1)


def _below(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    properties = schema.get("properties")
    if isinstance(properties, dict):
        for name, below in properties.items():
            yield f"properties.{name}", below
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield keyword, schema[keyword]


def violations(schema: Mapping[str, Any], value: Any, at: str = "inputs") -> list[str]:
    """What is wrong with a value, one sentence each; empty if it is valid."""
    secret = bool(schema.get("writeOnly"))
    types = schema.get("type", [])
    names: list[str] = types if isinstance(types, list) else [types]
    if names and not any(_TYPES[name](value) for name in names):
        return [f"{at}: expected {' or '.join(names)}, found {_found(value, secret)}"]
    wrong = [f"{at}: expected {expected}, found {_found(value, secret)}" for expected in _broken(schema, value)]
    if isinstance(value, Mapping):
        wrong += _object_violations(schema, value, at)
    elif isinstance(value, (list, tuple)) and "items" in schema:
        for index, item in enumerate(value):
            wrong += violations(schema["items"], item, f"{at}[{index}]")
    return wrong


def _broken(schema: Mapping[str, Any], value: Any) -> Iterator[str]:
    """What the value itself should be and is not."""
    if "enum" in schema and not any(_same(value, known) for known in schema["enum"]):
        yield f"one of {json.dumps(schema['enum'])}"
    if "const" in schema and not _same(value, schema["const"]):
        yield json.dumps(schema["const"])
    if _is_number(value):
        yield from _limits(schema, value, "minimum", "maximum", "")
        if "exclusiveMinimum" in schema and not value > schema["exclusiveMinimum"]:
            yield f"more than {schema['exclusiveMinimum']}"
        if "exclusiveMaximum" in schema and not value < schema["exclusiveMaximum"]:
            yield f"less than {schema['exclusiveMaximum']}"
    elif isinstance(value, str):
        yield from _limits(schema, len(value), "minLength", "maxLength", " characters")
        if "pattern" in schema and not _matches(schema["pattern"], value):
            yield f"a text that matches {schema['pattern']!r}"
    elif isinstance(value, Mapping):
        yield from _limits(schema, len(value), "minProperties", "maxProperties", " entries")
    elif isinstance(value, (list, tuple)):
        yield from _limits(schema, len(value), "minItems", "maxItems", " items")


def _limits(schema: Mapping[str, Any], size: float, least: str, most: str, unit: str) -> Iterator[str]:
    if least in schema and size < schema[least]:
        yield f"at least {schema[least]}{unit}"
    if most in schema and size > schema[most]:
        yield f"at most {schema[most]}{unit}"


def _object_violations(schema: Mapping[str, Any], value: Mapping[str, Any], at: str) -> list[str]:
    properties = schema.get("properties", {})
    further = schema.get("additionalProperties", True)
    wrong = [f"{at}.{name}: expected a value, found nothing" for name in schema.get("required", ()) if name not in value]
    for name, item in value.items():
        if name in properties:
            wrong += violations(properties[name], item, f"{at}.{name}")
        elif isinstance(further, dict):
            wrong += violations(further, item, f"{at}.{name}")
        elif not further:
            wrong.append(f"{at}.{str(name)[:80]}: not expected; known are {', '.join(sorted(properties)) or 'no names'}")
    return wrong


def _same(value: Any, known: Any) -> bool:
    # JSON's true is not 1, though Python's is.
    return bool(value == known) and isinstance(value, bool) == isinstance(known, bool)


def _matches(pattern: str, value: str) -> bool:
    import re2

    return bool(re2.search(pattern, value.encode("utf-8", "replace").decode("utf-8")))


def _found(value: Any, secret: bool) -> str:
    name = next((name for name, check in _TYPES.items() if check(value)), type(value).__name__)
    if secret or not isinstance(value, (int, float)) or value is None:
        return f"{name} of {len(value)} characters" if isinstance(value, str) and not secret else name
    return f"{name} {json.dumps(value)}"
